"""The machine's clock, the only place that reads it."""

from __future__ import annotations

import time
from datetime import UTC, datetime

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
