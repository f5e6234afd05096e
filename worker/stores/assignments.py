"""Which of several workers on one PostgreSQL does what, and how often they post to a channel together."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from msgspec import Struct

from worker.core.delivery import LEASE, OVER, START
from worker.core.instants import MICROSECOND
from worker.core.leases import SOON, TTL, Assignment, Living, Renewal, Task, assignment_name, tasks_for
from worker.core.owed import EVERYWHERE, State
from worker.core.ports import Fenced
from worker.stores.columns import At
from worker.stores.database import chunks, insert
from worker.stores.schema import ASSIGNMENTS, CHANNEL_PACES, DELIVERIES, WORKERS

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy.engine import Connection

    from worker.core.model import Id
    from worker.core.owed import Destination
    from worker.stores.database import Database

_LOOK_EVERY = 20
"""So many renewals, about a minute, and all assignments are looked through again, even where no worker came or went."""

TASKS = frozenset(str(task) for task in Task)

Instant = sa.ColumnElement[Any]


def server_time() -> Instant:
    """The time of the database itself, at this very statement."""
    # Not now(), which stands still from the beginning of a transaction that may have waited for a lock.
    since = sa.extract("epoch", sa.func.clock_timestamp())
    return sa.type_coerce(sa.cast(since * (timedelta(seconds=1) // MICROSECOND), sa.BigInteger), At)


class Member(Struct, frozen=True):
    """One of several workers, and the clock that they share; `pace` is how long a channel rests after a post."""

    worker_id: UUID
    name: str
    pace: timedelta
    instant: Callable[[], Instant] = server_time

    def posts_until(self, lease_until: datetime) -> datetime:
        """Until when a channel is this worker's to post to, by the lease of its claim: its request begins before."""
        return lease_until - LEASE + START + self.pace

    def has_posted(self, connection: Connection, destination: Destination, lease_until: datetime) -> None:
        """The channel's rest counts from now."""
        now = connection.execute(sa.select(self.instant())).scalar_one()
        free_channel(connection, destination, self.posts_until(lease_until), now + self.pace)

    def is_alive(self, connection: Connection) -> bool:
        """Whether its lease lasts."""
        mine = sa.select(sa.literal(1)).where(WORKERS.c.worker_id == self.worker_id, WORKERS.c.until > self.instant())
        return connection.execute(mine).first() is not None

    def hold(self, connection: Connection, assignment: Assignment) -> None:
        """Hold an assignment to the end of the transaction; Fenced where it is not this worker's any more."""
        query = (
            sa.select(ASSIGNMENTS.c.token)
            .join_from(ASSIGNMENTS, WORKERS, ASSIGNMENTS.c.worker_id == WORKERS.c.worker_id)
            .where(
                ASSIGNMENTS.c.name == assignment.name,
                ASSIGNMENTS.c.worker_id == assignment.worker_id,
                ASSIGNMENTS.c.token == assignment.token,
                WORKERS.c.until > self.instant(),
            )
            # Shared: this worker's own transactions go on side by side, and others that would take over skip the row.
            .with_for_update(read=True, of=ASSIGNMENTS)
        )
        if connection.execute(query).first() is None:
            raise Fenced

    def hold_queues(self, connection: Connection, queue_ids: Collection[Id]) -> set[Id]:
        """Hold those of the queues that are this worker's to poll; which."""
        if not self.is_alive(connection):
            return set()
        by_name = {assignment_name(queue_id): queue_id for queue_id in queue_ids}
        mine = sa.select(ASSIGNMENTS.c.name).where(ASSIGNMENTS.c.worker_id == self.worker_id).with_for_update(read=True)
        held = (mine.where(ASSIGNMENTS.c.name.in_(some)) for some in chunks(by_name))
        return {by_name[name] for query in held for name in connection.execute(query).scalars()}


class SqlAssignments:
    """The assignments in PostgreSQL. For one thread; each call is one short transaction, or three."""

    def __init__(self, database: Database, member: Member) -> None:
        self._database = database
        self._member = member
        self._assignments: dict[str, Assignment] = {}
        self._settled: object = None
        """What the last look through all assignments rested on, where nothing was left to do."""
        self._renewals = 0

    def renew(self, queues: Collection[Id]) -> Renewal:
        """See `AssignmentStore.renew`. While no worker comes or goes it is a renewal and nothing else."""
        wanted = frozenset(map(assignment_name, queues))
        lasted, living = self._database.write(self._renew)
        basis = (tuple(living.until), wanted)
        self._renewals += 1
        # While a lease had ended anything may have been taken by others, so the last look counts for nothing.
        complete = lasted and basis == self._settled and self._renewals < _LOOK_EVERY
        if not complete:
            self._assignments, complete = self._database.write(
                lambda connection: self._look(connection, wanted, living)
            )
            self._settled, self._renewals = basis if complete else None, 0
            self._database.write(self._hasten)
        again_in = living.again_in(self._member.worker_id) if complete else SOON
        return Renewal(self._assignments, living.now, len(living.until), again_in)

    def leave(self) -> None:
        """See `AssignmentStore.leave`. What a worker has goes with its row."""
        mine = WORKERS.c.worker_id == self._member.worker_id
        self._database.write(lambda connection: connection.execute(sa.delete(WORKERS).where(mine)))

    def _renew(self, connection: Connection) -> tuple[bool, Living]:
        """Put the end of our lease off; whether it had lasted until now, and who lives."""
        now = connection.execute(sa.select(self._member.instant())).scalar_one()
        me = self._member.worker_id
        mine = sa.update(WORKERS).where(WORKERS.c.worker_id == me, WORKERS.c.until > now).values(until=now + TTL)
        lasted = connection.execute(mine).rowcount == 1
        if not lasted:
            row = {"worker_id": me, "name": self._member.name, "started_at": now, "until": now + TTL}
            anew = insert(connection.dialect, WORKERS).values(row)
            connection.execute(anew.on_conflict_do_update(index_elements=["worker_id"], set_={"until": now + TTL}))
        living = (
            sa.select(WORKERS.c.worker_id, WORKERS.c.until)
            .where(WORKERS.c.until > now)
            .order_by(WORKERS.c.started_at, WORKERS.c.worker_id)
        )
        return lasted, Living(now, {row.worker_id: row.until for row in connection.execute(living)})

    def _look(
        self, connection: Connection, wanted: frozenset[str], living: Living
    ) -> tuple[dict[str, Assignment], bool]:
        """Give back what is too much, take what is free and ours; what we have, and whether all is as it should be."""
        # Rows that another transaction holds are passed over: no worker ever waits for one that stands still.
        _bury(connection, living.now)
        _know(connection, wanted | TASKS)
        rows = connection.execute(sa.select(ASSIGNMENTS.c.name, ASSIGNMENTS.c.worker_id, ASSIGNMENTS.c.token)).all()
        me = self._member.worker_id
        mine = {row.name: Assignment(row.name, me, row.token) for row in rows if row.worker_id == me}
        free = {row.name: row.token for row in rows if row.worker_id not in living.until}
        share = living.share(me, len(wanted))
        # In the order of their names, so that two looks give back the same ones.
        polled = sorted(mine.keys() & wanted)
        ours = tasks_for(mine, free, len(living.until))
        for name in self._give_back(connection, [*polled[share:], *sorted(mine.keys() - wanted - ours)]):
            del mine[name]
        tasks = free.keys() & ours
        mine |= self._take(connection, {name: free[name] for name in tasks}, len(tasks))
        queues = {name: free[name] for name in free.keys() & wanted}
        mine |= self._take(connection, queues, share - len(polled))
        return mine, len(mine.keys() - TASKS) == share and tasks <= mine.keys()

    def _give_back(self, connection: Connection, surplus: Sequence[str]) -> Sequence[str]:
        given: list[str] = []
        for some in chunks(surplus):
            mine = sa.select(ASSIGNMENTS.c.name).where(
                ASSIGNMENTS.c.name.in_(some), ASSIGNMENTS.c.worker_id == self._member.worker_id
            )
            names = connection.execute(mine.with_for_update(skip_locked=True)).scalars().all()
            connection.execute(sa.update(ASSIGNMENTS).where(ASSIGNMENTS.c.name.in_(names)).values(worker_id=None))
            given += names
        return given

    def _take(self, connection: Connection, free: Mapping[str, int], lack: int) -> dict[str, Assignment]:
        """Take so many assignments of those that were free under these tokens; none that has changed hands since."""
        me = self._member.worker_id
        taken: dict[str, Assignment] = {}
        for some in chunks(sorted(free.items())):
            if lack <= len(taken):
                break
            unchanged = sa.tuple_(ASSIGNMENTS.c.name, ASSIGNMENTS.c.token).in_(some)
            query = (
                sa.select(ASSIGNMENTS.c.name, ASSIGNMENTS.c.token)
                # Asked again: the worker that had it may have renewed its lease since `living` was read.
                .where(unchanged, ~self._lives(ASSIGNMENTS.c.worker_id))
                .order_by(ASSIGNMENTS.c.name)
                .limit(lack - len(taken))
                .with_for_update(skip_locked=True)
            )
            rows = connection.execute(query).all()
            taking = sa.update(ASSIGNMENTS).where(ASSIGNMENTS.c.name.in_([row.name for row in rows]))
            connection.execute(taking.values(worker_id=me, token=ASSIGNMENTS.c.token + 1))
            taken |= {row.name: Assignment(row.name, me, row.token + 1) for row in rows}
        return taken

    def _hasten(self, connection: Connection) -> None:
        """Let what the dead were sending be looked up as soon as no request of theirs can be under way any more."""
        theirs = (
            sa.select(DELIVERIES.c.delivery_id)
            .where(
                DELIVERIES.c.state == State.SENDING,
                DELIVERIES.c.worker_id.is_not(None),
                DELIVERIES.c.due_at == DELIVERIES.c.lease_until,
                ~self._lives(DELIVERIES.c.worker_id),
            )
            .with_for_update(skip_locked=True, of=DELIVERIES)
        )
        numbers = connection.execute(theirs).scalars().all()
        over = sa.type_coerce(DELIVERIES.c.lease_until, sa.BigInteger) - (LEASE - OVER) // MICROSECOND
        connection.execute(sa.update(DELIVERIES).where(DELIVERIES.c.delivery_id.in_(numbers)).values(due_at=over))

    def _lives(self, worker_id: sa.Column[Any]) -> sa.ColumnElement[bool]:
        its = sa.select(sa.literal(1)).where(WORKERS.c.worker_id == worker_id, WORKERS.c.until > self._member.instant())
        return its.correlate(worker_id.table).exists()


def _bury(connection: Connection, now: datetime) -> None:
    """Forget workers whose lease has ended; one that is alive after all enters itself again."""
    dead = sa.select(WORKERS.c.worker_id).where(WORKERS.c.until <= now).with_for_update(skip_locked=True)
    gone = connection.execute(dead).scalars().all()
    connection.execute(sa.delete(WORKERS).where(WORKERS.c.worker_id.in_(gone)))


def _know(connection: Connection, names: Collection[str]) -> None:
    """Make a row for each assignment that has none."""
    known = set(connection.execute(sa.select(ASSIGNMENTS.c.name)).scalars())
    # In one order everywhere, so that two workers never wait for each other in a circle.
    for some in chunks(sorted(set(names) - known)):
        rows = [{"name": name, "token": 0} for name in some]
        connection.execute(insert(connection.dialect, ASSIGNMENTS).values(rows).on_conflict_do_nothing())


def assignment_holders(connection: Connection, instant: Callable[[], Instant] = server_time) -> Mapping[str, str]:
    """Which living worker, by its name, has which assignment."""
    query = (
        sa.select(ASSIGNMENTS.c.name, WORKERS.c.name.label("worker"))
        .join_from(ASSIGNMENTS, WORKERS, ASSIGNMENTS.c.worker_id == WORKERS.c.worker_id)
        .where(WORKERS.c.until > instant())
    )
    return {row.name: row.worker for row in connection.execute(query)}


class UnknownChannelError(Exception):
    """A channel that no worker has posted to yet: `know_channel` first, in a transaction of its own."""

    def __init__(self, destination: Destination) -> None:
        super().__init__(str(destination))
        self.destination = destination


def take_channel(connection: Connection, destination: Destination, now: datetime, free_at: datetime) -> bool:
    """Let no other worker post there before `free_at`; False where another does at present. Never waits for one."""
    mine = CHANNEL_PACES.c.destination == destination
    held = sa.select(CHANNEL_PACES.c.free_at).where(mine).with_for_update(skip_locked=True)
    taken_until = connection.execute(held).scalar_one_or_none()
    # A row that another holds and no row at all look the same above; only where there is none, one has to be made.
    if taken_until is None and connection.execute(sa.select(CHANNEL_PACES.c.destination).where(mine)).first() is None:
        raise UnknownChannelError(destination)
    if taken_until is None or taken_until > now:
        return False
    connection.execute(sa.update(CHANNEL_PACES).where(mine).values(free_at=free_at))
    return True


def free_channel(connection: Connection, destination: Destination, taken_until: datetime, free_at: datetime) -> None:
    """End what `take_channel` has begun: the post is over. What another has taken since stays as it is."""
    mine = sa.update(CHANNEL_PACES).where(
        CHANNEL_PACES.c.destination == destination, CHANNEL_PACES.c.free_at == taken_until
    )
    connection.execute(mine.values(free_at=free_at))


def know_channel(connection: Connection, destination: Destination, now: datetime) -> None:
    """Make a channel's row, where no other worker has, in a transaction of its own."""
    # Committed at once, since two who insert the same key wait for each other.
    known = insert(connection.dialect, CHANNEL_PACES).values(destination=destination, free_at=now)
    connection.execute(known.on_conflict_do_nothing())


def rest_everywhere(connection: Connection, now: datetime, until: datetime) -> None:
    """Let no worker post anywhere before `until`."""
    know_channel(connection, EVERYWHERE, now)
    longer = sa.update(CHANNEL_PACES).where(CHANNEL_PACES.c.destination == EVERYWHERE, CHANNEL_PACES.c.free_at < until)
    connection.execute(longer.values(free_at=until))


def is_resting(connection: Connection, now: datetime) -> bool:
    """Whether no worker may post anywhere."""
    resting = sa.select(sa.literal(1)).where(CHANNEL_PACES.c.destination == EVERYWHERE, CHANNEL_PACES.c.free_at > now)
    return connection.execute(resting).first() is not None
