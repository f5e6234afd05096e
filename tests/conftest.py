"""Fixtures for tests of every kind."""

from __future__ import annotations

import gc
import os
import shutil
from pathlib import Path

import pytest

import tests.support.laws  # noqa: F401  for all tests: how laws are tried
from tests.support import postgres, testrun
from tests.support.parallel import pytest_addoption, pytest_runtestloop  # noqa: F401  in how many processes they run
from worker.stores.opening import migrate_database

IN_MEMORY = Path("/dev/shm")  # noqa: S108 - the file system, below which pytest makes a directory of its own
ROOM = 2**30
"""In bytes, more than ten times as much as the tests write."""

# A fifth of what collecting costs would be looking for garbage that is not there.
gc.disable()


def is_roomy(folder: Path) -> bool:
    """Whether tests may write and run programs there, and have the room."""
    usable = folder.is_dir() and os.access(folder, os.W_OK) and not os.statvfs(folder).f_flag & os.ST_NOEXEC
    return usable and shutil.disk_usage(folder).free > ROOM


# A commit waits for the disk, where it has to outlive a power cut. No test does, and all of them wait at one disk.
if is_roomy(IN_MEMORY):
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", os.fspath(IN_MEMORY))  # noqa: TID251 - pytest reads it


@pytest.fixture(scope="session")
def postgres_server() -> postgres.Postgres:
    """One real PostgreSQL for all tests, in whatever process they run."""
    return postgres.shared(testrun.NAME, leader=testrun.LEADER)


@pytest.fixture
def postgres_url(postgres_server: postgres.Postgres) -> str:
    """An empty database of its own."""
    return postgres_server.create()


@pytest.fixture
def migrated_postgres(postgres_server: postgres.Postgres) -> str:
    """A database of its own with the newest tables; its URL."""
    return postgres_server.migrated()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite file with the newest tables, to copy."""
    file = tmp_path_factory.mktemp("template") / "template.db"
    migrate_database(f"sqlite:///{file}")
    return file


def pytest_collection_finish() -> None:
    """Nothing that was collected will ever be garbage, so that nothing of it is ever looked at again.

    So the processes that are forked go on sharing its memory.
    """
    gc.freeze()
    gc.enable()
