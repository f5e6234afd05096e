"""Fixtures for tests of every kind."""

from __future__ import annotations

import gc
import os
from pathlib import Path

import pytest

from tests import postgres

SYSTEM = Path(__file__).parent / "system"
EARLIEST = 0.7
"""When so much of the rest has begun, all that mostly waits has."""

# A fifth of what collecting costs, in each process, would be looking for garbage that is not there.
gc.disable()


@pytest.fixture(scope="session")
def postgres_server(request: pytest.FixtureRequest, testrun_uid: str) -> postgres.Postgres:
    """One real PostgreSQL for all tests, in whatever process they run."""
    is_worker = hasattr(request.config, "workerinput")
    return postgres.shared(testrun_uid, leader=os.getppid() if is_worker else os.getpid())


@pytest.fixture
def postgres_url(postgres_server: postgres.Postgres) -> str:
    """An empty database of its own."""
    return postgres_server.create()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Spread what mostly waits over what mostly computes, so that no core is idle and nobody is waited for at the end.

    Of the former the long ones come first; the rest stays in its order.
    """
    waiting = sorted((item for item in items if _waits(item)), key=lambda item: item.get_closest_marker("long") is None)
    computing = [item for item in items if not _waits(item)]
    places = {id(item): EARLIEST * number / len(waiting) for number, item in enumerate(waiting)}
    places |= {id(item): number / len(computing) for number, item in enumerate(computing)}
    items.sort(key=lambda item: places[id(item)])


def _waits(item: pytest.Item) -> bool:
    return item.path.is_relative_to(SYSTEM) or item.get_closest_marker("long") is not None


def pytest_collection_finish() -> None:
    """Nothing that was collected will ever be garbage."""
    gc.enable()
