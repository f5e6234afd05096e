"""A soak: many polls of a lively queue under a clock that flies, on a real SQLite file; what is left must be flat.

Everything of the service takes part but the network and the ticker. `python -m benchmarks.soak [POLLS]`.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import random
import resource
import sys
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import structlog

from worker.clock import SystemClock
from worker.core.diff import digest
from worker.core.instants import EPOCH, microseconds
from worker.core.message import fingerprint
from worker.core.model import Facts, Field, Queue, QueueRun, Snapshot, Unchanged
from worker.core.owed import Destination, Receipt
from worker.loops.deliver import Deliver
from worker.loops.edit import Edit
from worker.loops.housekeep import Housekeep
from worker.loops.incidents import Ops
from worker.loops.observe import Look, Observer
from worker.loops.poll import Poll
from worker.loops.roster import Roster
from worker.notifiers.slack.notifier import LIMITS
from worker.rules import rules_of
from worker.settings import PerQueue
from worker.stores.opening import open_store
from worker.web.metrics import Metrics

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from worker.core.message import Message
    from worker.core.model import Fate
    from worker.core.ports import Limits
    from worker.stores.sql import SqlStore

POLLS = 100_000
MINUTE = timedelta(minutes=1)
QUEUE = Queue(UUID(int=1), "Soak")
RULES = rules_of(
    PerQueue().model_copy(
        update={
            "channel": Destination("slack", "C0SOAK"),
            "stale_after": timedelta(hours=1),
            "remind_every": timedelta(hours=1),
            "edit_for": timedelta(hours=2),
        }
    )
)
LOOK_EVERY = 5
KEEP_EVERY = 60
MEMORY_SLACK = 4 * 1024 * 1024
DATABASE_SLACK = 1.25
WAITS = timedelta(hours=3)
OBJECTS_SLACK = 2_000
"""So many more are alive by chance; a leak of one thing a poll is soon more, long before it shows in bytes."""

WARM = 0.4
"""The share of the polls after which nothing may grow any more."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast time goes by: so much a poll, one poll in so many finds something new, and what is settled is kept."""

    step: timedelta = MINUTE
    comes_every: int = 10
    keep: timedelta = timedelta(days=2)


class Clock:
    """A clock that moves only when it is told to."""

    def __init__(self, now: datetime = datetime(2026, 1, 5, tzinfo=UTC)) -> None:
        """It begins on a winter's day, unless another is given."""
        self._now = now
        self._monotonic = 0.0

    def now(self) -> datetime:
        """Wall time."""
        return self._now

    def monotonic(self) -> float:
        """Seconds since the start."""
        return self._monotonic

    def advance(self, by: timedelta) -> None:
        """Let time pass."""
        self._now += by
        self._monotonic += by.total_seconds()


class Churn:
    """A source with one queue to which runs come at random, wait some hours, and go."""

    def __init__(self, clock: Clock, comes_every: int) -> None:
        """The same chances at every start."""
        self._clock = clock
        self._comes_every = comes_every
        self._chance = random.Random(7)  # noqa: S311 - chances of a soak, no secret
        self._runs: list[QueueRun] = []
        self._number = 0

    def snapshot(self, queue_id: UUID, fields: frozenset[Field], concluded: object = None) -> Snapshot | Unchanged:
        """What waits now."""
        del queue_id, fields
        now = self._clock.now()
        self._runs = [run for run in self._runs if run.added_at is None or now - run.added_at < WAITS]
        if self._chance.randrange(self._comes_every) == 0:
            self._number += 1
            queue_run_id, run_id = UUID(int=self._chance.getrandbits(128)), UUID(int=self._chance.getrandbits(128))
            facts = Facts(name=f"run {self._number}", run_type="chain", tags=("soak",))
            self._runs.append(QueueRun(queue_run_id, run_id, now, facts=facts))
        mark = digest(self._runs)
        if mark == concluded:
            return Unchanged(QUEUE, now, concluded=mark)
        return Snapshot(QUEUE, tuple(self._runs), now, concluded=mark)

    def queues(self) -> Sequence[Queue]:
        """The one queue."""
        return [QUEUE]

    def fates(self, queue_id: UUID, queue_run_ids: Collection[UUID]) -> Mapping[UUID, Fate]:
        """Nobody can tell."""
        del queue_id, queue_run_ids
        return {}


@dataclass(slots=True)
class Sink:
    """A notifier that remembers only how much it was given."""

    posts: int = 0
    edits: int = 0

    @property
    def limits(self) -> Limits:
        """See Notifier."""
        return LIMITS

    def send(self, message: Message, in_time: object = None) -> Receipt:
        """Count a post."""
        del in_time
        self.posts += 1
        return Receipt(message.destination.place, f"{self.posts}.000000")

    def find(self, message: Message, since: datetime) -> Receipt | None:
        """Find nothing."""
        del message, since
        return None

    def edit(self, message: Message, receipt: Receipt, in_time: object = None) -> None:
        """Count an edit."""
        del message, receipt, in_time
        self.edits += 1

    def probe(self) -> None:
        """All is well."""

    def fingerprint(self, message: Message) -> str:
        """As Slack's."""
        return fingerprint(message)


@dataclass(frozen=True, slots=True)
class Weight:
    """What the process and its database take: bytes, objects, open files, bytes."""

    memory: int
    objects: int
    files: int
    database: int

    def __str__(self) -> str:
        """One line for people."""
        taken = f"{self.memory:,} bytes of memory, {self.objects:,} objects, {self.files} files"
        return f"{taken}, {self.database:,} bytes of database"


class Soak:
    """Everything of one process, turned by hand."""

    def __init__(self, store: SqlStore, path: Path, pace: Pace) -> None:
        """Put the loops together."""
        self._path = path
        self._pace = pace
        self._turns = 0
        self.clock = Clock()
        self.sink = Sink()
        source = Churn(self.clock, pace.comes_every)
        metrics = Metrics(version="0", commit="soak", overview=lambda: self._watch.overview)
        ops = Ops(store=store, notes=store, clock=self.clock, channel=Destination("slack", "C0OPS"))
        world: dict[str, Any] = {"store": store, "clock": self.clock}
        posting: dict[str, Any] = {**world, "polls": store, "notifier": self.sink, "rules": lambda _: RULES}
        posting["meter"] = metrics
        self._deliver = Deliver(**posting, channels=store, budgets=store, ops=ops)
        self._edit = Edit(**posting)
        self._poll = Poll(
            **world,
            source=source,
            rules=lambda _: RULES,
            owed=self._deliver.wake,
            jitter=lambda: 0.5,
            meter=metrics,
        )
        roster = Roster(source=source, clock=self.clock, ids=[QUEUE.queue_id], names=(), everything=False)
        look = Look(**world, channels=store, poll=self._poll.known, roster=roster, rules=lambda _: RULES, counting=True)
        self._watch = Observer(look=look, store=store, notes=store, ops=ops)
        self._housekeep = Housekeep(**world, history=world["store"], keep_deliveries=pace.keep, keep_reviews=pace.keep)
        self._metrics = metrics

    def renew(self) -> None:
        """A poll, what it owes, and now and then the rest."""
        self._turns += 1
        self._poll(QUEUE)
        self.clock.advance(self._pace.step)
        self._deliver.run(lambda: False)
        self._edit.step()
        if self._turns % LOOK_EVERY == 0:
            self._watch()
            self._metrics.exposition()
        if self._turns % KEEP_EVERY == 0:
            self._housekeep()

    def weigh(self) -> Weight:
        """What all of it takes now, everything that is done with being forgotten first."""
        self._housekeep()
        gc.collect()
        objects = sys.getallocatedblocks()
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        files = len(list(Path("/proc/self/fd").iterdir()))
        database = sum(file.stat().st_size for file in self._path.parent.glob(f"{self._path.name}*"))
        return Weight(pages * resource.getpagesize(), objects, files, database)


def _fill() -> None:
    """Fill the one cache that a soak would go on filling, so that this is not taken for a leak."""
    for day in range(microseconds.cache_info().maxsize or 0):
        microseconds(EPOCH + timedelta(days=day))


def soak(polls: int, pace: Pace, directory: Path) -> tuple[Weight, Weight, Sink]:
    """Poll so often; what it weighed when it was warm, and at the end, and what was posted."""
    path = directory / "soak.db"
    with contextlib.closing(open_store(f"sqlite:///{path}", migrate=True)) as store:
        whole = Soak(store, path, pace)
        _fill()
        for _ in range(int(polls * WARM)):
            whole.renew()
        warm = whole.weigh()
        for _ in range(int(polls * WARM), polls):
            whole.renew()
        return warm, whole.weigh(), whole.sink


def growth(warm: Weight, end: Weight) -> list[str]:
    """What has grown by more than chance explains; nothing where all is flat."""
    found = []
    if end.memory > warm.memory + MEMORY_SLACK:
        found.append(f"memory grew from {warm.memory:,} to {end.memory:,} bytes")
    if end.objects > warm.objects + OBJECTS_SLACK:
        found.append(f"objects grew from {warm.objects:,} to {end.objects:,}")
    if end.files > warm.files:
        found.append(f"open files grew from {warm.files} to {end.files}")
    if end.database > warm.database * DATABASE_SLACK:
        found.append(f"the database grew from {warm.database:,} to {end.database:,} bytes")
    return found


def main() -> int:
    """Soak, and tell; the exit status is 1 where something grew."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    polls = int(sys.argv[1]) if len(sys.argv) > 1 else POLLS
    began = SystemClock().monotonic()
    with tempfile.TemporaryDirectory() as directory:
        warm, end, sink = soak(polls, Pace(), Path(directory))
    took = SystemClock().monotonic() - began
    grown = growth(warm, end)
    lines = [
        f"{polls:,} polls in {took:.0f} s: {sink.posts:,} messages, {sink.edits:,} edits",
        f"warm: {warm}",
        f"end:  {end}",
        "; ".join(grown) or "nothing grew",
    ]
    sys.stdout.write("\n".join(lines) + "\n")
    return bool(grown)


if __name__ == "__main__":
    raise SystemExit(main())
