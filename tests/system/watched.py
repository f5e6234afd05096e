"""What watches the real process: a socket as systemd's, a dead man's switch, a free port for the pages."""

from __future__ import annotations

import socket
import tempfile
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class ServiceManager:
    """Hears what a service tells systemd."""

    def __init__(self, listener: socket.socket, address: str) -> None:
        self.address = address
        self.heard: list[str] = []
        self._listener = listener
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        # Nothing at all is what a socket says that was shut.
        while heard := self._listener.recv(65_536):
            self.heard.append(heard.decode())

    def stop(self) -> None:
        """Read what has come to its end: a socket must not be closed while somebody is about to read it."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()

    def count(self, message: str) -> int:
        return sum(heard.startswith(message) for heard in self.heard)


@contextmanager
def service_manager() -> Iterator[ServiceManager]:
    with tempfile.TemporaryDirectory() as directory, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        address = str(Path(directory) / "notify")
        listener.bind(address)
        manager = ServiceManager(listener, address)
        try:
            yield manager
        finally:
            manager.stop()


@contextmanager
def dead_mans_switch(beats: list[str]) -> Iterator[str]:
    """Where to report to; every report is added to `beats`."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            beats.append(self.path)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
