"""Fixtures for tests of every kind."""

from __future__ import annotations

import fcntl
import gc
import os
import shutil
import tempfile
from functools import cache
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import tests.support.laws  # noqa: F401  for all tests: how laws are tried
from tests.support import postgres
from worker.stores.opening import migrate_database

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

SYSTEM = Path(__file__).parent / "system"
USUAL = 3.0
"""About how many seconds a test of the real process waits."""

IN_MEMORY = Path("/dev/shm")  # noqa: S108 - the file system, below which pytest makes a directory of its own
ROOM = 2**30
"""In bytes, more than ten times as much as the tests write."""

IS_COMPILED = any(Path(__file__).parent.glob("unit/__pycache__/test_*.pyc"))
"""Whether the tests have been collected here before. Those of `unit` are collected last."""

# A fifth of what collecting costs, in each process, would be looking for garbage that is not there.
gc.disable()


def is_roomy(folder: Path) -> bool:
    """Whether tests may write and run programs there, and have the room."""
    usable = folder.is_dir() and os.access(folder, os.W_OK) and not os.statvfs(folder).f_flag & os.ST_NOEXEC
    return usable and shutil.disk_usage(folder).free > ROOM


# A commit waits for the disk, where it has to outlive a power cut. No test does, and all of them wait at one disk.
if is_roomy(IN_MEMORY):
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", os.fspath(IN_MEMORY))  # noqa: TID251 - pytest reads it


@pytest.fixture(scope="session")
def postgres_server(request: pytest.FixtureRequest, testrun_uid: str) -> postgres.Postgres:
    """One real PostgreSQL for all tests, in whatever process they run."""
    is_worker = hasattr(request.config, "workerinput")
    return postgres.shared(testrun_uid, leader=os.getppid() if is_worker else os.getpid())


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


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Generator[None, object, object]:
    """Let one of several processes compile the tests, and the others read what it has written.

    Compiling costs as much as all else of collecting them.
    """
    run = getattr(session.config, "workerinput", {}).get("testrunuid")
    if run is None or IS_COMPILED:
        return (yield)
    path = Path(tempfile.gettempdir(), f"notifier-collecting-{run}")
    with path.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            fcntl.flock(lock, fcntl.LOCK_SH)
        try:
            return (yield)
        finally:
            path.unlink(missing_ok=True)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Let what mostly waits begin at once in most processes, beside what computes in the others.

    So no core is idle, and nobody is waited for at the end. xdist's processes begin with an equal share of all tests
    each, in one piece, and take from the end of others' shares when they are done.
    """
    units = list(_units(items))
    waiting = sorted(filter(_seconds, units), key=_seconds, reverse=True)
    computing = (item for unit in units if not _seconds(unit) for item in unit)
    processes: int = getattr(config, "workerinput", {}).get("workercount", 1)
    shares: list[list[pytest.Item]] = [[] for _ in range(processes)]
    seconds = dict.fromkeys(range(processes - processes // 4), 0.0)
    for unit in waiting:
        idlest = min(seconds, key=seconds.__getitem__)
        shares[idlest] += unit
        seconds[idlest] += _seconds(unit)
    left = len(items)
    for number, share in enumerate(shares):
        size = left // (processes - number)
        share.extend(islice(computing, max(size - len(share), 0)))
        left -= size
    items[:] = [*chain.from_iterable(shares), *computing]


def _units(items: list[pytest.Item]) -> Iterable[list[pytest.Item]]:
    """What stays together: a test, or all tests of a module that share what is dear to make."""
    units: dict[object, list[pytest.Item]] = {}
    for item in items:
        units.setdefault(item.path if item.get_closest_marker("together") else item, []).append(item)
    return units.values()


def _seconds(unit: list[pytest.Item]) -> float:
    """About how long a unit waits; 0 where it computes."""
    long = unit[0].get_closest_marker("long")
    if long is not None:
        return float(long.args[0])
    return _usual(unit[0].path)


@cache
def _usual(path: Path) -> float:
    return USUAL if path.is_relative_to(SYSTEM) else 0


def pytest_collection_finish() -> None:
    """Nothing that was collected will ever be garbage, so that nothing of it is ever looked at again."""
    gc.freeze()
    gc.enable()
