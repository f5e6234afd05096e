"""A server on loopback that answers with whatever bytes a test wants, as slowly as it wants."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Connection:
    """One accepted connection; its request has been read."""

    def __init__(self, accepted: socket.socket, request: bytes, over: threading.Event) -> None:
        self._accepted = accepted
        self.request = request
        self.over = over

    def send(self, data: bytes) -> None:
        """Send some bytes."""
        self._accepted.sendall(data)

    def drip(self, piece: bytes, every: float = 0.02) -> None:
        """Send a piece again and again, until the client has gone or the test is over."""
        while not self.over.wait(every):
            self.send(piece)


@contextlib.contextmanager
def raw_server(answer: Callable[[Connection], None]) -> Iterator[str]:
    """Call `answer` for each request; every connection serves one. Yields the root."""
    over = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))

    def serve(accepted: socket.socket) -> None:
        with accepted, contextlib.suppress(OSError):
            request = b""
            while b"\r\n\r\n" not in request and (read := accepted.recv(65_536)):
                request += read
            head, _, sent = request.partition(b"\r\n\r\n")
            length = re.search(rb"(?i)content-length: (\d+)", head)
            while length and len(sent) < int(length[1]) and (read := accepted.recv(65_536)):
                request += read
                sent += read
            answer(Connection(accepted, request, over))

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                accepted, _ = listener.accept()
                threading.Thread(target=serve, args=(accepted,), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        over.set()
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
        listener.close()


def http(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    """A whole answer."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
