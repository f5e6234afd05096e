"""SQLite files as such: making one, recognising ours, and copying one while it is in use."""

from __future__ import annotations

import os
import shlex
import sqlite3
from contextlib import closing, contextmanager
from threading import Timer
from typing import TYPE_CHECKING
from urllib.parse import quote

from worker.core.ports import ConfigError, StoreError
from worker.stores.sqlite import APPLICATION_ID, explain

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CHECK_FOR = 0.5
"""Seconds for looking through a database at the start: a small one is seen whole, a large one in part."""

GLANCE = 0.2
"""The same for who only looks, perhaps twice a minute."""

OWNER_ONLY = 0o600

UNSOUND = {"SQLITE_CORRUPT": "is damaged", "SQLITE_NOTADB": "is not a database"}
"""What is wrong with the file itself, by the beginning of SQLite's name for it."""


def make(path: Path) -> None:
    """Make an empty database that only its owner may read; a file that is empty already is taken over.

    The order counts: a file that has a page already never learns to give pages back. Both or neither is seen by another
    process, which else would take a half-made file for another program's; the first of them begins to write.
    """
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, OWNER_ONLY))
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN")
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute("COMMIT")


def is_new(path: Path) -> bool:
    """Whether there is nothing yet."""
    return not path.exists() or path.stat().st_size == 0


def check(path: Path, within: float = CHECK_FOR) -> None:
    """Refuse, with a ConfigError, a file that is not a sound database of ours. Reads only, for so many seconds."""
    if not path.is_file():
        raise ConfigError(f"WORKER_DATABASE_URL: {path} is no file: name another, or move what is there away")
    try:
        with closing(_read_only(path)) as connection:
            _check_ours(connection, path)
            _check_sound(connection, path, within)
    except sqlite3.Error as error:
        if error.sqlite_errorname.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            raise StoreError(explain(error, path)) from error
        state = next((text for prefix, text in UNSOUND.items() if error.sqlite_errorname.startswith(prefix)), None)
        said = explain(error, path) if state is None else f"the database {path} {state}. {restoring(path)}"
        raise ConfigError(said) from error


def _read_only(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, isolation_level=None)


def _check_ours(connection: sqlite3.Connection, path: Path) -> None:
    if connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
        raise ConfigError(
            f"the database {path} belongs to another program: name another file in WORKER_DATABASE_URL."
            f" If it should be ours: {restoring(path)}"
        )


def _check_sound(connection: sqlite3.Connection, path: Path, within: float) -> None:
    """Look through the pages for as long as a start may take; what was not reached in time counts as sound."""
    stop = Timer(within, connection.interrupt)
    stop.daemon = True
    stop.start()
    try:
        finding = " ".join(connection.execute("PRAGMA quick_check(1)").fetchone()[0].split())
    except sqlite3.OperationalError as error:
        if error.sqlite_errorname != "SQLITE_INTERRUPT":
            raise
        return
    finally:
        stop.cancel()
        stop.join()
    if finding != "ok":
        raise ConfigError(f"the database {path} is damaged ({finding}). {restoring(path)}")


def restoring(path: Path) -> str:
    """How a person puts a backup in the place of a database that cannot be used; the service must own it."""
    here, broken, wal, shm = (shlex.quote(f"{path}{ending}") for ending in ("", ".broken", "-wal", "-shm"))
    away = f"mv {here} {broken}; rm -f {wal} {shm}"
    return f"Restore a backup: stop the service; {away}; cp BACKUP {here}; chown --reference={broken} {here}"


def copy(path: Path, target: Path) -> None:
    """Copy a database that may be in use to one consistent, checked file; StoreError where `target` exists."""
    if target.exists():
        raise StoreError(f"{target} exists already: name another file for the backup")
    if not target.parent.is_dir():
        raise StoreError(f"the directory {target.parent} does not exist: create it, or name another for the backup")
    try:
        with _beside(target) as draft:
            _copy(path, draft)
            # Taking the name first makes sure that no file that came meanwhile is replaced.
            os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ONLY))
            draft.replace(target)
    except sqlite3.Error as error:
        raise StoreError(f"no backup was made: {explain(error, path)}") from error
    except OSError as error:
        raise StoreError(f"no backup was made: {target}: {error.strerror}") from error


@contextmanager
def _beside(target: Path) -> Iterator[Path]:
    """A file of a passing name in the same directory, gone in the end whatever happens."""
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    os.close(os.open(draft, os.O_RDWR | os.O_CREAT | os.O_TRUNC, OWNER_ONLY))
    try:
        yield draft
    finally:
        draft.unlink(missing_ok=True)


def _copy(path: Path, draft: Path) -> None:
    with closing(_read_only(path)) as source, closing(sqlite3.connect(draft, isolation_level=None)) as copied:
        source.backup(copied)
        copied.execute("PRAGMA journal_mode = DELETE")  # one file, without a log beside it
        finding = copied.execute("PRAGMA integrity_check(1)").fetchone()[0]
    if finding != "ok":
        raise StoreError(f"no backup was made: the database {path} is damaged ({finding}). {restoring(path)}")
    with draft.open("rb") as written:
        os.fsync(written.fileno())
