"""Names of runs that a listing does not describe: before the post where they can be had, else by an edit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.builders import HOUR, MINUTE, SECOND, queue, queue_run, rules_with
from tests.support.clock import FakeClock
from tests.support.fake_source import FakeSource
from tests.support.memory_store import MemoryStore
from tests.support.outbox import post
from worker.core.model import Facts, Show
from worker.loops.poll import Poll

if TYPE_CHECKING:
    from uuid import UUID

QUEUE = queue()
RULES = rules_with(show=frozenset({Show.NAME}))


class Stage:
    """One queue whose listing shows no facts."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.source = FakeSource()
        self.source.more = {"bare": True}
        self.store = MemoryStore()
        self.runs: list[Any] = []
        self.restart()

    def restart(self) -> None:
        self.poll = Poll(
            source=self.source,
            store=self.store,
            clock=self.clock,
            rules=lambda _: RULES,
            owed=lambda: None,
            jitter=lambda: 0.0,
            descriptions=self.source,
        )

    def add(self, number: int = 1) -> list[UUID]:
        """Put runs into the queue, the oldest first."""
        added = [
            queue_run(f"run {len(self.runs) + n}", added_at=self.clock.now() + n * SECOND, facts=Facts(url="there"))
            for n in range(number)
        ]
        self.runs += added
        self.clock.advance(number * SECOND)
        self.source.show(QUEUE, *self.runs)
        return [run.queue_run_id for run in added]

    def know(self, *queue_run_ids: UUID) -> None:
        for one in queue_run_ids:
            self.source.known[one] = Facts(name=f"name of {one}", url="there")

    def run(self, wait: Any = MINUTE) -> list[set[UUID]]:
        """Poll once; what was asked for."""
        self.clock.advance(wait)
        self.source.described.clear()
        assert self.poll(QUEUE)
        return list(self.source.described)

    def names(self) -> list[str]:
        """The names in the next post."""
        return [review.facts.name for review in post(self.store, self.clock.now()).reviews]


@pytest.fixture
def stage() -> Stage:
    return Stage()


def test_a_post_has_the_names_of_what_it_lists(stage: Stage) -> None:
    added = stage.add(12)
    stage.know(*added)
    assert stage.run() == [set(added[:10])]
    assert stage.names() == [f"name of {one}" for one in added[:10]] + ["", ""]


def test_known_names_are_not_asked_for_again(stage: Stage) -> None:
    stage.know(*stage.add(2))
    stage.run()
    stage.names()
    assert stage.run() == []
    stage.restart()
    assert [stage.run() for _ in range(3)] == [[]] * 3
    (new,) = stage.add()
    stage.know(new)
    assert stage.run() == [{new}]


def test_names_that_come_late_reach_the_message_by_an_edit(stage: Stage) -> None:
    added = stage.add(2)
    assert stage.run()[0] == set(added)
    assert stage.names() == ["", ""]
    stage.know(*added)
    while not stage.run():
        pass
    claim = stage.store.claim_edit(stage.clock.now(), MINUTE)
    assert claim is not None
    assert [review.facts.name for review in claim.reviews] == [f"name of {one}" for one in added]
    assert [stage.run() for _ in range(3)] == [[]] * 3


def test_after_a_restart_what_is_lacking_is_asked_for(stage: Stage) -> None:
    added = stage.add()
    stage.run()
    stage.names()
    stage.know(*added)
    stage.restart()
    assert stage.run() == [set(added)]


def test_names_that_nobody_knows_are_asked_for_ever_more_rarely(stage: Stage) -> None:
    stage.add()
    stage.run()
    stage.names()
    hours = [sum(len(stage.run()) for _ in range(60)) for _ in range(4)]
    assert hours[0] <= 6
    assert hours[-1] <= 2  # one of them is for the reminder


def test_a_failure_costs_the_names_only(stage: Stage) -> None:
    added = stage.add()
    stage.know(*added)
    stage.source.fail("facts")
    stage.run()
    assert stage.names() == [""]
    stage.run(HOUR)
    assert stage.store.claim_edit(stage.clock.now(), MINUTE) is not None


def test_a_message_that_was_posted_without_a_name_makes_the_poll_ask(stage: Stage) -> None:
    """Where the first of many had left before the post, it lists others than were expected."""
    added = stage.add(11)
    stage.know(*added)
    stage.run()
    stage.source.show(QUEUE, *stage.runs[1:])
    assert stage.run() == []
    assert stage.names()[-1] == ""
    stage.poll.known.nameless(QUEUE.queue_id)
    assert stage.run() == [{added[10]}]


def test_a_listing_that_describes_its_runs_is_asked_nothing(stage: Stage) -> None:
    stage.source.more = {}
    stage.add()
    assert stage.run() == []
