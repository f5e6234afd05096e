"""One process a database file."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from worker.core.ports import ConfigError
from worker.stores.lock import Busy, hold_lock

if TYPE_CHECKING:
    from pathlib import Path

HOLD = """
import sys, pathlib, time
from worker.stores.lock import hold_lock
with hold_lock(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "worker.db"


def holder(path: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    assert process.stdout.readline() == "held\n"
    return process


def test_is_free_at_first_and_again_afterwards(path: Path) -> None:
    for _ in range(2):
        with hold_lock(path):
            pass


def test_is_free_again_after_a_failure(path: Path) -> None:
    with pytest.raises(ZeroDivisionError), hold_lock(path):
        raise ZeroDivisionError
    with hold_lock(path):
        pass


def test_names_the_process_that_holds_it(path: Path) -> None:
    with holder(path) as other:
        with (
            pytest.raises(Busy, match=f"process {other.pid} on {socket.gethostname()} works on this database"),
            hold_lock(path),
        ):
            pass
        other.communicate("go on")
    with hold_lock(path):
        pass


def test_is_freed_by_a_kill(path: Path) -> None:
    with holder(path) as other:
        other.send_signal(signal.SIGKILL)
        other.communicate()
    with hold_lock(path):
        assert path.with_name("worker.db.lock").read_text() == f"process {os.getpid()} on {socket.gethostname()}\n"


def test_says_nothing_false_of_a_holder_that_has_ended(path: Path) -> None:
    with hold_lock(path):
        pass
    assert not path.with_name("worker.db.lock").read_text()


def test_does_not_touch_the_database(path: Path) -> None:
    with hold_lock(path):
        assert not path.exists()


@pytest.mark.parametrize("place", ["/proc/worker.db", "missing/worker.db"])
def test_needs_a_directory_that_may_be_written(tmp_path: Path, place: str) -> None:
    with pytest.raises(ConfigError, match="cannot be made"), hold_lock(tmp_path / place):
        pass
