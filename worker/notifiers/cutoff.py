"""Ends one HTTP request at its total deadline, and sees how far it came."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING, Any

from worker.core.ports import always
from worker.notifiers.slack_errors import TOO_LATE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType
    from typing import Self

WORDS = {
    "ConnectError": "connect_failed",
    "ConnectTimeout": "connect_timeout",
    "PoolTimeout": "connect_timeout",
    "ProxyError": "proxy_refused",
    "ReadTimeout": "read_timeout",
    "WriteTimeout": "write_timeout",
    "RemoteProtocolError": "broken_off",
    "ReadError": "broken_off",
    "WriteError": "broken_off",
    "TooLargeError": "too_large",
    "DecodingError": "unreadable",
}


SENDING = (".send_request_headers.started", ".send_request_body.started")


class TooLargeError(ValueError):
    """An answer beyond the limit."""


class TooLateError(ValueError):
    """A request that must not go out any more."""


class Cutoff:
    """Shuts the connection of one request when its total time is over: a slow drip never trips a time-out per read.

    It also sees whether the request began to go out, which the exceptions alone do not tell.
    """

    def __init__(self, seconds: float, in_time: Callable[[], bool] = always) -> None:
        """Count from entering the context. `in_time` is asked just before each part of the request goes out."""
        self.request_began = False
        self._in_time = in_time
        self._expired = False
        self._socket: socket.socket | None = None
        self._lock = threading.Lock()
        self._timer = threading.Timer(seconds, self._expire)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        self._timer.cancel()

    def trace(self, event: str, info: Mapping[str, Any]) -> None:
        """Follow httpx's own account of the request."""
        if event.endswith((".connect_tcp.complete", ".start_tls.complete")):
            self._watch(info["return_value"].get_extra_info("socket"))
        elif event.endswith(SENDING) and info["request"].method != b"CONNECT":
            # Slack acts on nothing but a whole request: without its body it was surely not done.
            if not self._in_time():
                self.request_began = False
                raise TooLateError
            self.request_began = True

    def word_for(self, exc: Exception) -> str:
        """Name what ended the request; only the exception's type is safe to tell."""
        if isinstance(exc, TooLateError):
            return TOO_LATE
        return "deadline" if self._expired else WORDS.get(type(exc).__name__, "connection_error")

    def _watch(self, opened: socket.socket) -> None:
        with self._lock:
            self._socket = opened
        if self._expired:
            self._shut()

    def _expire(self) -> None:
        self._expired = True
        self._shut()

    def _shut(self) -> None:
        with self._lock, contextlib.suppress(OSError):
            if self._socket is not None:
                # Past SSLSocket's own shutdown, which would swap the state under the thread that reads.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)
