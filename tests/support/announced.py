"""Keeps what parts of the worker announce."""

from __future__ import annotations

from queue import SimpleQueue
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from worker.core.overview import Area


class Announced:
    """The Incidents of a test: each that lasts, as its text and its fix by its kind; and the ends so far."""

    def __init__(self) -> None:
        self.lasting: dict[str, tuple[str, str]] = {}
        self.begun: SimpleQueue[str] = SimpleQueue()
        self.ended = 0

    def begin(self, kind: str, area: Area, text: str, fix: str, *, subject: str = "") -> None:
        """Announce one."""
        assert area
        self.lasting[kind + subject] = (text, fix)
        self.begun.put(kind + subject)

    def end(self, kind: str, *, subject: str = "") -> None:
        """Announce its end."""
        self.lasting.pop(kind + subject, None)
        self.ended += 1
