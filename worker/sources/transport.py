"""An httpx transport over httpcore's own pool, so that every read and write can be put under a total deadline."""

from __future__ import annotations

import urllib.request
from typing import TYPE_CHECKING

import httpcore
import httpx

from worker.core.ports import ConfigError

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator

    from worker.sources.deadline import Backend

CONNECTIONS = 32
IDLE_SECONDS = 5.0
"""Shorter than any server's own patience: a request sent into a connection that is being closed is a failed poll."""


class PooledTransport(httpx.BaseTransport):
    """Sends through a bounded pool of connections, by way of the environment's proxy where there is one."""

    def __init__(self, root: httpx.URL, backend: Backend) -> None:
        self._pool = _pool(root, backend)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request and give the answer with its body still to be read."""
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


def _pool(root: httpx.URL, backend: Backend) -> httpcore.ConnectionPool:
    return httpcore.ConnectionPool(
        ssl_context=_ssl_context() if root.scheme == "https" else None,
        proxy=_proxy(root),
        max_connections=CONNECTIONS,
        max_keepalive_connections=CONNECTIONS,
        keepalive_expiry=IDLE_SECONDS,
        network_backend=backend,
    )


def _ssl_context() -> ssl.SSLContext:
    """What httpx trusts by itself, the environment's own certificates included."""
    return httpx.create_ssl_context()


def _proxy(root: httpx.URL) -> httpcore.Proxy | None:
    """The proxy that the environment names for this root (`HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY`)."""
    proxies = urllib.request.getproxies()
    named = proxies.get(root.scheme) or proxies.get("all")
    if not named or urllib.request.proxy_bypass(root.host):
        return None
    url = httpx.URL(named if "://" in named else f"http://{named}")
    if url.scheme not in {"http", "https"}:
        raise ConfigError(f"{root.scheme.upper()}_PROXY: only http:// and https:// proxies are understood")
    auth = (url.username, url.password) if url.username else None
    return httpcore.Proxy(str(url.copy_with(username=None, password=None)), auth=auth)
