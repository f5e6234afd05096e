"""Ends a process with the one that started it, also where that one is killed: `python -m worker.demo.leash MODULE …`.

The starter holds the other end of standard input; where that closes, it is gone.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading

_PATIENCE = 5.0
"""Seconds for an orderly end; after that no one is left to whom the rest would matter."""


def command(module: str, *arguments: str) -> list[str]:
    """The command to start with a pipe as standard input, so that the module runs no longer than its starter."""
    return [sys.executable, "-m", "worker.demo.leash", module, *arguments]


def _main() -> None:
    """Run the module that the first argument names; it sees an empty standard input."""
    held = os.dup(0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    threading.Thread(target=_end_with, args=(held,), name="leash", daemon=True).start()
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


def _end_with(held: int) -> None:
    while os.read(held, 1024):
        continue
    os.kill(os.getpid(), signal.SIGTERM)
    threading.Event().wait(_PATIENCE)
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    _main()
