"""What `report` shows: text for people, JSON and CSV for programs. Pure."""

from __future__ import annotations

import csv
import io
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from worker.commands.tables import queue_json, stamp
from worker.core.queue_report import WEEKDAYS, report_title, sentences

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import timedelta

    from worker.core.history import Cell, Waits
    from worker.core.queue_report import QueueReport

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
