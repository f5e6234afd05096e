"""SIGTERM and SIGINT as one event; imports next to nothing, so that it can be in place first."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType

STOP = threading.Event()
"""Set by the first signal; the second one ends the process as it would have done without us."""

SIGNALS = (signal.SIGTERM, signal.SIGINT)


def install() -> None:
    """Turn the first SIGTERM or SIGINT into a clean stop."""
    for number in SIGNALS:
        signal.signal(number, _stop)


def _stop(_number: int, _frame: FrameType | None) -> None:
    STOP.set()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
