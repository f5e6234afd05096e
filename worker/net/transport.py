"""The pool of connections, whose every read and write can be put under a total deadline."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpcore

from worker.net.route import trust

if TYPE_CHECKING:
    import httpx

    from worker.net.route import Proxy, Route
    from worker.net.streams import Backend

CONNECTIONS = 32


def opened_pool(root: httpx.URL, route: Route, backend: Backend, *, keep_seconds: float) -> httpcore.ConnectionPool:
    """A bounded pool of connections, by way of a proxy where the route has one; 0 `keep_seconds` keep none."""
    return httpcore.ConnectionPool(
        ssl_context=trust(route.certificates) if root.scheme == "https" else None,
        proxy=_proxy(route.proxy, route) if route.proxy else None,
        max_connections=CONNECTIONS,
        max_keepalive_connections=CONNECTIONS if keep_seconds else 0,
        keepalive_expiry=keep_seconds,
        network_backend=backend,
    )


def _proxy(proxy: Proxy, route: Route) -> httpcore.Proxy:
    scheme, context = (b"https", trust(route.certificates)) if proxy.is_encrypted else (b"http", None)
    url = httpcore.URL(scheme=scheme, host=proxy.host.encode(), port=proxy.port, target=b"/")
    return httpcore.Proxy(url, auth=proxy.auth, ssl_context=context)
