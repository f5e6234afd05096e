"""A simulated LangSmith for each test of a source."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.langsmith_stage import theatre

if TYPE_CHECKING:
    from collections.abc import Iterator
    from uuid import UUID

    from tests.support.langsmith_stage import Stage, Theatre


@pytest.fixture(scope="session")
def house() -> Iterator[Theatre]:
    with theatre() as house:
        yield house


@pytest.fixture
def stage(house: Theatre) -> Iterator[Stage]:
    with house.stage() as stage:
        yield stage


@pytest.fixture
def queue(stage: Stage) -> UUID:
    return stage.langsmith.add_queue("Support QA")
