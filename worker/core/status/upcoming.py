"""The next notice about a run that waits, and the reason for it; what of a queue is held outside hours. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from worker.core.model import Entry, Kind
from worker.core.owed import NEVER, State
from worker.core.text import day_time, day_time_in

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from worker.core.model import Review, Window
    from worker.core.overview import Advice
    from worker.core.owed import Delivery
    from worker.core.policy import EscalationPolicy, Step


class Upcoming(Struct, frozen=True):
    """The next notice about a run: when it goes out (None: never), of which kind, and why.

    `held_from` is when it fell due, and `held_until` when it goes out, where nothing may be posted in between.
    """

    due_at: datetime | None
    kind: Kind | None
    why: str
    held_from: datetime | None = None
    held_until: datetime | None = None


class Circumstances(Struct, frozen=True):
    """What a notice of one queue depends on beside its runs.

    `window` is the one that the queue's last announcement opened; `is_baselined` is False before the baseline.
    `muted_until` is the end of the last mute.
    """

    policy: EscalationPolicy
    window: Window | None = None
    is_baselined: bool = True
    muted_until: datetime | None = None

    def muted(self, now: datetime) -> datetime | None:
        """Until when the queue is muted; None where it is not."""
        return self.muted_until if self.muted_until is not None and self.muted_until > now else None


class Held(Struct, frozen=True):
    """What of a queue waits for an opening, or for the end of quiet: runs and deliveries, and until when."""

    runs: int = 0
    deliveries: int = 0
    until: datetime | None = None


class _Coming(Struct, frozen=True):
    """A step of the ladder: when it falls due for a run, and when it goes out."""

    step: Step
    due_at: datetime
    goes_at: datetime

    def is_held(self, now: datetime) -> bool:
        return self.due_at <= now < self.goes_at and not self.step.calendar.may_post(now)


def upcoming(given: Circumstances, review: Review, now: datetime, advice: Advice) -> Upcoming:
    """The notice that comes next, should the run go on waiting and the settings stay as they are."""
    policy = given.policy
    if why := _let_be(review):
        return Upcoming(None, None, why)
    if (coming := _next(given, review, now)) is None:
        return Upcoming(None, None, _why_nothing(policy, review, now))
    kind = coming.step.kind
    if kind is Kind.ANNOUNCEMENT and not given.is_baselined:
        kind = Kind.BASELINE
    if coming.is_held(now):
        zone = coming.step.calendar.zone
        why = f"held from {day_time(coming.due_at, zone)} until {day_time_in(coming.goes_at, zone)}"
        return Upcoming(coming.goes_at, kind, why, coming.due_at, coming.goes_at)
    return Upcoming(coming.goes_at, kind, _why(coming, given, review, now, advice))


def _why_nothing(policy: EscalationPolicy, review: Review, now: datetime) -> str:
    """Why no further notice about a run goes to the channel."""
    if policy.is_direct(review):
        return _directly(policy, review, now)
    if review.reserved and policy.spare_reserved and len(policy.steps) > 1:
        return "it is reserved"
    if policy.is_worn(review):
        return f"its channel was reminded of it {review.reminded} times: from now on only the owner is"
    return "the settings ask for nothing more"


def _let_be(review: Review) -> str:
    """Why there is no notice about a run as it is now, whatever the settings ask for; '' where there may be one."""
    if review.closed_at is not None:
        return "it is no longer waiting"
    if review.absent_at is not None:
        return "the last listing did not show it: it may be reviewed"
    return f"the filter {review.left_out} of its queue leaves it out" if review.left_out else ""


def _directly(policy: EscalationPolicy, review: Review, now: datetime) -> str:
    """Who is notified of a run instead of the channel."""
    turns = policy.turns
    persons = turns.of(review) if turns is not None else ()
    reached = [person for person in persons if turns is not None and turns.persons.may_be_reached(person)]
    if not reached:
        return "a direct message goes to the owner, as none reaches those whose turn it is"
    known = [name for person in reached if (name := person.name or person.user)]
    whom = ", ".join(known) or "those whose turn it is"
    calendar = policy.calendar
    if calendar.may_post(now) or any(person.calendar for person in reached):
        return f"direct messages go to {whom}"
    return f"direct messages go to {whom}, not before {day_time_in(calendar.opens(now), calendar.zone)}"


def count_held(given: Circumstances, reviews: Iterable[Review], deliveries: Iterable[Delivery], now: datetime) -> Held:
    """What of a queue is held, of its open reviews and the deliveries that are owed about it."""
    nexts = (_next(given, review, now) for review in reviews if given.policy.steps_for(review) and review.is_open)
    runs = [coming.goes_at for coming in nexts if coming is not None and coming.is_held(now)]
    waiting = [until for each in deliveries if (until := _delivery_held_until(given, each, now)) is not None]
    return Held(len(runs), len(waiting), min((*runs, *waiting), default=None))


def _delivery_held_until(given: Circumstances, delivery: Delivery, now: datetime) -> datetime | None:
    """Until when a delivery waits for its calendar; None where it does not. HELD waits for something else."""
    until = delivery.held_until
    if delivery.state is not State.PENDING or until is None or until <= now:
        return None
    return None if given.policy.calendar_of(delivery.kind).may_post(now) else until


def _next(given: Circumstances, review: Review, now: datetime) -> _Coming | None:
    """The step that goes out first, the highest of those that go out together; None: there is none."""
    # First a queue has its baseline, whatever else its runs are due for.
    steps = given.policy.steps_for(review) if given.is_baselined else given.policy.steps[:1]
    dues = [(step, at) for step in steps if (at := step.due_at(review)) is not None and at < NEVER]
    coming = [
        _announcement(given, step, review, now)
        if step.kind is Kind.ANNOUNCEMENT
        # Nothing is due before it is known of.
        else _Coming(step, max(at, review.first_seen_at), max(step.goes_at(at), step.calendar.opens(now)))
        for step, at in dues
    ]
    coming = [_unmuted(given, each, now) for each in coming]
    return min(reversed([each for each in coming if each.goes_at < NEVER]), key=lambda each: each.goes_at, default=None)


def _unmuted(given: Circumstances, coming: _Coming, now: datetime) -> _Coming:
    """A step as a mute of its queue lets it go out."""
    until = given.muted(now)
    if until is None or coming.step.kind is Kind.ESCALATION or coming.goes_at >= until:
        return coming
    return replace(coming, goes_at=coming.step.goes_at(until))


def _announcement(given: Circumstances, step: Step, review: Review, now: datetime) -> _Coming:
    """When a run is announced: at once, at the end of the window, or at the first opening before that."""
    calendar, seen_at, ends = step.calendar, review.first_seen_at, _window_ends(given, now)
    opens_at = calendar.opens(now)
    if ends is None:
        return _Coming(step, seen_at, opens_at)
    if opens_at > now:
        came_outside = calendar.opens(seen_at) > seen_at
        return _Coming(step, seen_at if came_outside else opens_at, opens_at)
    opened_at = calendar.posting_since(now)
    if given.window is not None and given.window.opened_at < opened_at and seen_at < opened_at:
        return _Coming(step, seen_at, now)
    # What waits at an opening is announced then, whatever window is open.
    at = min(ends, calendar.posting_again(now))
    return _Coming(step, at, at)


def _window_ends(given: Circumstances, now: datetime) -> datetime | None:
    """When the open window ends; None where none is open."""
    window = given.window
    if window is None or window.entry in {Entry.VOID, Entry.MERGE}:
        return None
    ends = given.policy.window_ends(window)
    return ends if ends > now else None


def _why(coming: _Coming, given: Circumstances, review: Review, now: datetime, advice: Advice) -> str:
    step = coming.step
    if (spared := _why_spared(coming, given, review, now)) is not None:
        return spared
    if step.kind is Kind.ANNOUNCEMENT:
        return _why_announced(coming, given, now)
    if step.kind is Kind.ESCALATION:
        return f"by then it has waited for {advice.escalate_after}"
    again = review.told_at is not None and review.told_at >= step.first_at(review)
    return (
        f"{advice.remind_every} after the last notice" if again else f"by then it has waited for {advice.stale_after}"
    )


def _why_spared(coming: _Coming, given: Circumstances, review: Review, now: datetime) -> str | None:
    """That somebody has taken the run or put it off, or muted the queue, where the step waits for that."""
    zone, acts = coming.step.calendar.zone, review.acts
    muted_until = None if coming.step.kind is Kind.ESCALATION else given.muted(now)
    # What falls due only after the mute does not wait for its end.
    if muted_until is not None and coming.due_at < muted_until <= coming.goes_at:
        return f"the queue is muted until {day_time_in(muted_until, zone)}"
    until = acts.spared_until(coming.step.kind)
    if until is None or until <= now:
        return None
    if until == acts.snoozed_until:
        return f"it is snoozed until {day_time_in(until, zone)}"
    return f"{acts.claimed_name} has it until {day_time_in(until, zone)}"


def _why_announced(coming: _Coming, given: Circumstances, now: datetime) -> str:
    if coming.goes_at <= now or given.window is None:
        return "it was not announced so far"
    at = day_time_in(coming.goes_at, coming.step.calendar.zone)
    by_edit = given.window.entry is Entry.BY_EDIT
    return f"shown by an edit, announced at {at}" if by_edit else f"announced at {at}, after the last announcement"
