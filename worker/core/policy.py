"""What a waiting run deserves, and when: the ladder. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

from worker.core.model import Kind, RemindIn

if TYPE_CHECKING:
    from datetime import datetime

    from worker.core.model import Review

ZERO = timedelta(0)
_JOIN = 3 / 4
"""From this share of `every` on, a repeat joins a reminder that goes out anyway: fewer messages, none late."""


@dataclass(frozen=True, slots=True)
class Step:
    """One rung: what to tell a run's people once it has waited `after`, and again `every` so long (None: once)."""

    kind: Kind
    after: timedelta
    channel: str
    every: timedelta | None = None
    mention: tuple[str, ...] = ()
    remind_in: RemindIn = RemindIn.CHANNEL

    def due_age(self, told: timedelta | None) -> timedelta | None:
        """At which age the step is due for a run that was spoken of up to `told`; None: never again."""
        if told is None or told < self.after:
            return self.after
        return None if self.every is None else told + self.every

    def may_join(self, told: timedelta | None, age: timedelta) -> bool:
        """Whether a repeat is near enough to go out together with others."""
        if self.every is None or told is None or told < self.after:
            return False
        return age >= told + self.every * _JOIN


@dataclass(frozen=True, slots=True)
class EscalationPolicy:
    """The ladder of one queue, lowest step first. `spare_reserved` keeps all but the lowest from reserved runs."""

    steps: tuple[Step, ...]
    spare_reserved: bool = True

    @property
    def channel(self) -> str:
        """The queue's own channel: where it is announced."""
        return self.steps[0].channel

    def steps_for(self, review: Review) -> tuple[Step, ...]:
        """The steps that concern a review as it is now. One that is absent, perhaps reviewed, is let be."""
        if review.absent_at is not None:
            return ()
        return self.steps[:1] if review.reserved and self.spare_reserved else self.steps

    def due(self, review: Review, now: datetime) -> Step | None:
        """The highest step that is due: after an outage one notice, not three."""
        age, told = age_of(review, now), told_age(review)
        due = [step for step in self.steps_for(review) if _has_come(step.due_age(told), age)]
        return due[-1] if due else None

    def told_at_first_sight(self, review: Review, now: datetime) -> datetime:
        """Up to when a baseline speaks of a run: where it has to be escalated, the next poll finds that due."""
        age = age_of(review, now)
        escalates = any(step.kind is Kind.ESCALATION and step.after <= age for step in self.steps)
        return review.since if escalates else spoken_until(review, now)

    def next_due_at(self, review: Review) -> datetime | None:
        """When the next step comes, should nothing change; None: never."""
        age = min((age for age, _ in self._due_ages(review)), default=None)
        return None if age is None else _later(review.since, age)

    def next_step(self, review: Review) -> Step | None:
        """The step that comes next, should nothing change; the highest of those that come together."""
        ages = self._due_ages(review)
        return min(reversed(ages), key=lambda each: each[0])[1] if ages else None

    def _due_ages(self, review: Review) -> list[tuple[timedelta, Step]]:
        """The steps that come for a review, each with the age at which it does; lowest step first."""
        told = told_age(review)
        return [(age, step) for step in self.steps_for(review) if (age := step.due_age(told)) is not None]


class Rungs(Protocol):
    """The settings of a queue that its ladder is made of; None leaves a rung out."""

    channel: str
    stale_after: timedelta | None
    remind_every: timedelta | None
    remind_in: RemindIn
    remind_reserved: bool
    escalate_after: timedelta | None
    escalate_to: str
    escalate_mention: tuple[str, ...]


def ladder(rungs: Rungs) -> EscalationPolicy:
    """Build the policy that a queue's settings describe."""
    steps = [Step(Kind.ANNOUNCEMENT, ZERO, rungs.channel)]
    if (after := rungs.stale_after) is not None:
        steps.append(Step(Kind.REMINDER, after, rungs.channel, every=rungs.remind_every, remind_in=rungs.remind_in))
    if (after := rungs.escalate_after) is not None:
        steps.append(Step(Kind.ESCALATION, after, rungs.escalate_to, mention=rungs.escalate_mention))
    return EscalationPolicy(tuple(steps), spare_reserved=not rungs.remind_reserved)


def age_of(review: Review, now: datetime) -> timedelta:
    """How long a review has waited; a clock that was set back makes nobody younger than nothing."""
    return max(now - review.since, ZERO)


def told_age(review: Review) -> timedelta | None:
    """Up to which age a review has been spoken of; None: never. One that was spoken of is never as good as new."""
    told_at = review.told_at
    if told_at is None:
        return None
    # Asked twice a run and poll, and most runs were spoken of at once: a comparison is cheaper than a difference.
    return told_at - review.since if told_at > review.since else ZERO


def spoken_until(review: Review, now: datetime) -> datetime:
    """Up to when a notice at `now` speaks of a review: not before its wait began, whatever the clock says."""
    return max(now, review.since)


def _has_come(due_age: timedelta | None, age: timedelta) -> bool:
    return due_age is not None and due_age <= age


def _later(instant: datetime, duration: timedelta) -> datetime | None:
    """The sum, or None where it lies beyond the calendar."""
    try:
        return instant + duration
    except OverflowError:
        return None
