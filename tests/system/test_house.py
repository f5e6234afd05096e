"""How much of the house a poll has to walk through."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from uuid import UUID

    from tests.system.process import Bench
    from worker.demo.langsmith.server import SimulatedLangSmith


def test_a_healthy_poll_enters_few_files(bench: Bench, langsmith: SimulatedLangSmith, queue: UUID) -> None:
    langsmith.add_run(queue)
    where = {"cwd": bench.directory, "env": bench.env({"PYTHONPATH": bench.repository})}
    command = [sys.executable, "-m", "tests.entered", "poll"]
    done = subprocess.run(command, **where, capture_output=True, text=True, check=True)  # type: ignore[call-overload]
    entered = json.loads(done.stdout.splitlines()[-1])
    assert len(entered) <= 103, entered
