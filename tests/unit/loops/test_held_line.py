"""The line in the log about a queue that is held: one where that begins, none at every poll."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from structlog.testing import capture_logs

from tests.support.builders import DAY, HOUR, MINUTE, queue, queue_run, rules_with
from tests.support.clock import FakeClock
from tests.support.fake_source import FakeSource
from tests.support.memory_store import MemoryStore
from worker.core.calendar import Calendar
from worker.loops.poll import Poll
from worker.rules import rules_of

SATURDAY_NIGHT = datetime(2026, 11, 28, 22, tzinfo=UTC)
OFFICE = Calendar(ZoneInfo("Europe/Berlin"), (2026, 2027), hours=(((9 * HOUR, 17.5 * HOUR),),) * 5 + ((), ()))
RULES = rules_of(rules_with(poll_interval=MINUTE, show=frozenset()).settings, OFFICE)


class Office:
    """A worker that is started on a Saturday night."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.clock.advance(SATURDAY_NIGHT - self.clock.now())
        self.source = FakeSource()
        self.store = MemoryStore()
        self.runs: list[Any] = []
        self.poll = Poll(
            source=self.source,
            store=self.store,
            clock=self.clock,
            rules=lambda _: RULES,
            owed=lambda: None,
            jitter=lambda: 0.0,
        )

    def polls(self, *new: str, after: Any = MINUTE) -> list[Any]:
        """Poll once more, with these new runs, and give the lines about what is held."""
        self.clock.advance(after)
        self.runs += (queue_run(name, added_at=self.clock.now()) for name in new)
        self.source.show(queue(), *self.runs)
        with capture_logs() as lines:
            assert self.poll(queue())
        return [line for line in lines if line["event"] == "queue_held"]


def line(notice: str, runs: int, until: str) -> dict[str, Any]:
    said = {"event": "queue_held", "log_level": "info", "queue": "Support QA"}
    return said | {"notice": notice, "runs": runs, "held_until": f"{until} (Europe/Berlin)"}


def test_a_first_start_on_a_saturday_night_has_one_line() -> None:
    office = Office()
    assert office.polls("a", "b") == [line("baseline", 2, "Mon 30 Nov 09:00")]
    assert office.polls() == []
    assert office.polls("c") == []
    assert office.polls(after=2 * DAY - HOUR) == []


def test_each_night_in_which_something_comes_has_a_line_of_its_own() -> None:
    office = Office()
    assert office.polls() == []
    assert office.polls("a") == [line("announcement", 1, "Mon 30 Nov 09:00")]
    assert office.polls(after=DAY + 15 * HOUR) == []  # Monday, 14:00: announced
    assert office.polls(after=DAY / 4) == []
    assert office.polls("b", "c") == [line("announcement", 2, "Tue 1 Dec 09:00")]


def test_what_is_reviewed_while_it_is_held_ends_that_in_silence() -> None:
    office = Office()
    office.polls()
    office.polls("a")
    office.runs.clear()
    assert office.polls() == []
    assert office.polls("b") == [line("announcement", 1, "Mon 30 Nov 09:00")]
