"""What is owed to people, as frozen values: notices, their deliveries, and the pauses that hold them. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from worker.core.model import RemindIn

if TYPE_CHECKING:
    from uuid import UUID

    from worker.core.model import Kind, Queue, Review, ReviewKey

EDIT_EVERY = timedelta(seconds=30)
"""At most one edit a message in this time; the last state always arrives."""


NEVER = datetime(9999, 1, 1, tzinfo=UTC)
"""The `due_at` of a held delivery that waits for an operator."""


@dataclass(frozen=True, slots=True)
class Notice:
    """A decision to tell: one a queue, kind and poll. `reviews` are open ones, oldest first."""

    key: UUID
    kind: Kind
    channel: str
    reviews: tuple[ReviewKey, ...]
    mention: tuple[str, ...] = ()
    remind_in: RemindIn = RemindIn.CHANNEL


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
