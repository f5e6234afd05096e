"""How the key stands with LangSmith: once several queues are turned away, one question a pause is asked for all."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import TYPE_CHECKING

from worker.core.cooldown import Cooldown
from worker.core.delivery import clamp_wish
from worker.core.ports import SourceError, Trouble

if TYPE_CHECKING:
    from worker.core.model import Id
    from worker.core.ports import Clock

PAUSES = {Trouble.REFUSED: timedelta(minutes=5), Trouble.THROTTLED: timedelta(minutes=1)}
"""The troubles that are the key's, and how long nothing is asked where the server does not say."""

ENOUGH = 2
"""Different queues turned away without any success between: it is the key, not the queue."""


class Standing:
    """What became of the last questions, all queues together. Thread-safe."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._turned_away: set[Id] = set()
        self._error = SourceError("", Trouble.REFUSED)
        self._cooldown = Cooldown()

    def admit(self) -> None:
        """Let a question pass, or raise SourceError while the key is known to be refused or throttled."""
        with self._lock:
            if len(self._turned_away) < ENOUGH:
                return
            now = self._clock.monotonic()
            if wait := self._cooldown.left(now):
                raise SourceError(str(self._error), self._error.trouble, retry_after=wait)
            # This one passes and finds out for all; the others wait for what it finds.
            self._cooldown = Cooldown.of(_pause(self._error), now)

    def failed(self, queue_id: Id, error: SourceError) -> None:
        """A question about this queue was answered with an error."""
        if error.trouble not in PAUSES:
            return
        with self._lock:
            self._turned_away.add(queue_id)
            # Kept without its traceback, which holds on to everything that was being read.
            self._error = SourceError(str(error), error.trouble, retry_after=error.retry_after)
            if len(self._turned_away) >= ENOUGH:
                self._cooldown = max(self._cooldown, Cooldown.of(_pause(error), self._clock.monotonic()))

    def accepted(self) -> None:
        """A question was answered: the key is good."""
        with self._lock:
            self._turned_away.clear()
            self._cooldown = Cooldown()


def _pause(error: SourceError) -> timedelta:
    """How long no question is asked; the server's own wish counts where it may be asked again soon."""
    wish = clamp_wish(error.retry_after) if error.trouble is Trouble.THROTTLED else None
    return wish or PAUSES[error.trouble]
