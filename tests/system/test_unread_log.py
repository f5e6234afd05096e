"""A log that nobody reads: runs are announced, and a stop is a stop."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from tests.support.pipes import full_pipe
from tests.system.conftest import CHANNEL
from tests.system.process import PATIENCE, Bench, wait_for

if TYPE_CHECKING:
    from uuid import UUID

    from worker.demo.langsmith.server import SimulatedLangSmith
    from worker.demo.slack.server import SimulatedSlack


@pytest.mark.parametrize("log", ["full pipe", "closed pipe", "full disk"])
def test_runs_are_announced_and_a_stop_is_clean(
    bench: Bench, langsmith: SimulatedLangSmith, slack: SimulatedSlack, queue: UUID, log: str
) -> None:
    langsmith.add_run(queue, name="waits")
    with full_pipe() as (readable, writable):
        if log == "closed pipe":
            os.dup2(os.open(os.devnull, os.O_RDONLY), readable)
        elif log == "full disk":
            os.dup2(os.open("/dev/full", os.O_WRONLY), writable)
        started = bench.start("run", err=writable, WORKER_LOG_LEVEL="debug")
        try:
            wait_for(lambda: slack.messages(CHANNEL), "the baseline")
            started.send_signal(signal.SIGTERM)
            assert started.wait(PATIENCE) == 0
        finally:
            started.kill()
