"""When time counts and when may be posted: cases that people meet."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest

from tests.support.builders import HOUR, MINUTE
from tests.unit.core.hours import EVERY_DAY, LUNCH, OFFICE, WORKDAYS, clock, row, week
from worker.core.calendar import ALWAYS_OPEN, Calendar, Holiday
from worker.core.owed import NEVER

if TYPE_CHECKING:
    from tests.unit.core.hours import Row

MICROSECOND = timedelta(microseconds=1)
BERLIN = ZoneInfo("Europe/Berlin")
YEARS = (2025, 2028)
GOOD_FRIDAY, EASTER_MONDAY = date(2026, 4, 3), date(2026, 4, 6)
HOLIDAYS = (Holiday(GOOD_FRIDAY, "Good Friday", "DE-BE"), Holiday(EASTER_MONDAY, "Easter Monday", "DE-BE"))
OFFICE_IN_BERLIN = Calendar(BERLIN, YEARS, hours=week(*OFFICE), holidays=HOLIDAYS)


def berlin(text: str) -> datetime:
    """An instant by the clock in Berlin."""
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN).astimezone(UTC)


def with_hours(*rows: Row) -> Calendar:
    return Calendar(BERLIN, YEARS, hours=week(*rows))


def test_an_age_stands_still_while_it_is_closed() -> None:
    calendar = OFFICE_IN_BERLIN
    since = berlin("2026-03-12 16:30")
    assert calendar.age(since, berlin("2026-03-12 17:30")) == HOUR
    assert calendar.age(since, berlin("2026-03-13 08:59")) == HOUR
    assert calendar.age(since, berlin("2026-03-13 10:00")) == 2 * HOUR


def test_a_holiday_begins_while_a_run_is_stale_and_its_age_stands_still() -> None:
    since = berlin("2026-04-02 09:00")
    at_closing = OFFICE_IN_BERLIN.age(since, berlin("2026-04-02 17:30"))
    assert OFFICE_IN_BERLIN.age(since, berlin("2026-04-07 09:00")) == at_closing == 8.5 * HOUR


def test_what_falls_due_exactly_at_closing_is_due_at_the_next_opening() -> None:
    since = berlin("2026-03-12 16:30")
    assert OFFICE_IN_BERLIN.later(since, HOUR) == berlin("2026-03-13 09:00")
    assert OFFICE_IN_BERLIN.later(since, HOUR - MICROSECOND) == berlin("2026-03-12 17:30") - MICROSECOND
    assert OFFICE_IN_BERLIN.later(berlin("2026-04-02 16:30"), HOUR) == berlin("2026-04-07 09:00")


def test_it_is_open_at_an_opening_and_no_longer_at_a_closing() -> None:
    assert OFFICE_IN_BERLIN.is_open(berlin("2026-03-12 09:00"))
    assert not OFFICE_IN_BERLIN.is_open(berlin("2026-03-12 17:30"))
    assert not OFFICE_IN_BERLIN.is_open(berlin("2026-03-12 09:00") - MICROSECOND)


def test_nothing_is_posted_in_quiet_but_time_counts() -> None:
    calendar = replace(OFFICE_IN_BERLIN, quiet=week(*LUNCH))
    noon, one = berlin("2026-03-12 12:00"), berlin("2026-03-12 13:00")
    assert calendar.is_open(noon)
    assert not calendar.may_post(noon)
    assert calendar.opens(noon) == calendar.opens(noon + MINUTE) == one == calendar.opens(one)
    assert calendar.age(noon, one) == HOUR
    assert calendar.next_closing(noon) == berlin("2026-03-12 17:30")


def test_quiet_until_after_closing_ends_at_the_next_opening() -> None:
    calendar = replace(OFFICE_IN_BERLIN, quiet=week(row(EVERY_DAY, "17:00", "18:00")))
    assert calendar.opens(berlin("2026-03-12 17:10")) == berlin("2026-03-13 09:00")


def test_an_own_opening_wins_over_hours_holidays_and_days_off() -> None:
    calendar = replace(
        OFFICE_IN_BERLIN,
        closed=frozenset({date(2026, 3, 14)}),
        open=tuple((day, (10 * HOUR, 14 * HOUR)) for day in (GOOD_FRIDAY, date(2026, 3, 14))),
    )
    for day in (GOOD_FRIDAY, date(2026, 3, 14)):
        assert not calendar.is_open(berlin(f"{day} 09:59"))
        assert calendar.is_open(berlin(f"{day} 10:00"))
        assert calendar.next_closing(berlin(f"{day} 10:00")) == berlin(f"{day} 14:00")


def test_an_own_opening_adds_to_the_hours_of_its_day() -> None:
    calendar = replace(OFFICE_IN_BERLIN, open=((date(2026, 3, 12), (17 * HOUR, 19 * HOUR)),))
    assert calendar.next_closing(berlin("2026-03-12 10:00")) == berlin("2026-03-12 19:00")


def test_a_day_off_is_one_from_midnight_to_midnight() -> None:
    nights = replace(with_hours(row(EVERY_DAY, "22:00", "6:00")), holidays=HOLIDAYS)
    assert nights.next_closing(berlin("2026-04-02 23:00")) == berlin("2026-04-03 00:00")
    assert nights.next_opening(berlin("2026-04-02 23:00")) == berlin("2026-04-04 00:00")


@pytest.mark.parametrize(
    ("rows", "hours"),
    [
        pytest.param(OFFICE, 8.5, id="most days are as long"),
        pytest.param([row(WORKDAYS, "9:00", "12:00"), row(WORKDAYS, "13:00", "17:00")], 7, id="two stretches"),
        pytest.param([row(range(1), "22:00", "6:00")], 8, id="a single night"),
        pytest.param(
            [row(range(2), "9:00", "15:00"), row(range(2, 4), "9:00", "17:00")], 8, id="the longest of equals"
        ),
        pytest.param([row(range(1), "0:00", "24:00")], 24, id="a whole day"),
    ],
)
def test_a_day_of_a_duration_is_the_usual_open_day(rows: list[Row], hours: float) -> None:
    assert with_hours(*rows).usual_day == hours * HOUR


def test_a_day_of_a_duration_is_24_hours_where_there_are_no_hours() -> None:
    assert ALWAYS_OPEN.usual_day == replace(ALWAYS_OPEN, holidays=HOLIDAYS).usual_day == 24 * HOUR


def test_without_hours_time_counts_as_it_passes_and_everything_may_be_posted() -> None:
    at = berlin("2026-03-29 01:30")
    for calendar in (ALWAYS_OPEN, Calendar(BERLIN, YEARS)):
        assert calendar.is_always
        assert calendar.is_open(at)
        assert calendar.may_post(at)
        assert calendar.opens(at) == at
        assert calendar.age(at, at + 5 * HOUR) == 5 * HOUR
        assert calendar.age(at + HOUR, at) == timedelta(0)
        assert calendar.later(at, 5 * HOUR) == at + 5 * HOUR
        assert calendar.cut_off(at, 5 * HOUR) == at - 5 * HOUR
        assert calendar.next_opening(at) is None
        assert calendar.next_closing(at) is None


def test_all_day_but_holidays() -> None:
    calendar = Calendar(BERLIN, YEARS, holidays=HOLIDAYS)
    assert not calendar.is_always
    assert calendar.next_closing(berlin("2026-03-29 01:30")) == berlin("2026-04-03 00:00")
    assert calendar.next_opening(berlin("2026-03-29 01:30")) == berlin("2026-04-04 00:00")
    assert calendar.age(berlin("2026-03-29 00:00"), berlin("2026-03-30 00:00")) == 23 * HOUR


def test_outside_of_its_years_all_time_is_open() -> None:
    before, after = datetime(2019, 12, 25, tzinfo=UTC), datetime(2031, 12, 25, tzinfo=UTC)
    assert OFFICE_IN_BERLIN.age(before, before + 30 * HOUR) == 30 * HOUR
    assert OFFICE_IN_BERLIN.later(after, 30 * HOUR) == after + 30 * HOUR
    assert OFFICE_IN_BERLIN.opens(after) == after
    assert OFFICE_IN_BERLIN.next_opening(datetime(2028, 12, 31, tzinfo=UTC)) is None
    assert OFFICE_IN_BERLIN.next_closing(after) is None


def test_what_comes_after_all_dates_never_comes() -> None:
    for calendar in (ALWAYS_OPEN, OFFICE_IN_BERLIN):
        assert calendar.later(berlin("2026-03-12 10:00"), timedelta(days=3_000_000)) == NEVER
        assert calendar.later(berlin("2026-03-12 10:00"), timedelta(days=500_000_000)) == NEVER
        assert calendar.cut_off(berlin("2026-03-12 10:00"), timedelta(days=3_000_000)).year == 1


def test_two_years_ahead_an_opening_is_where_the_clock_says() -> None:
    assert OFFICE_IN_BERLIN.next_opening(berlin("2028-07-05 20:00")) == berlin("2028-07-06 09:00")


MORNINGS = tuple((9 * HOUR,) if day in WORKDAYS else () for day in EVERY_DAY)
SMALL_HOURS = (((MINUTE * clock("2:30")),),) * 7


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        pytest.param("2026-03-12 09:00", "2026-03-12 09:00", id="it is that time"),
        pytest.param("2026-03-12 09:01", "2026-03-13 09:00", id="the next day"),
        pytest.param("2026-03-13 09:01", "2026-03-16 09:00", id="after a weekend"),
        pytest.param("2026-03-27 09:01", "2026-03-30 09:00", id="after a change of the clock"),
    ],
)
def test_the_next_time_on_the_clock(at: str, expected: str) -> None:
    assert OFFICE_IN_BERLIN.next_time(MORNINGS, berlin(at)) == berlin(expected)


def test_a_time_that_the_clock_skips_comes_when_it_has_skipped_it() -> None:
    assert OFFICE_IN_BERLIN.next_time(SMALL_HOURS, berlin("2026-03-29 01:00")) == berlin("2026-03-29 03:00")


def test_a_time_that_the_clock_shows_twice_comes_once() -> None:
    first = OFFICE_IN_BERLIN.next_time(SMALL_HOURS, berlin("2026-10-25 01:00"))
    assert first == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    assert OFFICE_IN_BERLIN.next_time(SMALL_HOURS, first + MICROSECOND) == berlin("2026-10-26 02:30")


def test_no_time_never_comes() -> None:
    assert ALWAYS_OPEN.next_time(((),) * 7, berlin("2026-03-12 09:00")) == NEVER
    assert ALWAYS_OPEN.next_time(MORNINGS, datetime(2026, 3, 12, 8, tzinfo=UTC)) == datetime(2026, 3, 12, 9, tzinfo=UTC)


def test_days_off_are_named_in_order_with_who_says_so() -> None:
    calendar = replace(
        OFFICE_IN_BERLIN, closed=frozenset({EASTER_MONDAY, date(2026, 4, 7)}), open=((GOOD_FRIDAY, (HOUR, 2 * HOUR)),)
    )
    assert calendar.days_off(berlin("2026-04-06 23:00")) == [
        Holiday(EASTER_MONDAY, "Easter Monday", "DE-BE"),
        Holiday(EASTER_MONDAY, "closed", "closed"),
        Holiday(date(2026, 4, 7), "closed", "closed"),
    ]
    assert GOOD_FRIDAY not in {each.day for each in calendar.days_off(berlin("2026-04-01 12:00"))}


def test_calendars_are_values() -> None:
    assert Calendar(BERLIN, YEARS, hours=week(*OFFICE)) == with_hours(*OFFICE)
    with pytest.raises(FrozenInstanceError):
        ALWAYS_OPEN.zone = BERLIN  # type: ignore[misc]


@pytest.mark.parametrize(
    ("zone", "at", "began", "ends"),
    [
        pytest.param("UTC", "2026-03-02T12:00", "2026-03-02T00:00", "2026-03-03T00:00", id="of UTC"),
        pytest.param("Europe/Berlin", "2026-03-02T23:30", "2026-03-02T23:00", "2026-03-03T23:00", id="east of it"),
        pytest.param("Europe/Berlin", "2026-03-29T12:00", "2026-03-28T23:00", "2026-03-29T22:00", id="of 23 hours"),
        pytest.param("Europe/Berlin", "2026-10-25T12:00", "2026-10-24T22:00", "2026-10-25T23:00", id="of 25 hours"),
        pytest.param("Africa/Cairo", "2026-04-24T12:00", "2026-04-23T22:00", "2026-04-24T21:00", id="without midnight"),
    ],
)
def test_a_day_is_one(zone: str, at: str, began: str, ends: str) -> None:
    calendar = Calendar(ZoneInfo(zone), (2026, 2026))
    instant = datetime.fromisoformat(f"{at}+00:00")
    assert calendar.day_began(instant) == datetime.fromisoformat(f"{began}+00:00")
    assert calendar.day_ends(instant) == datetime.fromisoformat(f"{ends}+00:00")
    assert calendar.day_began(calendar.day_ends(instant)) == calendar.day_ends(instant)
