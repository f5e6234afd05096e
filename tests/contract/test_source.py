"""What every Source promises, held against each of them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Protocol
from uuid import UUID

import pytest
from msgspec.structs import replace

from tests.support.builders import queue, queue_run
from tests.support.fake_source import FakeSource
from tests.support.langsmith_stage import theatre
from worker.core.model import Difference, Fate, Queue, QueueRun, Show, Snapshot, Unchanged
from worker.core.ports import SourceError, Trouble

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.langsmith_stage import Stage, Theatre
    from worker.core.ports import Source

SHOW = frozenset({Show.NAME})


class World(Protocol):
    """What a source looks at, and what can happen to it."""

    source: Source

    def open(self, name: str) -> UUID:
        """A new queue."""

    def put(self, queue_id: UUID, number: int) -> list[UUID]:
        """Runs into a queue."""

    def review(self, queue_id: UUID, queue_run_id: UUID) -> None:
        """A run is done."""

    def fail(self) -> None:
        """The next listing fails."""


@dataclass
class FakeWorld:
    source: FakeSource = field(default_factory=FakeSource)
    queues: dict[UUID, Queue] = field(default_factory=dict)
    runs: dict[UUID, list[QueueRun]] = field(default_factory=dict)
    numbers: Iterator[int] = field(default_factory=count)

    def open(self, name: str) -> UUID:
        opened = queue(name)
        self.queues[opened.queue_id], self.runs[opened.queue_id] = opened, []
        self.source.show(opened)
        return opened.queue_id

    def put(self, queue_id: UUID, number: int) -> list[UUID]:
        added = [queue_run(f"{queue_id} {next(self.numbers)}") for _ in range(number)]
        self.runs[queue_id] += added
        self.source.show(self.queues[queue_id], *self.runs[queue_id])
        return [run.queue_run_id for run in added]

    def review(self, queue_id: UUID, queue_run_id: UUID) -> None:
        self.runs[queue_id] = [run for run in self.runs[queue_id] if run.queue_run_id != queue_run_id]
        self.source.show(self.queues[queue_id], *self.runs[queue_id])
        self.source.fates_of[queue_run_id] = Fate.REVIEWED

    def fail(self) -> None:
        self.source.fail()


@dataclass
class LangSmithWorld:
    stage: Stage

    @property
    def source(self) -> Source:
        return self.stage.source

    def open(self, name: str) -> UUID:
        return self.stage.langsmith.add_queue(name)

    def put(self, queue_id: UUID, number: int) -> list[UUID]:
        return self.stage.add(queue_id, number)

    def review(self, queue_id: UUID, queue_run_id: UUID) -> None:
        assert any(found.queue_id == queue_id for found in self.stage.langsmith.queues)
        self.stage.langsmith.complete(queue_run_id)

    def fail(self) -> None:
        self.stage.langsmith.fail(status=503, times=1)


@pytest.fixture(scope="module")
def house() -> Iterator[Theatre]:
    with theatre() as house:
        yield house


@pytest.fixture(params=["fake", "runs", "items", "auto"])
def world(request: pytest.FixtureRequest, house: Theatre) -> Iterator[World]:
    if request.param == "fake":
        yield FakeWorld()
        return
    with house.stage(api=request.param) as stage:
        yield LangSmithWorld(stage)


def snapshot(world: World, queue_id: UUID) -> Snapshot:
    return world.source.snapshot(queue_id, SHOW)


def ids(world: World, queue_id: UUID) -> list[UUID]:
    return [run.queue_run_id for run in snapshot(world, queue_id).runs]


@pytest.mark.parametrize("number", [0, 1, 100, 234])
def test_a_snapshot_shows_each_run_of_its_queue_once(world: World, number: int) -> None:
    queue_id, other = world.open("Support QA"), world.open("Other")
    added = world.put(queue_id, number)
    world.put(other, 3)
    found = snapshot(world, queue_id)
    assert sorted(run.queue_run_id for run in found.runs) == sorted(added)
    assert (found.queue.queue_id, found.queue.name) == (queue_id, "Support QA")
    assert (found.unusable, found.moved) == (0, False)


def test_a_small_queue_comes_in_one_page(world: World) -> None:
    queue_id = world.open("Support QA")
    world.put(queue_id, 5)
    assert snapshot(world, queue_id).one_page


def test_what_is_reviewed_is_not_shown_any_more(world: World) -> None:
    queue_id = world.open("Support QA")
    first, *rest = world.put(queue_id, 3)
    world.review(queue_id, first)
    assert ids(world, queue_id) == rest


def test_dates_are_aware(world: World) -> None:
    queue_id = world.open("Support QA")
    world.put(queue_id, 1)
    found = snapshot(world, queue_id)
    assert found.taken_at.tzinfo is not None
    assert all(run.added_at is None or run.added_at.utcoffset() is not None for run in found.runs)


def test_an_unknown_queue_is_missing(world: World) -> None:
    world.open("Support QA")
    with pytest.raises(SourceError) as caught:
        snapshot(world, UUID(int=7))
    assert caught.value.trouble is Trouble.MISSING


def test_a_failure_is_a_source_error_and_passes(world: World) -> None:
    queue_id = world.open("Support QA")
    added = world.put(queue_id, 2)
    world.fail()
    with pytest.raises(SourceError) as caught:
        snapshot(world, queue_id)
    assert caught.value.trouble is Trouble.UNREACHABLE
    assert ids(world, queue_id) == added


def test_what_looks_as_it_was_concluded_is_unchanged_for_as_long_as_it_does(world: World) -> None:
    queue_id = world.open("Support QA")
    first, *rest = world.put(queue_id, 120)
    concluded = snapshot(world, queue_id).concluded
    for _ in range(2):
        again = world.source.snapshot(queue_id, SHOW, concluded)
        assert isinstance(again, Unchanged)
        assert again.queue.name == "Support QA"
        concluded = again.concluded
    world.review(queue_id, first)
    changed = world.source.snapshot(queue_id, SHOW, concluded)
    assert not isinstance(changed, Unchanged)
    assert changed.count == len(rest)


def test_a_difference_leads_from_the_concluded_listing_to_the_present_one(world: World) -> None:
    queue_id = world.open("Support QA")
    first, second, *_ = world.put(queue_id, 120)
    before = snapshot(world, queue_id)
    for change in (lambda: world.review(queue_id, first), lambda: world.put(queue_id, 3)):
        change()
        other = world.source.snapshot(queue_id, SHOW, before.concluded)
        whole = snapshot(world, queue_id)
        assert isinstance(other, Difference)
        known = {run.queue_run_id: run for run in before.runs if run.queue_run_id not in other.gone}
        assert known | {run.queue_run_id: run for run in other.runs} == {run.queue_run_id: run for run in whole.runs}
        assert len(other.runs) < 10
        assert (other.count, other.one_page, other.listing) == (len(whole.runs), whole.one_page, whole.listing)
        before = replace(whole, concluded=other.concluded)
    world.review(queue_id, second)
    again = world.source.snapshot(queue_id, SHOW, before.concluded)
    assert isinstance(again, Difference)
    assert (again.gone, again.runs) == ((second,), ())


def test_without_what_was_concluded_all_is_shown(world: World) -> None:
    queue_id = world.open("Support QA")
    added = world.put(queue_id, 3)
    assert ids(world, queue_id) == ids(world, queue_id) == added


def test_a_snapshot_is_whole_before_it_is_given(world: World) -> None:
    queue_id = world.open("Support QA")
    world.put(queue_id, 3)
    found = snapshot(world, queue_id)
    world.fail()
    assert isinstance(found.runs, tuple)
    assert len([run.facts for run in found.runs]) == 3


def test_every_queue_is_listed(world: World) -> None:
    opened = {world.open(name) for name in ("Support QA", "Triage")}
    assert {found.queue_id for found in world.source.queues()} == opened


def test_how_runs_left_is_told_only_of_those_asked_about(world: World) -> None:
    queue_id = world.open("Support QA")
    first, second, _ = world.put(queue_id, 3)
    world.review(queue_id, first)
    world.review(queue_id, second)
    snapshot(world, queue_id)
    assert world.source.fates(queue_id, [first]) == {first: Fate.REVIEWED}


def test_queues_can_be_read_at_the_same_time(world: World) -> None:
    added = {queue_id: world.put(queue_id, 120) for queue_id in [world.open(f"Queue {n}") for n in range(4)]}
    with ThreadPoolExecutor(4) as pool:
        found = dict(zip(added, pool.map(lambda queue_id: ids(world, queue_id), added), strict=True))
    assert found == added
