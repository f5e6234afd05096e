"""Every row of one database into another, inside two transactions that somebody else began."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from worker.core.ports import DATABASE_URL, ConfigError, StoreError
from worker.stores.chunks import CHUNK, chunks
from worker.stores.tables import metadata, processes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy.engine import Connection

TABLES = [table for table in metadata.sorted_tables if table is not processes]
"""In an order in which every reference goes to a table that comes before. Who worked on a file does not move."""


def copy(source: Connection, target: Connection) -> Mapping[str, int]:
    """Copy every table; nobody else writes to the target meanwhile."""
    every = ", ".join(table.name for table in TABLES)
    target.exec_driver_sql(f"LOCK TABLE {every} IN EXCLUSIVE MODE")
    _require_empty(target)
    rows = {table.name: _copy_table(source, target, table) for table in TABLES}
    for table in TABLES:
        _count_on(target, table)
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
    read = source.execution_options(yield_per=CHUNK).execute(sa.select(table))
    copied = 0
    for some in chunks(read):
        target.execute(sa.insert(table), [dict(zip(keys, row, strict=True)) for row in some])
        copied += len(some)
    return copied


def _count_on(target: Connection, table: sa.Table) -> None:
    """Let the database number its own rows on from the last one that was copied."""
    number = table.autoincrement_column
    if number is None or isinstance(number.type, sa.LargeBinary):
        return
    highest = sa.select(sa.func.max(number)).scalar_subquery()
    sequence = sa.func.pg_get_serial_sequence(table.name, number.name)
    target.execute(sa.select(sa.func.setval(sequence, highest)).where(highest.is_not(None)))


def _count(connection: Connection, table: sa.Table) -> int:
    return connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
