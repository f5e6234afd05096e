"""What a user or a machine may do to a command ends in one message and its status, never in a traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.system.process import Bench

NO_THREADS = """
import threading

def refuse(thread):
    raise RuntimeError("can't start new thread")

threading.Thread.start = refuse
"""


def shell(bench: Bench, script: str, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run a command as `$@` of a script, so that a shell can do to its streams and its folder what shells can."""
    command = ["bash", "-c", script, "bash", sys.executable, "-m", "worker", *arguments]
    return subprocess.run(
        command, cwd=bench.directory, env=bench.env(more), capture_output=True, text=True, check=False, timeout=240
    )


def assert_one_message(done: subprocess.CompletedProcess[str], status: int, *parts: str) -> None:
    said = done.stdout + done.stderr
    assert done.returncode == status, said
    assert "Traceback" not in said
    assert all(part in said for part in parts), said


@pytest.mark.parametrize(
    ("script", "arguments", "status"),
    [
        ('"$@" 2>/dev/full', ["status"], 78),
        ('"$@" 2> >(true)', ["run"], 78),
        ('"$@" <&- >&- 2>&-', ["status"], 78),
        ('d=$PWD; cd .. && mv "$d" "$d-gone"; cd "$d-gone" && rmdir "$d-gone"; "$@"', ["status"], 78),
    ],
    ids=["full disk", "reader gone", "all closed", "folder gone"],
)
def test_the_status_is_right_whatever_the_streams_and_the_folder_are(
    bench: Bench, script: str, arguments: list[str], status: int
) -> None:
    assert_one_message(shell(bench, script, *arguments, WORKER_POLL_INTERVAL="soon"), status)


def test_a_result_that_cannot_be_written_is_a_failure(bench: Bench) -> None:
    assert bench.run("migrate").returncode == 0
    for arguments in (["status", "--json"], ["deliveries"], ["--help"]):
        done = shell(bench, '"$@" >/dev/full', *arguments)
        assert_one_message(done, 1, "the result cannot be written: No space left on device")


@pytest.mark.parametrize(
    ("arguments", "status", "part"),
    [
        (["deliveries", "--limit", "9223372036854775808"], 2, "--limit"),
        (["backup", "x" * 300], 1, "File name too long"),
    ],
)
def test_odd_arguments_are_refused(bench: Bench, arguments: list[str], status: int, part: str) -> None:
    assert bench.run("migrate").returncode == 0
    assert_one_message(bench.run(*arguments, COLUMNS="400"), status, part)


def test_a_state_directory_with_a_name_that_no_disk_takes_is_refused(bench: Bench) -> None:
    assert_one_message(bench.run("status", STATE_DIRECTORY="x" * 5000), 78, "WORKER_DATABASE_URL")


def test_a_machine_that_gives_no_threads_is_reported(bench: Bench, tmp_path: Path) -> None:
    """As under `ulimit -u`, which binds no root."""
    (tmp_path / "sitecustomize.py").write_text(NO_THREADS)
    done = bench.run("run", cold=True, PYTHONPATH=os.pathsep.join([str(tmp_path), bench.repository]))
    assert_one_message(done, 1, "no more memory or threads", "TasksMax")
