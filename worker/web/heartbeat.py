"""Reports to a dead man's switch after each full cycle; the switch raises the alarm when reports stay away."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import structlog

from worker.net.client import Client, Request
from worker.net.failures import NetError
from worker.net.route import DIRECT

if TYPE_CHECKING:
    from datetime import datetime

    from worker.core.model import Id
    from worker.core.overview import Overview
    from worker.core.ports import Clock
    from worker.net.route import Route

log = structlog.get_logger(__name__)

_SECONDS = 5.0
"""The deadline of one report. With a slow name server, the next report finds the address that this one asked for."""

SUCCESS, REDIRECTION = 200, 300


class Cycle:
    """Notices that every queue has been polled completely since the last time."""

    def __init__(self) -> None:
        """Begin with nothing polled."""
        self._counted: dict[Id, datetime] = {}

    def is_full(self, overview: Overview) -> bool:
        """Whether a cycle is complete now; the next one begins with that."""
        completed = {queue.polled.queue.queue_id: queue.polled.completed_at for queue in overview.queues}
        if not completed or overview.unknown or overview.store_error:
            return False
        if any(at is None or at == self._counted.get(queue_id) for queue_id, at in completed.items()):
            return False
        self._counted = {queue_id: at for queue_id, at in completed.items() if at is not None}
        return True


class Heartbeat:
    """Fetches an address that is a secret. Never waits, never raises."""

    def __init__(self, url: str, *, clock: Clock, route: Route = DIRECT) -> None:
        """`url` is fetched with GET; redirects are not followed."""
        self._url = url
        self._client = Client(url, clock=clock, route=route, keep_seconds=0)
        self._thread: threading.Thread | None = None
        self._failing = False

    def beat(self) -> None:
        """Report once."""
        if self._thread is not None and self._thread.is_alive():
            self._note("no answer to the last report yet")
            return
        self._thread = threading.Thread(target=self._report, name="heartbeat", daemon=True)
        self._thread.start()

    def wait(self) -> None:
        """Wait until the last report has ended, if there was one."""
        if self._thread is not None:
            self._thread.join()

    def _report(self) -> None:
        """Send the report, and read nothing but the status of the answer."""
        try:
            with self._client.send(Request("GET", self._url), seconds=_SECONDS) as response:
                problem = "" if SUCCESS <= response.status < REDIRECTION else f"HTTP {response.status}"
        except NetError as error:
            problem = str(error)
        self._note(problem)

    def _note(self, problem: str) -> None:
        """Log once that reports fail, and once that they arrive again."""
        if problem and not self._failing:
            log.warning("heartbeat_failing", problem=problem, fix="check WORKER_HEARTBEAT_URL and the network")
        elif self._failing and not problem:
            log.info("heartbeat_works_again")
        self._failing = bool(problem)
