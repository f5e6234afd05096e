"""One process a database file: a lock that the kernel frees whatever becomes of its holder."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import stat
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from worker.core.ports import DATABASE_URL, ConfigError, StoreError
from worker.stores.place import refusal
from worker.stores.presence import identity, lost_to

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NO_FILE = {errno.ELOOP, errno.EISDIR, errno.ENXIO}
REMOVE = "remove what is there"

GLANCES, GLANCE = 3, 0.05
"""How often, and at which distance in seconds, a lock is tried that another process may only be looking at."""


class Busy(Exception):  # noqa: N818  the word for it everywhere
    """Another process works on this database. `str()` names it; exit status 75."""


@contextmanager
def hold_lock(database: Path) -> Iterator[None]:
    """Be the one process that works on a database file; Busy at once where another is.

    Raises ConfigError for a bad place, StoreError for a full disk. The lock lies on a file beside the database, since
    SQLite drops its own locks when any copy of the file is closed.
    """
    path = _path(database)
    file = _open(path)
    try:
        _take(file, path)
        try:
            yield
        finally:
            _name(file, "")
    finally:
        os.close(file)


def _open(path: Path) -> int:
    """Open or make the lock file itself: never what a link of that name leads to, nor what waits for a reader."""
    try:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
    except OSError as error:
        remedy = REMOVE if error.errno in NO_FILE else "name a directory that exists and may be written"
        raise refusal(error, f"the lock file {path} cannot be made", remedy) from error
    found = os.fstat(file)
    if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
        os.close(file)
        raise ConfigError(f"{DATABASE_URL}: the lock file {path} is no file of its own: {REMOVE}")
    return file


def holder(database: Path) -> str | None:
    """Who works on a database file, in its own words; None where nobody does. The lock is only touched."""
    try:
        file = os.open(_path(database), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _named(file)
    except OSError:
        return None
    finally:
        os.close(file)
    return None


def words_for(pid: int, host: str) -> str:
    """What a process writes into the lock that it holds."""
    return f"process {pid} on {host}"


def _named(file: int) -> str:
    """Who holds the lock, as its first line has it; the second names the file that is worked on."""
    return _lines(file)[0].strip()


def _lines(file: int) -> tuple[str, str]:
    first, _, second = os.pread(file, 1000, 0).decode(errors="replace").partition("\n")
    return first, second.strip()


def _grasp(file: int) -> None:
    """Take the lock; who only looks whether it is held has it for some microseconds."""
    for _ in range(GLANCES):
        with suppress(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        threading.Event().wait(GLANCE)
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _take(file: int, path: Path) -> None:
    try:
        _grasp(file)
    except BlockingIOError as error:
        remedy = "stop it first, or name another database"
        raise Busy(f"{_named(file) or 'another process'} works on this database (lock {path}): {remedy}") from error
    except OSError as error:
        raise ConfigError(f"{DATABASE_URL}: {path} cannot be locked ({error.strerror}): use a local disk") from error
    _name(file, f"{words_for(os.getpid(), socket.gethostname())}\n")


def _name(file: int, holder: str) -> None:
    """Write down who holds the lock. On a full disk nothing stands there: the lock holds all the same."""
    with suppress(OSError):
        os.truncate(file, 0)
        os.pwrite(file, holder.encode(), 0)


def note_file(database: Path) -> None:
    """Write into the lock which file its holder works on, for who looks. To be called by the holder."""
    with suppress(OSError):
        file = os.open(_path(database), os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            os.write(file, f"{_name_of(database)}\n".encode())
        finally:
            os.close(file)


def require_same_file(database: Path) -> None:
    """StoreError where a process works on a file that has had this name, and has it no more."""
    try:
        file = os.open(_path(database), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            return
        who, noted = _lines(file)
        if noted and noted != _name_of(database) and _is_held(file):
            raise StoreError(lost_to(who, database))
    finally:
        os.close(file)


def _is_held(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False


def _name_of(database: Path) -> str:
    found = identity(database)
    return f"file {found[0]}:{found[1]}" if found else "no file"


def _path(database: Path) -> Path:
    return database.with_name(f"{database.name}.lock")
