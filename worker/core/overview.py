"""How the worker itself stands, as one value. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from worker.core.advice import PLAIN, Advice

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from worker.core.model import Polled, QueueTotals
    from worker.core.owed import Backlog, Pause
    from worker.core.status.process import Reason

LATE_AFTER = 3
"""A last complete poll older than so many intervals is late."""

NAMED = 20
"""How many queues a text names; the others are counted."""


LISTING_IN_USE = "listing in use"
"""Under this name it is remembered which listing is read, and until when, for `status` in another process."""


@dataclass(frozen=True, slots=True)
class ApiInUse:
    """Which of the source's listings is read, and until when.

    `is_ending` tells that the source calls it deprecated, `sunset_at` when it ends (None: no date is given). `is_last`
    tells that the other was left because that one is, and `other_sunset_at` when that ends.
    """

    name: str
    sunset_at: datetime | None = None
    is_ending: bool = False
    is_last: bool = False
    other_sunset_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """Whether the notifier answers: when it last took the token, None for not since the start.

    `failing_since` is when it began not to answer well (None: it does, as far as is known), `error` how.
    """

    taken_at: datetime | None = None
    failing_since: datetime | None = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class QueueView:
    """One queue as the worker sees it.

    `trouble` is what its last poll failed in, empty where it was complete. `unusable` counts the rows of its listing
    that are no run. `new` and `gone` count, since the process
    started, runs that were announced and runs that left. `standing` is None until it has been counted.
    `here` tells that this worker polls it, and not another one.
    """

    polled: Polled
    interval: timedelta
    trouble: str = ""
    waiting: int = 0
    unusable: int = 0
    new: int = 0
    gone: int = 0
    standing: QueueTotals | None = None
    here: bool = True

    @property
    def name(self) -> str:
        """The queue's name: raw and hostile."""
        return self.polled.queue.name

    @property
    def is_known(self) -> bool:
        """Whether anything is known of what waits: by a complete poll, or from before the start."""
        return self.polled.completed_at is not None or self.standing is not None

    def is_late(self, now: datetime) -> bool:
        """Whether its last complete poll is missing or too old."""
        completed_at = self.polled.completed_at
        return completed_at is None or now - completed_at > LATE_AFTER * self.interval


@dataclass(frozen=True, slots=True)
class Overview:
    """Everything at one look. `store_error` is empty where the database answered; `unknown` are names without a queue.

    `queues` are those that are to be polled; one that was never attempted is among them. `unlisted_since` tells
    since when the list of queues, where it is needed, cannot be read, `unlisted` why. `clock_set` is by how much the
    wall clock was set since the look before. `started_at` is when the process that works began (None: none works),
    `interval` how often queues are polled unless they say otherwise. `announced` are reasons that parts of the worker
    have noticed by themselves, `over` the kind and subject of those that they know not to hold. `asked` says
    whether the notifier answers, `advice` how services and settings are called.
    """

    taken_at: datetime
    queues: Sequence[QueueView] = ()
    unknown: frozenset[str] = frozenset()
    unlisted_since: datetime | None = None
    unlisted: str = ""
    store_error: str = ""
    pauses: Sequence[Pause] = ()
    backlog: Sequence[Backlog] = ()
    api: ApiInUse | None = None
    clock_set: timedelta = timedelta(0)
    started_at: datetime | None = None
    interval: timedelta = timedelta(minutes=1)
    announced: Sequence[Reason] = ()
    over: frozenset[tuple[str, str]] = frozenset()
    asked: Asked = Asked()
    advice: Advice = PLAIN

    @property
    def waiting(self) -> int:
        """How many runs wait, all queues together."""
        return sum(queue.waiting for queue in self.queues)
