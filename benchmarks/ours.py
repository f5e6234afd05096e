"""The worker's own poll, with everything that it does in service but the ticker and the posting."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING

import structlog

from worker.clock import SystemClock
from worker.core.owed import Destination
from worker.loops.poll import Poll
from worker.rules import rules_of
from worker.settings import PerQueue
from worker.sources.langsmith.source import LangSmith
from worker.stores.opening import open_store

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.contender import Task
    from worker.core.ports import Clock, Source
    from worker.core.store_roles import Store

RULES = rules_of(
    PerQueue().model_copy(
        update={
            "channel": Destination("slack", "C0BENCH0000"),
            "stale_after": timedelta(days=3650),
            "remind_every": None,
        }
    )
)


def quiet() -> None:
    """Log errors alone, as a service at this level does: printing is not what is measured."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))


def polling(source: Source, store: Store, clock: Clock) -> Poll:
    """A poll with the usual rules; nobody waits for what it owes."""
    return Poll(source=source, store=store, clock=clock, rules=lambda _: RULES, owed=lambda: None, jitter=lambda: 0.5)


def prepare(task: Task) -> Callable[[], int]:
    """One call polls every queue once; how many runs came or went."""
    quiet()
    clock = SystemClock()
    store = open_store(f"sqlite:///{task.database}", migrate=True)
    source = LangSmith(
        root=task.url,
        key="ours",
        clock=clock,
        web_url="https://smith.langchain.com",
        api=task.api,
        requests_per_second=1e6,
    )
    poll = polling(source, store, clock)
    queues = source.queues()  # as a service with `all` queues knows their names before the first poll

    def cycle() -> int:
        before = sum(seen.new + seen.gone for seen in poll.known.seen())
        failed = [queue.name for queue in queues if not poll(queue)]
        if failed:
            raise RuntimeError(f"polls failed: {failed}")
        return sum(seen.new + seen.gone for seen in poll.known.seen()) - before

    return cycle
