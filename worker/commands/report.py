"""The `report` command: what came, was reviewed and waits in each queue over some days, and when in the week."""

from __future__ import annotations

import csv
import io
import sys
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from worker.app import last_polls
from worker.clock import SystemClock
from worker.commands.startup import DATABASE, opened, start
from worker.commands.tables import print_json, queue_json, say, stamp
from worker.core.command import matching
from worker.core.owed import State
from worker.core.queue_report import WEEKDAYS, QueueReport, last_days, report_key, report_title, sentences
from worker.core.text import day_time_in, plain
from worker.loops.queue_reports import as_delivery
from worker.rules import rules_for

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime, timedelta
    from pathlib import Path

    from worker.core.history import Cell, Waits
    from worker.core.model import Queue
    from worker.rules import RulesOf
    from worker.stores.sql import SqlStore


class NotDrawnError(Exception):
    """A plot that cannot be drawn here; `str()` says why and the fix."""


class ReportAsked(Struct, frozen=True):
    """What is asked for: of which queue (None: of all), how many days, in which form, and whether to post it."""

    queue: str | None
    days: int
    as_json: bool = False
    as_csv: bool = False
    plot: Path | None = None
    post: bool = False


def show_reports(wanted: ReportAsked) -> bool:
    """Show the report, or post it; False for an unknown queue, where nothing is polled yet, or nowhere to post to.

    Raises OSError and NotDrawnError where the plot cannot be written.
    """
    settings = start(DATABASE)
    clock = SystemClock()
    with opened(settings) as store:
        now, rules = store.now(clock), rules_for(settings, clock)
        polled = [each.queue for each in last_polls(store)]
        queues = polled if wanted.queue is None else matching(polled, wanted.queue)
        if not queues:
            known = ", ".join(plain(queue.name) for queue in polled) or "none"
            missing = f"no queue {plain(wanted.queue)!r} is polled" if wanted.queue else "no queue is polled yet"
            sys.stderr.write(f"review-notifier: {missing}; these are: {known}\n")
            return False
        reports = [report_of(store, queue, rules, wanted.days, now) for queue in queues]
        if wanted.post:
            posted = [_post(store, each, rules, now) for each in reports]
            return all(posted)
    if wanted.plot is not None:
        from worker.commands.report_plot import write_plot  # noqa: PLC0415  most never draw

        write_plot(reports, wanted.plot)
        say(f"Drawn: {wanted.plot}")
    elif wanted.as_json:
        print_json(reports_json(reports))
    elif wanted.as_csv:
        sys.stdout.write(reports_csv(reports))
    else:
        # Written as it is: of what comes from outside only names are in it, which are flat.
        sys.stdout.writelines(f"{line}\n" for line in lines(reports))
    return True


def report_of(store: SqlStore, queue: Queue, rules: RulesOf, days: int, now: datetime) -> QueueReport:
    """The report of one queue over the last days."""
    own = rules(queue)
    period = last_days(days, now, own.calendar.zone)
    hours = store.hours(period.begin, period.end, queue.queue_id).get(queue.queue_id, {})
    standing = store.standing(queue.queue_id, own.stale_before(now))
    return QueueReport.of(queue, period, hours, standing, own.calendar)


def _post(store: SqlStore, each: QueueReport, rules: RulesOf, now: datetime) -> bool:
    """Owe the report to the queue's channel, once a period; False where the queue has none."""
    name = plain(each.queue.name)
    destination = rules(each.queue).policy.destination
    if not destination.place:
        say(f"{name}: has no channel; set WORKER_CHANNEL, or channel in worker.toml")
        return False
    if store.owe(as_delivery(each, destination, now)):
        calendar = rules(each.queue).calendar
        when = "" if calendar.may_post(now) else f" from {day_time_in(calendar.opens(now), calendar.zone)} on"
        say(f"{name}: due in {destination.place}; the service posts it{when or ' within seconds'}, or `poll` does")
        return True
    key = report_key(each.queue.queue_id, each.period)
    known = next((one for one in store.deliveries(limit=_MANY) if one.key == key), None)
    state = "was posted already" if known is None or known.state is State.SENT else f"is {known.state.value} already"
    say(f"{name}: the report of these {each.period.days} days {state}")
    return True


_MANY = 1_000_000
_COLUMNS = 80
_MOST_SHOWN = 99
_TIMES = "".join(f"{hour:3}" for hour in range(24))


def lines(reports: Sequence[QueueReport]) -> Iterator[str]:
    """The reports for people, within 80 columns."""
    for number, report in enumerate(reports):
        if number:
            yield ""
        yield report_title(report)
        for each in sentences(report):
            yield from _wrapped(each)
        yield from _heat_map(report)


def _wrapped(line: str) -> Sequence[str]:
    return wrap(line, _COLUMNS, initial_indent="  ", subsequent_indent="    ")


def _heat_map(report: QueueReport) -> Iterator[str]:
    """When in the week runs came; nothing where none did."""
    if not report.sum.came:
        return
    most = max(cell.came for row in report.week for cell in row)
    scale = -(-most // _MOST_SHOWN)
    unit = "" if scale == 1 else f", in units of {scale}"
    yield from _wrapped(f"Runs that came, by hour of the week in {report.period.zone}{unit} (. none, ? not known):")
    yield f"     {_TIMES}"
    for day, row in zip(WEEKDAYS, report.week, strict=True):
        yield f"  {day}" + "".join(f"{_shown(cell, scale):>3}" for cell in row)


def _shown(cell: Cell, scale: int) -> str:
    if cell.came:
        return str(-(-cell.came // scale))
    return "." if cell.seen else "?"


def reports_json(reports: Sequence[QueueReport]) -> dict[str, Any]:
    """The reports for programs."""
    return {"queues": [_report_json(report) for report in reports]}


def _report_json(report: QueueReport) -> dict[str, Any]:
    found, now = report.sum, report.now
    return {
        **queue_json(report.queue),
        "begin": stamp(report.period.begin),
        "end": stamp(report.period.end),
        "days": report.period.days,
        "zone": str(report.period.zone),
        "hours": report.hours,
        "hours_known": report.seen,
        "came": found.came,
        "reviewed": found.reviewed,
        "removed": found.removed,
        "unknown": found.unknown,
        "first_review": _waits_json(found.first, found.first_wall),
        "last_review": _waits_json(found.last, found.last_wall),
        "overdue_share": None if found.overdue_share is None else round(found.overdue_share, 4),
        "waiting": now.waiting,
        "stale": now.stale,
        "oldest_since": stamp(now.oldest_since),
        "week": {
            day: [{"came": cell.came, "reviewed": cell.reviewed, "known": cell.seen} for cell in row]
            for day, row in zip(WEEKDAYS, report.week, strict=True)
        },
    }


def _waits_json(waits: Waits, wall: Waits) -> dict[str, dict[str, int | None]]:
    return {
        name: {"p50_seconds": _seconds(each.quantile(0.5)), "p95_seconds": _seconds(each.quantile(0.95))}
        for name, each in (("open_time", waits), ("wall_time", wall))
    }


def _seconds(wait: timedelta | None) -> int | None:
    return None if wait is None else round(wait.total_seconds())


def reports_csv(reports: Sequence[QueueReport]) -> str:
    """A row a queue, without the hours of the week; what is not known is empty."""
    rows = [_csv_row(report) for report in reports]
    written = io.StringIO()
    writer = csv.DictWriter(written, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return written.getvalue()


def _csv_row(report: QueueReport) -> dict[str, Any]:
    row = _report_json(report)
    del row["week"]
    for key in ("first_review", "last_review"):
        waits = row.pop(key)
        row |= {f"{key}_{name}": value for name, value in waits["open_time"].items()}
        row |= {f"{key}_wall_{name}": value for name, value in waits["wall_time"].items()}
    row["queue"] = _as_text(report.queue.name)
    return row


def _as_text(name: str) -> str:
    """A name that no spreadsheet takes for a formula."""
    return f"'{name}" if name[:1] in "=+-@\t\r" and name else name
