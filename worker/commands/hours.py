"""The `hours` command: when a calendar is open, what its days are, and who says what is a day off."""

from __future__ import annotations

import contextlib
import sys
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from worker.app import last_polls
from worker.clock import SystemClock
from worker.commands import tables
from worker.commands.runs import not_polled
from worker.commands.startup import DATABASE, opened, start
from worker.commands.tables import stamp
from worker.core.calendar import NO_WEEK
from worker.core.command import matching
from worker.core.model import Queue
from worker.core.ports import ConfigError, StoreError
from worker.settings.calendars import calendar_of, zone_named

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import tzinfo

    from worker.core.calendar import Calendar, Holiday
    from worker.settings import PerQueue, Settings

FIRST_YEAR, LAST_YEAR = 1971, 2199
LISTED_DAYS = 5
"""So many of the next days off are shown to people."""

A_YEAR = timedelta(days=366)


class TimeError(Exception):
    """What was given as a time is none."""


def hours(wanted: str | None, *, at: str | None, as_json: bool) -> bool:
    """Show the hours of the calendar of a queue, or of all that name none; False for an unknown queue.

    Raises TimeError.
    """
    settings = start(DATABASE)
    known = _known(settings) if wanted else []
    found = matching(known, wanted) if wanted else []
    if wanted and not found:
        sys.stderr.write(f"review-notifier: {not_polled(wanted, known)}\n")
        return False
    queue = settings.for_queue(found[0].queue_id, found[0].name) if found else settings.defaults
    table = settings.calendar_table(queue.calendar)
    instant = _instant(at, zone_named(table.zone or "UTC")) if at else SystemClock().now()
    calendar = calendar_of(table, instant.year)
    if as_json:
        tables.print_json(hours_json(calendar, instant))
    else:
        tables.say(
            *hours_lines(calendar_name(queue), calendar, instant), *(_others(settings, queue) if not wanted else ())
        )
    return True


def _known(settings: Settings) -> Sequence[Queue]:
    """The queues that are polled, as the database knows them, and those that the settings name."""
    polled: list[Queue] = []
    with contextlib.suppress(StoreError, ConfigError), opened(settings) as store:
        polled = [each.queue for each in last_polls(store)]
    known = {str(word) for queue in polled for word in (queue.queue_id, queue.name)}
    named = (Queue(queue.queue_id or queue.queue, queue.queue) for queue in settings.queues)
    return [*polled, *(queue for queue in named if str(queue.queue_id) not in known)]


def _instant(text: str, zone: tzinfo) -> datetime:
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        found = None
    if found is None or not FIRST_YEAR <= found.year <= LAST_YEAR:
        raise TimeError(
            f"{text!r} is not a time from {FIRST_YEAR} to {LAST_YEAR}; write one such as 2026-12-24T10:00, "
            "on the calendar's clock, or 2026-12-24T09:00Z"
        )
    return (found if found.tzinfo else found.replace(tzinfo=zone)).astimezone(UTC)


def hours_json(calendar: Calendar, at: datetime) -> dict[str, Any]:
    """One calendar for programs: what is said is said of an instant and of what follows it."""
    return {
        "open": calendar.is_open(at),
        "next_opening": stamp(calendar.next_opening(at)),
        "next_closing": stamp(calendar.next_closing(at)),
        "day_seconds": int(calendar.usual_day.total_seconds()),
        "holidays": [{"date": str(day.day), "name": day.name, "by": day.by} for day in _days_off(calendar, at)],
        "tzdata": version("tzdata"),
        "holidays_version": version("holidays"),
    }


def _days_off(calendar: Calendar, at: datetime) -> list[Holiday]:
    """Those of a year."""
    last = (at + A_YEAR).date()
    return [day for day in calendar.days_off(at) if day.day <= last]


def hours_lines(name: str, calendar: Calendar, at: datetime) -> Iterator[str]:
    """One calendar for people."""
    yield f"Calendar: {name}, zone {calendar.zone}, as of {local(calendar, at)}"
    yield f"Now: {state_of(calendar, at)}"
    if not calendar.is_always:
        yield f"1d: {_length(calendar.usual_day)} of open time"
        days = _days_off(calendar, at)
        yield "Next days off: " + ("" if days else "none")
        yield from (f"  {day.day:%a %Y-%m-%d}  {day.name}, by {day.by}" for day in days[:LISTED_DAYS])
        if len(days) > LISTED_DAYS:
            yield f"  and {len(days) - LISTED_DAYS} more within a year"
    yield f"Versions: tzdata {version('tzdata')}, holidays {version('holidays')}"


def calendar_name(queue: PerQueue) -> str:
    """What a queue's calendar is called where it is shown."""
    return queue.calendar or "default"


def state_of(calendar: Calendar, at: datetime) -> str:
    """Whether a calendar is open, until when, and when it opens again."""
    quiet = "" if calendar.may_post(at) else f", quiet until {local(calendar, calendar.opens(at))}"
    if calendar.is_always:
        when = "at any time" if calendar.quiet == NO_WEEK else f"at any time but those that are quiet{quiet}"
        return f"no hours are set: time counts as it passes, and messages come {when}"
    opening, closing = calendar.next_opening(at), calendar.next_closing(at)
    until = local(calendar, closing)
    if not calendar.is_open(at):
        return f"closed; open next from {local(calendar, opening)} to {until}"
    return f"open until {until}{quiet}, opens next {local(calendar, opening)}"


def local(calendar: Calendar, at: datetime | None) -> str:
    """An instant as the calendar's clock shows it."""
    return "on a day that is not known yet" if at is None else f"{at.astimezone(calendar.zone):%a %Y-%m-%d %H:%M}"


def _length(duration: timedelta) -> str:
    hours, minutes = divmod(duration // timedelta(minutes=1), 60)
    return " ".join(part for part in (f"{hours} h" if hours else "", f"{minutes} min" if minutes else "") if part)


def _others(settings: Settings, shown: PerQueue) -> Iterator[str]:
    """The queues that have another calendar."""
    for queue in settings.queues:
        if queue.calendar != shown.calendar:
            yield f"{queue.queue}: {calendar_name(queue)}; `review-notifier hours {queue.queue!r}` shows it"
