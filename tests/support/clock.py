"""The clock of every test that does not run the real process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.builders import NOON

if TYPE_CHECKING:
    from datetime import datetime, timedelta


class FakeClock:
    """A clock that stands still until a test moves it. It begins at noon."""

    def __init__(self, now: datetime = NOON) -> None:
        self._now = now
        self._monotonic = 0.0

    def now(self) -> datetime:
        """Wall time."""
        return self._now

    def monotonic(self) -> float:
        """Seconds since the test began."""
        return self._monotonic

    def advance(self, by: timedelta) -> None:
        """Let time pass."""
        self._now += by
        self._monotonic += by.total_seconds()

    def set_wall(self, now: datetime) -> None:
        """Set the wall clock, as an operator or NTP does; no time passes."""
        self._now = now
