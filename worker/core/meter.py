"""The meter: loops report their work to it, so that it can be counted. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from worker.core.model import Kind, Queue

STORE = "store"
"""The trouble of a poll that failed in the database; the others are those of `Trouble`."""


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


UNMETERED = NullMeter()
