"""Direct messages: whom they reach, of which runs, and what is left for the owner. Pure.

A reader is a person, by the notifier's id of the user, or the owner of queues, who gets one message a day about what
no one else can be sent. Readers are spoken to apart from the channels: what a channel has said is remembered with the
review, what a reader has heard with the reader's turn.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING
from uuid import uuid5

from msgspec import Struct, field
from msgspec.structs import replace

from worker.core.audience import is_listed
from worker.core.calendar import ALWAYS_OPEN
from worker.core.direct_inbox import Inbox, OpenTurn, Spoken, joined, ladder_of, plan_inbox
from worker.core.model import Entry, Kind
from worker.core.moment import Moment
from worker.core.owed import Destination
from worker.core.plan import NAMESPACE, notice_key
from worker.core.policy import is_worn

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    from worker.core.audience import Person, Persons, Turns
    from worker.core.calendar import Calendar
    from worker.core.direct_inbox import About, Allowance, Call, InboxPlan
    from worker.core.model import Id, Review, Window
    from worker.core.policy import EscalationPolicy


class QueueTurns(Struct, frozen=True):
    """A queue whose people are notified directly, or whose owner is: its ladder, and whose turn its runs are.

    People are notified only where it `is_direct`, and the channel is not where that `spares_channel`. After so many
    `reminders` of one run in the channel the owner hears of it instead (None: there is no owner).
    """

    policy: EscalationPolicy
    turns: Turns
    is_direct: bool = True
    spares_channel: bool = True
    reminders: int | None = None


OWNER = "owner:"
"""Begins the name of the inbox in which an owner hears of what no one else can be sent."""


class Desk(Struct, frozen=True):
    """What a decision about direct messages is made on.

    `reviews` are the open ones of each queue. Of the queues in `begun` people were notified directly before. `spoken`
    is what the readers have heard, by the ids under which they were known then. `windows` are those that the last
    message to each reader opened. `pings` are the instants of all messages that called somebody lately. `muted` is when
    the last mute of each queue ends. `passed` are the runs of escalations that have not called somebody because a
    day's budget was spent.
    """

    reviews: Mapping[Id, Sequence[Review]]
    begun: Collection[Id] = ()
    spoken: Mapping[tuple[str, About], Spoken] = field(default_factory=dict)
    windows: Mapping[str, Window] = field(default_factory=dict)
    pings: Mapping[str, Sequence[datetime]] = field(default_factory=dict)
    muted: Mapping[Id, datetime] = field(default_factory=dict)
    passed: Collection[About] = ()


class DirectNotice(Struct, frozen=True):
    """A decision to notify a reader of runs, oldest first, each with why it is in the message."""

    key: UUID
    reader: str
    destination: Destination
    runs: tuple[tuple[About, Kind], ...]


class Entered(Struct, frozen=True):
    """Runs that the message of a reader is to show: by an edit, or from the first where it is not posted yet."""

    reader: str
    host: UUID
    runs: tuple[tuple[About, Kind], ...]


class DirectPlan(Struct, frozen=True):
    """What one look at all inboxes decided. `spoken` is to be written, and that the queues have `begun`.

    For the runs in `heard` owners are called, so that these are `passed` no more.
    """

    notices: tuple[DirectNotice, ...] = ()
    entered: tuple[Entered, ...] = ()
    spoken: Mapping[tuple[str, About], Spoken] = field(default_factory=dict)
    begun: frozenset[Id] = frozenset()
    heard: frozenset[About] = frozenset()
    next_due_at: datetime | None = None


class World(Struct, frozen=True):
    """What a decision about direct messages needs to know beside the desk.

    `calendars` gives a user's own calendar, where there is one; `scheme` is that of the destinations of users. Our
    clock is `ahead` of the one by which runs grow old.
    """

    queues: Mapping[Id, QueueTurns]
    persons: Persons
    budget: Allowance
    calendars: Mapping[str, Calendar]
    scheme: str
    ahead: timedelta = timedelta(0)


class _Book:
    """What the readers of one decision have heard, and the turns that each of them has."""

    def __init__(self, world: World, desk: Desk, now: datetime) -> None:
        self._world = world
        self._desk = desk
        self._now = now
        self._ladders: dict[tuple[Id, str], EscalationPolicy] = {}
        self.turns: defaultdict[str, dict[About, tuple[OpenTurn, str]]] = defaultdict(dict)
        """The turns in each inbox, with the id by which what is heard is kept."""
        self.spoken: dict[tuple[str, About], Spoken] = {}
        """What is to be written."""

    def heard(self, ids: Sequence[str], about: About, review: Review, *, was_there: bool) -> Spoken:
        """What a reader with these ids has heard; noted where the run was not the reader's turn before."""
        spoken = self._desk.spoken
        known = [found for one in _kept_ids(tuple(ids)) if (found := spoken.get((one, about))) is not None]
        if known:
            return joined(known)
        # At the first look of all, what the channel has said counts as said: the people were there.
        is_said = was_there and about[0] not in self._desk.begun and review.generation > 0
        fresh = Spoken(self._now, review.told_at if is_said else None)
        self.spoken[kept_id(ids[0]), about] = fresh
        return fresh

    def add(
        self, inbox: str, ids: Sequence[str], about: About, review: Review, *, person: Person | None = None
    ) -> None:
        """Put a run into the inbox of a person, or of an owner."""
        user = inbox.removeprefix(OWNER)
        queue = self._world.queues[about[0]]
        if (ladder := self._ladders.get((about[0], user))) is None:
            ladder = self._ladders[about[0], user] = ladder_of(queue.policy, self._world.calendars.get(user))
        spoken = self.heard(ids, about, review, was_there=person is not None)
        is_own = person is not None and _has_in_hand(person, review)
        is_passed = person is None and about in self._desk.passed
        turn = OpenTurn(about, review, ladder, spoken, is_own, self._desk.muted.get(about[0]), is_passed)
        self.turns[inbox].setdefault(about, (turn, kept_id(ids[0])))

    def inbox(self, reader: str) -> Inbox:
        """One reader's inbox."""
        user = reader.removeprefix(OWNER)
        calendar = self._world.calendars.get(user, ALWAYS_OPEN)
        began = calendar.day_began(self._now)
        return Inbox(
            reader=reader,
            destination=Destination(self._world.scheme, user),
            turns=tuple(turn for turn, _ in self.turns[reader].values()),
            window=self._desk.windows.get(reader),
            spent=sum(at >= began for at in self._desk.pings.get(user, ())),
            day_began=began,
            day_ends=calendar.day_ends(self._now),
            is_daily=reader.startswith(OWNER),
            ahead=self._world.ahead,
        )

    def call(self, calls: Iterable[Call], reader: str, key: UUID) -> None:
        """Note that a message calls a reader for these."""
        for call in calls:
            self.spoken[self.turns[reader][call.turn.about][1], call.turn.about] = replace(call.after, called_by=key)


def plan_direct(world: World, desk: Desk, now: datetime) -> DirectPlan:
    """Decide for every reader: the people whose turn runs are first, then the owners, who hear what these do not."""
    book = _Book(world, desk, now)
    dues: list[datetime] = []
    for queue_id, queue in world.queues.items():
        reviews = desk.reviews.get(queue_id, ())
        for review in reviews if queue.is_direct else ():
            _sort(book, world, (queue_id, review.key), review, queue.turns)
        worn = _Worn.of(queue, now - world.ahead)
        for review in reviews:
            about = queue_id, review.key
            if worn.is_owners(review) or about in desk.passed:
                _pass_on(book, about, review, queue.turns)
            dues += (at + world.ahead for at in worn.comes_at(review))
    plans: dict[str, InboxPlan] = {}
    passed: dict[About, list[Review]] = {}
    for reader in sorted(one for one in book.turns if not one.startswith(OWNER)):
        plans[reader] = plan_inbox(book.inbox(reader), world.budget, now)
        for turn in plans[reader].passed:
            passed.setdefault(turn.about, []).append(turn.review)
    for about, reviews in passed.items():
        _pass_by(book, world, about, reviews)
    for reader in sorted(one for one in book.turns if one.startswith(OWNER)):
        plans[reader] = plan_inbox(book.inbox(reader), world.budget, now)
    notices: list[DirectNotice] = []
    entered: list[Entered] = []
    for reader, plan in plans.items():
        _write(book, reader, plan, notices, entered)
    return DirectPlan(
        notices=tuple(notices),
        entered=tuple(entered),
        spoken=book.spoken,
        begun=frozenset(queue_id for queue_id, queue in world.queues.items() if queue.is_direct),
        heard=frozenset(call.turn.about for plan in plans.values() for call in plan.called if call.turn.is_passed),
        next_due_at=min(
            (*dues, *(plan.next_due_at for plan in plans.values() if plan.next_due_at is not None)), default=None
        ),
    )


class _Worn(Struct, frozen=True):
    """The runs of a queue of which its channel was reminded often enough: the owner is, once that is due again."""

    queue: QueueTurns
    moment: Moment | None
    now: datetime

    @classmethod
    def of(cls, queue: QueueTurns, now: datetime) -> _Worn:
        if queue.reminders is None:
            return cls(queue, None, now)
        return cls(queue, Moment.of(ladder_of(queue.policy, None), now), now)

    def is_owners(self, review: Review) -> bool:
        if self.moment is None or not self._concerns(review):
            return False
        step = self.moment.due(review)
        return step is not None and step.kind is Kind.REMINDER

    def comes_at(self, review: Review) -> Iterable[datetime]:
        """When the owner has to hear of a run that is not due yet."""
        if self.moment is None or not self._concerns(review):
            return ()
        due_at = self.moment.policy.next_due_at(review)
        return (due_at,) if due_at is not None and due_at > self.now else ()

    def _concerns(self, review: Review) -> bool:
        if not is_worn(review, self.queue.reminders):
            return False
        # Of these the channel is reminded no more, since people are notified of them directly.
        return not (self.queue.spares_channel and self.queue.turns.is_direct(review))


def _has_in_hand(person: Person, review: Review) -> bool:
    """Whether a person has reserved a run, or taken it."""
    taken = {review.acts.claimed_by} if review.acts.is_claimed else set()
    return not {*review.who.reserved_by, *taken}.isdisjoint(person.every_id)


def _sort(book: _Book, world: World, about: About, review: Review, turns: Turns) -> None:
    """Put one run where it belongs: into the inboxes of those whose turn it is, or into the owner's."""
    persons = turns.of(review)
    reached = [person for person in persons if world.persons.may_be_reached(person)]
    for person in persons:
        if person.can_be_messaged:
            book.add(person.user, person.reviewer_ids, about, review, person=person)
        else:
            book.heard(person.reviewer_ids, about, review, was_there=True)
    unreached = [person for person in persons if person not in reached and person.is_notified]
    # A run that others finish needs no owner: a service among the reviewers of a queue is no news each day.
    if unreached and not turns.can_finish(review, len(reached)):
        _pass_on(book, about, review, turns)


def _pass_by(book: _Book, world: World, about: About, reviews: Sequence[Review]) -> None:
    """Pass on a run that as many readers hear no more of as there are `reviews`, unless the others finish it."""
    turns = world.queues[about[0]].turns
    reached = sum(world.persons.may_be_reached(person) for person in turns.of(reviews[0]))
    if not turns.can_finish(reviews[0], reached - len(reviews)):
        _pass_on(book, about, reviews[0], turns)


def _pass_on(book: _Book, about: About, review: Review, turns: Turns) -> None:
    if turns.owner and turns.has_owner:
        book.add(f"{OWNER}{turns.owner}", (f"{OWNER}{turns.owner}",), about, review)


def _write(book: _Book, reader: str, plan: InboxPlan, notices: list[DirectNotice], entered: list[Entered]) -> None:
    inbox = book.inbox(reader)
    window = inbox.window
    if plan.called and window is not None and window.entry is Entry.MERGE:
        entered.append(Entered(reader, window.host, _runs(plan.called)))
        book.call(plan.called, reader, window.host)
    elif plan.called:
        views = [call.turn.view for call in plan.called]
        key = notice_key(reader, Kind.DIRECT, inbox.destination, views)
        notices.append(DirectNotice(key, reader, inbox.destination, _runs(plan.called)))
        book.call(plan.called, reader, key)
    if plan.shown and window is not None:
        entered.append(Entered(reader, window.host, _runs(plan.shown)))


def _runs(calls: Iterable[Call]) -> tuple[tuple[About, Kind], ...]:
    oldest_first = sorted(calls, key=lambda call: (call.turn.review.since, str(call.turn.review.queue_run_id)))
    return tuple((call.turn.about, call.kind) for call in oldest_first)


@lru_cache(1024)
def _kept_ids(reviewer_ids: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(kept_id(one) for one in reviewer_ids)


def kept_id(reviewer_id: str) -> str:
    """The form in which an id of a reader is kept: one that is made of an e-mail does not show it."""
    return str(uuid5(NAMESPACE, reviewer_id)) if is_listed(reviewer_id) else reviewer_id
