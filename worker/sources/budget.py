"""The budget of requests: every request gets its turn, in the order of asking, all queues together."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from worker.core.ports import Clock


class Budget:
    """Spreads requests evenly: one every `1 / per_second`, without bursts, first come, first served. Thread-safe.

    A queue of many pages asks for one turn after the other, so its turns interleave with those of all other queues.
    """

    def __init__(self, *, per_second: float, clock: Clock, wait: Callable[[float], object]) -> None:
        """`wait` passes a number of seconds, or returns early where the program stops."""
        self._gap = 1 / per_second
        self._clock = clock
        self._wait = wait
        self._lock = threading.Lock()
        self._next = float("-inf")

    def turn(self) -> None:
        """Return when the next request may be sent."""
        wait = self._reserve()
        if wait > 0:
            self._wait(wait)

    def _reserve(self) -> float:
        with self._lock:
            now = self._clock.monotonic()
            at = max(now, self._next)
            self._next = at + self._gap
            return at - now
