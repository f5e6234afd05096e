"""The store on SQLite and PostgreSQL: each method one transaction, by the contract of `worker.core.store_roles`."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, TypeVar

import sqlalchemy as sa

from worker.core.directory import introduced
from worker.core.history import PLAINLY
from worker.core.model import Kind, Memory
from worker.core.owed import State
from worker.core.store_roles import never_stale
from worker.stores import (
    acts,
    assignments,
    budgets,
    claims,
    decisions,
    direct_inboxes,
    edits,
    history,
    outbox,
    people,
    reviews,
    taking_back,
    upkeep,
)
from worker.stores.assignments import Member, SqlAssignments, assignment_holders, server_time

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
    from datetime import datetime, timedelta
    from uuid import UUID

    from sqlalchemy.engine import Connection

    from worker.core.actions import Acted, Action, Record, Subject
    from worker.core.audience import Problem
    from worker.core.direct import Desk, DirectPlan
    from worker.core.directory import Card
    from worker.core.history import Hours, Measure
    from worker.core.leases import Assignment
    from worker.core.model import Facts, Fate, Id, Polled, Queue, QueueTotals, Review, Reviewer, ReviewKey
    from worker.core.overview import Process
    from worker.core.owed import Backlog, Claim, Delivery, Destination, Pause, Story
    from worker.core.plan import Plan
    from worker.core.ports import Clock
    from worker.stores.database import Database

_T = TypeVar("_T")


class SqlStore:
    """Memory in an SQL database. Thread-safe. Opened by `worker.stores.opening.open_store`."""

    def __init__(
        self,
        database: Database,
        maintain: Callable[[], None],
        *,
        member: Member | None = None,
        assignment: Assignment | None = None,
    ) -> None:
        self._database = database
        self._maintain = maintain
        self._member = member
        self._assignment = assignment

    def join(self, member: Member) -> tuple[SqlStore, SqlAssignments]:
        """This store as one of several workers uses it, and the assignments of them all. PostgreSQL alone."""
        return SqlStore(self._database, self._maintain, member=member), SqlAssignments(self._database, member)

    def under(self, assignment: Assignment) -> SqlStore:
        """See `Store.under`."""
        return SqlStore(self._database, self._maintain, member=self._member, assignment=assignment)

    def _hold(self, connection: Connection) -> None:
        """Make sure of the assignment that this store writes under, where there is one."""
        if self._member is not None and self._assignment is not None:
            self._member.hold(connection, self._assignment)

    def update(
        self, queue: Queue, keys: Collection[Id], decide: Callable[[Memory], Plan], now: datetime, *, whole: bool = True
    ) -> Plan:
        """See `Store.update`."""

        def work(connection: Connection) -> Plan:
            # First of all: a worker that has lost the queue neither waits for its row nor plans in vain.
            self._hold(connection)
            return decisions.decide_on_queue(connection, queue, keys, decide, now, whole=whole)

        return self._database.write(work)

    def act(self, action: Action, decide: Callable[[Subject], Acted], now: datetime) -> Acted:
        """See `Store.act`."""
        return self._database.write(lambda connection: acts.act(connection, action, decide, now))

    def records(self, most: int) -> Sequence[Record]:
        """See `Store.records`."""
        return self._database.read(lambda connection: acts.records(connection, most))

    def first_heard(self, envelope_id: str, now: datetime) -> bool:
        """See `Store.first_heard`."""
        return self._database.write(lambda connection: acts.first_heard(connection, envelope_id, now))

    def polled(
        self, polls: Iterable[Polled], stale_before: Callable[[Queue, datetime], datetime | None] = never_stale
    ) -> Mapping[Id, int]:
        """See `Store.polled`."""
        # In one order everywhere, so that two workers never wait for each other in a circle.
        every = sorted(polls, key=lambda polled: str(polled.queue.queue_id))

        def work(connection: Connection) -> Mapping[Id, int]:
            ids = [polled.queue.queue_id for polled in every]
            ours = set(ids) if self._member is None else self._member.hold_queues(connection, ids)
            mine = [polled for polled in every if polled.queue.queue_id in ours]
            return reviews.note_every_poll(connection, mine, stale_before)

        return self._database.write(work)

    def learn(self, queue_id: Id, left: Mapping[Id, Fate], now: datetime, measure: Measure = PLAINLY) -> bool:
        """See `Store.learn`."""

        def work(connection: Connection) -> bool:
            self._hold(connection)
            if reviews.hold_queue(connection, queue_id) is None:
                return False
            news, tally = reviews.learn_fates(connection, queue_id, left, measure)
            history.add_hours(connection, queue_id, tally)
            return edits.reviews_altered(connection, queue_id, news, now)

        return self._database.write(work)

    def describe(self, queue_id: Id, facts: Mapping[Id, Facts], now: datetime) -> bool:
        """See `Store.describe`."""

        def work(connection: Connection) -> bool:
            self._hold(connection)
            if reviews.hold_queue(connection, queue_id) is None:
                return False
            news = reviews.describe_reviews(connection, queue_id, facts)
            return edits.reviews_altered(connection, queue_id, news, now)

        return self._database.write(work)

    def undescribed(self, queue_id: Id, now: datetime, most: int) -> Mapping[Id, Facts]:
        """See `Store.undescribed`."""
        return self._database.read(lambda connection: edits.nameless_runs(connection, queue_id, now, most))

    def unexplained(self, queue_id: Id, now: datetime, most: int) -> Sequence[Id]:
        """See `Store.unexplained`."""
        return self._database.read(lambda connection: edits.unexplained(connection, queue_id, now, most))

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
        """See `Store.claim`."""
        take = partial(
            claims.claim_delivery,
            now=now,
            lease=lease,
            skip=skip,
            unposted=unposted,
            unseen=unseen,
            looks=looks,
            member=self._member,
        )
        while True:
            try:
                return self._database.write(take)
            # Its row is made in a transaction of its own, and committed before anybody else can wait for it.
            except assignments.UnknownChannelError as error:
                self._database.write(partial(assignments.know_channel, destination=error.destination, now=now))

    def outbox(self) -> Sequence[Claim]:
        """See `Store.outbox`."""
        return self._database.read(claims.live_deliveries)

    def unclaim(self, claimed_at: datetime, lease: timedelta) -> int:
        """See `Store.unclaim`."""
        return self._database.write(lambda connection: edits.unclaim(connection, claimed_at, lease))

    def lapse(self, now: datetime, look_at: datetime) -> int:
        """See `Store.lapse`."""
        return self._database.write(lambda connection: edits.lapse(connection, now, look_at))

    def settle(
        self,
        after: Delivery,
        claimed: Delivery,
        *,
        shown: Sequence[ReviewKey] = (),
        left_out: Collection[ReviewKey] = (),
    ) -> bool:
        """See `Store.settle`."""
        is_taken_back = after.kind not in {Kind.DIRECT, Kind.OPS} and (left_out or after.state is State.WITHDRAWN)

        def work(connection: Connection) -> bool:
            # The queues before the delivery, as a poll does: else each could wait for what the other holds.
            queues = taking_back.hold_queues_of(connection, after.key) if is_taken_back else ()
            number = outbox.settle_delivery(connection, after, claimed)
            if number is None:  # the lease was lost: the outcome is for the worker that has it now to write
                return False
            if is_taken_back:
                taking_back.take_back(connection, number, after, queues, left_out)
            outbox.mark_reviews(connection, number, shown=shown, left_out=left_out)
            # Only looking for a post took nothing of the channel's pace, so it has nothing to give back.
            if self._member and claimed.state is not State.UNKNOWN and claimed.lease_until:
                self._member.has_posted(connection, claimed.destination, claimed.lease_until)
            if after.state is State.SENT:
                edits.supersede(connection, number, after)
            if after.kind is Kind.DIRECT and after.state in {State.SENT, State.WITHDRAWN}:
                direct_inboxes.take_back(connection, number, after)
            return True

        return self._database.write(work)

    def waiting(self, queue_id: Id, *, taken: bool = False) -> Sequence[Review]:
        """See `Store.waiting`."""
        return self._database.read(lambda connection: acts.waiting(connection, queue_id, taken=taken))

    def mutes(self) -> Mapping[Id, datetime]:
        """See `Store.mutes`."""
        return self._database.read(acts.mutes)

    def claim_edit(self, now: datetime, lease: timedelta, skip: Collection[Destination] = ()) -> Claim | None:
        """See `Store.claim_edit`. Asked every second, so the writers are left alone where nothing is owed."""
        if not self._database.read(lambda connection: edits.is_due(connection, now)):
            return None
        return self._database.write(lambda connection: edits.claim_edit(connection, now, lease, skip))

    def settle_edit(self, after: Delivery, claimed: Delivery) -> bool:
        """See `Store.settle_edit`."""
        return self._database.write(lambda connection: edits.settle_edit(connection, after, claimed))

    def owe(self, delivery: Delivery) -> bool:
        """See `Store.owe`."""
        return self._database.write(lambda connection: outbox.owe_delivery(connection, delivery))

    def retry(self, key: UUID, now: datetime) -> bool:
        """See `Store.retry`."""
        return self._database.write(lambda connection: outbox.retry_delivery(connection, key, now))

    def pauses(self) -> Sequence[Pause]:
        """See `Store.pauses`."""
        return self._database.read(outbox.every_pause)

    def pause(self, pause: Pause) -> Pause:
        """See `Store.pause`."""
        return self._database.write(lambda connection: outbox.pause_channel(connection, pause))

    def resume(self, destination: Destination) -> None:
        """See `Store.resume`."""
        self._database.write(lambda connection: outbox.resume_channel(connection, destination))

    def rest(self, now: datetime, until: datetime) -> None:
        """See `Store.rest`."""
        if self._member is not None:
            self._database.write(lambda connection: assignments.rest_everywhere(connection, now, until))

    def next_due_at(self) -> datetime | None:
        """See `Store.next_due_at`."""
        return self._database.read(outbox.next_due_at)

    def polls(self) -> Sequence[Polled]:
        """See `Store.polls`."""
        return self._database.read(reviews.every_poll)

    def standing(
        self, queue_id: Id, stale_before: datetime | None, expiring_before: datetime | None = None
    ) -> QueueTotals:
        """See `Store.standing`."""
        return self._database.read(
            lambda connection: reviews.queue_standing(connection, queue_id, stale_before, expiring_before)
        )

    def hours(self, since: datetime, until: datetime, queue_id: Id | None = None) -> Mapping[Id, Hours]:
        """See `Store.hours`."""
        return self._database.read(lambda connection: history.every_hour(connection, since, until, queue_id))

    def newer_days(self) -> int:
        """See `Store.newer_days`."""
        return self._database.read(history.newer_days)

    def assigned(self) -> Mapping[str, str]:
        """Which worker, by its name, has which assignment, by its name; empty with SQLite."""
        if self._database.engine.dialect.name != "postgresql":
            return {}
        return self._database.read(assignment_holders)

    def note(self, process: Process) -> None:
        """See `Store.note`."""
        self._database.write(lambda connection: upkeep.note_process(connection, process))

    def processes(self) -> Sequence[Process]:
        """See `Store.processes`."""
        return self._database.read(upkeep.every_process)

    def alive(self) -> set[UUID]:
        """Which workers live, by their ids, by their leases; empty with SQLite."""
        if self._database.engine.dialect.name != "postgresql":
            return set()
        return self._database.read(lambda connection: upkeep.living_workers(connection, server_time))

    def now(self, machine: Clock) -> datetime:
        """The time by which whoever uses this database goes: PostgreSQL's own, for SQLite the machine's."""
        if self._database.engine.dialect.name != "postgresql":
            return machine.now()
        asked = sa.select(server_time())
        now: datetime = self._database.read(lambda connection: connection.execute(asked).scalar_one())
        return now

    def backlog(self) -> Sequence[Backlog]:
        """See `Store.backlog`."""
        return self._database.read(outbox.backlog)

    def deliveries(self, state: State | None = None, limit: int = 100) -> Sequence[Delivery]:
        """See `Store.deliveries`."""
        return self._database.read(lambda connection: outbox.newest(connection, state, limit))

    def stirred(self, queue_ids: Collection[Id]) -> object:
        """See `Store.stirred`."""
        return self._database.read(lambda connection: direct_inboxes.stirred(connection, queue_ids))

    def direct(
        self,
        queue_ids: Collection[Id],
        decide: Callable[[Desk], DirectPlan],
        now: datetime,
        *,
        owners: Collection[Id] = (),
    ) -> DirectPlan:
        """See `Store.direct`."""
        return self._database.write(
            lambda connection: direct_inboxes.direct(connection, queue_ids, decide, now, owners)
        )

    def spend(
        self,
        key: UUID,
        since: Mapping[str, datetime],
        most: int,
        now: datetime,
        passed: Callable[[Sequence[str]], Collection[ReviewKey]] = lambda _called: (),
    ) -> Sequence[str]:
        """See `Store.spend`."""
        return self._database.write(lambda connection: budgets.spend(connection, key, since, most, now, passed))

    def spent(self, since: Mapping[str, datetime], but: UUID) -> Mapping[str, int]:
        """See `Store.spent`."""
        return self._database.read(lambda connection: budgets.pings_since(connection, since, but))

    def stories(self, queue_run_id: Id) -> Sequence[Story]:
        """See `Store.stories`."""
        return self._database.read(lambda connection: outbox.stories(connection, queue_run_id))

    def search(self, find: Callable[[Connection], _T]) -> _T:
        """What a function that reads the tables finds, such as `reviews.by_ids`."""
        return self._database.read(find)

    def recall(self, name: str) -> str | None:
        """See `Store.recall`."""
        return self._database.read(lambda connection: upkeep.recall_note(connection, name))

    def remember(self, name: str, value: str) -> None:
        """See `Store.remember`."""
        self._database.write(lambda connection: upkeep.remember_note(connection, name, value))

    def prune(self, *, settled_before: datetime, closed_before: datetime, hours_before: datetime | None = None) -> int:
        """See `Store.prune`."""
        if hours_before is not None:
            self._database.write(lambda connection: history.prune_hours(connection, hours_before))
        return (
            self._database.write_in_steps(lambda connection: upkeep.prune_deliveries(connection, settled_before))
            + self._database.write_in_steps(lambda connection: upkeep.prune_reviews(connection, closed_before))
            + self._database.write_in_steps(lambda connection: acts.prune_acts(connection, closed_before))
        )

    def reshow(self, now: datetime) -> int:
        """See `Store.reshow`."""
        return self._database.write(lambda connection: edits.reshow(connection, now))

    def cards(self) -> Sequence[Card]:
        """See `Store.cards`."""
        return self._database.read(people.every_card)

    def introduce(self, reviewers: Collection[Reviewer], now: datetime) -> int:
        """See `Store.introduce`. Asked every minute, so the writers are left alone where nothing is new."""
        known = {card.reviewer_id: card for card in self.cards()}
        if not introduced(known, reviewers, now):
            return 0
        return self._database.write(lambda connection: people.introduce_reviewers(connection, reviewers, now))

    def answer(self, card: Card) -> bool:
        """See `Store.answer`."""
        return self._database.write(lambda connection: people.note_answer(connection, card))

    def refuse(self, user: str, problem: Problem, now: datetime) -> bool:
        """See `Store.refuse`."""
        return self._database.write(lambda connection: people.note_refusal(connection, user, problem, now))

    def strangers(self) -> Collection[str]:
        """See `Store.strangers`."""
        return self._database.read(people.named_strangers)

    def forget(self, whom: str, now: datetime) -> int:
        """See `Store.forget`."""
        return self._database.write(lambda connection: acts.forget_everything(connection, whom, now))

    def readmit(self, ids: Collection[str]) -> None:
        """See `Store.readmit`."""
        self._database.write(lambda connection: people.readmit_people(connection, ids))

    def copy_to(self, target: SqlStore) -> Mapping[str, int]:
        """Copy every row to an empty store on PostgreSQL, in one transaction; how many of each table."""
        return self._database.read(
            lambda source: target._database.write(lambda connection: upkeep.copy_every_table(source, connection))
        )

    def ping(self) -> None:
        """Make sure that the database answers; StoreError where it does not."""
        self._database.read(lambda connection: connection.execute(sa.text("SELECT 1")).scalar_one())

    def is_exposed(self) -> bool:
        """Whether what is said to the database crosses a network without TLS."""
        if self._database.engine.dialect.name != "postgresql":
            return False
        from worker.stores import postgres  # noqa: PLC0415  most never need its driver, and a start should be quick

        return self._database.read(postgres.is_exposed)

    def maintain(self) -> None:
        """Give free space back to the disk and keep the write-ahead log short; PostgreSQL does so by itself."""
        self._maintain()

    def close(self) -> None:
        """Close every connection."""
        self._database.engine.dispose()
