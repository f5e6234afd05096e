"""Says once that the database fails, however many loops and queues it fails, and once that it works again."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import structlog

from worker.core.ports import RefusedError
from worker.core.status.process import Area

if TYPE_CHECKING:
    from worker.core.ports import Incidents, StoreError

log = structlog.get_logger(__name__)

REFUSES = "database_refuses"
"""The kind of the incident that lasts while the database denies a loop what it needs, such as by a privilege."""

FIX = "`review-notifier check` lists all that is missing; nothing is lost meanwhile, and the service goes on by itself"


class Complaint:
    """One line when the first of its users fails, one when the last of them works again. Thread-safe."""

    def __init__(self, incidents: Incidents | None = None) -> None:
        """All is well. What waiting does not end is announced to `incidents`."""
        self._incidents = incidents
        self._lock = threading.Lock()
        self._failing: set[str] = set()
        self._refused: set[str] = set()

    def failed(self, who: str, error: StoreError) -> None:
        """The database has failed a loop, or the poll of a queue."""
        with self._lock:
            if not self._failing:
                log.error("store_failing", loop=who, error=str(error))
            self._failing.add(who)
            if isinstance(error, RefusedError):
                # The words of the first: each loop may be denied something else.
                if self._incidents and not self._refused:
                    self._incidents.begin(REFUSES, Area.DATABASE, str(error), FIX)
                self._refused.add(who)

    def worked(self, who: str) -> None:
        """It has not, this time; or nobody asks it for `who` any more."""
        with self._lock:
            self._refused.discard(who)
            if self._incidents and not self._refused:
                self._incidents.end(REFUSES)
            if who in self._failing:
                self._failing.remove(who)
                if not self._failing:
                    log.info("store_recovered")
