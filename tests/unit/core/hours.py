"""Calendars by a few words, and an oracle that counts their open time minute by minute."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from itertools import accumulate
from typing import TYPE_CHECKING, TypeAlias
from zoneinfo import ZoneInfo

from tests.support.builders import MINUTE
from worker.core.calendar import Calendar, Holiday

if TYPE_CHECKING:
    from collections.abc import Sequence

    from worker.core.calendar import Times, Week

WORKDAYS = range(5)
EVERY_DAY = range(7)

Row: TypeAlias = tuple[range, int, int]
"""On which weekdays, from which minute of the day to which."""


def clock(text: str) -> int:
    """The minute of the day."""
    hours, minutes = text.split(":")
    return int(hours) * 60 + int(minutes)


def row(days: range, begins: str, ends: str) -> Row:
    return (days, clock(begins), clock(ends))


def week(*rows: Row) -> Week:
    """The rows as a calendar takes them."""
    return tuple(
        tuple(
            (MINUTE * begins, MINUTE * (ends + 1440 * (ends <= begins))) for days, begins, ends in rows if day in days
        )
        for day in EVERY_DAY
    )


@dataclass(frozen=True)
class Given:
    """A calendar in words, for some days around `near`."""

    name: str
    zone: str
    near: date
    hours: tuple[Row, ...] | None
    closed: frozenset[date] = frozenset()
    opened: tuple[tuple[date, int, int], ...] = ()
    quiet: tuple[Row, ...] = ()
    days: int = 9
    holidays: frozenset[date] = field(default_factory=frozenset)

    @cached_property
    def calendar(self) -> Calendar:
        return Calendar(
            ZoneInfo(self.zone),
            (self.near.year, self.near.year + 1),
            hours=None if self.hours is None else week(*self.hours),
            holidays=tuple(Holiday(day, "a holiday", "XX") for day in self.holidays),
            closed=self.closed,
            open=tuple((day, (MINUTE * begins, MINUTE * ends)) for day, begins, ends in self.opened),
            quiet=week(*self.quiet),
        )

    @cached_property
    def first(self) -> datetime:
        near = self.near
        return datetime(near.year, near.month, near.day, tzinfo=UTC) - timedelta(days=self.days)

    @cached_property
    def minutes(self) -> int:
        return 2 * self.days * 1440

    @cached_property
    def last(self) -> datetime:
        return self.first + MINUTE * self.minutes

    @cached_property
    def local(self) -> Sequence[datetime]:
        """What the clock shows in each minute."""
        zone = ZoneInfo(self.zone)
        return [(self.first + MINUTE * number).astimezone(zone).replace(tzinfo=UTC) for number in range(self.minutes)]

    @cached_property
    def is_open(self) -> Sequence[bool]:
        """Of each minute."""
        return [self._is_open(at) for at in self.local]

    @cached_property
    def may_post(self) -> Sequence[bool]:
        """Of each minute."""
        return [is_open and not _lies_in(self.quiet, at) for is_open, at in zip(self.is_open, self.local, strict=True)]

    @cached_property
    def edges(self) -> Sequence[int]:
        """The minutes in which it opens or closes."""
        return [number for number in range(1, self.minutes) if self.is_open[number] != self.is_open[number - 1]]

    @cached_property
    def before(self) -> list[int]:
        """How many open minutes there are before each, and at last in all."""
        return list(accumulate(self.is_open, initial=0))

    def age(self, since: datetime, at: datetime) -> timedelta:
        return max(self._passed(at) - self._passed(since), timedelta(0))

    def later(self, since: datetime, age: timedelta) -> datetime | None:
        """None where these days do not last so long."""
        whole, part = divmod(self._passed(since) + age, MINUTE)
        number = bisect_right(self.before, whole) - 1
        return None if number >= self.minutes else self.first + MINUTE * number + part

    @cached_property
    def reached(self) -> Sequence[int]:
        """The latest minute, counted from the first of all days, that the clock has shown until each."""
        minutes = (at.toordinal() * 1440 + at.hour * 60 + at.minute for at in self.local)
        return list(accumulate(minutes, max))

    def next_time(self, times: Times, at: datetime) -> datetime | None:
        """None where these days have none."""
        for number in range(max(-((self.first - at) // MINUTE), 1), self.minutes):
            for wall in range(self.reached[number - 1] + 1, self.reached[number] + 1):
                day, minute = divmod(wall, 1440)
                if MINUTE * minute in times[date.fromordinal(day).weekday()]:
                    return self.first + MINUTE * number
        return None

    def last_time(self, times: Times, at: datetime) -> datetime | None:
        """None where these days have none."""
        for number in range(min((at - self.first) // MINUTE, self.minutes - 1), 0, -1):
            if any(
                self._is_time(wall, times) for wall in range(self.reached[number - 1] + 1, self.reached[number] + 1)
            ):
                return self.first + MINUTE * number
        return None

    @staticmethod
    def _is_time(wall: int, times: Times) -> bool:
        day, minute = divmod(wall, 1440)
        return MINUTE * minute in times[date.fromordinal(day).weekday()]

    def _passed(self, at: datetime) -> timedelta:
        number, part = divmod(at - self.first, MINUTE)
        open_part = part if number < self.minutes and self.is_open[number] else timedelta(0)
        return MINUTE * self.before[number] + open_part

    def _is_open(self, at: datetime) -> bool:
        minute = at.hour * 60 + at.minute
        if any(day == at.date() and begins <= minute < ends for day, begins, ends in self.opened):
            return True
        is_off = at.date() in self.closed or at.date() in self.holidays
        return not is_off and (self.hours is None or _lies_in(self.hours, at))


def _lies_in(rows: Sequence[Row], at: datetime) -> bool:
    minute, today, yesterday = at.hour * 60 + at.minute, at.weekday(), (at.weekday() - 1) % 7
    for days, begins, ends in rows:
        over_midnight = ends <= begins
        if today in days and begins <= minute and (over_midnight or minute < ends):
            return True
        if yesterday in days and over_midnight and minute < ends:
            return True
    return False


OFFICE = (row(range(4), "9:00", "17:30"), row(range(4, 5), "9:00", "15:00"))
NIGHTS = (row(EVERY_DAY, "22:00", "6:00"),)
SHIFTS = (row(WORKDAYS, "6:00", "12:00"), row(WORKDAYS, "13:00", "21:00"))
SMALL_HOURS = (row(EVERY_DAY, "1:30", "2:30"),)
LUNCH = (row(EVERY_DAY, "12:00", "13:00"),)
LATE = (row(EVERY_DAY, "23:30", "0:30"),)

SPRING, AUTUMN = date(2026, 3, 29), date(2026, 10, 25)
EASTER = frozenset({date(2026, 4, 3), date(2026, 4, 6)})

CALENDARS = (
    Given("Berlin, Easter", "Europe/Berlin", SPRING, OFFICE, holidays=EASTER, quiet=LUNCH),
    Given("Berlin, autumn", "Europe/Berlin", AUTUMN, OFFICE, opened=((AUTUMN, 120, 240),), closed=frozenset({AUTUMN})),
    Given("New York, two shifts, spring", "America/New_York", date(2026, 3, 8), SHIFTS),
    Given("New York, two shifts, autumn", "America/New_York", date(2026, 11, 1), SHIFTS, quiet=LUNCH),
    Given("nights, spring", "Europe/Berlin", SPRING, NIGHTS, closed=EASTER),
    Given("nights, autumn", "Europe/Berlin", AUTUMN, NIGHTS, quiet=LATE),
    Given("01:30-02:30, spring", "Europe/Berlin", SPRING, SMALL_HOURS),
    Given("01:30-02:30, autumn", "Europe/Berlin", AUTUMN, SMALL_HOURS),
    Given("02:00-03:00, spring", "Europe/Berlin", SPRING, (row(EVERY_DAY, "2:00", "3:00"),)),
    Given("Lord Howe, autumn", "Australia/Lord_Howe", date(2026, 4, 5), SMALL_HOURS),
    Given("Lord Howe, spring", "Australia/Lord_Howe", date(2026, 10, 4), SMALL_HOURS, quiet=SMALL_HOURS),
    Given(
        "Apia, the day that was not", "Pacific/Apia", date(2011, 12, 30), OFFICE, opened=((date(2011, 12, 31), 0, 60),)
    ),
    Given("Casablanca, Ramadan begins", "Africa/Casablanca", date(2026, 2, 15), SMALL_HOURS),
    Given("Casablanca, Ramadan ends", "Africa/Casablanca", date(2026, 3, 22), OFFICE),
    Given("Kathmandu", "Asia/Kathmandu", date(2026, 6, 15), OFFICE, quiet=LUNCH),
    Given("all day but holidays", "Europe/Berlin", SPRING, None, holidays=EASTER, quiet=NIGHTS),
)
