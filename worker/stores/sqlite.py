"""SQLite as a store: where its file may live, how a connection is set up, and what its failures mean."""

from __future__ import annotations

import os
import re
import sqlite3
import stat
from contextlib import suppress
from pathlib import Path
from time import sleep
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy import event

from worker.core.ports import DATABASE_URL, ConfigError, StoreError
from worker.stores.database import Database
from worker.stores.lock import OpenedFiles, refusal_to_open

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import timedelta

    from sqlalchemy.engine import Connection, Engine

APPLICATION_ID = 0x4C52764E
"""Marks a database file as ours, in its header."""

WAL_LIMIT = 64 * 2**20
_PAUSE = 0.02
"""Seconds between two tries for a lock for which SQLite itself does not wait."""

EMPTYING = 50
"""Milliseconds for which the log's readers are waited for, with the write lock held, before it is emptied."""

VACUUM_STEP = 2000
"""Pages given back in one transaction."""

_FIXES = {
    "SQLITE_BUSY": "is locked by another program; it is tried again",
    "SQLITE_LOCKED": "is locked by another program; it is tried again",
    "SQLITE_FULL": "cannot grow: the disk is full. Free some space; it is tried again, and nothing is lost",
    "SQLITE_IOERR": "cannot be read or written: the disk fails or is full. It is tried again, and nothing is lost",
    "SQLITE_READONLY": "may not be written: check the owner of the file and its directory, and how it is mounted",
    "SQLITE_PERM": "may not be opened: check the owner of the file and its directory",
    "SQLITE_CANTOPEN": "cannot be opened: check that the file and its directory exist and who owns them",
    "SQLITE_CORRUPT": "is damaged: stop the service and restore a backup (docs/deployment.md)",
    "SQLITE_NOTADB": "is not a database any more: stop the service and restore a backup (docs/deployment.md)",
}


def connect_to_file(path: Path, *, patience: timedelta, foreign_keys: bool = True) -> Database:
    """Open an existing database file; a lock of another process is waited for as long as `patience`."""
    # As a URI with this mode, a file that is gone is not made again, empty.
    where = sa.URL.create("sqlite", database=f"file:{quote(os.fsencode(path))}", query={"mode": "rw", "uri": "true"})
    wait = patience.total_seconds()
    engine = sa.create_engine(where, hide_parameters=True, pool_timeout=wait)
    presence = OpenedFiles(path)

    @event.listens_for(engine, "connect")
    def set_up(connection: sqlite3.Connection, _record: object) -> None:
        try:
            presence.check()
            set_up_connection(connection, wait, foreign_keys=foreign_keys)
            connection.execute("SELECT 1 FROM sqlite_master").fetchone()  # opens the log, too
            presence.note()
        except sqlite3.Error as error:
            connection.close()
            raise StoreError(explain_file_error(error, path)) from error
        except StoreError:
            connection.close()
            raise

    @event.listens_for(engine, "engine_disposed")
    def dispose(_engine: Engine) -> None:
        presence.forget()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        presence.check()
        # A transaction that begins by reading and then writes is refused, not made to wait, where another has written.
        writing = connection.get_execution_options().get("writing", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")

    return Database(
        engine, again=lambda _: False, explain=lambda error: explain_file_error(error, path), queued=2 * wait
    )


def set_up_connection(connection: sqlite3.Connection, wait: float, *, foreign_keys: bool) -> None:
    """Take the transactions over from the driver, and choose durability over speed; `wait` in seconds."""
    connection.isolation_level = None
    connection.execute(f"PRAGMA busy_timeout = {int(wait * 1000)}")
    mode = _ask_for_wal(connection, wait)
    if mode != "wal":
        raise ConfigError(
            f"{DATABASE_URL}: SQLite cannot keep its write-ahead log there (it answers {mode!r}): use a local disk"
        )
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(f"PRAGMA foreign_keys = {int(foreign_keys)}")
    # On a read-only root there is no place for the files of temporary results.
    connection.execute("PRAGMA temp_store = MEMORY")
    connection.execute(f"PRAGMA journal_size_limit = {WAL_LIMIT}")


def _ask_for_wal(connection: sqlite3.Connection, wait: float) -> str:
    """Switch a new file to its log. For that lock SQLite does not wait, whatever its time-out says."""
    for left in reversed(range(max(1, int(wait / _PAUSE)))):
        try:
            return str(connection.execute("PRAGMA journal_mode = WAL").fetchone()[0])
        except sqlite3.OperationalError as error:
            if not left or error.sqlite_errorname != "SQLITE_BUSY":
                raise
            sleep(_PAUSE)
    raise AssertionError  # the last attempt returned or raised


def explain_file_error(error: BaseException, path: Path) -> str:
    """Say what a failure of SQLite means and the fix."""
    cause = getattr(error, "orig", error)
    name: str = getattr(cause, "sqlite_errorname", None) or ""
    known = (text for prefix, text in _FIXES.items() if name.startswith(prefix))
    return f"the database {path} {next(known, f'fails: {cause}')}"


def maintain_file(database: Database) -> None:
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
    """Fold the write-ahead log into the file, and empty it where no process reads from it just now."""
    # Emptying it holds the write lock while it waits for readers; so nearly all is done before, without any lock, and
    # the wait is short: what cannot be emptied now is at the next call.
    connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
    (usual,) = connection.execute("PRAGMA busy_timeout").fetchone()
    connection.execute(f"PRAGMA busy_timeout = {EMPTYING}")
    try:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    finally:
        connection.execute(f"PRAGMA busy_timeout = {usual}")


# fmt: off
NETWORK = frozenset({
    "9p", "afpfs", "afs", "alluxio", "alluxio-fuse", "beegfs", "blobfuse", "blobfuse2", "ceph", "ceph-fuse", "cifs",
    "cosfs", "curlftpfs", "davfs", "davfs2", "drvfs", "fakeowner", "gcsfuse", "geesefs", "glusterfs", "goofys",
    "gpfs", "grpcfuse", "gvfsd-fuse", "juicefs", "lizardfs", "lustre", "mfs", "moosefs", "mount-s3",
    "mountpoint-s3", "ncpfs", "nfs", "nfs4", "obsfs", "orangefs", "osxfs", "ossfs", "panfs", "prl_fs", "prl_fsd",
    "pvfs2", "quobyte", "rclone", "s3fs", "seaweedfs", "smb2", "smb3", "smbfs", "sshfs", "vboxsf", "virtiofs",
    "vmhgfs", "vmhgfs-fuse", "weed", "wekafs",
})
# fmt: on
"""File systems that keep the files of another machine or of a bucket, or a folder that a virtual machine shares with
its host: shared memory is not the same for everybody there. A name stands for itself and behind `fuse.`."""

MOUNTS = Path("/proc/self/mounts")


def follow_links(path: Path) -> Path:
    """The file that a path leads to, over every link; refuses one that leads nowhere, or to no file."""
    try:
        found = path.resolve()
        with suppress(FileNotFoundError, NotADirectoryError):
            if not stat.S_ISREG(found.stat().st_mode):
                raise ConfigError(f"{DATABASE_URL}: {found} is not a file: name another, or move what is there away")
    except OSError as error:
        raise refusal_to_open(
            error, f"the path {path} cannot be followed", "name a file that this user can reach"
        ) from error
    except (RuntimeError, ValueError) as error:  # a circle of links, a NUL
        raise ConfigError(f"{DATABASE_URL}: the path cannot be followed ({error}): name another file") from error
    return found


def check_directory(path: Path, mounts: str | None = None) -> None:
    """Refuse a directory that is not there, or that is on another machine.

    `mounts` is what is mounted where, as /proc/mounts says it; None: ask the system.
    """
    directory = path.parent
    if not directory.is_dir():
        raise ConfigError(
            f"{DATABASE_URL}: the directory {directory} of the database does not exist: create it, or name another"
        )
    said = _mounts() if mounts is None else mounts
    if kind := not_local(directory, said):
        raise ConfigError(
            f"{DATABASE_URL}: {directory} is on a shared folder or network file system ({kind}),"
            " where SQLite loses data: use a local disk (in a container a named volume), or PostgreSQL"
        )
    if str(path) in (point for point, _, _ in _entries(said)):
        raise ConfigError(
            f"{DATABASE_URL}: {path} is mounted as a single file, so that its log would lie elsewhere and be lost:"
            " mount the folder that it lies in"
        )
    _check_beside(path)


def _check_beside(path: Path) -> None:
    """Refuse what lies where SQLite keeps its log, and is none: SQLite would say that the disk fails."""
    for ending in ("-wal", "-shm", "-journal"):
        beside = path.with_name(path.name + ending)
        with suppress(OSError):  # not there, mostly
            if not stat.S_ISREG(beside.lstat().st_mode):
                raise ConfigError(
                    f"{DATABASE_URL}: {beside} is not a file, and SQLite keeps its log there: remove what is there"
                )


def check_writable(path: Path) -> None:
    """Refuse a file or directory that may not be written. Opens the file, changes nothing."""
    if not os.access(path.parent, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids):
        raise ConfigError(
            f"{DATABASE_URL}: the directory {path.parent} may not be written, and SQLite needs to:"
            f" make it writable for user {os.geteuid()}"
        )
    fix = f"make it a file that user {os.geteuid()} may write, on a file system that is not mounted read-only"
    try:
        with suppress(FileNotFoundError):
            os.close(os.open(path, os.O_RDWR | os.O_NONBLOCK))
    except OSError as error:
        raise refusal_to_open(error, f"the database {path} may not be written", fix) from error


def not_local(directory: Path, mounts: str) -> str:
    """The kind of the file system that holds a directory, where SQLite would lose data on it; else empty."""
    source, kind = _holding(directory, mounts)
    plain = kind.lower().removeprefix("fuse.")
    # Some helpers leave the kind at `fuse` and are known by what they mount alone: `s3fs`, `JuiceFS:volume`.
    name = source.lower().partition(":")[0] if plain == "fuse" else plain
    return f"{kind} {name}" if plain == "fuse" and name in NETWORK else kind if name in NETWORK else ""


def file_system(directory: Path, mounts: str) -> str:
    """The kind of file system that holds a directory; empty where `mounts` (as in /proc/mounts) does not name it."""
    return _holding(directory, mounts)[1]


def _holding(directory: Path, mounts: str) -> tuple[str, str]:
    """What is mounted, and as which kind, at the nearest point above a directory; of several there the newest."""
    above = {str(directory.resolve()), *map(str, directory.resolve().parents)}
    holding = [
        (len(point), order, source, kind)
        for order, (point, source, kind) in enumerate(_entries(mounts))
        if point in above
    ]
    return max(holding)[2:] if holding else ("", "")


def _entries(mounts: str) -> Iterator[tuple[str, str, str]]:
    """The point, the source and the kind of each mount."""
    # The kernel ends a line with a line feed alone, and leaves every other odd character in a name as it is.
    for line in filter(None, mounts.split("\n")):
        source, point, kind = line.split(" ")[:3]
        yield _unescaped(point), _unescaped(source), kind


def _unescaped(point: str) -> str:
    """What the kernel writes as an octal number: blanks, tabs, line ends and backslashes."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), point)


def _mounts() -> str:
    with suppress(OSError):
        return os.fsdecode(MOUNTS.read_bytes())
    return ""
