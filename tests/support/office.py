"""A team in Berlin that works from 09:00 to 17:30 on workdays, and a worker that keeps its hours."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

from tests.support.builders import MINUTE
from tests.support.memory_store import MemoryStore
from tests.support.whole_worker import Worker, rules_by
from tests.unit.core.hours import WORKDAYS, Given, clock, row

if TYPE_CHECKING:
    from worker.core.calendar import Calendar
    from worker.core.store_roles import Store

OFFICE = (row(WORKDAYS, "9:00", "17:30"),)
SUPPORT, OTHER = "Support QA", "RAG bot"


def office(*rows: Any, zone: str = "Europe/Berlin", **more: Any) -> Calendar:
    return Given("", zone, date(2026, 3, 1), rows or OFFICE, **more).calendar


def at(month: int, day: int, time: str = "0:00") -> datetime:
    """In UTC: Berlin is one hour ahead in winter and two in summer."""
    return datetime(2026, month, day, tzinfo=UTC) + MINUTE * clock(time)


FRIDAY = at(3, 6, "12:00")
"""13:00 in Berlin; it closes at 16:30."""

SATURDAY = at(3, 7, "21:00")
MONDAY = at(3, 9, "8:00")
"""When it opens."""


def a_worker(
    start: datetime = FRIDAY,
    calendar: Calendar | None = None,
    *,
    store: Store | None = None,
    baselined: bool = True,
    **settings: Any,
) -> Worker:
    """A worker whose queue was empty when it was seen first."""
    rules = rules_by(calendar or office(), **{"stale_after": None, **settings})
    worker = Worker({SUPPORT: rules}, start=start, kept=store or MemoryStore())
    if baselined:
        worker.tick()
    return worker


def kinds(worker: Worker) -> list[str]:
    return [message.kind.value for _, message in worker.posts]
