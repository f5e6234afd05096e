"""What parts of the worker notice by themselves to be wrong, in one place for log, operators, `status` and `/readyz`.

To add one: call `begin` with a kind of its own where it is noticed, and `end` wherever it is seen not to hold. Log,
operators' channel, `status`, `/readyz` and metrics follow by themselves; the kind goes into `docs/operations.md`.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import structlog

from worker.core.status.process import Area, Reason

if TYPE_CHECKING:
    from worker.core.ports import Clock

log = structlog.get_logger(__name__)


@dataclass
class Board:
    """The Incidents of one process. Thread-safe, and without the database."""

    clock: Clock
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _standing: dict[tuple[str, str], Reason] = field(default_factory=dict)
    _over: set[tuple[str, str]] = field(default_factory=set)

    def begin(self, kind: str, area: Area, text: str, fix: str, *, subject: str = "") -> None:
        """See `Incidents.begin`."""
        key = (kind, subject)
        with self._lock:
            former = self._standing.get(key)
            since = former.since if former else self.clock.now()
            self._standing[key] = Reason(kind, area, text, fix, subject, since)
            self._over.discard(key)
        if former is None:
            log.error("incident_began", kind=kind, subject=subject, text=text, remedy=fix)

    def end(self, kind: str, *, subject: str = "") -> None:
        """See `Incidents.end`."""
        key = (kind, subject)
        with self._lock:
            former = self._standing.pop(key, None)
            self._over.add(key)
        if former is not None:
            log.info("incident_ended", kind=kind, subject=subject, text=former.text, since=former.since)

    @property
    def standing(self) -> tuple[Reason, ...]:
        """Those that have begun and not ended, the oldest first."""
        with self._lock:
            return tuple(self._standing.values())

    @property
    def over(self) -> frozenset[tuple[str, str]]:
        """Kind and subject of those that are known not to hold, since the start of the process."""
        with self._lock:
            return frozenset(self._over)
