"""The small server: clients that are slow, silent or too many never keep the answer from one who asks at once."""

from __future__ import annotations

import socket
import threading
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING

import pytest

from tests.support.clock import FakeClock
from worker.web.server import CLIENT_SECONDS, CLIENTS_AT_ONCE, LARGEST_HEAD, Server
from worker.web.sockets import listen

if TYPE_CHECKING:
    from collections.abc import Iterator

REQUEST = b"GET /page HTTP/1.1\r\nHost: localhost\r\n\r\n"
LARGE = b"x" * (8 << 20)


class Served:
    """A server that answers, and its clock."""

    def __init__(self, port: int, clock: FakeClock, stack: ExitStack) -> None:
        self.clock = clock
        self._port = port
        self._stack = stack

    def connect(self) -> socket.socket:
        return self._stack.enter_context(socket.create_connection(("127.0.0.1", self._port), timeout=10))

    def ask(self, request: bytes = REQUEST) -> bytes:
        """What comes back, to the end."""
        client = self.connect()
        client.sendall(request)
        return rest(client)


def rest(client: socket.socket) -> bytes:
    received = b""
    try:
        while chunk := client.recv(1 << 16):
            received += chunk
    except ConnectionResetError:
        pass
    return received


@contextmanager
def served() -> Iterator[Served]:
    def answer(path: str, _host: str) -> tuple[HTTPStatus, str, bytes]:
        return HTTPStatus.OK, "text/plain", LARGE if path == "/large" else path.encode()

    listeners, clock = listen(("127.0.0.1", 0)), FakeClock()
    server = Server(listeners, answer, clock)
    thread = threading.Thread(target=server.serve, daemon=True)
    port = listeners[0].getsockname()[1]
    thread.start()
    with ExitStack() as stack:
        yield Served(port, clock, stack)
        server.stop()
        thread.join(10)
        assert not thread.is_alive()


def test_a_question_is_answered_and_the_connection_closed() -> None:
    with served() as server:
        assert server.ask().endswith(b"\r\n\r\n/page")
        assert server.ask(b"HEAD /page HTTP/1.1\r\n\r\n").endswith(b"\r\n\r\n")


def test_a_probe_is_answered_beside_any_number_of_clients_that_dawdle() -> None:
    with served() as server:
        for _ in range(2 * CLIENTS_AT_ONCE):
            server.connect().sendall(b"GET /pa")
        assert server.ask().endswith(b"/page")


def test_a_request_is_whole_by_its_deadline_however_steadily_it_drips() -> None:
    with served() as server:
        slow = server.connect()
        slow.sendall(REQUEST[:10])
        assert server.ask()  # the server has seen the slow one by now
        server.clock.advance(timedelta(seconds=CLIENT_SECONDS - 1))
        slow.sendall(REQUEST[10:11])
        assert server.ask()
        server.clock.advance(timedelta(seconds=2))
        slow.sendall(REQUEST[11:12])
        assert rest(slow) == b""


def test_a_client_that_does_not_read_its_answer_is_dropped() -> None:
    with served() as server:
        deaf = server.connect()
        deaf.sendall(REQUEST.replace(b"/page", b"/large"))
        assert server.ask()
        server.clock.advance(timedelta(seconds=CLIENT_SECONDS + 1))
        assert server.ask()
        assert len(rest(deaf)) < len(LARGE)


def test_a_client_that_reads_gets_a_large_answer_whole() -> None:
    with served() as server:
        assert server.ask(REQUEST.replace(b"/page", b"/large")).endswith(LARGE)


def test_a_half_open_client_gets_its_answer() -> None:
    with served() as server:
        client = server.connect()
        client.sendall(REQUEST)
        client.shutdown(socket.SHUT_WR)
        assert rest(client).endswith(b"/page")


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /page HTTP/1.1\r\nX: " + b"x" * 2 * LARGEST_HEAD + b"\r\n\r\n", b"431"),
        (b"GET /page HTTP/1.1\r\n" + b"X: x\r\n" * 200 + b"\r\n", b"431"),
        (b"POST /page HTTP/1.1\r\n\r\n", b"501"),
        (b"nonsense\r\n\r\n", b"400"),
        (b"GET / HTTP/9.9\r\n\r\n", b"505"),
        (b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", b"400"),
    ],
    ids=["a huge header", "many headers", "a post", "nonsense", "another version", "TLS"],
)
def test_what_is_no_question_is_refused(request_: bytes, status: bytes) -> None:
    with served() as server:
        assert server.ask(request_).startswith(b"HTTP/1.0 " + status)
        assert server.ask().endswith(b"/page")


def test_clients_that_break_off_leave_nothing_behind() -> None:
    with served() as server:
        for part in (b"", b"GET", REQUEST, REQUEST.replace(b"/page", b"/large")):
            client = server.connect()
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # a reset instead of an end
            client.sendall(part)
            client.close()
        assert server.ask().endswith(b"/page")
