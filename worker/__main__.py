"""Starts the command line, with a handler for SIGTERM before anything heavy is imported.

As process 1 of a container a signal without a handler is lost: the import of the libraries is long enough to lose one.
"""

from __future__ import annotations

import contextlib
import gc
import io
import os
import sys
from typing import TYPE_CHECKING

from worker import outlet, signals

if TYPE_CHECKING:
    from typing import TextIO

_PATIENCE = {"run": 2.0, "poll": 10.0}
"""The commands that must not wait for the reader of their log, and the seconds that their end waits for one who does
not read at all: a service has to stop, while a pass may well be followed in a pager.
"""


def main() -> None:
    """Run the command that the arguments name."""
    command = sys.argv[1] if len(sys.argv) > 1 else ""
    if command == "run":
        signals.install(service=True)
    _complete_streams()
    with outlet.installed(_PATIENCE[command]) if command in _PATIENCE else contextlib.nullcontext():
        # Until the command begins: a search for garbage among fresh imports slows the start by a sixth.
        gc.disable()
        if command in _PATIENCE:
            _import_lean()
        from worker.cli import app  # noqa: PLC0415 - see the module's docstring

        try:
            app()
        finally:
            _flush()


def _import_lean() -> None:
    """Import what the work rests on without what it would take along where it is installed."""
    # structlog draws tracebacks by rich, httpx has a command line by click, and all could do with asyncio: a hundred
    # modules and 8 MB for nothing.
    hidden = dict.fromkeys(("anyio", "click", "greenlet", "rich"))
    sys.modules.update(hidden)  # type: ignore[arg-type]  # None there makes an import fail
    try:
        from worker import logs  # noqa: F401, PLC0415 - see the module's docstring
        from worker.net import client  # noqa: F401, PLC0415
        from worker.stores import database  # noqa: F401, PLC0415
    finally:
        for name in hidden:
            del sys.modules[name]


def _complete_streams() -> None:
    """Open the standard streams that are closed, and let every name be written."""
    # A database that is opened later must not get the number of a standard stream: output would be written into it.
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free: this one
    # Python has made closed streams None.
    sys.stdout = sys.stdout or open(1, "w", closefd=False)  # noqa: SIM115 - no path, and for as long as we live
    sys.stderr = sys.stderr or open(2, "w", closefd=False)  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            with contextlib.suppress(OSError):  # where a file has become a pipe since
                stream.reconfigure(errors="backslashreplace")  # a name that a terminal cannot show is no failure


def _flush() -> None:
    """Write the rest of the output; fail where that cannot be written."""
    # Otherwise the interpreter would report it in its own words, with a status of its own.
    unwritten = _flushed(sys.stdout)
    if unwritten is not None:
        with contextlib.suppress(OSError):
            sys.stderr.write(f"review-notifier: the result cannot be written: {unwritten.strerror}\n")
    _flushed(sys.stderr)
    ending = sys.exception()
    failed_already = isinstance(ending, SystemExit) and ending.code
    if unwritten is not None and not failed_already:
        sys.exit(1)


def _flushed(stream: TextIO) -> OSError | None:
    """Write the buffer of a stream; returns the error where that fails."""
    try:
        stream.flush()
    except OSError as error:
        # The rest goes nowhere: the interpreter would try to write it once more, and fail again.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
        return error
    except ValueError:  # it is closed, as after a pipe that was closed
        return None
    return None


if __name__ == "__main__":
    main()
