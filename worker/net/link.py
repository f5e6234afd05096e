"""A WebSocket to a service: opened by the route of its requests, and known to be dead soon after its peer is.

The package websockets is imported here alone, and this module only where something listens.
"""

from __future__ import annotations

import logging
import ssl
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

import httpcore
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidProxyStatus, InvalidStatus, InvalidURI
from websockets.sync.client import ClientConnection, connect

from worker.net.failures import FAILURES, FailureKind, HandshakeError, NetError, described
from worker.net.route import DIRECT, trust
from worker.net.streams import Backend, Exchange

if TYPE_CHECKING:
    import socket

    from worker.core.ports import Clock
    from worker.net.route import Proxy, Route

OPEN_SECONDS = 10.0
PING_SECONDS = 5.0
"""The time between two pings, within which each one's pong must have come."""

CLOSE_SECONDS = 1.0
LARGEST = 4 * 1024 * 1024
"""Bytes of a message; a larger one ends the link."""

_PORTS = {"ws": 80, "wss": 443}


class Link:
    """A WebSocket of a client. One thread receives; any may send and close. Raises nothing but NetError."""

    def __init__(
        self,
        url: str,
        *,
        clock: Clock,
        route: Route = DIRECT,
        seconds: float = OPEN_SECONDS,
        ping_seconds: float = PING_SECONDS,
    ) -> None:
        """Open it within `seconds`; its peer is asked for a sign of life every `ping_seconds`."""
        self._clock = clock
        self._ping_seconds = ping_seconds
        self._connection = _opened(url, clock, route, seconds)
        self._closing = threading.Lock()
        self._beat_at = self.pong_at = clock.monotonic()
        """When the next ping is due; and when its peer was last known to live."""
        self._pong: threading.Event | None = None

    def receive(self) -> bytes:
        """The next message; b'' where none came for a few seconds. Raises NetError where the link has ended."""
        failure: NetError
        now = self._clock.monotonic()
        is_silent = now >= self._beat_at and self._pong is not None and not self._pong.is_set()
        try:
            if now >= self._beat_at and not is_silent:
                self._beat(now)
            # A process that stood still receives what came meanwhile before it calls its peer dead.
            return self._connection.recv(max(self._beat_at - now, 0.0), decode=False)
        except TimeoutError:
            if not is_silent:
                return b""
            text = f"the other end did not answer a ping within {self._ping_seconds:g} s"
            failure = NetError(FailureKind.DEADLINE, text)
        except (ConnectionClosed, OSError) as error:
            failure = _ended(error)
        raise failure

    def send(self, text: str) -> None:
        """Send one message."""
        failure: NetError
        try:
            self._connection.send(text)
        except (ConnectionClosed, OSError) as error:
            failure = _ended(error)
        else:
            return
        raise failure

    def close(self) -> None:
        """Send a close frame and wait a moment for that of the peer; do nothing where the link has ended."""
        with self._closing:
            self._connection.close()

    def _beat(self, now: float) -> None:
        self.pong_at = now
        self._beat_at = now + self._ping_seconds
        # A link that has ended says so when everything that had come before is received.
        self._pong = None
        with suppress(ConnectionClosed, OSError):
            self._pong = self._connection.ping()


class _Connection(ClientConnection):
    def handshake(self, *args: Any, **how: Any) -> None:  # noqa: ANN401 - the library's own arguments
        """Shake hands, and follow no redirect: an address with a ticket in it is for one host."""
        status = 0
        try:
            super().handshake(*args, **how)
        except InvalidStatus as error:
            status = error.response.status_code
        if status:
            raise NetError(FailureKind.BROKEN, f"the server answered {status} in place of a WebSocket")


def _opened(url: str, clock: Clock, route: Route, seconds: float) -> ClientConnection:
    proxy = route.proxy
    place = f"the proxy {proxy.host}:{proxy.port}" if proxy else "the server"
    try:
        return _connected(url, clock, route, seconds)
    except InvalidProxyStatus as error:
        kind, text = described(httpcore.ProxyError(str(error.response.status_code)), place=place, seconds=seconds)
    except ssl.SSLError as error:
        host = urlsplit(url).hostname or place
        kind, text = described(HandshakeError.of(host, error), place=place, seconds=seconds)
    except (InvalidHandshake, InvalidURI, *FAILURES) as error:
        kind, text = described(error, place=place, seconds=seconds)
    # Raised outside the except clauses: the library's exceptions quote the address, and with it the ticket.
    raise NetError(kind, text)


def _connected(url: str, clock: Clock, route: Route, seconds: float) -> ClientConnection:
    host, port, is_encrypted = place_of(url)
    proxy = route.proxy
    connection = connect(
        url,
        # Looked up and connected by our own rules: one dead address among several must not use up the time.
        sock=None if proxy else _tcp(host, port, clock, seconds),
        ssl=trust(route.certificates) if is_encrypted else None,
        proxy=_address(proxy) if proxy else None,
        proxy_ssl=trust(route.certificates) if proxy and proxy.is_encrypted else None,
        open_timeout=seconds,
        ping_interval=None,
        close_timeout=CLOSE_SECONDS,
        compression=None,
        max_size=LARGEST,
        # A logger that no handler sees: the library logs the whole address.
        logger=logging.Logger("websockets", logging.CRITICAL),  # noqa: LOG001 - not to be configured
        user_agent_header="review-notifier",
        create_connection=_Connection,
    )
    # Entered as the library asks; it is left by `close`.
    return connection.__enter__()


def place_of(url: str) -> tuple[str, int, bool]:
    """The host and port of a WebSocket's address, and whether it is encrypted. Raises NetError where it is none."""
    try:
        parts = urlsplit(url)
        port = (parts.port or _PORTS[parts.scheme]) if parts.scheme in _PORTS else None
    except ValueError:
        port = None
    if not port or not parts.hostname:
        raise NetError(FailureKind.BROKEN, "the server gave an address that no WebSocket has")
    return parts.hostname, port, parts.scheme == "wss"


def _tcp(host: str, port: int, clock: Clock, seconds: float) -> socket.socket:
    backend = Backend()
    backend.begin(Exchange(clock, seconds))
    connected: socket.socket = backend.connect_tcp(host, port).get_extra_info("socket")
    connected.settimeout(None)
    return connected


def _address(proxy: Proxy) -> str:
    user, password = (quote(part, safe="") for part in proxy.auth or (b"", b""))
    host = f"[{proxy.host}]" if ":" in proxy.host else proxy.host
    return f"http{'s' * proxy.is_encrypted}://{f'{user}:{password}@' if proxy.auth else ''}{host}:{proxy.port}"


def _ended(error: ConnectionClosed | OSError) -> NetError:
    code = error.rcvd.code if isinstance(error, ConnectionClosed) and error.rcvd else None
    return NetError(FailureKind.BROKEN, f"the other end closed the link ({code})" if code else "the link broke off")
