from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.builders import (
    HOUR,
    MINUTE,
    NOON,
    deciding,
    delivery,
    notice,
    pause,
    queue,
    queue_run,
    review,
    rules_with,
    snapshot,
    to,
)
from tests.support.clock import FakeClock
from tests.support.memory_store import MemoryStore
from worker.core.model import Kind, Show
from worker.core.owed import State
from worker.core.ports import SourceError, StoreError, Trouble
from worker.loops.incidents import Ops
from worker.loops.observe import COUNT_EVERY, Look, Observer
from worker.loops.poll import Poll
from worker.loops.roster import Roster

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from worker.core.model import Queue, QueueTotals, Snapshot
    from worker.core.owed import Backlog

QUEUE = queue()


class Failing(MemoryStore):
    """A store that fails while it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.down = False
        self.counts = 0

    def backlog(self) -> Sequence[Backlog]:
        if self.down:
            raise StoreError("disk full")
        return super().backlog()

    def standing(self, *asked: Any) -> QueueTotals:
        self.counts += 1
        return super().standing(*asked)


@dataclass
class OneQueue:
    """A source with one queue, which answers what it is told to."""

    answer: Snapshot | SourceError = field(default_factory=snapshot)

    def snapshot(self, _queue_id: UUID, fields: frozenset[Show], _concluded: object = None) -> Snapshot:
        assert fields
        if isinstance(self.answer, SourceError):
            raise self.answer
        return self.answer

    def queues(self) -> Sequence[Queue]:
        return [QUEUE]

    def fates(self, _queue_id: UUID, _runs: Any) -> dict[UUID, Any]:
        return {}


@dataclass
class Stage:
    counting: bool = True
    clock: FakeClock = field(default_factory=FakeClock)
    store: Failing = field(default_factory=Failing)
    source: OneQueue = field(default_factory=OneQueue)
    poll: Poll = field(init=False)
    look: Look = field(init=False)

    def __post_init__(self) -> None:
        rules = rules_with(stale_after=HOUR, remind_every=None, show=frozenset({Show.NAME}))
        self.poll = Poll(
            source=self.source,
            store=self.store,
            clock=self.clock,
            rules=lambda _: rules,
            owed=lambda: None,
            jitter=lambda: 0.5,
        )
        self.look = Look(
            store=self.store,
            channels=self.store,
            clock=self.clock,
            poll=self.poll.known,
            roster=Roster(source=self.source, clock=self.clock, ids=[QUEUE.queue_id], names=(), everything=False),
            rules=lambda _: rules,
            counting=self.counting,
        )


def test_before_the_first_poll_a_queue_is_there_without_a_time() -> None:
    (seen,) = Stage().look().queues
    assert (seen.polled.queue.queue_id, seen.polled.completed_at, seen.interval) == (QUEUE.queue_id, None, MINUTE)


def test_a_poll_shows_what_waits_and_what_it_found() -> None:
    stage = Stage()
    stage.source.answer = snapshot(queue_run("a"), queue_run("b"))
    stage.poll(QUEUE)
    stage.source.answer = snapshot(queue_run("b"), queue_run("c"))
    stage.poll(QUEUE)
    (seen,) = stage.look().queues
    assert (seen.name, seen.waiting, seen.new, seen.gone, seen.trouble) == ("Support QA", 2, 3, 1, "")


def test_a_failed_poll_shows_its_trouble_until_one_succeeds() -> None:
    stage = Stage()
    stage.source.answer = SourceError("HTTP 401", Trouble.REFUSED)
    stage.poll(QUEUE)
    (seen,) = stage.look().queues
    assert (seen.trouble, seen.polled.failing_since, seen.polled.error) == ("refused", NOON, "HTTP 401")
    stage.source.answer = snapshot()
    stage.clock.advance(HOUR)
    stage.poll(QUEUE)
    (seen,) = stage.look().queues
    assert (seen.trouble, seen.polled.failing_since) == ("", None)


def test_the_store_tells_what_is_owed_held_and_stale() -> None:
    stage = Stage()
    old = review("old", added_at=NOON - 2 * HOUR)
    stage.store.update(QUEUE, {old.queue_run_id}, deciding(old, notices=[notice(old)]), NOON)
    stage.store.owe(delivery("ops", kind=Kind.OPS, text="x"))
    stage.store.pause(pause("C0OTHER"))
    seen = stage.look()
    assert [(backlog.state, backlog.count) for backlog in seen.backlog] == [(State.PENDING, 2)]
    assert [held.destination for held in seen.pauses] == [to("C0OTHER")]
    standing = seen.queues[0].standing
    assert standing is not None
    assert (standing.waiting, standing.stale, standing.oldest_since) == (1, 1, NOON - 2 * HOUR)


def test_queues_are_counted_once_a_minute_and_only_where_somebody_wants_it() -> None:
    stage = Stage()
    for _ in range(12):
        stage.look()
        stage.clock.advance(COUNT_EVERY / 6)
    assert stage.store.counts == 2
    nobody = Stage(counting=False)
    assert nobody.look().queues[0].standing is None
    assert nobody.store.counts == 0


def test_the_first_run_to_become_stale_is_counted_at_once() -> None:
    stage = Stage()
    stage.source.answer = snapshot(queue_run("a", added_at=NOON - HOUR + timedelta(seconds=10)))
    stage.poll(QUEUE)
    assert [seen.standing and seen.standing.stale for seen in stage.look().queues] == [0]
    stage.clock.advance(timedelta(seconds=10))
    assert [seen.standing and seen.standing.stale for seen in stage.look().queues] == [1]
    assert stage.store.counts == 2


def test_what_is_held_is_shown_until_it_is_decided_on() -> None:
    stage = Stage()
    stage.source.answer = snapshot(queue_run("a"))
    stage.poll(QUEUE)
    assert [seen.held_until for seen in stage.look().queues] == [None]


def test_a_database_that_does_not_answer_is_an_error_and_the_rest_is_still_shown() -> None:
    stage = Stage()
    stage.store.pause(pause())
    stage.look()
    stage.store.down = True
    stage.poll(QUEUE)
    seen = stage.look()
    assert seen.store_error == "disk full"
    assert len(seen.pauses) == 1
    assert seen.queues[0].polled.completed_at == NOON
    stage.store.down = False
    assert stage.look().store_error == ""


def test_a_list_of_queues_that_cannot_be_read_shows_since_when() -> None:
    clock = FakeClock()
    source = OneQueue()

    def refuse() -> Sequence[Queue]:
        raise SourceError("HTTP 502", Trouble.UNREACHABLE)

    source.queues = refuse  # type: ignore[method-assign]
    roster = Roster(source=source, clock=clock, ids=[], names={"Support QA"}, everything=False)
    roster.refresh()
    clock.advance(timedelta(minutes=5))
    roster.refresh()
    assert roster.failing_since == NOON


@pytest.mark.parametrize("hours", [-3, 3], ids=["back", "forward"])
def test_a_clock_that_was_set_makes_no_poll_younger_or_older_and_no_outage(hours: int) -> None:
    stage = Stage()
    watch = Observer(
        look=stage.look,
        store=stage.store,
        notes=stage.store,
        ops=Ops(store=stage.store, notes=stage.store, clock=stage.clock, channel=to("C0OPS")),
    )
    stage.poll(QUEUE)
    watch()
    stage.clock.advance(MINUTE)
    stage.clock.set_wall(stage.clock.now() + hours * HOUR)
    assert watch().clock_set == hours * HOUR
    assert watch().clock_set == 0 * HOUR
    (seen,) = stage.look.queues()
    assert seen.polled.completed_at == stage.clock.now() - MINUTE
    stage.poll(QUEUE)
    watch()
    assert not [owed for owed in stage.store.deliveries() if owed.kind is Kind.OPS]


def test_a_machine_that_was_suspended_was_blind() -> None:
    stage = Stage()
    watch = Observer(
        look=stage.look,
        store=stage.store,
        notes=stage.store,
        ops=Ops(store=stage.store, notes=stage.store, clock=stage.clock, channel=to("C0OPS")),
    )
    stage.poll(QUEUE)
    watch()
    stage.clock.advance(3 * HOUR)
    stage.poll(QUEUE)
    watch()
    (owed,) = [owed for owed in stage.store.deliveries() if owed.kind is Kind.OPS]
    assert "Blind from 2026-03-02 12:00 UTC to 2026-03-02 15:00 UTC" in owed.text


def test_what_a_poll_has_found_is_counted_at_the_next_look() -> None:
    stage = Stage()
    assert stage.look().queues[0].standing is None
    stage.source.answer = snapshot(queue_run("a", added_at=NOON - 2 * HOUR))
    stage.poll(QUEUE)
    for _ in range(2):
        (seen,) = stage.look().queues
        assert seen.standing is not None
        assert (seen.standing.waiting, seen.standing.stale) == (1, 1)
    assert stage.store.counts == 2


def test_what_is_remembered_is_shown_before_the_first_poll() -> None:
    stage = Stage()
    old = review("old", added_at=NOON - 2 * HOUR)
    stage.store.update(QUEUE, {old.queue_run_id}, deciding(old), NOON)
    (seen,) = stage.look().queues
    assert (seen.waiting, seen.is_known) == (1, True)
