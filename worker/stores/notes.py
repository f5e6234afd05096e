"""Small values that an adapter asked to remember, inside a transaction that somebody else began."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from worker.stores.dialects import insert
from worker.stores.tables import notes

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection


def recall(connection: Connection, name: str) -> str | None:
    """Read a value."""
    return connection.execute(sa.select(notes.c.value).where(notes.c.name == name)).scalar_one_or_none()


def remember(connection: Connection, name: str, value: str) -> None:
    """Write a value over the former one."""
    statement = insert(connection, notes).values(name=name, value=value)
    connection.execute(statement.on_conflict_do_update(index_elements=[notes.c.name], set_={"value": value}))
