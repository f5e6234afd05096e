"""The words of the domain as frozen values. Pure.

Times are aware UTC datetimes and end in `_at` (or are a named instant such as `since`); durations are timedeltas.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple, TypeAlias
from uuid import UUID

import msgspec
from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence


LISTED = 10
"""The number of runs that a message lists; the others are counted."""


class Kind(StrEnum):
    """The subject of a notice; also the `kind` in a message's metadata."""

    BASELINE = "baseline"
    ANNOUNCEMENT = "announcement"
    REMINDER = "reminder"
    ESCALATION = "escalation"
    DIRECT = "direct"
    OPS = "ops"
    REPORT = "report"
    TEST = "test"


TEXT_ONLY = frozenset({Kind.OPS, Kind.REPORT, Kind.TEST})
"""Kinds of messages that speak of no run, but have a text of their own."""

FIRST_SIGHT = frozenset({Kind.BASELINE, Kind.ANNOUNCEMENT})
"""Kinds of notices about runs that were not known before."""

LATER = frozenset({Kind.REMINDER, Kind.ESCALATION})
"""Kinds of notices about runs that were announced before; after an outage they stand for the announcement, too."""


class Show(StrEnum):
    """A part of a run that a message may show. Nothing else of a run is ever kept or sent."""

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
    """The way in which a run left its queue, as far as the server could say."""

    REVIEWED = "reviewed"
    REMOVED = "removed"
    UNKNOWN = "unknown"


class RemindIn(StrEnum):
    """The place of a reminder."""

    CHANNEL = "channel"
    THREAD = "thread"
    BOTH = "both"


Id: TypeAlias = "UUID | str"
"""The id that a source gives a queue, a run or a queue run: a UUID, or any other text. See `id_of`."""


def id_of(text: str) -> Id:
    """The id that `text` stands for: a UUID where it is written as `str()` writes one, else the text itself."""
    # Other spellings of a UUID (upper case, braces) stay text, so that the id is given back as the source wrote it.
    try:
        found = UUID(text)
    except ValueError:
        return text
    return found if str(found) == text else text


def shortened(one: Id) -> str:
    """Enough of an id for people to recognise it."""
    return str(one)[:8] if isinstance(one, UUID) else one


class ReviewKey(NamedTuple):
    """The key of one stay of a queue run. `added_at` is never a time that we made up; None where there is no date."""

    queue_run_id: Id
    added_at: datetime | None


class Reviewer(Struct, frozen=True):
    """A person, or a service, who may owe reviews: by the id that the source gives an identity. '' is not known."""

    reviewer_id: str
    name: str = ""
    email: str = ""


class Access(StrEnum):
    """Who may review the runs of a queue."""

    ANY = "any"
    ASSIGNED = "assigned"
    UNKNOWN = ""


class Queue(Struct, frozen=True):
    """An annotation queue as the source shows it. `name` is its id where the name is not known.

    `assigned` are its reviewers, by name; a run may name others, see `Who`. `disagreed` counts the completed runs for
    which a final answer is owed, None where that is not known.
    """

    queue_id: Id
    name: str
    url: str = ""
    reviewers_per_run: int = 1
    access: Access = Access.UNKNOWN
    assigned: tuple[Reviewer, ...] = ()
    disagreed: int | None = None


# Facts, queue runs and reviews are structs, because there are thousands of them: one costs a tenth of a dataclass.
class Facts(msgspec.Struct, frozen=True, omit_defaults=True):
    """The facts of a run that may be shown. The source fills in only those that the settings allow.

    Their text is raw and hostile. Encoded, as they are stored, they leave out what is empty.
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


class Who(msgspec.Struct, frozen=True, omit_defaults=True):
    """The ids of the identities that a run is assigned to, reserved by and completed by, as far as a source names them.

    A source may count more in `done` than it names here. `disagreed` means that all have completed it and do not agree,
    so that a final answer is owed.
    """

    assigned_to: tuple[str, ...] = ()
    reserved_by: tuple[str, ...] = ()
    completed_by: tuple[str, ...] = ()
    disagreed: bool = False


NO_ONE = Who()
"""One value for all runs of which a source names no one."""


class Acts(msgspec.Struct, frozen=True, omit_defaults=True):
    """What people have said of a run that waits.

    `claimed_by` is the id of the one who has it until `claimed_until`, or had it where the claim `lapsed`;
    `claimed_name` is the name to show. Nothing is posted about it until `snoozed_until`. `not_mine` are the ids of
    those who do not take their turn. `acted_at` is the last act.
    """

    claimed_by: str = ""
    claimed_name: str = ""
    claimed_until: datetime | None = None
    lapsed: bool = False
    snoozed_until: datetime | None = None
    not_mine: tuple[str, ...] = ()
    acted_at: datetime | None = None

    @property
    def is_claimed(self) -> bool:
        """Whether somebody has it."""
        return bool(self.claimed_by) and not self.lapsed

    def spared_until(self, kind: Kind) -> datetime | None:
        """Until when the run is spared from notices of a kind; None where it is not."""
        # A claim is no review: whoever leaves it lying must not keep it from those who escalate.
        if kind is Kind.REMINDER and self.is_claimed and self.claimed_until is not None:
            return max(self.claimed_until, self.snoozed_until or self.claimed_until)
        return self.snoozed_until


NO_ACTS = Acts()
"""One value for all runs of which no one has said anything: most are, and are known by it."""


class Trait(StrEnum):
    """One thing that a filter may need to know of a traced run. It is asked for like what may be shown, and is not."""

    NAME = "filter by name"
    TYPE = "filter by type"
    TAGS = "filter by tags"
    ERROR = "filter by error"
    FEEDBACK = "filter by feedback"


Field: TypeAlias = Show | Trait
"""What a source may be asked for of a run: what a message may show, or what a filter needs."""


class Traits(msgspec.Struct, frozen=True, omit_defaults=True):
    """What filters know of a traced run; None where something is not known. `scores` are means, by feedback key."""

    name: str | None = None
    run_type: str | None = None
    tags: tuple[str, ...] | None = None
    failed: bool | None = None
    scores: tuple[tuple[str, float], ...] | None = None


NO_TRAITS = Traits()
"""One value for all runs of which no filter needs anything."""


class QueueRun(msgspec.Struct, frozen=True):
    """A run's place in a queue, as one listing shows it. `done` counts the reviewers who have completed it.

    `shows_assigned` is False where the listing does not know of assignments: what is remembered of them holds.
    `expires_at` is when the source deletes what is to be reviewed (None: not known).
    """

    queue_run_id: Id
    run_id: Id | None
    added_at: datetime | None
    effective_added_at: datetime | None = None
    reserved: bool = False
    done: int = 0
    facts: Facts = Facts()
    who: Who = NO_ONE
    shows_assigned: bool = True
    traits: Traits = NO_TRAITS
    expires_at: datetime | None = None


class Snapshot(Struct, frozen=True):
    """One complete listing of one queue, each `queue_run_id` once.

    - `one_page`: the listing came in a single answer. Only then does one absence prove that a run has left.
    - `unusable`: the number of rows that have no id of their own and so are no run; `fix` says what to do.
    - `strays`: the runs that such rows name. They still wait.
    - `obscured`: other such rows name no run, so that no absence proves anything.
    - `moved`: rows may have slipped by unread, so that an absence says nothing at all.
    - `listing`: the listing that was read, where a source has several. Should two of them give a queue run different
      ids, the same `run_id` is the same stay.
    - `revealed`: queue runs that no other listing shows; they may have waited for long already.
    - `bare`: the listing has no facts; `Descriptions.facts` gives them.
    - `ahead`: the error of our clock, as far as the source shows it. Ages are judged by the clock that dated the runs.
    - `concluded`: opaque. Given back to the source once this listing is written down, it lets the source answer
      `Unchanged`. It is good within one process.
    """

    queue: Queue
    runs: Collection[QueueRun]
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

    @property
    def count(self) -> int:
        """How many runs are listed."""
        return len(self.runs)


class Unchanged(Struct, frozen=True):
    """A complete listing that equals the last concluded one, beside its runs too, so that a diff would find nothing.

    `concluded` takes the place of the value that the source was given. The other fields are those of `Snapshot`.
    """

    queue: Queue
    taken_at: datetime
    bare: bool = False
    ahead: timedelta = timedelta(0)
    concluded: object = None


class Difference(Struct, frozen=True):
    """A complete listing, as what is other than in the last concluded one.

    `runs` are those that are new or altered, `gone` those that are listed no more; `count` is how many are listed. The
    other fields are those of `Snapshot`.
    """

    queue: Queue
    runs: Collection[QueueRun]
    taken_at: datetime
    gone: Sequence[Id] = ()
    count: int = 0
    one_page: bool = True
    unusable: int = 0
    fix: str = ""
    strays: frozenset[Id] = frozenset()
    obscured: bool = False
    moved: bool = False
    listing: str = ""
    bare: bool = False
    ahead: timedelta = timedelta(0)
    concluded: object = None


class Review(msgspec.Struct, frozen=True):
    """Our memory of one stay of a queue run.

    `since` is the time at which its wait began, by the last snapshot. `told_at` is the instant up to which notices have
    spoken of it (None: none has). Both are by the clock of the source, and `told_at` is never before `since`.
    `generation` rises with every notice about it, so that no two notices share a key. `absent_at` marks a first absence
    from a listing of several pages; `closed_at` makes it a tombstone. `reminded` counts the reminders in its channel.
    `left_out` is the filter that keeps it from people, '' where none does. Messages list runs by `rank`, those of one
    rank oldest first. `expires_at` is when the source deletes what is to be reviewed, as far as it is known.
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
    who: Who = NO_ONE
    acts: Acts = NO_ACTS
    reminded: int = 0
    traits: Traits = NO_TRAITS
    left_out: str = ""
    rank: str = ""
    expires_at: datetime | None = None

    @property
    def key(self) -> ReviewKey:
        """The identity of this stay."""
        return ReviewKey(self.queue_run_id, self.added_at)

    @property
    def is_open(self) -> bool:
        """Whether it still waits, as far as we know."""
        return self.closed_at is None


class Entry(StrEnum):
    """How a new run gets into the message that opened a window."""

    MERGE = "merge"  # it is not posted yet: a notice beside it goes out with it
    BY_EDIT = "by edit"
    UNSURE = "unsure"  # it is being posted, or will be: a later poll knows
    NEVER = "never"  # it cannot be edited any more, or a person decides whether it is up
    VOID = "void"  # it never came to a post, so it called no one


class Window(Struct, frozen=True):
    """The time after an announcement in which new runs enter its message instead of being announced."""

    opened_at: datetime
    host: UUID
    entry: Entry


class Memory(Struct, frozen=True):
    """The memory of one queue that a decision is made on.

    `reviews` holds every open review of the queue and every closed one whose `queue_run_id` was asked for; for a
    decision on a difference only those that were asked for, open or closed.
    `baselined` is False until the first complete poll of the queue has been written. `revision` counts changes of the
    queue's reviews that were made outside a poll's transaction: a poll that decided on another number has missed some.
    `listing` is the listing that the last concluded snapshot was read from, '' where that is not known. `window` is the
    one that the last announcement opened, None where there is none. `muted_until` is the end of the last mute.
    `completed_at` is the last complete poll that was noted (None: none was).
    """

    baselined: bool
    reviews: Sequence[Review]
    revision: int = 0
    listing: str = ""
    window: Window | None = None
    muted_until: datetime | None = None
    completed_at: datetime | None = None


class Polled(Struct, frozen=True):
    """The state of the polls of one queue.

    While they succeed, `failing_since` is None, and `error` and `trouble` (the kind of failure) are empty.
    """

    queue: Queue
    baselined_at: datetime | None = None
    completed_at: datetime | None = None
    failing_since: datetime | None = None
    error: str = ""
    trouble: str = ""


class QueueTotals(Struct, frozen=True):
    """The numbers of one queue's runs and of the deliveries owed about them, for `status` and the metrics.

    Runs that its filters leave out are counted in `left_out` alone. `expiring` counts those whose traces expire soon,
    the first of all at `expires_at` (None: as far as known, none does).
    """

    waiting: int = 0
    stale: int = 0
    reserved: int = 0
    oldest_since: datetime | None = None
    undelivered: int = 0
    dead: int = 0
    left_out: int = 0
    expiring: int = 0
    expires_at: datetime | None = None
