"""Calendars in the settings: what is read, what it means, and what is refused with which fix."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest

from tests.support.builders import HOUR, SECOND
from tests.support.settings_place import Place
from worker.core.calendar import NO_WEEK
from worker.settings.calendars import (
    NO_HOURS,
    CalendarTable,
    calendar_of,
    never_open,
    weekly_hours,
    weekly_times,
    zone_named,
)
from worker.settings.loading import findings
from worker.settings.values import WrittenDuration, open_time_or_never

if TYPE_CHECKING:
    from pathlib import Path

    from worker.core.calendar import Calendar
    from worker.settings import Settings

NINE_TO_FIVE = (9 * HOUR, 17 * HOUR)
NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)

CONTRACT = """
[calendars.berlin]
zone = "Europe/Berlin"
hours = ["Mon-Thu 09:00-17:30", "Fri 09:00-15:00"]
holidays = ["DE-BE"]
closed = ["2026-12-24..2026-12-31"]
open = ["2026-12-12 10:00-14:00"]
quiet = ["12:00-13:00"]

[defaults]
calendar = "berlin"
"""


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path, tmp_path / "mount")


def calendar(settings: Settings, name: str = "") -> Calendar:
    return calendar_of(settings.calendar_table(name), NOW.year)


def berlin(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo("Europe/Berlin")).astimezone(UTC)


# --- what is read


def test_the_calendar_of_the_contract_is_read(place: Place) -> None:
    place.write("worker.toml", CONTRACT)
    settings = place.load()
    found = calendar(settings, settings.defaults.calendar)
    assert str(found.zone) == "Europe/Berlin"
    assert found.years == (2025, 2028)
    assert found.usual_day == 8.5 * HOUR
    assert found.next_closing(berlin("2026-11-27 10:00")) == berlin("2026-11-27 15:00")
    assert found.next_opening(berlin("2026-12-23 20:00")) == berlin("2027-01-04 09:00")
    assert found.next_opening(berlin("2026-12-11 20:00")) == berlin("2026-12-12 10:00")
    assert not found.may_post(berlin("2026-11-27 12:30"))
    assert {holiday.by for holiday in found.holidays} == {"DE-BE"}
    assert date(2027, 3, 8) in {holiday.day for holiday in found.holidays}


def test_three_variables_are_a_calendar(place: Place) -> None:
    settings = place.load(
        {
            "WORKER_ZONE": "America/New_York",
            "WORKER_HOURS": "Mon-Thu 09:00-17:00; Fri 09:00-12:00, 13:00-15:00",
            "WORKER_HOLIDAYS": "US-NY;GB-ENG",
        }
    )
    found = calendar(settings)
    assert found.next_closing(datetime(2026, 11, 27, 15, tzinfo=UTC)) == datetime(2026, 11, 27, 17, tzinfo=UTC)
    assert {holiday.by for holiday in found.holidays} == {"US-NY", "GB-ENG"}
    assert not calendar(settings, NO_HOURS).holidays
    assert calendar(settings, NO_HOURS).is_always
    assert calendar(settings, NO_HOURS).zone == found.zone


def test_without_any_setting_there_are_no_hours(place: Place) -> None:
    settings = place.load()
    assert settings.defaults.calendar == ""
    assert calendar(settings).is_always
    assert calendar(settings).usual_day == 24 * HOUR


def test_a_table_without_a_zone_has_that_of_all(place: Place) -> None:
    place.write("worker.toml", 'zone = "Asia/Tokyo"\n[calendars.a]\n[calendars.b]\nzone = "Asia/Kathmandu"')
    settings = place.load()
    assert [str(calendar(settings, name).zone) for name in ("", "a", "b")] == [
        "Asia/Tokyo",
        "Asia/Tokyo",
        "Asia/Kathmandu",
    ]


def test_a_queue_may_have_a_calendar_of_its_own(place: Place) -> None:
    place.write("worker.toml", CONTRACT + '[[queues]]\nqueue = "A"\ncalendar = "always"\n[[queues]]\nqueue = "B"\n')
    assert [queue.calendar for queue in place.load().queues] == ["always", "berlin"]
    assert [queue.calendar for queue in place.load({"WORKER_CALENDAR": "always"}).queues] == ["always", "always"]


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("Mon-Fri 09:00-17:00", range(5)),
        ("09:00-17:00", range(7)),
        ("mon, Tuesday 9:00 – 17:00", range(2)),  # noqa: RUF001
        ("Sat - Mon 09:00-17:00", (0, 5, 6)),
        ("Mon 09:00-17:00, Wed 09:00-17:00", (0, 2)),
        (["Mon 09:00-17:00", "Wed 09:00-17:00"], (0, 2)),
        ("Mon 09:00-17:00;; Wed 09:00-17:00;", (0, 2)),
    ],
)
def test_hours_are_written_in_several_ways(text: object, days: range | tuple[int, ...]) -> None:
    assert weekly_hours(text) == tuple((NINE_TO_FIVE,) if day in days else () for day in range(7))


def test_hours_may_end_on_the_next_day_or_last_all_day() -> None:
    assert weekly_hours("22:00-06:00")[6] == ((22 * HOUR, 30 * HOUR),)
    assert weekly_hours("00:00-24:00")[6] == ((0 * HOUR, 24 * HOUR),)
    assert weekly_hours("22:00-00:00")[6] == ((22 * HOUR, 24 * HOUR),)
    assert weekly_hours("09:00:30-17:00")[6] == ((9 * HOUR + 30 * SECOND, 17 * HOUR),)
    assert weekly_hours("Mon 13:00-17:00, 09:00-12:00")[0] == ((9 * HOUR, 12 * HOUR), (13 * HOUR, 17 * HOUR))


def test_times_of_the_week() -> None:
    assert weekly_times(["Mon-Fri 09:00", "Mon 14:00, 09:00"])[0] == (9 * HOUR, 14 * HOUR)
    assert weekly_times("09:00")[6] == (9 * HOUR,)


def test_days_off_may_be_dates_of_toml(place: Place) -> None:
    place.write("worker.toml", '[calendars.a]\nclosed = [2026-12-24, "2026-12-30 .. 2027-01-02"]\n')
    assert calendar(place.load(), "a").closed == {
        date(2026, 12, 24),
        date(2026, 12, 30),
        date(2026, 12, 31),
        date(2027, 1, 1),
        date(2027, 1, 2),
    }


def test_days_off_that_are_not_of_these_years_are_left_out() -> None:
    table = CalendarTable.model_validate({"closed": "1999-01-01..2025-01-01;2028-12-31..9999-12-31"})
    assert calendar_of(table, 2026).closed == {date(2025, 1, 1), date(2028, 12, 31)}


@pytest.mark.parametrize(
    ("codes", "day", "is_off"),
    [
        ("GB-ENG", date(2026, 4, 6), True),
        ("GB-SCT", date(2026, 4, 6), False),
        ("de-by", date(2026, 1, 6), True),
        ("DE-BE", date(2026, 1, 6), False),
        ("FR", date(2026, 7, 14), True),
        ("US", date(2027, 12, 31), True),
        ("DE-BE, FR", date(2026, 7, 14), True),
        ("JP", date(2026, 5, 6), True),
    ],
)
def test_holidays_are_those_of_countries_and_their_parts(codes: str, day: date, is_off: bool) -> None:  # noqa: FBT001
    table = CalendarTable.model_validate({"holidays": codes})
    assert (day in {holiday.day for holiday in calendar_of(table, 2026).holidays}) == is_off


def test_holidays_are_named_in_english_whatever_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANGUAGE", "de")
    found = calendar_of(CalendarTable.model_validate({"holidays": "DE-SH"}), 2026).holidays
    assert "Easter Monday" in {holiday.name for holiday in found}


def test_a_new_year_brings_the_holidays_of_one_more() -> None:
    table = CalendarTable.model_validate({"holidays": "FR"})
    assert {holiday.day.year for holiday in calendar_of(table, 2027).holidays} == {2026, 2027, 2028, 2029}


def test_zones_are_those_of_tzdata_and_not_of_the_machine() -> None:
    winnipeg = zone_named("America/Winnipeg")
    assert winnipeg is not ZoneInfo("America/Winnipeg")
    # Since 2026 they are not set back in autumn any more.
    assert datetime(2026, 12, 1, tzinfo=winnipeg).utcoffset() == -5 * HOUR


@pytest.mark.parametrize(("text", "expected"), [("1d", 9 * HOUR), ("24h", 24 * HOUR), ("2d1h", 19 * HOUR)])
def test_the_days_that_were_written_are_as_long_as_an_open_day(text: str, expected: timedelta) -> None:
    written = open_time_or_never(text)
    assert isinstance(written, WrittenDuration)
    assert written.with_days_of(9 * HOUR) == expected
    assert written == written.with_days_of(24 * HOUR)


# --- what is refused


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        ("ZONE", "Europe/Berln", "is not a time zone (did you mean Europe/Berlin?); write an IANA name"),
        ("ZONE", "Berlin", "is not a time zone (did you mean Europe/Berlin?)"),
        ("ZONE", "New York", "is not a time zone (did you mean America/New_York?)"),
        ("ZONE", "../../etc/passwd", "is not a time zone; write"),
        ("HOURS", "Mon-Fri", "has 'Mon-Fri', which has no times; write hours such as Mon-Fri 09:00-17:30"),
        ("HOURS", "Mo-Fr 09:00-17:00", "has 'Mo', which is not a day (did you mean Mon?); write Mon, Tue, Wed"),
        ("HOURS", "Mon 9-17", "has '9', which is not a time from 00:00 to 24:00 (did you mean 09:00?)"),
        ("HOURS", "Mon 09.30-17:00", "has '09.30', which is not a time from 00:00 to 24:00 (did you mean 09:30?)"),
        ("HOURS", "Mon 09:00-25:00", "has '25:00', which is not a time from 00:00 to 24:00; write"),
        ("HOURS", "Mon 09:00", "has '09:00', which has no end"),
        ("HOURS", "Mon 09:00-09:00", "has '09:00-09:00', which is empty; write 00:00-24:00 for a whole day"),
        ("HOURS", "Mon 24:00-06:00", "has '24:00-06:00', which is empty"),
        (
            "HOURS",
            "Mon 09:00-12:00, 11:00-17:00",
            "has hours that overlap, Mon 09:00-12:00 and Mon 11:00-17:00; write Mon 09:00-17:00 instead",
        ),
        (
            "HOURS",
            "Sun 22:00-06:00; Mon 05:00-24:00",
            "has hours that overlap, Sun 22:00-06:00 and Mon 05:00-24:00; write Sun 22:00-24:00",
        ),
        ("HOURS", ";", "is empty; write something into it"),
        ("REMIND_AT", "Mon-Fry 09:00", "has 'Fry', which is not a day (did you mean Fri?); write Mon, Tue, Wed"),
        (
            "REMIND_AT",
            "9",
            "has '9', which is not a time from 00:00 to 24:00 (did you mean 09:00?); write times such as",
        ),
        (
            "REMIND_AT",
            "Mon 09:00-10:00",
            "has '09:00-10:00', which is not a time from 00:00 to 24:00; write times such",
        ),
        ("REMIND_AT", "Mon", "has 'Mon', which has no times; write times such as Mon-Fri 09:00, 14:00"),
        ("REMIND_AT", ";", "is empty; write something into it"),
        ("HOLIDAYS", "GB", "names 'GB', where each part has its own holidays; write one of GB-ENG, GB-NIR"),
        ("HOLIDAYS", "DE", "names 'DE', where each part has its own holidays; write one of DE-BB, DE-BE"),
        ("HOLIDAYS", "DE-BER", "names 'DE-BER', and DE has no part 'BER' (did you mean DE-BE?); write one of"),
        ("HOLIDAYS", "DE-Berlin", "names 'DE-Berlin', and DE has no part 'Berlin' (did you mean DE-BE?)"),
        ("HOLIDAYS", "FR-75", "names 'FR-75', and FR has no part '75'; write one of FR, FR-57"),
        ("HOLIDAYS", "JP-13", "names 'JP-13', and JP has no part '13'; write JP"),
        (
            "HOLIDAYS",
            "Germany",
            "names 'Germany', which is not a country (did you mean DE?); write codes such as DE-BE",
        ),
        ("HOLIDAYS", "XX", "names 'XX', which is not a country; write codes"),
        ("CALENDAR", "allways", "is not a calendar (did you mean always?); write always, or define it as"),
    ],
)
def test_a_value_that_cannot_be_is_refused_with_the_nearest_that_can(
    place: Place, name: str, value: str, line: str
) -> None:
    (refusal,) = place.refusal({f"WORKER_{name}": value})
    assert refusal.startswith(f"WORKER_{name}: {value!r} {line}")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('[calendars.a]\nzone = "Mars/Base"', "calendars.a.zone: 'Mars/Base' is not a time zone"),
        ("[calendars.a]\nhours = []", "calendars.a.hours: [] is empty; write something into it"),
        ("[calendars.a]\nhours = 9", "calendars.a.hours: 9 is not text"),
        ('[calendars.a]\nquiet = "12:00"', "calendars.a.quiet: '12:00' has '12:00', which has no end"),
        (
            '[calendars.a]\nclosed = "Easter"',
            "calendars.a.closed: 'Easter' has 'Easter', which is not a day; write 2026",
        ),
        ('[calendars.a]\nclosed = "2026-02-30"', "calendars.a.closed: '2026-02-30' has 2026-02-30, which no month has"),
        ("[calendars.a]\nclosed = [2026-12-24T10:00:00]", "calendars.a.closed: "),
        ('[calendars.a]\nclosed = "2026-12-31..2026-12-24"', "calendars.a.closed: '2026-12-31..2026-12-24' has"),
        (
            '[calendars.a]\nopen = "2026-12-12"',
            "calendars.a.open: '2026-12-12' has '2026-12-12', which is not a day with",
        ),
        ('[calendars.a]\nhour = "x"', "calendars.a.hour is not a setting here (did you mean hours?)"),
        ("[calendars.always]", "calendars.always cannot be defined"),
        ("calendars = 3", "calendars holds no tables; write [calendars.NAME]"),
        ("[calendars]\nberlin = 3", "calendars holds no tables"),
        ('[calendars.berlin]\n[defaults]\ncalendar = "berln"', "defaults.calendar: 'berln' is not a calendar (did"),
        ('[[queues]]\nqueue = "A"\ncalendar = "x"', "queues[0].calendar: 'x' is not a calendar"),
    ],
)
def test_a_table_that_cannot_be_is_refused(place: Place, text: str, line: str) -> None:
    place.write("worker.toml", text)
    (refusal,) = place.refusal()
    assert refusal.startswith(f"worker.toml: {line}")


@pytest.mark.parametrize(
    ("table", "line"),
    [
        (
            {"hours": "09:00-17:00", "closed": "2026-01-01..2027-12-31"},
            "calendars.a is never open in the next year, and opens on 2028-01-01",
        ),
        ({"closed": "2026-01-01..2099-12-31"}, "calendars.a is never open in the next year; take"),
        ({"hours": "09:00-17:00", "quiet": "08:00-18:00"}, "calendars.a is never open without being quiet in the"),
    ],
)
def test_a_calendar_that_is_never_open_in_the_next_year_is_refused(
    place: Place, table: dict[str, str], line: str
) -> None:
    lines = "\n".join(f'{key} = "{value}"' for key, value in table.items())
    place.write("worker.toml", f"[calendars.a]\n{lines}")
    (problem,) = never_open(place.load(), NOW)
    assert problem.startswith(line)


def test_a_calendar_that_opens_within_a_year_may_be_closed_for_long(place: Place) -> None:
    place.write("worker.toml", '[calendars.a]\nhours = "Mon 09:00-10:00"\nclosed = "2026-01-01..2027-10-01"')
    assert list(never_open(place.load(), NOW)) == []


# --- what is probably a mistake


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('[calendars.a]\nzone = "UTC"', "calendars.a is used by no queue; name it as calendar under [defaults]"),
        ('[calendars.a]\nhours = "09:00-10:00"\n[defaults]\ncalendar = "a"', "calendars.a has no zone: its"),
        (
            'hours = "09:00-10:00"',
            "WORKER_HOURS and WORKER_HOLIDAYS are in UTC, because no zone is set; set WORKER_ZONE",
        ),
    ],
)
def test_what_was_probably_not_meant_is_a_finding(place: Place, text: str, line: str) -> None:
    place.write("worker.toml", text)
    (finding,) = findings(place.load())
    assert finding.startswith(line)


def test_no_quiet_is_the_default() -> None:
    assert CalendarTable().quiet == NO_WEEK
