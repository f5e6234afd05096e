"""Where SQLite and PostgreSQL differ in a statement."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql
    from sqlalchemy.engine import Connection
    from sqlalchemy.sql import ColumnElement


def insert(connection: Connection, table: sa.Table) -> sqlite.Insert | postgresql.Insert:
    """An INSERT that knows ON CONFLICT; both databases write it alike, SQLAlchemy keeps them apart."""
    if connection.dialect.name != "postgresql":
        return sqlite.insert(table)
    from sqlalchemy.dialects import postgresql  # noqa: PLC0415  most never need it, and a start should be quick

    return postgresql.insert(table)


def latest(dialect: str, *instants: ColumnElement[Any]) -> ColumnElement[Any]:
    """The greatest of several values, none of which may be NULL."""
    return sa.func.greatest(*instants) if dialect == "postgresql" else sa.func.max(*instants)
