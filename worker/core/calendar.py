"""When time counts and when may be posted: a team's zone, hours and days off. Pure, and the one place that knows hours.

Open time is a difference of prefix sums over sorted openings. They are instants of UTC, which count as epoch seconds do
but to the microsecond; wall time is turned into them once, when a calendar is made.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, tzinfo
from itertools import accumulate
from typing import TYPE_CHECKING, TypeAlias

from msgspec import Struct

from worker.core.owed import NEVER

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_DAY = timedelta(days=1)
_SECOND = timedelta(seconds=1)
_NO_TIME = timedelta(0)
_EVER = datetime(1, 1, 1, tzinfo=UTC)
_FAR = 16
"""Days in which every weekday comes, even where a zone skips one."""

Stretch: TypeAlias = tuple[timedelta, timedelta]
"""From when to when on the clock of a day, counted from its midnight; more than 24 hours are the next day's."""

Week: TypeAlias = tuple[tuple[Stretch, ...], ...]
"""The stretches that begin on each weekday, Monday first."""

Times: TypeAlias = tuple[tuple[timedelta, ...], ...]
"""Times on the clock of each weekday, Monday first, each day's in order."""

_Span: TypeAlias = tuple[datetime, datetime]
_Offset: TypeAlias = tuple[datetime, datetime, timedelta]
"""From when to when a zone's clock is ahead of UTC by how much."""

NO_WEEK: Week = ((),) * 7


class Holiday(Struct, frozen=True):
    """A day off, and who says so."""

    day: date
    name: str
    by: str


class _Spans(Struct, frozen=True):
    """Stretches of time in order, none of which touch, and how much time lies in those before each."""

    begins: tuple[datetime, ...]
    ends: tuple[datetime, ...]
    before: tuple[timedelta, ...]

    def place(self, at: datetime) -> int:
        """Which span is the last that has begun. The first begins before every instant."""
        return bisect_right(self.begins, at) - 1

    def holds(self, at: datetime) -> bool:
        return at < self.ends[self.place(at)]

    def up_to(self, at: datetime) -> timedelta:
        """How much time lies in them until an instant."""
        place = self.place(at)
        return self.before[place] + (min(at, self.ends[place]) - self.begins[place])

    def when(self, total: timedelta) -> datetime:
        """The last instant until which so much time lies in them: not the end of a span, but the next begin."""
        place = max(bisect_right(self.before, total) - 1, 0)
        try:
            return min(self.begins[place] + (total - self.before[place]), NEVER)
        except OverflowError:
            return NEVER if total > _NO_TIME else _EVER


@dataclass(frozen=True, slots=True)
class Calendar:
    """When time counts (open), and when may be posted (open and not quiet).

    A minute is open where the clock of the zone shows a time within the hours (None: all day), and its date is none of
    the holidays and of `closed`; `open` wins over all of that. So an hour that occurs twice counts twice, and one
    that does not occur not at all. In `quiet` nothing is posted, but time counts.

    Holidays are known for `years`, the first and the last of them. Outside of these years all time is open.
    All instants are aware datetimes in UTC.
    """

    zone: tzinfo
    years: tuple[int, int]
    hours: Week | None = None
    holidays: tuple[Holiday, ...] = ()
    closed: frozenset[date] = frozenset()
    open: tuple[tuple[date, Stretch], ...] = ()
    quiet: Week = NO_WEEK
    usual_day: timedelta = field(init=False, repr=False, compare=False)
    """What one day of a duration is: the most frequent length of the days that have hours, the longest of several."""

    _offsets: tuple[_Offset, ...] = field(init=False, repr=False, compare=False)
    _open: _Spans = field(init=False, repr=False, compare=False)
    _posting: _Spans = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        first, last = (datetime(year, 1, 1, tzinfo=UTC) for year in (self.years[0], self.years[1] + 1))
        offsets = _offsets_of(self.zone, first, last)
        days = [first.date() + _DAY * number for number in range(-2, (last - first).days + 2)]
        opened = _opened(self, days)
        quiet = _merged(_on(days, self.quiet))
        # The only way to give a frozen value what follows from its fields.
        object.__setattr__(self, "usual_day", _usual(self.hours))
        object.__setattr__(self, "_offsets", _endless(offsets))
        object.__setattr__(self, "_open", _spans(opened, offsets))
        object.__setattr__(self, "_posting", _spans(_without(opened, quiet), offsets) if quiet else self._open)

    @property
    def is_always(self) -> bool:
        """Whether time counts as it passes."""
        return len(self._open.begins) == 1

    def is_open(self, at: datetime) -> bool:
        """Whether time counts at an instant."""
        return self._open.holds(at)

    def may_post(self, at: datetime) -> bool:
        """Whether something may be posted at an instant."""
        return self._posting.holds(at)

    def age(self, since: datetime, at: datetime) -> timedelta:
        """How much open time has passed."""
        if len(self._open.begins) == 1:
            return max(at - since, _NO_TIME)
        return max(self._open.up_to(at) - self._open.up_to(since), _NO_TIME)

    def later(self, since: datetime, age: timedelta) -> datetime:
        """When so much open time has passed: at the next opening rather than at a closing; NEVER after all dates."""
        if len(self._open.begins) == 1 and _NO_TIME <= age < NEVER - since:
            # As below without the search, since this is asked of every run of a first sight.
            return since + age
        return self._open.when(self._open.up_to(since) + age)

    def cut_off(self, at: datetime, age: timedelta) -> datetime:
        """Since when, at the latest, something has waited that is so old at an instant, or older."""
        return self._open.when(self._open.up_to(at) - age)

    def cut_offs(self, at: datetime, age: timedelta) -> tuple[datetime, datetime]:
        """From when to when something began to wait that is exactly so old at an instant: it may be a whole night."""
        until = self.cut_off(at, age)
        place = self._open.place(until)
        begins_here = place > 0 and until == self._open.begins[place]
        return self._open.ends[place - 1] if begins_here else until, until

    def opens(self, at: datetime) -> datetime:
        """The instant itself where something may be posted then, else the next one at which it may."""
        place = self._posting.place(at)
        return at if at < self._posting.ends[place] else self._posting.begins[place + 1]

    def posting_since(self, at: datetime) -> datetime:
        """When the stretch began in which something may be posted that holds an instant, or was the last before it."""
        return self._posting.begins[self._posting.place(at)]

    def posting_again(self, at: datetime) -> datetime:
        """When the next stretch begins, after an instant, in which something may be posted; NEVER where none does."""
        place = self._posting.place(at) + 1
        return self._posting.begins[place] if place < len(self._posting.begins) else NEVER

    def next_opening(self, at: datetime) -> datetime | None:
        """When it opens after an instant; None: not in the years that it covers."""
        place = self._open.place(at) + 1
        begins = self._open.begins[place:]
        return begins[0] if begins and begins[0].year <= self.years[1] else None

    def next_closing(self, at: datetime) -> datetime | None:
        """When it closes after an instant; None: not in the years that it covers."""
        place = self._open.place(at)
        end = self._open.ends[place if at < self._open.ends[place] else place + 1]
        return None if end == NEVER else end

    def next_time(self, times: Times, at: datetime) -> datetime:
        """The first of some times on the clock, at an instant or after it; NEVER where there are none.

        One that the clock skips comes when it has skipped it, one that it shows twice comes once.
        """
        today = _midnight(at.astimezone(self.zone).date())
        for day in (today + _DAY * number for number in range(-1, _FAR)):
            for time in times[day.weekday()]:
                instant = self._instant(day + time)
                if instant >= at:
                    return instant
        return NEVER

    def last_time(self, times: Times, at: datetime) -> datetime:
        """The last of some times on the clock, at an instant or before it; the beginning of time where none was."""
        today = _midnight(at.astimezone(self.zone).date())
        for day in (today - _DAY * number for number in range(-1, _FAR)):
            for time in reversed(times[day.weekday()]):
                instant = self._instant(day + time)
                if instant <= at:
                    return instant
        return _EVER

    def day_began(self, at: datetime) -> datetime:
        """When the day of an instant began on the clock of the zone."""
        return self._instant(_midnight(at.astimezone(self.zone).date()))

    def day_ends(self, at: datetime) -> datetime:
        """When the day of an instant ends on the clock of the zone, which is the begin of the next."""
        return self._instant(_midnight(at.astimezone(self.zone).date() + _DAY))

    def days_off(self, at: datetime) -> list[Holiday]:
        """The holidays and own days off from an instant's day on, but for those on which it opens all the same."""
        opened = {day for day, _ in self.open}
        own = [Holiday(day, "closed", "closed") for day in self.closed]
        today = at.astimezone(self.zone).date()
        every = (each for each in (*self.holidays, *own) if each.day >= today and each.day not in opened)
        return sorted(every, key=lambda each: (each.day, each.by))

    def _instant(self, wall: datetime) -> datetime:
        """The first instant at which the clock shows this time or, where it skips that, a later one."""
        return next(max(wall - ahead, begin) for begin, end, ahead in self._offsets if wall - ahead < end)


def _usual(hours: Week | None) -> timedelta:
    lengths = Counter(sum((end - begin for begin, end in day), _NO_TIME) for day in hours or () if day)
    return max(lengths, key=lambda length: (lengths[length], length), default=_DAY)


# Wall time is kept in datetimes of UTC too, which know no changes of the clock: only `_offsets` say what they are.


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _on(days: Iterable[date], week: Week) -> Iterator[_Span]:
    return ((_midnight(day) + begin, _midnight(day) + end) for day in days for begin, end in week[day.weekday()])


def _opened(calendar: Calendar, days: Sequence[date]) -> list[_Span]:
    """What of the wall time is open."""
    usual = [(_midnight(days[0]), _midnight(days[-1]))] if calendar.hours is None else _on(days, calendar.hours)
    off = calendar.closed | {holiday.day for holiday in calendar.holidays}
    closed = ((_midnight(day), _midnight(day) + _DAY) for day in off)
    extra = ((_midnight(day) + begin, _midnight(day) + end) for day, (begin, end) in calendar.open)
    return _merged((*_without(_merged(usual), _merged(closed)), *extra))


def _merged(spans: Iterable[_Span]) -> list[_Span]:
    """In order, with those in one that overlap or touch."""
    found: list[_Span] = []
    for begin, end in sorted(spans):
        if found and begin <= found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((begin, end))
    return found


def _without(spans: Sequence[_Span], holes: Sequence[_Span]) -> list[_Span]:
    """What is left of spans where there are no holes; both are merged."""
    # What is left lies between the end of a hole and the begin of the next.
    edges = [_EVER, *(edge for hole in holes for edge in hole), NEVER]
    return [part for begin, end in zip(edges[::2], edges[1::2], strict=True) for part in _within(spans, begin, end)]


def _within(spans: Sequence[_Span], begin: datetime, end: datetime) -> Iterator[_Span]:
    """The parts of merged spans that lie between two instants."""
    first = bisect_right(spans, begin, key=lambda span: span[1])
    last = bisect_left(spans, end, key=lambda span: span[0])
    return ((max(span[0], begin), min(span[1], end)) for span in spans[first:last])


def _spans(wall: Sequence[_Span], offsets: Sequence[_Offset]) -> _Spans:
    """Wall time as instants: an hour that the clock shows twice lies in two offsets, one that it skips in none."""
    found = [(_EVER, offsets[0][0]), (offsets[-1][1], NEVER)]
    for begin, end, ahead in offsets:
        found += ((start - ahead, stop - ahead) for start, stop in _within(wall, begin + ahead, end + ahead))
    begins, ends = zip(*_merged(found), strict=True)
    lengths = (end - begin for begin, end in zip(begins, ends, strict=True))
    return _Spans(begins, ends, tuple(accumulate(lengths, initial=_NO_TIME))[:-1])


def _offsets_of(zone: tzinfo, first: datetime, last: datetime) -> list[_Offset]:
    """By how much the clock is ahead, from when to when. No zone changes its clock twice within a day."""
    found: list[_Offset] = []
    begin = day = first
    while day < last:
        change = _change(zone, day)
        if change < last and change < day + _DAY:
            found.append((begin, change, _ahead(zone, begin)))
            begin = change
        day += _DAY
    return [*found, (begin, last, _ahead(zone, begin))]


def _ahead(zone: tzinfo, at: datetime) -> timedelta:
    return at.astimezone(zone).utcoffset() or _NO_TIME


def _change(zone: tzinfo, day: datetime) -> datetime:
    """When the clock is changed within a day from an instant on; the end of that day where it is not."""
    before = _ahead(zone, day)
    if _ahead(zone, day + _DAY) == before:
        return day + _DAY
    seconds = range(_DAY // _SECOND)
    return day + _SECOND * bisect_left(seconds, True, key=lambda after: _ahead(zone, day + _SECOND * after) != before)


def _endless(offsets: Sequence[_Offset]) -> tuple[_Offset, ...]:
    """The first of them holds before it, too, and the last of them after it."""
    *others, (begin, _, ahead) = offsets
    _, *rest = spans = (*others, (begin, NEVER, ahead))
    return ((_EVER, *spans[0][1:]), *rest)


ALWAYS_OPEN = Calendar(UTC, (2000, 2000))
"""Time counts as it passes, and something may be posted at any time."""
