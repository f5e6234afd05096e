"""What a decision costs: a queue as large as one of the simulated month is on average, with a change each minute."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING
from uuid import UUID

from msgspec.structs import replace

from benchmarks.figures import Figure
from benchmarks.month import PLANS, POLICIES, worker_toml
from benchmarks.ours import quiet
from benchmarks.soak import Clock
from benchmarks.team import MINUTE, QUEUES, Scenario, berlin
from worker.core.model import Difference, Entry, Facts, Memory, QueueRun, Snapshot
from worker.loops.poll import Poll
from worker.rules import rules_for
from worker.settings import load

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping
    from datetime import datetime
    from pathlib import Path

    from benchmarks.children import Server
    from benchmarks.scale import Scale
    from worker.core.model import Fate, Id, Queue, Review, ReviewKey
    from worker.core.plan import Plan
    from worker.rules import RulesOf

BEGIN = berlin(3, 15, 9)
QUEUE = QUEUES[0]
SEED = 19


class Kept:
    """The store of one queue whose messages are up as soon as they are owed. It measures what decisions cost."""

    def __init__(self) -> None:
        """Nothing is remembered yet."""
        self.seconds = 0.0
        self._open: dict[ReviewKey, Review] = {}
        self._memory = Memory(baselined=False, reviews=())

    def update(
        self, queue: Queue, keys: Collection[Id], decide: Callable[[Memory], Plan], now: datetime, *, whole: bool
    ) -> Plan:
        """See Reviews. Measure the decision alone."""
        del queue
        reviews = tuple(each for each in self._open.values() if whole or each.queue_run_id in keys)
        memory = replace(self._memory, reviews=reviews)
        began = time.process_time()
        decided = decide(memory)
        self.seconds += time.process_time() - began
        self._open |= {review.key: review for review in decided.reviews}
        self._open = {key: review for key, review in self._open.items() if review.is_open}
        if decided.opened is not None:
            self._memory = replace(self._memory, window=replace(decided.opened, entry=Entry.BY_EDIT))
        self._memory = replace(self._memory, baselined=decided.is_baselined, completed_at=now)
        return decided

    def unexplained(self, *_asked: object) -> Mapping[Id, Review]:
        """See Reviews: how runs leave is no matter of decisions."""
        return {}


class Moving:
    """The source of one queue that gets and loses runs in turns, as whole listings or as what is other in them."""

    def __init__(self, clock: Clock, runs: int, *, is_whole: bool) -> None:
        """So many runs wait."""
        self._clock = clock
        self._is_whole = is_whole
        self._chance = random.Random(SEED)  # noqa: S311 - not to keep a secret
        self._came = 0
        self._runs: dict[Id, QueueRun] = {}
        self._is_next_gone = False
        self._news: Difference | None = None
        for _ in range(runs):
            self._add()

    def pass_by(self) -> None:
        """Let a minute pass."""
        self._clock.advance(MINUTE)
        self._is_next_gone = not self._is_next_gone
        gone = (self._chance.choice(list(self._runs)),) if self._is_next_gone else ()
        new = () if gone else (self._add(),)
        for run_id in gone:
            del self._runs[run_id]
        self._news = Difference(QUEUE, new, self._clock.now(), gone=gone, count=len(self._runs), concluded=self)

    def _add(self) -> QueueRun:
        self._came += 1
        run_id = UUID(int=self._came)
        facts = Facts(name=f"billing {self._came}", run_type="chain", tags=("prod",))
        run = self._runs[run_id] = QueueRun(run_id, run_id, self._clock.now(), facts=facts)
        return run

    def snapshot(self, _queue_id: Id, _fields: object, concluded: object = None) -> Snapshot | Difference:
        """See Source."""
        if concluded is not None and self._news is not None and not self._is_whole:
            return self._news
        return Snapshot(QUEUE, tuple(self._runs.values()), self._clock.now(), concluded=self)

    def fates(self, _queue_id: Id, _queue_run_ids: object) -> Mapping[Id, Fate]:
        """See Source."""
        return {}


def plans(scale: Scale, _server: Server, directory: Path) -> Iterator[Figure]:
    """(l) Decisions by a ladder with hours, as the month has them."""
    quiet()
    policy = next(each for each in POLICIES if {"calendar", "escalate_after"} <= each.settings.keys())
    given = Scenario(BEGIN, BEGIN, (QUEUE,), (), (BEGIN, BEGIN), (BEGIN, BEGIN))
    (directory / "worker.toml").write_text(worker_toml(policy, given), encoding="utf-8")
    settings = load(frozenset(), environ={}, directory=directory, run_secrets=directory)
    for what, is_whole, most in (("whole listings", True, 30), ("what is other in them", False, None)):
        clock = Clock(BEGIN)
        seconds = _decided(clock, rules_for(settings, clock), scale, is_whole=is_whole)
        cost = seconds / scale.planned * PLANS
        yield Figure("l", f"{PLANS:,} decisions on {what}, {scale.planned_runs} runs, CPU", cost, "s", most=most)


def _decided(clock: Clock, rules: RulesOf, scale: Scale, *, is_whole: bool) -> float:
    """The CPU of decisions, a minute after each other."""
    source, store = Moving(clock, scale.planned_runs, is_whole=is_whole), Kept()
    poll = Poll(source=source, store=store, clock=clock, rules=rules, owed=lambda: None, jitter=lambda: 0.5)  # type: ignore[arg-type]
    for _ in range(scale.planned):
        source.pass_by()
        if not poll(QUEUE):
            raise RuntimeError("a poll failed")
    return store.seconds
