"""Three workers on PostgreSQL, who die, stand still and come back, tell the same story as one on SQLite."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from msgspec.structs import replace

from tests.support.builders import DAY, HOUR, NOON, SECOND, ident, queue, queue_run, rules_with
from tests.support.clock import FakeClock
from tests.support.fake_notifier import FakeNotifier
from tests.support.fake_source import FakeSource
from worker.core.leases import TTL, Task
from worker.core.message import Shares
from worker.core.model import Show
from worker.core.owed import State
from worker.loops.assignments import ALONE, Shared
from worker.loops.deliver import Deliver
from worker.loops.edit import Edit
from worker.loops.incidents import Ops
from worker.loops.poll import Poll
from worker.notifiers.slack.notifier import PACE
from worker.stores.assignments import Member
from worker.stores.columns import At

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from worker.core.message import Message
    from worker.core.model import Queue
    from worker.core.ports import Assignments
    from worker.core.store_roles import Store
    from worker.stores.sql import SqlStore

QUEUES = [queue(f"queue {number}") for number in range(4)]
IDS = [each.queue_id for each in QUEUES]
RULES = {
    each.queue_id: rules_with(
        channel=f"C0{number % 3}",
        stale_after=HOUR,
        remind_every=DAY,
        escalate_after=3 * HOUR,
        poll_interval=SECOND,
        show=frozenset({Show.NAME}),
    )
    for number, each in enumerate(QUEUES)
}
OF_MESSAGES = rules_with(show=frozenset({Show.NAME}))
STEPS = 30


@dataclass
class Slowly:
    """A source whose listing a worker gets, and then stands still for a while."""

    source: FakeSource
    standstill: Callable[[], None] | None = None

    def snapshot(self, *args: Any) -> Any:
        listed = self.source.snapshot(*args)
        if self.standstill is not None:
            standstill, self.standstill = self.standstill, None
            standstill()
        return listed

    def fates(self, *args: Any) -> Any:
        return self.source.fates(*args)


class Worker:
    """The loops of one process."""

    def __init__(self, world: World, store: Store, notifier: FakeNotifier, assignments: Assignments) -> None:
        self.assignments = assignments
        self.source = Slowly(world.source)
        parts: dict[str, Any] = {"store": store, "clock": world.clock}
        ops = Ops(**parts, notes=store, channel=None)
        posting: dict[str, Any] = {**parts, "polls": store, "notifier": notifier, "rules": lambda _: OF_MESSAGES}
        self.deliver = Deliver(**posting, channels=store, budgets=store, ops=ops)
        self.edit = Edit(**posting)
        self.poll = Poll(
            **parts,
            source=self.source,  # type: ignore[arg-type]
            rules=lambda each: RULES[each.queue_id],
            owed=self.deliver.wake,
            jitter=lambda: 0.5,
            assignments=assignments,
        )

    def has(self, each: Queue) -> bool:
        return each.queue_id in self.assignments.among(IDS)

    def work(self) -> None:
        """What the delivering loops do in one tick."""
        self.deliver.wake()
        self.deliver.run(lambda: False)
        while self.assignments.has(Task.EDITS) and self.edit.step():
            pass


@dataclass
class World:
    """What happens in LangSmith, one worker on SQLite, and several on PostgreSQL."""

    lite: SqlStore
    post: SqlStore
    chance: random.Random
    clock: FakeClock = field(default_factory=FakeClock)
    source: FakeSource = field(default_factory=FakeSource)
    listed: dict[UUID, dict[str, bool]] = field(default_factory=lambda: {each: {} for each in IDS})
    happened: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.boards = FakeNotifier(), FakeNotifier()
        self.alone = Worker(self, self.lite, self.boards[0], ALONE)
        self.workers: list[Worker] = []
        self.hired = self.runs = self.vain = 0
        self.change()

    def hire(self) -> None:
        member = Member(ident(self.hired), f"host:{self.hired}", PACE, lambda: sa.literal(self.clock.now(), At))
        store, leases = self.post.join(member)
        assignments = Shared(
            member.name, worker_id=member.worker_id, store=leases, clock=self.clock, follow=lambda _: None
        )
        self.workers.append(Worker(self, store, self.boards[1], assignments))
        self.hired += 1

    # What happens

    def change(self) -> None:
        """Somebody adds, reserves or reviews a run in some queue."""
        for each in QUEUES:
            runs = self.listed[each.queue_id]
            if self.chance.random() < 0.4:
                self.runs += 1
                runs[f"run {self.runs}"] = False
            if runs and self.chance.random() < 0.3:
                runs.pop(self.chance.choice(sorted(runs)))
            if runs and self.chance.random() < 0.2:
                runs[self.chance.choice(sorted(runs))] = True
            self.source.show(each, *(queue_run(name, reserved=reserved) for name, reserved in runs.items()))

    def come_or_go(self) -> None:
        """A worker dies, leaves, or begins; one at least is always there, or soon will be."""
        event = self.chance.choice(["die", "leave", "begin", "", "", ""])
        if event == "begin" and len(self.workers) < 3:
            self.hire()
        elif event in {"die", "leave"} and len(self.workers) > 1:
            worker = self.workers.pop(self.chance.randrange(len(self.workers)))
            if event == "leave":
                worker.assignments.leave()
        self.happened.add(event)

    def stand_still(self) -> None:
        """One has its listing already when it stands still, for longer than its lease; then it goes on where it was."""
        worker = self.chance.choice(self.workers)
        mine = [each for each in QUEUES if worker.has(each)]
        if not mine or len(self.workers) < 2:
            return
        worker.source.standstill = lambda: self.go_on_without(worker)
        worker.poll(self.chance.choice(mine))
        self.happened.add("stood still")

    def go_on_without(self, worker: Worker) -> None:
        self.workers.remove(worker)
        self.clock.advance(TTL)
        self.change()
        self.tick()
        self.workers.append(worker)

    # What is done about it

    def tick(self) -> None:
        """Each queue is polled by who has it, and then by the one on SQLite; where nobody has it, by neither."""
        for worker in self.workers * 2:
            worker.assignments.renew(IDS)
        for each in QUEUES:
            pollers = [worker for worker in self.workers if worker.has(each)]
            assert len(pollers) <= 1, each.name
            self.vain += not pollers
            for worker in pollers:
                worker.poll(each)
                self.alone.poll(each)
        for worker in self.chance.sample(self.workers, len(self.workers)):
            worker.work()
        self.alone.work()

    def step(self) -> None:
        self.clock.advance(self.chance.choice([SECOND, 2 * SECOND, 4 * SECOND, 4 * SECOND, HOUR]))
        self.change()
        self.come_or_go()
        if self.chance.random() < 0.3:
            self.stand_still()
        self.tick()

    def settle(self) -> None:
        """Nothing happens any more, and all that is owed is done."""
        for _ in range(25):
            self.clock.advance(6 * SECOND)
            self.tick()


def told(store: SqlStore, runs: int) -> list[object]:
    """The story of each run, but for when its messages were edited."""
    return [
        (story.review, [(each.delivery.key, each.delivery.state, each.left_out) for each in story.notices])
        for number in range(1, runs + 1)
        for story in store.stories(ident(f"run {number}"))
    ]


def shown(board: FakeNotifier) -> list[Message]:
    # An edit may be made a moment sooner or later, and counts what waits then.
    edited = (replace(each, as_of=NOON, standing=Shares()) if each.is_edit else each for each in board.board)
    return sorted(edited, key=lambda message: message.key)


def test_they_tell_the_same_story(empty_sqlite: Callable[[], SqlStore], empty_postgres: Callable[[], SqlStore]) -> None:
    lite = empty_sqlite()
    world = World(lite, empty_postgres(), random.Random(0))  # type: ignore[arg-type]  # noqa: S311
    for _ in range(3):
        world.hire()
    for _ in range(STEPS):
        world.step()
    world.settle()
    alone, several = world.boards
    assert shown(several) == shown(alone)
    assert told(world.post, world.runs) == told(lite, world.runs)  # type: ignore[arg-type]
    assert len(several.attempts) == len({message.key for message in several.attempts}) == len(several.board)
    assert {each.state for each in world.post.deliveries(limit=1000)} <= {State.SENT, State.WITHDRAWN}
    assert world.happened >= {"die", "leave", "begin", "stood still"}
    assert 0 < world.vain < world.runs
