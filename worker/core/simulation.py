"""What a policy would have made of the remembered time: the past that it is played on, and its figures. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import timedelta
from itertools import pairwise
from operator import itemgetter
from typing import TYPE_CHECKING

from msgspec import Struct, field

from worker.core.audience import Problem, email_key
from worker.core.directory import Card, listed
from worker.core.history import HOUR
from worker.core.model import Kind, Reviewer
from worker.core.owed import NEVER

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
    from datetime import date, datetime, tzinfo

    from worker.core.actions import Record
    from worker.core.audience import WhoseTurn
    from worker.core.calendar import Calendar
    from worker.core.direct_inbox import About
    from worker.core.history import Hours
    from worker.core.model import Id, Polled, Queue, Review
    from worker.core.owed import Destination

_DAY = timedelta(days=1)
_MOMENT = timedelta(microseconds=1)
_SATURDAY = 5


class Past(Struct, frozen=True):
    """The remembered time from `begin` to `end`, and a while before it, from `warm_at` on, that is not counted.

    `polls` are the queues that were polled, `reviews` all of each that were open at `warm_at` or came since. `cards`
    are the people, `records` the acts, oldest first. `sent` counts the messages about each queue that were posted in
    its channels in fact, `calls` those that called each person. In its `gaps` a queue was not polled, in its `outages`
    nothing got through to a destination.
    """

    warm_at: datetime
    begin: datetime
    end: datetime
    polls: Sequence[Polled]
    reviews: Mapping[Id, Sequence[Review]]
    cards: Sequence[Card] = ()
    records: Sequence[Record] = ()
    sent: Mapping[Id, int] = field(default_factory=dict)
    calls: Mapping[str, int] = field(default_factory=dict)
    gaps: Mapping[Id, Sequence[tuple[datetime, datetime]]] = field(default_factory=dict)
    outages: Mapping[Destination, Sequence[tuple[datetime, datetime]]] = field(default_factory=dict)


def gaps_of(hours: Hours) -> list[tuple[datetime, datetime]]:
    """From when to when a queue was not seen: hours without a complete poll, between two that had one."""
    seen = sorted(start for start, hour in hours.items() if hour.is_seen)
    return [(before + HOUR, after) for before, after in pairwise(seen) if after - before > HOUR]


_LATE = timedelta(minutes=5)
"""A message is late by more than what pacing and single failures cost."""


def outages_of(
    posted: Iterable[tuple[Destination, datetime, datetime]],
) -> Mapping[Destination, list[tuple[datetime, datetime]]]:
    """When nothing got through to each destination, by when messages were owed and when they had been posted.

    Where one was posted, others could have been: an outage begins after the last.
    """
    last: dict[Destination, datetime] = {}
    found: defaultdict[Destination, list[tuple[datetime, datetime]]] = defaultdict(list)
    for destination, owed_at, posted_at in sorted(posted, key=itemgetter(2)):
        begin = max(owed_at, last.get(destination, owed_at))
        if posted_at - begin > _LATE:
            found[destination].append((begin, posted_at))
        last[destination] = posted_at
    return dict(found)


class Posting(Struct, frozen=True):
    """A message that a policy would have posted: when, where, whom it calls, and what each run is in it for."""

    at: datetime
    kind: Kind
    destination: Destination
    mention: tuple[str, ...]
    runs: Mapping[About, Kind]

    @property
    def queues(self) -> set[Id]:
        """The queues that it is about."""
        return {queue_id for queue_id, _ in self.runs}

    @property
    def called(self) -> tuple[str, ...]:
        """The people and groups whom it calls."""
        return (self.destination.place,) if self.kind is Kind.DIRECT else self.mention


class Ruled(Struct, frozen=True):
    """What of a policy the figures of one queue are measured by."""

    calendar: Calendar
    stale_at: Callable[[Review], datetime | None]


class Delay(Struct, frozen=True):
    """How long something took for half of the runs, and for 95 of 100; None where there were none."""

    p50: timedelta | None = None
    p95: timedelta | None = None


class QueueFigures(Struct, frozen=True):
    """What a policy would have made of one queue: `posts` in its channels in so many `days`, `most` on one of them.

    `came` counts the runs, `overdue` those that became stale. `shown` is how long it took until a message showed a run,
    `called` until one was posted for it, in open time, `shown_wall` and `called_wall` by the clock.
    """

    queue: Queue
    days: int
    posts: int = 0
    most: int = 0
    came: int = 0
    overdue: int = 0
    shown: Delay = Delay()
    shown_wall: Delay = Delay()
    called: Delay = Delay()
    called_wall: Delay = Delay()

    @property
    def a_day(self) -> float:
        """Posts a working day."""
        return self.posts / self.days if self.days else 0.0


class Figures(Struct, frozen=True):
    """What a policy would have made of all queues; `every` is all of them together.

    `calls` counts mentions and direct messages to each person, `most_calls` are the most that one of them got on a day.
    """

    queues: tuple[QueueFigures, ...]
    every: QueueFigures | None
    calls: Mapping[str, int]
    most_calls: int
    direct: int

    def calls_a_day(self, people: int, days: int) -> float:
        """Mentions and direct messages per person and working day, for so many people."""
        return sum(self.calls.values()) / (people * days) if people and days else 0.0


def working_days(calendars: Iterable[Calendar], begin: datetime, end: datetime) -> list[date]:
    """The days with hours from then to then, by the first of some calendars that has any; else Monday to Friday."""
    found = next((each for each in calendars if not each.is_always), None)
    if found is None:
        first = begin.date()
        every = (first + _DAY * number for number in range((end - begin) // _DAY + 1))
        return [day for day in every if day.weekday() < _SATURDAY]
    days: list[date] = []
    at = begin
    while at < end:
        ends = found.day_ends(at)
        if found.age(at, min(ends, end)):
            days.append(at.astimezone(found.zone).date())
        at = ends
    return days


def quantile(values: Sequence[timedelta], share: float) -> timedelta | None:
    """The value below which a share of sorted values lies; None of none."""
    return values[min(int(share * len(values)), len(values) - 1)] if values else None


class _Firsts(Struct):
    """When each run was shown first, and when a message was posted for it first."""

    shown: dict[About, datetime]
    called: dict[About, datetime]

    @classmethod
    def of(cls, postings: Iterable[Posting], entered: Mapping[About, datetime]) -> _Firsts:
        called: dict[About, datetime] = {}
        for posting in postings:
            for about in posting.runs:
                called.setdefault(about, posting.at)
        shown = dict(called)
        for about, at in entered.items():
            # An edit may have shown a run in an earlier message before one was posted for it.
            shown[about] = min(at, shown.get(about, at))
        return cls(shown, called)


def measure(
    past: Past,
    postings: Sequence[Posting],
    entered: Mapping[About, datetime],
    ruled: Mapping[Id, Ruled],
    days: Mapping[Id, int],
    zone: tzinfo,
) -> Figures:
    """The figures of a policy, from what was posted by it; `days` are the working days of each queue."""
    firsts = _Firsts.of(postings, entered)
    counted = [posting for posting in postings if posting.at >= past.begin]
    a_day: defaultdict[Id, Counter[date]] = defaultdict(Counter)
    calls: Counter[str] = Counter()
    calls_a_day: Counter[tuple[str, date]] = Counter()
    for posting in counted:
        day = posting.at.astimezone(zone).date()
        # A direct message is none of the posts in a channel.
        for queue_id in posting.queues if posting.kind is not Kind.DIRECT else ():
            a_day[queue_id][day] += 1
        calls.update(posting.called)
        calls_a_day.update((who, day) for who in posting.called)
    waits = {queue_id: _Waited.of(past, queue_id, ruled[queue_id], firsts) for queue_id in ruled}
    named = {polled.queue.queue_id: polled.queue for polled in past.polls}
    queues = tuple(
        waits[queue_id].figures(named[queue_id], days[queue_id], list(a_day[queue_id].values())) for queue_id in ruled
    )
    together = _Waited.together(waits.values())
    every = None
    if queues:
        every = together.figures(
            queues[0].queue, sum(each.days for each in queues), [n for of in ruled for n in a_day[of].values()]
        )
    direct = sum(posting.kind is Kind.DIRECT for posting in counted)
    return Figures(queues, every, calls, max(calls_a_day.values(), default=0), direct)


class _Waited(Struct):
    """How long the runs of one queue waited for messages and reviews."""

    came: int = 0
    overdue: int = 0
    shown: list[timedelta] = field(default_factory=list)
    shown_wall: list[timedelta] = field(default_factory=list)
    called: list[timedelta] = field(default_factory=list)
    called_wall: list[timedelta] = field(default_factory=list)

    @classmethod
    def of(cls, past: Past, queue_id: Id, ruled: Ruled, firsts: _Firsts) -> _Waited:
        found = cls()
        baselined_at = next(each.baselined_at for each in past.polls if each.queue.queue_id == queue_id)
        # What was there at a first sight did not come.
        counted_from = max(past.begin, baselined_at + _MOMENT if baselined_at else past.begin)
        age = ruled.calendar.age
        for review in past.reviews.get(queue_id, ()):
            stale_at = ruled.stale_at(review)
            until = min(review.closed_at or past.end, past.end)
            if stale_at is not None and past.begin <= stale_at < until:
                found.overdue += 1
            if review.first_seen_at < counted_from:
                continue
            found.came += 1
            about = queue_id, review.key
            for at, open_time, wall in (
                (firsts.shown.get(about), found.shown, found.shown_wall),
                (firsts.called.get(about), found.called, found.called_wall),
            ):
                if at is not None:
                    open_time.append(age(review.first_seen_at, at))
                    wall.append(at - review.first_seen_at)
        return found

    @classmethod
    def together(cls, several: Collection[_Waited]) -> _Waited:
        def joined(pick: Callable[[_Waited], list[timedelta]]) -> list[timedelta]:
            return [value for each in several for value in pick(each)]

        return cls(
            sum(each.came for each in several),
            sum(each.overdue for each in several),
            joined(lambda each: each.shown),
            joined(lambda each: each.shown_wall),
            joined(lambda each: each.called),
            joined(lambda each: each.called_wall),
        )

    def figures(self, queue: Queue, days: int, posts: Sequence[int]) -> QueueFigures:
        return QueueFigures(
            queue,
            days,
            sum(posts),
            max(posts, default=0),
            self.came,
            self.overdue,
            *(_delay(values) for values in (self.shown, self.shown_wall, self.called, self.called_wall)),
        )


def _delay(values: list[timedelta]) -> Delay:
    values.sort()
    return Delay(quantile(values, 0.5), quantile(values, 0.95))


def past_from(polls: Iterable[Polled], kept_since: datetime) -> datetime | None:
    """From when on all is remembered: since the first queue was polled, as far as reviews are kept; None: never."""
    first = min((polled.baselined_at for polled in polls if polled.baselined_at is not None), default=None)
    return None if first is None else max(first, kept_since)


def with_everyone(past: Past, people: Iterable[WhoseTurn]) -> list[Card]:
    """The cards with one for everybody who has not been looked up so far, as if each had been found."""
    found = {card.reviewer_id: card for card in past.cards}
    emails = {email for whose in people if isinstance(whose, tuple) for email in whose}
    reviewers = {one.reviewer_id: one for polled in past.polls for one in polled.queue.assigned}
    reviewers |= {one.reviewer_id: one for one in listed(emails)}
    ids = {one for reviews in past.reviews.values() for review in reviews for one in review.who.assigned_to}
    for reviewer_id in {*ids, *reviewers}:
        card = found.get(reviewer_id)
        if card is not None and card.problem is not Problem.NOT_ASKED:
            continue
        named = reviewers.get(reviewer_id, Reviewer(reviewer_id))
        email = email_key(named.email or (card.email if card else ""))
        # Any user will do, as long as it is another one for each person: nothing is posted.
        user = email or reviewer_id
        found[reviewer_id] = Card(reviewer_id, named.name, email, user, Problem.NONE, past.warm_at, NEVER)
    return list(found.values())
