"""The words of the domain as frozen values. Pure.

What there is thousands of (runs, what is known of them, reviews) are structs, which cost a tenth of a dataclass.
Times are aware UTC datetimes and end in `_at` (or are a named instant such as `since`); durations are timedeltas.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple, TypeAlias
from uuid import UUID

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

EDIT_EVERY = timedelta(seconds=30)
"""At most one edit a message in this time; the last state always arrives."""

LISTED = 10
"""How many runs a message lists; the others are counted."""

NEVER = datetime(9999, 1, 1, tzinfo=UTC)
"""The `due_at` of a held delivery that waits for an operator."""


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
class Notice:
    """A decision to tell: one a queue, kind and poll. `reviews` are open ones, oldest first."""

    key: UUID
    kind: Kind
    channel: str
    reviews: tuple[ReviewKey, ...]
    mention: tuple[str, ...] = ()
    remind_in: RemindIn = RemindIn.CHANNEL


@dataclass(frozen=True, slots=True)
class Plan:
    """What one poll decided: the reviews to write (new or altered), the notices to owe, the listing to remember.

    `revision` is that of the memory that it was decided on.
    """

    reviews: tuple[Review, ...] = ()
    notices: tuple[Notice, ...] = ()
    next_due_at: datetime | None = None
    revision: int = 0
    listing: str = ""


class State(StrEnum):
    """Where a delivery stands: the last three are settled, HELD waits for a destination or for an operator."""

    PENDING = "pending"
    SENDING = "sending"
    UNKNOWN = "unknown"
    HELD = "held"
    SENT = "sent"
    WITHDRAWN = "withdrawn"
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the notifier gave back: the channel's own id and the message's timestamp in it."""

    channel: str
    ts: str


@dataclass(frozen=True, slots=True)
class Delivery:
    """One row of the outbox with its attempts.

    `queue` is None for `ops`, whose story is `text`. `due_at` is when to act next, whatever the state asks for,
    and `held_until` before when not to, although it be due (None: nothing holds it): a hold that ends leaves a back-off
    as it is.
    `attempted_at` is when the first attempt began that may have been posted (None: surely none was). `looks` counts
    the look-ups since the last one that found nothing. `plain` asks for text alone after
    the message was refused. `lease_until` is set while it is claimed.
    `edit_at` is when an edit is owed (None: none is); `edited_at` when the last was made; `edits` how many were;
    `edit_until` is when the message stops being kept true (None: it is not, or no longer). `digest` fingerprints what
    was last shown, so that no edit is made for nothing. `successor` is the newer reminder that it points to.
    """

    key: UUID
    kind: Kind
    channel: str
    created_at: datetime
    due_at: datetime
    held_until: datetime | None = None
    queue: Queue | None = None
    mention: tuple[str, ...] = ()
    remind_in: RemindIn = RemindIn.CHANNEL
    text: str = ""
    state: State = State.PENDING
    attempts: int = 0
    attempted_at: datetime | None = None
    lease_until: datetime | None = None
    looks: int = 0
    plain: bool = False
    last_error: str = ""
    receipt: Receipt | None = None
    settled_at: datetime | None = None
    edit_at: datetime | None = None
    edited_at: datetime | None = None
    edits: int = 0
    edit_until: datetime | None = None
    digest: str = ""
    successor: UUID | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """A delivery that is ours until `delivery.lease_until`, with what is known of its runs now.

    For a post, `reviews` are all that it speaks of, oldest first. For an edit they are only those that the message
    lists, in its order, while `total` and `waiting` count all. `root` is the oldest message still up that concerns the
    same runs in the same channel (asked for only where `remind_in` wants a thread).
    `successor` is the receipt of the newer reminder.
    """

    delivery: Delivery
    reviews: tuple[Review, ...] = ()
    total: int = 0
    waiting: int = 0
    root: Receipt | None = None
    successor: Receipt | None = None


EVERYWHERE = "*"
"""The channel of a pause that holds for every destination."""


@dataclass(frozen=True, slots=True)
class Pause:
    """A destination that is not posted to before `until`; EVERYWHERE stands for all of them.

    `reason` is the notifier's error code, `error` its sentence with the remedy; `failures` counts attempts in a row
    that ended in it.
    """

    channel: str
    since: datetime
    until: datetime
    reason: str
    failures: int = 1
    error: str = ""


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


@dataclass(frozen=True, slots=True)
class Backlog:
    """The deliveries of one state that need something still: how many, since when, and why the newest did not go."""

    state: State
    count: int
    oldest_at: datetime
    last_error: str = ""


@dataclass(frozen=True, slots=True)
class StoryNotice:
    """One notice in the story of one run. `left_out` tells that the run was reviewed before the post."""

    delivery: Delivery
    left_out: bool = False


@dataclass(frozen=True, slots=True)
class Story:
    """All that is remembered of one stay of a run, oldest notice first."""

    queue: Queue
    review: Review
    notices: tuple[StoryNotice, ...] = ()


class Task(StrEnum):
    """What is done once for all workers, whoever of them does it."""

    REPORTS = "reports"
    EDITS = "edits"
    HOUSE = "house"


@dataclass(frozen=True, slots=True)
class Assignment:
    """What one of several workers does alone: a task, or polling a queue, whose id is its `name` then.

    `token` rises whenever the assignment changes hands, so that whoever had it before cannot be taken for who has it
    now.
    """

    name: str
    worker_id: UUID
    token: int


@dataclass(frozen=True, slots=True)
class Renewal:
    """What a worker learns when it renews its lease.

    `assignments` are its own, by name; `now` is the database's time; `workers` counts the living ones. `again_in` is
    when there may be something to take: another's lease ends then, or not everything was found that should be ours.
    """

    assignments: Mapping[str, Assignment]
    now: datetime
    workers: int
    again_in: timedelta
