"""The words of the domain as frozen values. Pure.

What there is thousands of (runs, what is known of them, reviews) are structs, which cost a tenth of a dataclass.
Times are aware UTC datetimes and end in `_at` (or are a named instant such as `since`); durations are timedeltas.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple, TypeAlias
from uuid import UUID

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence


LISTED = 10
"""How many runs a message lists; the others are counted."""


class Kind(StrEnum):
    """What a notice is about; also the `kind` in a message's metadata."""

    BASELINE = "baseline"
    ANNOUNCEMENT = "announcement"
    REMINDER = "reminder"
    ESCALATION = "escalation"
    OPS = "ops"


FIRST_SIGHT = frozenset({Kind.BASELINE, Kind.ANNOUNCEMENT})
"""Kinds of notices about runs that were not known before."""

LATER = frozenset({Kind.REMINDER, Kind.ESCALATION})
"""Kinds that tell of a run again: after an outage they stand for its first sight too."""


class Show(StrEnum):
    """What a message may show of a run. Nothing else of a run is ever kept or sent."""

    NAME = "name"
    TYPE = "type"
    AGE = "age"
    TAGS = "tags"
    ERROR = "error"
    INPUTS_PREVIEW = "inputs_preview"
    OUTPUTS_PREVIEW = "outputs_preview"
    THREAD = "thread"
    TOKENS = "tokens"
    COST = "cost"


class Fate(StrEnum):
    """How a run left its queue, as far as the server could say."""

    REVIEWED = "reviewed"
    REMOVED = "removed"
    UNKNOWN = "unknown"


class RemindIn(StrEnum):
    """Where a reminder goes."""

    CHANNEL = "channel"
    THREAD = "thread"
    BOTH = "both"


Id: TypeAlias = "UUID | str"
"""How a source names a queue, a run or a queue run: by a UUID, or by any other text. See `id_of`."""


def id_of(text: str) -> Id:
    """The id that is written so: a UUID where it has the form that `str()` gives one, else the text itself."""
    try:
        found = UUID(text)
    except ValueError:
        return text
    return found if str(found) == text else text


def shortened(one: Id) -> str:
    """Enough of an id for people to tell it from others."""
    return str(one)[:8] if isinstance(one, UUID) else one


class ReviewKey(NamedTuple):
    """One stay of a queue run. Neither part is ever a time that we made up; undated is None."""

    queue_run_id: Id
    added_at: datetime | None


@dataclass(frozen=True, slots=True)
class Queue:
    """An annotation queue, as far as the source shows it. `name` is its id where the name is not known."""

    queue_id: Id
    name: str
    url: str = ""
    reviewers_per_run: int = 1


class Facts(msgspec.Struct, frozen=True, omit_defaults=True):
    """What may be shown of a run. The source fills in only what the settings allow; text is raw and hostile.

    Encoded, it leaves out what is empty: that is how it is stored.
    """

    name: str = ""
    run_type: str = ""
    url: str = ""
    tags: tuple[str, ...] = ()
    error: str = ""
    inputs_preview: str = ""
    outputs_preview: str = ""
    thread: str = ""
    tokens: int | None = None
    cost: str = ""


class QueueRun(msgspec.Struct, frozen=True):
    """A run's place in a queue, as one listing shows it. `done` counts the reviewers who have completed it."""

    queue_run_id: Id
    run_id: Id | None
    added_at: datetime | None
    effective_added_at: datetime | None = None
    reserved: bool = False
    done: int = 0
    facts: Facts = Facts()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One complete listing of one queue, each `queue_run_id` once.

    `one_page` tells whether the listing came in a single answer: only then is one absence proof of having left.
    `unusable` counts rows that are no run for want of an id of their own, `fix` is what helps then. `strays` are the
    runs that such rows name: those still wait. `obscured` tells that others name none: then no absence is proof of
    anything. `moved` tells that rows may have slipped by unread: an absence then says nothing at all. `listing` names
    the listing that it was read from, where a source has several: should two of them give a queue run different ids,
    then the same `run_id` is the same stay. `revealed` are queue runs that no other listing shows, which may have
    waited before that. `bare` tells that facts are asked for apart, by `Descriptions.facts`. `ahead` is by how much our
    clock is wrong, as far as the source tells: ages are judged by the clock that gave the runs their dates. `concluded`
    is opaque: given back to the source once this listing is written down, it lets the source answer `Unchanged`. It is
    good within one process.
    """

    queue: Queue
    runs: Sequence[QueueRun]
    taken_at: datetime
    one_page: bool = True
    unusable: int = 0
    fix: str = ""
    strays: frozenset[Id] = frozenset()
    obscured: bool = False
    moved: bool = False
    listing: str = ""
    revealed: frozenset[Id] = frozenset()
    bare: bool = False
    ahead: timedelta = timedelta(0)
    concluded: object = None


@dataclass(frozen=True, slots=True)
class Unchanged:
    """A complete listing that equals the last concluded one, so that a diff would find nothing.

    `concluded` takes the place of the value that the source was given. The other fields are those of `Snapshot`.
    """

    queue: Queue
    taken_at: datetime
    bare: bool = False
    ahead: timedelta = timedelta(0)
    concluded: object = None


class Review(msgspec.Struct, frozen=True):
    """Our memory of one stay of a queue run.

    `since` is when its wait began, as the last snapshot had it. `told_at` is the instant up to which it has been spoken
    of (None: never); both are by the clock of the source, and `told_at` is never before `since`. `generation` rises
    with every notice that speaks of it, so that no two notices share a key.
    `absent_at` marks a first absence from a listing of several pages; `closed_at` makes it a tombstone.
    """

    queue_run_id: Id
    added_at: datetime | None
    run_id: Id | None
    since: datetime
    first_seen_at: datetime
    told_at: datetime | None = None
    generation: int = 0
    back: bool = False
    reserved: bool = False
    done: int = 0
    facts: Facts = Facts()
    absent_at: datetime | None = None
    closed_at: datetime | None = None
    fate: Fate | None = None

    @property
    def key(self) -> ReviewKey:
        """What makes this stay one of its kind."""
        return ReviewKey(self.queue_run_id, self.added_at)

    @property
    def is_open(self) -> bool:
        """Whether it still waits, as far as we know."""
        return self.closed_at is None


@dataclass(frozen=True, slots=True)
class Memory:
    """What the store recalls for one decision.

    `reviews` holds every open review of the queue and every closed one whose `queue_run_id` was asked for.
    `baselined` is False until the first complete poll of the queue has been written. `revision` counts the acts on the
    queue's reviews from outside a poll's transaction: where it differs from the one that a poll decided on, somebody
    acted since. `listing` is the one that the last concluded snapshot was read from, '' where that is not known.
    """

    baselined: bool
    reviews: Sequence[Review]
    revision: int = 0
    listing: str = ""


@dataclass(frozen=True, slots=True)
class Polled:
    """How the polls of one queue stand.

    `failing_since` is None, `error` and `trouble` are empty while they succeed; `trouble` is the kind of failure.
    """

    queue: Queue
    baselined_at: datetime | None = None
    completed_at: datetime | None = None
    failing_since: datetime | None = None
    error: str = ""
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class QueueTotals:
    """What the store knows of one queue's runs and what is owed about them, for `status` and the metrics."""

    waiting: int = 0
    stale: int = 0
    oldest_since: datetime | None = None
    undelivered: int = 0
    dead: int = 0
