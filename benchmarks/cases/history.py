"""What a poll costs with more and more closed reviews behind it."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import TYPE_CHECKING
from uuid import UUID

from benchmarks.figures import Figure, ratio
from benchmarks.ours import polling, quiet
from worker.core.model import Facts, Field, Queue, QueueRun, Snapshot
from worker.stores.opening import open_store

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
    from pathlib import Path

    from benchmarks.children import Server
    from benchmarks.scale import Scale
    from worker.core.model import Fate

WAITING = 500
CHANGED = 5
BEGAN_AT = datetime(2026, 3, 1, tzinfo=UTC)
QUEUE = Queue(UUID(int=1), "Support QA")
MICROSECONDS = 1_000_000


class Moving:
    """A source whose queue loses its oldest runs and gets new ones with every look; also the clock."""

    def __init__(self) -> None:
        self.looks = 0

    def now(self) -> datetime:
        """A minute passes with each look."""
        return BEGAN_AT + timedelta(days=1, minutes=self.looks)

    def monotonic(self) -> float:
        """The same in seconds."""
        return self.looks * 60.0

    def snapshot(self, _queue_id: UUID, _fields: frozenset[Field], _concluded: object = None) -> Snapshot:
        """The next listing."""
        self.looks += 1
        first = self.looks * CHANGED
        return Snapshot(QUEUE, [_run(number) for number in range(first, first + WAITING)], self.now())

    def queues(self) -> Sequence[Queue]:
        """The one queue."""
        return [QUEUE]

    def fates(self, _queue_id: UUID, _queue_run_ids: Collection[UUID]) -> Mapping[UUID, Fate]:
        """Nobody knows."""
        return {}


def behind(scale: Scale, _server: Server, directory: Path) -> Iterator[Figure]:
    """(d) The same polls behind which lies more and more history, in the same queue; on SQLite, in turns."""
    quiet()
    polls = {length: _poll(directory / f"history-{length}.db", length) for length in scale.history}
    for poll in polls.values():
        poll()
    costs: dict[int, list[float]] = {length: [] for length in polls}
    for _ in range(scale.history_polls):
        for length, poll in polls.items():
            before = time.process_time()
            poll()
            costs[length].append(time.process_time() - before)
    for length, cost in costs.items():
        yield Figure("d", f"poll with {length:,} closed reviews behind it", median(cost) * 1000, "CPU ms")
    shortest, *longer = scale.history
    for length in longer:
        compared = ratio(costs[length], costs[shortest])
        yield Figure("d", f"{length:,} against {shortest:,} closed reviews", compared, "times", most=1.1)


def _poll(database: Path, closed: int) -> Callable[[], object]:
    store = open_store(f"sqlite:///{database}", migrate=True)
    source = Moving()
    poll = polling(source, store, source)
    poll(QUEUE)
    _fill(database, closed)
    return lambda: poll(QUEUE)


def _fill(database: Path, closed: int) -> None:
    """Put closed reviews behind a queue, in the store's own table, with ids that scatter as real ones do."""
    at = int(BEGAN_AT.timestamp()) * MICROSECONDS
    rows = (((number * 0x9E3779B97F4A7C15 % 2**64 << 64 | number).to_bytes(16, "big"), at) for number in range(closed))
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.executemany(
            """
            INSERT INTO reviews (queue_id, queue_run_id, added_at, since, first_seen_at, closed_at,
                                 generation, back, reserved, done, facts)
            VALUES (?2, ?1, ?3, ?3, ?3, ?3, 1, 0, 0, 0, '{"name": "refund bot"}')
            """,
            ((queue_run_id, QUEUE.queue_id.bytes, closed_at) for queue_run_id, closed_at in rows),
        )


def _run(number: int) -> QueueRun:
    added_at = BEGAN_AT + timedelta(seconds=number)
    return QueueRun(UUID(int=number << 64 | 1), UUID(int=number), added_at, facts=Facts(name=f"run {number}"))
