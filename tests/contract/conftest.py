"""The implementations that the contracts are run on."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.contract import stores

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.support.postgres import Postgres
    from worker.core.store_roles import Store


@pytest.fixture(scope="session")
def empty_sqlite(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Store]]:
    """Gives the store on SQLite, emptied."""
    yield from stores.sqlite(shutil.copy(sqlite_template, tmp_path_factory.mktemp("sqlite")))


@pytest.fixture(scope="session")
def empty_postgres(postgres_server: Postgres) -> Iterator[Callable[[], Store]]:
    """Gives the store on PostgreSQL, emptied."""
    yield from stores.postgres(postgres_server)


def _store(request: pytest.FixtureRequest) -> Iterator[Store]:
    if request.param == "memory":
        yield from stores.memory()
    else:
        yield request.getfixturevalue(f"empty_{request.param}")()


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def store(request: pytest.FixtureRequest) -> Iterator[Store]:
    """An empty store of each kind."""
    yield from _store(request)


@pytest.fixture(params=["sqlite", "postgres"])
def sql_store(request: pytest.FixtureRequest) -> Iterator[Store]:
    """An empty store of each kind that more than one thread may use for real."""
    yield from _store(request)
