"""The rules of each queue: its settings with the ladder that follows from them, made once a year."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from worker.core.audience import NO_PERSONS, Audience, Persons, Reach, Turns
from worker.core.calendar import ALWAYS_OPEN, Calendar
from worker.core.controls import with_controls
from worker.core.direct import QueueTurns
from worker.core.directory import Correction
from worker.core.history import Measure
from worker.core.letter import QueueShown
from worker.core.model import Kind
from worker.core.policy import EscalationPolicy, ladder
from worker.settings.calendars import calendar_of
from worker.settings.values import WrittenDuration

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from worker.core.message import Message
    from worker.core.model import Id, Queue, Show, Trait
    from worker.core.ports import Clock
    from worker.settings import PerQueue, Settings


class QueueRules(Struct, frozen=True):
    """Everything that holds for one queue.

    `settings` are filled in, and the days in the durations of the ladder are those of the `calendar`: they are open
    time. `policy` is the ladder. `persons` are those who are known where the queue's runs are somebody's turn, or the
    queue has an owner, who alone hears of a run after so many `reminders`. `has_controls` says whether messages have
    something to press, because presses are heard.
    """

    settings: PerQueue
    policy: EscalationPolicy
    calendar: Calendar = ALWAYS_OPEN
    persons: Persons = NO_PERSONS
    has_controls: bool = False
    reminders: int = 3

    @property
    def fields(self) -> frozenset[Show | Trait]:
        """What a source is asked for of each run: what may be shown, and what filters need."""
        return self.settings.show | self.policy.filters.needs

    def turns(self, queue: Queue) -> Turns:
        """Whose turn the runs of the queue are, as it is now."""
        return Turns(queue, self.settings.people, self.persons, self.settings.owner)

    def view(self, queue: Queue) -> QueueShown:
        """What a direct message shows of the queue's runs."""
        turns = self.turns(queue)
        zone, most = self.policy.calendar.zone, self._most_reminders(turns)
        return QueueShown(turns, self.settings.show, self.policy.stale_at, zone, most, self.is_direct)

    @property
    def is_direct(self) -> bool:
        """Whether people are notified directly of the queue's runs."""
        return self.settings.is_direct

    @property
    def _spares_channel(self) -> bool:
        """Whether what people are notified of directly is left out of the channel."""
        return self.is_direct and self.settings.tell is Reach.DIRECT

    def queue_turns(self, queue: Queue) -> QueueTurns:
        """The queue as a look at the inboxes needs it."""
        turns = self.turns(queue)
        return QueueTurns(self.policy, turns, self.is_direct, self._spares_channel, self._most_reminders(turns))

    def policy_for(self, queue: Queue) -> EscalationPolicy:
        """The ladder of the queue's channel, which leaves out the runs of which people are notified directly.

        After so many reminders of a run only the owner hears of it, where there is one whom messages reach.
        """
        if not self._spares_channel and not self.settings.owner:
            return self.policy
        turns = self.turns(queue)
        most = self._most_reminders(turns)
        # Of no reminders at all none is the first.
        steps = self.policy.steps if most != 0 else self.policy.without(Kind.REMINDER)
        return replace(self.policy, steps=steps, turns=turns if self._spares_channel else None, reminders=most)

    def _most_reminders(self, turns: Turns) -> int | None:
        return self.reminders if turns.has_owner else None

    @property
    def measure(self) -> Measure:
        """How the waits of the queue's runs are measured."""
        return Measure(self.calendar, self.settings.stale_after)

    def stale_before(self, now: datetime) -> datetime | None:
        """Since when a run has to have waited to be stale now; None: none ever is."""
        after = self.settings.stale_after
        return None if after is None else self.calendar.cut_off(now, after)


RulesOf: TypeAlias = "Callable[[Queue | None], QueueRules]"
"""Gives the rules of a queue, or of what belongs to none (None)."""


def rules_of(settings: PerQueue, calendar: Calendar = ALWAYS_OPEN) -> QueueRules:
    """The rules that the settings of one queue describe."""
    in_open_time = _with_days_of(calendar, settings.filled_in())
    return QueueRules(in_open_time, ladder(in_open_time, calendar), calendar)


def _with_days_of(calendar: Calendar, settings: PerQueue) -> PerQueue:
    """The settings with durations in which `1d` is one usual open day, but for those that count outside hours too."""
    wall = ("escalate_after", "escalate_every") if settings.escalate_outside_hours else ()
    written = [(key, value) for key, value in settings if isinstance(value, WrittenDuration) and key not in wall]
    return settings.model_copy(update={key: value.with_days_of(calendar.usual_day) for key, value in written})


CalendarOf: TypeAlias = "Callable[[str], Calendar | None]"
"""Gives a person's own calendar by the notifier's id of the user; None for one who has none, and for a group."""


def calendars_for(settings: Settings, clock: Clock, persons: Callable[[], Persons]) -> CalendarOf:
    """The calendars of people, each made once a year."""

    @cache
    def calendar(name: str, year: int) -> Calendar:
        return calendar_of(settings.calendar_table(name), year)

    def of(user: str) -> Calendar | None:
        person = persons().with_user(user)
        return calendar(person.calendar, clock.now().year) if person is not None and person.calendar else None

    return of


def rules_for(settings: Settings, clock: Clock, persons: Callable[[], Persons] = lambda: NO_PERSONS) -> RulesOf:
    """The rules of every queue, each made once a year: a calendar knows the holidays of a few years.

    `persons` gives everyone who is known at present.
    """

    @cache
    def rules(queue: tuple[Id, str] | None, year: int) -> QueueRules:
        given = settings.defaults if queue is None else settings.for_queue(*queue)
        if settings.nag_per_person_day == 0:
            # A budget of nothing reaches nobody: then the channel is all there is.
            given = given.model_copy(update={"tell": Reach.CHANNEL, "owner": ""})
        found = rules_of(given, calendar_of(settings.calendar_table(given.calendar), year))
        return replace(found, has_controls=settings.hears_people, reminders=settings.nag_per_run)

    def of(queue: Queue | None) -> QueueRules:
        found = rules(None if queue is None else (queue.queue_id, queue.name), clock.now().year)
        is_nobodys = found.settings.people is Audience.NOBODY and not found.settings.owner
        return found if is_nobodys else replace(found, persons=persons())

    return of


def pressable(message: Message, rules: RulesOf, now: datetime) -> Message:
    """A message with what people can press in it, where presses are heard."""
    is_heard = rules(message.queue).has_controls
    return with_controls(message, lambda queue: rules(queue).calendar, now) if is_heard else message


def corrections(settings: Settings) -> Mapping[str, Correction]:
    """The word of the settings on single people, by e-mail."""
    return {email: Correction(table.slack, table.calendar, table.tell) for email, table in settings.persons.items()}


def wants_direct(settings: Settings) -> bool:
    """Whether people are notified directly of the runs of any queue, or an owner may be."""
    queues = (*settings.queues, settings.defaults)
    return any(queue.is_direct or queue.owner for queue in queues)


def wants_people(settings: Settings) -> bool:
    """Whether the runs of any queue are somebody's turn."""
    return any(queue.people is not Audience.NOBODY for queue in (*settings.queues, settings.defaults))
