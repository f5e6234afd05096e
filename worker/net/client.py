"""The HTTP client: sends under a total deadline, follows no redirect, and says how far a request came.

httpx is imported in this package alone. What an answer means is for the folder of its service to say.
"""

from __future__ import annotations

import contextlib
import socket
from copy import copy
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import h11
import httpcore
import httpx
from msgspec import Struct

from worker.core.ports import always
from worker.net.failures import FAILURES, FailureKind, NetError, TooLateError, described
from worker.net.response import Response
from worker.net.route import DIRECT, trust
from worker.net.streams import Backend, Exchange

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from worker.core.ports import Clock
    from worker.net.route import Proxy, Route

CONNECTIONS = 32
KEEP_SECONDS = 90.0
"""The time for which an idle connection is kept: longer than the usual time between two polls."""

USUAL = {
    b"Accept": b"*/*",
    b"Accept-Encoding": b"gzip, deflate",
    b"Connection": b"keep-alive",
    b"User-Agent": b"review-notifier",
}

_PLAIN = ("GET", None, None, None)
"""The method, headers, JSON and content of a request that has nothing of its own but its target."""

NO_ANSWER_YET = (httpcore.RemoteProtocolError, httpcore.ReadError, httpcore.WriteError)


class Request(Struct, frozen=True):
    """A request: a path below the root, with a body to be encoded as JSON or one that is encoded already."""

    method: str
    path: str
    params: Mapping[str, str | int] | None = None
    headers: Mapping[str, str] | None = None
    json: Any = None
    content: bytes | None = None


class Client:
    """Sends requests to one service. Thread-safe. Raises nothing but NetError."""

    def __init__(
        self,
        root: str,
        *,
        clock: Clock,
        route: Route = DIRECT,
        headers: Mapping[bytes, bytes] | None = None,
        keep_seconds: float = KEEP_SECONDS,
        look_up: Callable[..., list[Any]] = socket.getaddrinfo,
    ) -> None:
        """Paths begin at `root`. With `keep_seconds` 0 each request has a connection of its own."""
        self._clock = clock
        self._is_proxied = route.proxy is not None
        proxy = route.proxy
        self._place = f"the proxy {proxy.host}:{proxy.port}" if proxy else "the server"
        self._backend = Backend(look_up=look_up)
        url = httpx.URL(root)
        self._root = url.copy_with(raw_path=url.raw_path.rstrip(b"/") + b"/")
        self._headers = httpx.Headers({**USUAL, **dict(headers or {})})
        self._plain = _model(self._root, self._headers)
        self._pool = _opened_pool(self._root, route, self._backend, keep_seconds=keep_seconds)

    @contextlib.contextmanager
    def send(
        self, asked: Request, *, seconds: float, in_time: Callable[[], bool] = always, is_safe: bool = False
    ) -> Iterator[Response]:
        """Send a request and give its answer, which is read inside the context.

        `seconds` is for all of it. `in_time` is asked at the last moment whether it may still go out. One that
        `is_safe` to repeat is sent again where a connection that was kept has turned out to be closed.
        """
        exchange = Exchange(self._clock, seconds, in_time)
        self._backend.begin(exchange)
        try:
            answer = self._answer(self._built(asked, exchange), exchange, is_safe=is_safe)
            try:
                yield Response(answer.status, _by_name(answer.headers), answer.iter_stream())
            finally:
                answer.close()
        except FAILURES as error:
            failure = self._failure(error, exchange)
        else:
            return
        # Raised outside the except clause: chained to it, the library's exception would keep the request's secrets.
        raise failure

    def extend(self, seconds: float) -> None:
        """Move the deadline by the time for which the calling thread itself has waited."""
        self._backend.exchange.extend(seconds)

    def close(self) -> None:
        """Break off everything that is under way, at once."""
        self._backend.break_off()
        self._pool.close()

    def _built(self, asked: Request, exchange: Exchange) -> httpcore.Request:
        """A request as httpcore sends it: httpx's own way there costs more than the rest of a read together."""
        if asked.path.startswith("/") and (asked.method, asked.headers, asked.json, asked.content) == _PLAIN:
            request, url = copy(self._plain), copy(self._plain.url)
            query = f"?{urlencode(asked.params)}" if asked.params else ""
            url.target = self._root.raw_path + f"{asked.path[1:]}{query}".encode("ascii")
            request.url = url
        else:
            built = self._shaped(asked)
            url = _url(built.url, built.url.raw_path)
            request = httpcore.Request(asked.method, url, headers=built.headers.raw, content=built.read())
        # The time-out is for a place in the pool alone.
        request.extensions = {"timeout": {"pool": exchange.seconds}}
        # What a stream sees is enough where nobody is to be asked first, and no proxy is spoken to before.
        if self._is_proxied or exchange.is_asking:
            request.extensions["trace"] = exchange.trace
        else:
            exchange.begins_by_writing = True
        return request

    def _shaped(self, asked: Request) -> httpx.Request:
        headers = self._headers.copy()
        headers.update(asked.headers)
        url = self._root.join(asked.path.removeprefix("/"))
        if asked.params:
            url = url.copy_merge_params(asked.params)
        return httpx.Request(asked.method, url, headers=headers, json=asked.json, content=asked.content)

    def _answer(self, request: httpcore.Request, exchange: Exchange, *, is_safe: bool) -> httpcore.Response:
        while True:
            exchange.is_fresh = False
            try:
                return self._pool.handle_request(request)
            except NO_ANSWER_YET:
                # A kept connection that the server had closed already: another one may work. Ends with a fresh one.
                if exchange.is_fresh or exchange.is_answered or not is_safe:
                    raise

    def _failure(self, error: Exception, exchange: Exchange) -> NetError:
        if isinstance(error, TooLateError):
            why = exchange.slowest() or "this process stood still"
            return NetError(FailureKind.TOO_LATE, f"the request was too late to go out: {why}", has_begun=False)
        kind, text = described(error, place=self._place, seconds=exchange.seconds)
        if self._is_proxied and kind in {FailureKind.NAME, FailureKind.CONNECT}:
            kind = FailureKind.PROXY
        if kind is FailureKind.DEADLINE and not exchange.has_begun and (slow := exchange.slowest()):
            text = f"{text}: {slow}"
        return NetError(kind, text, has_begun=exchange.has_begun)


def _url(at: httpx.URL, target: bytes) -> httpcore.URL:
    return httpcore.URL(scheme=at.raw_scheme, host=at.raw_host, port=at.port, target=target)


def _model(root: httpx.URL, headers: httpx.Headers) -> httpcore.Request:
    """The request that all without anything of their own are copies of: checked once, and not at each of them."""
    raw = httpx.Request("GET", root, headers=headers).headers.raw
    model = httpcore.Request("GET", _url(root, root.raw_path), headers=raw)
    # One that no header can carry is refused when it is sent, as any other request is.
    with contextlib.suppress(h11.LocalProtocolError):
        checked: Any = h11.Request(method="GET", target=root.raw_path, headers=raw).headers
        model.headers = checked
    return model


def _by_name(headers: Iterable[tuple[bytes, bytes]]) -> Mapping[str, str]:
    """The headers of an answer by their names in lower case; several of one name are one list."""
    found: dict[str, str] = {}
    for raw, value in headers:
        name, text = raw.decode("latin-1").lower(), value.decode("latin-1")
        found[name] = f"{found[name]}, {text}" if name in found else text
    return found


def _opened_pool(root: httpx.URL, route: Route, backend: Backend, *, keep_seconds: float) -> httpcore.ConnectionPool:
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
