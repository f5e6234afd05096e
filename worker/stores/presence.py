"""Whether a database file is still the one that was opened: what is written to a file without a name is lost."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from worker.core.ports import StoreError

if TYPE_CHECKING:
    from pathlib import Path

Identity = tuple[int, int]

BESIDE = ("-wal", "-shm")
STOPPED = "Nothing is polled or posted until the service is stopped and started again"
RESTORE = (
    "Stop the service, put the right file back (the one that was moved away, or a backup), and start it; without one"
    " each queue begins with a new baseline"
)
FOLD = "Stop the service in order (no kill), which folds the log into the database as far as it can, and start it"


def identity(path: Path) -> Identity | None:
    """Which file has this name now; None where there is none."""
    try:
        found = os.stat(path)  # noqa: PTH116  at each transaction, and twice as quick
    except OSError:
        return None
    return found.st_dev, found.st_ino


class Presence:
    """Remembers the files that the first connection has opened, and compares. SQLite keeps them while one is open."""

    def __init__(self, path: Path) -> None:
        """Nothing is opened yet."""
        self._path = path
        self._known: dict[Path, Identity | None] = {}

    def note(self) -> None:
        """To be called when a connection has opened its files."""
        if not self._known:
            files = (self._path, *(self._path.with_name(self._path.name + ending) for ending in BESIDE))
            self._known = {file: identity(file) for file in files}

    def forget(self) -> None:
        """To be called when every connection was closed: SQLite removes the log, and may make another."""
        self._known = {}

    def check(self) -> None:
        """Raise StoreError where another file, or none, has the name now."""
        for file, known in self._known.items():
            found = identity(file)
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
