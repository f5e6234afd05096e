"""The outbox: which of the waiting deliveries a claim takes, merges and withdraws, and what it leaves out. Pure.

The SQL store, the store in memory and the dry run all decide here, so that they agree.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Generic, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from worker.core.delivery import (
    MUTED_MEANWHILE,
    POLL_FIRST,
    POLL_FIRST_AT_MOST,
    POLLED_NO_MORE,
    TAKEN_MEANWHILE,
)
from worker.core.model import FIRST_SIGHT, LATER, NO_ACTS, TEXT_ONLY, Entry, Kind
from worker.core.owed import EVERYWHERE, NEVER, Delivery, State

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence
    from datetime import datetime

    from worker.core.calendar import Calendar
    from worker.core.model import Review
    from worker.core.owed import Claim, Pause

R = TypeVar("R")
"""The value by which a store knows a review."""

IN_DOUBT = frozenset({State.SENDING, State.UNKNOWN})
"""States of a delivery that may be posted already: it is looked up before anything is sent again."""

LIVE = frozenset({State.PENDING, State.HELD}) | IN_DOUBT
"""States of a delivery that still goes on by itself."""

ACTS_COME_FIRST = timedelta(hours=1)
"""An edit that shows an act of a person is owed as of so long ago: before all that other changes owe."""

STANDS_FOR_ALL = "a later notice that waits too speaks of every run of it"


class Candidate(Struct, Generic[R], frozen=True):
    """A delivery with the reviews that it speaks of. What was owed earlier has the lower `place` in the outbox."""

    delivery: Delivery
    place: int
    reviews: frozenset[R] = frozenset()


class Taking(Struct, Generic[R], frozen=True):
    """One delivery that is claimed.

    `taken` is the delivery after the claim, with the reviews, mentions and attempts of those `merged` into it.
    `left_out` are reviews that it no longer speaks of, because a later notice does.
    """

    taken: Candidate[R]
    merged: tuple[Candidate[R], ...] = ()
    left_out: frozenset[R] = frozenset()

    @property
    def is_empty(self) -> bool:
        """Whether a later notice speaks of all that it spoke of."""
        return bool(self.left_out) and not self.taken.reviews


class _Choice(Struct, Generic[R], frozen=True):
    """The outcome of a claim: the delivery that it takes (None: nothing is due), and those that it withdraws."""

    taking: Taking[R] | None = None
    withdrawn: tuple[Taking[R], ...] = ()


def choose(candidates: Collection[Candidate[R]], now: datetime) -> _Choice[R]:
    """Decide which of the deliveries of one queue to one destination a claim at `now` takes: the one due longest.

    A delivery that is surely unposted takes over those of the same queue, kind and destination that wait beside it, and
    a baseline those of other queues, too. A baseline or an announcement leaves out the runs of which a later reminder
    or escalation speaks that waits beside it, a reminder those of any such escalation.
    """
    withdrawn: list[Taking[R]] = []
    waiting = list(candidates)
    # One that has nothing left to say is withdrawn, and the next is tried: a claim must not come back empty for it.
    while (first := due_longest(waiting, now)) is not None:
        taking = _take(first, waiting, now)
        if not taking.is_empty:
            return _Choice(taking, tuple(withdrawn))
        withdrawn.append(taking)
        waiting = _without(waiting, [taking])
    return _Choice(None, tuple(withdrawn))


def claims_to_come(
    candidates: Iterable[Candidate[R]], now: datetime, pauses: Collection[Pause] = ()
) -> Iterator[Candidate[R]]:
    """All claims that can be made at `now`, in order, as if each delivery were posted at once."""
    spared = {pause.destination for pause in pauses if pause.until > now}
    waiting = [each for each in candidates if not {each.delivery.destination, EVERYWHERE} & spared]
    while (first := due_longest(waiting, now)) is not None:
        choice = choose([first, *concerned(first.delivery, waiting)], now)
        taking = () if choice.taking is None else (choice.taking,)
        waiting = _without(waiting, [*choice.withdrawn, *taking])
        yield from (each.taken for each in taking)


def due_longest(candidates: Iterable[Candidate[R]], now: datetime) -> Candidate[R] | None:
    """The live delivery that is ready and whose `due_at` came first; of several, the one that was owed first."""
    due = (each for each in candidates if each.delivery.state in LIVE and ready_at(each.delivery) <= now)
    return min(due, key=lambda each: (each.delivery.due_at, each.place), default=None)


def concerned(delivery: Delivery, candidates: Iterable[Candidate[R]]) -> list[Candidate[R]]:
    """The other candidates that a claim of a delivery may merge or withdraw: surely unposted ones beside it."""
    # A delivery in doubt is only looked up, so that it concerns no other.
    if delivery.state in IN_DOUBT:
        return []
    return [each for each in candidates if _is_beside(each.delivery, delivery) and is_surely_unposted(each.delivery)]


def is_surely_unposted(delivery: Delivery) -> bool:
    """Whether it only waits for its time, has no attempt in doubt, and was not refused."""
    return waits_for_time(delivery) and delivery.attempted_at is None and not delivery.plain


def ready_at(delivery: Delivery) -> datetime:
    """The time from which on a delivery may be claimed: it is due, and nothing holds it any more."""
    return max(delivery.due_at, delivery.held_until or delivery.due_at)


def waits_for_time(delivery: Delivery) -> bool:
    """Whether it is pending, or held by a pause rather than for an operator."""
    return delivery.state is State.PENDING or (delivery.state is State.HELD and delivery.due_at < NEVER)


def entry_of(host: Delivery, now: datetime) -> Entry:
    """How a new run gets into a message: beside it while it is surely unposted, by an edit once it is up."""
    if is_surely_unposted(host):
        return Entry.MERGE
    # One that was refused, or may be posted already, takes nothing in; it goes on by itself, and comes up soon.
    if host.state in IN_DOUBT or waits_for_time(host):
        return Entry.UNSURE
    if host.state in {State.WITHDRAWN, State.DEAD}:
        return Entry.VOID
    is_kept_true = host.state is State.SENT and host.edit_until is not None and host.edit_until > now
    return Entry.BY_EDIT if is_kept_true else Entry.NEVER


def held_until(claim: Claim, calendar: Calendar, now: datetime) -> datetime | None:
    """Until when a claimed delivery must not be posted; None where it may be now.

    What was owed before the last opening waits for a complete poll after it: nothing is posted that left meanwhile. A
    mute holds all but escalations.
    """
    if claim.muted_until is not None and claim.is_muted(now):
        return calendar.opens(claim.muted_until)
    if not calendar.may_post(now):
        return calendar.opens(now)
    opened_at = calendar.posting_since(now)
    if claim.polled_at is not None and claim.polled_at >= opened_at:
        return None
    # A poll decides on what it has just read; a look at the inboxes may rest on the evening before.
    is_read = claim.delivery.kind is not Kind.DIRECT or claim.polled_at is None
    if claim.delivery.created_at >= opened_at and is_read:
        return None
    return now + min(max((now - opened_at) / 10, POLL_FIRST), POLL_FIRST_AT_MOST)


def without_spared(claim: Claim, owed: Sequence[Review], now: datetime) -> tuple[tuple[Review, ...], str]:
    """The reviews that nothing keeps from going out now, and the reason where something keeps all.

    Those are spared that a filter leaves out or that the last listing lacks, and those of a reminder that somebody has
    taken, or put off, meanwhile.
    """
    waiting = tuple(review for review in owed if not _is_spared(claim, review, now))
    unmuted = _without_muted(claim, waiting, now) if claim.mutes or claim.is_muted(now) else waiting
    return unmuted, MUTED_MEANWHILE if waiting else TAKEN_MEANWHILE


def _is_spared(claim: Claim, review: Review, now: datetime) -> bool:
    # Absent once from a listing of several pages: most likely reviewed, and notified of again should it be there still.
    if review.left_out or review.absent_at is not None:
        return True
    kind = claim.purposes.get(review.key, claim.delivery.kind)
    until = review.acts.spared_until(kind) if kind is Kind.REMINDER else None
    return until is not None and until > now


def _without_muted(claim: Claim, owed: tuple[Review, ...], now: datetime) -> tuple[Review, ...]:
    """The reviews that a mute does not keep from going out, or from waiting for its end as they are.

    What an announcement or a reminder was to say is decided on again at the end, together with what comes due until
    then. A direct message goes out without the runs of the queues that are muted, unless all are.
    """
    if claim.is_muted(now):
        delivery = claim.delivery
        return () if delivery.kind in _TAKEN_BACK and delivery.attempted_at in {None, now} else owed
    return tuple(each for each in owed if claim.mutes.get(claim.queues[each.key].queue_id, now) <= now)


_TAKEN_BACK = frozenset({Kind.ANNOUNCEMENT, Kind.REMINDER})


def is_in_vain(calendar: Calendar, now: datetime) -> bool:
    """Whether a poll after the opening would have come by now: a queue that has none until then is polled no more."""
    return calendar.may_post(now) and now >= in_vain_at(calendar, now)


def in_vain_at(calendar: Calendar, now: datetime) -> datetime:
    """When what waits for a poll of a queue that is polled no more is withdrawn."""
    opened_at = calendar.posting_since(now) if calendar.may_post(now) else calendar.opens(now)
    return opened_at + POLLED_NO_MORE


def edit_held_until(claim: Claim, calendars: Iterable[Calendar], now: datetime) -> datetime | None:
    """Until when a claimed edit must not be made, since it would only show new runs; None where it may be now.

    Of several `calendars` one that is open is enough.
    """
    only_adds = claim.entered > 0 and not claim.left and not _shows_act(claim)
    opens = min((calendar.opens(now) for calendar in calendars), default=now) if only_adds else now
    return opens if opens > now else None


def _shows_act(claim: Claim) -> bool:
    """Whether somebody has acted on one of the runs since the message was last posted or edited."""
    shown_at = claim.delivery.edited_at or claim.delivery.settled_at
    acted = (review.acts.acted_at for review in claim.reviews if review.acts is not NO_ACTS)
    return any(at is not None and (shown_at is None or at >= shown_at) for at in acted)


def as_owed(delivery: Delivery, pauses: Iterable[Pause]) -> Delivery:
    """A delivery as it enters the outbox: held until the last pause ends that concerns its destination."""
    until = max(
        (pause.until for pause in pauses if pause.destination in {EVERYWHERE, delivery.destination}), default=None
    )
    if until is None or delivery.state is not State.PENDING:
        return delivery
    return replace(delivery, state=State.HELD, held_until=until)


def let_go(delivery: Delivery) -> Delivery:
    """A delivery after every pause has ended: pending, and due when it was due before the pause."""
    is_paused = delivery.state is State.HELD and waits_for_time(delivery)
    return replace(delivery, state=State.PENDING, held_until=None) if is_paused else delivery


def superseded(newer: Candidate[R], earlier: Iterable[Candidate[R]]) -> list[Candidate[R]]:
    """The earlier sent reminders that can point to a newer one, because it speaks of all their runs that still wait.

    The `reviews` of the earlier ones are those that still wait.
    """
    # A reminder whose runs are all reviewed points nowhere: its own message says that it is done.
    if newer.delivery.kind is not Kind.REMINDER or newer.delivery.state is not State.SENT:
        return []
    return [each for each in earlier if _may_point(each, newer) and each.reviews and each.reviews <= newer.reviews]


def _may_point(earlier: Candidate[R], newer: Candidate[R]) -> bool:
    delivery = earlier.delivery
    is_kept_true = delivery.edit_until is not None and delivery.edit_until > _settled_at(newer.delivery)
    sent = delivery.kind is Kind.REMINDER and delivery.state is State.SENT and delivery.successor is None
    return sent and is_kept_true and earlier.place < newer.place and _is_beside(delivery, newer.delivery)


def _settled_at(delivery: Delivery) -> datetime:
    return delivery.settled_at or delivery.due_at


def _take(first: Candidate[R], candidates: Sequence[Candidate[R]], now: datetime) -> Taking[R]:
    delivery = first.delivery
    if delivery.state in IN_DOUBT:
        return Taking(replace(first, delivery=replace(delivery, state=State.UNKNOWN)))
    beside = [each for each in concerned(delivery, candidates) if _may_go_along(each.delivery, delivery, now)]
    # One that may be posted stays alone: found by its key later, it would count as having shown what it never did.
    # So does one that was refused: a run that cannot be shown would take the others with it.
    merged = [each for each in beside if each.delivery.kind is delivery.kind and not _stays_alone(delivery)]
    speaks_of = _union(each.reviews for each in (first, *merged))
    if not _stays_alone(delivery):
        merged += [each for each in beside if _is_lower(each.delivery, delivery) and each.reviews <= speaks_of]
    every = [first, *merged]
    later = _spoken_of_higher(first, beside)
    left_out = speaks_of & later
    taken = replace(
        delivery,
        state=State.PENDING,
        held_until=None,
        mention=tuple(dict.fromkeys(name for each in every for name in each.delivery.mention)),
        attempts=max(each.delivery.attempts for each in every),
        # From here on it may be posted: should this process crash before it says so, the row already does.
        attempted_at=delivery.attempted_at or now,
    )
    return Taking(replace(first, delivery=taken, reviews=speaks_of - left_out), tuple(merged), left_out)


def _is_beside(other: Delivery, delivery: Delivery) -> bool:
    """Whether another delivery goes to the same place about the same queue; the queue of a baseline may be any."""
    if other.key == delivery.key or other.destination != delivery.destination:
        return False
    if other.kind is delivery.kind is Kind.BASELINE:
        return True
    return _is_of_same_queue(other, delivery)


def _may_go_along(other: Delivery, delivery: Delivery, now: datetime) -> bool:
    """Whether nothing holds another delivery that does not hold this one as well: queues have hours of their own."""
    return ready_at(other) <= now or _is_of_same_queue(other, delivery)


def _is_of_same_queue(other: Delivery, delivery: Delivery) -> bool:
    return (other.queue and other.queue.queue_id) == (delivery.queue and delivery.queue.queue_id)


def _stays_alone(delivery: Delivery) -> bool:
    is_alone = delivery.queue is None or delivery.kind in TEXT_ONLY
    return delivery.plain or is_alone or delivery.attempted_at is not None


def _spoken_of_higher(first: Candidate[R], beside: Sequence[Candidate[R]]) -> frozenset[R]:
    """The reviews of which higher notices speak that wait beside it."""
    # After an outage several are due: people get the highest alone, not the announcement and the reminder as well.
    if first.delivery.attempted_at is not None:
        return frozenset()
    return _union(each.reviews for each in beside if _is_higher(each, first))


def _is_higher(other: Candidate[R], first: Candidate[R]) -> bool:
    if first.delivery.kind in FIRST_SIGHT:
        return other.delivery.kind in LATER and other.place > first.place
    return _is_lower(first.delivery, other.delivery)


def _is_lower(other: Delivery, delivery: Delivery) -> bool:
    return other.kind is Kind.REMINDER and delivery.kind is Kind.ESCALATION


def _union(sets: Iterable[frozenset[R]]) -> frozenset[R]:
    return frozenset(each for reviews in sets for each in reviews)


def _without(candidates: Iterable[Candidate[R]], takings: Iterable[Taking[R]]) -> list[Candidate[R]]:
    gone = {each.place for taking in takings for each in (taking.taken, *taking.merged)}
    return [each for each in candidates if each.place not in gone]
