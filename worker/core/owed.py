"""Frozen values for everything that is owed to people: notices, deliveries, claims, pauses. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING

from msgspec import Struct, field

from worker.core.model import Kind, RemindIn

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

    from worker.core.model import Id, Queue, Review, ReviewKey

NEVER = datetime(9999, 1, 1, tzinfo=UTC)
"""The `due_at` of a held delivery that waits for an operator."""


class Destination(Struct, frozen=True, order=True):
    """Where messages go: a channel or a person, by the `place` that the notifier of the `scheme` knows it by.

    Its text, by which it is kept, is both with a colon between: `file:shelf`. People are shown the place alone.
    """

    scheme: str
    place: str

    def __post_init__(self) -> None:
        """Refuse a scheme by which the text could be read in two ways."""
        if not self.scheme or ":" in self.scheme:
            raise ValueError(f"no scheme of a destination: {self.scheme!r}")

    def __str__(self) -> str:
        """The text that `destination_of` reads."""
        return f"{self.scheme}:{self.place}"


# Cached, since the rows of an outbox name the same few again and again.
@lru_cache(256)
def destination_of(text: str) -> Destination:
    """Read the text of a destination. Raises ValueError where it names no scheme."""
    scheme, colon, place = text.partition(":")
    return Destination(scheme if colon else "", place)


EVERYWHERE = Destination("*", "*")
"""Stands for every destination: a pause there holds for all of them."""


class Notice(Struct, frozen=True):
    """A decision to notify: one for each queue, place and poll.

    `reviews` are open ones, oldest first; `purposes` says of each why it is in the notice (empty: all for its `kind`),
    `before` up to when it had been spoken of (empty: of none it had).
    """

    key: UUID
    kind: Kind
    destination: Destination
    reviews: tuple[ReviewKey, ...]
    mention: tuple[str, ...] = ()
    remind_in: RemindIn = RemindIn.CHANNEL
    purposes: tuple[Kind, ...] = ()
    before: tuple[datetime | None, ...] = ()


class State(StrEnum):
    """The state of a delivery. The last three are settled; HELD waits for a destination or for an operator."""

    PENDING = "pending"
    SENDING = "sending"
    UNKNOWN = "unknown"
    HELD = "held"
    SENT = "sent"
    WITHDRAWN = "withdrawn"
    DEAD = "dead"


class Receipt(Struct, frozen=True):
    """The notifier's proof of a post: the channel's own id and the message's timestamp in it."""

    channel: str
    ts: str


class Delivery(Struct, frozen=True):
    """One row of the outbox with its attempts.

    - `queue`: None for `ops`, which speak of no run but have a `text`, and for `direct`, which speak of several queues.
    - `reader`: the inbox that a `direct` one is for.
    - `due_at`: the time of the next act, whichever the state asks for.
    - `held_until`: the time before which nothing is done even if it is due (None: nothing holds it).
    - `attempted_at`: the start of the first attempt that may have posted (None: surely nothing was posted).
    - `looks`: the number of look-ups in a row that found nothing.
    - `plain`: the message was refused and is to be sent as text alone.
    - `lease_until`: the end of the claim; None while it is not claimed.
    - `edit_at`: the time at which an edit is due (None: none is owed); `edited_at`: the time of the last edit;
      `edits`: their number; `edit_held_until`: the time before which no further one is due (None: nothing holds it).
    - `edit_until`: the time up to which the message is kept true (None: it is not, or no longer).
    - `digest`: the fingerprint of what was last shown, so that no edit is made for nothing.
    - `successor`: the newer reminder that the message points to.
    """

    key: UUID
    kind: Kind
    destination: Destination
    created_at: datetime
    due_at: datetime
    # Apart from `due_at`, so that the end of a hold does not end a back-off as well.
    held_until: datetime | None = None
    queue: Queue | None = None
    mention: tuple[str, ...] = ()
    remind_in: RemindIn = RemindIn.CHANNEL
    text: str = ""
    reader: str = ""
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
    edit_held_until: datetime | None = None
    edits: int = 0
    edit_until: datetime | None = None
    digest: str = ""
    successor: UUID | None = None


class QueueShare(Struct, frozen=True):
    """What one queue has in a baseline of several: so many of its `total` runs still wait, the oldest since then."""

    queue: Queue
    waiting: int
    total: int
    oldest_since: datetime | None = None


class Claim(Struct, frozen=True):
    """A delivery that is ours until `delivery.lease_until`, with the reviews of its runs as they are now.

    For a post, `reviews` are all that it speaks of, oldest first. For an edit they are only those that the message
    lists, in its order, while `total` and `waiting` count all. `root` is the oldest message about the same runs that
    still stands in the same place; it is set only where `remind_in` asks for a thread. `successor` is the receipt of
    the newer reminder. `purposes` says what those of its runs, listed or not, are in the message for that have another
    purpose than the delivery's kind. Since the message was last posted or edited, `entered` runs that wait have entered
    it, and `left` have left. `polled_at` is when the queue was last polled completely. `shares` are those of
    the queues in a baseline that speaks of several, by name; it lists no runs. `queues` are those of the reviews of a
    direct message, which for an edit are all that it speaks of. `muted_until` is the end of the last mute of its queue,
    or of the first of a direct message's queues to end, if all are muted; `mutes` has those of each of the latter.
    """

    delivery: Delivery
    reviews: tuple[Review, ...] = ()
    total: int = 0
    waiting: int = 0
    entered: int = 0
    left: int = 0
    root: Receipt | None = None
    successor: Receipt | None = None
    purposes: Mapping[ReviewKey, Kind] = field(default_factory=dict)
    polled_at: datetime | None = None
    shares: tuple[QueueShare, ...] = ()
    queues: Mapping[ReviewKey, Queue] = field(default_factory=dict)
    muted_until: datetime | None = None
    mutes: Mapping[Id, datetime] = field(default_factory=dict)

    def is_muted(self, now: datetime) -> bool:
        """Whether its queue, or all of its queues, are muted, so that only an escalation goes out."""
        is_escalation = self.delivery.kind is Kind.ESCALATION
        return self.muted_until is not None and self.muted_until > now and not is_escalation


class Pause(Struct, frozen=True):
    """A destination that is not posted to before `until`; EVERYWHERE stands for all of them.

    `reason` is the notifier's error code, `error` its sentence with the fix; `failures` counts the attempts in a row
    that were refused.
    """

    destination: Destination
    since: datetime
    until: datetime
    reason: str
    failures: int = 1
    error: str = ""


class Backlog(Struct, frozen=True):
    """The deliveries of one state that still wait or failed: their number, the oldest, and the newest error."""

    state: State
    count: int
    oldest_at: datetime
    last_error: str = ""


class StoryNotice(Struct, frozen=True):
    """One notice in the story of one run. `left_out` says that the run was reviewed before the post.

    `purpose` is why the run is in the message, where that is not the delivery's own kind.
    """

    delivery: Delivery
    left_out: bool = False
    purpose: Kind | None = None


class Story(Struct, frozen=True):
    """Everything that is remembered of one stay of a run, oldest notice first."""

    queue: Queue
    review: Review
    notices: tuple[StoryNotice, ...] = ()
