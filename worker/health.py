"""Serves `/livez`, `/readyz` and `/metrics` to whoever watches; a few threads, nothing that can be written."""

from __future__ import annotations

import json
import sys
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import AF_INET, AF_INET6
from typing import TYPE_CHECKING, Any

import structlog

from worker.core.ports import ConfigError

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Sequence

    from worker.core.status.readiness import Check

log = structlog.get_logger(__name__)

AT_ONCE = 16
"""So many requests are answered at once; more are turned away, so that nobody can use up the threads."""

SECONDS = 5.0
"""How long a client may keep a thread."""

JSON = "application/json; charset=utf-8"
METRICS = "text/plain; version=0.0.4; charset=utf-8"


class Server(ThreadingHTTPServer):
    """A server with a bounded number of threads."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int], answer: Callable[[str], tuple[HTTPStatus, str, bytes]]) -> None:
        self.address_family = AF_INET6 if ":" in address[0] else AF_INET
        self.answer = answer
        self._places = threading.BoundedSemaphore(AT_ONCE)
        super().__init__(address, Request)

    def process_request(self, request: socket.socket | tuple[bytes, socket.socket], client_address: Any) -> None:  # noqa: ANN401 - as in socketserver
        """Answer in a thread of its own, where a place is free."""
        if self._places.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - as in socketserver
        """Answer, and free the place."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401, ARG002 - as in socketserver
        """A client that breaks off is no news; a page that cannot be made is."""
        problem = sys.exception()
        if not isinstance(problem, OSError):
            log.error("page_failed", exc_info=problem)


class Request(BaseHTTPRequestHandler):
    """One request."""

    server: Server
    timeout = SECONDS
    server_version = "review-notifier"
    sys_version = ""

    def do_GET(self) -> None:
        """Answer."""
        status, content_type, body = self.server.answer(self.path.partition("?")[0])
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_HEAD = do_GET  # noqa: N815 - as in http.server

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002, ANN401 - as in http.server
        """A probe each few seconds is not worth a line."""


def check(address: tuple[str, int]) -> None:
    """Raise ConfigError where nobody could listen there now."""
    _listening(address, lambda _: (HTTPStatus.NOT_FOUND, JSON, b"")).server_close()


def _listening(address: tuple[str, int], answer: Callable[[str], tuple[HTTPStatus, str, bytes]]) -> Server:
    try:
        return Server(address, answer)
    except OSError as error:
        host, port = address
        raise ConfigError(
            f"WORKER_HTTP_ADDRESS: cannot listen on {host} port {port} ({error.strerror}): "
            "choose a free port above 1023, or an address of this machine"
        ) from error


class Health:
    """What the pages say, and the server that says it."""

    def __init__(
        self,
        *,
        hanging: Callable[[], Sequence[str]],
        ready: Callable[[], Sequence[Check]],
        metrics: Callable[[], bytes],
    ) -> None:
        """`hanging` names the loops that make no progress; `ready` the conditions of being ready."""
        self._hanging = hanging
        self._ready = ready
        self._metrics = metrics
        self._server: Server | None = None

    def start(self, address: tuple[str, int]) -> int:
        """Listen on host and port (0 takes a free one), and serve from a thread; the port. Raises ConfigError."""
        self._server = _listening(address, self.answer)
        threading.Thread(target=self._server.serve_forever, name="health", daemon=True).start()
        return int(self._server.server_address[1])

    def stop(self) -> None:
        """Close the port."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()

    def answer(self, path: str) -> tuple[HTTPStatus, str, bytes]:
        """Status, content type and body of a page."""
        match path:
            case "/livez":
                return self._livez()
            case "/readyz":
                return self._readyz()
            case "/metrics":
                return HTTPStatus.OK, METRICS, self._metrics()
            case _:
                return HTTPStatus.NOT_FOUND, JSON, _json({"error": "try /livez, /readyz or /metrics"})

    def _livez(self) -> tuple[HTTPStatus, str, bytes]:
        hanging = list(self._hanging())
        status = HTTPStatus.SERVICE_UNAVAILABLE if hanging else HTTPStatus.OK
        return status, JSON, _json({"alive": not hanging, "hanging": hanging})

    def _readyz(self) -> tuple[HTTPStatus, str, bytes]:
        checks = self._ready()
        ready = bool(checks) and all(check.ok for check in checks)
        status = HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE
        found = {check.name: {"ok": check.ok, "text": check.text} for check in checks}
        return status, JSON, _json({"ready": ready, "checks": found})


def _json(value: Any) -> bytes:  # noqa: ANN401 - whatever JSON can hold
    return json.dumps(value, ensure_ascii=False).encode() + b"\n"
