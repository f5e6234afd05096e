"""Whose a database file is: one process at a time, by a lock that the kernel frees, and still the file it opened."""

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

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NO_FILE = {errno.ELOOP, errno.EISDIR, errno.ENXIO}
REMOVE = "remove what is there"

_PASSING = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM})
"""What may be over at the next try: a full disk, or a machine short of something."""

_TRIES, _TRY_EVERY = 3, 0.05
"""How often, and at which distance in seconds, a lock is tried that another process may only be looking at."""


class Busy(Exception):  # noqa: N818  the word for it everywhere
    """Another process works on this database. `str()` names it; exit status 75."""


@contextmanager
def hold_lock(database: Path) -> Iterator[None]:
    """Be the one process that works on a database file; Busy at once where another is.

    Raises ConfigError for a bad place, StoreError for a full disk.
    """
    # On a file beside the database, since SQLite drops its own locks when any copy of its file is closed.
    path = _path(database)
    file = _open(path)
    try:
        _take(file, path)
        try:
            yield
        finally:
            # While the lock is still held, so that the name of the next holder is never wiped.
            _name(file, "")
    finally:
        os.close(file)


def _open(path: Path) -> int:
    """Open or make the lock file itself: never what a link of that name leads to, nor what waits for a reader."""
    try:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
    except OSError as error:
        fix = REMOVE if error.errno in NO_FILE else "name a directory that exists and may be written"
        raise refusal_to_open(error, f"the lock file {path} cannot be made", fix) from error
    found = os.fstat(file)
    # What has a second name is somebody else's file, too, and would be overwritten here.
    if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
        os.close(file)
        raise ConfigError(f"{DATABASE_URL}: the lock file {path} is not a file of its own: {REMOVE}")
    return file


def holder(database: Path) -> str | None:
    """Who works on a database file, in its own words; None where no process does. The lock is only touched."""
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
    for _ in range(_TRIES):
        with suppress(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        threading.Event().wait(_TRY_EVERY)
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _take(file: int, path: Path) -> None:
    try:
        _grasp(file)
    except BlockingIOError as error:
        fix = "stop it first, or name another database"
        raise Busy(f"{_named(file) or 'another process'} works on this database (lock {path}): {fix}") from error
    except OSError as error:
        raise ConfigError(f"{DATABASE_URL}: {path} cannot be locked ({error.strerror}): use a local disk") from error
    _name(file, f"{words_for(os.getpid(), socket.gethostname())}\n")


def _name(file: int, holder: str) -> None:
    """Write down who holds the lock."""
    # On a full disk nothing stands there, and the lock holds all the same.
    with suppress(OSError):
        os.truncate(file, 0)
        os.pwrite(file, holder.encode(), 0)


def note_file(database: Path) -> None:
    """Write into the lock which file its holder works on, for who looks. To be called by the holder."""
    with suppress(OSError):
        # Appended: the first line is the holder's own.
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
        # The lock is tried last, since trying it keeps other processes out for a moment.
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
    found = _identity(database)
    return f"file {found[0]}:{found[1]}" if found else "no file"


def _path(database: Path) -> Path:
    return database.with_name(f"{database.name}.lock")


def refusal_to_open(
    error: OSError, what: str, fix: str = "name a directory that exists and may be written"
) -> Exception:
    """What it means that a file cannot be opened: a full disk passes (StoreError), else it is a matter of settings."""
    if error.errno in _PASSING:
        free = "Free some space, or whatever it lacks; it works then"
        return StoreError(f"{what}: {error.strerror}. {free}")
    return ConfigError(f"{DATABASE_URL}: {what} ({error.strerror}): {fix}")


_Identity = tuple[int, int]

_BESIDE = ("-wal", "-shm")
STOPPED = "Nothing is polled or posted until the service is stopped and started again"
RESTORE = (
    "Stop the service, put the right file back (the one that was moved away, or a backup), and start it; without one"
    " each queue begins with a new baseline"
)
FOLD = "Stop the service in order (no kill), which folds the log into the database as far as it can, and start it"


def _identity(path: Path) -> _Identity | None:
    """Which file has this name now; None where there is none."""
    try:
        # Not by opening it: where any copy of the file is closed, SQLite's locks on it are gone.
        found = os.stat(path)  # noqa: PTH116  at each transaction, and twice as quick
    except OSError:
        return None
    return found.st_dev, found.st_ino


class OpenedFiles:
    """Remembers the files that the first connection has opened, and compares. SQLite keeps them while one is open."""

    def __init__(self, path: Path) -> None:
        """Nothing is opened yet."""
        self._path = path
        self._known: dict[Path, _Identity | None] = {}

    def note(self) -> None:
        """To be called when a connection has opened its files."""
        if not self._known:
            files = (self._path, *(self._path.with_name(self._path.name + ending) for ending in _BESIDE))
            self._known = {file: _identity(file) for file in files}

    def forget(self) -> None:
        """To be called when every connection was closed: SQLite removes the log, and may make another."""
        self._known = {}

    def check(self) -> None:
        """Raise StoreError where another file, or none, has the name now."""
        for file, known in self._known.items():
            found = _identity(file)
            if known is not None and found != known:
                what = "was removed" if found is None else "was replaced by another file"
                raise StoreError(_lost(self._path, file, what))


def _lost(path: Path, file: Path, what: str) -> str:
    if file == path:
        return f"the database {path} {what} while this process works on it. {STOPPED}. {RESTORE}"
    return f"the log {file} of the database {what} while this process works on it. {STOPPED}. {FOLD}"


def lost_to(holder: str, path: Path) -> str:
    """What a process says that looks at a database whose `holder` works on another file."""
    return f"the database {path} was removed or replaced while {holder} works on it: that one has stopped. {RESTORE}"
