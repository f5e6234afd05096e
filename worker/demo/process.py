"""The real worker as a process of its own, with settings of its own and nothing of the user's."""

from __future__ import annotations

import json
import subprocess
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import worker
from worker.demo import leash

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_PATIENCE = 35.0
"""Seconds that a stop may take: the worker itself promises less."""

LogLine = dict[str, Any]


class Running:
    """`review-notifier run` as it runs in `directory`, until it is stopped."""

    def __init__(self, directory: Path, settings: Mapping[str, str], hear: Callable[[LogLine], None]) -> None:
        """Start it; `hear` gets each line of its log, from another thread."""
        self._process = subprocess.Popen(  # noqa: S603 - our own program
            leash.command("worker", "run"),
            cwd=directory,
            # All of its environment: no variable of the user's reaches it, and `.env` is looked for in `directory`.
            env={"PYTHONPATH": str(Path(worker.__file__).parents[1]), "PYTHONUTF8": "1", **settings},
            stdin=subprocess.PIPE,  # open for as long as the demo lives: see `worker.demo.leash`
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,  # Ctrl-C is for the demo, which then stops it in good order
        )
        self._reader = threading.Thread(target=self._read, args=(hear,), name="worker's log", daemon=True)
        self._reader.start()

    def ended(self) -> int | None:
        """Its exit status; None while it runs."""
        return self._process.poll()

    def stop(self) -> int:
        """Ask it to end, and end it where it does not; its exit status (negative: the signal that ended it)."""
        if self._process.poll() is None:
            self._process.terminate()
        try:
            status = self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            status = self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._reader.join(_PATIENCE)
        return status

    def _read(self, hear: Callable[[LogLine], None]) -> None:
        stream = self._process.stderr
        if stream is None:
            return
        with stream:
            for written in stream:
                hear(_line(written))


@contextmanager
def running(directory: Path, settings: Mapping[str, str], hear: Callable[[LogLine], None]) -> Iterator[Running]:
    """A worker that is stopped at the end, whatever happens."""
    process = Running(directory, settings, hear)
    try:
        yield process
    finally:
        process.stop()


def _line(written: str) -> LogLine:
    try:
        line = json.loads(written)
    except ValueError:
        line = None
    return line if isinstance(line, dict) else {"event": written.rstrip("\n"), "level": "error"}
