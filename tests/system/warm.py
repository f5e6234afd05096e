"""Starts of the real command line that need not import its libraries again: half of a test run was spent on that.

A server without threads imports them once and forks for each start. What it forks is a process of its own, with the
arguments, environment, folder and streams of a fresh one; the code that runs in it is all of `worker.__main__`. Only
what is outside of Python differs: the command line and the environment that the kernel shows in /proc.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from multiprocessing import reduction
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

LIBRARIES = [
    "alembic.command",
    "rich.live",
    "sqlalchemy.dialects.postgresql.psycopg",
    "sqlalchemy.dialects.sqlite.pysqlite",
    "typer.main",
    "worker.cli",
    "worker.commands.check",
    "worker.commands.database",
    "worker.commands.deliveries",
    "worker.commands.work",
]

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(LIBRARIES)


class Stream:
    """A file of this process that one which is started gets, too."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __reduce__(self) -> Any:
        return _received, (reduction.DupFd(self.number),)


def _received(passed: Any) -> int:
    return int(passed.detach())


class Process:
    """What is wanted of `subprocess.Popen`, for a process that was started warm."""

    def __init__(self, arguments: Sequence[str], cwd: Path, env: Mapping[str, str], *, out: int, err: int) -> None:
        self._process = _context.Process(
            target=_begin, args=(list(arguments), cwd, dict(env), Stream(out), Stream(err)), daemon=True
        )
        self._process.start()
        assert self._process.pid is not None
        self.pid = self._process.pid

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        status = self._process.exitcode
        if status is None:
            raise subprocess.TimeoutExpired("review-notifier", timeout or 0)
        return status

    def send_signal(self, sig: int) -> None:
        if self._process.exitcode is None:
            os.kill(self.pid, sig)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def _end_with_the_starter() -> None:
    """Be gone where the process that started this one is, also where it was killed."""
    starter = multiprocessing.parent_process()
    if starter is not None:
        starter.join()
        os.kill(os.getpid(), signal.SIGKILL)


def _begin(arguments: list[str], cwd: Path, env: dict[str, str], out: int, err: int) -> None:
    """Become a fresh `review-notifier`, in a process that was forked."""
    threading.Thread(target=_end_with_the_starter, name="starter", daemon=True).start()
    os.chdir(cwd)
    os.environ.clear()  # noqa: TID251 - the environment of the process that this becomes
    os.environ.update(env)  # noqa: TID251
    time.tzset()
    for number, stream in ((1, out), (2, err)):
        os.dup2(stream, number)
        os.close(stream)
    sys.argv[:] = ["review-notifier", *arguments]
    from worker.__main__ import main  # noqa: PLC0415 - the tests must not have it loaded

    main()
