"""Several workers on one PostgreSQL: how evenly they share the queues, and whether more of them get less done."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

from benchmarks.cases.services import SMALL, configured, wait_for
from benchmarks.children import service
from benchmarks.figures import Figure
from tests.support.postgres import running
from worker.stores.opening import migrate_database

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from benchmarks.children import Server
    from benchmarks.scale import Scale

SETTLED = 15.0
"""Seconds after which the workers have shared the queues: a lease and a renewal."""


def several(scale: Scale, server: Server, directory: Path) -> Iterator[Figure]:
    """(f) The same queues, each polled every second, by one worker and by several."""
    rates: dict[int, float] = {}
    with running() as postgres:
        for count in scale.workers:
            database = postgres.create()
            migrate_database(database)
            place = configured(directory / f"workers-{count}", scale.worker_queues)
            asked, cpu = _measure(scale, server, place, database, count)
            rates[count] = sum(asked.values()) / scale.workers_for
            yield Figure("f", f"{count} workers: polls a second", rates[count], "/s")
            yield Figure("f", f"{count} workers: CPU of all, a poll", cpu / sum(asked.values()) * 1000, "ms")
            if count > 1:
                uneven = max(asked.values()) / min(asked.values())
                yield Figure("f", f"{count} workers: busiest against idlest", uneven, "times", most=1.2)
                compared = rates[count] / rates[scale.workers[0]]
                yield Figure("f", f"{count} workers against one", compared, "times", least=0.99)


def _measure(scale: Scale, server: Server, place: Path, database: str, count: int) -> tuple[Mapping[str, int], float]:
    """How often each worker has asked in the time, and the seconds of processor time of all."""
    server.tell("reset", queues=scale.worker_queues, row=SMALL, last=20)
    settings = {
        "WORKER_DATABASE_URL": database,
        "WORKER_POLL_INTERVAL": "1s",
        "WORKER_REQUESTS_PER_SECOND": "1000",
    }
    with ExitStack() as stack:
        crew = [
            stack.enter_context(service(server, place, **settings, LANGSMITH_API_KEY=f"lsv2_sk_{number}"))
            for number in range(count)
        ]
        wait_for(lambda: server.tell("set")["posts"] >= scale.worker_queues)
        time.sleep(SETTLED)
        before, used = server.tell("set")["asked"], sum(one.cpu() for one in crew)
        time.sleep(scale.workers_for)
        after = server.tell("set")["asked"]
        return {key: after[key] - before.get(key, 0) for key in after}, sum(one.cpu() for one in crew) - used
