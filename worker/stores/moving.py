"""Moving from SQLite to PostgreSQL: everything as it is, or nothing."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import sqlalchemy as sa

from worker.core.ports import DATABASE_URL, ConfigError
from worker.stores import opening
from worker.stores.lock import hold_lock

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from worker.stores.sql import SqlStore


def move(file: Path, url: str) -> Mapping[str, int]:
    """Copy an SQLite database to an empty PostgreSQL of the newest schema; the rows of each table.

    The file stays as it is. Raises ConfigError for a database that does not fit, Busy where a process works on the
    file, and StoreError where the copy failed; the target is as empty then as it was.
    """
    if opening.database_path(url) is not None:
        raise ConfigError(f"{DATABASE_URL} names SQLite: set it to the PostgreSQL database that is to be moved to")
    if not file.is_file():
        raise ConfigError(f"--from {file}: there is no such file: name the SQLite database that was used so far")
    with hold_lock(file), closing(_source(file)) as source:
        opening.migrate(url)
        with closing(opening.open_store(url, migrate=False, patience=opening.MIGRATION_PATIENCE)) as target:
            return source.copy_to(target)


def _source(file: Path) -> SqlStore:
    where = sa.URL.create("sqlite", database=str(file)).render_as_string()
    try:
        return opening.open_store(where, migrate=False)
    except ConfigError as error:
        raise ConfigError(f"nothing can be moved from {file}: {error}") from error
