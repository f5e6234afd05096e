"""What posting costs: notices that wait in the outbox, each for a channel of its own, through the real notifier."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.ours import quiet
from benchmarks.pages import queue_id
from worker.clock import SystemClock
from worker.core.model import Facts, Kind, Queue, Review
from worker.core.owed import Destination, Notice
from worker.core.plan import Plan, notice_key
from worker.loops.deliver import Deliver
from worker.loops.incidents import Ops
from worker.notifiers.slack.notifier import Slack
from worker.rules import rules_of
from worker.settings import PerQueue
from worker.stores.opening import open_store

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from uuid import UUID

    from benchmarks.contender import Task

RULES = rules_of(PerQueue().model_copy(update={"edit_for": None}))
RUNS = 10


def prepare(task: Task) -> Callable[[], int]:
    """One call posts everything; how many notices there were."""
    quiet()
    clock = SystemClock()
    store = open_store(f"sqlite:///{task.database}", migrate=True)
    for number in range(task.queues):
        queue = Queue(queue_id(number), f"Queue {number}")
        plan = _plan(queue.queue_id, number, clock.now())
        store.update(queue, (), lambda _memory, plan=plan: plan, clock.now())  # type: ignore[misc]
    deliver = Deliver(
        store=store,
        channels=store,
        polls=store,
        budgets=store,
        notifier=Slack(token="xoxb-bench", base_url=f"{task.url}/api/"),  # noqa: S106  a made-up secret
        clock=clock,
        rules=lambda _: RULES,
        ops=Ops(store=store, notes=store, clock=clock, channel=None),
    )
    return lambda: deliver.run(lambda: False)


def _plan(queue: UUID, number: int, now: datetime) -> Plan:
    numbers = range(number * RUNS, (number + 1) * RUNS)
    facts = Facts(name="answer a customer", run_type="chain", tags=("prod", "refund"))
    reviews = tuple(Review(queue_id(run), None, queue_id(run), now, now, facts=facts) for run in numbers)
    destination = Destination("slack", f"C{number:010}")
    key = notice_key(queue, Kind.ANNOUNCEMENT, destination, reviews)
    return Plan(reviews, (Notice(key, Kind.ANNOUNCEMENT, destination, tuple(review.key for review in reviews)),))
