"""The overview: the state of the worker itself as one value, with the reasons, findings and advice about it. Pure.

Also the port by which its work is counted.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

import msgspec
from msgspec import Struct, field

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from uuid import UUID

    from worker.core.actions import Act
    from worker.core.model import Fate, Kind, Polled, Queue, QueueTotals
    from worker.core.owed import Backlog, Pause


class Area(StrEnum):
    """The area that a reason belongs to: one condition of `/readyz`."""

    LOOPS = "loops"
    DATABASE = "database"
    QUEUES = "queues"
    NOTIFIER = "notifier"
    DELIVERIES = "deliveries"

    @classmethod
    def _missing_(cls, value: object) -> Area:  # noqa: ARG003
        """The notifier's area, for every unknown name."""
        # Earlier versions stored it under the name of the notifier's service.
        return cls.NOTIFIER


class Reason(msgspec.Struct, frozen=True):
    """One reason why the worker is not well: for exit status 1 of `status`, and for a `/readyz` that is not ready.

    `kind` is a word that metrics count by; with the `subject` (a queue's id, a channel) it identifies the reason.
    `text` says what is wrong and `fix` what to do; both are sentences of ours, in which names and errors are raw and
    hostile.
    """

    kind: str
    area: Area
    text: str
    fix: str
    subject: str = ""
    since: datetime | None = None


class LinkState(msgspec.Struct, frozen=True):
    """The link by which a process hears people: up since `connected_at`, with a sign of life at `pong_at`.

    Both are None while there is none. The process holds so many `links`; the notifier's service counts `counted` of
    all processes.
    """

    connected_at: datetime | None = None
    pong_at: datetime | None = None
    links: int = 0
    counted: int = 0


class Process(Struct, frozen=True):
    """One process that works, or has worked, on this database.

    `command` is `run` or `poll`. `ended_at` stays None where it was killed. `reasons` are only those that the database
    does not show anyway; `link` is None where it is not to hear people.
    """

    process_id: UUID
    command: str
    host: str
    pid: int
    version: str
    started_at: datetime
    ended_at: datetime | None = None
    reasons: tuple[Reason, ...] = ()
    link: LinkState | None = None


class Finding(Struct, frozen=True):
    """One line of `check`. `fix` is empty where all is well."""

    name: str
    ok: bool
    text: str
    fix: str = ""


class Advice(Struct, frozen=True):
    """The names of the services and settings in use, and the fixes that need such a name.

    `source` and `notifier` are the services as people write them; `notifier_area` is the area of the notifier as
    programs read it. The fixes: `troubles` for each trouble of polling, `key` for a refused key, `token` for a
    refused token, `names` for a name that no queue has, `ending` for a listing that ends. `stale_after`,
    `remind_every` and `escalate_after` name the settings of the ladder.
    """

    source: str = "the source"
    notifier: str = "the notifier"
    notifier_area: str = Area.NOTIFIER.value
    troubles: Mapping[str, str] = field(default_factory=dict)
    key: str = "give the worker a valid key, and restart"
    token: str = "give the worker a good token"  # noqa: S105  advice, no secret
    names: str = "correct the name"
    ending: str = "Choose another listing."
    stale_after: str = "the age of a stale run"
    remind_every: str = "the time between two reminders"
    escalate_after: str = "the age of an escalation"

    def area(self, area: Area) -> str:
        """An area as programs read it."""
        return self.notifier_area if area is Area.NOTIFIER else area.value

    @property
    def unanswered(self) -> str:
        """The kind of the reason that the notifier does not answer."""
        return f"{self.notifier_area}_unanswered"


PLAIN = Advice()
"""Words that name no service and no setting."""

LATE_AFTER = 3
"""A last complete poll older than so many intervals is late."""

NAMED = 20
"""The number of queues that a text names; the others are counted."""


LISTING_IN_USE = "listing in use"
"""The name under which the listing in use and its end are remembered, for `status` in another process."""


class ApiInUse(Struct, frozen=True):
    """The listing of the source that is read, and its end.

    `is_ending` is True where the source calls it deprecated; `sunset_at` is its end (None: no date is given). `is_last`
    is True where the other listing was given up because it is deprecated; `other_sunset_at` is the end of that one.
    """

    name: str
    sunset_at: datetime | None = None
    is_ending: bool = False
    is_last: bool = False
    other_sunset_at: datetime | None = None


class Asked(Struct, frozen=True):
    """The last answer of the notifier: `taken_at` is when it took the token (None: not since the start).

    `failing_since` is the time since which it gives no good answer (None: it does, as far as we know), `error` its last
    failure.
    """

    taken_at: datetime | None = None
    failing_since: datetime | None = None
    error: str = ""


class QueueView(Struct, frozen=True):
    """One queue as the worker sees it.

    `trouble` is the kind of failure of its last poll, empty where that was complete. `unusable` counts the rows of its
    listing that are no run. `new` and `gone` count the runs that were announced, and that left, since the process
    started. `held_until` is when what is held may go out (None: nothing is). `standing` is None until it has been
    counted. `here` is False where another worker polls the queue. `channel` is where its messages go.
    """

    polled: Polled
    interval: timedelta
    trouble: str = ""
    waiting: int = 0
    unusable: int = 0
    new: int = 0
    gone: int = 0
    held_until: datetime | None = None
    standing: QueueTotals | None = None
    here: bool = True
    channel: str = ""

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


class Overview(Struct, frozen=True):
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
