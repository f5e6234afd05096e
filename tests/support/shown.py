"""What the page shows, with sensible contents, of which a test names only what it is about."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from tests.support.builders import DAY, HOUR, MINUTE, NOON
from worker.web.shown import (
    DayRow,
    Flow,
    Front,
    MessageRow,
    PauseRow,
    PersonRow,
    ProcessRow,
    QueuePage,
    QueueRow,
    ReasonRow,
    RunRow,
    TurnRow,
    WeekCell,
)

HOSTILE = "<script>alert(1)</script>\"'&\u202e\x07"


def day_row(number: int = 0, **more: Any) -> DayRow:
    values = {"came": 3, "reviewed": 2, "removed": 0, "unknown": 0, "waiting": 1, "overdue": 0}
    return DayRow(day=(NOON + number * DAY).date(), **(values | more))


def flow(**more: Any) -> Flow:
    values: dict[str, Any] = {
        "zone": "UTC",
        "days": [day_row(0), day_row(1, waiting=None, overdue=None, came=0, reviewed=0), day_row(2)],
        "week": [[WeekCell(day * hour, hour, 4 if hour else 0) for hour in range(24)] for day in range(7)],
        "came": 6,
        "reviewed": 4,
        "removed": 1,
        "unknown": 0,
        "first_review_p50_seconds": 3600,
        "first_review_p95_seconds": 86_400,
        "last_review_p50_seconds": 3600,
        "last_review_p95_seconds": 86_400,
        "overdue_share": 0.25,
    }
    return Flow(**(values | more))


def queue_row(queue_id: str = "q1", **more: Any) -> QueueRow:
    values: dict[str, Any] = {
        "name": "Support QA",
        "url": "https://smith.example/q",
        "waiting": 12,
        "overdue": 3,
        "left_out": 0,
        "expiring": 0,
        "expires_at": None,
        "reserved": 1,
        "oldest_since": NOON - DAY,
        "oldest_age_seconds": 86_400,
        "disagreed": None,
        "last_complete_poll_at": NOON - MINUTE,
        "late": False,
        "failing_since": None,
        "error": None,
        "undelivered": 0,
        "dead": 0,
        "worker": None,
        "open": True,
        "hours": "always open",
        "held_until": None,
        "held_runs": 0,
        "held_messages": 0,
        "claimed": 0,
        "snoozed": 0,
        "muted_until": None,
        "turns": [TurnRow("Ada", "U0ADA", None, 12)],
        "nobodys": 0,
        "days": [day_row()],
    }
    return QueueRow(queue_id=queue_id, **(values | more))


def run_row(name: str = "Refund flow", **more: Any) -> RunRow:
    values: dict[str, Any] = {
        "queue_run_id": name,
        "run_id": None,
        "label": name,
        "url": "https://smith.example/r",
        "since": NOON - HOUR,
        "age_seconds": 3600,
        "overdue": False,
        "reserved": False,
        "waits_for": ["Ada"],
        "next_due_at": NOON + HOUR,
        "next_why": "by then it has waited for 4 h",
    }
    return RunRow(**(values | more))


def message_row(**more: Any) -> MessageRow:
    values: dict[str, Any] = {
        "key": "k1",
        "state": "sent",
        "kind": "announcement",
        "queue_id": "q1",
        "queue": "Support QA",
        "channel": "C0SUPPORT",
        "created_at": NOON - HOUR,
        "settled_at": NOON - HOUR,
        "edited_at": None,
        "attempts": 1,
        "next_attempt_at": None,
        "url": "https://team.slack.example/archives/C0SUPPORT/p1",
        "why": "",
    }
    return MessageRow(**(values | more))


def person_row(**more: Any) -> PersonRow:
    values: dict[str, Any] = {
        "name": "Ada",
        "email": None,
        "slack": "U0ADA",
        "turns": 12,
        "called_today": 1,
        "budget_left": 2,
        "why_unresolved": None,
    }
    return PersonRow(**(values | more))


def front(**more: Any) -> Front:
    values: dict[str, Any] = {
        "taken_at": NOON,
        "version": "0.1",
        "running": True,
        "services": [ProcessRow(7, "host", NOON - HOUR, "0.1")],
        "ok": False,
        "reasons": [ReasonRow("delivery_held", "deliveries", None, "1 delivery is held", "see `check`", NOON)],
        "queues": [queue_row()],
        "pauses": [PauseRow("C0LEADS", NOON - HOUR, NOON + timedelta(minutes=5), "not_in_channel")],
        "undelivered": [message_row(state="held", url="", why="not_in_channel", settled_at=None)],
        "messages": [message_row()],
        "people": [person_row()],
        "has_people": True,
    }
    return Front(**(values | more))


def queue_page_of(**more: Any) -> QueuePage:
    values: dict[str, Any] = {
        "taken_at": NOON,
        "queue": queue_row(),
        "flow": flow(),
        "runs": [run_row()],
        "offset": 0,
        "limit": 100,
        "messages": [message_row()],
    }
    return QueuePage(**(values | more))


class FakeReading:
    """Reads what a test has put in, and counts how often."""

    def __init__(self) -> None:
        self.read = 0
        self.error: Exception | None = None
        self.shown = front()
        self.pages = {"q1": queue_page_of()}
        self.is_closed = False

    def front(self) -> Front:
        self._count()
        return self.shown

    def queue(self, queue_id: str, offset: int) -> QueuePage | None:  # noqa: ARG002
        self._count()
        return self.pages.get(queue_id)

    def close(self) -> None:
        self.is_closed = True

    def _count(self) -> None:
        self.read += 1
        if self.error is not None:
            raise self.error
