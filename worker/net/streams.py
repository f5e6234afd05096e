"""One request under way, and network streams under its deadline: however slowly a server drips, none outlives it."""

from __future__ import annotations

import contextlib
import socket
import threading
import weakref
from typing import TYPE_CHECKING, Any

import httpcore

from worker.core.ports import always
from worker.net.addresses import Addresses
from worker.net.failures import HandshakeError, TooLateError, with_reason

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from worker.core.ports import Clock

SENDING = (".send_request_headers.started", ".send_request_body.started")
ANSWERED = ".receive_response_headers.complete"
WORTH_NAMING = 1.0
"""Seconds from which on a step explains a delay."""
FIRST_SECONDS = 1.0
"""The time that each of several addresses gets at first: one that never answers must not use up the whole time."""


class Exchange:
    """One request and its answer. Belongs to the thread that sends it."""

    def __init__(self, clock: Clock, seconds: float, in_time: Callable[[], bool] = always) -> None:
        """Begin now. `in_time` is asked just before each part of the request goes out."""
        self._clock = clock
        self._in_time = in_time
        self._began_at = clock.monotonic()
        self._ends_at = self._began_at + seconds
        self._took: dict[str, float] = {}
        self.seconds = seconds
        self.is_asking = in_time is not always
        self.begins_by_writing = False
        """Whether it has begun to go out as soon as anything is written, and not when httpcore says so."""
        self.has_begun = False
        self.is_answered = False
        self.is_fresh = False
        """Whether a connection was opened for it, rather than a kept one used."""

    def limit(self, timeout: float | None = None) -> float:
        """The time that remains, or `timeout` where that is shorter.

        Raises httpcore.ReadTimeout where nothing remains.
        """
        remaining = self._ends_at - self._clock.monotonic()
        if remaining <= 0:
            raise httpcore.ReadTimeout("the total deadline has passed")
        return remaining if timeout is None else min(timeout, remaining)

    def extend(self, seconds: float) -> None:
        """Move the deadline by the time for which the caller itself has waited."""
        self._ends_at += seconds

    @contextlib.contextmanager
    def spending(self, what: str) -> Iterator[None]:
        """Count the time within the context as that of `what`."""
        before = self._clock.monotonic()
        try:
            yield
        finally:
            self._took[what] = self._took.get(what, 0.0) + self._clock.monotonic() - before

    def slowest(self) -> str:
        """The step that took most of the time so far; '' where it was this process, not the network."""
        what = max(self._took, key=self._took.__getitem__, default="")
        spent = sum(self._took.values())
        if spent < max(WORTH_NAMING, (self._clock.monotonic() - self._began_at) / 2):
            return ""
        return f"{what} took {self._took[what]:.0f} s"

    def trace(self, event: str, info: Mapping[str, Any]) -> None:
        """Follow httpcore's account of the request."""
        # Its exceptions alone do not show whether the request began to go out.
        if event.endswith(SENDING) and info["request"].method != b"CONNECT":
            # No service acts on anything but a whole request: without its body it was surely not done.
            if not self._in_time():
                self.has_begun = False
                raise TooLateError
            self.has_begun = True
        elif event.endswith(ANSWERED) and self.has_begun:
            self.is_answered = True


class Stream(httpcore.NetworkStream):
    """A connection whose every read and write ends at the deadline of the thread that uses it."""

    def __init__(self, inner: httpcore.NetworkStream, backend: Backend) -> None:
        self._inner = inner
        self._backend = backend

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Read what has arrived."""
        exchange = self._backend.exchange
        if exchange.has_begun:
            return self._inner.read(max_bytes, exchange.limit(timeout))
        with exchange.spending("the answer of the proxy"):
            return self._inner.read(max_bytes, exchange.limit(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Write everything."""
        # The end of a request without a body is nothing at all.
        if buffer:
            exchange = self._backend.exchange
            exchange.has_begun |= exchange.begins_by_writing
            self._inner.write(buffer, exchange.limit(timeout))

    def close(self) -> None:
        """Close the connection."""
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> Stream:
        """Encrypt the connection."""
        exchange = self._backend.exchange
        with exchange.spending("the TLS handshake"):
            try:
                inner = self._inner.start_tls(ssl_context, server_hostname, exchange.limit(timeout))
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                raise HandshakeError.of(server_hostname or "the server", error) from None
        return self._backend.watch(inner)

    def get_extra_info(self, info: str) -> Any:  # noqa: ANN401  (httpcore's own signature)
        """A property of the connection, as httpcore names it."""
        return self._inner.get_extra_info(info)


class Backend(httpcore.NetworkBackend):
    """Opens connections under a deadline, and can break them all off, so that no thread hangs while we stop."""

    def __init__(
        self,
        *,
        inner: httpcore.NetworkBackend | None = None,
        look_up: Callable[..., list[Any]] = socket.getaddrinfo,
    ) -> None:
        """`inner` opens connections, `look_up` asks the system for addresses."""
        self._inner = inner or httpcore.SyncBackend()
        self._addresses = Addresses(look_up)
        # httpcore does not say for which request it reads or writes: each thread has one at a time.
        self._thread = threading.local()
        # Weak, so that a connection which the pool has let go is not kept by this.
        self._sockets: weakref.WeakSet[socket.socket] = weakref.WeakSet()

    @property
    def exchange(self) -> Exchange:
        """The request that the calling thread has under way."""
        exchange: Exchange = self._thread.exchange
        return exchange

    def begin(self, exchange: Exchange) -> None:
        """Begin a request in the calling thread."""
        self._thread.exchange = exchange

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> Stream:
        """Connect to an address of a host that answers."""
        exchange = self.exchange
        exchange.is_fresh = True

        def connect(address: str, seconds: float | None) -> Stream:
            limit = exchange.limit(timeout if seconds is None else seconds)
            return self.watch(self._inner.connect_tcp(address, port, limit, local_address, socket_options))

        with exchange.spending("looking up the name"):
            addresses = self._addresses.find(host, port, exchange.limit(timeout))
        with exchange.spending("connecting"):
            address, stream = _first(addresses, connect, exchange)
        self._addresses.worked(host, address)
        return stream

    def watch(self, inner: httpcore.NetworkStream) -> Stream:
        """Put a connection under the deadline."""
        self._sockets.add(inner.get_extra_info("socket"))
        return Stream(inner, self)

    def break_off(self) -> None:
        """End every connection at once; a thread that reads from one gets an error."""
        self._addresses.give_up()
        for connection in list(self._sockets):
            try:
                # Past SSLSocket's own shutdown, which would swap the state under the thread that reads.
                socket.socket.shutdown(connection, socket.SHUT_RDWR)
            except OSError:
                continue


def _first(
    addresses: list[str], connect: Callable[[str, float | None], Stream], exchange: Exchange
) -> tuple[str, Stream]:
    """The first address that answers: each gets a moment, then the slow ones an even part of the remaining time."""
    failure: Exception = httpcore.ConnectTimeout()
    slow = addresses
    if len(addresses) > 1:
        slow = []
        for address in addresses:
            try:
                return address, connect(address, FIRST_SECONDS)
            except httpcore.ConnectTimeout:
                slow.append(address)
            except httpcore.ConnectError as error:
                failure = with_reason(error)
    for place, address in enumerate(slow):
        try:
            return address, connect(address, None if len(slow) == 1 else exchange.limit() / (len(slow) - place))
        except httpcore.ConnectTimeout as error:
            failure = error
        except httpcore.ConnectError as error:
            failure = with_reason(error)
    raise failure
