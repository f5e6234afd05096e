"""The roles of the store: what loops ask of memory, each role small. Pure.

Thread-safe; every method is one transaction of its own and may raise StoreError.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
    from datetime import datetime, timedelta
    from uuid import UUID

    from worker.core.leases import Assignment, Renewal
    from worker.core.model import Facts, Fate, Id, Memory, Polled, Queue, QueueTotals, ReviewKey
    from worker.core.owed import Backlog, Claim, Delivery, Pause, State, Story
    from worker.core.plan import Plan
    from worker.core.status.process import Process


class Reviews(Protocol):
    """What is remembered of runs in queues, and the one place where a decision is written."""

    def under(self, assignment: Assignment) -> Reviews:
        """The same store, where `update`, `learn`, `describe` write only while the assignment is held, else Fenced.

        It is held while it has this very token and its worker's lease lasts, by the clock of the database; whoever
        would take it over waits for a transaction that has begun.
        """
        ...

    def update(self, queue: Queue, keys: Collection[Id], decide: Callable[[Memory], Plan], now: datetime) -> Plan:
        """Read, decide and write in one transaction; the plan that was written.

        `decide` gets the queue's open reviews and the closed ones with a `queue_run_id` in `keys`. It may be called
        again where the database asks for it, so it must be pure. Its reviews are written (a key that exists is
        replaced), its notices become pending deliveries due at once; one whose key exists is not owed again. A plan's
        `listing`, where it names one, is what `decide` gets the next time.
        Every message that may be posted (sending, unknown, sent) and speaks of a written review is owed an edit at
        `max(now, edited_at + EDIT_EVERY, lease_until)`, unless its `edit_until` has passed.
        """
        ...

    def learn(self, queue_id: Id, left: Mapping[Id, Fate], now: datetime) -> bool:
        """Remember how closed reviews left; owes edits as `update` does. Whether any of it was news."""
        ...

    def unexplained(self, queue_id: Id, now: datetime, most: int) -> Sequence[Id]:
        """Runs of which nothing was learned since they left, and which a message shows that is kept true.

        Shows: lists, or may come to list as long as it is not known to be posted. A run that is back is none of them.
        The last that left come first, `most` at the most.
        """
        ...

    def describe(self, queue_id: Id, facts: Mapping[Id, Facts], now: datetime) -> bool:
        """Remember what was learned of open reviews; owes edits as `update` does. Whether any of it was news."""
        ...

    def undescribed(self, queue_id: Id, now: datetime, most: int) -> Mapping[Id, Facts]:
        """What is known of runs that wait without a name and that a message lists, or will; the oldest `most`."""
        ...


class Outbox(Protocol):
    """What is owed: added, claimed, and settled or given back."""

    def owe(self, delivery: Delivery) -> bool:
        """Add a delivery that speaks of no run (`ops`); False where its key is owed already."""
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

    def unclaim(self, claimed_at: datetime, lease: timedelta) -> int:
        """Give back what `claim` or `claim_edit` took at exactly that time, though its caller never heard; how much.

        So nothing was sent: a pending delivery without an attempt is one again, others have to be looked up.
        """
        ...

    def lapse(self, now: datetime, look_at: datetime) -> int:
        """End every lease at once, for a process that is alone; how many there were.

        What was being sent becomes unknown and is due at `look_at`. An edit that was under way is free again, and one
        that waited for a lease alone is due as if there had been none.
        """
        ...

    def next_due_at(self) -> datetime | None:
        """When the next live delivery or edit is due; None where nothing is owed but what waits for an operator."""
        ...


class Channels(Protocol):
    """Where messages go: which destinations are paused, how soon each is free, and how much waits."""

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

    def backlog(self) -> Sequence[Backlog]:
        """How many deliveries are live (pending, sending, unknown, held) or dead, for each such state that occurs."""
        ...


class Polls(Protocol):
    """How the polls of queues stand, and what waits in them."""

    def polled(self, polls: Iterable[Polled]) -> Mapping[Id, int]:
        """Remember how polls stand, for `status`. `baselined_at` and an unknown `completed_at` are left alone.

        Gives the revision of every queue that was written. It rises by one with each act on a queue's reviews from
        outside `update`: `learn` and `describe` where anything was news, and `retry`.
        """
        ...

    def polls(self) -> Sequence[Polled]:
        """How the polls of every queue ever seen stand."""
        ...

    def standing(self, queue_id: Id, stale_before: datetime | None) -> QueueTotals:
        """Count one queue's open reviews and live or dead deliveries; stale are those with `since <= stale_before`."""
        ...


class Deliveries(Protocol):
    """What is owed and what was posted, for people and for a dry run; and a second chance."""

    def outbox(self) -> Sequence[Claim]:
        """Every live delivery in the order in which they were owed, with its reviews as now; nothing is claimed."""
        ...

    def deliveries(self, state: State | None = None, limit: int = 100) -> Sequence[Delivery]:
        """The outbox, newest first."""
        ...

    def stories(self, queue_run_id: Id) -> Sequence[Story]:
        """Every stay of a queue run, oldest first; empty where it was never seen."""
        ...

    def retry(self, key: UUID, now: datetime) -> bool:
        """Put a dead or held delivery back to pending, due now, attempts forgotten; False for any other key."""
        ...


class Notes(Protocol):
    """Small values that are kept over restarts."""

    def recall(self, name: str) -> str | None:
        """A small value that an adapter asked to remember."""
        ...

    def remember(self, name: str, value: str) -> None:
        """Keep a small value over restarts."""
        ...


class Processes(Protocol):
    """Who works, or did so last, for `status` in another process."""

    def note(self, process: Process) -> None:
        """Remember a process that works here as it stands now, in place of what was remembered of it."""
        ...

    def processes(self) -> Sequence[Process]:
        """The processes that work here, or did so last; the newest first."""
        ...


class Upkeep(Protocol):
    """What keeps the database small."""

    def prune(self, *, settled_before: datetime, closed_before: datetime) -> int:
        """Forget settled deliveries and closed reviews older than that, in small transactions; how many rows went.

        A review that a kept delivery speaks of stays; so does a delivery that was kept true by edits since
        `settled_before`.
        """
        ...

    def maintain(self) -> None:
        """Give free space back, where the database does not do so by itself. Cheap where there is nothing to do."""
        ...


class Store(Reviews, Outbox, Channels, Polls, Deliveries, Notes, Processes, Upkeep, Protocol):
    """All roles at once: what the store on an SQL database is. A loop asks for the role that it uses."""


class AssignmentStore(Protocol):
    """Who of several workers does what, kept in the database they share. Every method may raise StoreError.

    A worker lives while it renews its lease; by the clock of the database alone. Of the queues each takes its even
    share, of the tasks whatever is free, and it gives back what it has too many of.
    """

    def renew(self, queues: Collection[Id]) -> Renewal:
        """Renew our lease and take what is ours to do of the `queues` that are polled and of every Task."""
        ...

    def leave(self) -> None:
        """Give everything back at once, and be no worker any more."""
        ...
