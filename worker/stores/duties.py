"""Who of several workers on one PostgreSQL does what: a lease a worker, a row a duty, the database's clock."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from worker.core.delivery import LEASE, OVER, START
from worker.core.leases import SOON, TTL, Living
from worker.core.model import Assignment, Renewal, State, Task
from worker.core.ports import Fenced
from worker.stores import paces
from worker.stores.chunks import chunks
from worker.stores.columns import MICROSECOND, At
from worker.stores.dialects import insert
from worker.stores.tables import deliveries, duties, workers

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy.engine import Connection

    from worker.core.model import Id
    from worker.stores.database import Database

LOOK_EVERY = 20
"""So many renewals, about a minute, and all duties are looked through again, even where nobody came or went."""

TASKS = frozenset(str(task) for task in Task)

Instant = sa.ColumnElement[Any]


def server_time() -> Instant:
    """The time of the database itself, at this very statement."""
    since = sa.extract("epoch", sa.func.clock_timestamp())
    return sa.type_coerce(sa.cast(since * (timedelta(seconds=1) // MICROSECOND), sa.BigInteger), At)


@dataclass(frozen=True, slots=True)
class Member:
    """One of several workers, and the clock that they share; `pace` is how long a channel rests after a post."""

    worker_id: UUID
    name: str
    pace: timedelta
    instant: Callable[[], Instant] = server_time

    def posts_until(self, lease_until: datetime) -> datetime:
        """Until when a channel is this worker's to post to, by the lease of its claim: its request begins before."""
        return lease_until - LEASE + START + self.pace

    def has_posted(self, connection: Connection, channel: str, lease_until: datetime) -> None:
        """The channel's rest counts from now."""
        now = connection.execute(sa.select(self.instant())).scalar_one()
        paces.give_back(connection, channel, self.posts_until(lease_until), now + self.pace)

    def is_alive(self, connection: Connection) -> bool:
        """Whether its lease lasts."""
        mine = sa.select(sa.literal(1)).where(workers.c.worker_id == self.worker_id, workers.c.until > self.instant())
        return connection.execute(mine).first() is not None

    def hold(self, connection: Connection, duty: Assignment) -> None:
        """Hold a duty to the end of the transaction; Fenced where it is not this worker's any more."""
        query = (
            sa.select(duties.c.token)
            .join_from(duties, workers, duties.c.worker_id == workers.c.worker_id)
            .where(
                duties.c.name == duty.name,
                duties.c.worker_id == duty.worker_id,
                duties.c.token == duty.token,
                workers.c.until > self.instant(),
            )
            .with_for_update(read=True, of=duties)
        )
        if connection.execute(query).first() is None:
            raise Fenced

    def hold_queues(self, connection: Connection, queue_ids: Collection[Id]) -> set[Id]:
        """Hold those of the queues that are this worker's to poll; which."""
        if not self.is_alive(connection):
            return set()
        by_name = {str(queue_id): queue_id for queue_id in queue_ids}
        mine = sa.select(duties.c.name).where(duties.c.worker_id == self.worker_id).with_for_update(read=True)
        held = (mine.where(duties.c.name.in_(some)) for some in chunks(by_name))
        return {by_name[name] for query in held for name in connection.execute(query).scalars()}


class SqlDuties:
    """The duties in PostgreSQL. For one thread; each call is one short transaction, or three."""

    def __init__(self, database: Database, member: Member) -> None:
        self._database = database
        self._member = member
        self._duties: dict[str, Assignment] = {}
        self._settled: object = None
        """What the last look through all duties rested on, where nothing was left to do."""
        self._renewals = 0

    def renew(self, queues: Collection[Id]) -> Renewal:
        """See `AssignmentStore.renew`. While nobody comes or goes it is a renewal and nothing else."""
        wanted = frozenset(map(str, queues))
        lasted, living = self._database.write(self._renew)
        basis = (tuple(living.until), wanted)
        self._renewals += 1
        complete = lasted and basis == self._settled and self._renewals < LOOK_EVERY
        if not complete:
            self._duties, complete = self._database.write(lambda connection: self._look(connection, wanted, living))
            self._settled, self._renewals = basis if complete else None, 0
            self._database.write(self._hasten)
        again_in = living.again_in(self._member.worker_id) if complete else SOON
        return Renewal(self._duties, living.now, len(living.until), again_in)

    def leave(self) -> None:
        """See `AssignmentStore.leave`. What a worker has goes with its row."""
        mine = workers.c.worker_id == self._member.worker_id
        self._database.write(lambda connection: connection.execute(sa.delete(workers).where(mine)))

    def _renew(self, connection: Connection) -> tuple[bool, Living]:
        """Put the end of our lease off; whether it had lasted until now, and who lives."""
        now = connection.execute(sa.select(self._member.instant())).scalar_one()
        me = self._member.worker_id
        mine = sa.update(workers).where(workers.c.worker_id == me, workers.c.until > now).values(until=now + TTL)
        lasted = connection.execute(mine).rowcount == 1
        if not lasted:
            row = {"worker_id": me, "name": self._member.name, "started_at": now, "until": now + TTL}
            anew = insert(connection, workers).values(row)
            connection.execute(anew.on_conflict_do_update(index_elements=["worker_id"], set_={"until": now + TTL}))
        living = (
            sa.select(workers.c.worker_id, workers.c.until)
            .where(workers.c.until > now)
            .order_by(workers.c.started_at, workers.c.worker_id)
        )
        return lasted, Living(now, {row.worker_id: row.until for row in connection.execute(living)})

    def _look(
        self, connection: Connection, wanted: frozenset[str], living: Living
    ) -> tuple[dict[str, Assignment], bool]:
        """Give back what is too much, take what is free and ours; what we have, and whether all is as it should be.

        What another transaction holds at the moment is passed over: nobody ever waits for a worker that stands still.
        """
        _bury(connection, living.now)
        _know(connection, wanted | TASKS)
        rows = connection.execute(sa.select(duties.c.name, duties.c.worker_id, duties.c.token)).all()
        me = self._member.worker_id
        mine = {row.name: Assignment(row.name, me, row.token) for row in rows if row.worker_id == me}
        free = {row.name: row.token for row in rows if row.worker_id not in living.until}
        share = living.share(me, len(wanted))
        polled = sorted(mine.keys() & wanted)
        for name in self._give_back(connection, [*polled[share:], *sorted(mine.keys() - wanted - TASKS)]):
            del mine[name]
        tasks = free.keys() & TASKS
        mine |= self._take(connection, {name: free[name] for name in tasks}, len(tasks))
        queues = {name: free[name] for name in free.keys() & wanted}
        mine |= self._take(connection, queues, share - len(polled))
        return mine, len(mine.keys() - TASKS) == share and tasks <= mine.keys()

    def _give_back(self, connection: Connection, surplus: Sequence[str]) -> Sequence[str]:
        given: list[str] = []
        for some in chunks(surplus):
            mine = sa.select(duties.c.name).where(duties.c.name.in_(some), duties.c.worker_id == self._member.worker_id)
            names = connection.execute(mine.with_for_update(skip_locked=True)).scalars().all()
            connection.execute(sa.update(duties).where(duties.c.name.in_(names)).values(worker_id=None))
            given += names
        return given

    def _take(self, connection: Connection, free: Mapping[str, int], lack: int) -> dict[str, Assignment]:
        """Take so many duties of those that were free under these tokens; none that has changed hands since."""
        me = self._member.worker_id
        taken: dict[str, Assignment] = {}
        for some in chunks(sorted(free.items())):
            if lack <= len(taken):
                break
            unchanged = sa.tuple_(duties.c.name, duties.c.token).in_(some)
            query = (
                sa.select(duties.c.name, duties.c.token)
                .where(unchanged, ~self._lives(duties.c.worker_id))
                .order_by(duties.c.name)
                .limit(lack - len(taken))
                .with_for_update(skip_locked=True)
            )
            rows = connection.execute(query).all()
            taking = sa.update(duties).where(duties.c.name.in_([row.name for row in rows]))
            connection.execute(taking.values(worker_id=me, token=duties.c.token + 1))
            taken |= {row.name: Assignment(row.name, me, row.token + 1) for row in rows}
        return taken

    def _hasten(self, connection: Connection) -> None:
        """Let what the dead were sending be looked up as soon as no request of theirs can be under way any more."""
        theirs = (
            sa.select(deliveries.c.delivery_id)
            .where(
                deliveries.c.state == State.SENDING,
                deliveries.c.worker_id.is_not(None),
                deliveries.c.due_at == deliveries.c.lease_until,
                ~self._lives(deliveries.c.worker_id),
            )
            .with_for_update(skip_locked=True, of=deliveries)
        )
        numbers = connection.execute(theirs).scalars().all()
        over = sa.type_coerce(deliveries.c.lease_until, sa.BigInteger) - (LEASE - OVER) // MICROSECOND
        connection.execute(sa.update(deliveries).where(deliveries.c.delivery_id.in_(numbers)).values(due_at=over))

    def _lives(self, worker_id: sa.Column[Any]) -> sa.ColumnElement[bool]:
        its = sa.select(sa.literal(1)).where(workers.c.worker_id == worker_id, workers.c.until > self._member.instant())
        return its.correlate(worker_id.table).exists()


def _bury(connection: Connection, now: datetime) -> None:
    """Forget workers whose lease has ended; one that is alive after all enters itself again."""
    dead = sa.select(workers.c.worker_id).where(workers.c.until <= now).with_for_update(skip_locked=True)
    gone = connection.execute(dead).scalars().all()
    connection.execute(sa.delete(workers).where(workers.c.worker_id.in_(gone)))


def _know(connection: Connection, names: Collection[str]) -> None:
    """Make a row for each duty. In one order everywhere, so that two workers never wait for each other in a circle."""
    known = set(connection.execute(sa.select(duties.c.name)).scalars())
    for some in chunks(sorted(set(names) - known)):
        rows = [{"name": name, "token": 0} for name in some]
        connection.execute(insert(connection, duties).values(rows).on_conflict_do_nothing())


def held(connection: Connection, instant: Callable[[], Instant] = server_time) -> Mapping[str, str]:
    """Which living worker, by its name, has which duty."""
    query = (
        sa.select(duties.c.name, workers.c.name.label("worker"))
        .join_from(duties, workers, duties.c.worker_id == workers.c.worker_id)
        .where(workers.c.until > instant())
    )
    return {row.name: row.worker for row in connection.execute(query)}
