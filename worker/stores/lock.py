"""One process a database file: a lock that the kernel frees whatever becomes of its holder."""

from __future__ import annotations

import fcntl
import os
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING

from worker.core.ports import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Busy(Exception):  # noqa: N818  the word for it everywhere
    """Another process works on this database. `str()` names it; exit status 75."""


@contextmanager
def hold_lock(database: Path) -> Iterator[None]:
    """Be the one process that works on a database file; Busy at once where another is, ConfigError for a bad place.

    The lock lies on a file beside the database, since SQLite drops its own locks when any copy of the file is closed.
    """
    path = database.with_name(f"{database.name}.lock")
    try:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ConfigError(
            f"WORKER_DATABASE_URL: the lock file {path} cannot be made ({error.strerror}):"
            " name a directory that exists and may be written"
        ) from error
    try:
        _take(file, path)
        try:
            yield
        finally:
            os.truncate(file, 0)
    finally:
        os.close(file)


def _take(file: int, path: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = os.pread(file, 1000, 0).decode(errors="replace").strip() or "another process"
        raise Busy(f"{holder} works on this database (lock {path}): stop it first, or name another database") from error
    os.truncate(file, 0)
    os.pwrite(file, f"process {os.getpid()} on {socket.gethostname()}\n".encode(), 0)
