"""One process a database file."""

from __future__ import annotations

import errno
import os
import resource
import signal
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from worker.core.ports import ConfigError, StoreError
from worker.stores.lock import Busy, hold_lock, note_file, refusal_to_open, require_same_file

if TYPE_CHECKING:
    from collections.abc import Callable
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


def test_shows_who_looks_that_its_holder_works_on_another_file(path: Path) -> None:
    require_same_file(path)
    with hold_lock(path):
        path.write_text("the first")
        note_file(path)
        require_same_file(path)
        path.rename(path.with_name("away"))
        said = f"worker.db was removed or replaced while process {os.getpid()} on .* works on it: that one has stopped"
        with pytest.raises(StoreError, match=said):
            require_same_file(path)
        path.write_text("the second")
        with pytest.raises(StoreError, match=said):
            require_same_file(path)
    require_same_file(path)


def link(path: Path) -> None:
    path.symlink_to(path.with_name("precious"))


def hard_link(path: Path) -> None:
    path.hardlink_to(path.with_name("precious"))


@pytest.mark.parametrize("put", [link, hard_link, os.mkfifo, os.mkdir], ids=lambda put: put.__name__)
def test_is_never_what_somebody_put_in_its_place(path: Path, put: Callable[[Path], None]) -> None:
    path.with_name("precious").write_text("precious")
    put(path.with_name("worker.db.lock"))
    with pytest.raises(ConfigError, match=r"lock file .*: remove what is there"), hold_lock(path):
        pass
    require_same_file(path)  # who looks is not held up by it
    assert path.with_name("precious").read_text() == "precious"


def test_holds_on_a_disk_that_has_no_room_for_a_name(path: Path) -> None:
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, usual[1]))
    try:
        with hold_lock(path), pytest.raises(Busy, match="another process works on this database"), hold_lock(path):
            pass
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, usual)
        signal.signal(signal.SIGXFSZ, before)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_no_matter_of_settings(number: int) -> None:
    assert isinstance(refusal_to_open(OSError(number, os.strerror(number)), "it cannot be made"), StoreError)
