"""Notifies people directly of the runs that are their turn, whenever a poll or the time has changed something."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import structlog

from worker.core.cooldown import Cooldown
from worker.core.direct import World, plan_direct
from worker.core.model import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from datetime import datetime

    from worker.core.audience import Persons
    from worker.core.calendar import Calendar
    from worker.core.direct import Desk, DirectPlan, QueueTurns
    from worker.core.direct_inbox import Allowance
    from worker.core.model import Id
    from worker.core.owed import Claim
    from worker.core.ports import Clock
    from worker.core.store_roles import Inboxes, Polls
    from worker.rules import CalendarOf, QueueRules, RulesOf

log = structlog.get_logger(__name__)

_LOOK_EVERY = timedelta(seconds=2)
"""How often it is seen whether anything has changed: other workers poll, too."""


class Direct:
    """Decides on direct messages, for all readers together. One thread at a time."""

    def __init__(  # noqa: PLR0913  (the parts that it works with, all by name)
        self,
        *,
        inboxes: Inboxes,
        polls: Polls,
        clock: Clock,
        rules: RulesOf,
        persons: Callable[[], Persons],
        calendars: CalendarOf,
        queues: Callable[[], Collection[Id]],
        budget: Allowance,
        scheme: str,
        owed: Callable[[], None],
        ahead: Callable[[], timedelta | None] = timedelta,
        is_wanted: bool = True,
    ) -> None:
        """`queues` gives the ids of those that are polled; `owed` is called when there is something to deliver.

        `ahead` says how far our clock is ahead of the one by which runs grow old; None until a poll has shown that.

        `scheme` is that of the destinations of users, '' where the notifier reaches no single person. Where it
        `is_wanted` by no setting, the first look remembers that, and is the last.
        """
        self._inboxes = inboxes
        self._polls = polls
        self._clock = clock
        self._rules = rules
        self._persons = persons
        self._calendars = calendars
        self._queues = queues
        self._budget = budget
        self._scheme = scheme
        self._owed = owed
        self._ahead = ahead
        self._is_wanted = is_wanted
        self._has_looked = False
        self._rests = Cooldown()
        self._seen: object = None
        """What the last look was made on."""
        self._next_at: datetime | None = None

    def __call__(self) -> None:
        """Look at all inboxes where anything may have come due since the last look. Raises StoreError."""
        if not self._scheme or (self._has_looked and not self._is_wanted):
            return
        if not self._rests.is_over(self._clock.monotonic()):
            return
        self._rests = Cooldown.of(_LOOK_EVERY, self._clock.monotonic())
        ahead = self._ahead()
        if ahead is None and self._is_wanted:
            return
        queues = self._concerned()
        now = self._clock.now()
        # From before the look: what changes meanwhile leads to another.
        seen = (self._inboxes.stirred(queues.keys()), queues.keys(), self._persons() if queues else None, ahead)
        if seen == self._seen and (self._next_at is None or now < self._next_at):
            return
        decided = self._look(queues, now, ahead or timedelta(0))
        self._seen, self._next_at, self._has_looked = seen, decided.next_due_at, True

    @property
    def next_due_at(self) -> datetime | None:
        """When something comes due that no poll changes; None: nothing does."""
        return self._next_at

    def wake(self) -> None:
        """Look at the next call, because something was polled."""
        self._rests, self._seen = Cooldown(), None

    def _concerned(self) -> Mapping[Id, QueueTurns]:
        """The queues whose people or owners may be notified directly; those with a first sight behind them."""
        polled = set(self._queues())
        known = {each.queue.queue_id: each for each in self._polls.polls() if each.queue.queue_id in polled}
        return {
            queue_id: self._rules(each.queue).queue_turns(each.queue)
            for queue_id, each in known.items()
            if each.baselined_at is not None and concerns_readers(self._rules(each.queue))
        }

    def _look(self, queues: Mapping[Id, QueueTurns], now: datetime, ahead: timedelta) -> DirectPlan:
        persons = self._persons()
        calendars = calendars_of(self._calendars, persons, queues)
        world = World(queues, persons, self._budget, calendars, self._scheme, ahead)

        def decide(desk: Desk) -> DirectPlan:
            return plan_direct(world, desk, now)

        decided = self._inboxes.direct(list(queues), decide, now, owners=of_owners(queues))
        if decided.notices or decided.entered:
            log.info("people_notified", messages=len(decided.notices), edits=len(decided.entered))
            self._owed()
        return decided


def concerns_readers(rules: QueueRules) -> bool:
    """Whether anyone may be notified directly of a queue's runs: its people, or its owner."""
    return rules.is_direct or bool(rules.settings.owner)


def of_owners(queues: Mapping[Id, QueueTurns]) -> frozenset[Id]:
    """The queues of which only the owner is notified directly, and of no runs but those with notices before."""
    return frozenset(queue_id for queue_id, queue in queues.items() if not queue.is_direct and queue.reminders != 0)


def calendars_of(given: CalendarOf, persons: Persons, queues: Mapping[Id, QueueTurns]) -> Mapping[str, Calendar]:
    """The own calendars of everyone who may get a direct message."""
    users = {person.user for person in persons.everyone} | {each.turns.owner for each in queues.values()}
    found = {user: given(user) for user in users if user}
    return {user: calendar for user, calendar in found.items() if calendar is not None}


def hours_of(claim: Claim, own: Calendar | None, rules: RulesOf) -> Sequence[Calendar]:
    """The calendars of which one has to be open: that of the reader's own, or those of the queues."""
    if own is not None:
        return (own,)
    if claim.delivery.kind is not Kind.DIRECT:
        return (rules(claim.delivery.queue).policy.calendar,)
    queues = {queue.queue_id: queue for queue in claim.queues.values()}.values()
    return tuple(rules(queue).policy.calendar for queue in queues)
