"""Signals: those that end the worker, as one event, and those only noted. Imports little, to be in place first."""

from __future__ import annotations

import os
import signal
import time
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType


SLICE = 0.1
"""Seconds after which a wait looks again."""

MOST_NOTED = 8
"""More signals than these between two looks are one flood."""


class Stop:
    """An event that a signal's handler may set."""

    def __init__(self) -> None:
        """Begin unset."""
        # Not a threading.Event: its lock is held for an instant of each wait, and a handler that interrupts the main
        # thread just there would wait for that lock for ever. Here there is no lock, but a look ten times a second.
        self._is_set = False
        self._noted: deque[str] = deque(maxlen=MOST_NOTED)

    def set(self) -> None:
        """Ask for the end. Safe in a signal's handler, whatever it interrupts."""
        self._is_set = True

    def is_set(self) -> bool:
        """Whether the end was asked for."""
        return self._is_set

    def note(self, name: str) -> None:
        """Keep the name of a signal that ends nothing. Safe in a signal's handler."""
        # Kept and logged later: logging takes locks, which the interrupted thread may hold.
        self._noted.append(name)

    def noted(self) -> Iterator[str]:
        """Each name that was noted, once."""
        while self._noted:
            yield self._noted.popleft()

    def wait(self, seconds: float) -> bool:
        """Wait for `seconds` at most; returns whether the end was asked for."""
        left = seconds
        while left > 0 and not self._is_set:
            time.sleep(min(left, SLICE))
            left -= SLICE
        return self._is_set


STOP = Stop()
"""Set by the first signal; the second one ends the process as it would have done without us."""

ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)
NOTED = (signal.SIGUSR1, signal.SIGUSR2)


def install(*, service: bool = False) -> None:
    """Turn the first SIGTERM, SIGINT or SIGQUIT, and a terminal that is closed, into a clean stop.

    For a `service`, SIGHUP means a closed terminal only where its input is one. Elsewhere it asks services to read
    their settings again, and is only noted.
    """
    handlers: dict[signal.Signals, signal.Handlers | Callable[[int, FrameType | None], None]] = dict.fromkeys(
        ENDING, _stop
    )
    if service:
        handlers |= dict.fromkeys(NOTED, _note)
        handlers[signal.SIGTTOU] = signal.SIG_IGN  # a log to a terminal from the background must not halt the work
    # `nohup` has made us ignore it: that must stay so.
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        handlers[signal.SIGHUP] = _note if service and not os.isatty(0) else _hang_up
    for number, handler in handlers.items():
        signal.signal(number, handler)
    # The process that started us may have blocked signals, and that is inherited.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, handlers)


def _stop(_number: int, _frame: FrameType | None) -> None:
    STOP.set()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _hang_up(_number: int, _frame: FrameType | None) -> None:
    # The default is not restored as in _stop: the shell and the kernel each report the same closed terminal.
    STOP.set()


def _note(number: int, _frame: FrameType | None) -> None:
    STOP.note(signal.Signals(number).name)
