"""What `hours` and `check` show of a calendar."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from tests.support.builders import HOUR
from worker.commands.check import check_calendars
from worker.commands.hours import hours_json, hours_lines
from worker.core.calendar import ALWAYS_OPEN, Calendar, Holiday
from worker.settings import Settings

BERLIN = ZoneInfo("Europe/Berlin")
LUNCH = (((12 * HOUR, 13 * HOUR),),) * 7
HOLIDAYS = tuple(Holiday(date(2026, 12, day), f"day {day}", "XX") for day in (10, 11, 15, 16, 17, 18))
OFFICE = Calendar(
    BERLIN,
    (2025, 2028),
    hours=(((9 * HOUR, 17.5 * HOUR),),) * 5 + ((), ()),
    holidays=(*HOLIDAYS, Holiday(date(2028, 1, 1), "later", "XX")),
    closed=frozenset({date(2026, 12, 10)}),
    quiet=LUNCH,
)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN).astimezone(UTC)


def test_programs_get_instants_and_days_off_with_who_says_so() -> None:
    shown = hours_json(OFFICE, at("2026-12-09 10:00"))
    assert list(shown) == [
        "open", "next_opening", "next_closing", "day_seconds", "holidays", "tzdata", "holidays_version"
    ]  # fmt: skip
    assert shown["open"] is True
    assert shown["next_closing"] == "2026-12-09T16:30:00Z"
    assert shown["next_opening"] == "2026-12-14T08:00:00Z"
    assert shown["day_seconds"] == 30_600
    assert shown["holidays"][:2] == [
        {"date": "2026-12-10", "name": "day 10", "by": "XX"},
        {"date": "2026-12-10", "name": "closed", "by": "closed"},
    ]
    assert len(shown["holidays"]) == 7
    assert shown["tzdata"]
    assert shown["holidays_version"]


def test_without_hours_there_is_no_opening() -> None:
    shown = hours_json(ALWAYS_OPEN, at("2026-12-09 10:00"))
    assert (shown["open"], shown["next_opening"], shown["next_closing"]) == (True, None, None)
    assert (shown["day_seconds"], shown["holidays"]) == (86_400, [])


@pytest.mark.parametrize(
    ("when", "line"),
    [
        ("2026-12-09 10:00", "Now: open until Wed 2026-12-09 17:30, opens next Mon 2026-12-14 09:00"),
        ("2026-12-09 12:30", "Now: open until Wed 2026-12-09 17:30, quiet until Wed 2026-12-09 13:00, opens next Mon"),
        ("2026-12-09 17:30", "Now: closed; open next from Mon 2026-12-14 09:00 to Mon 2026-12-14 17:30"),
    ],
)
def test_people_are_shown_when_it_is_open(when: str, line: str) -> None:
    assert any(shown.startswith(line) for shown in hours_lines("berlin", OFFICE, at(when)))


def test_people_are_shown_that_it_is_quiet_where_there_are_no_hours() -> None:
    always = "Now: no hours are set: time counts as it passes, and messages come at any time but those that are quiet"
    calendar = Calendar(BERLIN, (2025, 2028), quiet=LUNCH)
    assert always in hours_lines("x", calendar, at("2026-12-09 10:00"))
    assert f"{always}, quiet until Wed 2026-12-09 13:00" in hours_lines("x", calendar, at("2026-12-09 12:30"))


def test_people_are_shown_the_first_days_off() -> None:
    shown = list(hours_lines("berlin", OFFICE, at("2026-12-09 10:00")))
    assert shown[0] == "Calendar: berlin, zone Europe/Berlin, as of Wed 2026-12-09 10:00"
    assert "1d: 8 h 30 min of open time" in shown
    assert "  Thu 2026-12-10  day 10, by XX" in shown
    assert "  and 2 more within a year" in shown
    assert "Next days off: none" in hours_lines(
        "x", replace(OFFICE, holidays=(), closed=frozenset()), at("2026-12-09 10:00")
    )


def test_check_remarks_that_no_hours_are_set() -> None:
    (finding,) = check_calendars(Settings([{"directory": Path()}]), at("2026-12-09 10:00"))
    assert finding.ok
    assert finding.text.endswith(
        "messages come at any time; WORKER_ZONE and WORKER_HOURS keep them within working hours"
    )


def test_check_shows_the_next_opening_of_each_calendar_that_is_used() -> None:
    tables = [{"queue": "A", "calendar": "nights"}, {"queue": "B", "calendar": "nights"}]
    layer = {
        "zone": "Europe/Berlin",
        "hours": "09:00-17:30",
        "calendars": {"nights": {"hours": "22:00-06:00"}, "x": {}},
    }
    found = list(check_calendars(Settings([{"directory": Path(), "tables": tables, **layer}]), at("2026-12-09 10:00")))
    assert [(finding.name, finding.ok, finding.text) for finding in found] == [
        ("calendar default", True, "open until Wed 2026-12-09 17:30, opens next Thu 2026-12-10 09:00"),
        ("calendar nights", True, "closed; open next from Wed 2026-12-09 22:00 to Thu 2026-12-10 06:00"),
    ]
