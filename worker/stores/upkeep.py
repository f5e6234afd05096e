"""What keeps a database in order: who works on it, small notes, forgetting what is old, and moving it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from worker.core.overview import Process
from worker.core.owed import State
from worker.core.ports import DATABASE_URL, ConfigError, StoreError
from worker.stores.database import CHUNK, chunks, insert
from worker.stores.outbox import in_state
from worker.stores.schema import (
    ACTS,
    CALLS,
    DELIVERIES,
    DELIVERY_REVIEWS,
    KNOWN_QUEUES,
    NOTES,
    PROCESSES,
    REVIEWS,
    TURNS,
    WORKERS,
    metadata,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy.engine import Connection

_KEPT = 20
"""So many of the processes that began last are remembered: more than ever work on one database at a time."""

_NEWEST = sa.select(PROCESSES).order_by(PROCESSES.c.started_at.desc(), PROCESSES.c.process_id)


def note_process(connection: Connection, process: Process) -> None:
    """Remember a process as it stands now, and forget those that began long before."""
    row = {name: getattr(process, name) for name in PROCESSES.c.keys()}  # noqa: SIM118  the keys are not the columns
    news = {name: value for name, value in row.items() if name != "process_id"}
    statement = insert(connection.dialect, PROCESSES).values(row)
    connection.execute(statement.on_conflict_do_update(index_elements=[PROCESSES.c.process_id], set_=news))
    old = [each.process_id for each in every_process(connection)[_KEPT:]]
    connection.execute(sa.delete(PROCESSES).where(PROCESSES.c.process_id.in_(old)))


def every_process(connection: Connection) -> Sequence[Process]:
    """The processes that are remembered, the newest first."""
    return [Process(*row) for row in connection.execute(_NEWEST)]


def living_workers(connection: Connection, instant: Callable[[], sa.ColumnElement[object]]) -> set[UUID]:
    """Those of several workers on PostgreSQL whose lease lasts."""
    return set(connection.execute(sa.select(WORKERS.c.worker_id).where(WORKERS.c.until > instant())).scalars())


def recall_note(connection: Connection, name: str) -> str | None:
    """Read a value."""
    return connection.execute(sa.select(NOTES.c.value).where(NOTES.c.name == name)).scalar_one_or_none()


def remember_note(connection: Connection, name: str, value: str) -> None:
    """Write a value over the former one."""
    statement = insert(connection.dialect, NOTES).values(name=name, value=value)
    connection.execute(statement.on_conflict_do_update(index_elements=[NOTES.c.name], set_={"value": value}))


DELIVERIES_A_STEP = 100
"""Few, since each may speak of very many reviews."""

REVIEWS_A_STEP = 1000
_OLD_DELIVERIES = (
    sa.select(DELIVERIES.c.delivery_id)
    .where(DELIVERIES.c.settled_at < sa.bindparam("before"), in_state(State.SENT, State.WITHDRAWN, State.DEAD))
    .where(sa.or_(DELIVERIES.c.edit_until.is_(None), DELIVERIES.c.edit_until < sa.bindparam("before")))
    .limit(DELIVERIES_A_STEP)
    .with_for_update(skip_locked=True)
)


def prune_deliveries(connection: Connection, before: datetime) -> int:
    """Forget some deliveries that were settled, and whose edits ended, before a time; how many."""
    # What a worker holds at this moment is left for the next hour: house-keeping delays nothing.
    old = connection.execute(_OLD_DELIVERIES, {"before": before}).scalars().all()
    # What refers to a delivery goes before it.
    connection.execute(sa.delete(DELIVERY_REVIEWS).where(DELIVERY_REVIEWS.c.delivery_id.in_(old)))
    connection.execute(sa.delete(CALLS).where(CALLS.c.delivery_id.in_(old)))
    connection.execute(sa.delete(DELIVERIES).where(DELIVERIES.c.delivery_id.in_(old)))
    return len(old)


def prune_reviews(connection: Connection, before: datetime) -> int:
    """Forget some reviews that were closed before a time and that no delivery speaks of; how many."""
    # Their queues' rows are held, so that no plan that rests on such a review is being made; a busy queue is left for
    # later.
    spoken_of = sa.select(sa.literal(1)).where(DELIVERY_REVIEWS.c.review_id == REVIEWS.c.review_id).correlate(REVIEWS)
    query = (
        sa.select(REVIEWS.c.review_id)
        .join_from(REVIEWS, KNOWN_QUEUES)
        .where(REVIEWS.c.closed_at < before, ~spoken_of.exists())
        .limit(REVIEWS_A_STEP)
        .with_for_update(of=[REVIEWS, KNOWN_QUEUES], key_share=True, skip_locked=True)
    )
    old = connection.execute(query).scalars().all()
    # What refers to a review goes before it.
    connection.execute(sa.delete(TURNS).where(TURNS.c.review_id.in_(old)))
    connection.execute(sa.delete(ACTS).where(ACTS.c.review_id.in_(old)))
    connection.execute(sa.delete(REVIEWS).where(REVIEWS.c.review_id.in_(old)))
    return len(old)


TABLES = [table for table in metadata.sorted_tables if table is not PROCESSES]
"""In an order in which every reference goes to a table that comes before. Who worked on a file does not move."""


def copy_every_table(source: Connection, target: Connection) -> Mapping[str, int]:
    """Copy every table; no other process writes to the target meanwhile."""
    every = ", ".join(table.name for table in TABLES)
    # Others may read, but not write: their rows would take numbers that are about to be copied.
    target.exec_driver_sql(f"LOCK TABLE {every} IN EXCLUSIVE MODE")
    _require_empty(target)
    rows = {table.name: _copy_table(source, target, table) for table in TABLES}
    for table in TABLES:
        _count_on(target, table)
    # Counted again by the database that has them now: a gap would be noticed weeks later, as a run announced twice.
    if rows != {table.name: _count(target, table) for table in TABLES}:
        raise StoreError("not every row has arrived: nothing was moved. Try again; if it goes on, report it")
    return rows


def _require_empty(target: Connection) -> None:
    used = [table.name for table in TABLES if target.execute(sa.select(sa.literal(1)).select_from(table)).first()]
    if used:
        raise ConfigError(
            f"the database to move to is in use already (its table {used[0]!r} is not empty): nothing was moved."
            f" Name an empty one in {DATABASE_URL}"
        )


def _copy_table(source: Connection, target: Connection, table: sa.Table) -> int:
    keys = table.columns.keys()
    # Never a whole table in memory.
    read = source.execution_options(yield_per=CHUNK).execute(sa.select(table))
    copied = 0
    for some in chunks(read):
        target.execute(sa.insert(table), [dict(zip(keys, row, strict=True)) for row in some])
        copied += len(some)
    return copied


def _count_on(target: Connection, table: sa.Table) -> None:
    """Let the database number its own rows on from the last one that was copied."""
    number = table.autoincrement_column
    # A key of bytes is given by the program, not counted by the database.
    if number is None or isinstance(number.type, sa.LargeBinary):
        return
    highest = sa.select(sa.func.max(number)).scalar_subquery()
    sequence = sa.func.pg_get_serial_sequence(table.name, number.name)
    target.execute(sa.select(sa.func.setval(sequence, highest)).where(highest.is_not(None)))


def _count(connection: Connection, table: sa.Table) -> int:
    return connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
