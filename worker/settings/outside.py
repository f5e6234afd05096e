"""Times to remind at that lie outside the hours: allowed, but probably not meant."""

from __future__ import annotations

from datetime import timedelta
from itertools import groupby
from typing import TYPE_CHECKING

from worker.core.calendar import NO_WEEK

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from worker.core.calendar import Stretch, Times, Week
    from worker.settings.calendars import CalendarTable

_DAY = timedelta(days=1)
_MINUTE = timedelta(minutes=1)
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_WHOLE: Week = (((timedelta(0), _DAY),),) * 7


def outside_hours(times: Times | None, table: CalendarTable) -> Iterator[str]:
    """A line on the times that lie outside the hours, or in quiet, with the nearest one that does not."""
    spans = _posting(table)
    if times is None or not spans:
        return
    every = [_DAY * day + at for day, on_day in enumerate(times) for at in on_day]
    outside = [at for at in every if not any(begin <= at < end for begin, end in spans)]
    # Alike on several days, they are one line.
    moves = sorted((at % _DAY, _nearest(at, spans) - at, at // _DAY) for at in outside)
    for (clock, move), alike in groupby(moves, key=lambda each: each[:2]):
        days = [day for *_, day in alike]
        yield (
            f"remind_at has {_moment(days, clock)!r}, which is outside hours: what is due then waits for the next "
            f"opening; write {_moment(days, clock + move)!r}, the nearest time within them"
        )


def _posting(table: CalendarTable) -> list[Stretch]:
    """When something may be posted, from the begin of a week, with the weeks around it; empty: at any time."""
    if table.hours is None and table.quiet == NO_WEEK:
        return []
    spans = _three_weeks(table.hours or _WHOLE)
    for hole in _three_weeks(table.quiet):
        spans = [part for span in spans for part in _parts(span, hole)]
    return spans


def _three_weeks(week: Week) -> list[Stretch]:
    midnights = ((_DAY * (7 * number + day), on_day) for number in (-1, 0, 1) for day, on_day in enumerate(week))
    return [(midnight + begin, midnight + end) for midnight, on_day in midnights for begin, end in on_day]


def _parts(span: Stretch, hole: Stretch) -> list[Stretch]:
    """What is left of a span beside a hole."""
    left, right = (span[0], min(span[1], hole[0])), (max(span[0], hole[1]), span[1])
    return [part for part in (left, right) if part[0] < part[1]]


def _nearest(at: timedelta, spans: Iterable[Stretch]) -> timedelta:
    """The nearest minute in which something may be posted: what falls on a closing waits for the next opening."""
    edges = [edge for begin, end in spans for edge in (begin, end - _MINUTE)]
    return min(edges, key=lambda edge: (abs(edge - at), edge))


def _moment(days: Sequence[int], at: timedelta) -> str:
    """The same time on some days of the week, which may be on the days before or after: `Mon-Fri 09:00`."""
    clock = at % _DAY
    named = sorted((day + at // _DAY) % 7 for day in days)
    runs = [[day for _, day in run] for _, run in groupby(enumerate(named), key=lambda each: each[1] - each[0])]
    shown = (_DAYS[run[0]] + (f"-{_DAYS[run[-1]]}" if len(run) > 1 else "") for run in runs)
    return f"{','.join(shown)} {clock // timedelta(hours=1):02}:{clock // _MINUTE % 60:02}"
