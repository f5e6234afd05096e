"""LangSmith and Slack as the settings describe them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.support.settings_place import COMPLETE, KEY, TOKEN, Place
from worker.commands.startup import hiding


def test_what_slack_may_repeat_is_hidden_and_a_password_that_is_a_number_spoils_no_timestamp(tmp_path: Path) -> None:
    database = {"WORKER_DATABASE_URL": "postgresql://user:1772@host/name"}
    hide = hiding(Place(tmp_path, tmp_path / "mount").load_all(COMPLETE | database))
    assert hide(f"no {TOKEN} and {KEY}") == "no [redacted] and [redacted]"
    assert hide("1772452800.000100") == "1772452800.000100"


def test_who_has_set_up_nothing_is_sent_to_init(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "worker", "run"]
    where = {"cwd": tmp_path, "env": {"PYTHONPATH": str(Path(__file__).parents[3])}}
    done = subprocess.run(command, **where, capture_output=True, text=True, check=False)  # type: ignore[call-overload]
    first, *missing, last = done.stderr.splitlines()
    assert (done.returncode, first, len(missing)) == (78, "review-notifier: 4 problems:", 4)
    assert "`review-notifier init`" in last
