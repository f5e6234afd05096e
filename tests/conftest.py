"""Fixtures for tests of every kind."""

from __future__ import annotations

import gc
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests import postgres

if TYPE_CHECKING:
    from collections.abc import Iterable

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
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Spread what mostly waits over what mostly computes, so that no core is idle and nobody is waited for at the end.

    Of the former the long ones come first; the rest stays in its order. Each process gets an equal share of all, in one
    piece, and takes from others when it is done.
    """
    units = list(_units(items))
    waiting = sorted(filter(_waits, units), key=lambda unit: unit[0].get_closest_marker("long") is None)
    computing = [unit for unit in units if not _waits(unit)]
    places = {id(unit): EARLIEST * number / len(waiting) for number, unit in enumerate(waiting)}
    places |= {id(unit): number / len(computing) for number, unit in enumerate(computing)}
    units.sort(key=lambda unit: places[id(unit)])
    processes: int = getattr(config, "workerinput", {}).get("workercount", 1)
    items[:] = [item for share in range(processes) for unit in units[share::processes] for item in unit]


def _units(items: list[pytest.Item]) -> Iterable[list[pytest.Item]]:
    """What stays together: a test, or all tests of a module that share what is dear to make."""
    units: dict[object, list[pytest.Item]] = {}
    for item in items:
        units.setdefault(item.path if item.get_closest_marker("together") else item, []).append(item)
    return units.values()


def _waits(unit: list[pytest.Item]) -> bool:
    item = unit[0]
    return item.path.is_relative_to(SYSTEM) or item.get_closest_marker("long") is not None


def pytest_collection_finish() -> None:
    """Nothing that was collected will ever be garbage."""
    gc.enable()
