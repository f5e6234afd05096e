"""The last days of a queue, as the page shows them: what came and left on each day and in each hour of the week."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from worker.core.history import EMPTY_HOUR, by_day, by_week, total
from worker.web.shown import DayRow, Flow, WeekCell

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date, datetime, tzinfo

    from worker.core.history import Hour, Hours

DAYS = 30


def since_when(now: datetime) -> datetime:
    """From when on the hours are needed: some more, since a day of a zone begins before or after that of UTC."""
    return now - timedelta(days=DAYS + 1)


def days_of(hours: Hours, zone: tzinfo, now: datetime) -> list[DayRow]:
    """The last days of a zone, up to today, those of which nothing is known as well."""
    return _days(by_day(hours, zone), now.astimezone(zone).date())


def flow_of(hours: Hours, zone: tzinfo, now: datetime) -> Flow:
    """The last days, and what they come to."""
    today = now.astimezone(zone).date()
    first = today - timedelta(days=DAYS - 1)
    these = {start: hour for start, hour in hours.items() if start.astimezone(zone).date() >= first}
    all_of_them = total(these[start] for start in sorted(these))
    return Flow(
        zone=str(zone),
        days=_days(by_day(these, zone), today),
        week=[[WeekCell(cell.came, cell.reviewed, cell.seen) for cell in day] for day in by_week(these, zone)],
        came=all_of_them.came,
        reviewed=all_of_them.reviewed,
        removed=all_of_them.removed,
        unknown=all_of_them.unknown,
        first_review_p50_seconds=_seconds(all_of_them.first.quantile(0.5)),
        first_review_p95_seconds=_seconds(all_of_them.first.quantile(0.95)),
        last_review_p50_seconds=_seconds(all_of_them.last.quantile(0.5)),
        last_review_p95_seconds=_seconds(all_of_them.last.quantile(0.95)),
        overdue_share=all_of_them.overdue_share,
    )


def _days(known: Mapping[date, Hour], today: date) -> list[DayRow]:
    return [
        _day(day, known.get(day, EMPTY_HOUR)) for day in (today - timedelta(days=back) for back in range(DAYS)[::-1])
    ]


def _day(day: date, of: Hour) -> DayRow:
    return DayRow(day, of.came, of.reviewed, of.removed, of.unknown, of.waiting, of.overdue)


def _seconds(wait: timedelta | None) -> int | None:
    return None if wait is None else round(wait.total_seconds())
