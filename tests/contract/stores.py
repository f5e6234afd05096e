"""Every implementation of the store, empty, as quickly as it can be had."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING

import psycopg
import sqlalchemy as sa

from tests.support.memory_store import MemoryStore
from worker.stores.opening import open_store
from worker.stores.schema import metadata

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.support.postgres import Postgres
    from worker.core.store_roles import Store


PATIENCE = timedelta(minutes=1)
"""For one statement. How soon a worker gives a database up is tested elsewhere; a machine full of tests is slow."""

# Every reference goes to a table that comes before.
EMPTY = [str(sa.delete(table)) for table in reversed(metadata.sorted_tables)]


def memory() -> Iterator[Store]:
    """The reference."""
    yield MemoryStore()


def sqlite(file: Path) -> Iterator[Callable[[], Store]]:
    """A migrated file that is emptied and used again: opening one costs more than most tests."""
    with (
        closing(open_store(f"sqlite:///{file}", migrate=False)) as store,
        closing(sqlite3.connect(file, isolation_level=None)) as connection,
    ):

        def emptied() -> Store:
            connection.executescript(f"BEGIN; {'; '.join(EMPTY)}; COMMIT")
            return store

        yield emptied


def postgres(server: Postgres) -> Iterator[Callable[[], Store]]:
    """The same on PostgreSQL."""
    url = server.migrated()
    with (
        closing(open_store(url, migrate=False, patience=PATIENCE)) as store,
        psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection,
    ):

        def emptied() -> Store:
            connection.execute("; ".join(EMPTY).encode())
            return store

        yield emptied
