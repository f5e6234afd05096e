"""SQLite files as such: making one, recognising ours, and copying one while it is in use."""

from __future__ import annotations

import fcntl
import os
import shlex
import sqlite3
import stat
import tempfile
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from threading import Timer
from time import sleep
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import quote

from worker.core.ports import DATABASE_URL, ConfigError, StoreError
from worker.stores import schema
from worker.stores.lock import refusal_to_open
from worker.stores.schema import VERSION_TABLE
from worker.stores.sqlite import APPLICATION_ID, explain_file_error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from worker.stores.schema import Fit

_T = TypeVar("_T")

CHECK_FOR = 0.5
"""Seconds for looking through a database at the start: a small one is seen whole, a large one in part."""

LOOK_FOR = 0.2
"""The same for who only looks, perhaps twice a minute."""

_TRIES, _PAUSE = 20, 0.05
"""How often, and at which distance in seconds, a database is looked at that others open or close just then."""

OWNER_ONLY = 0o600

DRAFT = ".review-notifier-copy-"
"""How the name of a copy begins while it is being made."""

_BESIDE = ("-journal", "-wal", "-shm")
"""How the names of the files end that SQLite makes beside a database."""

_MARK = slice(68, 72)
"""Where SQLite's file format has the application id."""

_PASSING = ("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_FULL", "SQLITE_IOERR", "SQLITE_NOMEM", "SQLITE_PROTOCOL")
"""What may be over at the next try, by the beginning of SQLite's name for it."""

UNSOUND = {"SQLITE_CORRUPT": "is damaged", "SQLITE_NOTADB": "is not a database"}
"""What is wrong with the file itself, by the beginning of SQLite's name for it."""


def make_file(path: Path) -> None:
    """Make an empty database that only its owner may read; a file that is empty already is taken over."""
    with _explained(path):
        try:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, OWNER_ONLY))
        except OSError as error:
            raise refusal_to_open(error, f"the database {path} cannot be made") from error
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            # In one transaction: another process would take a half-made file for another program's. And in this order:
            # a file that has a page already never learns to give pages back.
            connection.execute("BEGIN")
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute("COMMIT")


def is_new_file(path: Path) -> bool:
    """Whether there is nothing yet."""
    return not path.exists() or path.stat().st_size == 0


def check_file(path: Path, within: float | None = CHECK_FOR, scripts: Path | None = None) -> Fit:
    """How the schema of a database of ours stands; ConfigError for a file that is not ours or not sound.

    Touches neither the file nor anything beside it, except where it can only be read after SQLite has put right what a
    killed process left half-way in it. What is not looked through after so many seconds counts as sound (None:
    everything).
    """
    if not path.is_file():
        raise ConfigError(f"{DATABASE_URL}: {path} is not a file: name another, or move what is there away")

    def look(opened: sqlite3.Connection, whole: bool) -> Fit:  # noqa: FBT001  as `undisturbed` calls it
        return _examine(path, opened, within if whole else None, scripts)

    try:
        return undisturbed(path, look)
    except ConfigError as error:
        # What is half written reads as damaged, until its journal or its log is heeded.
        if not _is_unsound(error) or _is_whole(path) or not _bears_our_mark(path):
            raise
    _put_right(path)
    return undisturbed(path, look)


def revision_of_file(path: Path) -> str | None:
    """Which revision a file that `check_file` has let pass is at; None for one without tables. Touches nothing."""
    version = f"SELECT version_num FROM {VERSION_TABLE}"  # noqa: S608  a name of our own
    row = undisturbed(path, lambda opened, _: opened.execute(version).fetchone())
    return row and str(row[0])


def undisturbed(path: Path, look: Callable[[sqlite3.Connection, bool], _T]) -> _T:
    """What `look` sees through a connection that touches nothing, and whether that is the whole state.

    Other processes may open or close the database meanwhile; then what they left half-way is looked at once more.
    """
    for left in reversed(range(_TRIES)):
        before = _beside_and_date(path)
        try:
            with _explained(path), closing(_untouched(path)) as connection:
                return look(connection, _is_whole(path))
        except (ConfigError, StoreError):
            if not left or before == _beside_and_date(path):
                raise
        sleep(_PAUSE)
    raise AssertionError  # the last try returned or raised


def _is_unsound(error: ConfigError) -> bool:
    return isinstance(error.__cause__, sqlite3.Error) and error.__cause__.sqlite_errorname.startswith(tuple(UNSOUND))


def _bears_our_mark(path: Path) -> bool:
    """Whether the first page, read as plain bytes, is that of a database of ours."""
    with path.open("rb") as file:
        return int.from_bytes(file.read(_MARK.stop)[_MARK]) == APPLICATION_ID


def _put_right(path: Path) -> None:
    """Let SQLite undo or finish what a killed process left half-way, as every usual connection does."""
    with _explained(path), closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()


def _beside_and_date(path: Path) -> tuple[object, ...]:
    """What differs after another process has opened, written or closed the database."""
    with suppress(OSError):
        return (*(path.with_name(path.name + ending).exists() for ending in _BESIDE), path.stat().st_mtime_ns)
    return ()


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Say what a failure to read means: that the file cannot be used, or that the disk or another program is busy."""
    try:
        yield
    except sqlite3.Error as error:
        if error.sqlite_errorname.startswith(_PASSING):
            raise StoreError(explain_file_error(error, path)) from error
        state = next((text for prefix, text in UNSOUND.items() if error.sqlite_errorname.startswith(prefix)), None)
        said = explain_file_error(error, path) if state is None else f"the database {path} {state}. {restoring(path)}"
        raise ConfigError(said) from error


def _examine(path: Path, connection: sqlite3.Connection, within: float | None, scripts: Path | None) -> Fit:
    _check_ours(connection, path)
    if within is not None:
        _check_sound(connection, path, within)
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    version = f"SELECT version_num FROM {VERSION_TABLE}"  # noqa: S608  a name of our own
    row = connection.execute(version).fetchone() if VERSION_TABLE in tables else None
    return schema.judge(tables, row[0] if row else None, scripts)


def _untouched(path: Path) -> sqlite3.Connection:
    """A connection that makes and changes no file, whatever the journal mode."""
    # Where the log and its index are there, somebody may have the database open: SQLite's locks are kept, and the index
    # is rebuilt in memory where it is out of date. Else the file is read as it lies there, without locks and without
    # its log: a connection that reads the log without locks removes it at its end, also one that others use by then.
    return _read_only(path, "readonly_shm=1" if _is_in_use(path) else "immutable=1")


def _is_in_use(path: Path) -> bool:
    return all(path.with_name(path.name + ending).exists() for ending in ("-wal", "-shm"))


def _is_whole(path: Path) -> bool:
    """Whether nothing of the state lies beside the file unread, as after a transaction that was cut off."""
    return _is_in_use(path) or not any(path.with_name(path.name + ending).exists() for ending in _BESIDE)


def _read_only(path: Path, how: str = "") -> sqlite3.Connection:
    where = f"file:{quote(os.fsencode(path))}?mode=ro&{how}"
    return sqlite3.connect(where, uri=True, isolation_level=None)


def _check_ours(connection: sqlite3.Connection, path: Path) -> None:
    if connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
        raise ConfigError(
            f"the database {path} belongs to another program: name another file in {DATABASE_URL}."
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
    back = f"cp --remove-destination BACKUP {here}; chown -h --reference={broken} {here}"
    return f"Restore a backup: stop the service; {away}; {back}"


def copy_file(path: Path, target: Path) -> None:
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
        raise StoreError(f"no backup was made: {explain_file_error(error, path)}") from error
    except OSError as error:
        raise StoreError(f"no backup was made: {target}: {error.strerror}") from error


def copy_untouched(path: Path, target: Path) -> None:
    """Copy a database that may be in use to a file of our own, and touch neither it nor anything beside it."""

    def copy(source: sqlite3.Connection, _: bool) -> None:  # noqa: FBT001  as `undisturbed` calls it
        with closing(sqlite3.connect(target, isolation_level=None)) as copied:
            source.backup(copied)

    undisturbed(path, copy)


@contextmanager
def _beside(target: Path) -> Iterator[Path]:
    """A file of a passing name in the same directory, gone in the end."""
    # What a process leaves behind that was killed, the next removes: its lock is free then.
    for left in target.parent.glob(f"{DRAFT}*"):
        if not left.name.endswith(_BESIDE):
            _sweep(left)
    file, name = tempfile.mkstemp(prefix=DRAFT, dir=target.parent)
    try:
        fcntl.flock(file, fcntl.LOCK_SH)
        yield Path(name)
    finally:
        _remove(Path(name))
        os.close(file)


def _sweep(left: Path) -> None:
    """Remove a passing file of a process that was killed; one that is being written, or is no file, stays."""
    with suppress(OSError):
        file = os.open(left, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            if stat.S_ISREG(os.fstat(file).st_mode):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _remove(left)
        finally:
            os.close(file)


def _remove(draft: Path) -> None:
    for ending in (*_BESIDE, ""):  # the file itself last: by its name the others are found
        draft.with_name(draft.name + ending).unlink(missing_ok=True)


def _copy(path: Path, draft: Path) -> None:
    with closing(_read_only(path)) as source, closing(sqlite3.connect(draft, isolation_level=None)) as copied:
        source.backup(copied)
        copied.execute("PRAGMA journal_mode = DELETE")  # one file, without a log beside it
        finding = copied.execute("PRAGMA integrity_check(1)").fetchone()[0]
    if finding != "ok":
        raise StoreError(f"no backup was made: the database {path} is damaged ({finding}). {restoring(path)}")
    with draft.open("rb") as written:
        os.fsync(written.fileno())
