"""Polls one queue: snapshot, plan, one transaction; keeps its back-off and skips what has not changed."""

from __future__ import annotations

import threading
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING

import structlog

from worker.core.delivery import backoff, clamp_wish
from worker.core.meter import STORE, UNMETERED
from worker.core.model import FIRST_SIGHT, Polled, Queue, Snapshot
from worker.core.plan import plan, undescribed
from worker.core.ports import Relieved, SourceError, StoreError, Trouble
from worker.core.status.process import Area
from worker.core.status.seen import rows_text
from worker.loops.complaint import Complaint
from worker.loops.incidents import Board
from worker.loops.naming import Naming
from worker.loops.parting import Doubts, Parting
from worker.loops.shift import ALONE

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from datetime import datetime
    from uuid import UUID

    from worker.core.meter import Meter
    from worker.core.model import Duty, Memory, Plan, Unchanged
    from worker.core.ports import Clock, Descriptions, Incidents, Shift, Source, Store
    from worker.rules import QueueRules, RulesOf

log = structlog.get_logger(__name__)

LONGEST_BACKOFF = timedelta(minutes=15)
LONGEST_STORE_BACKOFF = timedelta(minutes=1)
"""A database is ours: it may work again as soon as somebody has made room."""

REFUSED_BACKOFF = timedelta(minutes=5)
"""A key that is refused is tried this seldom: it does not get better by asking."""

LARGE = 10_000
"""Queues of so many runs are decided on one at a time: together they would take longer than a transaction may."""


@dataclass(frozen=True, slots=True)
class Concluded:
    """The last listing that is written down: how the source knows it again, and until when it changes nothing.

    It was decided on by `rules`. `next_due_at` is by the clock of the source, which ours is `ahead` of.
    """

    opaque: object
    rules: QueueRules
    next_due_at: datetime | None
    ahead: timedelta

    def is_due(self, rules: QueueRules, now: datetime) -> bool:
        """Whether this very listing has to be decided on again."""
        return self.rules != rules or (self.next_due_at is not None and self.next_due_at <= now - self.ahead)


@dataclass(slots=True)
class Progress:
    """What is known of one queue between its polls; in memory only.

    `duty` is the one under which it is polled, None where this worker is alone. `concluded` is None where the database
    has to be looked at; `revision` is the queue's as of the last transaction. `completed` is the monotonic time of the
    last complete poll, `waiting` counts the runs of its listing, `unusable` the rows that are none; `told`, whether the
    log says that the queue fails.
    `decisions`, `new` and `gone` count, since the process started, listings that were decided on, runs that were
    announced and runs that left.
    """

    polled: Polled
    duty: Duty | None = None
    concluded: Concluded | None = None
    revision: int = 0
    failures: int = 0
    not_before: float = 0.0
    completed: float = 0.0
    told: bool = False
    waiting: int = 0
    unusable: int = 0
    decisions: int = 0
    new: int = 0
    gone: int = 0
    doubts: Doubts = field(default_factory=Doubts)
    unnamed: Doubts = field(default_factory=Doubts)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def trouble(self) -> str:
        """What the last poll failed in, empty where it was complete."""
        return self.polled.trouble

    @property
    def known_revision(self) -> int:
        """The revision that the queue has where nobody but its own poll acted since the last transaction."""
        return self.revision + self.doubts.raised + self.unnamed.raised

    def recall(self) -> None:
        """Look at the database again at the next poll, whatever is listed then."""
        self.concluded = None
        self.doubts.are_open = self.unnamed.are_open = True

    def take_up(self, duty: Duty) -> None:
        """Know nothing of before: another worker may have polled the queue meanwhile."""
        self.polled = Polled(self.polled.queue)
        self.duty, self.concluded = duty, None
        self.failures, self.not_before, self.told = 0, 0.0, False
        self.doubts, self.unnamed = Doubts(), Doubts()


class _NotDescribedError(Exception):
    """Ends a transaction with nothing written: first it is asked what these runs are called."""

    def __init__(self, queue_run_ids: Collection[UUID]) -> None:
        super().__init__()
        self.queue_run_ids = queue_run_ids


class Poll:
    """Polls queues, one call a queue and tick. Thread-safe for different queues; the same queue never runs twice."""

    def __init__(  # noqa: PLR0913  (the parts of a poll, all by name)
        self,
        *,
        source: Source,
        store: Store,
        clock: Clock,
        rules: RulesOf,
        owed: Callable[[], None],
        jitter: Callable[[], float],
        meter: Meter = UNMETERED,
        complaint: Complaint | None = None,
        shift: Shift = ALONE,
        incidents: Incidents | None = None,
        descriptions: Descriptions | None = None,
    ) -> None:
        """`owed` is called when there is something to deliver; `jitter` gives 0 to 1 to spread back-offs.

        `complaint` says that the database fails, for all loops together. `shift` tells which queues are this worker's:
        no other one is polled. `incidents` is where it is announced that a listing cannot be used as it is.
        `descriptions` gives what bare snapshots lack.
        """
        self._source = source
        self._store = store
        self._clock = clock
        self._rules = rules
        self._owed = owed
        self._jitter = jitter
        self._meter = meter
        self._complaint = complaint or Complaint()
        self._shift = shift
        self._incidents = incidents or Board(clock)
        self._parting = Parting(source=source, clock=clock)
        self._naming = Naming(descriptions, clock=clock)
        self._progress: dict[UUID, Progress] = {}
        self._large = threading.Lock()

    def polled(self) -> list[Polled]:
        """How the polls of every queue of this process stand, as far as they were attempted."""
        return [progress.polled for progress in self.progress()]

    def progress(self) -> list[Progress]:
        """What is known of every queue of this process; to be read only."""
        return [progress for progress in list(self._progress.values()) if self._is_ours(progress)]

    def _is_ours(self, progress: Progress) -> bool:
        try:
            return self._shift.of(progress.polled.queue.queue_id) == progress.duty
        except Relieved:
            return False

    def noticed(self, revisions: Mapping[UUID, int]) -> None:
        """Take note of the revisions that queues have: where somebody acted meanwhile, recall everything again.

        Costs no query, as they are read where it is noted how the polls stand. Read before a transaction that has
        ended since, one may make a poll recall once for nothing.
        """
        for progress in self.progress():
            if revisions.get(progress.polled.queue.queue_id, progress.known_revision) != progress.known_revision:
                progress.recall()

    def forget(self, queue_id: UUID) -> None:
        """Drop what is kept of a queue that is not polled any more."""
        self._progress.pop(queue_id, None)
        self._complaint.worked(f"poll {queue_id}")

    def relieve(self, queue_id: UUID) -> None:
        """Another worker polls the queue: what failed here is not our trouble any more."""
        self._complaint.worked(f"poll {queue_id}")

    def __call__(self, queue: Queue) -> bool:
        """Poll once unless the queue is backing off; whether the queue is well. Never raises for a failing queue."""
        progress = self._progress.setdefault(queue.queue_id, Progress(Polled(queue)))
        with progress.lock:
            try:
                return self._under_duty(progress)
            except Relieved:
                self.relieve(queue.queue_id)
                log.info("queue_relieved", queue=progress.polled.queue.name)
                return True

    def _under_duty(self, progress: Progress) -> bool:
        """Poll while the queue is ours: what was listed before that is never written."""
        duty = self._shift.of(progress.polled.queue.queue_id)
        if duty is not None and duty != progress.duty:
            progress.take_up(duty)
        began = self._clock.monotonic()
        if began < progress.not_before:
            return False
        well = self._attempt(progress, self._rules(progress.polled.queue))
        took = self._clock.monotonic() - began
        self._meter.polled(progress.polled.queue, seconds=took, trouble=progress.trouble)
        return well

    def _attempt(self, progress: Progress, rules: QueueRules) -> bool:
        try:
            self._poll(progress, rules)
        except (SourceError, StoreError) as error:
            self._failed(progress, error, rules.settings.poll_interval)
            return False
        self._recovered(progress)
        return True

    def _poll(self, progress: Progress, rules: QueueRules) -> None:
        found = self._snapshot(progress, rules)
        now = self._clock.now()
        gone: Collection[UUID] = ()
        if isinstance(found, Snapshot):
            progress.waiting, progress.unusable = len(found.runs), found.unusable
            self._judge_rows(found)
            gone = self._conclude(progress, found, rules, now)
        store = self._store_of(progress)
        self._parting(found.queue, gone, progress.doubts, store=store, rules=rules)
        if found.bare:
            self._naming(found.queue, progress.unnamed, store=store, rules=rules)
        progress.polled = replace(progress.polled, queue=found.queue, completed_at=now)
        progress.completed = self._clock.monotonic()

    def _snapshot(self, progress: Progress, rules: QueueRules) -> Snapshot | Unchanged:
        """The listing, unless it is the concluded one and nothing is due of it."""
        queue_id, fields, known = progress.polled.queue.queue_id, rules.settings.show, progress.concluded
        if known is None or known.is_due(rules, self._clock.now()):
            return self._source.snapshot(queue_id, fields)
        found = self._source.snapshot(queue_id, fields, known.opaque)
        if isinstance(found, Snapshot):
            return found
        still = replace(known, opaque=found.concluded, ahead=found.ahead)
        if progress.concluded is known:  # nobody asked meanwhile that everything be recalled
            progress.concluded = still
        # Reading takes time, and tells by how much our clock is wrong.
        is_due = still.is_due(rules, self._clock.now())
        return self._source.snapshot(queue_id, fields) if is_due else found

    def _judge_rows(self, snapshot: Snapshot) -> None:
        """Announce that rows cannot be used, and that they can be again."""
        subject = str(snapshot.queue.queue_id)
        if not snapshot.unusable:
            self._incidents.end("rows_unusable", subject=subject)
            return
        text = f"{snapshot.queue.name}: {rows_text(snapshot)}"
        self._incidents.begin("rows_unusable", Area.QUEUES, text, snapshot.fix, subject=subject)

    def _conclude(self, progress: Progress, snapshot: Snapshot, rules: QueueRules, now: datetime) -> Collection[UUID]:
        """Plan, write and tell; the runs that left."""
        decided = self._update(self._store_of(progress), snapshot, rules, now)
        # What the messages list may be another choice of the runs now.
        progress.unnamed.are_open |= bool(decided.reviews)
        progress.concluded = Concluded(snapshot.concluded, rules, decided.next_due_at, snapshot.ahead)
        progress.revision, progress.doubts.raised, progress.unnamed.raised = decided.revision, 0, 0
        progress.decisions += 1
        progress.new += sum(len(notice.reviews) for notice in decided.notices if notice.kind in FIRST_SIGHT)
        progress.gone += sum(not review.is_open for review in decided.reviews)
        self._tell(snapshot, decided)
        return _gone(snapshot, decided)

    def _store_of(self, progress: Progress) -> Store:
        """The store as it may be written to in this poll."""
        return self._store if progress.duty is None else self._store.under(progress.duty)

    def _update(self, store: Store, snapshot: Snapshot, rules: QueueRules, now: datetime) -> Plan:
        with self._large if len(snapshot.runs) >= LARGE else nullcontext():
            keys = {run.queue_run_id for run in snapshot.runs}

            def decide(memory: Memory) -> Plan:
                return plan(snapshot, memory, rules.policy, now)

            def decide_on_described(memory: Memory) -> Plan:
                decided = decide(memory)
                if lacking := undescribed(decided):
                    raise _NotDescribedError(lacking)
                return decided

            try:
                return store.update(snapshot.queue, keys, decide_on_described if snapshot.bare else decide, now)
            except _NotDescribedError as waiting:
                snapshot = self._naming.described(snapshot, waiting.queue_run_ids, rules.settings.show)
                return store.update(snapshot.queue, keys, decide, now)

    def _tell(self, snapshot: Snapshot, decided: Plan) -> None:
        """One line for a poll that changed something, and a nudge where something is owed."""
        if decided.reviews:
            log.info(
                "queue_polled",
                queue=snapshot.queue.name,
                waiting=len(snapshot.runs),
                changed=len(decided.reviews),
                closed=sum(not review.is_open for review in decided.reviews),
                notices=[notice.kind.value for notice in decided.notices],
            )
        if decided.notices:
            self._owed()

    def _failed(self, progress: Progress, error: SourceError | StoreError, interval: timedelta) -> None:
        """Count, back off, and say so once: when the failing begins."""
        progress.failures += 1
        trouble = error.trouble.value if isinstance(error, SourceError) else STORE
        if isinstance(error, StoreError):
            # What was written is not known after a failed transaction: the next poll must look at the database.
            progress.concluded = None
        progress.doubts.are_open = True
        wait = self._wait(progress.failures, error, interval)
        progress.not_before = self._clock.monotonic() + wait.total_seconds()
        since = progress.polled.failing_since or self._clock.now()
        progress.polled = replace(progress.polled, failing_since=since, error=str(error), trouble=trouble)
        self._complain(progress, error)

    def _complain(self, progress: Progress, error: SourceError | StoreError) -> None:
        """A database that fails is one trouble, not one a queue."""
        who = f"poll {progress.polled.queue.queue_id}"
        if isinstance(error, StoreError):
            self._complaint.failed(who, error)
            return
        self._complaint.worked(who)
        if not progress.told:
            log.warning("queue_failing", queue=progress.polled.queue.name, error=str(error))
        progress.told = True

    def _wait(self, failures: int, error: SourceError | StoreError, interval: timedelta) -> timedelta:
        """How long to leave a failing queue alone; the next scheduled poll after that is the retry."""
        if isinstance(error, SourceError):
            wish = clamp_wish(error.retry_after)
            if wish is not None:
                return wish
            if error.trouble is Trouble.REFUSED:
                return max(REFUSED_BACKOFF, interval)
        longest = LONGEST_BACKOFF if isinstance(error, SourceError) else LONGEST_STORE_BACKOFF
        wait = backoff(failures, first=interval, longest=max(longest, interval))
        # A little less than a whole interval lets the very next tick be the retry after a first failure.
        return wait * (0.75 + 0.2 * self._jitter())

    def _recovered(self, progress: Progress) -> None:
        if not progress.failures:
            return
        queue, since = progress.polled.queue, progress.polled.failing_since
        self._complaint.worked(f"poll {queue.queue_id}")
        if progress.told:
            log.info("queue_recovered", queue=queue.name, failing_since=since, failures=progress.failures)
        progress.told = False
        progress.failures = 0
        progress.polled = replace(progress.polled, failing_since=None, error="", trouble="")


def _gone(snapshot: Snapshot, decided: Plan) -> Collection[UUID]:
    """The runs that left the queue, in the order in which they waited; what was put back has not left."""
    closed = dict.fromkeys(review.queue_run_id for review in decided.reviews if not review.is_open)
    listed = {run.queue_run_id for run in snapshot.runs} if closed else set()
    return [queue_run_id for queue_run_id in closed if queue_run_id not in listed]
