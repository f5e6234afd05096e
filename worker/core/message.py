"""Messages: a claimed delivery as people should see it. Pure."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from typing import TYPE_CHECKING

from msgspec import Struct

from worker.core.actions import acts_at
from worker.core.model import FIRST_SIGHT, LISTED, NO_ACTS, Fate, Kind, QueueTotals, RemindIn, Show
from worker.core.owed import NEVER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from uuid import UUID

    from worker.core.audience import Problem, Turns
    from worker.core.controls import Controls
    from worker.core.model import Facts, Id, Queue, Review
    from worker.core.owed import Claim, Destination, QueueShare, Receipt


EXPIRES_WITHIN = timedelta(days=3)
"""The time before the end of a run's trace from which on it is said that it expires: then no one can review it."""


@dataclass(frozen=True, slots=True)
class Line:
    """One run in a message. `fate` is None while it waits; `done` of `of` reviewers have completed it.

    `due_at` is when it becomes stale (None: never, or it is `overdue` already). `purpose` is why it is in the message
    where not all of its runs are there for the same reason. `waiting_for` and `reserved_by` are names, raw. `disagreed`
    means that its reviewers disagree. `claimed_by` is the name of the one who has taken it, `had_by` that of the one
    whose claim has lapsed; nothing is posted about it until `snoozed_until`.

    `expires_at` is when its trace expires, where that is soon: no one can review it after that.

    In a direct message `queue` is the run's where there are several; `is_done` says that the reader has reviewed it,
    `is_others` that it is the turn of others by now. To an owner, `unheard` says why too few of those whose turn it is
    could be notified: each one's name, raw, with the problem, which is NONE of those who were notified often enough.
    Where it hears of the run since its channel was reminded often enough, `reminded` counts these reminders.
    """

    facts: Facts
    run_id: Id | None
    since: datetime
    reserved: bool = False
    back: bool = False
    fate: Fate | None = None
    done: int = 0
    of: int = 1
    due_at: datetime | None = None
    overdue: bool = False
    purpose: Kind | None = None
    waiting_for: tuple[str, ...] = ()
    reserved_by: tuple[str, ...] = ()
    disagreed: bool = False
    claimed_by: str = ""
    had_by: str = ""
    snoozed_until: datetime | None = None
    queue: Queue | None = None
    is_done: bool = False
    is_others: bool = False
    unheard: tuple[tuple[str, Problem], ...] = ()
    reminded: int = 0
    # Not in the digest of the line, which is that of earlier versions where nothing expires: see `fingerprint`.
    expires_at: datetime | None = field(default=None, repr=False)
    # Never shown: what is pressed about the run is known by it. A digest of what is shown must not change with it.
    queue_run_id: Id | None = field(default=None, repr=False, compare=False)

    @property
    def is_waiting(self) -> bool:
        """Whether it waits, for the reader of a direct message that is."""
        return self.fate is None and not self.is_done and not self.is_others


class Shares(Struct, frozen=True):
    """How the runs of a message and those of its queue stand when it is composed.

    `new` and `escalated` count the runs that are in the message for that reason, `later` those of a baseline that came
    after it. `along` counts those that a reminder
    takes along before they are overdue, which they all are by `along_by`. `queue` counts all that waits in the queue
    (None: not known). `places` are the queues of those runs of a direct message that its headline counts.
    """

    new: int = 0
    escalated: int = 0
    later: int = 0
    overdue: int = 0
    along: int = 0
    along_by: datetime | None = None
    queue: QueueTotals | None = None
    places: tuple[Queue, ...] = ()


class Message(Struct, frozen=True):
    """Everything that a notifier needs to show one delivery; `lines` are up to LISTED of its `total` runs.

    `waiting` counts those of `total` that still wait. A baseline of several queues has `queue_lines` instead. Ages are
    those at `as_of`; what is shown as text alone gives times on the clock of `zone`. `is_edit` says that it replaces
    what was posted before, `is_for_owner` that a direct one is about what no one else could be sent. `root` is the
    message to answer in its thread; `broadcast` shows the answer in the channel too. `successor` makes it one line that
    points to a newer reminder. `controls` are what people can press (None: nothing).
    """

    key: UUID
    kind: Kind
    destination: Destination
    as_of: datetime
    queue: Queue | None = None
    lines: tuple[Line, ...] = ()
    total: int = 0
    waiting: int = 0
    mention: tuple[str, ...] = ()
    text: str = ""
    plain: bool = False
    root: Receipt | None = None
    broadcast: bool = False
    successor: Receipt | None = None
    show: frozenset[Show] = frozenset({Show.NAME, Show.TYPE, Show.AGE, Show.TAGS})
    standing: Shares = Shares()
    queue_lines: tuple[QueueShare, ...] = ()
    zone: tzinfo = UTC
    is_edit: bool = False
    is_for_owner: bool = False
    controls: Controls | None = None


def never_stale(_review: Review) -> datetime | None:
    """No run becomes stale."""
    return None


def compose_post(  # noqa: PLR0913  (what it says, each by name)
    claim: Claim,
    owed: Sequence[Review],
    show: frozenset[Show],
    now: datetime,
    *,
    stale_at: Callable[[Review], datetime | None] = never_stale,
    totals: QueueTotals | None = None,
    zone: tzinfo = UTC,
    turns: Turns | None = None,
) -> Message:
    """The message to post about the runs that are still owed, oldest first; `totals` are those of the queue.

    `turns` says whose turn its runs are, None where no one is to be named.
    """
    delivery = claim.delivery
    purposes = [_purpose(claim, review) for review in owed]
    return Message(
        key=delivery.key,
        kind=delivery.kind,
        destination=delivery.destination,
        as_of=now,
        queue=None if claim.shares else delivery.queue,
        lines=() if claim.shares else _lines(claim, owed[:LISTED], purposes, stale_at, now, turns),
        queue_lines=claim.shares,
        total=len(owed),
        waiting=sum(review.is_open for review in owed),
        mention=delivery.mention,
        text=delivery.text,
        plain=delivery.plain,
        root=claim.root if delivery.remind_in is not RemindIn.CHANNEL else None,
        broadcast=delivery.remind_in is RemindIn.BOTH and claim.root is not None,
        show=show,
        standing=_standing(claim, owed, purposes, [stale_at(review) for review in owed], now, totals),
        zone=zone,
    )


def compose_edit(  # noqa: PLR0913  (what it says, each by name)
    claim: Claim,
    show: frozenset[Show],
    now: datetime,
    *,
    stale_at: Callable[[Review], datetime | None] = never_stale,
    totals: QueueTotals | None = None,
    zone: tzinfo = UTC,
    turns: Turns | None = None,
) -> Message:
    """The message as it should look now; the arguments are those of `compose_post`."""
    delivery = claim.delivery
    # A run that is not listed is known by its purpose alone.
    purposes = [*claim.purposes.values(), *[delivery.kind] * (claim.total - len(claim.purposes))]
    known = claim.reviews if len(claim.reviews) == claim.total else ()
    return Message(
        key=delivery.key,
        kind=delivery.kind,
        destination=delivery.destination,
        as_of=now,
        queue=None if claim.shares else delivery.queue,
        lines=() if claim.shares else _lines(claim, claim.reviews, purposes, stale_at, now, turns),
        queue_lines=claim.shares,
        total=claim.total,
        waiting=claim.waiting,
        mention=delivery.mention,
        plain=delivery.plain,
        successor=claim.successor,
        show=show,
        standing=_standing(claim, known, purposes, [stale_at(review) for review in known], now, totals),
        zone=zone,
        is_edit=True,
    )


def totals_of(
    reviews: Iterable[Review], stale_before: datetime | None, expiring_before: datetime | None = None
) -> QueueTotals:
    """Count the open ones of a queue's reviews; stale are those with `since <= stale_before`."""
    every = [review for review in reviews if review.is_open]
    waiting = [review for review in every if not review.left_out]
    ends = [review.expires_at for review in waiting if review.expires_at is not None]
    return QueueTotals(
        waiting=len(waiting),
        left_out=len(every) - len(waiting),
        stale=0 if stale_before is None else sum(review.since <= stale_before for review in waiting),
        reserved=sum(review.reserved for review in waiting),
        oldest_since=min((review.since for review in waiting), default=None),
        expiring=sum(at <= expiring_before for at in ends) if expiring_before is not None else 0,
        expires_at=min(ends, default=None),
    )


def fingerprint(message: Message) -> str:
    """The same for messages that show the same but for time and what else waits in the queue, which owe no edit."""
    shown = (
        message.kind,
        message.queue and (message.queue.queue_id, message.queue.name, message.queue.url),
        message.lines,
        message.total,
        message.waiting,
        message.mention,
        message.text,
        message.plain,
        message.successor,
        sorted(message.show),
        message.queue_lines,
        message.is_for_owner,
        *(line.expires_at for line in message.lines if line.expires_at is not None),
        # Whether anything can be pressed; not until when, which changes with time alone.
        *([True] if message.controls is not None else []),
    )
    # Not as UTF-8: text from outside may hold halves of characters.
    return hashlib.sha256(ascii(shown).encode()).hexdigest()[:32]


def _purpose(claim: Claim, review: Review) -> Kind:
    return claim.purposes.get(review.key, claim.delivery.kind)


def _standing(
    claim: Claim,
    reviews: Sequence[Review],
    purposes: Sequence[Kind],
    stale: Sequence[datetime | None],
    now: datetime,
    totals: QueueTotals | None,
) -> Shares:
    """What is counted of the `reviews` that are known, each with when it becomes stale, and of every purpose."""
    along = [
        at
        for review, at in zip(reviews, stale, strict=True)
        if at is not None and at > now and _purpose(claim, review) is Kind.REMINDER
    ]
    return Shares(
        new=sum(purpose in FIRST_SIGHT for purpose in purposes),
        escalated=purposes.count(Kind.ESCALATION),
        later=purposes.count(Kind.ANNOUNCEMENT) if claim.delivery.kind is Kind.BASELINE else 0,
        overdue=sum(at is not None and at <= now for at in stale),
        along=len(along),
        along_by=max(along, default=None),
        queue=totals,
    )


def _lines(
    claim: Claim,
    reviews: Sequence[Review],
    purposes: Iterable[Kind],
    stale_at: Callable[[Review], datetime | None],
    now: datetime,
    turns: Turns | None,
) -> tuple[Line, ...]:
    is_mixed = len({Kind.ANNOUNCEMENT if purpose in FIRST_SIGHT else purpose for purpose in purposes}) > 1
    of = claim.delivery.queue.reviewers_per_run if claim.delivery.queue else 1
    return tuple(
        line_of(review, of, stale_at(review), now, _purpose(claim, review) if is_mixed else None, turns)
        for review in reviews
    )


def line_of(
    review: Review, of: int, stale_at: datetime | None, now: datetime, purpose: Kind | None, turns: Turns | None
) -> Line:
    """One run, of whose reviews its queue asks for `of`, as a message shows it at `now`."""
    acts = acts_at(review.acts, now) if review.is_open else NO_ACTS
    will_be = review.is_open and stale_at is not None and now < stale_at < NEVER
    return Line(
        facts=review.facts,
        run_id=review.run_id,
        since=review.since,
        reserved=review.reserved and review.is_open,
        back=review.back,
        fate=None if review.is_open else review.fate or Fate.UNKNOWN,
        done=review.done,
        disagreed=review.is_open and review.who.disagreed,
        of=of,
        due_at=stale_at if will_be else None,
        overdue=review.is_open and stale_at is not None and stale_at <= now,
        purpose=purpose,
        waiting_for=turns.waiting_for(review) if turns else (),
        reserved_by=turns.reserved_by(review) if turns else (),
        claimed_by=acts.claimed_name if acts.is_claimed else "",
        had_by=acts.claimed_name if acts.lapsed else "",
        snoozed_until=acts.snoozed_until,
        expires_at=review.expires_at if review.is_open and _is_expiring(review, now) else None,
        queue_run_id=review.queue_run_id,
    )


def _is_expiring(review: Review, now: datetime) -> bool:
    return review.expires_at is not None and review.expires_at <= now + EXPIRES_WITHIN
