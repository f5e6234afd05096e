"""A team's month, made up from a seed: runs that come round the clock, reviewers who keep hours, and two outages."""

from __future__ import annotations

import dataclasses
import heapq
import random
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID
from zoneinfo import ZoneInfo

from msgspec.structs import replace

from worker.core.calendar import Calendar, Holiday
from worker.core.directory import Account
from worker.core.model import (
    NO_ONE,
    Access,
    Facts,
    Fate,
    Field,
    Queue,
    QueueRun,
    Reviewer,
    Snapshot,
    Unchanged,
    Who,
)
from worker.core.owed import NEVER
from worker.core.ports import SourceError, Trouble

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from worker.core.model import Id
    from worker.core.ports import Clock

ZONE = ZoneInfo("Europe/Berlin")
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
DAYS_OFF = (Holiday(date(2027, 3, 26), "Good Friday", "DE-BE"), Holiday(date(2027, 3, 29), "Easter Monday", "DE-BE"))
CALENDAR = {"zone": ZONE.key, "hours": ["Mon-Thu 09:00-17:30", "Fri 09:00-15:00"], "holidays": ["DE-BE"]}
"""The team's hours as settings; `TEAM` is the same by hand, so that what is measured does not judge itself."""

_LONG, _SHORT = ((9 * HOUR, 17.5 * HOUR),), ((9 * HOUR, 15 * HOUR),)
TEAM = Calendar(ZONE, (2026, 2028), hours=(_LONG,) * 4 + (_SHORT, (), ()), holidays=DAYS_OFF)

RUNS_A_DAY = {"Billing": 70, "Search": 50, "Summaries": 40, "Routing": 25, "Onboarding": 15}
REVIEWERS = 6
QUEUES_EACH = 3
"""How many of the queues a reviewer works on."""

PEOPLE = tuple(
    Reviewer(str(UUID(int=number)), f"Reviewer {number}", f"{number}@example.org") for number in range(REVIEWERS)
)
USERS = {person.email: f"U0REVIEWER{person.email[0]}" for person in PEOPLE}
"""The Slack ids of the reviewers, by e-mail."""

OF_QUEUE = {
    name: tuple(number for number in range(REVIEWERS) if (place - number) % len(RUNS_A_DAY) < QUEUES_EACH)
    for place, name in enumerate(RUNS_A_DAY)
}
"""The reviewers of each queue, by their numbers."""

QUEUES = tuple(
    Queue(UUID(int=number), name, access=Access.ASSIGNED, assigned=tuple(PEOPLE[one] for one in OF_QUEUE[name]))
    for number, name in enumerate(RUNS_A_DAY, 1)
)
SEED = 18
BEFORE = timedelta(days=3)
"""So long before the worker's first poll runs come and are reviewed."""

BURSTS = (1,) * 9 + (4,)
"""How many runs come within seconds of each other."""

PAGE = 100
"""A longer listing comes in several answers."""


@dataclass(frozen=True, slots=True)
class Stay:
    """One run's stay in a queue; it is gone NEVER where no reviewer gets there.

    The run itself says to whom it is assigned at first. At `moved_at` it is assigned to `reviewer`, who reviews it.
    """

    run: QueueRun
    queue: Queue
    added_at: datetime
    gone_at: datetime = NEVER
    reviewer: int = -1
    moved_at: datetime = NEVER

    def owing(self, at: datetime) -> tuple[str, ...]:
        """The identities whose turn the run is at an instant, as the issuer of assignments sees it."""
        if not self.added_at <= at < self.gone_at:
            return ()
        assigned = self.listed(at).who.assigned_to
        return assigned or tuple(one.reviewer_id for one in self.queue.assigned)

    def listed(self, at: datetime) -> QueueRun:
        """The run as it is listed at an instant."""
        return self.run if at < self.moved_at else replace(self.run, who=_assigned_to(self.reviewer))


@dataclass(frozen=True, slots=True)
class Scenario:
    """What happens from the worker's first poll to its last; in the outages LangSmith, or Slack, does not answer."""

    begin: datetime
    end: datetime
    queues: tuple[Queue, ...]
    stays: tuple[Stay, ...]
    langsmith_out: tuple[datetime, datetime]
    slack_out: tuple[datetime, datetime]


def berlin(month: int, day: int, hour: float = 0) -> datetime:
    """An instant of 2027 by the team's clock. Easter is on 28 March, and the clock is changed on that day."""
    return (datetime(2027, month, day, tzinfo=ZONE) + hour * HOUR).astimezone(UTC)


def scenario(begin: datetime, end: datetime, queues: tuple[Queue, ...] = QUEUES) -> Scenario:
    """The same for the same times and queues."""
    chance = random.Random(SEED)  # noqa: S311 - not to keep a secret
    came = sorted((at, queue.name) for queue in queues for at in _arrivals(chance, begin - BEFORE, end, queue.name))
    stays = [_stay(number, at, name) for number, (at, name) in enumerate(came, 1)]
    reviewed = tuple(_with_assignments(_reviewed(chance, stays, begin - BEFORE, end), end))
    # LangSmith is away while a day opens after four days off: what was owed over Easter may be stale by then.
    return Scenario(
        begin, end, queues, reviewed, (berlin(3, 30, 7), berlin(3, 30, 11)), (berlin(3, 24, 13), berlin(3, 24, 15))
    )


def _arrivals(chance: random.Random, begin: datetime, end: datetime, name: str) -> Iterator[datetime]:
    """When runs come, more of them by day than by night."""
    most = 1.4
    bursts_a_day = most * RUNS_A_DAY[name] * len(BURSTS) / sum(BURSTS)
    at = begin
    while (at := at + timedelta(days=chance.expovariate(bursts_a_day))) < end:
        is_day = 8 <= at.astimezone(ZONE).hour < 20  # noqa: PLR2004 - on the clock
        if chance.random() * most < (1.4 if is_day else 0.6):
            yield from (at + timedelta(seconds=number) for number in range(chance.choice(BURSTS)))


def _stay(number: int, at: datetime, name: str) -> Stay:
    facts = Facts(name=f"{name.lower()} {number}", run_type="chain", tags=("prod",))
    run = QueueRun(UUID(int=number), UUID(int=number), at, facts=facts)
    return Stay(run, next(queue for queue in QUEUES if queue.name == name), at)


def _reviewed(chance: random.Random, stays: Sequence[Stay], begin: datetime, end: datetime) -> Iterator[Stay]:
    """The stays as reviewers end them. Each has three queues and takes the oldest run there, or now and then any."""
    free = [(begin, reviewer) for reviewer in range(REVIEWERS)]
    heapq.heapify(free)
    # Some are hard: everybody lets them be for half a day to some days, a few for ever.
    wanted = {stay.run.queue_run_id: (stay, _wanted_at(chance, stay)) for stay in stays}
    while free and (now := TEAM.opens((taken := heapq.heappop(free))[0])) < end:
        now += timedelta(minutes=chance.uniform(0, 20)) if now > taken[0] else timedelta(0)
        mine = {QUEUES[(taken[1] + step) % len(QUEUES)].name for step in range(QUEUES_EACH)}
        found = [stay for stay, at in wanted.values() if stay.queue.name in mine and at <= now]
        if not found:
            heapq.heappush(free, (now + 10 * MINUTE, taken[1]))
            continue
        stay = found[0] if chance.random() < 0.7 else chance.choice(found)  # noqa: PLR2004 - seven in ten
        gone_at = now + timedelta(minutes=chance.uniform(2, 7))
        pause = timedelta(minutes=chance.uniform(20, 60)) if chance.random() < 0.06 else timedelta(0)  # noqa: PLR2004
        heapq.heappush(free, (gone_at + pause, taken[1]))
        del wanted[stay.run.queue_run_id]
        yield dataclasses.replace(stay, gone_at=gone_at, reviewer=taken[1])
    yield from (stay for stay, _ in wanted.values())


def _wanted_at(chance: random.Random, stay: Stay) -> datetime:
    """From when on somebody takes a run up."""
    luck = chance.random()
    hard = TEAM.later(stay.added_at, chance.uniform(4, 24) * HOUR) if luck < 0.04 else stay.added_at  # noqa: PLR2004
    return NEVER if luck < 0.005 else hard  # noqa: PLR2004 - one in two hundred


def _assigned_to(reviewer: int) -> Who:
    return NO_ONE if reviewer < 0 else Who(assigned_to=(PEOPLE[reviewer].reviewer_id,))


def _with_assignments(stays: Iterator[Stay], end: datetime) -> Iterator[Stay]:
    """Assign most runs to the reviewer who will review them, some to another one at first, and some to nobody."""
    # Chances of their own: the runs and reviews are the same with assignments and without.
    chance = random.Random(SEED + 1)  # noqa: S311 - not to keep a secret
    for stay in stays:
        team = OF_QUEUE[stay.queue.name]
        luck, first = chance.random(), chance.choice(team)
        taker = stay.reviewer if stay.reviewer >= 0 else first
        if luck < 0.2:  # noqa: PLR2004 - one in five is the whole queue's
            yield stay
        elif luck < 0.3:  # noqa: PLR2004 - one in ten changes hands
            last = min(stay.gone_at, end)
            moved_at = stay.added_at + (last - stay.added_at) * chance.random()
            run = replace(stay.run, who=_assigned_to(first))
            yield dataclasses.replace(stay, run=run, reviewer=taker, moved_at=moved_at)
        else:
            yield dataclasses.replace(stay, run=replace(stay.run, who=_assigned_to(taker)), reviewer=taker)


class Accounts:
    """The users of the notifier, among whom every reviewer is found."""

    def by_email(self, email: str) -> Account | None:
        """See ports.Accounts."""
        return Account(USERS[email]) if email in USERS else None

    def by_id(self, user: str) -> Account | None:
        """See ports.Accounts."""
        return Account(user)


class Listings:
    """The Source of a scenario: what waits in each queue by the clock, which only goes forward."""

    def __init__(self, given: Scenario, clock: Clock) -> None:
        """Nothing has happened yet."""
        self._clock = clock
        self._out = given.langsmith_out
        self._queues = {queue.queue_id: queue for queue in given.queues}
        self._waiting: dict[Id, dict[Id, QueueRun]] = {queue.queue_id: {} for queue in given.queues}
        self._events: dict[Id, list[tuple[datetime, Stay]]] = {queue.queue_id: [] for queue in given.queues}
        for stay in given.stays:
            for at in {stay.added_at, stay.gone_at, min(stay.moved_at, stay.gone_at)}:
                self._events[stay.queue.queue_id].append((at, stay))
        for events in self._events.values():
            events.sort(key=lambda event: event[0], reverse=True)

    def snapshot(self, queue_id: Id, fields: frozenset[Field], concluded: object = None) -> Snapshot | Unchanged:
        """What waits now, oldest first; how many events are to come is what a listing is known by."""
        del fields
        now, queue, events = self._clock.now(), self._queues[queue_id], self._events[queue_id]
        if self._out[0] <= now < self._out[1]:
            raise SourceError("LangSmith does not answer", Trouble.UNREACHABLE)
        while events and events[-1][0] <= now:
            self._happen(*events.pop())
        if len(events) == concluded:
            return Unchanged(queue, now, concluded=concluded)
        runs = tuple(self._waiting[queue_id].values())
        return Snapshot(queue, runs, now, one_page=len(runs) <= PAGE, concluded=len(events))

    def _happen(self, at: datetime, stay: Stay) -> None:
        waiting = self._waiting[stay.queue.queue_id]
        if at == stay.gone_at:
            waiting.pop(stay.run.queue_run_id)
        else:
            # In place of what it was: a listing keeps the order of arrival.
            waiting[stay.run.queue_run_id] = stay.listed(at)

    def queues(self) -> Sequence[Queue]:
        """Every queue."""
        return list(self._queues.values())

    def fates(self, queue_id: Id, queue_run_ids: Collection[Id]) -> Mapping[Id, Fate]:
        """Whatever leaves has been reviewed."""
        del queue_id
        return dict.fromkeys(queue_run_ids, Fate.REVIEWED)
