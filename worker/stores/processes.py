"""Who works on the database, inside a transaction that somebody else began."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from worker.core.status.process import Process
from worker.stores.dialects import insert
from worker.stores.tables import processes, workers

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from uuid import UUID

    from sqlalchemy.engine import Connection

KEPT = 20
"""So many of the processes that began last are remembered: more than ever work on one database at a time."""

_NEWEST = sa.select(processes).order_by(processes.c.started_at.desc(), processes.c.process_id)


def note(connection: Connection, process: Process) -> None:
    """Remember a process as it stands now, and forget those that began long before."""
    row = {name: getattr(process, name) for name in processes.c.keys()}  # noqa: SIM118  the keys are not the columns
    news = {name: value for name, value in row.items() if name != "process_id"}
    statement = insert(connection, processes).values(row)
    connection.execute(statement.on_conflict_do_update(index_elements=[processes.c.process_id], set_=news))
    old = [each.process_id for each in every(connection)[KEPT:]]
    connection.execute(sa.delete(processes).where(processes.c.process_id.in_(old)))


def every(connection: Connection) -> Sequence[Process]:
    """The processes that are remembered, the newest first."""
    return [Process(*row) for row in connection.execute(_NEWEST)]


def alive(connection: Connection, instant: Callable[[], sa.ColumnElement[object]]) -> set[UUID]:
    """Those of several workers on PostgreSQL whose lease lasts."""
    return set(connection.execute(sa.select(workers.c.worker_id).where(workers.c.until > instant())).scalars())
