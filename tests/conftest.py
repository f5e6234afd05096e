"""Fixtures for tests of every kind."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests import postgres

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[postgres.Postgres]:
    """One real PostgreSQL for all tests of this process."""
    with postgres.running() as server:
        yield server


@pytest.fixture
def postgres_url(postgres_server: postgres.Postgres) -> str:
    """An empty database of its own."""
    return postgres_server.create()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start what mostly waits first, so that nobody waits for it alone at the end; the rest stays in its order."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)
