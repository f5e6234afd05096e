"""A key that is shown nothing of what is open in a queue."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.builders import queue, queue_run, rules_with
from tests.support.clock import FakeClock
from tests.support.fake_source import FakeSource
from tests.support.memory_store import MemoryStore
from worker.core.model import Show
from worker.core.ports import Unseen
from worker.loops.incidents import Board
from worker.loops.poll import Poll
from worker.loops.roster import BlindCheck

if TYPE_CHECKING:
    from worker.core.model import Queue

BLIND = Unseen("shown none of 3 runs", "use another key")


class Stage:
    """Queues that are polled, and looked at after each second."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.source = FakeSource()
        self.board = Board(self.clock)
        rules = rules_with(show=frozenset({Show.NAME}))
        self.poll = Poll(
            source=self.source,
            store=MemoryStore(),
            clock=self.clock,
            rules=lambda _: rules,
            owed=lambda: None,
            jitter=lambda: 0.0,
            incidents=self.board,
        )
        self.sight = BlindCheck(source=self.source, clock=self.clock, poll=self.poll.known, incidents=self.board)

    def show(self, of: Queue, *runs: Any) -> None:
        self.source.show(of, *runs)
        self.poll(of)

    def look_for(self, wait: timedelta) -> None:
        for _ in range(int(wait.total_seconds())):
            self.sight()
            self.clock.advance(timedelta(seconds=1))

    @property
    def kinds(self) -> list[tuple[str, str]]:
        return [(reason.kind, reason.subject) for reason in self.board.standing]


@pytest.fixture
def stage() -> Stage:
    return Stage()


def test_a_blind_key_is_announced_once_it_is_found_twice(stage: Stage) -> None:
    of = queue()
    stage.source.unseen[of.queue_id] = BLIND
    stage.show(of)
    stage.sight()
    assert stage.kinds == []
    stage.look_for(timedelta(seconds=10))
    assert stage.kinds == [("queue_blind", str(of.queue_id))]
    (reason,) = stage.board.standing
    assert (reason.text, reason.fix) == ("Support QA: shown none of 3 runs", "use another key")
    stage.show(of, queue_run())
    stage.sight()
    assert stage.kinds == []


def test_it_is_over_where_nothing_is_open_any_more(stage: Stage) -> None:
    of = queue()
    stage.source.unseen[of.queue_id] = BLIND
    stage.show(of)
    stage.look_for(timedelta(seconds=10))
    stage.source.unseen.clear()
    stage.look_for(timedelta(minutes=61))
    assert stage.kinds == []


def test_a_queue_without_runs_is_asked_about_once_an_hour_and_no_other(stage: Stage) -> None:
    empty, full = queue("empty"), queue("full")
    stage.show(empty)
    stage.show(full, queue_run())
    stage.look_for(timedelta(hours=2))
    assert stage.source.looked == [empty.queue_id] * 2


def test_a_failure_is_no_news(stage: Stage) -> None:
    of = queue()
    stage.source.fail("blindness", times=9)
    stage.source.unseen[of.queue_id] = BLIND
    stage.show(of)
    stage.look_for(timedelta(minutes=1))
    assert stage.kinds == []
