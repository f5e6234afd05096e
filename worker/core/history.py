"""What each hour of a queue holds: what came and left, how long that took, what waited. Pure.

Hours are those of UTC. A day of several hours, and of several queues, is the sum of them.
"""

from __future__ import annotations

from bisect import bisect_right
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from math import floor, log2
from typing import TYPE_CHECKING, TypeAlias

import msgspec
from msgspec import Struct, field
from msgspec.structs import replace

from worker.core.calendar import ALWAYS_OPEN, Calendar
from worker.core.model import Fate

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping
    from datetime import date, tzinfo

    from worker.core.model import Id, Memory, QueueTotals, Review

HOUR = timedelta(hours=1)
HISTORY_KEPT = timedelta(days=396)
"""Thirteen months, so that each month can be compared with the same one a year before."""

_OCTAVE = 8
"""Buckets from one length of time to its double: a share of a tenth of it each."""

BLIND_AFTER = timedelta(hours=8)
"""After a gap of more than this between two complete polls it is not known how long what left in it had waited.

A pass that is started four times a day makes no gap.
"""


def bucket_of(wait: timedelta) -> int:
    """The bucket of a length of time: 0 for less than a second."""
    seconds = wait.total_seconds()
    return 1 + floor(_OCTAVE * log2(seconds)) if seconds >= 1 else 0


def _lower(bucket: int) -> float:
    """The seconds from which on a length of time lies in a bucket."""
    return 0.0 if bucket <= 0 else 2.0 ** ((bucket - 1) / _OCTAVE)


# Waits and hours are structs, because a page shows ten thousands of them: one costs a fifth of a dataclass.
class Waits(msgspec.Struct, frozen=True):
    """How long reviews waited, as the number of those in each bucket."""

    counts: Mapping[int, int] = msgspec.field(default_factory=dict)

    @property
    def count(self) -> int:
        """How many there are."""
        return sum(self.counts.values())

    def quantile(self, share: float) -> timedelta | None:
        """The wait that this share of them did not exceed, to a few hundredths of it; None where there are none."""
        if not self.counts:
            return None
        buckets = sorted(self.counts)
        ranks = list(accumulate(self.counts[bucket] for bucket in buckets))
        rank = min(max(share, 0.0), 1.0) * ranks[-1]
        place = min(bisect_right(ranks, rank), len(ranks) - 1)
        bucket, count = buckets[place], self.counts[buckets[place]]
        # Those of one bucket are taken to lie evenly in it, none of them on its edge.
        part = min(max((rank - (ranks[place] - count)) / count, 0.5 / count), 1 - 0.5 / count)
        low, high = _lower(bucket), _lower(bucket + 1)
        return timedelta(seconds=low + part * (high - low))

    def __add__(self, other: Waits) -> Waits:
        if not other.counts:
            return self
        # One of the two may take something away: never below nothing.
        both = {bucket: self.counts.get(bucket, 0) + count for bucket, count in other.counts.items()}
        return Waits({bucket: count for bucket, count in {**self.counts, **both}.items() if count})


NO_WAITS = Waits()


class Hour(msgspec.Struct, frozen=True):
    """What one hour of one queue holds.

    Runs that filters leave out are not counted.

    - `came`: the runs whose wait began in it, but for those of a baseline.
    - `reviewed`, `removed`, `unknown`: those that left, by their fate as far as it is known.
    - `waiting`, `overdue`: the runs that waited at its end; None where no poll was complete in it.
    - `first`, `last`: the waits to the first and to the last review of what was not removed, in open time;
      `first_wall`, `last_wall`: the same as time passes. `late` counts those of `first` that were stale by then.
    """

    came: int = 0
    reviewed: int = 0
    removed: int = 0
    unknown: int = 0
    late: int = 0
    waiting: int | None = None
    overdue: int | None = None
    first: Waits = NO_WAITS
    last: Waits = NO_WAITS
    first_wall: Waits = NO_WAITS
    last_wall: Waits = NO_WAITS

    @property
    def is_seen(self) -> bool:
        """Whether a poll was complete in it: else it is a gap, and what it lacks is not nothing."""
        return self.waiting is not None

    @property
    def left(self) -> int:
        """How many left, whatever their fate."""
        return self.reviewed + self.removed + self.unknown

    @property
    def overdue_share(self) -> float | None:
        """Of what was reviewed, the share that was stale by then; None where nothing was."""
        count = self.first.count
        return self.late / count if count else None

    def __add__(self, later: Hour) -> Hour:
        """The sum with what came after it, of which the last look holds."""
        return Hour(
            came=self.came + later.came,
            reviewed=self.reviewed + later.reviewed,
            removed=self.removed + later.removed,
            unknown=self.unknown + later.unknown,
            late=self.late + later.late,
            waiting=self.waiting if later.waiting is None else later.waiting,
            overdue=self.overdue if later.overdue is None else later.overdue,
            first=self.first + later.first,
            last=self.last + later.last,
            first_wall=self.first_wall + later.first_wall,
            last_wall=self.last_wall + later.last_wall,
        )


EMPTY_HOUR = Hour()

Hours: TypeAlias = "Mapping[datetime, Hour]"
"""By the start of each hour, in order; hours of which nothing is known are not among them."""


def hour_of(at: datetime) -> datetime:
    """The start of the hour that holds an instant."""
    return at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def total(hours: Iterable[Hour]) -> Hour:
    """All hours as one, in the order of time."""
    # At once, not one by one: each sum of two would make a new value of all that was counted before.
    every = list(hours)
    return Hour(
        came=sum(hour.came for hour in every),
        reviewed=sum(hour.reviewed for hour in every),
        removed=sum(hour.removed for hour in every),
        unknown=sum(hour.unknown for hour in every),
        late=sum(hour.late for hour in every),
        waiting=next((hour.waiting for hour in reversed(every) if hour.waiting is not None), None),
        overdue=next((hour.overdue for hour in reversed(every) if hour.overdue is not None), None),
        first=_together(hour.first for hour in every),
        last=_together(hour.last for hour in every),
        first_wall=_together(hour.first_wall for hour in every),
        last_wall=_together(hour.last_wall for hour in every),
    )


def _together(each: Iterable[Waits]) -> Waits:
    counts: dict[int, int] = {}
    for waits in each:
        for bucket, count in waits.counts.items():
            counts[bucket] = counts.get(bucket, 0) + count
    return Waits(counts) if counts else NO_WAITS


def by_day(hours: Hours, zone: tzinfo) -> Mapping[date, Hour]:
    """The days of a zone, as far as anything is known of them."""
    days: dict[date, list[Hour]] = {}
    for start in sorted(hours):
        days.setdefault(start.astimezone(zone).date(), []).append(hours[start])
    return {day: total(each) for day, each in days.items()}


class Cell(Struct, frozen=True):
    """One hour of the week, all weeks together: what came and was reviewed in the hours that were `seen`."""

    came: int = 0
    reviewed: int = 0
    seen: int = 0

    def __add__(self, other: Cell) -> Cell:
        return Cell(self.came + other.came, self.reviewed + other.reviewed, self.seen + other.seen)


WeekOfHours: TypeAlias = "tuple[tuple[Cell, ...], ...]"
"""The cells of each weekday, Monday first, and of each hour of its clock."""


def by_week(hours: Hours, zone: tzinfo) -> WeekOfHours:
    """A week of a zone: in which hours runs come, and are reviewed."""
    cells = [[Cell()] * 24 for _ in range(7)]
    for start, hour in hours.items():
        there = start.astimezone(zone)
        cells[there.weekday()][there.hour] += Cell(hour.came, hour.reviewed, int(hour.is_seen))
    return tuple(map(tuple, cells))


class Measure(Struct, frozen=True):
    """How the waits of a queue are measured: the calendar by which time counts, and when a run is stale."""

    calendar: Calendar = ALWAYS_OPEN
    stale_after: timedelta | None = None

    def ended(self, since: datetime, at: datetime, *, is_first: bool, sign: int = 1) -> Hour:
        """What a last review adds to the hour, and where it is the first as well, what that adds."""
        first = self.begun(since, at, sign=sign)
        if not is_first:
            return Hour(last=first.first, last_wall=first.first_wall)
        return replace(first, last=first.first, last_wall=first.first_wall)

    def begun(self, since: datetime, at: datetime, *, sign: int = 1) -> Hour:
        """What a first review adds to the hour."""
        wait, wall = self.calendar.age(since, at), max(at - since, timedelta(0))
        is_late = self.stale_after is not None and wait >= self.stale_after
        first, first_wall = (Waits({bucket_of(each): sign}) for each in (wait, wall))
        return Hour(late=sign * is_late, first=first, first_wall=first_wall)


PLAINLY = Measure()
"""Time counts as it passes, and nothing is ever stale."""


def _by_fate(fate: Fate | None, sign: int = 1) -> Hour:
    if fate is Fate.REVIEWED:
        return Hour(reviewed=sign)
    return Hour(removed=sign) if fate is Fate.REMOVED else Hour(unknown=sign)


def marks(at: datetime, before: datetime | None, now: QueueTotals) -> Mapping[datetime, Hour]:
    """What is written at the first complete poll of an hour, `before` which another one was the last.

    `now` counts what waits, and what of it was overdue at the start of the hour: as it was when the last one ended.
    """
    hour = hour_of(at)
    tally = {hour: Hour(waiting=now.waiting, overdue=now.stale)}
    if before is not None and hour_of(before) == hour - HOUR:
        tally[hour - HOUR] = tally[hour]
    return tally


def learned_hours(reviews: Iterable[Review], left: Mapping[Id, Fate], measure: Measure) -> Mapping[datetime, Hour]:
    """What it changes that the fates of closed reviews are known now; they were counted as the `reviews` have them."""
    tally: dict[datetime, Hour] = {}
    for review in reviews:
        if review.closed_at is not None and not review.left_out:
            at, fate = hour_of(review.closed_at), left[review.queue_run_id]
            tally[at] = tally.get(at, EMPTY_HOUR) + _corrected(review, review.closed_at, fate, measure)
    return tally


def _corrected(review: Review, closed_at: datetime, fate: Fate, measure: Measure) -> Hour:
    change = _by_fate(review.fate, -1) + _by_fate(fate)
    if (review.fate is Fate.REMOVED) is (fate is Fate.REMOVED):
        return change
    sign = -1 if fate is Fate.REMOVED else 1
    return change + measure.ended(review.since, closed_at, is_first=not review.done, sign=sign)


class Tally(Struct, frozen=True):
    """What a decision on a listing adds to the past of a queue.

    `hours` are changes of hours, `ended` the runs whose stay has ended, and `first` the open time that passed up to the
    first review, for those that seem to have had it.
    """

    hours: Hours = field(default_factory=dict)
    ended: tuple[Id, ...] = ()
    first: Mapping[Id, timedelta] = field(default_factory=dict)


NO_TALLY = Tally()


def tallied(
    written: Collection[Review],
    memory: Memory,
    measure: Measure,
    *,
    waiting: int | None,
    now: datetime,
    ahead: timedelta,
) -> Tally:
    """What is added by a complete listing that was decided on at `now`, and by the reviews `written` for it.

    `waiting` is how many wait after it (None: not known). `now` is `ahead` of the clock that dated the reviews.
    """
    if not written:
        return NO_TALLY
    look = Hour(waiting=waiting)
    # What is there at the first sight of a queue came at some time or other before it.
    if not (memory.baselined or memory.reviews):
        return Tally({hour_of(now): look})
    there = now - ahead
    changes = list(_changes(written, memory, measure, now, there))
    hours = {hour_of(now): look}
    for _, at, change in changes:
        hour = hour_of(at)
        hours[hour] = hours[hour] + change if hour in hours else change
    ended = tuple(review.queue_run_id for review, _, change in changes if change.unknown > 0)
    first = {
        review.queue_run_id: measure.calendar.age(review.since, there)
        for review, _, change in changes
        if any(count > 0 for count in change.first.counts.values())
    }
    return Tally(hours, ended, first)


def _changes(
    written: Collection[Review], memory: Memory, measure: Measure, now: datetime, there: datetime
) -> Iterator[tuple[Review, datetime, Hour]]:
    """What each review changes, and in which hour."""
    runs = {review.queue_run_id for review in written}
    before = {review.key: review for review in memory.reviews if review.queue_run_id in runs}
    # The same stays, under the ids that another listing gives them.
    renamed = {review.run_id for review in written if review.key not in before and review.first_seen_at < there}
    is_blind = memory.completed_at is None or now - memory.completed_at > BLIND_AFTER
    for review in written:
        former = before.get(review.key)
        if former is None:
            if review.first_seen_at >= there and review.is_open and not review.left_out:
                yield review, _came_at(review, memory, there), Hour(came=1)
        elif former.left_out or review.left_out:
            yield from _filtered(former, review)
        elif former.closed_at is not None:
            if review.is_open:
                yield review, former.closed_at, _reopened(former, former.closed_at, measure)
        elif review.is_open:
            if review.done and not former.done and not is_blind:
                yield review, now, measure.begun(review.since, there)
        elif review.run_id is None or review.run_id not in renamed:
            wait = EMPTY_HOUR if is_blind else measure.ended(review.since, there, is_first=not former.done)
            yield review, now, replace(wait, unknown=1)


def _filtered(former: Review, review: Review) -> Iterator[tuple[Review, datetime, Hour]]:
    """What it changes that filters leave a run out, or show it, from now on: as if they always had."""
    if former.is_open and review.is_open and bool(former.left_out) is not bool(review.left_out):
        yield review, review.since, Hour(came=-1 if review.left_out else 1)


def _came_at(review: Review, memory: Memory, there: datetime) -> datetime:
    """When a run that is new came: where its date is older, after the last complete listing, which did not show it."""
    return max(review.since, min(memory.completed_at or there - HISTORY_KEPT, there))


def _reopened(former: Review, closed_at: datetime, measure: Measure) -> Hour:
    """Takes back that a stay ended, which goes on."""
    if former.fate is Fate.REMOVED:
        return Hour(removed=-1)
    wait = measure.ended(former.since, closed_at, is_first=not former.done, sign=-1)
    return _by_fate(former.fate, -1) + wait


def with_change(hour: Hour, change: Hour) -> Hour:
    """An hour as it is after a change, which may take away what it never had."""
    after = hour + change
    return replace(
        after,
        came=max(after.came, 0),
        reviewed=max(after.reviewed, 0),
        removed=max(after.removed, 0),
        unknown=max(after.unknown, 0),
        late=max(after.late, 0),
        first=_sound(after.first),
        last=_sound(after.last),
        first_wall=_sound(after.first_wall),
        last_wall=_sound(after.last_wall),
    )


def _sound(waits: Waits) -> Waits:
    if all(count > 0 for count in waits.counts.values()):
        return waits
    return Waits({bucket: count for bucket, count in waits.counts.items() if count > 0})
