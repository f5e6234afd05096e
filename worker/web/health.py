"""Serves `/livez`, `/readyz` and `/metrics` at once, and everything else by the pages, where there are any."""

from __future__ import annotations

import json
import threading
from http import HTTPStatus
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from worker.web.exchange import JSON, Reply
from worker.web.server import Server
from worker.web.sockets import is_expected, listen

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from worker.core.ports import Clock
    from worker.core.status.reasons import Check
    from worker.web.exchange import PageRequest

METRICS = "text/plain; version=0.0.4; charset=utf-8"
LONGEST_HOST = 100


class Health:
    """The pages, and their server."""

    def __init__(  # noqa: PLR0913  (everything that is served)
        self,
        *,
        clock: Clock,
        hanging: Callable[[], Sequence[str]],
        ready: Callable[[], Sequence[Check]],
        metrics: Callable[[], bytes],
        hosts: Collection[str] = (),
        pages: Callable[[PageRequest], Reply] | None = None,
        at_hand: Callable[[PageRequest], Reply | None] = lambda _request: None,
    ) -> None:
        """`hanging` names the loops that make no progress; `ready` gives the conditions of being ready.

        `hosts` are public names under which the pages may be asked for. `pages` reply to all other requests, in a
        thread of their own, unless the reply is `at_hand`.
        """
        self._clock = clock
        self._hanging = hanging
        self._ready = ready
        self._metrics = metrics
        self._hosts = hosts
        self._pages = pages
        self._at_hand = at_hand
        self._server: Server | None = None
        self.is_local = False
        """Whether this machine alone reaches the address."""

    def start(self, address: tuple[str, int]) -> int:
        """Listen on host and port (0 takes a free one) and serve from a thread; the port. Raises ConfigError."""
        listeners = listen(address)
        self.is_local = all(ip_address(each.getsockname()[0].partition("%")[0]).is_loopback for each in listeners)
        self._server = Server(listeners, self._asked, self._clock, self._pages)
        threading.Thread(target=self._server.serve, name="health", daemon=True).start()
        return int(listeners[0].getsockname()[1])

    def stop(self) -> None:
        """Close the port."""
        if self._server is not None:
            self._server.stop()

    def _asked(self, request: PageRequest) -> Reply | None:
        host = request.header("host")
        return self._answer(request) if is_expected(host, self._hosts) else _refused(host)

    def _answer(self, request: PageRequest) -> Reply | None:
        """The reply; None where a page has to be made first."""
        is_read = request.method != "POST"
        match request.path:
            case "/livez" if is_read:
                return self._livez()
            case "/readyz" if is_read:
                return self._readyz()
            case "/metrics" if is_read:
                return Reply(HTTPStatus.OK, METRICS, self._metrics())
        if self._pages is not None:
            return self._at_hand(request)
        return Reply(HTTPStatus.NOT_FOUND, JSON, _json({"error": "try /livez, /readyz or /metrics"}))

    def _livez(self) -> Reply:
        hanging = list(self._hanging())
        status = HTTPStatus.SERVICE_UNAVAILABLE if hanging else HTTPStatus.OK
        return Reply(status, JSON, _json({"alive": not hanging, "hanging": hanging}))

    def _readyz(self) -> Reply:
        checks = self._ready()
        ready = bool(checks) and all(check.ok for check in checks)
        status = HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE
        found = {check.name: {"ok": check.ok, "text": check.text} for check in checks}
        return Reply(status, JSON, _json({"ready": ready, "checks": found}))


def _refused(host: str) -> Reply:
    shown = host[:LONGEST_HOST]
    reason = (
        f"the Host header is {shown!r}: this port answers to addresses, localhost and private names, so that no page "
        "in a browser can read it under a public name; to be asked by this one, list it in WORKER_HTTP_HOSTS"
    )
    return Reply(HTTPStatus.FORBIDDEN, JSON, _json({"error": reason}))


def _json(value: Any) -> bytes:  # noqa: ANN401 - whatever JSON can hold
    return json.dumps(value, ensure_ascii=False).encode() + b"\n"
