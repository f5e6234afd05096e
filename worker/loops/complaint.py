"""Says once that the database fails, however many loops and queues it fails, and once that it works again."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from worker.core.ports import StoreError

log = structlog.get_logger(__name__)


class Complaint:
    """One line when the first of its users fails, one when the last of them works again. Thread-safe."""

    def __init__(self) -> None:
        """All is well."""
        self._lock = threading.Lock()
        self._failing: set[str] = set()

    def failed(self, who: str, error: StoreError) -> None:
        """The database has failed a loop, or the poll of a queue."""
        with self._lock:
            if not self._failing:
                log.error("store_failing", loop=who, error=str(error))
            self._failing.add(who)

    def worked(self, who: str) -> None:
        """It has not, this time; or nobody asks it for `who` any more."""
        with self._lock:
            if who in self._failing:
                self._failing.remove(who)
                if not self._failing:
                    log.info("store_recovered")
