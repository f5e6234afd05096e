"""A report of one queue: what came and left in a period, how long that took, when in the week; and its words. Pure.

Names are raw and hostile: who shows them escapes them.
"""

from __future__ import annotations

from datetime import datetime, timedelta, tzinfo
from typing import TYPE_CHECKING
from uuid import uuid5

from msgspec import Struct

from worker.core.history import EMPTY_HOUR, HOUR, by_day, by_week, hour_of, total
from worker.core.plan import NAMESPACE
from worker.core.text import age, day_time, flat

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import date
    from uuid import UUID

    from worker.core.calendar import Calendar, Times
    from worker.core.history import Hour, Hours, WeekOfHours
    from worker.core.model import Id, Queue, QueueTotals

WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_NAME = 80
_DAY = timedelta(days=1)
_SHORTEST_DAY = timedelta(hours=23)


class Period(Struct, frozen=True):
    """The time that a report is about, on the clock of the queue's calendar. It begins and ends with whole hours."""

    begin: datetime
    end: datetime
    zone: tzinfo

    @property
    def days(self) -> int:
        """How many days it has, as people count them."""
        return max(round((self.end - self.begin) / _DAY), 1)

    @property
    def is_part_of_day(self) -> bool:
        """Whether it is less than a day, even than one on which the clock is put forward."""
        return self.end - self.begin < _SHORTEST_DAY

    @property
    def day(self) -> date:
        """The day on which it ends."""
        return self.end.astimezone(self.zone).date()


class QueueReport(Struct, frozen=True):
    """What is reported of one queue: its hours as a `sum`, by the week and by the day, and what waits now.

    Of `hours` hours, `seen` were watched. `is_open_time` says that waits leave closed hours out.
    """

    queue: Queue
    period: Period
    sum: Hour
    week: WeekOfHours
    days: Sequence[tuple[date, Hour]]
    now: QueueTotals
    seen: int
    hours: int
    is_open_time: bool

    @classmethod
    def of(cls, queue: Queue, period: Period, hours: Hours, now: QueueTotals, calendar: Calendar) -> QueueReport:
        """The report of what is known of the hours of a period."""
        within = {start: hours[start] for start in sorted(hours) if period.begin <= start < period.end}
        every = (period.end - period.begin) // HOUR
        return cls(
            queue=queue,
            period=period,
            sum=total(within.values()),
            week=by_week(within, period.zone),
            days=_every_day(period, by_day(within, period.zone)),
            now=now,
            seen=min(sum(hour.is_seen for hour in within.values()), every),
            hours=every,
            is_open_time=not calendar.is_always,
        )


def _every_day(period: Period, days: Mapping[date, Hour]) -> list[tuple[date, Hour]]:
    """Every day of a period; those of which nothing is known hold nothing, and were not seen."""
    first = period.begin.astimezone(period.zone).date()
    last = (period.end - HOUR).astimezone(period.zone).date()
    every = (first + _DAY * number for number in range((last - first).days + 1))
    return [(day, days.get(day, EMPTY_HOUR)) for day in every]


def last_days(days: int, now: datetime, zone: tzinfo) -> Period:
    """The last days until now, the present hour included."""
    end = hour_of(now) + HOUR
    return Period(end - _DAY * days, end, zone)


def due_period(calendar: Calendar, times: Times, now: datetime) -> tuple[datetime, Period]:
    """The last time of the week at which a report is due, and the period since the time before."""
    due_at = calendar.last_time(times, now)
    before = calendar.last_time(times, due_at - timedelta(microseconds=1))
    return due_at, Period(hour_of(before), hour_of(due_at), calendar.zone)


def report_key(queue_id: Id, period: Period) -> UUID:
    """The key of the message: one a queue, length of period, and day of its end, whoever asks for it."""
    # Several that are due on one day are not the same.
    part = f"\n{period.begin.isoformat()}\n{period.end.isoformat()}" if period.is_part_of_day else ""
    return uuid5(NAMESPACE, f"report\n{queue_id}\n{period.days}\n{period.day}{part}")


def sentences(report: QueueReport) -> Iterator[str]:
    """The report in words, a sentence or two a line."""
    yield _flow(report)
    if waits := _waits(report):
        yield waits
    yield _standing(report)
    if (unseen := report.hours - report.seen) > 0:
        known = f"In {unseen:,} of the {report.hours:,} hours no poll was complete"
        yield (f"{known}: what came and left then may be missing." if report.seen else f"{known}: nothing is known.")


def report_title(report: QueueReport) -> str:
    """The queue and the period, flat."""
    begin, end = (at.astimezone(report.period.zone) for at in (report.period.begin, report.period.end))
    name = flat(report.queue.name, _NAME) or str(report.queue.queue_id)
    if report.period.is_part_of_day:
        return f"{name}: {day_time(begin, report.period.zone)} to {day_time(end, report.period.zone)}"
    # The last hour of the period, rather than the midnight after it.
    last = end - HOUR
    return f"{name}: {begin:%a} {begin.day} {begin:%b} to {last:%a} {last.day} {last:%b}"


def posted_text(report: QueueReport) -> str:
    """The report as a message."""
    busiest = _busiest(report)
    return "\n".join([report_title(report), *sentences(report), *([busiest] if busiest else [])])


def _flow(report: QueueReport) -> str:
    found = report.sum
    parts = [f"{found.came:,} {_runs(found.came)} came", f"{found.reviewed:,} {_were(found.reviewed)} reviewed"]
    if found.removed:
        parts.append(f"{found.removed:,} removed unreviewed")
    if found.unknown:
        parts.append(f"{found.unknown:,} left, reviewed or removed")
    return f"{', '.join(parts)}."


def _waits(report: QueueReport) -> str:
    found = report.sum
    half, most, share = found.first.quantile(0.5), found.first.quantile(0.95), found.overdue_share
    if half is None or most is None or share is None:
        return ""
    unit = " (open time)" if report.is_open_time else ""
    said = f"The first review came after {age(half)} for half of them, within {age(most)} for 95 of 100{unit}."
    return f"{said} {share:.0%} were overdue by then."


def _standing(report: QueueReport) -> str:
    now = report.now
    if not now.waiting:
        return "None waits now."
    overdue = f", {now.stale:,} overdue" if now.stale else ""
    since = f", the oldest since {day_time(now.oldest_since, report.period.zone)}" if now.oldest_since else ""
    return f"{now.waiting:,} {'waits' if now.waiting == 1 else 'wait'} now{overdue}{since}."


def _busiest(report: QueueReport) -> str:
    """The hour of the week in which most came."""
    cells = [(cell.came, day, hour) for day, row in enumerate(report.week) for hour, cell in enumerate(row)]
    came, day, hour = max(cells, key=lambda each: (each[0], -each[1], -each[2]))
    # A single run makes no hour busy.
    return f"Most came on {WEEKDAYS[day]} from {hour:02}:00 to {(hour + 1) % 24:02}:00: {came:,}." if came > 1 else ""


def _runs(count: int) -> str:
    return "run" if count == 1 else "runs"


def _were(count: int) -> str:
    return "was" if count == 1 else "were"
