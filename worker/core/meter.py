"""The port by which the work is counted. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from datetime import timedelta

    from worker.core.actions import Act
    from worker.core.model import Fate, Kind, Queue

DONE = "done"
"""The outcome of an act that was not refused."""


class Meter(Protocol):
    """Counts work. Thread-safe; never raises, so that counting is never in the way of the work."""

    def polled(self, queue: Queue, *, seconds: float, trouble: str = "") -> None:
        """A poll ended after `seconds`; `trouble` is empty where it was complete."""
        ...

    def delivered(self, kind: Kind, outcome: str) -> None:
        """A delivery was treated; `outcome` is the state that it has now (`pending`: to be tried again)."""
        ...

    def edited(self, outcome: str) -> None:
        """An owed edit was treated: `made`, `unneeded`, `failed` (to be tried again) or `given_up`."""
        ...

    def throttled(self) -> None:
        """The notifier asked for a pause."""
        ...

    def closed(self, queue: Queue, fate: Fate) -> None:
        """A run left its queue; its `fate` as far as it was known then."""
        ...

    def waited(self, queue: Queue, wait: timedelta) -> None:
        """A run had its first review after so much open time."""
        ...

    def called(self, made: int, spared: int) -> None:
        """A message called so many people, and `spared` others whose budget of the day is spent."""
        ...

    def acted(self, act: Act, outcome: str) -> None:
        """Somebody acted, through this process; `outcome` is DONE, or why it was refused."""
        ...


class NullMeter:
    """Counts nothing: for a single pass, and for tests of other things."""

    def polled(self, queue: Queue, *, seconds: float, trouble: str = "") -> None:
        """Do not count a poll."""

    def delivered(self, kind: Kind, outcome: str) -> None:
        """Do not count a delivery."""

    def edited(self, outcome: str) -> None:
        """Do not count an edit."""

    def throttled(self) -> None:
        """Do not count a pause."""

    def closed(self, queue: Queue, fate: Fate) -> None:
        """Do not count a run that left."""

    def waited(self, queue: Queue, wait: timedelta) -> None:
        """Do not count a wait."""

    def called(self, made: int, spared: int) -> None:
        """Do not count calls."""

    def acted(self, act: Act, outcome: str) -> None:
        """Do not count an act."""


UNMETERED = NullMeter()
