"""A simulated Slack over loopback and the notifier that talks to it."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest

from tests.support.slack_stage import TOKEN, Stage, stage
from worker.notifiers.slack.notifier import Slack

if TYPE_CHECKING:
    from collections.abc import Iterator

    from worker.demo.slack.server import SimulatedSlack


@pytest.fixture(scope="session")
def server() -> Iterator[Stage]:
    with stage() as made:
        yield made


@pytest.fixture
def slack(server: Stage) -> SimulatedSlack:
    return server.reset()


@pytest.fixture
def notifier(server: Stage, slack: SimulatedSlack) -> Iterator[Slack]:  # noqa: ARG001 - it answers the notifier
    with contextlib.closing(Slack(token=TOKEN, base_url=server.root, seconds=10)) as made:
        yield made
