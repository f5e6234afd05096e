"""A small HTTP server in one thread, for short requests: a slow client never keeps others from their answers.

No client has a thread of its own that it could keep. Each has a deadline for its whole request and answer, and where
there are too many, the oldest one makes room for the next.
"""

from __future__ import annotations

import selectors
import socket
import time
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from io import BytesIO
from typing import TYPE_CHECKING, Any

import structlog

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from worker.core.ports import Clock

    Answer = Callable[[str, str], tuple[HTTPStatus, str, bytes]]

log = structlog.get_logger(__name__)

CLIENTS_AT_ONCE = 64
"""Clients that are served at once."""

CLIENT_SECONDS = 5.0
"""The time that a client may take for its request and our answer together."""

LINGER_SECONDS = 1.0
"""The time for which we go on reading after the answer: closing at once might keep the client from seeing it."""

LARGEST_HEAD = 16 << 10
SHORTAGE_SECONDS = 0.1
FAILED = b'{"error": "this page cannot be made; the log has the reason"}\n'
JSON = "application/json; charset=utf-8"


class _Client:
    """A connection, from its first byte to its last."""

    __slots__ = ("deadline", "head", "rest", "socket")

    def __init__(self, connection: socket.socket, deadline: float) -> None:
        """Begin with nothing received; everything has to be over at `deadline`."""
        self.socket = connection
        self.deadline = deadline
        self.head = bytearray()
        self.rest: memoryview | None = None
        """The rest of the answer that is still to be sent; None before there is an answer."""


class Server:
    """Answers GET and HEAD on its listeners until it is stopped."""

    def __init__(self, listeners: Sequence[socket.socket], answer: Answer, clock: Clock) -> None:
        """`answer` makes status, content type and body of a path and the `Host` header, at once."""
        self._listeners = listeners
        self._answer = answer
        self._clock = clock
        self._selector = selectors.DefaultSelector()
        self._clients: dict[socket.socket, _Client] = {}
        """The connected clients, the oldest first."""
        self._stopped, self._stop = socket.socketpair()

    def serve(self) -> None:
        """Serve until `stop` is called from another thread."""
        for listener in self._listeners:
            self._selector.register(listener, selectors.EVENT_READ)
        self._selector.register(self._stopped, selectors.EVENT_READ)
        while True:
            for key, _ in self._selector.select(self._patience()):
                if key.fileobj is self._stopped:
                    return self._close()
                if key.data is None:
                    self._accept(key.fileobj)  # type: ignore[arg-type]  # only sockets are registered
                else:
                    self._go_on(key.data)
            self._end_the_late()

    def stop(self) -> None:
        """End `serve`, which closes everything."""
        with suppress(OSError):
            self._stop.send(b"\0")

    def _close(self) -> None:
        for each in (*self._listeners, *self._clients, self._stopped, self._stop):
            each.close()
        self._selector.close()

    def _patience(self) -> float | None:
        """The time until the next deadline; None, which is for ever, without a client."""
        if not self._clients:
            return None
        return max(0.0, min(client.deadline for client in self._clients.values()) - self._clock.monotonic())

    def _accept(self, listener: socket.socket) -> None:
        if len(self._clients) >= CLIENTS_AT_ONCE:
            self._end(next(iter(self._clients.values())))
        try:
            connection, _ = listener.accept()
        except BlockingIOError:
            return
        except OSError:  # no file descriptor is left, or the client is gone already: not again at once
            time.sleep(SHORTAGE_SECONDS)
            return
        connection.setblocking(False)
        client = _Client(connection, self._clock.monotonic() + CLIENT_SECONDS)
        self._clients[connection] = client
        self._selector.register(connection, selectors.EVENT_READ, client)

    def _go_on(self, client: _Client) -> None:
        if client.socket not in self._clients:
            return  # ended within this very round
        try:
            if client.rest:
                self._write(client)
            else:
                self._read(client)
        except BlockingIOError:
            pass
        except OSError:
            self._end(client)

    def _read(self, client: _Client) -> None:
        received = client.socket.recv(LARGEST_HEAD)
        if not received:
            self._end(client)
        elif client.rest is None:
            client.head += received
            if _is_whole(client.head) or len(client.head) > LARGEST_HEAD:
                self._reply(client, _Reply(bytes(client.head), self._answer).written)

    def _reply(self, client: _Client, answer: bytes) -> None:
        client.head.clear()
        client.rest = memoryview(answer)
        self._selector.modify(client.socket, selectors.EVENT_WRITE, client)
        self._write(client)

    def _write(self, client: _Client) -> None:
        client.rest = client.rest or memoryview(b"")
        client.rest = client.rest[client.socket.send(client.rest) :]
        if not client.rest:
            client.socket.shutdown(socket.SHUT_WR)
            client.deadline = min(client.deadline, self._clock.monotonic() + LINGER_SECONDS)
            self._selector.modify(client.socket, selectors.EVENT_READ, client)

    def _end_the_late(self) -> None:
        now = self._clock.monotonic()
        for client in [client for client in self._clients.values() if client.deadline <= now]:
            self._end(client)

    def _end(self, client: _Client) -> None:
        del self._clients[client.socket]
        self._selector.unregister(client.socket)
        client.socket.close()


def _is_whole(head: bytearray) -> bool:
    return b"\r\n\r\n" in head or b"\n\n" in head


class _Reply(BaseHTTPRequestHandler):
    """The standard library's reading of a request, and the answer to it, without a connection."""

    server_version = "review-notifier"
    sys_version = ""
    default_request_version = "HTTP/1.0"  # also what is no HTTP gets an answer with a status

    def __init__(self, head: bytes, answer: Answer) -> None:
        self._answer = answer
        self.rfile = BytesIO(head)
        self.wfile = self._written = BytesIO()
        self.client_address = ("", 0)
        self.requestline, self.request_version, self.command = "", "", ""
        if len(head) > LARGEST_HEAD:
            self.send_error(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        else:
            self.handle_one_request()

    @property
    def written(self) -> bytes:
        """The whole answer."""
        return self._written.getvalue()

    def do_GET(self) -> None:
        """Answer."""
        status, content_type, body = self._made()
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_HEAD = do_GET  # noqa: N815 - as in http.server

    def _made(self) -> tuple[HTTPStatus, str, bytes]:
        try:
            return self._answer(self.path.partition("?")[0], self.headers.get("Host", ""))
        except Exception as error:
            log.error("page_failed", page=self.path[:100], exc_info=error)
            return HTTPStatus.INTERNAL_SERVER_ERROR, JSON, FAILED

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002, ANN401 - as in http.server
        """A probe each few seconds is not worth a line."""
