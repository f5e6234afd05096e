"""Deadlines for many short waits, kept by one thread: a timer for each would cost more than most statements."""

from __future__ import annotations

from threading import Condition, Thread
from typing import TYPE_CHECKING

from worker.clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import Callable

LINGER = 30.0
"""Seconds for which the thread stays with nothing to do."""


class Deadlines:
    """Calls what is still waited for after `seconds`. Thread-safe; the thread comes and goes by itself."""

    def __init__(self, seconds: float, *, linger: float = LINGER) -> None:
        """All waits are equally long, so the oldest is the first to be due."""
        self._seconds = seconds
        self._linger = linger
        self._clock = SystemClock()
        self._waits: dict[object, tuple[float, Callable[[], None]]] = {}
        self._changed = Condition()
        self._has_thread = False
        self._is_idle = False

    def begin(self, who: object, overdue: Callable[[], None]) -> None:
        """Wait for `who`, from now on where it was waited for already; `overdue` must be quick and raise nothing."""
        with self._changed:
            if not self._has_thread:
                Thread(target=self._keep, name="database-deadlines", daemon=True).start()
                self._has_thread = True
            elif self._is_idle:
                self._changed.notify()
            self._waits.pop(who, None)
            self._waits[who] = (self._clock.monotonic() + self._seconds, overdue)

    def end(self, who: object) -> None:
        """Wait for `who` no longer; once this has returned, it is not called."""
        with self._changed:
            self._waits.pop(who, None)

    def _keep(self) -> None:
        with self._changed:
            try:
                while self._waits or self._comes():
                    self._call_overdue()
            finally:
                self._has_thread = False

    def _comes(self) -> bool:
        self._is_idle = True
        self._changed.wait(self._linger)
        self._is_idle = False
        return bool(self._waits)

    def _call_overdue(self) -> None:
        who, (due, overdue) = next(iter(self._waits.items()))
        left = due - self._clock.monotonic()
        if left > 0:
            self._changed.wait(min(left, self._linger))
        else:
            del self._waits[who]
            overdue()
