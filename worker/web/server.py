"""A small HTTP server in one thread, for short requests: a slow client never keeps others from their answers.

No client has a thread of its own that it could keep. Each has a deadline for its whole request and answer, and where
there are too many, the oldest one makes room for the next. Pages that take time are made in one thread beside it.
"""

from __future__ import annotations

import selectors
import socket
import time
from contextlib import suppress
from http import HTTPStatus
from typing import TYPE_CHECKING

import structlog

from worker.web.background import Background, reply_to
from worker.web.exchange import JSON, LARGEST_HEAD, HttpExchange, Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from worker.core.ports import Clock
    from worker.web.background import Job
    from worker.web.exchange import PageRequest

    Answer = Callable[[PageRequest], Reply | None]

log = structlog.get_logger(__name__)

CLIENTS_AT_ONCE = 64
"""Clients that are served at once."""

CLIENT_SECONDS = 5.0
"""The time that a client may take for its request and our answer together."""

PAGE_SECONDS = 10.0
"""The time that a page may take to be made."""

LINGER_SECONDS = 1.0
"""The time for which we go on reading after the answer: closing at once might keep the client from seeing it."""

SHORTAGE_SECONDS = 0.1

_LATER = (("Retry-After", "5"),)
BUSY = Reply(
    HTTPStatus.SERVICE_UNAVAILABLE, JSON, b'{"error": "too many pages are asked for at once; try again"}\n', _LATER
)
LATE = Reply(
    HTTPStatus.SERVICE_UNAVAILABLE,
    JSON,
    b'{"error": "the page is not ready in time, as the database answers too slowly; /readyz says more"}\n',
    _LATER,
)
_WAKE, _STOP = b"+", b"\0"


class _Client:
    """A connection, from its first byte to its last."""

    __slots__ = ("deadline", "exchange", "job", "received", "rest", "socket")

    def __init__(self, connection: socket.socket, deadline: float) -> None:
        """Begin with nothing received; everything has to be over at `deadline`."""
        self.socket = connection
        self.deadline = deadline
        self.received = bytearray()
        """The head of the request; once that is whole, its body."""
        self.exchange: HttpExchange | None = None
        self.job: Job[_Client] | None = None
        """The page that is being made for it."""
        self.rest: memoryview | None = None
        """The rest of the answer that is still to be sent; None before there is an answer."""


class Server:
    """Answers requests on its listeners until it is stopped."""

    def __init__(
        self,
        listeners: Sequence[socket.socket],
        answer: Answer,
        clock: Clock,
        pages: Callable[[PageRequest], Reply] | None = None,
    ) -> None:
        """`answer` replies at once; `pages` replies to what it gives None for, and may take its time.

        Without `pages` nothing but GET and HEAD is understood.
        """
        self._listeners = listeners
        self._answer = answer
        self._clock = clock
        self._selector = selectors.DefaultSelector()
        self._clients: dict[socket.socket, _Client] = {}
        """The connected clients, the oldest first."""
        self._woken, self._wake = socket.socketpair()
        self._wake.setblocking(False)
        self._pages: Background[_Client] | None = None if pages is None else Background(pages, self._page_made)

    def serve(self) -> None:
        """Serve until `stop` is called from another thread."""
        for listener in self._listeners:
            self._selector.register(listener, selectors.EVENT_READ)
        self._selector.register(self._woken, selectors.EVENT_READ)
        while True:
            for key, _ in self._selector.select(self._patience()):
                if key.fileobj is self._woken:
                    if _STOP in self._woken.recv(LARGEST_HEAD):
                        return self._close()
                    self._send_pages()
                elif key.data is None:
                    self._accept(key.fileobj)  # type: ignore[arg-type]  # only sockets are registered
                else:
                    self._go_on(key.data)
            self._end_the_late()

    def stop(self) -> None:
        """End `serve`, which closes everything."""
        with suppress(OSError):
            self._wake.send(_STOP)

    def _page_made(self) -> None:
        with suppress(OSError):  # it is full of such signs, or closed
            self._wake.send(_WAKE)

    def _close(self) -> None:
        if self._pages is not None:
            self._pages.stop()
        for client in self._clients.values():
            if client.job is not None:
                client.job.is_over = True
        for each in (*self._listeners, *self._clients, self._woken, self._wake):
            each.close()
        self._selector.close()

    def _patience(self) -> float | None:
        """The time until the next deadline; None, which is for ever, without a client."""
        if not self._clients:
            return None
        return max(0.0, min(client.deadline for client in self._clients.values()) - self._clock.monotonic())

    def _accept(self, listener: socket.socket) -> None:
        if len(self._clients) >= CLIENTS_AT_ONCE:
            # Who waits for a page has asked for it in time; these are few, since not many pages are made at once.
            self._end(next(client for client in self._clients.values() if client.job is None))
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
        if client.socket not in self._clients or client.job is not None:
            return  # ended, or made to wait, within this very round
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
            client.received += received
            self._understand(client)

    def _understand(self, client: _Client) -> None:
        """Go on with what was received, as soon as it is whole."""
        if client.exchange is None:
            end = _end_of_head(client.received)
            if end is None and len(client.received) <= LARGEST_HEAD:
                return
            client.exchange = HttpExchange(bytes(client.received[:end]), posts=self._pages is not None)
            client.received = client.received[end:] if end is not None else bytearray()
        exchange = client.exchange
        if exchange.written:
            self._send(client, exchange.written)
        elif len(client.received) >= exchange.length:
            self._reply(client, exchange, exchange.request(bytes(client.received[: exchange.length])))

    def _reply(self, client: _Client, exchange: HttpExchange, request: PageRequest) -> None:
        reply = reply_to(request, self._answer)
        if reply is None and self._pages is not None and (job := self._pages.put(client, request)) is not None:
            client.job = job
            client.deadline = self._clock.monotonic() + PAGE_SECONDS
            # Nothing more is expected, and a client that is only half open may wait for its page.
            self._selector.unregister(client.socket)
            return
        if reply is not None and reply.is_stale and self._pages is not None:
            self._pages.put(None, request)
        self._send(client, exchange.reply(reply or BUSY))

    def _send_pages(self) -> None:
        """Send the pages that are made to those who still wait for them."""
        for job, reply in self._pages.take() if self._pages is not None else ():
            if job.asker is not None and not job.is_over:
                self._send_page(job, job.asker, reply)

    def _send_page(self, job: Job[_Client], client: _Client, reply: Reply) -> None:
        job.is_over = True
        if client.exchange is None:
            raise AssertionError  # who waits for a page has asked for it
        client.job = None
        client.deadline = self._clock.monotonic() + CLIENT_SECONDS
        self._selector.register(client.socket, selectors.EVENT_WRITE, client)
        try:
            self._send(client, client.exchange.reply(reply))
        except BlockingIOError:
            pass
        except OSError:
            self._end(client)

    def _send(self, client: _Client, answer: bytes) -> None:
        client.received.clear()
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
            if client.job is not None:
                self._send_page(client.job, client, LATE)
            else:
                self._end(client)

    def _end(self, client: _Client) -> None:
        del self._clients[client.socket]
        self._selector.unregister(client.socket)
        client.socket.close()


def _end_of_head(received: bytearray) -> int | None:
    """Where the head of a request ends; None where it is not whole yet."""
    ends = [at + len(end) for end in (b"\r\n\r\n", b"\n\n") if (at := received.find(end)) >= 0]
    return min(ends, default=None)
