"""The real process over loopback: start it, watch what it logs, stop or kill it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping


PATIENCE = 20.0
"""Seconds that a condition is waited for."""


def wait_for(condition: Callable[[], Any], what: str, *, patience: float = PATIENCE) -> Any:
    """Wait until `condition` gives something true, and return it."""
    deadline = time.monotonic() + patience  # noqa: TID251 - a system test lives in real time
    while not (found := condition()):
        if time.monotonic() > deadline:  # noqa: TID251 - a system test lives in real time
            raise AssertionError(f"not within {patience} s: {what}")
        time.sleep(0.05)
    return found


def stays(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Make sure that `condition` holds for so long."""
    deadline = time.monotonic() + seconds  # noqa: TID251 - a system test lives in real time
    while time.monotonic() < deadline:  # noqa: TID251 - a system test lives in real time
        assert condition(), what
        time.sleep(0.05)


class Process:
    """One `review-notifier run` and what it has logged so far."""

    def __init__(self, popen: subprocess.Popen[str]) -> None:
        self.popen = popen
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.popen.stderr is not None
        for line in self.popen.stderr:
            self.lines.append(line.rstrip("\n"))

    @property
    def events(self) -> list[dict[str, Any]]:
        """Log lines so far, decoded; a line that is not JSON fails the test."""
        return [json.loads(line) for line in list(self.lines) if line]

    def logged(self, event: str) -> list[dict[str, Any]]:
        return [line for line in self.events if line["event"] == event]

    def kill(self) -> None:
        self.popen.kill()
        self.popen.wait(10)
        self._reader.join(5)

    def stop(self, number: int = signal.SIGTERM, *, patience: float = 15.0) -> int:
        """Ask it to end; its exit status."""
        self.popen.send_signal(number)
        status = self.popen.wait(patience)
        self._reader.join(5)
        return status


class Bench:
    """A folder with settings in which commands are run."""

    def __init__(self, directory: Path, environment: Mapping[str, str]) -> None:
        self.directory = directory
        self.environment = dict(environment)

    def run(self, *arguments: str, patience: float = 60.0, **more: str) -> subprocess.CompletedProcess[str]:
        """Run one command to its end."""
        return subprocess.run(
            [sys.executable, "-m", "worker", *arguments],
            cwd=self.directory,
            env=self._env(more),
            capture_output=True,
            text=True,
            timeout=patience,
            check=False,
        )

    @contextmanager
    def service(self, **more: str) -> Iterator[Process]:
        """`run` in the background, ended hard where the test has not ended it."""
        popen = subprocess.Popen(
            [sys.executable, "-m", "worker", "run"],
            cwd=self.directory,
            env=self._env(more),
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
        )
        process = Process(popen)
        try:
            yield process
        finally:
            process.kill()
            assert popen.stderr is not None
            popen.stderr.close()

    def _env(self, more: Mapping[str, str]) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}  # noqa: TID251 - the child's environment
        root = os.fspath(self.repository)
        return kept | {"PYTHONPATH": root} | self.environment | more

    @property
    def repository(self) -> str:
        return str(Path(__file__).resolve().parents[2])
