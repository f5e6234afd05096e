"""How many rows to ask for at once: fewer after a page over the cap, more again after small ones. Thread-safe."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from uuid import UUID

STEPS = (100, 25, 5, 1)


class Limits:
    """The number of rows a page, remembered for each queue."""

    def __init__(self, most_bytes: int, steps: tuple[int, ...] = STEPS) -> None:
        """A page of more than `most_bytes` cannot be read; `steps` are the numbers of rows, the largest first."""
        self._most_bytes = most_bytes
        self._steps = steps
        self._of: dict[UUID, int] = {}

    def of(self, queue_id: UUID) -> int:
        """Rows to ask for."""
        return self._of.get(queue_id, self._steps[0])

    def shrink(self, queue_id: UUID) -> bool:
        """After a page that was too large; False where it was a single row already."""
        step = self._steps.index(self.of(queue_id))
        if step + 1 == len(self._steps):
            return False
        self._of[queue_id] = self._steps[step + 1]
        return True

    def read(self, queue_id: UUID, body: int) -> None:
        """After a page of `body` bytes: where the next larger page would surely fit, it is tried again."""
        step = self._steps.index(self.of(queue_id))
        if step and body * (self._steps[step - 1] // self._steps[step]) * 2 < self._most_bytes:
            self._of[queue_id] = self._steps[step - 1]
