"""SQLite as a store: how a connection is set up, and what its failures mean."""

from __future__ import annotations

import os
import sqlite3
from time import sleep
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy import event

from worker.core.ports import DATABASE_URL, ConfigError, StoreError
from worker.stores.database import Database
from worker.stores.presence import Presence

if TYPE_CHECKING:
    from datetime import timedelta
    from pathlib import Path

    from sqlalchemy.engine import Connection, Engine

APPLICATION_ID = 0x4C52764E
"""Marks a database file as ours, in its header."""

WAL_LIMIT = 64 * 2**20
PAUSE = 0.02
"""Seconds between two tries for a lock for which SQLite itself does not wait."""

EMPTYING = 50
"""Milliseconds for which the log's readers are waited for, with the write lock held, before it is emptied."""

VACUUM_STEP = 2000
"""Pages given back in one transaction."""

REMEDIES = {
    "SQLITE_BUSY": "is locked by another program; it is tried again",
    "SQLITE_LOCKED": "is locked by another program; it is tried again",
    "SQLITE_FULL": "cannot grow: the disk is full. Free some space; it is tried again, and nothing is lost",
    "SQLITE_IOERR": "cannot be read or written: the disk fails or is full. It is tried again, and nothing is lost",
    "SQLITE_READONLY": "may not be written: check the owner of the file and its directory, and how it is mounted",
    "SQLITE_PERM": "may not be opened: check the owner of the file and its directory",
    "SQLITE_CANTOPEN": "cannot be opened: check that the file and its directory exist and who owns them",
    "SQLITE_CORRUPT": "is damaged: stop the service and restore a backup (docs/operations.md)",
    "SQLITE_NOTADB": "is not a database any more: stop the service and restore a backup (docs/operations.md)",
}


def connect(path: Path, *, patience: timedelta, foreign_keys: bool = True) -> Database:
    """Open an existing database file; a lock of another process is waited for as long as `patience`."""
    # As a URI with this mode, a file that is gone is not made again, empty.
    where = sa.URL.create("sqlite", database=f"file:{quote(os.fsencode(path))}", query={"mode": "rw", "uri": "true"})
    wait = patience.total_seconds()
    engine = sa.create_engine(where, hide_parameters=True, pool_timeout=wait)
    presence = Presence(path)

    @event.listens_for(engine, "connect")
    def set_up(connection: sqlite3.Connection, _record: object) -> None:
        try:
            presence.check()
            configure(connection, wait, foreign_keys=foreign_keys)
            connection.execute("SELECT 1 FROM sqlite_master").fetchone()  # opens the log, too
            presence.note()
        except sqlite3.Error as error:
            connection.close()
            raise StoreError(explain(error, path)) from error
        except StoreError:
            connection.close()
            raise

    @event.listens_for(engine, "engine_disposed")
    def dispose(_engine: Engine) -> None:
        presence.forget()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        presence.check()
        writing = connection.get_execution_options().get("writing", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")

    return Database(engine, again=lambda _: False, explain=lambda error: explain(error, path), queued=2 * wait)


def configure(connection: sqlite3.Connection, wait: float, *, foreign_keys: bool) -> None:
    """Take the transactions over from the driver, and choose durability over speed; `wait` in seconds.

    Temporary results stay in memory: on a read-only root there is no place for their files.
    """
    connection.isolation_level = None
    connection.execute(f"PRAGMA busy_timeout = {int(wait * 1000)}")
    mode = _ask_for_wal(connection, wait)
    if mode != "wal":
        raise ConfigError(
            f"{DATABASE_URL}: SQLite cannot keep its write-ahead log there (it answers {mode!r}): use a local disk"
        )
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(f"PRAGMA foreign_keys = {int(foreign_keys)}")
    connection.execute("PRAGMA temp_store = MEMORY")
    connection.execute(f"PRAGMA journal_size_limit = {WAL_LIMIT}")


def _ask_for_wal(connection: sqlite3.Connection, wait: float) -> str:
    """Switch a new file to its log. For that lock SQLite does not wait, whatever its time-out says."""
    for left in reversed(range(max(1, int(wait / PAUSE)))):
        try:
            return str(connection.execute("PRAGMA journal_mode = WAL").fetchone()[0])
        except sqlite3.OperationalError as error:
            if not left or error.sqlite_errorname != "SQLITE_BUSY":
                raise
            sleep(PAUSE)
    raise AssertionError  # the last attempt returned or raised


def explain(error: BaseException, path: Path) -> str:
    """Say what a failure of SQLite means and the remedy."""
    cause = getattr(error, "orig", error)
    name: str = getattr(cause, "sqlite_errorname", None) or ""
    known = (text for prefix, text in REMEDIES.items() if name.startswith(prefix))
    return f"the database {path} {next(known, f'fails: {cause}')}"


def maintain(database: Database) -> None:
    """Give free pages back to the disk, and fold the write-ahead log into the file."""
    raw: Any = database.engine.raw_connection()
    try:
        connection: sqlite3.Connection = raw.driver_connection
        free = -1
        while 0 != (left := connection.execute("PRAGMA freelist_count").fetchone()[0]) != free:
            free = left
            connection.execute(f"PRAGMA incremental_vacuum({VACUUM_STEP})").fetchall()
        _fold(connection)
    except sqlite3.Error as error:
        raise StoreError(database.explain(error)) from error
    finally:
        raw.close()


def _fold(connection: sqlite3.Connection) -> None:
    """Fold the write-ahead log into the file, and empty it where nobody reads from it just now.

    Emptying it holds the write lock while it waits for readers; so nearly all is done before, without any lock, and the
    wait is short: what cannot be emptied now is at the next call.
    """
    connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
    (usual,) = connection.execute("PRAGMA busy_timeout").fetchone()
    connection.execute(f"PRAGMA busy_timeout = {EMPTYING}")
    try:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    finally:
        connection.execute(f"PRAGMA busy_timeout = {usual}")
