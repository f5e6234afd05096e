"""A simulated LangSmith and Slack on loopback, and a bench on which the real process runs against them."""

from __future__ import annotations

import shutil
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from tests.system.process import Bench
from tests.system.stage import Stage
from worker.clock import SystemClock
from worker.demo.langsmith.server import SERVICE_KEY, SimulatedLangSmith
from worker.demo.serve import serving
from worker.demo.slack.server import SimulatedSlack

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from uuid import UUID


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--crashes", type=int, metavar="N", help="kill the worker so often at random moments; say figures")
    parser.addoption("--demo-screenshot", metavar="PNG", help="play the demo's whole story, then take this picture")


CHANNEL = "C0SUPPORT00"
LEADS = "C0LEADS0000"


@pytest.fixture
def langsmith() -> SimulatedLangSmith:
    return SimulatedLangSmith(SystemClock())


@pytest.fixture
def slack() -> SimulatedSlack:
    simulated = SimulatedSlack(SystemClock())
    simulated.add_channel(CHANNEL, "support")
    simulated.add_channel(LEADS, "leads")
    return simulated


@pytest.fixture
def queue(langsmith: SimulatedLangSmith) -> UUID:
    return langsmith.add_queue("Support QA")


@pytest.fixture
def bench(langsmith: SimulatedLangSmith, slack: SimulatedSlack, queue: UUID, tmp_path: Path) -> Iterator[Bench]:
    with serving(langsmith.app) as langsmith_url, serving(slack.app) as slack_url:
        yield Bench(
            tmp_path,
            {
                "LANGSMITH_API_KEY": SERVICE_KEY,
                "LANGSMITH_ENDPOINT": langsmith_url,
                "SLACK_BOT_TOKEN": slack.token,
                "SLACK_BASE_URL": f"{slack_url}/api/",
                "WORKER_QUEUES": str(queue),
                "WORKER_CHANNEL": CHANNEL,
                "WORKER_ANNOUNCE_EVERY": "0s",
                "WORKER_POLL_INTERVAL": "1s",
            },
        )
        # A call that hangs in a simulator would keep its server from ending.
        slack.heal()
        langsmith.heal()


@pytest.fixture
def migrated(bench: Bench, sqlite_template: Path) -> None:
    """Put the tables there that the process would make by itself: a third of what its first start costs."""
    shutil.copy(sqlite_template, bench.directory / "worker.db")


@pytest.fixture
def stage(
    bench: Bench,
    langsmith: SimulatedLangSmith,
    slack: SimulatedSlack,
    migrated: None,  # noqa: ARG001 - where the bench is
) -> Iterator[Stage]:
    with closing(Stage(bench, langsmith, slack)) as made:
        yield made
