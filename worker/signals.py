"""SIGTERM and SIGINT as one event; imports next to nothing, so that it can be in place first."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType


SLICE = 0.1
"""Seconds after which a wait looks again."""


class Stop:
    """An event that a signal's handler may set.

    `threading.Event` may not be: its lock is held for an instant of each wait, and a handler that interrupts the main
    thread just there waits for that lock for ever. Here there is no lock, only a look ten times a second.
    """

    def __init__(self) -> None:
        """Nobody has asked for the end yet."""
        self._is_set = False

    def set(self) -> None:
        """Ask for the end. Safe in a signal's handler, whatever it interrupts."""
        self._is_set = True

    def is_set(self) -> bool:
        """Whether the end was asked for."""
        return self._is_set

    def wait(self, seconds: float) -> bool:
        """Wait for so long at most; whether the end was asked for."""
        left = seconds
        while left > 0 and not self._is_set:
            time.sleep(min(left, SLICE))
            left -= SLICE
        return self._is_set


STOP = Stop()
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
