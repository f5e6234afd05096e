"""All loops of a worker on a stage without a world: they poll, deliver and edit by the queues' own calendars."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.support.builders import MINUTE, NOON, queue, queue_run, rules_with
from tests.support.clock import FakeClock
from tests.support.fake_notifier import FakeNotifier
from tests.support.fake_source import FakeSource
from tests.support.memory_store import MemoryStore
from worker.core.calendar import ALWAYS_OPEN, Calendar
from worker.core.ports import StoreError
from worker.loops.deliver import Deliver
from worker.loops.edit import Edit
from worker.loops.incidents import Ops
from worker.loops.poll import Poll
from worker.rules import QueueRules, rules_of

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from worker.core.message import Message
    from worker.core.model import Kind, Memory, Queue, QueueRun, Review
    from worker.core.owed import Delivery
    from worker.core.plan import Plan


def rules_by(calendar: Calendar = ALWAYS_OPEN, **settings: Any) -> QueueRules:
    """The rules of a queue that keeps a calendar."""
    return rules_of(rules_with(**settings).settings, calendar)


class Noted:
    """A store that notes what was decided, and when."""

    def __init__(self, store: Any, clock: FakeClock) -> None:
        self.store, self.clock = store, clock
        self.plans: list[tuple[datetime, Memory, Plan]] = []
        self.losing = ""
        """The method whose call does not reach the store."""

    def __getattr__(self, name: str) -> Any:
        if name == self.losing:
            raise StoreError("the connection is gone")
        return getattr(self.store, name)

    def update(self, of: Queue, keys: Any, decide: Any, now: datetime, *, whole: bool = True) -> Plan:
        seen: list[Memory] = []

        def note(memory: Memory) -> Plan:
            seen.append(memory)
            return decide(memory)  # type: ignore[no-any-return]

        decided: Plan = self.store.update(of, keys, note, now, whole=whole)
        self.plans.append((self.clock.now(), seen[-1], decided))
        return decided


@dataclass
class Worker:
    """One worker, and ways to let time pass and to see what people see."""

    rules: dict[str, QueueRules]
    start: datetime = NOON
    kept: Any = field(default_factory=MemoryStore)
    source: FakeSource = field(default_factory=FakeSource)
    notifier: FakeNotifier = field(default_factory=FakeNotifier)
    clock: FakeClock = field(init=False)
    posts: list[tuple[datetime, Message]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.clock = FakeClock(self.start)
        self.store = Noted(self.kept, self.clock)
        for name in self.rules:
            self.source.show(queue(name))
        self.restart()

    def restart(self) -> None:
        """Begin with what the store remembers."""
        rules = lambda of: self.rules[of.name if of is not None else next(iter(self.rules))]  # noqa: E731
        store, clock, notifier = self.store, self.clock, self.notifier
        ops = Ops(store=store, notes=store, clock=clock, channel=None)
        self.poll = Poll(
            source=self.source,
            store=store,  # type: ignore[arg-type]
            clock=clock,
            rules=rules,
            owed=lambda: None,
            jitter=lambda: 0.0,
            descriptions=self.source,
        )
        world: Any = {"store": store, "polls": store, "notifier": notifier, "clock": clock, "rules": rules}
        self.deliver = Deliver(**world, channels=store, budgets=store, ops=ops, unseen=self._unseen)
        self.edit = Edit(**world)

    def _unseen(self) -> set[str]:
        now = self.clock.now()
        policies = {queue(name).queue_id: rules.policy for name, rules in self.rules.items()}
        return {
            policy.destination
            for queue_id, policy in policies.items()
            if not self.poll.known.has_looked(queue_id, policy.calendar.posting_since(now), 2)
        }

    def held(self, of: str = "") -> tuple[QueueRun, ...]:
        """What a queue holds."""
        return self.source.held(queue(of or next(iter(self.rules))))

    def show(self, *names: str | int, of: str = "", **more: Any) -> None:
        """Let a queue hold these runs, each added now unless it was there before."""
        place = queue(of or next(iter(self.rules)))
        held = {run.queue_run_id: run for run in self.held(of)}
        fresh = [queue_run(name, added_at=self.clock.now(), **more) for name in names]
        self.source.show(place, *(held.get(run.queue_run_id, run) for run in fresh))

    def tick(self) -> None:
        """One poll of each queue, and all that may go out after it."""
        for name in self.rules:
            self.poll(queue(name))
        self.poll.known.noticed(self.store.polled(self.poll.known.polled()))
        self.send()

    def send(self) -> None:
        """Post and edit what may be posted and edited now."""
        before = len(self.notifier.board)
        self.deliver.wake()
        self.deliver.run(lambda: False)
        while self.edit.step():
            pass
        self.posts += [(self.clock.now(), message) for message in self.notifier.board[before:]]

    def wait(self, wait: timedelta, tick: timedelta = MINUTE) -> None:
        """Let time pass, with a poll at every tick."""
        until = self.clock.now() + wait
        while self.clock.now() < until:
            self.clock.advance(min(tick, until - self.clock.now()))
            self.tick()

    def until(self, at: datetime, tick: timedelta = MINUTE) -> None:
        self.wait(at - self.clock.now(), tick)

    def deliveries(self) -> list[Delivery]:
        """Oldest first."""
        found: list[Delivery] = self.store.deliveries(limit=10_000)[::-1]
        return found

    def only(self) -> Delivery:
        (delivery,) = self.deliveries()
        return delivery

    def review(self, name: str | int) -> Review:
        """The last stay of a run."""
        last: Review = self.store.stories(queue_run(name).queue_run_id)[-1].review
        return last

    def posted(self) -> list[tuple[datetime, str, int]]:
        """When was posted what about how many runs, as it looked then."""
        return [(at, message.kind.value, message.total) for at, message in self.posts]

    def called(self, name: str | int, purpose: Kind) -> list[datetime]:
        """When it was decided to notify people of a run, and for that purpose."""
        wanted = (queue_run(name).queue_run_id, purpose)
        return [
            at
            for at, _, plan in self.store.plans
            for notice in plan.notices
            if wanted in [(key.queue_run_id, why) for key, why in zip(notice.reviews, notice.purposes, strict=True)]
        ]
