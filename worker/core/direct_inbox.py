"""One reader's inbox: what the reader is called for now, and what enters the message that stands there. Pure."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from datetime import timedelta
from typing import TYPE_CHECKING, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from worker.core.actions import ends_of
from worker.core.model import NO_ACTS, Entry, Kind
from worker.core.moment import Moment
from worker.core.owed import NEVER
from worker.core.plan import may_announce

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    from worker.core.calendar import Calendar
    from worker.core.model import Id, Review, ReviewKey, Window
    from worker.core.owed import Destination
    from worker.core.policy import EscalationPolicy

About: TypeAlias = "tuple[Id, ReviewKey]"
"""A review, by its queue as well."""


class Spoken(Struct, frozen=True):
    """How far a reader has heard of one run, which is the reader's turn `since` then.

    `told_at` is the instant up to which a message has called the reader for it (None: none has), `called_by` the last
    of these. `reminded` counts the reminders among them, `generation` all.
    """

    since: datetime
    told_at: datetime | None = None
    reminded: int = 0
    generation: int = 0
    called_by: UUID | None = None


def joined(known: Sequence[Spoken]) -> Spoken:
    """What one person has heard who was known by several ids."""
    return Spoken(
        since=min(each.since for each in known),
        told_at=max((each.told_at for each in known if each.told_at is not None), default=None),
        reminded=max(each.reminded for each in known),
        generation=max(each.generation for each in known),
        called_by=next((each.called_by for each in known if each.called_by is not None), None),
    )


class Allowance(Struct, frozen=True):
    """How often people are called: by so many messages on one day, and reminded so many times of one run."""

    person_day: int
    run: int


class OpenTurn(Struct, frozen=True):
    """One run that is a reader's turn, with the ladder by which the reader is notified of it.

    `is_own` says that the reader has it in hand, and so need not hear that it is new. `muted_until` is when the last
    mute of its queue ends. One that `is_passed` was escalated, and a call that was over the budget of its day is the
    owner's to hear of.
    """

    about: About
    review: Review
    ladder: EscalationPolicy
    spoken: Spoken
    is_own: bool = False
    muted_until: datetime | None = None
    is_passed: bool = False

    def is_muted(self, now: datetime) -> bool:
        """Whether its queue is muted, so that no one is called for it."""
        return self.muted_until is not None and self.muted_until > now

    @property
    def view(self) -> Review:
        """The review as the reader has heard of it; of a call that is passed on, nothing so far."""
        told_at = None if self.is_passed else self.spoken.told_at
        return replace(self.review, told_at=told_at, generation=self.spoken.generation)


class Inbox(Struct, frozen=True):
    """Everything that is one reader's turn, over all queues.

    `window` is the one that the last message opened. The reader was called `spent` times since `day_began`. One that is
    `daily` gets one message a day. Our clock is `ahead` of the one that the runs have their dates from: by that they
    grow old, while messages and days go by ours.
    """

    reader: str
    destination: Destination
    turns: tuple[OpenTurn, ...]
    window: Window | None = None
    spent: int = 0
    day_began: datetime | None = None
    day_ends: datetime = NEVER
    is_daily: bool = False
    ahead: timedelta = timedelta(0)


class Call(Struct, frozen=True):
    """A turn in a message: why it is there, and what the reader will have heard by it."""

    turn: OpenTurn
    kind: Kind
    told_at: datetime

    @property
    def after(self) -> Spoken:
        """What the reader has heard once called for it."""
        spoken = self.turn.spoken
        return replace(
            spoken,
            told_at=self.told_at,
            reminded=spoken.reminded + (self.kind is Kind.REMINDER),
            generation=spoken.generation + 1,
        )


class InboxPlan(Struct, frozen=True):
    """What is due in one inbox: runs that the reader is called for, others that the message shows by an edit alone.

    `passed` are those that are due and of which only the owner hears: the budget is spent, or the reader was reminded
    often enough.
    """

    called: tuple[Call, ...] = ()
    shown: tuple[Call, ...] = ()
    passed: tuple[OpenTurn, ...] = ()
    next_due_at: datetime | None = None


def plan_inbox(inbox: Inbox, budget: Allowance, now: datetime) -> InboxPlan:
    """Decide what one reader is called for now, and what the message that stands there is to show."""
    due, near, worn, muted = _due(inbox, budget, now)
    new = [call for call in due if call.kind is Kind.ANNOUNCEMENT]
    if not (len(new) < len(due) or _may_call_for(new, inbox, now)):
        return InboxPlan((), _by_edit([*new, *muted], inbox), worn, _next_due_at(inbox, (), new, now))
    if inbox.window is not None and inbox.window.entry is Entry.UNSURE:
        # It may be just being posted: what is due goes out beside it, or not at all, once that is known.
        return InboxPlan(passed=worn, next_due_at=now)
    if not _may_call(inbox, budget):
        passed = () if inbox.is_daily else tuple(call.turn for call in due)
        return InboxPlan((), _by_edit([*due, *muted], inbox), (*passed, *worn), inbox.day_ends)
    called = (*due, *near) if due else ()
    return InboxPlan(called, _by_edit(muted, inbox), worn, _next_due_at(inbox, called, (), now))


def _due(
    inbox: Inbox, budget: Allowance, now: datetime
) -> tuple[list[Call], list[Call], tuple[OpenTurn, ...], list[Call]]:
    """The turns that are due, those near enough to go with them, and those of which the reader was reminded enough.

    The last are new ones of muted queues: messages show them, and call for none.
    """
    due: list[Call] = []
    muted: list[Call] = []
    near: list[Call] = []
    worn: list[OpenTurn] = []
    moments: dict[int, Moment] = {}
    for turn in inbox.turns:
        if (moment := moments.get(id(turn.ladder))) is None:
            moment = moments[id(turn.ladder)] = Moment.of(turn.ladder, now - inbox.ahead)
        view = turn.view
        step = moment.due(view)
        if turn.is_muted(now):
            if step is not None and step.kind is Kind.ANNOUNCEMENT and not turn.is_own:
                muted.append(Call(turn, step.kind, moment.told_at(step, view)))
        elif step is None:
            reminder = turn.ladder.steps[-1]
            if reminder.kind is Kind.REMINDER and moment.joins(reminder, view) and turn.spoken.reminded < budget.run:
                near.append(Call(turn, Kind.REMINDER, moment.told_at(reminder, view)))
        elif step.kind is Kind.REMINDER and turn.spoken.reminded >= budget.run and not inbox.is_daily:
            worn.append(turn)
        elif step.kind is Kind.REMINDER or not turn.is_own:
            kind = Kind.ESCALATION if turn.is_passed else step.kind
            due.append(Call(turn, kind, moment.told_at(step, view)))
    return due, near, tuple(worn), muted


def _may_call_for(new: Sequence[Call], inbox: Inbox, now: datetime) -> bool:
    """Whether a reader is called for what is new: no message was sent so short a while ago that it shows it as well."""
    if inbox.is_daily:
        return bool(new)
    return any(may_announce([call.turn.review], call.turn.ladder, inbox.window, now) for call in new)


def _may_call(inbox: Inbox, budget: Allowance) -> bool:
    """Whether the reader may be called once more today."""
    window = inbox.window
    if window is not None and window.entry is Entry.MERGE:
        return True
    is_called = window is not None and window.entry is not Entry.VOID
    if inbox.is_daily and is_called and window and inbox.day_began and window.opened_at >= inbox.day_began:
        return False
    return inbox.spent < budget.person_day


def _by_edit(calls: Sequence[Call], inbox: Inbox) -> tuple[Call, ...]:
    return tuple(calls) if inbox.window is not None and inbox.window.entry is Entry.BY_EDIT else ()


def _next_due_at(inbox: Inbox, called: Sequence[Call], new: Sequence[Call], now: datetime) -> datetime | None:
    """When this inbox has to be looked at again, should nothing change."""
    heard = {call.turn.about: call.after for call in called}
    waits: defaultdict[tuple[int, bool], list[tuple[datetime, EscalationPolicy]]] = defaultdict(list)
    dues: list[datetime] = []
    for turn in inbox.turns:
        ladder, reminder = turn.ladder, turn.ladder.steps[-1]
        after = heard.get(turn.about) if heard else None
        view = turn.view if after is None else replace(turn, spoken=after).view
        if turn.muted_until is not None and turn.is_muted(now):
            dues.append(ladder.calendar.opens(turn.muted_until))
        elif view.acts is not NO_ACTS:
            dues += [*ends_of(view.acts), *_by_ours(inbox, ladder.next_due_at(view))]
        elif reminder.kind is Kind.REMINDER and len(ladder.steps_for(view)) > 1 and (at := reminder.counts_from(view)):
            waits[id(ladder), at[0]].append((at[1], ladder))
    first = (_goes_at(min(some, key=lambda each: each[0]), again=again) for (_, again), some in waits.items())
    dues += [at for each in first for at in _by_ours(inbox, each)]
    dues += [_announces_at(call.turn.ladder, inbox.window, now) for call in new]
    # What is held until a calendar opens.
    unheard = (turn for turn in inbox.turns if turn.spoken.told_at is None or turn.is_passed)
    there = now - inbox.ahead
    dues += [at for turn in unheard if not turn.is_own for at in _by_ours(inbox, turn.ladder.calendar.opens(there))]
    return min((at for at in dues if now < at < NEVER), default=None)


def _by_ours(inbox: Inbox, at: datetime | None) -> Sequence[datetime]:
    """An instant of the source's clock by ours, if there is one."""
    return () if at is None or at >= NEVER else (at + inbox.ahead,)


def _goes_at(first: tuple[datetime, EscalationPolicy], *, again: bool) -> datetime:
    # Going out rises with being due, and that with the begin of the wait: the first decides for all.
    since, ladder = first
    reminder = ladder.steps[-1]
    return reminder.goes_at(reminder.comes_at(since, again=again))


def _announces_at(ladder: EscalationPolicy, window: Window | None, now: datetime) -> datetime:
    return now if window is None else ladder.window_ends(window)


def ladder_of(policy: EscalationPolicy, calendar: Calendar | None) -> EscalationPolicy:
    """The ladder by which a reader is notified: that of the queue without its escalations, by the reader's calendar."""
    steps = policy.without(Kind.ESCALATION)
    if calendar is None:
        return replace(policy, steps=steps, turns=None)
    steps = tuple(dataclasses.replace(step, calendar=calendar) for step in steps)
    return replace(policy, steps=steps, calendar=calendar, turns=None)
