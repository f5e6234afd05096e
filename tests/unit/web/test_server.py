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
from worker.web.background import MOST_ASKED
from worker.web.exchange import LARGEST_BODY, LARGEST_HEAD, Reply
from worker.web.server import CLIENT_SECONDS, CLIENTS_AT_ONCE, PAGE_SECONDS, Server
from worker.web.sockets import listen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from worker.web.exchange import PageRequest

REQUEST = b"GET /page HTTP/1.1\r\nHost: localhost\r\n\r\n"
LARGE = b"x" * (8 << 20)


class Served:
    """A server that answers, and its clock."""

    def __init__(self, port: int, clock: FakeClock, stack: ExitStack) -> None:
        self.clock = clock
        self._port = port
        self._stack = stack

    def connect(self) -> socket.socket:
        return self._stack.enter_context(socket.create_connection(("127.0.0.1", self._port), timeout=60))

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
def served(pages: Callable[[PageRequest], Reply] | None = None) -> Iterator[Served]:
    def answer(request: PageRequest) -> Reply | None:
        if pages is not None and request.path.startswith("/slow"):
            return None
        body = LARGE if request.path == "/large" else request.path.encode()
        return Reply(HTTPStatus.OK, "text/plain", body, is_stale=request.path == "/stale")

    listeners, clock = listen(("127.0.0.1", 0)), FakeClock()
    server = Server(listeners, answer, clock, pages)
    thread = threading.Thread(target=server.serve, daemon=True)
    port = listeners[0].getsockname()[1]
    thread.start()
    with ExitStack() as stack:
        yield Served(port, clock, stack)
        server.stop()
        thread.join(60)
        assert not thread.is_alive()


def test_a_question_is_answered_and_the_connection_closed() -> None:
    with served() as server:
        assert server.ask().endswith(b"\r\n\r\n/page")
        assert server.ask(b"HEAD /page HTTP/1.1\r\n\r\n").endswith(b"\r\n\r\n")


def test_a_probe_is_answered_beside_any_number_of_clients_that_dawdle() -> None:
    with served() as server:
        clients = [server.connect() for _ in range(2 * CLIENTS_AT_ONCE)]
        for client in clients[::2]:
            client.sendall(b"GET /pa")
        assert server.ask().endswith(b"/page")
        # The oldest have made room: never more are held than are served at once.
        assert {rest(client) for client in clients[:CLIENTS_AT_ONCE]} == {b""}


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


SLOW = REQUEST.replace(b"/page", b"/slow?from=here")
POST = b"POST /slow HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n"


class Pages:
    """Pages that take as long as a test wants."""

    def __init__(self) -> None:
        self.may_go_on = threading.Semaphore(0)
        self.asked: list[PageRequest] = []
        self.begun = threading.Semaphore(0)

    def __call__(self, request: PageRequest) -> Reply:
        self.asked.append(request)
        self.begun.release()
        assert self.may_go_on.acquire(timeout=60)
        return Reply(HTTPStatus.OK, "text/plain", b"slow page", (("X-More", "1"),))

    def finish(self, many: int = 1) -> None:
        self.may_go_on.release(many)

    def wait(self) -> None:
        assert self.begun.acquire(timeout=60)


def test_a_page_that_takes_time_keeps_no_other_answer() -> None:
    pages = Pages()
    with served(pages) as server:
        waiting = server.connect()
        waiting.sendall(SLOW)
        pages.wait()
        assert server.ask().endswith(b"/page")
        pages.finish()
        answer = rest(waiting)
    assert answer.endswith(b"slow page")
    assert b"X-More: 1\r\n" in answer
    assert (pages.asked[0].path, pages.asked[0].query) == ("/slow", "from=here")


def test_a_page_that_is_out_of_date_is_sent_at_once_and_made_again() -> None:
    pages = Pages()
    with served(pages) as server:
        assert server.ask(REQUEST.replace(b"/page", b"/stale")).endswith(b"/stale")
        pages.wait()
        assert [each.path for each in pages.asked] == ["/stale"]
        assert server.ask().endswith(b"/page")
        pages.finish(2)
        assert server.ask(SLOW).endswith(b"slow page")


def test_who_half_closes_gets_a_page_as_well() -> None:
    pages = Pages()
    with served(pages) as server:
        waiting = server.connect()
        waiting.sendall(SLOW)
        waiting.shutdown(socket.SHUT_WR)
        pages.wait()
        pages.finish()
        assert rest(waiting).endswith(b"slow page")


def test_a_page_that_is_not_ready_in_time_is_refused_and_the_next_one_served() -> None:
    pages = Pages()
    with served(pages) as server:
        waiting = server.connect()
        waiting.sendall(SLOW)
        pages.wait()
        server.clock.advance(timedelta(seconds=PAGE_SECONDS + 1))
        assert server.ask()
        assert rest(waiting).startswith(b"HTTP/1.0 503")
        pages.finish(2)
        assert server.ask(SLOW).endswith(b"slow page")


def test_only_so_many_pages_are_waited_for() -> None:
    pages = Pages()
    with served(pages) as server:
        first = server.connect()
        first.sendall(SLOW)
        pages.wait()
        others = []
        for _ in range(MOST_ASKED):
            others.append(server.connect())
            others[-1].sendall(SLOW)
            assert server.ask()  # the server has seen it by now
        refused = server.ask(SLOW)
        assert refused.startswith(b"HTTP/1.0 503")
        assert b"Retry-After: 5\r\n" in refused
        assert server.ask().endswith(b"/page")
        pages.finish(1 + MOST_ASKED)
        assert all(rest(each).endswith(b"slow page") for each in (first, *others))


def test_who_waits_for_a_page_is_not_dropped_for_silent_clients() -> None:
    pages = Pages()
    with served(pages) as server:
        waiting = server.connect()
        waiting.sendall(SLOW)
        pages.wait()
        for _ in range(CLIENTS_AT_ONCE + 5):
            server.connect()
        assert server.ask().endswith(b"/page")
        pages.finish()
        assert rest(waiting).endswith(b"slow page")


def test_a_page_that_fails_is_answered_and_so_is_the_next() -> None:
    answers = iter([ValueError("a bug"), Reply(HTTPStatus.OK, "text/plain", b"good")])

    def pages(_request: PageRequest) -> Reply:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    with served(pages) as server:
        assert server.ask(SLOW).startswith(b"HTTP/1.0 500")
        assert server.ask(SLOW).endswith(b"good")


def test_a_form_is_read_whole_however_it_comes() -> None:
    pages = Pages()
    with served(pages) as server:
        client = server.connect()
        client.sendall(POST % 9 + b"tok")
        assert server.ask()
        client.sendall(b"en=abc and more")
        pages.wait()
        pages.finish()
        assert rest(client).endswith(b"slow page")
    assert (pages.asked[0].method, pages.asked[0].body) == ("POST", b"token=abc")


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (POST % (LARGEST_BODY + 1), b"413"),
        (POST.replace(b"%d", b"9" * 5000), b"413"),
        (POST.replace(b"%d", b"-1"), b"400"),
        (POST.replace(b"%d", "¹".encode()), b"400"),
        (POST.replace(b"Content-Length: %d", b"Transfer-Encoding: chunked"), b"411"),
        (SLOW.replace(b"Host: localhost", b"Host: localhost\r\nHost: other"), b"400"),
        (SLOW.replace(b"GET", b"PUT"), b"501"),
    ],
    ids=["too large", "absurd", "negative", "no number", "chunked", "two hosts", "another method"],
)
def test_what_cannot_be_a_form_of_ours_is_refused(head: bytes, status: bytes) -> None:
    with served(Pages()) as server:
        assert server.ask(head).startswith(b"HTTP/1.0 " + status)
        assert server.ask().endswith(b"/page")
