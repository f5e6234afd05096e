"""What the outbox costs with more and more sent deliveries kept behind it."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import TYPE_CHECKING, TypeVar
from uuid import UUID

from msgspec.structs import replace

from benchmarks.figures import Figure
from benchmarks.ours import quiet
from worker.core.model import Facts, Kind, Queue, RemindIn, Review
from worker.core.owed import Destination, Notice, Receipt, State
from worker.core.plan import Plan
from worker.stores.opening import open_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from benchmarks.children import Server
    from benchmarks.scale import Scale
    from worker.core.owed import Claim

LEASE = timedelta(seconds=60)
KEPT_TRUE = timedelta(days=7)
NAMED = 10
BEGAN_AT = datetime(2026, 3, 1, tzinfo=UTC)
QUEUE = Queue(UUID(int=1), "Support QA")
CHANNEL = Destination("slack", "C0000000001")
MICROSECOND = timedelta(microseconds=1)
_T = TypeVar("_T")
SCATTER = 0x9E3779B97F4A7C15


def kept(scale: Scale, _server: Server, directory: Path) -> Iterator[Figure]:
    """(k) Steps of the outbox behind which more and more sent deliveries are kept, in the same queue; in turns."""
    quiet()
    lives = {size: _Life(directory / f"kept-{size}.db", size) for size in scale.kept}
    costs: dict[tuple[str, int], list[float]] = {}
    for _ in range(scale.kept_steps):
        for size, life in lives.items():
            for name, spent in life.step():
                costs.setdefault((name, size), []).append(spent)
    shortest, *longer = scale.kept
    for (name, size), spent in costs.items():
        if size in longer:
            yield Figure("k", f"{name} with {size:,} deliveries kept", median(spent) * 1000, "CPU ms")
            compared = median(spent) / median(costs[name, shortest])
            yield Figure("k", f"{name}: {size:,} kept against {shortest:,}", compared, "times", most=1.2)


class _Life:
    """A store, with so many deliveries behind it, in which one reminder after the other is sent and edited."""

    def __init__(self, database: Path, size: int) -> None:
        self._store = open_store(f"sqlite:///{database}", migrate=True)
        self._number = 0
        self._now = BEGAN_AT
        self._spent: list[tuple[str, float]] = []
        self.step()
        fill(database, size)

    def step(self) -> Sequence[tuple[str, float]]:
        """Owe, post, and edit one message; the time of each part of it."""
        self._spent = []
        self._number += 1
        self._now += timedelta(minutes=10)
        runs = [_review(self._number * NAMED + each, self._now) for each in range(NAMED)]
        self._write(runs, [_notice(self._number, runs)])
        claim = self._timed("claim", lambda: self._store.claim(self._now, LEASE))
        self._timed("settle", lambda: self._settle(_taken(claim)))
        self._write([replace(run, closed_at=self._now) for run in runs], [])
        self._timed("what is unexplained", lambda: self._store.unexplained(QUEUE.queue_id, self._now, 20))
        edit = self._timed("claim an edit", lambda: self._store.claim_edit(self._now, LEASE))
        after = replace(_taken(edit).delivery, edit_at=None, edited_at=self._now, digest="shown")
        self._timed("settle an edit", lambda: self._store.settle_edit(after, _taken(edit).delivery))
        self._timed("what is due next", self._store.next_due_at)
        before = BEGAN_AT - 60 * KEPT_TRUE
        self._timed("prune", lambda: self._store.prune(settled_before=before, closed_before=before))
        self._timed("lapse", lambda: self._store.lapse(self._now, self._now))
        return self._spent

    def _write(self, runs: Sequence[Review], notices: Sequence[Notice]) -> None:
        plan = Plan(tuple(runs), tuple(notices))
        self._store.update(QUEUE, [run.queue_run_id for run in runs], lambda _: plan, self._now)

    def _settle(self, claim: Claim) -> bool:
        now = self._now
        receipt = Receipt(CHANNEL.place, f"{now.timestamp():.6f}")
        after = replace(claim.delivery, state=State.SENT, receipt=receipt, settled_at=now, edit_until=now + KEPT_TRUE)
        return self._store.settle(after, claim.delivery, shown=[run.key for run in claim.reviews])

    def _timed(self, name: str, call: Callable[[], _T]) -> _T:
        before = time.process_time()
        found = call()
        self._spent.append((name, time.process_time() - before))
        return found


def fill(database: Path, size: int) -> None:
    """Put sent reminders behind a queue, with a run each that was reviewed; half of them are still kept true."""
    at = (BEGAN_AT - timedelta(days=20) - datetime(1970, 1, 1, tzinfo=UTC)) // MICROSECOND
    rows = [
        {
            "key": (number * SCATTER % 2**64 << 64 | number).to_bytes(16, "big"),
            "number": number + 1000,
            "at": at + number,
            "queue": QUEUE.queue_id.bytes,
            "until": at + number + (number % 2) * (40 * KEPT_TRUE // MICROSECOND),
            "left": "reviewed" if number % 10 else None,
            "channel": str(CHANNEL),
            "place": CHANNEL.place,
        }
        for number in range(size)
    ]
    with closing(sqlite3.connect(database)) as connection, connection:
        for statement in (REVIEW, DELIVERY, SPOKEN_OF):
            connection.executemany(statement, rows)


REVIEW = """
    INSERT INTO reviews (review_id, queue_id, queue_run_id, added_at, since, first_seen_at, closed_at,
                         generation, back, reserved, done, facts, how_left)
    VALUES (:number, :queue, :key, :at, :at, :at, :at, 1, 0, 0, 0, '{"name":"refund bot"}', :left)
"""
DELIVERY = """
    INSERT INTO deliveries (delivery_id, delivery_key, kind, channel, queue_id, mention, remind_in, story, state,
                            created_at, due_at, attempts, looks, plain, last_error, receipt_channel, receipt_ts,
                            settled_at, edits, edit_until, digest)
    VALUES (:number, :key, 'reminder', :channel, :queue, '[]', 'thread', '', 'sent',
            :at, :at, 1, 0, 0, '', :place, '1.1', :at, 0, :until, 'shown')
"""
SPOKEN_OF = """
    INSERT INTO delivery_reviews (delivery_id, review_id, position, left_out) VALUES (:number, :number, 0, 0)
"""


def _taken(claim: Claim | None) -> Claim:
    if claim is None:
        raise RuntimeError("nothing was due")
    return claim


def _review(number: int, now: datetime) -> Review:
    ident = UUID(int=number << 64 | 1)
    return Review(ident, now, ident, now, now, facts=Facts(name=f"run {number}"))


def _notice(number: int, runs: Sequence[Review]) -> Notice:
    keys = tuple(run.key for run in runs)
    return Notice(UUID(int=number << 64 | 2), Kind.REMINDER, CHANNEL, keys, remind_in=RemindIn.THREAD)
