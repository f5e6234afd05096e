"""What `report` shows to people and to programs, and what it draws."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import uuid4
from xml.etree import ElementTree as ET

import pytest
from msgspec.structs import replace

from tests.support.builders import CHANNEL, DAY, HOUR, MINUTE, queue
from worker.commands.report import lines, reports_csv, reports_json
from worker.commands.report_plot import write_plot
from worker.core.calendar import ALWAYS_OPEN, Calendar
from worker.core.history import Hour, Waits, bucket_of
from worker.core.message import Message
from worker.core.model import Kind, QueueTotals
from worker.core.queue_report import QueueReport, last_days, posted_text
from worker.core.text import age
from worker.notifiers.slack.blocks import render

if TYPE_CHECKING:
    from pathlib import Path

    from worker.core.history import Hours
    from worker.core.model import Queue

NOW = datetime(2026, 3, 6, 11, 30, tzinfo=UTC)
HOSTILE = "=<b>&\x1b[31m\n\u202eQA"


def waits(*minutes: int) -> Waits:
    return sum((Waits({bucket_of(MINUTE * each): 1}) for each in minutes), Waits())


def hours() -> Hours:
    """A week that is known but for its last night."""
    begin = last_days(7, NOW, UTC).begin
    every = {begin + HOUR * number: Hour(waiting=2, overdue=1) for number in range(7 * 24)}
    for number in range(12):
        del every[begin + HOUR * (6 * 24 + number)]
    busy = NOW.replace(hour=10, minute=0) - DAY
    first = waits(20, 40, 40, 600)
    return every | {busy: Hour(came=120, reviewed=3, removed=1, unknown=1, late=1, waiting=2, first=first)}


def report(of: Queue | None = None, calendar: Calendar = ALWAYS_OPEN, *, known: Hours | None = None) -> QueueReport:
    now = QueueTotals(waiting=2, stale=1, oldest_since=NOW - DAY)
    return QueueReport.of(of or queue(), last_days(7, NOW, UTC), hours() if known is None else known, now, calendar)


def test_people_read_it_without_explanation_in_80_columns() -> None:
    shown = list(lines([report(), report(queue("Search"))]))
    first = report().sum.first
    half, most = (age(first.quantile(share) or DAY) for share in (0.5, 0.95))
    assert shown[:7] == [
        "Support QA: Fri 27 Feb to Fri 6 Mar",
        "  120 runs came, 3 were reviewed, 1 removed unreviewed, 1 left, reviewed or",
        "    removed.",
        f"  The first review came after {half} for half of them, within {most} for 95 of",
        "    100. 25% were overdue by then.",
        "  2 wait now, 1 overdue, the oldest since Thu 5 Mar 11:30.",
        "  In 12 of the 168 hours no poll was complete: what came and left then may be",
    ]
    assert max(map(len, shown)) <= 80
    assert "  Runs that came, by hour of the week in UTC, in units of 2 (. none, ? not" in shown
    (thursday,) = [line for line in shown[:20] if line.startswith("  Thu")]
    assert thursday.split()[1 + 10] == "60"
    assert "?" in thursday


def test_a_queue_of_which_nothing_is_known_says_so() -> None:
    shown = "\n".join(lines([report(known={})]))
    assert "In 168 of the 168 hours no poll was complete: nothing is known." in shown
    assert "by hour of the week" not in shown


def test_programs_get_objects_and_rows() -> None:
    (found,) = reports_json([report(queue(HOSTILE))])["queues"]
    assert (found["came"], found["overdue_share"], found["hours_known"]) == (120, 0.25, 156)
    assert found["first_review"]["open_time"]["p50_seconds"] == pytest.approx(40 * 60, rel=0.1)
    assert found["last_review"]["wall_time"]["p95_seconds"] is None
    assert found["week"]["Thu"][10] == {"came": 120, "reviewed": 3, "known": 1}
    (row,) = csv.DictReader(io.StringIO(reports_csv([report(queue(HOSTILE))])))
    assert row["queue"].startswith("'=")
    assert (row["came"], row["oldest_since"], row["last_review_p50_seconds"]) == ("120", "2026-03-05T11:30:00Z", "")


def test_the_message_says_when_most_came() -> None:
    text = posted_text(report(calendar=Calendar(UTC, (2026, 2026), hours=(((9 * HOUR, 17 * HOUR),),) * 7)))
    assert text.endswith("\nMost came on Thu from 10:00 to 11:00: 120.")
    assert "95 of 100 (open time)." in text
    assert "\x1b" not in posted_text(report(queue(HOSTILE)))


def test_each_line_of_the_message_is_one_in_slack() -> None:
    text = posted_text(report(queue("A & B")))
    message = Message(uuid4(), Kind.REPORT, CHANNEL, NOW, text=text)
    payload = render(message)
    shown = payload["blocks"][0]["text"]["text"].split("\n")
    assert shown[0].startswith("A &amp; B: Fri 27 Feb to ")
    assert len(shown) == len(payload["text"].split("\n")) == len(text.split("\n")) == 6
    assert render(replace(message, kind=Kind.OPS))["text"].count("\n") == 0


def test_it_is_drawn_as_svg(tmp_path: Path) -> None:
    file = tmp_path / "week.svg"
    write_plot([report(queue(HOSTILE)), report(known={})], file)
    root = ET.fromstring(file.read_text(encoding="utf-8"))  # noqa: S314  we have just written it
    texts = [each.text or "" for each in root.iter("{http://www.w3.org/2000/svg}text")]
    assert "=<b>& [31m QA: Fri 27 Feb to Fri 6 Mar" in texts
    assert [each.name for each in tmp_path.iterdir()] == ["week.svg"]


def test_it_is_drawn_as_png(tmp_path: Path) -> None:
    file = tmp_path / "week.PNG"
    write_plot([report()], file)
    assert file.read_bytes().startswith(b"\x89PNG\r\n")


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    file = tmp_path / "none" / "week.svg"
    with pytest.raises(OSError, match="No such file") as caught:
        write_plot([report()], file)
    assert caught.value.filename == str(file)
