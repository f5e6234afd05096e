"""An httpx transport over httpcore's own pool, so that every read and write can be put under a total deadline."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpcore
import httpx

from worker.net.route import trust

if TYPE_CHECKING:
    from collections.abc import Iterator

    from worker.net.route import Proxy, Route
    from worker.net.streams import Backend

CONNECTIONS = 32


class PooledTransport(httpx.BaseTransport):
    """Sends through a bounded pool of connections, by way of a proxy where the route has one."""

    def __init__(self, root: httpx.URL, route: Route, backend: Backend, *, keep_seconds: float) -> None:
        self._pool = _pool(root, route, backend, keep_seconds)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request; returns the answer with its body still to be read."""
        url = request.url
        answer = self._pool.handle_request(
            httpcore.Request(
                method=request.method,
                url=httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
                headers=request.headers.raw,
                content=request.read(),
                extensions=request.extensions,
            )
        )
        return httpx.Response(answer.status, headers=answer.headers, stream=_Body(answer))

    def close(self) -> None:
        """Close every connection."""
        self._pool.close()


class _Body(httpx.SyncByteStream):
    """The bytes of an answer as they arrive."""

    def __init__(self, answer: httpcore.Response) -> None:
        self._answer = answer

    def __iter__(self) -> Iterator[bytes]:
        return self._answer.iter_stream()

    def close(self) -> None:
        """Give the connection back."""
        self._answer.close()


def _pool(root: httpx.URL, route: Route, backend: Backend, keep_seconds: float) -> httpcore.ConnectionPool:
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
