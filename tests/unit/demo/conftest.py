"""A simulated LangSmith and a client that holds each of its answers to the published specification."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.support.langsmith_stage import theatre
from tests.support.published import hold_to_the_specification
from worker.demo.langsmith.server import SERVICE_KEY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.langsmith_stage import Stage, Theatre
    from worker.demo.langsmith.server import SimulatedLangSmith


@pytest.fixture(scope="session")
def house() -> Iterator[Theatre]:
    with theatre() as house:
        yield house


@pytest.fixture
def stage(house: Theatre) -> Iterator[Stage]:
    with house.stage() as stage:
        yield stage


@pytest.fixture
def langsmith(stage: Stage) -> SimulatedLangSmith:
    return stage.langsmith


@pytest.fixture
def client(stage: Stage) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=stage.root, headers={"X-API-Key": SERVICE_KEY}, verify=False) as client:  # noqa: S501 - no TLS here
        yield client


@pytest.fixture
def read(client: httpx.Client) -> Callable[..., Any]:
    """Read a path and hold the answer to the specification; `expect` is its status."""

    def read(path: str, *, expect: int = 200, by: str = "document", key: str = SERVICE_KEY, **params: Any) -> Any:
        answer = client.get(path, params=params, headers={"X-API-Key": key})
        assert answer.status_code == expect
        return hold_to_the_specification(answer, by=by)

    return read
