"""The states of a delivery: the next one after each step, and the waits between attempts. Pure."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from msgspec.structs import replace

from worker.core.model import RemindIn
from worker.core.owed import NEVER, Pause, State
from worker.core.ports import Outcome

if TYPE_CHECKING:
    from datetime import datetime

    from worker.core.owed import Delivery, Destination, Receipt
    from worker.core.ports import DeliveryError

LEASE = timedelta(seconds=90)
"""The time for which a claim is ours: more than twice as long as an attempt may take."""

START = timedelta(seconds=10)
"""An attempt begins within this time of its claim, or not at all."""

REQUEST = timedelta(seconds=30)
"""A request takes less than this, its whole deadline included."""

OVER = START + REQUEST
"""The time after a claim from which on nothing of the attempt can be under way, even if the process has crashed."""

POLL_FIRST = timedelta(seconds=5)
"""How often it is seen whether a queue was polled since the opening: what was owed before is not posted unseen."""

POLL_FIRST_AT_MOST = timedelta(minutes=1)
"""The same where the queue has not been polled for long after the opening: a source that is down is down for longer."""

LOOK_AGAIN = timedelta(seconds=5)
"""The wait between a lost answer and each look for its message: the message may be posted after the time-out."""

LOOKS = 2
"""After this many looks that find nothing, the message counts as not posted."""

BLIND_RESENDS = 3
"""After this many attempts whose outcome cannot be looked up, a person decides: each may have been posted."""

FIRST_WAIT = timedelta(seconds=2)
LONGEST_WAIT = timedelta(minutes=15)
LONGEST_QUIET = timedelta(minutes=5)
"""The longest time for which a service that fails or loses answers is left alone, unless it asks for longer itself."""

FIRST_PAUSE = timedelta(minutes=1)
LONGEST_PAUSE = timedelta(hours=1)
MOST_DOUBLINGS = 12
"""The limit of doublings: they make more than an hour of a second; more would overflow for a queue polled daily."""

SHORTEST_WISH = timedelta(seconds=1)
LONGEST_WISH = timedelta(hours=1)

REVIEWED_MEANWHILE = "every run was reviewed before the notice could be posted"
PASSED_MEANWHILE = "no run was the reader's turn any more when the notice could be posted"
TAKEN_MEANWHILE = "every run was taken, put off, filtered out or no longer listed before the notice could be posted"
MUTED_MEANWHILE = "its queue was muted before it could be posted; what still waits when that ends is notified of then"
UNPOLLED = "its queue is not polled any more, so it is not known whether its runs still wait"

POLLED_NO_MORE = timedelta(hours=1)
"""A queue that is not on the roster so long after an opening is believed to be gone from it."""


class OnUnknown(StrEnum):
    """The treatment of a delivery whose lost answer cannot be looked up."""

    RESEND = "resend"
    HOLD = "hold"


def backoff(failures: int, *, first: timedelta = FIRST_WAIT, longest: timedelta = LONGEST_WAIT) -> timedelta:
    """Double the wait with every failure in a row (counted from 1), up to `longest`."""
    doublings = min(max(failures - 1, 0), MOST_DOUBLINGS)
    return min(first * (1 << doublings), longest)


def clamp_wish(retry_after: timedelta | None) -> timedelta | None:
    """A server's `Retry-After`, but at least 1 s and at most 1 h."""
    # Servers have been seen to ask for 0 seconds, and for days.
    return None if retry_after is None else min(max(retry_after, SHORTEST_WISH), LONGEST_WISH)


def has_time(delivery: Delivery, now: datetime) -> bool:
    """Whether an attempt may still begin."""
    # A process that stood still (suspended, swapped out) must not send what another may have claimed and sent by now.
    return delivery.lease_until is not None and now < delivery.lease_until - LEASE + START


def released(delivery: Delivery, now: datetime, *, claimed_at: datetime) -> Delivery:
    """The delivery after its claim was given back before anything was sent."""
    return replace(_undoubted(delivery, claimed_at), state=State.PENDING, due_at=now + FIRST_WAIT)


def held(delivery: Delivery, until: datetime, *, claimed_at: datetime) -> Delivery:
    """A claim is given back before anything was sent: nothing may be posted before `until`."""
    before = _undoubted(delivery, claimed_at)
    return replace(before, state=State.PENDING, due_at=claimed_at, held_until=until)


def begin(delivery: Delivery, now: datetime) -> Delivery:
    """The delivery as an attempt starts."""
    # `attempted_at` stays that of the first attempt that is in doubt: its message may still turn up late.
    return replace(delivery, attempts=delivery.attempts + 1, attempted_at=delivery.attempted_at or now, looks=0)


def sent(delivery: Delivery, receipt: Receipt, digest: str, now: datetime, edit_for: timedelta | None) -> Delivery:
    """The delivery after it was posted; from now on the message is kept true for `edit_for` (None: not at all)."""
    return replace(
        delivery,
        state=State.SENT,
        receipt=receipt,
        digest=digest,
        settled_at=now,
        edit_until=None if edit_for is None else now + edit_for,
        last_error="",
    )


def withdrawn(delivery: Delivery, now: datetime, reason: str = REVIEWED_MEANWHILE) -> Delivery:
    """The delivery after it turned out, before the post, that people are not to get it any more."""
    return replace(delivery, state=State.WITHDRAWN, settled_at=now, last_error=reason)


def refused(delivery: Delivery, error: DeliveryError, now: datetime, *, began_at: datetime) -> Delivery:
    """The delivery after a send that began at `began_at` and failed."""
    delivery = replace(delivery, last_error=str(error))
    if error.outcome in {Outcome.UNKNOWN, Outcome.BLIND}:
        return replace(delivery, state=State.UNKNOWN, due_at=now + LOOK_AGAIN)
    return _unposted(_undoubted(delivery, began_at), error, now)


def _unposted(delivery: Delivery, error: DeliveryError, now: datetime) -> Delivery:
    """The delivery after a send that surely posted nothing."""
    match error.outcome:
        case Outcome.MESSAGE | Outcome.EDIT:
            return _simpler(delivery, now)
        case Outcome.DESTINATION:
            return replace(delivery, state=State.HELD, due_at=now)
        case Outcome.TOKEN:
            return replace(delivery, state=State.PENDING, due_at=now)
        case _:
            wait = clamp_wish(error.retry_after) or backoff(delivery.attempts)
            return replace(delivery, state=State.PENDING, due_at=now + wait)


def not_found(delivery: Delivery, now: datetime) -> Delivery:
    """The delivery after a look that found nothing: it is looked for once more, then sent again under the same key."""
    looks = delivery.looks + 1
    if looks < LOOKS:
        return replace(delivery, state=State.UNKNOWN, looks=looks, due_at=now + LOOK_AGAIN)
    # The looks have taken a while already: only a delivery that fails again and again waits longer than they took.
    wait = max(backoff(delivery.attempts, longest=LONGEST_QUIET) - LOOKS * LOOK_AGAIN, timedelta(0))
    # Looks begin at 0 here, not only in begin(): a crash between the claim and the attempt would leave the old count.
    return replace(_doubted(delivery), state=State.PENDING, looks=0, due_at=now + wait)


def look_failed(delivery: Delivery, error: DeliveryError, now: datetime) -> Delivery:
    """The delivery after a look that could not be made, and so proves nothing: it is looked for later."""
    wait = clamp_wish(error.retry_after) or backoff(delivery.attempts + 1)
    return replace(delivery, state=State.UNKNOWN, due_at=now + wait, last_error=str(error))


def unseen(delivery: Delivery, error: DeliveryError, now: datetime, *, resend: bool) -> Delivery:
    """The delivery where looking up is impossible: sent again, or held for a person who can look into the channel."""
    if resend and delivery.attempts < BLIND_RESENDS:
        return replace(_doubted(delivery), state=State.PENDING, due_at=now, last_error=str(error))
    advice = f"may be posted, look into the channel, then run `review-notifier retry {delivery.key}` if it is not"
    return replace(delivery, state=State.HELD, due_at=NEVER, last_error=f"{error}; {advice}")


def edited(delivery: Delivery, digest: str, now: datetime, every: timedelta) -> Delivery:
    """The delivery after an edit: the message shows the newest state, and is let be for the time of `every`."""
    edits = delivery.edits + 1
    return replace(delivery, edit_at=None, edited_at=now, edit_held_until=now + every, edits=edits, digest=digest)


def unedited(delivery: Delivery, error: DeliveryError, now: datetime) -> Delivery:
    """The delivery after an edit that failed: it is edited later, or never again."""
    if error.outcome in {Outcome.RETRY, Outcome.THROTTLED, Outcome.UNKNOWN, Outcome.TOKEN}:
        wait = clamp_wish(error.retry_after) or backoff(1, first=FIRST_PAUSE)
        # The edit may have been made after all, so it is not known any more what the message shows: no digest.
        return replace(delivery, edit_at=now + wait, digest="", last_error=str(error))
    return replace(delivery, edit_at=None, edit_until=None, last_error=str(error))


def paused(destination: Destination, error: DeliveryError, now: datetime, former: Pause | None) -> Pause:
    """The pause of a destination that refuses: longer with every attempt in a row."""
    failures = 1 if former is None else former.failures + 1
    wait = clamp_wish(error.retry_after) or backoff(failures, first=FIRST_PAUSE, longest=LONGEST_PAUSE)
    since = now if former is None else former.since
    return Pause(destination, since, until=now + wait, reason=error.code, failures=failures, error=str(error))


def _undoubted(delivery: Delivery, began_at: datetime) -> Delivery:
    """The delivery after the attempt of `began_at` surely posted nothing."""
    # An earlier attempt may still be in doubt: then it stays the one that is looked for.
    return replace(delivery, attempted_at=None) if delivery.attempted_at == began_at else delivery


def _doubted(delivery: Delivery) -> Delivery:
    """The delivery, marked as one that may be posted after all although no look found it."""
    # The mark keeps it from merging others: found late, it would count as having shown what it never did.
    return replace(delivery, attempted_at=delivery.attempted_at or delivery.created_at)


def _simpler(delivery: Delivery, now: datetime) -> Delivery:
    """The delivery after the message was refused: outside its thread, then as plain text, then dead."""
    if delivery.remind_in is not RemindIn.CHANNEL:
        return replace(delivery, state=State.PENDING, due_at=now, remind_in=RemindIn.CHANNEL)
    if not delivery.plain:
        return replace(delivery, state=State.PENDING, due_at=now, plain=True)
    return replace(delivery, state=State.DEAD, settled_at=now)
