"""How the key stands with LangSmith: once several queues are refused, only one question in five minutes is asked."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import TYPE_CHECKING

from worker.core.ports import SourceError, Trouble

if TYPE_CHECKING:
    from uuid import UUID

    from worker.core.ports import Clock

PAUSE_SECONDS = 300.0
ENOUGH = 2
"""Different queues refused without any success between: it is the key, not the queue."""


class Standing:
    """What became of the last questions, all queues together. Thread-safe."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._refused: set[UUID] = set()
        self._reason = ""
        self._not_before = float("-inf")

    def admit(self) -> None:
        """Let a question pass, or raise SourceError while the key is known to be refused."""
        with self._lock:
            if len(self._refused) < ENOUGH:
                return
            now = self._clock.monotonic()
            if now < self._not_before:
                wait = timedelta(seconds=self._not_before - now)
                raise SourceError(self._reason, Trouble.REFUSED, retry_after=wait)
            # This one passes and finds out for all; the others wait for what it finds.
            self._not_before = now + PAUSE_SECONDS

    def refused(self, queue_id: UUID, error: SourceError) -> None:
        """A question about this queue was refused."""
        with self._lock:
            self._refused.add(queue_id)
            self._reason = str(error)
            if len(self._refused) == ENOUGH:
                self._not_before = self._clock.monotonic() + PAUSE_SECONDS

    def accepted(self) -> None:
        """A question was answered: the key is good."""
        with self._lock:
            self._refused.clear()
