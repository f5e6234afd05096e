"""The notices that a waiting run deserves, and when: the ladder. Pure.

Durations count by the queue's calendar, and a notice goes out only when something may be posted. Memory holds instants
alone, so a ladder or a calendar that is changed announces nothing again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

from worker.core.calendar import ALWAYS_OPEN
from worker.core.filters import NO_FILTERS, Filters, filters_of
from worker.core.model import NO_ACTS, Kind, RemindIn
from worker.core.owed import NEVER

if TYPE_CHECKING:
    from datetime import datetime

    from worker.core.audience import Turns
    from worker.core.calendar import Calendar, Times
    from worker.core.filters import Conditions, Order
    from worker.core.model import Review, Window
    from worker.core.owed import Destination

ZERO = timedelta(0)
_NO_STEPS = range(0)
JOINING = 1 / 4
"""A notice takes along what becomes due within this share of the step's wait: fewer messages, none late."""

MOST_INSTANTS = 10_000
"""A step keeps what its calendar has said of so many instants at most."""


@dataclass(frozen=True, slots=True)
class Step:
    """One rung: the notice that a run deserves once it has waited `after`, and again `every` so long (None: once).

    Both count by `calendar`, within which the notice is posted. `times` are the only times of the week at which it goes
    out (None: as soon as it is due).
    """

    kind: Kind
    after: timedelta
    destination: Destination
    every: timedelta | None = None
    mention: tuple[str, ...] = ()
    remind_in: RemindIn = RemindIn.CHANNEL
    calendar: Calendar = ALWAYS_OPEN
    times: Times | None = None
    # What the calendar has said of instants that many runs share, and that come up at each decision.
    _cut_offs: dict[datetime, tuple[datetime, datetime]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @property
    def repeat(self) -> timedelta | None:
        """How long after a notice the next one is due."""
        if self.every is None or self.times is None:
            return self.every
        # Waiting for the next of its times, one that comes a minute late would be late by a day.
        return self.every * (1 - JOINING)

    def first_at(self, review: Review) -> datetime:
        """When a run has waited long enough for the first time."""
        return self.calendar.later(review.since, self.after)

    def cut_offs(self, at: datetime) -> tuple[datetime, datetime]:
        """From when to when a run began to wait that has waited long enough for the first time just then."""
        if (found := self._cut_offs.get(at)) is None:
            if len(self._cut_offs) >= MOST_INSTANTS:
                self._cut_offs.clear()
            found = self._cut_offs[at] = self.calendar.cut_offs(at, self.after)
        return found

    def counts_from(self, review: Review) -> tuple[bool, datetime] | None:
        """Whether a run waits for the step to come again, and since when that counts; None: it never comes."""
        told_at = review.told_at
        if self.kind is Kind.ANNOUNCEMENT:
            # Whatever became of the calendar since: a run is announced once.
            return (False, review.since) if told_at is None else None
        # Open time is never longer than time: where that was too short, the calendar need not be asked.
        if told_at is None or told_at - review.since < self.after or told_at < (first_at := self.first_at(review)):
            return False, review.since
        return None if self.repeat is None else (True, max(told_at, first_at))

    def spared_until(self, review: Review) -> datetime | None:
        """Until when people who have taken a run, or put it off, spare it from this step; None: they do not."""
        return None if review.acts is NO_ACTS else review.acts.spared_until(self.kind)

    def comes_at(self, since: datetime, *, again: bool) -> datetime:
        """When the step is due for what counts from then, whether or not anything may be posted then."""
        if self.kind is Kind.ANNOUNCEMENT:
            return since
        return self.calendar.later(since, self.repeat if again and self.repeat is not None else self.after)

    def due_at(self, review: Review) -> datetime | None:
        """When the step is due for a run; None: never again."""
        if (counting := self.counts_from(review)) is None:
            return None
        due_at, spared_until = self.comes_at(counting[1], again=counting[0]), self.spared_until(review)
        return due_at if spared_until is None else max(due_at, spared_until)

    def goes_at(self, due_at: datetime) -> datetime:
        """When a notice that is due at an instant may go out."""
        if self.times is not None:
            due_at = self.calendar.next_time(self.times, due_at)
        return self.calendar.opens(due_at)

    def ready_until(self, now: datetime) -> datetime | None:
        """Notices that were due by this instant may go out now; None: none may."""
        if not self.calendar.may_post(now):
            return None
        return now if self.times is None else self.calendar.last_time(self.times, now)


class EscalationPolicy(Struct, frozen=True):
    """The ladder of one queue, lowest step first. `spare_reserved` keeps all but the lowest from reserved runs.

    After an announcement the next one waits `announce_every`, which counts by `calendar`. `turns` says of which runs
    people are notified directly, so that of these only escalations go to the channel (None: of none). After so many
    `reminders` of one run only an owner hears of it (None: there is none, and they go on). No one hears of the runs
    that `filters` leave out.
    """

    steps: tuple[Step, ...]
    spare_reserved: bool = True
    announce_every: timedelta = ZERO
    calendar: Calendar = ALWAYS_OPEN
    turns: Turns | None = None
    reminders: int | None = None
    filters: Filters = NO_FILTERS

    def without(self, kind: Kind) -> tuple[Step, ...]:
        """The steps of all other kinds."""
        return tuple(step for step in self.steps if step.kind is not kind)

    @property
    def destination(self) -> Destination:
        """The queue's own destination: where it is announced."""
        return self.steps[0].destination

    def calendar_of(self, kind: Kind) -> Calendar:
        """The calendar by which notices of a kind are posted."""
        return next((step.calendar for step in self.steps if step.kind is kind), self.calendar)

    def window_ends(self, window: Window) -> datetime:
        """When new runs may be announced again after the announcement that opened a window."""
        return self.calendar.opens(self.calendar.later(window.opened_at, self.announce_every))

    def steps_for(self, review: Review) -> tuple[Step, ...]:
        """The steps that concern a review as it is now. One that is absent, perhaps reviewed, or left out is let be."""
        return tuple(self.steps[number] for number in self.numbers_for(review))

    def numbers_for(self, review: Review) -> range:
        """The numbers of the steps that concern a review, counted from the lowest of the ladder."""
        if review.absent_at is not None or review.left_out:
            return _NO_STEPS
        most = 1 if review.reserved and self.spare_reserved else len(self.steps)
        return range(self._beside if self.is_direct(review) or self.is_worn(review) else 0, most)

    def is_direct(self, review: Review) -> bool:
        """Whether people are notified of a run directly."""
        return self.turns is not None and self.turns.is_direct(review)

    def is_worn(self, review: Review) -> bool:
        """Whether the channel was reminded of a run so often that only the owner still hears of it."""
        return is_worn(review, self.reminders)

    @property
    def _beside(self) -> int:
        """The number of the lowest step that goes to the channel whoever is notified directly."""
        return next((number for number, step in enumerate(self.steps) if step.kind is Kind.ESCALATION), len(self.steps))

    def spoken_at_baseline(self, review: Review, now: datetime) -> datetime:
        """Up to when a baseline speaks of a run: where it has to be escalated, the next poll finds that due."""
        escalates = any(step.kind is Kind.ESCALATION and step.first_at(review) <= now for step in self.steps)
        return review.since if escalates else spoken_until(review, now)

    def stale_at(self, review: Review) -> datetime | None:
        """When a run becomes stale, or became so; None: never."""
        return next((step.first_at(review) for step in self.steps if step.kind is Kind.REMINDER), None)

    def next_step(self, review: Review) -> tuple[Step, datetime] | None:
        """The step that comes next, should nothing change, and when; the highest of those that come together."""
        dues = [(step, due_at) for step in self.steps_for(review) if (due_at := step.due_at(review)) is not None]
        coming = [(step, step.goes_at(due_at)) for step, due_at in dues if due_at < NEVER]
        return min(reversed(coming), key=lambda each: each[1], default=None)

    def next_due_at(self, review: Review) -> datetime | None:
        """When the next step comes, should nothing change; None: never."""
        coming = self.next_step(review)
        return None if coming is None else coming[1]


class Rungs(Protocol):
    """The settings of a queue that its ladder is made of; None leaves a rung out."""

    channel: Destination
    announce_every: timedelta
    stale_after: timedelta | None
    remind_every: timedelta | None
    remind_in: RemindIn
    remind_at: Times | None
    remind_reserved: bool
    escalate_after: timedelta | None
    escalate_every: timedelta | None
    escalate_to: Destination
    escalate_mention: tuple[str, ...]
    escalate_outside_hours: bool
    only: Conditions | None
    skip: Conditions | None
    order: tuple[Order, ...]


def ladder(rungs: Rungs, calendar: Calendar = ALWAYS_OPEN) -> EscalationPolicy:
    """Build the policy that a queue's settings describe."""
    steps = [Step(Kind.ANNOUNCEMENT, ZERO, rungs.channel, calendar=calendar)]
    if (after := rungs.stale_after) is not None:
        steps.append(
            Step(
                kind=Kind.REMINDER,
                after=after,
                destination=rungs.channel,
                every=rungs.remind_every,
                remind_in=rungs.remind_in,
                calendar=calendar,
                times=rungs.remind_at,
            )
        )
    if (after := rungs.escalate_after) is not None:
        is_urgent = rungs.escalate_outside_hours
        steps.append(
            Step(
                kind=Kind.ESCALATION,
                after=after,
                destination=rungs.escalate_to,
                every=rungs.escalate_every,
                mention=rungs.escalate_mention,
                calendar=ALWAYS_OPEN if is_urgent else calendar,
                times=None if is_urgent else rungs.remind_at,
            )
        )
    return EscalationPolicy(
        steps=tuple(steps),
        spare_reserved=not rungs.remind_reserved,
        announce_every=rungs.announce_every,
        calendar=calendar,
        filters=filters_of(rungs.only, rungs.skip, rungs.order),
    )


def is_worn(review: Review, reminders: int | None) -> bool:
    """Whether a channel was reminded of a run as often as it may be (None: there is no limit)."""
    return reminders is not None and review.told_at is not None and review.reminded >= reminders


def age_of(review: Review, now: datetime) -> timedelta:
    """How long a review has waited; a clock that was set back makes it zero, not negative."""
    return max(now - review.since, ZERO)


def spoken_until(review: Review, now: datetime) -> datetime:
    """Up to when a notice at `now` speaks of a review: not before its wait began, whatever the clock says."""
    return max(now, review.since)
