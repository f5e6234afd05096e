"""A decision on a difference is the decision on the whole listing, whatever happened before, on every store."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.builders import DAY, HOUR, LEADS, LEASE, MINUTE, NOON, ident, queue, queue_run, rules_with
from tests.support.clock import FakeClock
from tests.support.fake_source import FakeSource
from tests.support.memory_store import MemoryStore
from tests.support.office import office
from tests.support.outbox import posted
from tests.support.whole_worker import rules_by
from tests.unit.core.hours import EVERY_DAY, LUNCH, row
from worker.core.calendar import ALWAYS_OPEN
from worker.core.model import NO_ONE, Facts, Who
from worker.core.plan import plan
from worker.core.ports import StoreError
from worker.loops.poll import Poll

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from datetime import datetime

    from worker.core.model import Id, Memory, Queue, QueueRun
    from worker.core.plan import Plan
    from worker.core.store_roles import Store
    from worker.rules import QueueRules

QUEUE = queue()

dates = st.none() | st.sampled_from([NOON + hours * HOUR for hours in (-40, -3, -1, 0, 1, 6, 30)])
runs = st.builds(
    queue_run,
    st.integers(1, 6),
    added_at=dates,
    effective_added_at=dates,
    reserved=st.booleans(),
    done=st.integers(0, 1),
    shows_assigned=st.booleans(),
    who=st.sampled_from([NO_ONE, Who(assigned_to=("ada",)), Who(assigned_to=("ada",), completed_by=("ada",))]),
)
listings = st.lists(runs, max_size=5, unique_by=lambda run: run.queue_run_id)
ways = st.sampled_from(
    [
        {},
        {},
        {"one_page": False},
        {"one_page": False},
        {"one_page": False, "moved": True},
        {"unusable": 1, "strays": frozenset({ident("run of 1")})},
        {"unusable": 1, "obscured": True, "one_page": False},
    ]
)
ladders = st.builds(
    rules_by,
    st.sampled_from([ALWAYS_OPEN, office(), office(row(EVERY_DAY, "22:00", "13:30"), quiet=LUNCH)]),
    remind_at=st.none() | st.just(((9 * HOUR, 16 * HOUR),) * 7),
    escalate_outside_hours=st.booleans(),
    stale_after=st.none() | st.sampled_from([HOUR, 4 * HOUR]),
    remind_every=st.none() | st.sampled_from([2 * HOUR, DAY]),
    escalate_after=st.none() | st.sampled_from([5 * HOUR, DAY]),
    escalate_to=st.just(LEADS),
    escalate_every=st.none() | st.just(3 * HOUR),
    announce_every=st.sampled_from([0 * HOUR, HOUR, 6 * HOUR]),
    remind_reserved=st.booleans(),
)
trouble = st.sampled_from(
    ["", "", "", "", "acted", "acted unnoticed", "lost before", "lost after", "restart", "posted", "posted"]
)
events = st.tuples(st.sampled_from([MINUTE, MINUTE, HOUR, 5 * HOUR, -HOUR]), listings | st.none(), ways, trouble)


class WholeFoundError(Exception):
    """Carries what would be decided on the whole listing, and ends its transaction."""

    def __init__(self, decided: Plan) -> None:
        super().__init__()
        self.decided = decided


def what_it_does(decided: Plan) -> Any:
    left = decided.remainder
    rest = list(map(list, left.dues)), set(left.unlisted), left.unsure
    other = set(decided.entered), decided.opened, decided.held_until, decided.is_baselined
    kept = decided.next_due_at, decided.listing, decided.revision
    return set(decided.reviews), set(decided.notices), *kept, *other, *rest


@dataclass
class Comparing:
    """A store that compares each decision on a difference with that on the whole."""

    store: Store
    source: FakeSource
    rules: QueueRules
    trouble: str = ""
    compared: int = field(default=0)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)

    def update(
        self, of: Queue, keys: Collection[Id], decide: Callable[[Memory], Plan], now: datetime, *, whole: bool = True
    ) -> Plan:
        if self.trouble == "lost before":
            raise StoreError("the connection is gone")
        expected = None if whole else self._on_the_whole(of, now)

        def decide_alike(memory: Memory) -> Plan:
            decided = decide(memory)
            if expected is not None:
                assert what_it_does(decided) == what_it_does(expected)
                self.compared += 1
            return decided

        written = self.store.update(of, keys, decide_alike, now, whole=whole)
        if self.trouble == "lost after":
            raise StoreError("the connection is gone")
        return written

    def _on_the_whole(self, of: Queue, now: datetime) -> Plan:
        snapshot = self.source.snapshot(of.queue_id, frozenset())

        def decide(memory: Memory) -> Plan:
            raise WholeFoundError(plan(snapshot, memory, self.rules.policy, now))

        try:
            return self.store.update(of, {run.queue_run_id for run in snapshot.runs}, decide, now)
        except WholeFoundError as found:
            return found.decided


class World:
    """One queue, polled again and again."""

    def __init__(self, store: Store, rules: QueueRules) -> None:
        self.queue = QUEUE
        self.clock = FakeClock()
        self.source = FakeSource()
        self.source.show(self.queue)
        self.store = Comparing(store, self.source, rules)
        self.restart()

    def restart(self) -> None:
        self.poll = Poll(
            source=self.source,
            store=self.store,  # type: ignore[arg-type]
            clock=self.clock,
            rules=lambda _: self.store.rules,
            owed=lambda: None,
            jitter=lambda: 0.0,
        )

    def _post(self) -> None:
        at = self.clock.now()
        claim = self.store.claim(at, LEASE)
        if claim is not None:
            after = posted(claim.delivery, at, ts=str(at))
            self.store.settle(after, claim.delivery, shown=[review.key for review in claim.reviews])

    def happen(self, wait: Any, listed: Sequence[QueueRun] | None, how: dict[str, Any], trouble: str) -> None:
        self.clock.set_wall(self.clock.now() + wait)
        self.clock.advance(20 * MINUTE)  # past every back-off
        if listed is not None:
            self.source.more = {name: value for name, value in how.items() if name != "one_page"}
            self.source.show(self.queue, *listed, one_page=how.get("one_page", True))
        if trouble.startswith("acted"):
            named = {ident(1): Facts(name=f"named at {self.clock.now()}"), ident(2): Facts(name="named")}
            self.store.describe(self.queue.queue_id, named, self.clock.now())
        if trouble == "acted":
            self.poll.known.noticed(self.store.polled(self.poll.known.polled()))
        if trouble == "posted":
            self._post()
        if trouble == "restart":
            self.restart()
        self.store.trouble = trouble
        self.poll(self.queue)
        self.store.trouble = ""


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data(), ladders, st.lists(events, min_size=2, max_size=9))
@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_a_decision_on_a_difference_is_that_on_the_whole(
    kind: str, empty_sqlite: Callable[[], Store], data: Any, ladder: QueueRules, history: Any
) -> None:
    world = World(empty_sqlite() if kind == "sqlite" else MemoryStore(), ladder)
    edited = data.draw(st.none() | ladders)
    for number, event in enumerate(history):
        if edited is not None and number == len(history) // 2:
            world.store.rules = edited
        world.happen(*event)


def test_most_decisions_are_on_a_difference(store: Store) -> None:
    world = World(store, rules_with(stale_after=None, escalate_after=None))
    for number in range(1, 6):
        world.happen(MINUTE, [queue_run(one) for one in range(number)], {"one_page": False}, "")
    world.happen(MINUTE, [queue_run(3)], {"one_page": False}, "")
    world.happen(MINUTE, None, {}, "")
    assert world.store.compared == 6
    assert [review.closed_at is not None for review in _reviews(store)] == [True, True, True, False, True]


def _reviews(store: Store) -> Any:
    return [store.stories(ident(number))[0].review for number in range(5)]
