"""Starts the command line, with a handler for SIGTERM before anything heavy is imported.

As process 1 of a container a signal without a handler is lost: the import of the libraries is long enough to lose one.
"""

from __future__ import annotations

import contextlib
import gc
import io
import os
import sys

from worker import signals


def main() -> None:
    """Run the command that the arguments name."""
    if sys.argv[1:2] == ["run"]:
        signals.install()
    # Of streams that were closed by whoever started us Python makes None; nor may a database file get their numbers.
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: PTH123, SIM115 - no path, and for as long as we live
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: PTH123, SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            with contextlib.suppress(OSError):  # where a file has become a pipe since
                stream.reconfigure(errors="backslashreplace")  # a name that a terminal cannot show is no failure
    gc.disable()  # until the command begins: looking for garbage among what is just imported slows the start by a sixth
    from worker.cli import app  # noqa: PLC0415 - see the module's docstring

    try:
        app()
    finally:
        _flush()


def _flush() -> None:
    """What cannot be written is a failure like others, and not one of the interpreter's that nobody has heard of."""
    try:
        sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.stderr.write(f"review-notifier: the result cannot be written: {error.strerror}\n")
        sys.exit(1)


if __name__ == "__main__":
    main()
