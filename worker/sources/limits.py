"""How many rows to ask for at once, and how many bytes of pages are held. Thread-safe."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import TracebackType

    from worker.core.model import Id
    from worker.sources.http import Packed

STEPS = (100, 25, 5, 1)


MOST_HELD = 64 * 1024 * 1024
"""Bytes of packed pages that are held at once, of all lists that are being read together."""


class Limits:
    """The number of rows a page, remembered for each queue: fewer after one over the cap, more after small ones."""

    def __init__(self, most_bytes: int, steps: tuple[int, ...] = STEPS) -> None:
        """A page of more than `most_bytes` cannot be read; `steps` are the numbers of rows, the largest first."""
        self._most_bytes = most_bytes
        self._steps = steps
        self._of: dict[Id, int] = {}

    def of(self, queue_id: Id) -> int:
        """Rows to ask for."""
        return self._of.get(queue_id, self._steps[0])

    def shrink(self, queue_id: Id) -> bool:
        """After a page that was too large; False where it was a single row already."""
        step = self._steps.index(self.of(queue_id))
        if step + 1 == len(self._steps):
            return False
        self._of[queue_id] = self._steps[step + 1]
        return True

    def read(self, queue_id: Id, body: int) -> None:
        """After a page of `body` bytes: where the next larger page would surely fit, it is tried again."""
        step = self._steps.index(self.of(queue_id))
        if step and body * (self._steps[step - 1] // self._steps[step]) * 2 < self._most_bytes:
            self._of[queue_id] = self._steps[step - 1]


class Room:
    """Memory for pages that are held. Thread-safe."""

    def __init__(self, most: int = MOST_HELD) -> None:
        self._left = most
        self._lock = threading.Lock()

    def take(self, size: int) -> bool:
        """Take so many bytes; False where there are not as many."""
        with self._lock:
            if size > self._left:
                return False
            self._left -= size
            return True

    def give_back(self, size: int) -> None:
        """Return what was taken."""
        with self._lock:
            self._left += size


class Held:
    """The pages of one reading that came as before, for as long as this context lasts."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._taken = 0
        self.pages: list[Packed] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.pages = []
        self._room.give_back(self._taken)
        self._taken = 0

    def add(self, page: Packed) -> bool:
        """Hold one more; False where there is no room."""
        if not self._room.take(len(page.raw)):
            return False
        self._taken += len(page.raw)
        self.pages.append(page)
        return True
