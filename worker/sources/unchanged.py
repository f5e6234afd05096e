"""Lists whose pages came byte for byte as at the last poll: nearly all of them, and unpacking is what a poll costs.

What a page looked like is kept as a digest. As long as pages match, they are held as they came; only when somebody
wants to see the runs after all are they unpacked.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from uuid import UUID

    from worker.sources.http import Packed
    from worker.sources.rows import Wanted

MOST_HELD = 64 * 1024 * 1024
"""Bytes of packed pages that are held at once, of all lists that are being read together."""


@dataclass(frozen=True, slots=True)
class Step:
    """A page of the last reading: where it began, how it came, and how many runs were known after it."""

    offset: int
    limit: int
    mark: bytes
    runs: int


@dataclass(frozen=True, slots=True)
class Reading:
    """What the last complete reading of a list gave, without its runs."""

    wanted: Wanted
    steps: tuple[Step, ...]
    fingerprint: int
    first: UUID | None
    unusable: int
    obscure: int
    strays: frozenset[UUID]


class Room:
    """Memory for held pages. Thread-safe."""

    def __init__(self, most: int = MOST_HELD) -> None:
        self._left = most
        # Entered again by a thread in which the collector ends a Held just then.
        self._lock = threading.RLock()

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
    """The pages of one reading that matched so far. Their room is free again when nobody holds this any more."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._taken = 0
        self.pages: list[Packed] = []

    def __del__(self) -> None:
        self.release()

    def add(self, page: Packed) -> bool:
        """Hold one more; False where there is no room."""
        if not self._room.take(len(page.raw)):
            return False
        self._taken += len(page.raw)
        self.pages.append(page)
        return True

    def release(self) -> None:
        """Let go of all of them."""
        self.pages = []
        self._room.give_back(self._taken)
        self._taken = 0
