"""A database as an earlier version of the program left it."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import sqlalchemy as sa

from worker.stores import schema

if TYPE_CHECKING:
    from pathlib import Path

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def micro(at: datetime | timedelta) -> int:
    """An instant or a duration as the columns hold it."""
    return (at - _EPOCH if isinstance(at, datetime) else at) // timedelta(microseconds=1)


def former(tmp_path: Path, revision: str) -> Path:
    """The migrations as they were when a revision was the newest."""
    scripts = tmp_path / "former"
    shutil.copytree(schema.migrations(), scripts, ignore=shutil.ignore_patterns("__pycache__"))
    for script in (scripts / "versions").iterdir():
        if script.stem[:4] > revision:
            script.unlink()
    return scripts


def insert(connection: sa.Connection, table: str, **values: object) -> None:
    """Write a row without any word of today's schema."""
    connection.execute(sa.insert(sa.table(table, *(sa.column(name) for name in values))).values(values))
