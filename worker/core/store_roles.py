"""The roles of the store: small sets of methods, so that a loop depends on what it uses. Pure.

Thread-safe; every method is one transaction of its own and may raise StoreError.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from worker.core.history import PLAINLY

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
    from datetime import datetime, timedelta
    from uuid import UUID

    from worker.core.actions import Acted, Action, Record, Subject
    from worker.core.audience import Problem
    from worker.core.direct import Desk, DirectPlan
    from worker.core.directory import Card
    from worker.core.history import Hours, Measure
    from worker.core.leases import Assignment
    from worker.core.model import Facts, Fate, Id, Memory, Polled, Queue, QueueTotals, Review, Reviewer, ReviewKey
    from worker.core.overview import Process
    from worker.core.owed import Backlog, Claim, Delivery, Destination, Pause, State, Story
    from worker.core.plan import Plan


def never_stale(_queue: Queue, _at: datetime) -> datetime | None:
    """Say that no run of any queue is ever stale."""
    return None


class Reviews(Protocol):
    """The memory of runs in queues, and the one place where a decision is written."""

    def under(self, assignment: Assignment) -> Reviews:
        """The same store, whose `update`, `learn` and `describe` raise Fenced unless the assignment is held.

        It is held while it has this very token and its worker's lease lasts, by the clock of the database. A worker
        that wants to take it over waits for a transaction that has begun.
        """
        ...

    def update(
        self, queue: Queue, keys: Collection[Id], decide: Callable[[Memory], Plan], now: datetime, *, whole: bool = True
    ) -> Plan:
        """Read, decide and write in one transaction; returns the plan that was written.

        `decide` gets the queue's open reviews and the closed ones with a `queue_run_id` in `keys`; where not the
        `whole` is asked for, of the open ones those in `keys` alone. It must be pure,
        because the database may ask for the transaction to be repeated. The plan's reviews are written (in place of
        those with the same key); its notices become pending deliveries due at once, unless their key is owed already.
        Its `listing`, where it names one, is the one that `decide` gets the next time. The hours of its
        `tally` are added to the queue's.
        Every message that may be posted (sending, unknown, sent) and speaks of a written review is owed an edit at
        `max(now, edit_held_until, lease_until)`, unless its `edit_until` has passed.
        """
        ...

    def learn(self, queue_id: Id, left: Mapping[Id, Fate], now: datetime, measure: Measure = PLAINLY) -> bool:
        """Remember the fates of closed reviews, and owe edits as `update` does; returns whether any of them was new.

        The hours in which they left are corrected; `measure` says how their waits were measured.
        """
        ...

    def unexplained(self, queue_id: Id, now: datetime, most: int) -> Sequence[Id]:
        """The runs without a known fate that left and that a message still kept true shows, at most `most`.

        A message shows the runs that it lists; one that may not be posted yet shows all that it may come to list. A run
        that is back is not among them. The last that left come first.
        """
        ...

    def describe(self, queue_id: Id, facts: Mapping[Id, Facts], now: datetime) -> bool:
        """Remember facts of open reviews, and owe edits as `update` does; returns whether any of them was new."""
        ...

    def undescribed(self, queue_id: Id, now: datetime, most: int) -> Mapping[Id, Facts]:
        """The known facts of runs that wait without a name and that a message lists, or will; the oldest `most`."""
        ...


class Acting(Protocol):
    """The acts of people, and the audit of them."""

    def act(self, action: Action, decide: Callable[[Subject], Acted], now: datetime) -> Acted:
        """Read, decide and write an act in one transaction; returns what `decide` made of it.

        `decide` gets the queue and, for an act on a run, its newest stay: the one that waits, else the last. It must be
        pure, because the database may ask for the transaction to be repeated. Of several acts on one queue the first
        wins, and the next sees what it has changed. Every act is noted, a refused one too, but for a press that was
        noted before: that is REPEATED. A change counts in the queue's revision, and every message that may be posted
        and speaks of the run is owed an edit now, past the debounce; one that is being made is followed by it.
        """
        ...

    def records(self, most: int) -> Sequence[Record]:
        """The audit, newest first, at most so many."""
        ...

    def waiting(self, queue_id: Id, *, taken: bool = False) -> Sequence[Review]:
        """A queue's open reviews, in any order; where `taken`, only those on which somebody has acted."""
        ...

    def mutes(self) -> Mapping[Id, datetime]:
        """When the last mute of each queue that ever had one ends, or has ended."""
        ...

    def first_heard(self, envelope_id: str, now: datetime) -> bool:
        """Note an envelope of the notifier's service; False where any worker has noted it within a day."""
        ...


class Outbox(Protocol):
    """The deliveries that are owed: added, claimed, and settled or given back."""

    def owe(self, delivery: Delivery) -> bool:
        """Add a delivery that speaks of no run (`ops`); returns False where its key is owed already."""
        ...

    def claim(
        self,
        now: datetime,
        lease: timedelta,
        skip: Collection[Destination] = (),
        unposted: Collection[Destination] = (),
        unseen: Collection[Destination] = (),
        *,
        looks: bool = True,
    ) -> Claim | None:
        """Take the delivery that has been due longest, outside the destinations of `skip`; None where there is none.

        For the destinations of `unposted` (EVERYWHERE: for all) only those that have to be looked up are taken, for
        those of `unseen` no baselines: another queue that goes there was not seen yet. Without `looks` none is taken
        that has to be looked up.

        Pending, unknown and held deliveries are due when their `due_at` and `held_until` have come. Sending ones are
        due when their lease has lapsed: they may or may not be posted, so they come back as unknown. The row becomes
        sending with `lease_until = now + lease`; the claim's delivery keeps the state that it was found in (unknown or
        pending). `core.outbox.choose` decides what a pending one takes over, withdraws and leaves out. Where it has no
        `attempted_at`, it gets `now`: up to here it is surely not posted, and from here on it may be.
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
        """Write the delivery after its claim and end the lease; False, and nothing written, where that is not ours.

        `shown` are the reviews that the message lists, in its order; `left_out` those that it no longer speaks of.
        `edit_at` stays as `update` may have set it meanwhile. A reminder that is sent becomes the `successor` of those
        earlier sent reminders of the same queue and destination that have runs which still wait, if it speaks of all
        these runs; the earlier ones are owed an edit.
        """
        ...

    def claim_edit(self, now: datetime, lease: timedelta, skip: Collection[Destination] = ()) -> Claim | None:
        """Take the sent delivery whose edit has been owed longest and whose lease, if any, has lapsed.

        A message that is not kept true any more (`edit_until` None) is owed no edit. The claim's delivery keeps its
        `digest`; the row loses it until the edit is settled, because after a crash in between it would not be known
        what the message shows.
        """
        ...

    def settle_edit(self, after: Delivery, claimed: Delivery) -> bool:
        """Write the delivery after an edit; False where the lease is not ours any more.

        `after.edit_at` (None: no edit is owed) is written only where no newer edit was owed meanwhile; a newer one is
        not made before `edit_held_until`.
        """
        ...

    def unclaim(self, claimed_at: datetime, lease: timedelta) -> int:
        """Give back what `claim` or `claim_edit` took at exactly that time without its caller hearing of it.

        Returns the number of deliveries. As nothing was sent, a pending one without an attempt is pending again; others
        have to be looked up.
        """
        ...

    def lapse(self, now: datetime, look_at: datetime) -> int:
        """End every lease at once, for a process that is alone; returns their number.

        A delivery that was being sent becomes unknown and is due at `look_at`. An edit that was under way is free
        again, and one that only waited for a lease is due as if there had been none.
        """
        ...

    def next_due_at(self) -> datetime | None:
        """The time at which the next live delivery or edit is due; None where at most an operator is waited for."""
        ...


class Channels(Protocol):
    """The destinations of messages: which are paused, and how many deliveries wait."""

    def pauses(self) -> Sequence[Pause]:
        """Every destination that is paused."""
        ...

    def pause(self, pause: Pause) -> Pause:
        """Pause a destination: its pending deliveries, and those owed to it meanwhile, are held until the pause ends.

        Returns the pause as it is now: a destination that was paused already keeps its `since`.
        """
        ...

    def resume(self, destination: Destination) -> None:
        """End a pause: the deliveries that it held are pending again, and due when they were due before."""
        ...

    def rest(self, now: datetime, until: datetime) -> None:
        """Keep all workers from claiming anything to post before `until`; look-ups go on. No effect on a single one."""
        ...

    def backlog(self) -> Sequence[Backlog]:
        """The numbers of deliveries in each live state (pending, sending, unknown, held) and of dead ones."""
        ...


class Polls(Protocol):
    """The state of the polls of queues, and the numbers of runs that wait in them."""

    def polled(
        self, polls: Iterable[Polled], stale_before: Callable[[Queue, datetime], datetime | None] = never_stale
    ) -> Mapping[Id, int]:
        """Remember the state of polls, for `status`. `baselined_at` and an unknown `completed_at` are left alone.

        The first complete poll of an hour that is noted marks the hour as seen, with what waits, and gives the hour
        before it what was overdue at its end: runs with `since <= stale_before(queue, end)`.

        Returns the revision of every queue that was written. It rises by one with each change of a queue's reviews
        outside `update`: `learn` and `describe` where anything was new, and `retry`.
        """
        ...

    def polls(self) -> Sequence[Polled]:
        """The state of the polls of every queue ever seen."""
        ...

    def standing(
        self, queue_id: Id, stale_before: datetime | None, expiring_before: datetime | None = None
    ) -> QueueTotals:
        """Count one queue's open reviews and live or dead deliveries; stale are those with `since <= stale_before`.

        Expiring are those with `expires_at <= expiring_before`.
        """
        ...


class History(Protocol):
    """What came, left and waited in each hour; the other roles write it with what they write anyway."""

    def hours(self, since: datetime, until: datetime, queue_id: Id | None = None) -> Mapping[Id, Hours]:
        """The hours that begin from the one that holds `since` on, and before `until`, of one queue or of every one.

        Queues and hours of which nothing is known are not among them; an hour that a newer program wrote is left out.
        """
        ...

    def newer_days(self) -> int:
        """How many days of queues a newer program wrote, which this one neither reads nor adds to."""
        ...


class Deliveries(Protocol):
    """All deliveries, owed and posted, for people and for a dry run; and a second chance for one that failed."""

    def outbox(self) -> Sequence[Claim]:
        """Every live delivery in the order in which they were owed, with its reviews as they are; claims nothing."""
        ...

    def deliveries(self, state: State | None = None, limit: int = 100) -> Sequence[Delivery]:
        """The outbox, newest first."""
        ...

    def stories(self, queue_run_id: Id) -> Sequence[Story]:
        """Every stay of a queue run, oldest first; empty where it was never seen."""
        ...

    def retry(self, key: UUID, now: datetime) -> bool:
        """Make a dead or held delivery pending again, due now and without attempts; False for any other key."""
        ...


class Inboxes(Protocol):
    """What each reader of direct messages has heard, and the message of each that is kept true at present."""

    def stirred(self, queue_ids: Collection[Id]) -> object:
        """A value that is another one once something has changed that direct messages follow from."""
        ...

    def direct(
        self,
        queue_ids: Collection[Id],
        decide: Callable[[Desk], DirectPlan],
        now: datetime,
        *,
        owners: Collection[Id] = (),
    ) -> DirectPlan:
        """Read, decide and write in one transaction; returns the plan that was written.

        `decide` gets the open reviews of these queues with what readers have heard of them; it must be pure, because
        the database may ask for the transaction to be repeated. The plan's notices become pending deliveries due at
        once, and the messages that are kept true of their readers. What has `entered` a message is shown by an edit of
        it, or from the first where it is not posted yet. No two looks are made at the same time. Of the queues in
        `owners` only the reviews are read of which an owner may hear: those that a channel was reminded of, and those
        that are passed on.
        """
        ...


class Budgets(Protocol):
    """How often messages call people: by a mention, or by being sent to one of them."""

    def spend(
        self,
        key: UUID,
        since: Mapping[str, datetime],
        most: int,
        now: datetime,
        passed: Callable[[Sequence[str]], Collection[ReviewKey]] = lambda _called: (),
    ) -> Sequence[str]:
        """Let a delivery call people at `now`; returns those, of `since`, who may be called once more.

        By these `passed`, which must be pure, says of which of its reviews the owner is to hear once it is posted.

        A person may be called by `most` deliveries since the instant that `since` gives. One that never came to a post
        does not count, one that may be posted does. A second call for the same delivery takes the place of the first.
        """
        ...

    def spent(self, since: Mapping[str, datetime], but: UUID) -> Mapping[str, int]:
        """How many deliveries have called each person since an instant, without the delivery `but`."""
        ...


class Notes(Protocol):
    """Small values that are kept over restarts."""

    def recall(self, name: str) -> str | None:
        """A small value that was remembered; None where there is none."""
        ...

    def remember(self, name: str, value: str) -> None:
        """Keep a small value over restarts."""
        ...


class Processes(Protocol):
    """The processes that work on this database, or did so last, for `status` in another process."""

    def note(self, process: Process) -> None:
        """Remember a process that works here as it is now, in place of its former state."""
        ...

    def processes(self) -> Sequence[Process]:
        """The processes that work here, or did so last; the newest first."""
        ...


class Upkeep(Protocol):
    """The work that keeps the database small, and all messages alike."""

    def prune(self, *, settled_before: datetime, closed_before: datetime, hours_before: datetime | None = None) -> int:
        """Forget settled deliveries and closed reviews older than that, in small transactions; returns the row count.

        The acts on a review go with it, those on a queue when they are as old. A review that a kept delivery speaks of
        stays, and so does a delivery that was edited since `settled_before`. Of the history the days go that ended
        before `hours_before` (None: none do).
        """
        ...

    def reshow(self, now: datetime) -> int:
        """Owe an edit, as `update` does, to every message that may be posted and is kept true; returns their number.

        For what changes in all messages at once. One that shows the same all the same costs no edit.
        """
        ...

    def maintain(self) -> None:
        """Give free space back, where the database does not do so by itself. Cheap where there is none."""
        ...


class People(Protocol):
    """The directory of reviewers: which user of the notifier stands for each, and what failed."""

    def cards(self) -> Sequence[Card]:
        """Every card, in the order of its ids."""
        ...

    def introduce(self, reviewers: Collection[Reviewer], now: datetime) -> int:
        """Make cards of reviewers who have none, due at once, and take over new names and e-mails of the others.

        Returns how many cards were written. Who is forgotten stays so.
        """
        ...

    def answer(self, card: Card) -> bool:
        """Write a card as a look-up left it; False where it was forgotten, or got another e-mail, meanwhile."""
        ...

    def refuse(self, user: str, problem: Problem, now: datetime) -> bool:
        """Remember until the next look-up why no message reaches a user; False where no card has the user."""
        ...

    def strangers(self) -> Collection[str]:
        """The ids of identities that open reviews name and that have no card."""
        ...

    def forget(self, whom: str, now: datetime) -> int:
        """Delete the name, e-mail and user of everybody with an e-mail; returns the number of their ids.

        Of each identity its id alone stays, so that no poll brings the rest back. What these people did is deleted too,
        from the audit and from the runs that they have taken. For a user's id in place of an e-mail only that is
        deleted: anybody may act, also those of whom nothing else is known.
        """
        ...

    def readmit(self, ids: Collection[str]) -> None:
        """Take back that these were forgotten: `introduce` makes their cards again."""
        ...


class Store(
    Reviews,
    Acting,
    Outbox,
    Channels,
    Polls,
    History,
    Deliveries,
    Inboxes,
    Budgets,
    Notes,
    Processes,
    Upkeep,
    People,
    Protocol,
):
    """All roles at once: what the store on an SQL database is. A loop asks for the role that it uses."""
