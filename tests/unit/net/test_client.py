"""The one HTTP client: what goes out, how often, and what is known when no answer comes."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.clock import FakeClock
from tests.support.tls_server import AUTHORITY, Tunnel, answering, head, listening
from worker.clock import SystemClock
from worker.core.ports import always
from worker.net.client import Client, Request
from worker.net.failures import FailureKind, NetError
from worker.net.route import Proxy, Route

if TYPE_CHECKING:
    from collections.abc import Callable

TRUSTED = Route(certificates=(AUTHORITY,))
WORD = "p4ss-w0rd-marked"


def ask(client: Client, *, seconds: float = 5.0, in_time: Callable[[], bool] = always, is_safe: bool = True) -> bytes:
    with client.send(Request("GET", "/x"), seconds=seconds, in_time=in_time, is_safe=is_safe) as answer:
        return bytes(answer.read(1000))


def read(root: str, route: Route = TRUSTED, **more: Any) -> bytes:
    with contextlib.closing(Client(root, clock=SystemClock(), route=route, **more)) as client:
        return ask(client)


def failure(root: str, route: Route = TRUSTED, **more: Any) -> NetError:
    with pytest.raises(NetError) as caught:
        read(root, route, **more)
    assert WORD not in str(caught.value)
    return caught.value


# Certificates


def test_a_certificate_of_the_environments_authority_is_trusted() -> None:
    with listening(answering(b"ok"), encrypted=True) as port:
        assert read(f"https://127.0.0.1:{port}") == b"ok"


def test_a_certificate_of_nobody_is_named_as_the_cause() -> None:
    with listening(answering(b"ok"), encrypted=True) as port:
        error = failure(f"https://127.0.0.1:{port}", Route())
    assert (error.kind, error.has_begun) == (FailureKind.CERTIFICATE, False)
    assert str(error) == "the certificate of 127.0.0.1 is not trusted (unable to get local issuer certificate)"


def test_a_certificate_of_another_host_is_named_as_the_cause() -> None:
    with listening(answering(b"ok"), encrypted=True) as port:
        other = [(0, 0, 0, "", ("127.0.0.1", port))]
        error = failure(f"https://smith.example:{port}", look_up=lambda *_, **__: other)
    assert error.kind is FailureKind.CERTIFICATE
    assert "not valid for 'smith.example'" in str(error)


def test_who_speaks_no_tls_is_told_as_such() -> None:
    with listening(lambda connection: connection.sendall(b"220 another protocol\r\n")) as port:
        error = failure(f"https://127.0.0.1:{port}")
    assert (error.kind, error.has_begun) == (FailureKind.TLS, False)
    assert "wrong version number" in str(error)


def test_a_handshake_without_an_answer_ends_at_the_deadline() -> None:
    over = threading.Event()
    with (
        listening(lambda _connection: over.wait(9)) as port,
        contextlib.closing(Client(f"https://127.0.0.1:{port}", clock=SystemClock())) as client,
        pytest.raises(NetError) as caught,
    ):
        ask(client, seconds=0.5)
    over.set()
    assert (caught.value.kind, caught.value.has_begun) == (FailureKind.TLS, False)


# Proxies


@pytest.mark.parametrize("encrypted", [False, True], ids=["http", "https"])
def test_an_encrypted_service_is_reached_through_a_proxy(encrypted: bool) -> None:  # noqa: FBT001  a table's column
    tunnel = Tunnel()
    with listening(answering(b"ok"), encrypted=True) as port, listening(tunnel, encrypted=encrypted) as via:
        auth = ("me", f"{WORD}é")
        proxy = Proxy("localhost", via, is_encrypted=encrypted, auth=(auth[0].encode(), auth[1].encode()))
        assert read(f"https://localhost:{port}", Route(proxy, (AUTHORITY,))) == b"ok"
    assert tunnel.asked[0].startswith(b"CONNECT localhost:")
    assert b"Proxy-Authorization: Basic " in tunnel.asked[0]


@pytest.mark.parametrize(("status", "said"), [("407", "407 (it wants another"), ("403", "403"), ("502", "502")])
def test_a_proxy_that_refuses_is_named_without_its_words(status: str, said: str) -> None:
    with listening(Tunnel(f"HTTP/1.1 {status} {WORD}\r\nContent-Length: 0\r\n\r\n".encode())) as via:
        error = failure("https://smith.example", Route(Proxy("127.0.0.1", via)))
    assert (error.kind, error.has_begun) == (FailureKind.PROXY, False)
    assert f"the proxy 127.0.0.1:{via} answered {said}" in str(error)


def test_a_proxy_that_is_not_there_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    error = failure("https://smith.example", Route(Proxy("127.0.0.1", port)))
    assert (error.kind, error.has_begun) == (FailureKind.PROXY, False)
    assert str(error) == f"cannot connect to the proxy 127.0.0.1:{port} (Connection refused)"


def test_a_proxy_of_two_addresses_of_which_one_is_dead_is_passed_within_two_seconds() -> None:
    with listening(answering(b"ok")) as via, full("127.0.0.2", via):
        found = [(0, 0, 0, "", (each, via)) for each in ("127.0.0.2", "127.0.0.1")]
        begin = time.perf_counter()
        assert read("http://smith.example", Route(Proxy("proxy.example", via)), look_up=lambda *_, **__: found) == b"ok"
        assert 0.9 < time.perf_counter() - begin < 5


@contextlib.contextmanager
def full(address: str, port: int) -> Any:
    """A port whose connections nobody accepts, and that answers no further attempt."""
    with contextlib.ExitStack() as held:
        listener = held.enter_context(socket.create_server((address, port), backlog=0))
        for _ in range(4):
            client = held.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(listener.getsockname())
        yield


# Connections that are kept


class Forgetful:
    """Answers the first request of each connection, and closes it when the second comes; counts requests."""

    def __init__(self) -> None:
        self.asked = 0
        self.connections = 0

    def __call__(self, connection: socket.socket) -> None:
        self.connections += 1
        self.asked += bool(head(connection))
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        self.asked += bool(head(connection))


def test_a_safe_request_is_sent_again_where_a_kept_connection_was_closed() -> None:
    server = Forgetful()
    with listening(server) as port, contextlib.closing(Client(f"http://127.0.0.1:{port}", clock=SystemClock())) as kept:
        assert [ask(kept) for _ in range(3)] == [b"ok"] * 3
    assert (server.connections, server.asked) == (3, 5)


def test_any_other_request_is_not() -> None:
    server = Forgetful()
    with listening(server) as port, contextlib.closing(Client(f"http://127.0.0.1:{port}", clock=SystemClock())) as kept:
        ask(kept)
        with pytest.raises(NetError) as caught:
            ask(kept, is_safe=False)
    assert (caught.value.kind, caught.value.has_begun) == (FailureKind.BROKEN, True)
    assert server.asked == 2


def test_nothing_is_sent_again_on_a_connection_of_its_own() -> None:
    asked = []
    with listening(lambda connection: asked.append(head(connection))) as port:
        assert failure(f"http://127.0.0.1:{port}").kind is FailureKind.BROKEN
    assert len(asked) == 1


# What takes the time


def test_a_request_that_is_too_late_says_what_took_the_time() -> None:
    clock = FakeClock()

    def slow(*_: Any, **__: Any) -> Any:
        clock.advance(timedelta(seconds=1.2))
        return [(0, 0, 0, "", ("127.0.0.1", port))]

    with (
        listening(answering(b"ok")) as port,
        contextlib.closing(Client(f"http://smith.example:{port}", clock=clock, look_up=slow)) as client,
        pytest.raises(NetError) as caught,
    ):
        ask(client, in_time=lambda: False)
    assert (caught.value.kind, caught.value.has_begun) == (FailureKind.TOO_LATE, False)
    assert str(caught.value) == "the request was too late to go out: looking up the name took 1 s"


def test_where_it_was_not_the_network_it_was_this_process() -> None:
    with (
        listening(answering(b"ok")) as port,
        contextlib.closing(Client(f"http://127.0.0.1:{port}", clock=SystemClock())) as client,
        pytest.raises(NetError, match="this process stood still"),
    ):
        ask(client, in_time=lambda: False)


def test_a_name_that_is_not_found_in_time_is_said_to_be_the_cause() -> None:
    over = threading.Event()

    def silent(*_: Any, **__: Any) -> list[Any]:
        over.wait(9)
        return []

    slow = Client("http://smith.example", clock=SystemClock(), look_up=silent)
    with contextlib.closing(slow), pytest.raises(NetError) as caught:
        ask(slow, seconds=0.5)
    over.set()
    assert (caught.value.kind, caught.value.has_begun) == (FailureKind.NAME, False)
