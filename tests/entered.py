"""Runs the program and prints, as JSON, which of its files it enters: `python -m tests.entered poll`."""

from __future__ import annotations

import atexit
import inspect
import json
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import FrameType

WORKER = str(Path(__file__).parent.parent / "worker")


def main() -> None:
    """Note each file in which a function is called; loading a module enters nothing."""
    entered: set[str] = set()

    def note(frame: FrameType, event: str, _argument: Any) -> None:
        code = frame.f_code
        is_function = code.co_flags & inspect.CO_OPTIMIZED  # not the body of a module or of a class
        if event == "call" and is_function and code.co_filename.startswith(WORKER):
            entered.add(code.co_filename)

    from worker.__main__ import main as program  # noqa: PLC0415 - loaded before anything is noted

    atexit.register(lambda: print(json.dumps(sorted(entered))))  # noqa: T201
    threading.setprofile(note)
    sys.setprofile(note)
    program()


if __name__ == "__main__":
    main()
