"""A queue's report is owed to its channel at its times of the week: once a period, by whichever worker."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.builders import CHANNEL, DAY, HOUR, MINUTE, queue, rules_with
from tests.support.clock import FakeClock
from tests.support.memory_store import MemoryStore
from tests.support.past import write_hours
from worker.core.calendar import Calendar
from worker.core.history import Hour
from worker.core.model import Kind, Queue
from worker.core.outbox import Candidate, choose
from worker.core.owed import State
from worker.loops.queue_reports import LOOK_EVERY, Reports
from worker.rules import QueueRules, rules_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from worker.core.owed import Delivery

QUEUE = queue()
THURSDAY = datetime(2026, 3, 5, 12, tzinfo=UTC)
MONDAY = datetime(2026, 3, 9, 9, tzinfo=UTC)
MONDAYS_AT_NINE = ((9 * HOUR,), (), (), (), (), (), ())


def rules(**settings: Any) -> QueueRules:
    given = rules_with(**{"report_at": MONDAYS_AT_NINE} | settings).settings
    return rules_of(given, Calendar(UTC, (2026, 2026), hours=(((9 * HOUR, 17 * HOUR),),) * 5 + ((), ())))


@dataclass
class Stage:
    store: MemoryStore = field(default_factory=MemoryStore)
    clock: FakeClock = field(default_factory=lambda: FakeClock(THURSDAY))
    rules: QueueRules = field(default_factory=rules)

    def __post_init__(self) -> None:
        write_hours(self.store, QUEUE, {MONDAY - DAY: Hour(came=3, reviewed=2, waiting=1)})
        self.reports = self.another()

    def another(self) -> Reports:
        return Reports(
            outbox=self.store,
            history=self.store,
            polls=self.store,
            notes=self.store,
            clock=self.clock,
            rules=lambda _: self.rules,
            queues=lambda: {QUEUE.queue_id: Queue(QUEUE.queue_id, str(QUEUE.queue_id))},
        )

    def look(self, at: datetime) -> Sequence[Delivery]:
        self.clock.advance(max(at - self.clock.now(), LOOK_EVERY))
        self.reports()
        return [each for each in self.store.deliveries() if each.kind is Kind.REPORT]


def test_it_is_owed_at_its_time_and_once() -> None:
    stage = Stage()
    assert stage.look(THURSDAY) == []
    assert stage.look(MONDAY - MINUTE) == []
    (owed,) = stage.look(MONDAY)
    assert (owed.destination, owed.queue, owed.state) == (CHANNEL, QUEUE, State.PENDING)
    assert owed.text.startswith("Support QA: Mon 2 Mar to Mon 9 Mar\n3 runs came, 2 were reviewed.\n")
    assert len(stage.look(MONDAY + HOUR)) == 1
    assert len(stage.look(MONDAY + 7 * DAY)) == 2


def test_what_came_due_before_the_setting_was_there_is_not_reported() -> None:
    assert Stage().look(THURSDAY) == []


def test_after_a_gap_it_is_owed_once_by_another_process() -> None:
    stage = Stage()
    stage.look(THURSDAY)
    stage.reports = stage.another()
    (owed,) = stage.look(MONDAY + 23 * DAY)
    assert owed.text.startswith("Support QA: Mon 23 Mar to Mon 30 Mar\n")


def test_each_of_several_times_of_a_day_has_its_report() -> None:
    thrice = ((9 * HOUR, 12 * HOUR, 16 * HOUR),) * 7
    stage = Stage(rules=rules(report_at=thrice))
    stage.look(THURSDAY)
    for number in range(1, 49):
        owed = stage.look(THURSDAY + number * HOUR)
    assert len(owed) == 6
    assert len({each.text.splitlines()[0] for each in owed}) == 6
    assert "Support QA: Fri 6 Mar 09:00 to Fri 6 Mar 12:00" in {each.text.splitlines()[0] for each in owed}


def test_two_workers_owe_one() -> None:
    stage = Stage()
    stage.look(THURSDAY)
    other = stage.another()
    stage.look(MONDAY)
    other()
    assert len(stage.look(MONDAY + MINUTE)) == 1


@pytest.mark.parametrize("settings", [{"report_at": None}, {"channel": ""}])
def test_without_times_or_a_channel_there_is_none(settings: dict[str, Any]) -> None:
    stage = Stage(rules=rules(**settings))
    stage.look(THURSDAY)
    assert stage.look(MONDAY) == []
    assert list(stage.another().due()) == []


def test_a_dry_run_sees_it_and_writes_nothing() -> None:
    stage = Stage()
    stage.look(THURSDAY)
    stage.clock.advance(MONDAY - stage.clock.now())
    (seen,) = stage.another().due()
    assert stage.look(MONDAY)[0].key == seen.key


def test_reports_that_wait_do_not_take_each_other_in() -> None:
    stage = Stage()
    stage.look(THURSDAY)
    stage.look(MONDAY)
    first, second = reversed(stage.look(MONDAY + 7 * DAY))
    candidates: list[Candidate[int]] = [Candidate(first, 1), Candidate(second, 2)]
    choice = choose(candidates, MONDAY + 7 * DAY + timedelta(seconds=1))
    assert choice.taking is not None
    assert choice.taking.merged == ()
