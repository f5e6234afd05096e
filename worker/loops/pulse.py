"""Tells whether every loop makes progress, so that a process that hangs is noticed and started again."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import timedelta

    from worker.core.ports import Clock


class Pulse:
    """The last sign of life of each loop. Thread-safe."""

    def __init__(self, clock: Clock) -> None:
        """No loop is expected yet."""
        self._clock = clock
        self._lock = threading.Lock()
        self._limits: dict[str, float] = {}
        self._beats: dict[str, float] = {}

    def expect(self, loop: str, limit: timedelta) -> None:
        """From now on, `loop` gives a sign of life at least each `limit`."""
        with self._lock:
            self._limits[loop] = limit.total_seconds()
            self._beats[loop] = self._clock.monotonic()

    def beat(self, loop: str) -> None:
        """`loop` has made progress."""
        with self._lock:
            self._beats[loop] = self._clock.monotonic()

    def hanging(self) -> tuple[str, ...]:
        """The loops that give no sign of life any more, by name; none where all is well."""
        now = self._clock.monotonic()
        with self._lock:
            return tuple(sorted(loop for loop, limit in self._limits.items() if now - self._beats[loop] > limit))
