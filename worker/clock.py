"""The machine's clock, the only place that reads it; and a clock that several machines share."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from worker.core.ports import Clock

_TOLERANCE = timedelta(milliseconds=250)
"""A measured difference below this may be the time that the answer took, and is not followed."""

STEADY = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""Linux' CLOCK_MONOTONIC stands still while the machine is suspended."""


class SystemClock:
    """Wall time and monotonic time of this machine."""

    def now(self) -> datetime:
        """Wall time, aware, UTC."""
        return datetime.now(UTC)  # noqa: TID251 - this is the Clock that everything else is given

    def monotonic(self) -> float:
        """Seconds that never run backwards, those included in which the machine was suspended."""
        return time.clock_gettime(STEADY)


class SharedClock:
    """Wall time of the database that several workers share; the machine's own may be wrong by hours."""

    def __init__(self, machine: Clock) -> None:
        """Begin with the machine's own time."""
        self._machine = machine
        self._ahead = timedelta(0)

    def now(self) -> datetime:
        """Wall time, aware, UTC."""
        return self._machine.now() + self._ahead

    def monotonic(self) -> float:
        """Seconds that never run backwards, of this machine."""
        return self._machine.monotonic()

    def follow(self, now: datetime) -> None:
        """Take note that it is `now` by the clock of the database."""
        ahead = now - self._machine.now()
        if abs(ahead - self._ahead) > _TOLERANCE:
            self._ahead = ahead
