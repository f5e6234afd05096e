"""`init` at a real terminal."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from tests.system.process import PATIENCE, wait_for

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.system.process import Bench

ASKS = re.compile(r"(?:: |\] )$")
CTRL_C = "\x03"


TAKE_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.executable, [sys.executable, "-m", "worker", "init"])
"""


def at_a_terminal(bench: Bench, answers: Sequence[str], given: dict[str, str]) -> tuple[int, str]:
    """Answer each question as it comes; the exit status, and all that was shown."""
    terminal, inner = pty.openpty()
    where: dict[str, Any] = {"cwd": bench.directory, "env": given, "start_new_session": True}
    process = subprocess.Popen([sys.executable, "-c", TAKE_TERMINAL], stdin=inner, stdout=inner, stderr=inner, **where)
    os.close(inner)
    shown, left, idle = "", [*answers], 0

    def ended() -> bool:
        nonlocal shown, idle
        idle += 1
        if select.select([terminal], [], [], 0)[0]:
            try:
                shown += os.read(terminal, 65_536).decode()
            except OSError:  # the other side is closed
                return True
            idle = 0
        elif left and ASKS.search(shown):
            shown += "<"
            os.write(terminal, left.pop(0).encode())
        elif answers[-1] == CTRL_C and not left and idle % 100 == 0:
            # Just before it waits for a key, readline notices a signal only at the next key: people press again.
            os.write(terminal, CTRL_C.encode())
        return False

    try:
        wait_for(ended, "the end of init", patience=PATIENCE)
        return process.wait(PATIENCE), shown
    finally:
        process.kill()
        process.wait()
        os.close(terminal)


def test_secrets_are_not_shown_and_ctrl_c_writes_nothing(bench: Bench) -> None:
    known = ("PATH", "HOME", "LANG", "PYTHONPATH", "LANGSMITH_ENDPOINT", "SLACK_BASE_URL")
    given = {name: text for name, text in bench.env({}).items() if name in known}
    key = bench.environment["LANGSMITH_API_KEY"]
    status, shown = at_a_terminal(bench, [f"{key}\n", CTRL_C], given)
    assert status == 1, shown
    assert "The key can see 1 queue" in shown
    assert "Nothing was written" in shown
    assert key not in shown
    assert not list(bench.directory.iterdir())
