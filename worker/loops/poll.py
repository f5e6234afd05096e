"""Polls one queue: snapshot, plan, one transaction; keeps its back-off and skips what has not changed."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import TYPE_CHECKING

import structlog
from msgspec import Struct, field
from msgspec.structs import replace

from worker.core.cooldown import Cooldown
from worker.core.model import FIRST_SIGHT, Difference, Kind, Polled, Queue, Snapshot, Unchanged
from worker.core.overview import UNMETERED, Area
from worker.core.plan import Plan, Remainder, undescribed, widened
from worker.core.ports import STORE, Fenced, SourceError, StoppingError, StoreError, Trouble
from worker.core.status.reasons import rows_text
from worker.core.text import day_time_in
from worker.loops.assignments import ALONE
from worker.loops.conclude import NOTHING_LEFT, Conclude, Concluded, UnknownTraitsError, WholeNeededError
from worker.loops.details import Doubts, Naming, Parting, count_ended
from worker.loops.incidents import Board, Complaint

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from datetime import datetime

    from worker.core.leases import Assignment
    from worker.core.model import Id
    from worker.core.overview import Meter
    from worker.core.ports import Assignments, Clock, Descriptions, Incidents, Source
    from worker.core.store_roles import Reviews
    from worker.rules import QueueRules, RulesOf

    Listed = Snapshot | Difference

log = structlog.get_logger(__name__)

LONGEST_BACKOFF = timedelta(minutes=15)
LONGEST_STORE_BACKOFF = timedelta(minutes=1)
"""Shorter than for a source: the database is ours, and works again as soon as somebody has made room."""

REFUSED_BACKOFF = timedelta(minutes=5)
"""The wait after a refused key: asking more often does not make it better."""


class Seen(Struct, frozen=True):
    """The state of the polls of one queue, as other loops may see it.

    `completed` is the monotonic time of the last complete one, `waiting` counts the runs of its listing, `unusable` the
    rows that are no run; `held_until` is when what is held may go out (None: nothing is), and `revision` the queue's as
    of the last transaction. Since the process started, `decisions` counts the listings that were decided on, `new` the
    runs that were announced and `gone` those that left. Our clock was `ahead` of the source's.
    """

    polled: Polled
    completed: float = 0.0
    waiting: int = 0
    unusable: int = 0
    held_until: datetime | None = None
    revision: int = 0
    decisions: int = 0
    new: int = 0
    gone: int = 0
    ahead: timedelta = timedelta(0)


class _Waits(Struct, frozen=True):
    """The waits of one queue: for its next poll while it fails, and for answers about its runs.

    `is_logged` says whether the log has a line about the failing queue.
    """

    failing: Cooldown = field(default_factory=Cooldown)
    is_logged: bool = False
    fates: Doubts = field(default_factory=Doubts)
    names: Doubts = field(default_factory=Doubts)


class Progress(Struct):
    """Everything that is known of one queue between its polls, in values that are replaced; in memory only.

    `assignment` is the one under which it is polled, None where this worker is alone. `concluded` is None where the
    database has to be read. `is_held` says that the log has a line about what is held. `is_outdated` is set by another
    thread when the queue's reviews were changed elsewhere, and `is_nameless` when a message was posted without a name;
    all other values are replaced by the poll alone, under its `lock`.
    """

    seen: Seen
    concluded: Concluded | None = None
    waits: _Waits = field(default_factory=_Waits)
    is_held: bool = False
    assignment: Assignment | None = None
    is_outdated: bool = False
    is_nameless: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def queue(self) -> Queue:
        """The queue as its last listing describes it."""
        return self.seen.polled.queue

    @property
    def known_revision(self) -> int:
        """The revision that the queue has if only its own poll has changed its reviews since the last transaction."""
        return self.seen.revision + self.waits.fates.raised + self.waits.names.raised

    def recall(self) -> None:
        """Read the database again, whatever is listed, and ask the open questions again."""
        self.is_outdated = False  # first: a change that is noticed meanwhile is for the next poll
        self.concluded = None
        self.waits = replace(self.waits, fates=self.waits.fates.opened(), names=self.waits.names.opened())

    def doubtful_names(self) -> Doubts:
        """The doubts about names, which a message without one opens."""
        is_nameless, self.is_nameless = self.is_nameless, False
        return self.waits.names.opened(when=is_nameless)

    def take_up(self, assignment: Assignment) -> None:
        """Begin under a new assignment."""
        # Everything known is dropped: another worker may have polled the queue meanwhile.
        self.seen = replace(self.seen, polled=Polled(self.queue))
        self.concluded, self.waits, self.assignment = None, _Waits(), assignment
        self.is_held = False

    def decided(self, found: Listed, rules: QueueRules, decided: Plan) -> None:
        """A listing was decided on, and that is written down."""
        self.concluded = Concluded.of(found, rules, decided)
        seen = replace(self.seen, revision=decided.revision, decisions=self.seen.decisions + 1)
        seen = replace(seen, held_until=decided.held_until)
        new = sum(len(notice.reviews) for notice in decided.notices if notice.kind in FIRST_SIGHT)
        gone = len(decided.closed)
        self.seen = replace(seen, new=seen.new + new, gone=seen.gone + gone)
        # Who posts for several workers may come to list other runs, and that is not heard of here.
        is_shifted = self.assignment is not None and gone > 0
        fates, names = self.waits.fates, self.waits.names.opened(when=is_shifted)
        self.waits = replace(self.waits, fates=replace(fates, raised=0), names=replace(names, raised=0))


class Known:
    """All that is known of the queues of this process between their polls. Thread-safe."""

    def __init__(self, assignments: Assignments) -> None:
        """`assignments` says which queues are this worker's: of others nothing is shown."""
        self._assignments = assignments
        self._every: dict[Id, Progress] = {}

    def of(self, queue: Queue) -> Progress:
        """What is known of a queue; nothing of one that was never polled."""
        known = self._every.get(queue.queue_id)
        return known or self._every.setdefault(queue.queue_id, Progress(Seen(Polled(queue))))

    def drop(self, queue_id: Id) -> None:
        """Keep nothing of a queue that is not polled any more."""
        self._every.pop(queue_id, None)

    def polled(self) -> list[Polled]:
        """The state of the polls of every queue that this process has attempted."""
        return [seen.polled for seen in self.seen()]

    def seen(self) -> list[Seen]:
        """The same with the numbers that were seen. From any thread."""
        return [progress.seen for progress in self._ours()]

    def ahead(self) -> timedelta | None:
        """How far our clock was ahead of the source's at the last poll; None before the first."""
        # Of any queue, whoever polls it now: it is the clock of this machine.
        every = [progress.seen for progress in list(self._every.values()) if progress.seen.polled.completed_at]
        return max(every, key=lambda seen: seen.completed).ahead if every else None

    def _ours(self) -> list[Progress]:
        # A copy first: a poll of a new queue may add to the dictionary meanwhile, in another thread.
        return [progress for progress in list(self._every.values()) if self._is_ours(progress)]

    def _is_ours(self, progress: Progress) -> bool:
        try:
            return self._assignments.of(progress.queue.queue_id) == progress.assignment
        except Fenced:
            return False

    def noticed(self, revisions: Mapping[Id, int]) -> None:
        """Take note of the revisions of queues: a poll reads the database again where its queue has an unknown one."""
        # They cost no query of their own: `Polls.polled` returns them. One that was read before a transaction which has
        # ended since makes a poll recall once for nothing, which does no harm.
        for progress in self._ours():
            known = progress.known_revision
            if revisions.get(progress.queue.queue_id, known) != known:
                progress.is_outdated = True

    def nameless(self, queue_id: Id) -> None:
        """Take note that a message about a queue was posted without a name. From any thread."""
        if (progress := self._every.get(queue_id)) is not None:
            progress.is_nameless = True

    def has_looked(self, queue_id: Id, since: datetime, attempts: int) -> bool:
        """Whether a queue was polled completely since then, or tried so often in vain."""
        progress = self._every.get(queue_id)
        if progress is None:
            return False
        completed_at = progress.seen.polled.completed_at
        is_seen = completed_at is not None and completed_at >= since
        return is_seen or progress.waits.failing.failures >= attempts


class Poll:
    """Polls queues, one call for each queue and tick. Thread-safe; no queue is polled twice at the same time."""

    def __init__(  # noqa: PLR0913  (the parts of a poll, all by name)
        self,
        *,
        source: Source,
        store: Reviews,
        clock: Clock,
        rules: RulesOf,
        owed: Callable[[], None],
        jitter: Callable[[], float],
        meter: Meter = UNMETERED,
        complaint: Complaint | None = None,
        assignments: Assignments = ALONE,
        incidents: Incidents | None = None,
        descriptions: Descriptions | None = None,
    ) -> None:
        """`owed` is called when there is something to deliver; `jitter` gives 0 to 1 to spread back-offs.

        `complaint` logs for all loops together that the database fails. `assignments` says which queues are this
        worker's: no other one is polled. `incidents` gets the announcement that rows of a listing cannot be used.
        `descriptions` gives the facts that bare snapshots lack.
        """
        self._source = source
        self._store = store
        self._clock = clock
        self._rules = rules
        self._meter = meter
        self._assignments = assignments
        self._incidents = incidents or Board(clock)
        self._failures = _Failures(clock, jitter, complaint or Complaint())
        self._parting = Parting(source=source, clock=clock)
        self._naming = Naming(descriptions, clock=clock)
        self._conclude = Conclude(clock)
        self._owed = owed
        self.known = Known(assignments)

    def forget(self, queue_id: Id) -> None:
        """Drop what is kept of a queue that is not polled any more."""
        self.known.drop(queue_id)
        self._failures.forget(queue_id)

    def relieve(self, queue_id: Id) -> None:
        """Take note that another worker polls the queue: its failures are not ours any more."""
        self._failures.forget(queue_id)

    def __call__(self, queue: Queue) -> bool:
        """Poll once unless the queue is backing off; returns whether all is well. Never raises for a failing queue."""
        progress = self.known.of(queue)
        with progress.lock:
            try:
                return self._under_assignment(progress)
            except Fenced:
                self.relieve(queue.queue_id)
                log.info("queue_relieved", queue=progress.queue.name)
                return True

    def _under_assignment(self, progress: Progress) -> bool:
        """Poll while the queue is ours. Raises Fenced."""
        # Before the listing is read: one that was read under an earlier assignment must never be written.
        assignment = self._assignments.of(progress.queue.queue_id)
        if assignment is not None and assignment != progress.assignment:
            progress.take_up(assignment)
        began = self._clock.monotonic()
        if not progress.waits.failing.is_over(began):
            return False
        if progress.is_outdated:
            progress.recall()
        well = self._attempt(progress, self._rules(progress.queue))
        took = self._clock.monotonic() - began
        self._meter.polled(progress.queue, seconds=took, trouble=progress.seen.polled.trouble)
        return well

    def _attempt(self, progress: Progress, rules: QueueRules) -> bool:
        try:
            self._poll(progress, rules)
        except StoppingError:
            return False
        except (SourceError, StoreError) as error:
            self._failures.failed(progress, error, rules.settings.poll_interval)
            return False
        self._failures.recovered(progress)
        return True

    def _poll(self, progress: Progress, rules: QueueRules) -> None:
        found = _snapshot(self._source, self._clock, progress, rules)
        now = self._clock.now()
        store = self._store if progress.assignment is None else self._store.under(progress.assignment)
        gone: Collection[Id] = ()
        decided = Plan()
        if not isinstance(found, Unchanged):
            found, decided = self._decide(progress, found, rules, store)
            progress.seen = replace(progress.seen, waiting=found.count, unusable=found.unusable)
            _judge_rows(found, self._incidents)
            progress.decided(found, rules, decided)
            _say_held(progress, found.queue, decided, rules)
            gone = _gone(found, decided)
        if found.bare:
            names = self._naming(found.queue, undescribed(decided), progress.doubtful_names(), store=store, rules=rules)
            progress.waits = replace(progress.waits, names=names)
        if decided.notices:
            # After the look for names: a message should have them from the first.
            self._owed()
        fates, left = self._parting(found.queue, gone, progress.waits.fates, store=store, rules=rules)
        count_ended(self._meter, found.queue, decided.tally, left)
        progress.waits = replace(progress.waits, fates=fates)
        polled = replace(progress.seen.polled, queue=found.queue, completed_at=now)
        progress.seen = replace(progress.seen, polled=polled, completed=self._clock.monotonic(), ahead=found.ahead)

    def _decide(self, progress: Progress, found: Listed, rules: QueueRules, store: Reviews) -> tuple[Listed, Plan]:
        """Decide on a difference where that is enough, else on the whole listing."""
        known = progress.concluded
        if isinstance(found, Difference) and known is not None:
            found, revision = widened(found, known.remainder), progress.known_revision
            try:
                return self._sifted(store, found, rules, known.remainder, revision)
            except WholeNeededError:
                found = self._source.snapshot(progress.queue.queue_id, rules.fields)
        return self._sifted(store, found, rules)

    def _sifted(
        self, store: Reviews, found: Listed, rules: QueueRules, remainder: Remainder = NOTHING_LEFT, revision: int = 0
    ) -> tuple[Listed, Plan]:
        """Decide once what filters need is known of the runs, as far as it can be had now."""
        try:
            return found, self._conclude(store, found, rules, remainder, revision)
        except UnknownTraitsError as unknown:
            found = self._naming.sifted(found, unknown.runs, rules.fields)
        return found, self._conclude(store, found, rules, remainder, revision, is_sifted=True)


class _Failures:
    """Backs off from queues that fail, and logs one line when that begins and one when it is over."""

    def __init__(self, clock: Clock, jitter: Callable[[], float], complaint: Complaint) -> None:
        self._clock = clock
        self._jitter = jitter
        self._complaint = complaint

    def forget(self, queue_id: Id) -> None:
        """Drop the failures of a queue."""
        self._complaint.worked(f"poll {queue_id}")

    def failed(self, progress: Progress, error: SourceError | StoreError, interval: timedelta) -> None:
        """Take note that a poll failed."""
        if isinstance(error, StoreError):
            # After a failed transaction it is not known what was written: the next poll must read the database.
            progress.concluded = None
        waits = progress.waits
        cooldown = self._cooldown(waits.failing, error, interval)
        progress.waits = replace(waits, failing=cooldown, fates=waits.fates.opened())
        polled = progress.seen.polled
        trouble = error.trouble.value if isinstance(error, SourceError) else STORE
        since = polled.failing_since or self._clock.now()
        progress.seen = replace(
            progress.seen, polled=replace(polled, failing_since=since, error=str(error), trouble=trouble)
        )
        self._complain(progress, error)

    def _complain(self, progress: Progress, error: SourceError | StoreError) -> None:
        if isinstance(error, StoreError):
            # A database that fails is one problem, not one of each queue: all of them share one line.
            self._complaint.failed(f"poll {progress.queue.queue_id}", error)
            return
        self.forget(progress.queue.queue_id)
        if not progress.waits.is_logged:
            log.warning("queue_failing", queue=progress.queue.name, error=str(error))
        progress.waits = replace(progress.waits, is_logged=True)

    def _cooldown(self, former: Cooldown, error: SourceError | StoreError, interval: timedelta) -> Cooldown:
        """The time to leave a failing queue alone; the next scheduled poll after that is the retry."""
        at, wish, longest = self._clock.monotonic(), None, LONGEST_STORE_BACKOFF
        if isinstance(error, SourceError):
            wish, longest = error.retry_after, LONGEST_BACKOFF
            if wish is None and error.trouble is Trouble.REFUSED:
                return former.failed(max(REFUSED_BACKOFF, interval), at)
        # A little less than a whole interval, so that the very next tick is the retry after a first failure.
        share = 0.75 + 0.2 * self._jitter()
        return former.backed_off(at, first=interval, longest=max(longest, interval), wish=wish, share=share)

    def recovered(self, progress: Progress) -> None:
        """Take note that a poll was complete."""
        waits, polled = progress.waits, progress.seen.polled
        if not waits.failing.failures:
            return
        self.forget(polled.queue.queue_id)
        if waits.is_logged:
            failures = waits.failing.failures
            log.info("queue_recovered", queue=polled.queue.name, failing_since=polled.failing_since, failures=failures)
        progress.waits = replace(waits, failing=Cooldown(), is_logged=False)
        progress.seen = replace(progress.seen, polled=replace(polled, failing_since=None, error="", trouble=""))


def _snapshot(source: Source, clock: Clock, progress: Progress, rules: QueueRules) -> Snapshot | Unchanged | Difference:
    """The listing, or its difference from the concluded one where no more has to be decided on."""
    queue_id, fields, known = progress.queue.queue_id, rules.fields, progress.concluded
    if known is None or known.is_due(rules, clock.now()):
        return source.snapshot(queue_id, fields)
    found = source.snapshot(queue_id, fields, known.same.concluded)
    if isinstance(found, Snapshot):
        return found
    if isinstance(found, Unchanged):
        known = progress.concluded = known.unchanged(found)
    # Reading takes time, and shows by how much our clock is wrong.
    if replace(known, same=replace(known.same, ahead=found.ahead)).is_due(rules, clock.now()):
        return source.snapshot(queue_id, fields)
    # What was absent once is decided on, also where nothing has changed since.
    return known.same if isinstance(found, Unchanged) and known.remainder.unsure else found


def _say_held(progress: Progress, queue: Queue, decided: Plan, rules: QueueRules) -> None:
    """One line where something of a queue begins to be held, and none before that is over."""
    until, is_first = decided.held_until, not progress.is_held
    progress.is_held = until is not None
    if until is not None and is_first:
        log.info(
            "queue_held",
            queue=queue.name,
            held_until=day_time_in(until, rules.calendar.zone),
            notice=(Kind.ANNOUNCEMENT if decided.is_baselined else Kind.BASELINE).value,
            runs=len(decided.remainder.again),
        )


def _judge_rows(seen: Listed, incidents: Incidents) -> None:
    """Announce that rows cannot be used, and that they can be again."""
    subject = str(seen.queue.queue_id)
    if not seen.unusable:
        incidents.end("rows_unusable", subject=subject)
        return
    text = f"{seen.queue.name}: {rows_text(seen)}"
    incidents.begin("rows_unusable", Area.QUEUES, text, seen.fix, subject=subject)


def _gone(seen: Listed, decided: Plan) -> Collection[Id]:
    """The runs that left the queue, in the order in which they waited; what was put back has not left."""
    closed = dict.fromkeys(decided.closed)
    listed = {run.queue_run_id for run in seen.runs} if closed else set()
    return [queue_run_id for queue_run_id in closed if queue_run_id not in listed]
