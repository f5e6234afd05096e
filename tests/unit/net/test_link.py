"""A WebSocket as it is opened, received from and noticed to be dead."""

from __future__ import annotations

import base64
import hashlib
import re
import socket
import threading
from typing import TYPE_CHECKING

import pytest

from tests.support.builders import SECOND
from tests.support.clock import FakeClock
from tests.support.raw_server import Connection, http, raw_server
from tests.support.tls_server import AUTHORITY, Tunnel, head, listening
from worker.clock import SystemClock
from worker.net.failures import FailureKind, NetError
from worker.net.link import Link
from worker.net.route import DIRECT, Proxy, Route

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SECRET = "marked-ticket"
CLOSE = 0x88
MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def accept(connection: socket.socket) -> None:
    """Shake hands as a WebSocket server does, and say hello at once."""
    found = re.search(rb"(?i)sec-websocket-key: (\S+)", head(connection))
    assert found
    proof = base64.b64encode(hashlib.sha1(found[1] + MAGIC).digest())  # noqa: S324 - the protocol's own
    lines = [b"HTTP/1.1 101 Switching Protocols", b"Upgrade: websocket", b"Connection: Upgrade"]
    connection.sendall(b"\r\n".join([*lines, b"Sec-WebSocket-Accept: " + proof, b"", b"\x81\x05hello"]))


def silent(connection: socket.socket) -> None:
    """Shake hands, and then answer no ping; the first close frame ends it."""
    accept(connection)
    while (received := connection.recv(65_536)) and received[0] != CLOSE:
        pass


def opened(url: str, route: Route = DIRECT, *, ping_seconds: float = 5.0) -> Link:
    return Link(f"{url}/?ticket={SECRET}", clock=SystemClock(), route=route, ping_seconds=ping_seconds)


def failure(act: Callable[[], object]) -> NetError:
    with pytest.raises(NetError) as raised:
        act()
    assert SECRET not in str(raised.value)
    assert raised.value.__cause__ is None
    return raised.value


@pytest.fixture
def plain() -> Iterator[str]:
    with listening(silent) as port:
        yield f"ws://127.0.0.1:{port}"


def test_a_message_that_came_along_with_the_handshake_is_received(plain: str) -> None:
    link = opened(plain)
    assert link.receive() == b"hello"
    link.close()
    assert failure(link.receive).kind is FailureKind.BROKEN
    assert failure(lambda: link.send("{}")).kind is FailureKind.BROKEN


@pytest.mark.parametrize("encrypted", [False, True], ids=["http proxy", "https proxy"])
def test_a_link_goes_through_the_proxy_with_its_password(*, encrypted: bool) -> None:
    tunnel = Tunnel()
    with listening(silent, encrypted=True) as port, listening(tunnel, encrypted=encrypted) as via:
        proxy = Proxy("localhost", via, is_encrypted=encrypted, auth=(b"ada", b"p@ss:w/rd"))
        link = opened(f"wss://localhost:{port}", Route(proxy, (AUTHORITY,)))
        assert link.receive() == b"hello"
        link.close()
    asked = tunnel.asked[0].decode()
    assert asked.startswith(f"CONNECT localhost:{port} ")
    assert base64.b64encode(b"ada:p@ss:w/rd").decode() in asked


def test_a_certificate_is_checked_against_what_the_machine_trusts() -> None:
    with listening(silent, encrypted=True) as port:
        link = opened(f"wss://localhost:{port}", Route(None, (AUTHORITY,)))
        assert link.receive() == b"hello"
        link.close()
        error = failure(lambda: opened(f"wss://localhost:{port}"))
    assert (error.kind, "localhost is not trusted" in str(error)) == (FailureKind.CERTIFICATE, True)


@pytest.mark.parametrize("status", [301, 302, 307])
def test_no_redirect_is_followed(plain: str, status: int) -> None:
    asked: list[bytes] = []

    def redirect(connection: Connection) -> None:
        asked.append(connection.request)
        connection.send(http(b"", f"Location: {plain}/?ticket={SECRET}", status=f"{status} Elsewhere"))

    with raw_server(redirect) as root:
        error = failure(lambda: opened(root.replace("http", "ws")))
    assert (str(error), len(asked)) == (f"the server answered {status} in place of a WebSocket", 1)


def test_a_proxy_that_refuses_is_named() -> None:
    with listening(Tunnel(b"HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n")) as via:
        error = failure(lambda: opened("ws://localhost:1", Route(Proxy("localhost", via))))
    assert str(error) == f"the proxy localhost:{via} answered 407 (it wants another user or password)"


def test_nobody_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert failure(lambda: opened(f"ws://127.0.0.1:{port}")).kind is FailureKind.CONNECT


@pytest.mark.parametrize("url", ["https://localhost:1", "ws://", "ws://localhost:123456", "", "wss://[::1"])
def test_an_address_that_is_none(url: str) -> None:
    assert failure(lambda: opened(url)).kind is FailureKind.BROKEN


def test_a_peer_that_shakes_no_hands_ends_with_the_time_for_it() -> None:
    over = threading.Event()
    with listening(lambda _: over.wait(5)) as port:  # type: ignore[arg-type,return-value]
        error = failure(lambda: Link(f"ws://127.0.0.1:{port}", clock=SystemClock(), seconds=0.2))
        over.set()
    assert error.kind is FailureKind.DEADLINE


def test_a_peer_that_answers_no_ping_is_dead(plain: str) -> None:
    link = opened(plain, ping_seconds=0.5)
    assert link.receive() == b"hello"
    assert link.receive() == b""
    error = failure(link.receive)
    assert (error.kind, str(error)) == (FailureKind.DEADLINE, "the other end did not answer a ping within 0.5 s")


def test_what_came_is_received_although_a_pong_is_overdue() -> None:
    def twice(connection: socket.socket) -> None:
        accept(connection)
        connection.sendall(b"\x81\x05there")
        while (received := connection.recv(65_536)) and received[0] != CLOSE:
            pass

    clock = FakeClock()
    with listening(twice) as port:
        link = Link(f"ws://127.0.0.1:{port}", clock=clock, ping_seconds=5.0)
        assert link.receive() == b"hello"
        # When it is closed, all that came is in its hands.
        link.close()
        clock.advance(60 * SECOND)
        assert link.receive() == b"there"
