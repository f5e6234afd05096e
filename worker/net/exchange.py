"""One request and its answer under way: the deadline, how far they came, and what took the time."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import httpcore

from worker.core.ports import always
from worker.net.failures import TooLateError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from worker.core.ports import Clock

SENDING = (".send_request_headers.started", ".send_request_body.started")
ANSWERED = ".receive_response_headers.complete"
WORTH_NAMING = 1.0
"""Seconds from which on a step explains a delay."""


class Exchange:
    """One request and its answer. Belongs to the thread that sends it."""

    def __init__(self, clock: Clock, seconds: float, in_time: Callable[[], bool] = always) -> None:
        """Begin now. `in_time` is asked just before each part of the request goes out."""
        self._clock = clock
        self._in_time = in_time
        self._began_at = clock.monotonic()
        self._ends_at = self._began_at + seconds
        self._took: dict[str, float] = {}
        self.seconds = seconds
        self.has_begun = False
        self.is_answered = False
        self.is_fresh = False
        """Whether a connection was opened for it, rather than a kept one used."""

    def limit(self, timeout: float | None = None) -> float:
        """The time that remains, or `timeout` where that is shorter.

        Raises httpcore.ReadTimeout where nothing remains.
        """
        remaining = self._ends_at - self._clock.monotonic()
        if remaining <= 0:
            raise httpcore.ReadTimeout("the total deadline has passed")
        return remaining if timeout is None else min(timeout, remaining)

    def extend(self, seconds: float) -> None:
        """Move the deadline by the time for which the caller itself has waited."""
        self._ends_at += seconds

    @contextlib.contextmanager
    def spending(self, what: str) -> Iterator[None]:
        """Count the time within the context as that of `what`."""
        before = self._clock.monotonic()
        try:
            yield
        finally:
            self._took[what] = self._took.get(what, 0.0) + self._clock.monotonic() - before

    def slowest(self) -> str:
        """The step that took most of the time so far; '' where it was this process, not the network."""
        what = max(self._took, key=self._took.__getitem__, default="")
        spent = sum(self._took.values())
        if spent < max(WORTH_NAMING, (self._clock.monotonic() - self._began_at) / 2):
            return ""
        return f"{what} took {self._took[what]:.0f} s"

    def trace(self, event: str, info: Mapping[str, Any]) -> None:
        """Follow httpcore's account of the request."""
        # Its exceptions alone do not show whether the request began to go out.
        if event.endswith(SENDING) and info["request"].method != b"CONNECT":
            # No service acts on anything but a whole request: without its body it was surely not done.
            if not self._in_time():
                self.has_begun = False
                raise TooLateError
            self.has_begun = True
        elif event.endswith(ANSWERED) and self.has_begun:
            self.is_answered = True
