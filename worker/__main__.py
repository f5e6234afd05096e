"""Starts the command line, with a handler for SIGTERM before anything heavy is imported.

As process 1 of a container a signal without a handler is lost: the import of the libraries is long enough to lose one.
"""

from __future__ import annotations

import gc
import sys

from worker import signals


def main() -> None:
    """Run the command that the arguments name."""
    if sys.argv[1:2] == ["run"]:
        signals.install()
    gc.disable()  # until the command begins: looking for garbage among what is just imported slows the start by a sixth
    from worker.cli import app  # noqa: PLC0415 - see the module's docstring

    app()


if __name__ == "__main__":
    main()
