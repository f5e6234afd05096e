"""Where SQLite and PostgreSQL differ in a statement."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection
    from sqlalchemy.sql import ColumnElement


def insert(connection: Connection, table: sa.Table) -> sqlite.Insert | postgresql.Insert:
    """An INSERT that knows ON CONFLICT; both databases write it alike, SQLAlchemy keeps them apart."""
    return postgresql.insert(table) if connection.dialect.name == "postgresql" else sqlite.insert(table)


def latest(connection: Connection, *instants: ColumnElement[Any]) -> ColumnElement[Any]:
    """The greatest of several values, none of which may be NULL."""
    return sa.func.greatest(*instants) if connection.dialect.name == "postgresql" else sa.func.max(*instants)
