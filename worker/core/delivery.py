"""What becomes of a delivery after each step: the states, the waits between attempts. Pure."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from worker.core.model import RemindIn
from worker.core.owed import NEVER, Pause, State
from worker.core.ports import Outcome

if TYPE_CHECKING:
    from datetime import datetime

    from worker.core.owed import Delivery, Receipt
    from worker.core.ports import DeliveryError

LEASE = timedelta(seconds=90)
"""How long a claim is ours: twice as long as a request may take."""

START = timedelta(seconds=10)
"""An attempt begins within this time of its claim, or not at all."""

REQUEST = timedelta(seconds=30)
"""A request takes less than this, its whole deadline included."""

OVER = START + REQUEST
"""So long after a claim nothing of the attempt is under way any more, whatever became of the process."""

LOOK_AGAIN = timedelta(seconds=5)
"""Between a lost answer and each look for its message: a late commit can follow a time-out."""

LOOKS = 2
"""So many looks that find nothing mean that nothing was posted."""

BLIND_RESENDS = 3
"""So many attempts whose fate nobody can look up, then a person decides: each may have been seen."""

FIRST_WAIT = timedelta(seconds=2)
LONGEST_WAIT = timedelta(minutes=15)
LONGEST_QUIET = timedelta(minutes=5)
"""How long a service in trouble, or what loses answers, is left alone at most, unless it asks for longer itself."""

FIRST_PAUSE = timedelta(minutes=1)
LONGEST_PAUSE = timedelta(hours=1)
MOST_DOUBLINGS = 12
"""A second becomes more than an hour by these; more would overflow where a queue is polled once a day."""

SHORTEST_WISH = timedelta(seconds=1)
LONGEST_WISH = timedelta(hours=1)

REVIEWED_MEANWHILE = "every run was reviewed before it could be told"


class OnUnknown(StrEnum):
    """What happens to a delivery whose lost answer cannot be looked up."""

    RESEND = "resend"
    HOLD = "hold"


def backoff(failures: int, *, first: timedelta = FIRST_WAIT, longest: timedelta = LONGEST_WAIT) -> timedelta:
    """Double the wait with every failure in a row (counted from 1), up to `longest`."""
    doublings = min(max(failures - 1, 0), MOST_DOUBLINGS)
    return min(first * (1 << doublings), longest)


def clamp_wish(retry_after: timedelta | None) -> timedelta | None:
    """A server's `Retry-After` within 1 s and 1 h; absurd values have been seen."""
    return None if retry_after is None else min(max(retry_after, SHORTEST_WISH), LONGEST_WISH)


def has_time(delivery: Delivery, now: datetime) -> bool:
    """Whether an attempt may still begin: a process that stood still must not send what another may have sent."""
    return delivery.lease_until is not None and now < delivery.lease_until - LEASE + START


def released(delivery: Delivery, now: datetime, *, claimed_at: datetime) -> Delivery:
    """A claim is given back before anything was sent."""
    return replace(_undoubted(delivery, claimed_at), state=State.PENDING, due_at=now + FIRST_WAIT)


def begin(delivery: Delivery, now: datetime) -> Delivery:
    """An attempt starts now: whatever was looked for before is settled, but may still turn up late."""
    return replace(delivery, attempts=delivery.attempts + 1, attempted_at=delivery.attempted_at or now, looks=0)


def sent(delivery: Delivery, receipt: Receipt, digest: str, now: datetime, edit_for: timedelta | None) -> Delivery:
    """It is posted; from now on the message is kept true for `edit_for` (None: not at all)."""
    return replace(
        delivery,
        state=State.SENT,
        receipt=receipt,
        digest=digest,
        settled_at=now,
        edit_until=None if edit_for is None else now + edit_for,
        last_error="",
    )


def withdrawn(delivery: Delivery, now: datetime) -> Delivery:
    """Nobody has to be told any more."""
    return replace(delivery, state=State.WITHDRAWN, settled_at=now, last_error=REVIEWED_MEANWHILE)


def refused(delivery: Delivery, error: DeliveryError, now: datetime, *, began_at: datetime) -> Delivery:
    """After a send that began then and failed: where the delivery goes next."""
    delivery = replace(delivery, last_error=str(error))
    if error.outcome in {Outcome.UNKNOWN, Outcome.BLIND}:
        return replace(delivery, state=State.UNKNOWN, due_at=now + LOOK_AGAIN)
    return _unposted(_undoubted(delivery, began_at), error, now)


def _unposted(delivery: Delivery, error: DeliveryError, now: datetime) -> Delivery:
    """Where a delivery goes that was surely not posted."""
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
    """A look that found nothing: once more, and then it was not posted and is sent again under the same key."""
    looks = delivery.looks + 1
    if looks < LOOKS:
        return replace(delivery, state=State.UNKNOWN, looks=looks, due_at=now + LOOK_AGAIN)
    # The looks have taken a while already: only one that fails again and again waits longer than they did.
    wait = max(backoff(delivery.attempts, longest=LONGEST_QUIET) - LOOKS * LOOK_AGAIN, timedelta(0))
    # The next attempt starts with no looks of its own, also where a crash keeps it from saying so.
    return replace(_doubted(delivery), state=State.PENDING, looks=0, due_at=now + wait)


def look_failed(delivery: Delivery, error: DeliveryError, now: datetime) -> Delivery:
    """A look that could not be made says nothing: look later."""
    wait = clamp_wish(error.retry_after) or backoff(delivery.attempts + 1)
    return replace(delivery, state=State.UNKNOWN, due_at=now + wait, last_error=str(error))


def look_deferred(delivery: Delivery, wait: timedelta, now: datetime) -> Delivery:
    """No look at present: the notifier has asked for a pause of all of them, and this one would only lengthen it."""
    return replace(delivery, state=State.UNKNOWN, due_at=now + wait)


def unseen(delivery: Delivery, error: DeliveryError, now: datetime, *, resend: bool) -> Delivery:
    """Looking up is impossible here: send again, or leave it to a person who can look into the channel."""
    if resend and delivery.attempts < BLIND_RESENDS:
        return replace(_doubted(delivery), state=State.PENDING, due_at=now, last_error=str(error))
    advice = f"may be posted, look into the channel, then run `review-notifier retry {delivery.key}` if it is not"
    return replace(delivery, state=State.HELD, due_at=NEVER, last_error=f"{error}; {advice}")


def edited(delivery: Delivery, digest: str, now: datetime) -> Delivery:
    """The message shows the newest state."""
    return replace(delivery, edit_at=None, edited_at=now, edits=delivery.edits + 1, digest=digest)


def unedited(delivery: Delivery, error: DeliveryError, now: datetime) -> Delivery:
    """After an edit that failed: later, or never again. A notice is never given up for it."""
    if error.outcome in {Outcome.RETRY, Outcome.THROTTLED, Outcome.UNKNOWN, Outcome.TOKEN}:
        wait = clamp_wish(error.retry_after) or backoff(1, first=FIRST_PAUSE)
        # It may have been made after all, so what the message shows is not known any more.
        return replace(delivery, edit_at=now + wait, digest="", last_error=str(error))
    return replace(delivery, edit_at=None, edit_until=None, last_error=str(error))


def paused(channel: str, error: DeliveryError, now: datetime, former: Pause | None) -> Pause:
    """A destination that refuses is left alone, longer with every try in a row."""
    failures = 1 if former is None else former.failures + 1
    wait = clamp_wish(error.retry_after) or backoff(failures, first=FIRST_PAUSE, longest=LONGEST_PAUSE)
    since = now if former is None else former.since
    return Pause(channel, since, until=now + wait, reason=error.code, failures=failures, error=str(error))


def _undoubted(delivery: Delivery, began_at: datetime) -> Delivery:
    """One whose attempt that began then was surely not posted; it may be in doubt for an earlier one."""
    return replace(delivery, attempted_at=None) if delivery.attempted_at == began_at else delivery


def _doubted(delivery: Delivery) -> Delivery:
    """One that may be posted after all, although nobody has seen it: so it must not take other notices in."""
    return replace(delivery, attempted_at=delivery.attempted_at or delivery.created_at)


def _simpler(delivery: Delivery, now: datetime) -> Delivery:
    """A refused message is tried once more with less: outside its thread, then as plain text; then it is dead."""
    if delivery.remind_in is not RemindIn.CHANNEL:
        return replace(delivery, state=State.PENDING, due_at=now, remind_in=RemindIn.CHANNEL)
    if not delivery.plain:
        return replace(delivery, state=State.PENDING, due_at=now, plain=True)
    return replace(delivery, state=State.DEAD, settled_at=now)
