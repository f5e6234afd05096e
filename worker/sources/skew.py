"""By how much our clock is wrong, as the `Date` of LangSmith's answers tells. Thread-safe."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import structlog

from worker.sources.ending import date

if TYPE_CHECKING:
    from collections.abc import Mapping

    from worker.core.ports import Clock

log = structlog.get_logger(__name__)

TOLERANCE = timedelta(minutes=5)
"""So far two clocks may differ before it matters which of them ages are judged by."""

AGREES = TOLERANCE / 2
"""A clock that was wrong is right again when it differs by less: one at the edge is told of once."""

NOTHING = timedelta(0)

PLAUSIBLE = datetime(2025, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
"""A clock that says anything else is not one to judge ages by."""


class Skew:
    """Our clock against that of whoever answers."""

    def __init__(self, clock: Clock) -> None:
        """Until somebody has answered, our clock is right."""
        self._clock = clock
        self._lock = threading.Lock()
        self._ahead = NOTHING

    @property
    def ahead(self) -> timedelta:
        """How far our clock was ahead at the last answer; nothing where it was about right."""
        return self._ahead

    def heard(self, headers: Mapping[str, str]) -> None:
        """Compare the clocks. To be called as soon as the headers of an answer are there."""
        said = date(headers.get("date", ""))
        if said is None or not PLAUSIBLE[0] <= said < PLAUSIBLE[1]:
            return
        ahead = self._clock.now() - said
        with self._lock:
            was_wrong = self._ahead != NOTHING
            is_wrong = abs(ahead) > (AGREES if was_wrong else TOLERANCE)
            self._ahead = ahead if is_wrong else NOTHING
            if is_wrong and not was_wrong:
                remedy = "run NTP on this machine; if its clock is right, LangSmith's is wrong"
                log.warning("clock_differs", seconds=round(ahead.total_seconds()), remedy=remedy)
            elif was_wrong and not is_wrong:
                log.info("clock_agrees")
