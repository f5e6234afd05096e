"""The loops on a stage without a world: a store in memory, a notifier that fails as told, a clock that waits."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.support.builders import deciding, notice, queue, review, rules_with, to
from tests.support.clock import FakeClock
from tests.support.fake_notifier import FakeNotifier
from tests.support.memory_store import MemoryStore
from worker.core.model import Kind, Show
from worker.loops.deliver import Deliver
from worker.loops.edit import Edit
from worker.loops.incidents import Ops

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta

    from worker.core.calendar import Calendar
    from worker.core.model import Queue, Review
    from worker.core.owed import Delivery, Destination, State
    from worker.rules import QueueRules

OPS_CHANNEL = to("C0OPS")
RULES = rules_with(show=frozenset({Show.NAME, Show.AGE}))


@dataclass
class Stage:
    """Everything that delivers, and ways to say what is owed and what became of it."""

    rules: QueueRules = RULES
    ops_channel: Destination | None = OPS_CHANNEL
    mentions_a_day: int = 3
    calendars: Mapping[str, Calendar] = field(default_factory=dict)
    clock: FakeClock = field(default_factory=FakeClock)
    store: Any = field(default_factory=MemoryStore)
    notifier: Any = field(default_factory=FakeNotifier)
    deliver: Deliver = field(init=False)
    edit: Edit = field(init=False)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Begin anew with what the store remembers."""
        ops = Ops(store=self.store, notes=self.store, clock=self.clock, channel=self.ops_channel)
        world = {"store": self.store, "polls": self.store, "notifier": self.notifier, "clock": self.clock}
        roles = {"channels": self.store, "budgets": self.store}
        budget = {"mentions_a_day": self.mentions_a_day, "calendars": self.calendars.get}
        self.deliver = Deliver(**world, **roles, rules=self.rules_of, ops=ops, **budget)
        self.edit = Edit(**world, rules=self.rules_of, calendars=self.calendars.get)

    def rules_of(self, _queue: Queue | None) -> QueueRules:
        return self.rules

    def owe(self, *names: str, notice_name: str = "notice", of: Queue | None = None, **more: Any) -> Delivery:
        """Owe a notice that speaks of runs of these names, each seen and told of now."""
        reviews = [review(name) for name in names or ("run",)]
        told = notice(*reviews, name=notice_name, **more)
        self.write(*reviews, notices=(told,), of=of)
        return next(delivery for delivery in self.store.deliveries() if delivery.key == told.key)

    def write(self, *reviews: Review, notices: tuple[Any, ...] = (), of: Queue | None = None) -> None:
        """Write what a poll decided."""
        self.store.update(
            of or queue(), {r.queue_run_id for r in reviews}, deciding(*reviews, notices=notices), self.now
        )

    def close(self, *names: str) -> None:
        """Let runs leave."""
        self.write(*(review(name, closed_at=self.now) for name in names))

    @property
    def now(self) -> Any:
        return self.clock.now()

    def run(self, wait: timedelta | None = None) -> int:
        """Let time pass, then deliver all that may go out now."""
        if wait is not None:
            self.clock.advance(wait)
        self.deliver.wake()
        return self.deliver.run(lambda: False)

    def run_for(self, wait: timedelta, tick: timedelta) -> None:
        """Deliver at every tick for so long."""
        until = self.now + wait
        while self.now < until:
            self.run(tick)

    def notices(self) -> list[Delivery]:
        """What is owed or was, oldest first, without reports of the worker's own."""
        return [delivery for delivery in self.store.deliveries()[::-1] if delivery.kind is not Kind.OPS]

    def states(self) -> list[State]:
        return [delivery.state for delivery in self.notices()]

    def only(self) -> Delivery:
        (delivery,) = self.notices()
        return delivery

    def reports(self) -> list[str]:
        """What the operators are told, oldest first."""
        return [delivery.text for delivery in self.store.deliveries()[::-1] if delivery.kind is Kind.OPS]
