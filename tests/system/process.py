"""The real process over loopback: start it, watch what it logs, stop or kill it.

It is forked (see `tests.support.forks`) unless a test asks for `cold`, as a user's shell starts it.
"""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TextIO

from tests.support import forks
from worker.clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime


PATIENCE = 120.0
"""Seconds that a condition is waited for, on a machine with much else to do: where it holds, nothing waits so long."""


def soon_after(begun_at: datetime) -> str:
    """An age that no run has yet that came since then, however slow the machine is, and that it has soon.

    A run that is seen too late for its reminder gets another message. So it is seen by a worker that reminds of
    nothing, and grows old under the next one.
    """
    return f"{math.ceil((SystemClock().now() - begun_at).total_seconds()) + 2}s"


def wait_for(condition: Callable[[], Any], what: str, *, patience: float = PATIENCE) -> Any:
    """Wait until `condition` gives something true, and return it."""
    began = time.monotonic()  # noqa: TID251 - a system test lives in real time
    looked = began
    while not (found := condition()):
        now = time.monotonic()  # noqa: TID251 - a system test lives in real time
        if now > began + patience:
            raise AssertionError(f"not within {patience} s: {what}")
        # A look that starts a process is not taken at once again: it would take most of a core.
        time.sleep(min(max(0.05, 3 * (now - looked)), 1.0))
        looked = time.monotonic()  # noqa: TID251 - a system test lives in real time
    return found


def stays(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Make sure that `condition` holds for so long."""
    deadline = time.monotonic() + seconds  # noqa: TID251 - a system test lives in real time
    while time.monotonic() < deadline:  # noqa: TID251 - a system test lives in real time
        assert condition(), what
        time.sleep(0.05)


class Started(Protocol):
    """What is wanted of `subprocess.Popen`."""

    pid: int

    def wait(self, timeout: float | None = None) -> int: ...

    def send_signal(self, sig: int) -> None: ...

    def kill(self) -> None: ...


class Process:
    """One `review-notifier run` and what it has logged so far."""

    def __init__(self, popen: Started, log: TextIO) -> None:
        self.popen = popen
        self.lines: list[str] = []
        self._events: list[dict[str, Any]] = []
        self._read_so_far = 0
        self._reader = threading.Thread(target=self._read, args=(log,), daemon=True)
        self._reader.start()

    def _read(self, log: TextIO) -> None:
        with log:
            for line in log:
                self.lines.append(line.rstrip("\n"))

    @property
    def events(self) -> list[dict[str, Any]]:
        """Log lines so far, decoded; a line that is not JSON fails the test."""
        # Whoever waits for one asks many times a second: each line is read once.
        lines = self.lines[self._read_so_far :]
        self._events += [json.loads(line) for line in lines if line]
        self._read_so_far += len(lines)
        return list(self._events)

    def logged(self, event: str) -> list[dict[str, Any]]:
        return [line for line in self.events if line["event"] == event]

    def kill(self) -> None:
        self.popen.kill()
        self.popen.wait(PATIENCE)
        self._reader.join(PATIENCE)

    def stop(self, number: int = signal.SIGTERM, *, patience: float = PATIENCE) -> int:
        """Ask it to end; its exit status."""
        self.popen.send_signal(number)
        status = self.popen.wait(patience)
        self._reader.join(PATIENCE)
        return status


class Bench:
    """A folder with settings in which commands are run."""

    def __init__(self, directory: Path, environment: Mapping[str, str]) -> None:
        self.directory = directory
        self.environment = dict(environment)

    def run(
        self, *arguments: str, patience: float = 60.0, cold: bool = False, **more: str
    ) -> subprocess.CompletedProcess[str]:
        """Run one command to its end."""
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
            started = self._start(arguments, more, out=out.fileno(), err=err.fileno(), cold=cold)
            try:
                status = started.wait(patience)
            finally:
                started.kill()
            for file in (out, err):
                file.seek(0)
            return subprocess.CompletedProcess(arguments, status, out.read(), err.read())

    @contextmanager
    def service(self, *, cold: bool = False, **more: str) -> Iterator[Process]:
        """`run` in the background, ended hard where the test has not ended it."""
        readable, writable = os.pipe()
        with open(os.devnull, "w") as nowhere:  # noqa: PTH123 - no path, but a device
            started = self._start(["run"], more, out=nowhere.fileno(), err=writable, cold=cold)
        os.close(writable)
        process = Process(started, os.fdopen(readable))
        try:
            yield process
        finally:
            process.kill()

    def start(self, *arguments: str, err: int, **more: str) -> Started:
        """Start a command whose log goes to `err`, of which the caller takes care."""
        with open(os.devnull, "w") as nowhere:  # noqa: PTH123 - no path, but a device
            return self._start(arguments, more, out=nowhere.fileno(), err=err, cold=False)

    def _start(self, arguments: Sequence[str], more: Mapping[str, str], *, out: int, err: int, cold: bool) -> Started:
        env = self.env(more)
        if not cold:
            with open(os.devnull) as nothing:  # noqa: PTH123 - no path, but a device
                return forks.Process(arguments, streams=[nothing.fileno(), out, err], cwd=self.directory, env=env)
        command = [sys.executable, "-m", "worker", *arguments]
        return subprocess.Popen(command, cwd=self.directory, env=env, stdout=out, stderr=err)

    def env(self, more: Mapping[str, str]) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}  # noqa: TID251 - the child's environment
        root = os.fspath(self.repository)
        return kept | {"PYTHONPATH": root} | self.environment | more

    @property
    def repository(self) -> str:
        return str(Path(__file__).resolve().parents[2])
