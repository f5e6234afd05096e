"""The machine's clock, the only place that reads it."""

from __future__ import annotations

import time
from datetime import UTC, datetime


class SystemClock:
    """Wall time and monotonic time of this machine."""

    def now(self) -> datetime:
        """Wall time, aware, UTC."""
        return datetime.now(UTC)  # noqa: TID251 - this is the Clock that everything else is given

    def monotonic(self) -> float:
        """Seconds that never run backwards."""
        return time.monotonic()  # noqa: TID251 - this is the Clock that everything else is given
