"""The ladder: which notice a waiting run is due for, and when. Pure."""

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
    """One rung: the notice for a run that has waited `after`, repeated after each `every` (None: never repeated)."""

    kind: Kind
    after: timedelta
    channel: str
    every: timedelta | None = None
    mention: tuple[str, ...] = ()
    remind_in: RemindIn = RemindIn.CHANNEL

    def due_age(self, notified: timedelta | None) -> timedelta | None:
        """The age at which the step is due for a run that was last spoken of at age `notified`; None: never again."""
        if notified is None or notified < self.after:
            return self.after
        return None if self.every is None else notified + self.every

    def may_join(self, notified: timedelta | None, age: timedelta) -> bool:
        """Whether a repeat is near enough to go out together with others."""
        if self.every is None or notified is None or notified < self.after:
            return False
        return age >= notified + self.every * _JOIN


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
        """The steps that concern a review as it is now."""
        # It was absent from the last listing, so it may be reviewed: a reminder of it could be wrong.
        if review.absent_at is not None:
            return ()
        return self.steps[:1] if review.reserved and self.spare_reserved else self.steps

    def due(self, review: Review, now: datetime) -> Step | None:
        """The highest step that is due."""
        age, notified = age_of(review, now), notified_age(review)
        due = [step for step in self.steps_for(review) if _has_come(step.due_age(notified), age)]
        # Only the highest: after an outage several are due at once, and people want one notice, not three.
        return due[-1] if due else None

    def spoken_at_baseline(self, review: Review, now: datetime) -> datetime:
        """The instant up to which a baseline speaks of a run."""
        age = age_of(review, now)
        escalates = any(step.kind is Kind.ESCALATION and step.after <= age for step in self.steps)
        # A run that is past the escalation age counts as spoken of at age zero, so that the next poll escalates it.
        return review.since if escalates else spoken_until(review, now)

    def next_due_at(self, review: Review) -> datetime | None:
        """The time of the next step, should nothing change; None: never."""
        age = min((age for age, _ in self._due_ages(review)), default=None)
        return None if age is None else _later(review.since, age)

    def next_step(self, review: Review) -> Step | None:
        """The step that comes next, should nothing change."""
        ages = self._due_ages(review)
        # Reversed, because min() keeps the first of equals: of steps that come together the highest counts.
        return min(reversed(ages), key=lambda each: each[0])[1] if ages else None

    def _due_ages(self, review: Review) -> list[tuple[timedelta, Step]]:
        """The steps that come for a review, each with the age at which it does; lowest step first."""
        notified = notified_age(review)
        return [(age, step) for step in self.steps_for(review) if (age := step.due_age(notified)) is not None]


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
    """The time that a review has waited."""
    # A clock that was set back must not make an age negative.
    return max(now - review.since, ZERO)


def notified_age(review: Review) -> timedelta | None:
    """The age up to which a review has been spoken of; None: never."""
    told_at = review.told_at
    if told_at is None:
        return None
    # Called twice for each run and poll, and most runs were spoken of at once: comparing is cheaper than subtracting.
    # The smallest answer is zero and not None: a run that was spoken of is never new again.
    return told_at - review.since if told_at > review.since else ZERO


def spoken_until(review: Review, now: datetime) -> datetime:
    """The instant up to which a notice at `now` speaks of a review."""
    # A wrong clock may say that the notice comes before the wait: `told_at` is never before `since`.
    return max(now, review.since)


def _has_come(due_age: timedelta | None, age: timedelta) -> bool:
    return due_age is not None and due_age <= age


def _later(instant: datetime, duration: timedelta) -> datetime | None:
    """The sum, or None where it is later than the last date that Python knows."""
    try:
        return instant + duration
    except OverflowError:
        return None
