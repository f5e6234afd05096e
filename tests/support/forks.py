"""Starts of Python processes that need not import their libraries again: half of a test run was spent on that.

One server for all processes of a test run has imported them, has no threads, and forks for each start. What it forks
has the arguments, environment, folder and streams of a fresh process. Only what is outside of Python differs: the
command line and the environment that the kernel shows in /proc.
"""

from __future__ import annotations

import fcntl
import gc
import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn
from uuid import uuid4

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# Also what the program imports with its first use: a server's driver and Slack's client take half as long as a poll.
LIBRARIES = (
    "alembic.command",
    "psycopg",
    "rich.live",
    "sqlalchemy.dialects.postgresql.psycopg",
    "sqlalchemy.dialects.sqlite.pysqlite",
    "typer.main",
    "tzdata",
    "worker.cli",
    "worker.commands.check",
    "worker.commands.database",
    "worker.commands.deliveries",
    "worker.commands.work",
    "worker.notifiers.slack.transport",
    "tests.support.acting",
    "tests.support.outbox",
)
MOST = 2**20
"""In bytes, more than what is asked for a start takes."""


class Process:
    """What is wanted of `subprocess.Popen`, for `review-notifier` or for a script.

    `streams` are the files that it has as input, output and errors. It ends where this process or this value does.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        script: str | None = None,
        streams: Sequence[int],
        cwd: str | Path = ".",
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.returncode: int | None = None
        env = dict(os.environ if env is None else env)  # noqa: TID251 - the environment of a process that is started
        wanted = [script, list(arguments), os.fspath(Path(cwd).absolute()), env]
        self._line = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._line.connect(server())
        socket.send_fds(self._line, [json.dumps(wanted).encode()], list(streams))
        self.pid = int(self._line.recv(20))

    def poll(self) -> int | None:
        """The exit status, negative for a signal; None while it runs."""
        with suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            if not select.select([self._line], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired("a forked process", timeout or 0)
            self.returncode = int(self._line.recv(20))
            self._line.close()
        return self.returncode

    def send_signal(self, sig: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, sig)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


@cache
def server() -> str:
    """Where the server of this test run listens; the first of its processes that asks has started it."""
    # xdist names the run in each of its processes. Without it, the process is a run of its own.
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", uuid4().hex)  # noqa: TID251 - xdist's
    leader = os.getppid() if "PYTEST_XDIST_WORKER" in os.environ else os.getpid()  # noqa: TID251 - the same
    folder = Path(tempfile.gettempdir(), f"notifier-forks-{os.geteuid()}")
    folder.mkdir(mode=0o700, exist_ok=True)
    place = folder / run
    with Path(folder, "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not place.exists():
            # It leaves the foreground once it listens. In a session of its own: what interrupts the tests leaves it.
            command = [sys.executable, "-m", "tests.support.forks", place, f"{leader}"]
            root = Path(__file__).parents[2]
            subprocess.run(command, cwd=root, check=True, stdin=subprocess.DEVNULL, start_new_session=True)
    return os.fspath(place)


def serve(place: Path, leader: int) -> None:
    """Fork for whoever asks, and report how each process ended, until the leader is gone."""
    lines: dict[int, socket.socket] = {}
    ended, waking = os.pipe()
    os.set_blocking(waking, False)
    signal.set_wakeup_fd(waking, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(os.fspath(place))
        listener.listen(64)
        _leave_the_foreground()
        while _is_there(leader):
            ready, _, _ = select.select([listener, ended], [], [], 1)
            if ended in ready:
                os.read(ended, 4096)
            _report(lines)
            if listener in ready:
                line = listener.accept()[0]
                pid = os.fork()
                if not pid:
                    for other in (listener, *lines.values()):
                        other.close()
                    _become(line)
                lines[pid] = line
                with suppress(OSError):  # whoever asked may be gone
                    line.send(f"{pid}".encode())
    place.unlink()


def _leave_the_foreground() -> None:
    if os.fork():
        os._exit(0)
    for number in (1, 2):
        os.dup2(0, number)
    gc.freeze()


def _is_there(process: int) -> bool:
    with suppress(ProcessLookupError):
        os.kill(process, 0)
        return True
    return False


def _report(lines: dict[int, socket.socket]) -> None:
    while lines and (found := os.waitpid(-1, os.WNOHANG))[0]:
        with lines.pop(found[0]) as line, suppress(OSError):  # the same
            line.send(f"{os.waitstatus_to_exitcode(found[1])}".encode())


def _become(line: socket.socket) -> NoReturn:
    """Become a fresh process, in one that was forked."""
    status = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        said, streams, _, _ = socket.recv_fds(line, MOST, 3)
        threading.Thread(target=_end_with_the_starter, args=[line], name="starter", daemon=True).start()
        _call(*json.loads(said), streams)
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)  # noqa: T201 - as the interpreter does
    except BaseException:  # noqa: BLE001 - as the interpreter does
        traceback.print_exc()
    finally:
        threading._shutdown()  # type: ignore[attr-defined]  # noqa: SLF001 - the interpreter's own wait at its end
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError):
                stream.flush()
        os._exit(status)


def _call(script: str | None, arguments: list[str], cwd: str, env: dict[str, str], streams: list[int]) -> None:
    os.chdir(cwd)
    os.environ.clear()  # noqa: TID251 - the environment of the process that this becomes
    os.environ.update(env)  # noqa: TID251 - the same
    time.tzset()
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    sys.argv[:] = ["review-notifier" if script is None else "-c", *arguments]
    if script is not None:
        exec(script, {"__name__": "__main__"})  # noqa: S102 - a test's own
        return
    from worker.__main__ import main  # noqa: PLC0415 - it must run with the environment that is wanted

    main()


def _end_with_the_starter(line: socket.socket) -> None:
    """Be gone where the process that started this one is, also where it was killed."""
    line.recv(1)
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    for library in LIBRARIES:
        importlib.import_module(library)
    serve(Path(sys.argv[1]), int(sys.argv[2]))
