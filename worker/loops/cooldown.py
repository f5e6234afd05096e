"""A wait in this process before something is tried again."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from worker.core.delivery import backoff, clamp_wish

if TYPE_CHECKING:
    from worker.core.ports import Clock


class Cooldown:
    """Grows with every failure in a row, up to `longest`; a server's own wish comes first. For one thread."""

    def __init__(self, clock: Clock, longest: timedelta) -> None:
        """Nothing has failed yet."""
        self._clock = clock
        self._longest = longest
        self._failures = 0
        self._until = 0.0

    @property
    def left(self) -> timedelta:
        """How much longer to wait; zero where it is over."""
        return timedelta(seconds=max(self._until - self._clock.monotonic(), 0))

    @property
    def is_over(self) -> bool:
        """Whether it may be tried again."""
        return not self.left

    def failed(self, wish: timedelta | None = None) -> timedelta:
        """Begin to wait; how long."""
        self._failures += 1
        wait = clamp_wish(wish) or backoff(self._failures, longest=self._longest)
        self._until = self._clock.monotonic() + wait.total_seconds()
        return wait

    def worked(self) -> None:
        """End the wait, and forget every failure."""
        self._failures, self._until = 0, 0.0
