"""Servers on loopback that speak TLS, and a proxy that tunnels to them."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TLS = Path(__file__).parent.parent / "data" / "tls"
AUTHORITY = str(TLS / "authority.pem")


def answering(body: bytes) -> Callable[[socket.socket], None]:
    """Answer every request on a connection with the same body."""
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)

    def serve(connection: socket.socket) -> None:
        while head(connection):
            connection.sendall(answer)

    return serve


def head(connection: socket.socket) -> bytes:
    """The head of the next request; b'' at the end."""
    read = b""
    while b"\r\n\r\n" not in read and (piece := connection.recv(65_536)):
        read += piece
    return read


@contextlib.contextmanager
def listening(serve: Callable[[socket.socket], None], *, encrypted: bool = False) -> Iterator[int]:
    """Serve each connection in a thread of its own; yields the port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(TLS / "server.pem")

    def treat(accepted: socket.socket) -> None:
        with contextlib.suppress(OSError), contextlib.ExitStack() as held:
            held.enter_context(accepted)
            serve(held.enter_context(context.wrap_socket(accepted, server_side=True)) if encrypted else accepted)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=treat, args=(listener.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        accepting = threading.Thread(target=accept, daemon=True)
        accepting.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        accepting.join()


class Tunnel:
    """A proxy that connects to wherever it is told; keeps what it was asked."""

    def __init__(self, answer: bytes = b"HTTP/1.1 200 Connected\r\n\r\n") -> None:
        self.answer = answer
        self.asked: list[bytes] = []

    def __call__(self, connection: socket.socket) -> None:
        """Serve one connection."""
        self.asked.append(head(connection))
        connection.sendall(self.answer)
        if b" 200 " not in self.answer:
            return
        port = int(self.asked[-1].split()[1].rpartition(b":")[2])
        with socket.create_connection(("127.0.0.1", port)) as there:
            back = threading.Thread(target=_pump, args=(there, connection), daemon=True)
            back.start()
            _pump(connection, there)
            back.join(5)


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while piece := source.recv(65_536):
            sink.sendall(piece)
        sink.shutdown(socket.SHUT_WR)
