"""Serves `/livez`, `/readyz` and `/metrics`, read-only."""

from __future__ import annotations

import json
import threading
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from worker.web.server import JSON, Server
from worker.web.sockets import is_expected, listen

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from worker.core.ports import Clock
    from worker.core.status.reasons import Check

METRICS = "text/plain; version=0.0.4; charset=utf-8"
LONGEST_HOST = 100


class Health:
    """The pages, and their server."""

    def __init__(
        self,
        *,
        clock: Clock,
        hanging: Callable[[], Sequence[str]],
        ready: Callable[[], Sequence[Check]],
        metrics: Callable[[], bytes],
        hosts: Collection[str] = (),
    ) -> None:
        """`hanging` names the loops that make no progress; `ready` gives the conditions of being ready.

        `hosts` are public names under which the pages may be asked for.
        """
        self._clock = clock
        self._hanging = hanging
        self._ready = ready
        self._metrics = metrics
        self._hosts = hosts
        self._server: Server | None = None

    def start(self, address: tuple[str, int]) -> int:
        """Listen on host and port (0 takes a free one) and serve from a thread; the port. Raises ConfigError."""
        listeners = listen(address)
        self._server = Server(listeners, self._asked, self._clock)
        threading.Thread(target=self._server.serve, name="health", daemon=True).start()
        return int(listeners[0].getsockname()[1])

    def stop(self) -> None:
        """Close the port."""
        if self._server is not None:
            self._server.stop()

    def _asked(self, path: str, host: str) -> tuple[HTTPStatus, str, bytes]:
        return self.answer(path) if is_expected(host, self._hosts) else _refused(host)

    def answer(self, path: str) -> tuple[HTTPStatus, str, bytes]:
        """The status, content type and body of a page."""
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


def _refused(host: str) -> tuple[HTTPStatus, str, bytes]:
    shown = host[:LONGEST_HOST]
    reason = (
        f"the Host header is {shown!r}: this port answers to addresses, localhost and private names, so that no page "
        "in a browser can read it under a public name; to be asked by this one, list it in WORKER_HTTP_HOSTS"
    )
    return HTTPStatus.FORBIDDEN, JSON, _json({"error": reason})


def _json(value: Any) -> bytes:  # noqa: ANN401 - whatever JSON can hold
    return json.dumps(value, ensure_ascii=False).encode() + b"\n"
