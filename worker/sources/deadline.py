"""Network streams under a total deadline: however slowly a server drips, no request of a thread outlives it."""

from __future__ import annotations

import socket
import threading
import weakref
from typing import TYPE_CHECKING, Any

import httpcore

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterable

    from worker.core.ports import Clock


class Deadline:
    """When the request of the calling thread must have ended. Each thread has its own."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._thread = threading.local()

    def begin(self, seconds: float) -> None:
        """Start the calling thread's request."""
        self._thread.at = self._clock.monotonic() + seconds

    def extend(self, seconds: float) -> None:
        """Leave out of account what the calling thread itself has waited for."""
        self._thread.at += seconds

    def limit(self, timeout: float | None) -> float:
        """What remains, or `timeout` where that is shorter.

        Raises httpcore.ReadTimeout where nothing remains.
        """
        remaining: float = self._thread.at - self._clock.monotonic()
        if remaining <= 0:
            raise httpcore.ReadTimeout("the total deadline has passed")
        return remaining if timeout is None else min(timeout, remaining)


class Stream(httpcore.NetworkStream):
    """A connection whose every read and write ends at the deadline of the thread that uses it."""

    def __init__(self, inner: httpcore.NetworkStream, backend: Backend) -> None:
        self._inner = inner
        self._backend = backend
        self._deadline = backend.deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Read what has arrived."""
        return self._inner.read(max_bytes, self._deadline.limit(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Write everything."""
        self._inner.write(buffer, self._deadline.limit(timeout))

    def close(self) -> None:
        """Close the connection."""
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> Stream:
        """Encrypt the connection."""
        limit = self._deadline.limit(timeout)
        return self._backend.watch(self._inner.start_tls(ssl_context, server_hostname, limit))

    def get_extra_info(self, info: str) -> Any:  # noqa: ANN401  (httpcore's own signature)
        """What the connection tells of itself."""
        return self._inner.get_extra_info(info)


class Backend(httpcore.NetworkBackend):
    """Opens connections under the deadline, and can break them all off, so that no thread hangs while we stop."""

    def __init__(
        self,
        deadline: Deadline,
        *,
        inner: httpcore.NetworkBackend | None = None,
        look_up: Callable[..., list[Any]] = socket.getaddrinfo,
    ) -> None:
        """`inner` opens connections, `look_up` finds addresses; how long that takes is up to the system's resolver."""
        self.deadline = deadline
        self._inner = inner or httpcore.SyncBackend()
        self._look_up = look_up
        self._sockets: weakref.WeakSet[socket.socket] = weakref.WeakSet()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> Stream:
        """Connect to the first address of a host that answers; each gets an even part of what time is left."""
        addresses = self._addresses(host, port)
        while True:
            limit = self.deadline.limit(timeout) / len(addresses)
            try:
                return self.watch(self._inner.connect_tcp(addresses.pop(0), port, limit, local_address, socket_options))
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                if not addresses:
                    raise

    def _addresses(self, host: str, port: int) -> list[str]:
        try:
            found = self._look_up(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:  # the latter for a name that DNS could not even ask for
            raise httpcore.ConnectError(str(error)) from error
        return [str(address[0]) for *_, address in found]

    def watch(self, inner: httpcore.NetworkStream) -> Stream:
        """Put a connection under the deadline."""
        self._sockets.add(inner.get_extra_info("socket"))
        return Stream(inner, self)

    def break_off(self) -> None:
        """End every connection at once; whoever reads from one gets an error."""
        for connection in list(self._sockets):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
