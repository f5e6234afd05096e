"""A ladder at one instant, for all runs of a queue: what is due, what joins, since when each wait counts. Pure.

What the calendar says is asked for the queue, as cut-offs, rather than for each of its runs. The dues that a decision
leaves are instants in microseconds since 1970, for all runs together: from them comes when the next one has to be made.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING

from msgspec import Struct

from worker.core.actions import ends_of
from worker.core.instants import instant_at, microseconds
from worker.core.model import NO_ACTS, Entry, Kind
from worker.core.owed import NEVER
from worker.core.policy import JOINING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from worker.core.model import Review, Window
    from worker.core.policy import EscalationPolicy, Step


class _Past(Struct, frozen=True):
    """Whether a step had come for runs when they were last spoken of."""

    step: Step
    is_always: bool

    def had_come(self, review: Review, told_at: datetime) -> bool:
        step, since = self.step, review.since
        # Open time is never longer than time: where that was too short, the calendar need not be asked.
        if told_at - since < step.after:
            return False
        if self.is_always:
            return True
        older, as_old = step.cut_offs(told_at)
        # Exactly so old at a closing, it has come at the opening.
        return since < older or (since <= as_old and step.first_at(review) <= told_at)


class _Rung(Struct, frozen=True):
    """A step that may go out at one instant.

    It has come for what has waited since `first` or longer, and again for what was spoken of up to `again`; it takes
    along the same with `first_joining` and `again_joining`.
    """

    step: Step
    number: int
    past: _Past
    ready: datetime
    first: datetime
    first_joining: datetime
    again: datetime | None
    again_joining: datetime | None

    @classmethod
    def of(cls, past: _Past, number: int, ready: datetime, now: datetime) -> _Rung:
        step = past.step
        cut_off, every = step.calendar.cut_off, step.every
        return cls(
            step=step,
            number=number,
            past=past,
            ready=ready,
            first=cut_off(ready, step.after),
            first_joining=cut_off(now, step.after * (1 - JOINING)),
            again=None if step.repeat is None else cut_off(ready, step.repeat),
            again_joining=None if every is None else cut_off(ready, every * (1 - JOINING)),
        )

    def has_come(self, review: Review) -> bool:
        return self._reached(review, self.first, self.again)

    def is_spared(self, review: Review) -> bool:
        """Whether somebody has taken the run, or put it off, beyond the time at which the step may go out."""
        until = self.step.spared_until(review)
        return until is not None and until > self.ready

    def joins(self, review: Review) -> bool:
        if self.step.kind is Kind.ANNOUNCEMENT:
            return False
        return self._reached(review, self.first_joining, self.again_joining)

    def _reached(self, review: Review, first: datetime, again: datetime | None) -> bool:
        told_at = review.told_at
        if self.step.kind is Kind.ANNOUNCEMENT:
            return told_at is None
        if review.since > first:
            return False
        if told_at is None or (again is not None and told_at <= again):
            return True
        return not self.past.had_come(review, told_at)


class Moment(Struct, frozen=True):
    """A ladder at one instant: what is due then, for as many runs as there are.

    `rungs` are the steps that may go out then, lowest first; `first` is since when, at the latest, something has waited
    for which any of them but the announcement has come (None: there is no such step). `every` are the numbers of all
    steps, which concern a run of which nothing else is known; None where that depends on more.
    """

    policy: EscalationPolicy
    now: datetime
    past: tuple[_Past, ...]
    rungs: tuple[_Rung, ...]
    first: datetime | None
    every: range | None

    @classmethod
    def of(cls, policy: EscalationPolicy, now: datetime) -> Moment:
        """The ladder at `now`, by the clock that runs have their dates from."""
        past = tuple(_Past(step, step.calendar.is_always) for step in policy.steps)
        ready = [(each, number, each.step.ready_until(now)) for number, each in enumerate(past)]
        rungs = tuple(_Rung.of(each, number, at, now) for each, number, at in ready if at is not None)
        first = max((rung.first for rung in rungs if rung.step.kind is not Kind.ANNOUNCEMENT), default=None)
        every = range(len(policy.steps)) if policy.turns is None and policy.reminders is None else None
        return cls(policy, now, past, rungs, first, every)

    def due(self, review: Review) -> Step | None:
        """The highest step that is due for a review, and may go out: after an outage one notice, not three."""
        # Most runs of a large queue were spoken of, and are not old enough for anything else.
        if review.told_at is not None and (self.first is None or review.since > self.first):
            return None
        numbers = self._numbers_for(review)
        for rung in reversed(self.rungs):
            if rung.number in numbers and rung.has_come(review) and not rung.is_spared(review):
                return rung.step
        return None

    def _numbers_for(self, review: Review) -> range:
        # Asked for each run, so that the most usual answer is given without a call.
        if self.every is not None and review.absent_at is None and not (review.reserved or review.left_out):
            return self.every
        return self.policy.numbers_for(review)

    def joins(self, step: Step, review: Review) -> bool:
        """Whether a review is near enough to a step to be taken along by a notice that goes out anyway."""
        numbers = self.policy.numbers_for(review)
        return any(
            rung.joins(review) and not rung.is_spared(review)
            for rung in self.rungs
            if rung.step is step and rung.number in numbers
        )

    def told_at(self, step: Step, review: Review) -> datetime:
        """Up to when a notice of this moment speaks of a review: that its time has come before is not forgotten.

        One that is taken along is spoken of up to the instant at which it would have been due.
        """
        ready = next(rung.ready for rung in self.rungs if rung.step is step)
        first_at = review.since if step.kind is Kind.ANNOUNCEMENT else step.first_at(review)
        return max(ready, first_at)

    def dues(self, waiting: Iterable[Review]) -> list[list[int]]:
        """Since when those that wait do so for each step of the ladder, and for it to come again.

        In microseconds since 1970, and in the order of the reviews; each step has two lists. The last list is of the
        instants at which something comes for runs that people have taken or put off.
        """
        found: list[list[int]] = [[] for _ in range(2 * len(self.past) + 1)]
        for review in waiting:
            numbers, told_at = self._numbers_for(review), review.told_at
            since, has_acts = microseconds(review.since), review.acts is not NO_ACTS
            if has_acts:
                found[-1] += (microseconds(at) for at in ends_of(review.acts))
            for number in numbers:
                # A run that was spoken of waits for no announcement.
                if number == 0 and told_at is not None:
                    continue
                past = self.past[number]
                if has_acts and past.step.spared_until(review) is not None:
                    found[-1] += (microseconds(past.step.goes_at(at)) for at in (past.step.due_at(review),) if at)
                elif told_at is None or not past.had_come(review, told_at):
                    found[2 * number].append(since)
                elif past.step.repeat is not None:
                    found[2 * number + 1].append(microseconds(told_at))
        return found


def dues_together(dues: list[list[int]], others: Sequence[Sequence[int] | None]) -> tuple[Sequence[int], ...]:
    """The dues of some runs, and those of the `others`, sorted."""
    if others:
        dues = [[*some, *(more or ())] for some, more in zip(dues, others, strict=True)]
    return tuple(array("q", sorted(some)) for some in dues)


def dues_without(dues: Sequence[int], some: Iterable[int]) -> Sequence[int] | None:
    """Sorted instants less some of them; None where one is not among them."""
    left = array("q", dues)
    for at in some:
        place = bisect_left(left, at)
        if place == len(left) or left[place] != at:
            return None
        del left[place]
    return left


def decides_at(
    dues: Iterable[Sequence[int]],
    policy: EscalationPolicy,
    window: Window | None,
    now: datetime,
    muted_until: datetime | None = None,
) -> datetime | None:
    """When an unchanged listing would change something: at the next step, or at the end of a window, act or mute."""
    new, _, *later, acted = dues
    if muted_until is not None and muted_until <= now:
        muted_until = None
    waits = zip([(step, again) for step in policy.steps[1:] for again in (False, True)], later, strict=True)
    # Going out rises with being due, and that with the begin of the wait: the first decides for all.
    goes_at = [
        step.goes_at(_unmuted(step, step.comes_at(instant_at(some[0]), again=again), muted_until))
        for (step, again), some in waits
        if some
    ]
    if new:
        soon = _announces_at(policy, window, now)
        goes_at.append(soon if muted_until is None else max(soon, policy.calendar.opens(muted_until)))
    # What has come already and did not go out is muted.
    goes_at += (instant_at(at) for at in acted[bisect_right(acted, microseconds(now)) :][:1])
    if acted and muted_until is not None:
        goes_at.append(muted_until)
    return min((at for at in goes_at if at < NEVER), default=None)


def _unmuted(step: Step, due_at: datetime, muted_until: datetime | None) -> datetime:
    """When a step is due that a mute may hold."""
    return due_at if muted_until is None or step.kind is Kind.ESCALATION else max(due_at, muted_until)


def _announces_at(policy: EscalationPolicy, window: Window | None, now: datetime) -> datetime:
    """When new runs that wait are announced, or looked at again: a message may be on its way that takes them in."""
    soon = policy.calendar.opens(now)
    if window is None or window.entry in {Entry.VOID, Entry.MERGE, Entry.UNSURE} or soon > now:
        return soon
    # What waits at an opening is announced then, whatever window is open.
    return max(min(policy.window_ends(window), policy.calendar.posting_again(now)), soon)
