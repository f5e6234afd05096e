"""What the core asks of the world, and the errors that the world answers with. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol, overload

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    from worker.core.model import (
        Backlog,
        Claim,
        Delivery,
        Duty,
        Facts,
        Left,
        Memory,
        Message,
        Pause,
        Plan,
        Polled,
        Queue,
        Receipt,
        ReviewKey,
        Show,
        Snapshot,
        Standing,
        State,
        Story,
        Task,
        Turn,
        Unchanged,
    )
    from worker.core.status.process import Area, Process
    from worker.core.status.seen import Unseen


class Trouble(StrEnum):
    """Why there is no complete snapshot; decides how to go on."""

    UNREACHABLE = "unreachable"  # refused, timed out, broken off, 5xx
    THROTTLED = "throttled"  # 429
    REFUSED = "refused"  # the key is wrong or may not: 401/403 that the source itself answered
    MISSING = "missing"  # there is no such queue (or no such route)
    UNLAWFUL = "unlawful"  # an answer that breaks the specification, or is too large


class SourceError(Exception):
    """No complete snapshot. `str()` says what happened and the remedy, without any secret or content of a run."""

    def __init__(self, text: str, trouble: Trouble, *, retry_after: timedelta | None = None) -> None:
        """Keep what the loop decides on; `retry_after` is the server's wish, as it was given."""
        super().__init__(text)
        self.trouble = trouble
        self.retry_after = retry_after


class Outcome(StrEnum):
    """What is known of a send, find or edit that did not succeed; each has a treatment of its own."""

    RETRY = "retry"  # surely not posted, worth another try
    THROTTLED = "throttled"  # surely not posted; holds for that method in the workspace
    UNKNOWN = "unknown"  # may be posted
    MESSAGE = "message"  # surely not posted; this content never will be
    DESTINATION = "destination"  # surely not posted; nothing can be posted there at present
    TOKEN = "token"  # surely not posted; nothing can be posted anywhere at present  # noqa: S105
    EDIT = "edit"  # this message cannot be edited any more
    BLIND = "blind"  # looking up is not possible here (scope missing, not a member)
    NOT_ASKED = "not_asked"  # the probe is not possible here: only a post can tell whether posts get through


class DeliveryError(Exception):
    """A send, find or edit without a receipt. `code` is the service's error or our own; `str()` has no secret."""

    def __init__(self, text: str, outcome: Outcome, *, code: str = "", retry_after: timedelta | None = None) -> None:
        """Keep what the loop decides on; `retry_after` is the service's wish, as it was given."""
        super().__init__(text)
        self.outcome = outcome
        self.code = code or outcome.value
        self.retry_after = retry_after


DATABASE_URL = "the database's URL"
"""The setting that names the database, as errors call it; whoever shows them puts in the name that people know."""


class StoreError(Exception):
    """The database cannot be used at present (locked, full, gone). The work is tried again at the next tick."""


class RefusedError(StoreError):
    """The database refuses what the program has to do, until somebody changes that there. `str()` says the remedy.

    At a start it is exit status 78; a service that runs already goes on trying, since it may be granted again.
    """


class Relieved(Exception):  # noqa: N818  it is no error: another worker goes on
    """A duty is not ours any more. Nothing was written."""


class ConfigError(Exception):
    """A setting or the database makes the start impossible. `str()` names it and the remedy; exit status 78."""


class Clock(Protocol):
    """Time as the worker sees it."""

    def now(self) -> datetime:
        """Wall time, aware, UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds that never run backwards."""
        ...


class Incidents(Protocol):
    """Where a part of the worker announces what it notices to be wrong with the worker. Thread-safe, never raises.

    What stands here is logged, reported to the operators, and a reason for `status` to end with 1 and for `/readyz`
    not to be ready; its end is logged and reported too.
    """

    def begin(self, kind: str, area: Area, text: str, fix: str, *, subject: str = "") -> None:
        """Something is wrong; called again while it lasts, only the words are replaced.

        `kind` is a lower-case word that metrics count by; with the `subject` (a queue's id, a channel) it tells one
        from another. `text` says what is wrong and `fix` what to do, both without a full stop; names and errors in
        them stay raw. Let the words stay the same while nothing changes: each change is written to the database.
        """
        ...

    def end(self, kind: str, *, subject: str = "") -> None:
        """It does not hold, or no longer; cheap, to be called wherever that is seen, begun or not.

        After a restart this is what shows that an incident from before is over.
        """
        ...


class Source(Protocol):
    """Where queue runs come from. Thread-safe. Every method raises SourceError."""

    @overload
    def snapshot(self, queue_id: UUID, fields: frozenset[Show], concluded: None = None) -> Snapshot: ...
    @overload
    def snapshot(self, queue_id: UUID, fields: frozenset[Show], concluded: object) -> Snapshot | Unchanged: ...
    def snapshot(self, queue_id: UUID, fields: frozenset[Show], concluded: object = None) -> Snapshot | Unchanged:
        """Read one queue completely, with these fields of its runs, or raise: half a listing is no listing.

        `concluded` is the opaque value of the last listing of this queue that was written down, by this process; where
        the queue still looks like that the answer may be `Unchanged`. With None it is a Snapshot.
        """
        ...

    def fates(self, queue_id: UUID, queue_run_ids: Collection[UUID]) -> Mapping[UUID, Left]:
        """How runs that left did so, the first ones first, within a budget of requests; UNKNOWN is an answer too.

        One that is left out could not be asked about now: it is worth asking again.
        """
        ...

    def queues(self) -> Sequence[Queue]:
        """Every queue that the key can see."""
        ...


class Descriptions(Protocol):
    """What a `bare` snapshot does not show of its runs; for sources that have such. Raises SourceError."""

    def facts(self, queue_id: UUID, queue_run_ids: Collection[UUID], *, show: frozenset[Show]) -> Mapping[UUID, Facts]:
        """What may be shown of runs of the last snapshot, as far as it can be had within a budget of requests.

        One that is left out could not be asked about now: it is worth asking again.
        """
        ...


class Blindness(Protocol):
    """Whether the key sees what there is; for sources that can count what they do not show. Raises SourceError."""

    def blindness(self, queue_id: UUID) -> Unseen | None:
        """Why nothing is seen of what is open in a queue whose listing is empty; None where nothing is open."""
        ...


def always() -> bool:
    """Say that it is never too late."""
    return True


@dataclass(frozen=True, slots=True)
class Limits:
    """How a notifier is called, and what it can take.

    `name` is the service as people write it. `pace` is the shortest time between two messages to one destination, from
    the end of one post to the beginning of the next; `edit_pace` that between two edits, whatever messages they are of.
    Where it cannot look up (`can_find`), a lost answer is treated as the settings say of what nobody can look up; where
    it cannot edit, no message is kept true; where it has no threads, every message stands in the channel itself.
    """

    name: str = "the notifier"
    pace: timedelta = timedelta(0)
    edit_pace: timedelta = timedelta(0)
    can_find: bool = True
    can_edit: bool = True
    can_thread: bool = True


class Notifier(Protocol):
    """Who gets told. Thread-safe. Every method raises DeliveryError.

    `in_time` is asked at the last moment before a request is written: where it says no, nothing is, and the outcome
    is RETRY. A process that stood still must not do what another may have done meanwhile.
    """

    @property
    def limits(self) -> Limits:
        """How it is called, and what it can take; always the same."""
        ...

    def send(self, message: Message, in_time: Callable[[], bool] = always) -> Receipt:
        """Post once; never re-sent by anything below this call."""
        ...

    def find(self, message: Message, since: datetime) -> Receipt | None:
        """Look for a post of ours that carries `message.key`, made at `since` or later. None: there is none now."""
        ...

    def edit(self, message: Message, receipt: Receipt, in_time: Callable[[], bool] = always) -> None:
        """Replace what a post shows."""
        ...

    def probe(self) -> None:
        """Do nothing where the token is good; raise DeliveryError while it is not, or cannot be asked about."""
        ...

    def fingerprint(self, message: Message) -> str:
        """What the message shows, condensed: equal where an edit would change nothing. Ages do not count; no I/O."""
        ...


class Store(Protocol):
    """Where memory lives. Thread-safe; every method is one transaction of its own and may raise StoreError."""

    def under(self, duty: Duty) -> Store:
        """The same store, where `update`, `learn`, `describe` write only while the duty is held; else raise Relieved.

        It is held while it has this very token and its worker's lease lasts, by the clock of the database; whoever
        would take it over waits for a transaction that has begun.
        """
        ...

    def update(self, queue: Queue, keys: Collection[UUID], decide: Callable[[Memory], Plan], now: datetime) -> Plan:
        """Read, decide and write in one transaction; the plan that was written.

        `decide` gets the queue's open reviews and the closed ones with a `queue_run_id` in `keys`. It may be called
        again where the database asks for it, so it must be pure. Its reviews are written (a key that exists is
        replaced), its notices become pending deliveries due at once; one whose key exists is not owed again. A plan's
        `listing`, where it names one, is what `decide` gets the next time.
        Every message that may be posted (sending, unknown, sent) and speaks of a written review is owed an edit at
        `max(now, edited_at + EDIT_EVERY, lease_until)`, unless its `edit_until` has passed.
        """
        ...

    def polled(self, polls: Iterable[Polled]) -> Mapping[UUID, int]:
        """Remember how polls stand, for `status`. `baselined_at` and an unknown `completed_at` are left alone.

        Gives the revision of every queue that was written. It rises by one with each act on a queue's reviews from
        outside `update`: `learn` and `describe` where anything was news, and `retry`.
        """
        ...

    def learn(self, queue_id: UUID, left: Mapping[UUID, Left], now: datetime) -> bool:
        """Remember how closed reviews left; owes edits as `update` does. Whether any of it was news."""
        ...

    def unexplained(self, queue_id: UUID, now: datetime, most: int) -> Sequence[UUID]:
        """Runs of which nothing was learned since they left, and which a message shows that is kept true.

        Shows: lists, or may come to list as long as it is not known to be posted. A run that is back is none of them.
        The last that left come first, `most` at the most.
        """
        ...

    def describe(self, queue_id: UUID, facts: Mapping[UUID, Facts], now: datetime) -> bool:
        """Remember what was learned of open reviews; owes edits as `update` does. Whether any of it was news."""
        ...

    def undescribed(self, queue_id: UUID, now: datetime, most: int) -> Mapping[UUID, Facts]:
        """What is known of runs that wait without a name and that a message lists, or will; the oldest `most`."""
        ...

    def claim(
        self, now: datetime, lease: timedelta, skip: Collection[str] = (), unposted: Collection[str] = ()
    ) -> Claim | None:
        """Take the delivery that is due longest, outside the channels of `skip`; None where there is none.

        In the channels of `unposted` ("*": in all of them) nothing is taken but what has to be looked up.

        Due are pending, unknown and held ones whose `due_at` and `held_until` have come, and sending ones whose lease
        has lapsed: nobody knows whether those were posted, so they come back as unknown. The row becomes sending with
        `lease_until = now + lease`; the claim's delivery keeps the state that it was found in (unknown or pending).
        `core.outbox.choose` says what a pending one takes over, withdraws and leaves out. It gets `now` as its
        `attempted_at` where it has none: from here on nobody knows. Before that it is surely not posted.
        """
        ...

    def unclaim(self, claimed_at: datetime, lease: timedelta) -> int:
        """Give back what `claim` or `claim_edit` took at exactly that time, though its caller never heard; how much.

        So nothing was sent: a pending delivery without an attempt is one again, others have to be looked up.
        """
        ...

    def outbox(self) -> Sequence[Claim]:
        """Every live delivery in the order in which they were owed, with its reviews as now; nothing is claimed."""
        ...

    def lapse(self, now: datetime, look_at: datetime) -> int:
        """End every lease at once, for a process that is alone; how many there were.

        What was being sent becomes unknown and is due at `look_at`. An edit that was under way is free again, and one
        that waited for a lease alone is due as if there had been none.
        """
        ...

    def settle(
        self,
        after: Delivery,
        claimed: Delivery,
        *,
        shown: Sequence[ReviewKey] = (),
        left_out: Collection[ReviewKey] = (),
    ) -> bool:
        """Write what became of a claimed delivery; False, and nothing written, where the lease is not ours any more.

        Ends the lease. `shown` are the reviews that the message lists, in its order; `left_out` those that it no
        longer speaks of. `edit_at` is left as `update` may have set it. A reminder that is sent becomes the
        `successor` of earlier sent reminders of the same queue and channel, where it speaks of every run of theirs
        that still waits (and one does): they are owed an edit.
        """
        ...

    def claim_edit(self, now: datetime, lease: timedelta, skip: Collection[str] = ()) -> Claim | None:
        """Take the sent delivery whose edit is owed longest and whose lease, if any, has lapsed.

        A message that is not kept true any more (`edit_until` None) is owed none. The claim's delivery keeps its
        `digest`, the row loses it until the edit is settled: should the process be gone in between, nobody knows what
        the message shows.
        """
        ...

    def settle_edit(self, after: Delivery, claimed: Delivery) -> bool:
        """Write what became of an edit; False where the lease is not ours any more.

        `after.edit_at` (None: nothing owed) is written only where no newer edit was owed meanwhile; one that was is
        still not made sooner than `edited_at + EDIT_EVERY`.
        """
        ...

    def owe(self, delivery: Delivery) -> bool:
        """Add a delivery that speaks of no run (`ops`); False where its key is owed already."""
        ...

    def retry(self, key: UUID, now: datetime) -> bool:
        """Put a dead or held delivery back to pending, due now, attempts forgotten; False for any other key."""
        ...

    def pauses(self) -> Sequence[Pause]:
        """Every destination that is paused."""
        ...

    def pause(self, pause: Pause) -> Pause:
        """Pause a destination: its pending deliveries, and those owed to it meanwhile, are held until then.

        Gives the pause as it stands: one that there was already keeps its `since`.
        """
        ...

    def resume(self, channel: str) -> None:
        """End a pause: what it held is pending again, due when it was (not what waits for an operator)."""
        ...

    def rest(self, now: datetime, until: datetime) -> None:
        """Let none of several workers claim anything to post before `until`; look-ups go on. Nothing for one alone."""
        ...

    def next_due_at(self) -> datetime | None:
        """When the next live delivery or edit is due; None where nothing is owed but what waits for an operator."""
        ...

    def polls(self) -> Sequence[Polled]:
        """How the polls of every queue ever seen stand."""
        ...

    def standing(self, queue_id: UUID, stale_before: datetime | None) -> Standing:
        """Count one queue's open reviews and live or dead deliveries; stale are those with `since <= stale_before`."""
        ...

    def backlog(self) -> Sequence[Backlog]:
        """How many deliveries are live (pending, sending, unknown, held) or dead, for each such state that occurs."""
        ...

    def deliveries(self, state: State | None = None, limit: int = 100) -> Sequence[Delivery]:
        """The outbox, newest first."""
        ...

    def stories(self, queue_run_id: UUID) -> Sequence[Story]:
        """Every stay of a queue run, oldest first; empty where it was never seen."""
        ...

    def recall(self, name: str) -> str | None:
        """A small value that an adapter asked to remember."""
        ...

    def remember(self, name: str, value: str) -> None:
        """Keep a small value over restarts."""
        ...

    def note(self, process: Process) -> None:
        """Remember a process that works here as it stands now, in place of what was remembered of it."""
        ...

    def processes(self) -> Sequence[Process]:
        """The processes that work here, or did so last; the newest first."""
        ...

    def prune(self, *, settled_before: datetime, closed_before: datetime) -> int:
        """Forget settled deliveries and closed reviews older than that, in small transactions; how many rows went.

        A review that a kept delivery speaks of stays; so does a delivery that was kept true by edits since
        `settled_before`.
        """
        ...

    def maintain(self) -> None:
        """Give free space back, where the database does not do so by itself. Cheap where there is nothing to do."""
        ...


class Duties(Protocol):
    """Who of several workers does what, kept in the database they share. Every method may raise StoreError.

    A worker lives while it renews its lease; by the clock of the database alone. Of the queues each takes its even
    share, of the tasks whatever is free, and it gives back what it has too many of.
    """

    def turn(self, queues: Collection[UUID]) -> Turn:
        """Renew our lease and take what is ours to do of the `queues` that are polled and of every Task."""
        ...

    def leave(self) -> None:
        """Give everything back at once, and be no worker any more."""
        ...


class Shift(Protocol):
    """What this worker has to do at present. Thread-safe, and but for `renew` and `leave` without the database."""

    @property
    def is_shared(self) -> bool:
        """Whether there may be other workers beside this one."""
        ...

    @property
    def worker_id(self) -> UUID:
        """What tells this process from every other."""
        ...

    def of(self, queue_id: UUID) -> Duty | None:
        """The duty under which a queue is polled, None for a worker that is alone. Raises Relieved: it is not ours."""
        ...

    def has(self, task: Task) -> bool:
        """Whether a task is ours."""
        ...

    def among(self, queue_ids: Collection[UUID]) -> set[UUID]:
        """Those of the queues that are ours to poll."""
        ...

    def renew(self, queue_ids: Collection[UUID]) -> None:
        """Go on, where that is due, and share these queues, and every task, with the others. Raises StoreError."""
        ...

    def leave(self) -> None:
        """Give everything back, so that others go on at once. Raises StoreError."""
        ...
