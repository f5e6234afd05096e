"""The overview: the state of the worker itself, as one value. Pure."""

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
"""The number of queues that a text names; the others are counted."""


LISTING_IN_USE = "listing in use"
"""The name under which the listing in use and its end are remembered, for `status` in another process."""


@dataclass(frozen=True, slots=True)
class ApiInUse:
    """The listing of the source that is read, and its end.

    `is_ending` is True where the source calls it deprecated; `sunset_at` is its end (None: no date is given). `is_last`
    is True where the other listing was given up because it is deprecated; `other_sunset_at` is the end of that one.
    """

    name: str
    sunset_at: datetime | None = None
    is_ending: bool = False
    is_last: bool = False
    other_sunset_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """The last answer of the notifier: `taken_at` is when it took the token (None: not since the start).

    `failing_since` is the time since which it gives no good answer (None: it does, as far as we know), `error` its last
    failure.
    """

    taken_at: datetime | None = None
    failing_since: datetime | None = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class QueueView:
    """One queue as the worker sees it.

    `trouble` is the kind of failure of its last poll, empty where that was complete. `unusable` counts the rows of its
    listing that are no run. `new` and `gone` count the runs that were announced, and that left, since the process
    started. `standing` is None until it has been counted. `here` is False where another worker polls the queue.
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
    """Everything that one look at the worker shows.

    - `queues`: the queues to poll, with those that were never attempted; `unknown`: names that no queue has.
    - `unlisted_since`: the time since which the list of queues, where it is needed, cannot be read; `unlisted`: why.
    - `store_error`: empty where the database answered.
    - `clock_set`: the time by which the wall clock was set since the look before.
    - `started_at`: the start of the process that works (None: none works).
    - `interval`: the time between two polls of a queue that has none of its own.
    - `announced`: the problems that parts of the worker noticed by themselves; `over`: the kind and subject of those
      that are known not to exist.
    - `asked`: the last answer of the notifier; `advice`: the names of services and settings.
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
        """The number of runs that wait, all queues together."""
        return sum(queue.waiting for queue in self.queues)
