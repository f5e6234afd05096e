"""A wait in this process before something is tried again: not before a monotonic time. Pure."""

from __future__ import annotations

from datetime import timedelta

from msgspec import Struct

from worker.core.delivery import FIRST_WAIT, backoff, clamp_wish


class Cooldown(Struct, frozen=True, order=True):
    """Lasts up to the monotonic time `until`; a new one is over. `failures` in a row have led to it.

    Each change is another value that replaces this one: `Cooldown()` after a success. Of two, the larger one lasts
    longer.
    """

    # Before every monotonic time, so that a new cooldown is over, and sorts below every other.
    until: float = float("-inf")
    failures: int = 0

    @classmethod
    def of(cls, wait: timedelta, at: float) -> Cooldown:
        """A cooldown that begins at `at` and lasts for `wait`."""
        return cls(at + wait.total_seconds())

    def left(self, at: float) -> timedelta:
        """The time that remains; zero where it is over."""
        return timedelta(seconds=max(self.until - at, 0.0))

    def is_over(self, at: float) -> bool:
        """Whether another attempt may be made."""
        return self.until <= at or not self.left(at)

    def failed(self, wait: timedelta, at: float) -> Cooldown:
        """The cooldown after another failure, which lasts for `wait`."""
        return Cooldown(at + wait.total_seconds(), self.failures + 1)

    def backed_off(
        self,
        at: float,
        *,
        longest: timedelta,
        first: timedelta = FIRST_WAIT,
        wish: timedelta | None = None,
        share: float = 1.0,
    ) -> Cooldown:
        """The cooldown after another failure: a `share` of twice the last wait, or the server's `wish`."""
        wait = clamp_wish(wish) or backoff(self.failures + 1, first=first, longest=longest) * share
        return self.failed(wait, at)
