"""Direct messages without a store: what is decided, and what would be remembered and posted."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from tests.support.builders import DAY, HOUR, NOON, rules_with
from tests.support.people import ASSIGNED
from worker.core.audience import Audience, Persons, Reach
from worker.core.direct import Desk, World, plan_direct
from worker.core.direct_inbox import Allowance
from worker.core.model import Entry, Kind, Window
from worker.rules import rules_of

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from worker.core.audience import Person
    from worker.core.calendar import Calendar
    from worker.core.direct import DirectPlan, QueueTurns
    from worker.core.direct_inbox import About, Spoken
    from worker.core.model import Id, Queue, Review

PER_DAY, PER_RUN = 3, 3


@dataclass
class Post:
    """One message: to which reader, when, with which runs and why; those that an edit has brought in are `shown`."""

    reader: str
    owed_at: datetime
    runs: dict[About, Kind]
    shown: dict[About, Kind] = field(default_factory=dict)
    at: datetime | None = None
    is_gone: bool = False

    def names(self, *kinds: Kind) -> list[str]:
        return sorted(_name(about) for about, kind in self.runs.items() if not kinds or kind in kinds)


def _name(about: About) -> str:
    return NAMES[about[1].queue_run_id]


NAMES: dict[Id, str] = {}
"""The names of runs by their ids."""


@dataclass
class Office:
    """Some queues, the people whose turn their runs are, and a notifier that posts at once what is owed."""

    persons: tuple[Person, ...] = ()
    queues: tuple[Queue, ...] = (ASSIGNED,)
    settings: dict[str, Any] = field(default_factory=dict)
    hours: dict[Id, Calendar] = field(default_factory=dict)
    calendars: dict[str, Calendar] = field(default_factory=dict)
    given_up: frozenset[str] = frozenset()
    per_day: int = PER_DAY
    now: datetime = NOON
    posts: list[Post] = field(default_factory=list)
    is_posting: bool = True
    muted: dict[Id, datetime] = field(default_factory=dict)
    passed: set[About] = field(default_factory=set)
    ahead: timedelta = timedelta(0)

    def __post_init__(self) -> None:
        self.reviews: dict[Id, dict[Any, Review]] = {queue.queue_id: {} for queue in self.queues}
        self.spoken: dict[tuple[str, About], Spoken] = {}
        self.windows: dict[str, tuple[datetime, UUID]] = {}
        self.hosts: dict[UUID, Post] = {}
        self.begun: frozenset[Id] = frozenset(self.reviews)
        self.next_due_at: datetime | None = None

    def put(self, *reviews: Review, of: Queue | None = None) -> None:
        """Let runs wait, or be as they are now."""
        for one in reviews:
            NAMES[one.queue_run_id] = one.facts.name
            self.reviews[(of or self.queues[0]).queue_id][one.key] = one

    def change(self, one: Review, of: Queue | None = None, **news: Any) -> None:
        """Let a run change."""
        known = self.reviews[(of or self.queues[0]).queue_id]
        self.put(replace(known[one.key], **news), of=of)

    def look(self, wait: timedelta | None = None) -> list[Post]:
        """Decide after a while, remember it, and post what may be posted; returns the new posts."""
        self.now += wait or 0 * HOUR
        decided = self.decide()
        self.next_due_at = decided.next_due_at
        self.spoken |= decided.spoken
        self.begun |= decided.begun
        self.passed -= decided.heard
        for notice in decided.notices:
            self.hosts[notice.key] = Post(notice.reader, self.now, dict(notice.runs))
            self.windows[notice.reader] = self.now, notice.key
        for entered in decided.entered:
            host = self.hosts[entered.host]
            (host.runs if host.at is None else host.shown).update(entered.runs)
        return self.post() if self.is_posting else []

    def post(self) -> list[Post]:
        """Post all that is owed and was not withdrawn."""
        owed = [host for host in self.hosts.values() if host.at is None and not host.is_gone]
        for host in owed:
            host.at = self.now
        self.posts += owed
        return owed

    def decide(self) -> DirectPlan:
        return plan_direct(self.world(), self.desk(), self.now)

    def world(self) -> World:
        persons = Persons(self.persons, self.given_up)
        return World(
            {queue.queue_id: self._turns(queue, persons) for queue in self.queues},
            persons,
            Allowance(self.per_day, PER_RUN),
            self.calendars,
            "slack",
            self.ahead,
        )

    def _turns(self, queue: Queue, persons: Persons) -> QueueTurns:
        usual = {"people": Audience.ASSIGNED, "tell": Reach.DIRECT, "announce_every": HOUR}
        rules = rules_with(**(usual | self.settings))
        if (calendar := self.hours.get(queue.queue_id)) is not None:
            rules = rules_of(rules.settings, calendar)
        return replace(rules, persons=persons, reminders=PER_RUN).queue_turns(queue)

    def desk(self) -> Desk:
        return Desk(
            reviews={queue: [r for r in known.values() if r.is_open] for queue, known in self.reviews.items()},
            begun=self.begun,
            spoken=self.spoken,
            windows={reader: Window(at, key, self._entry(key)) for reader, (at, key) in self.windows.items()},
            pings=self._pings(),
            muted=self.muted,
            passed=self.passed,
        )

    def _entry(self, key: UUID) -> Entry:
        host = self.hosts[key]
        if host.is_gone:
            return Entry.VOID
        return Entry.MERGE if host.at is None else Entry.BY_EDIT

    def _pings(self) -> dict[str, list[datetime]]:
        found: dict[str, list[datetime]] = {}
        for host in self.hosts.values():
            at = host.at or host.owed_at
            if not host.is_gone and at > self.now - 3 * DAY:
                found.setdefault(host.reader.removeprefix("owner:"), []).append(at)
        return found
