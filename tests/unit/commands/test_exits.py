"""The one clear message with which an error ends a command."""

from __future__ import annotations

import pytest

from worker.commands.exits import Exit, reported
from worker.core.ports import ConfigError


def test_several_problems_are_a_list_with_their_number(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended, reported():
        raise ConfigError("WORKER_A: one\nWORKER_B: two")
    assert ended.value.code == Exit.UNUSABLE
    assert capsys.readouterr().err.splitlines() == [
        "review-notifier: 2 problems:",
        "- WORKER_A: one",
        "- WORKER_B: two",
    ]


def test_one_problem_stands_by_itself(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit), reported():
        raise ConfigError("WORKER_A: one")
    assert capsys.readouterr().err == "review-notifier: WORKER_A: one\n"
