"""Hands over what people do in Slack, one thing after the other, in a thread of its own: reading never waits for it."""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING

import structlog

from worker.core.ports import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable

    from worker.core.ports import Heard

log = structlog.get_logger(__name__)

MOST_WAITING = 1000
"""What may wait. Anything more is not acknowledged, so that Slack shows its person that it failed."""


class HandOver:
    """What was heard and waits to be treated, and the thread that hands it over. Thread-safe."""

    def __init__(
        self, take: Callable[[Heard], None], seen: Callable[[str], bool], *, most_waiting: int = MOST_WAITING
    ) -> None:
        """`take` gets what is heard, in order; `seen` says of an envelope's id whether it came before."""
        self._take, self._seen, self._most_waiting = take, seen, most_waiting
        self._waiting: queue.SimpleQueue[Heard | None] = queue.SimpleQueue()
        self._handing = threading.Lock()
        self._thread = threading.Thread(target=self._work, name="slack-presses", daemon=True)

    def start(self) -> None:
        """Begin to hand over."""
        self._thread.start()

    def stop(self, seconds: float) -> None:
        """Wait for what was put in to be treated."""
        self._waiting.put(None)
        self._thread.join(seconds)

    @property
    def has_room(self) -> bool:
        """Whether one more thing may wait."""
        return self._waiting.qsize() < self._most_waiting

    def put(self, what: Heard) -> None:
        """Let something wait for its turn."""
        self._waiting.put(what)

    def hold(self) -> None:
        """Keep what is heard for whoever takes it next, once what is being treated is done."""
        self._handing.acquire()

    def hand_to(self, take: Callable[[Heard], None], seen: Callable[[str], bool]) -> None:
        """Hand what was held to another `take`, and from now on everything."""
        self._take, self._seen = take, seen
        self._handing.release()

    def _work(self) -> None:
        while (what := self._waiting.get()) is not None:
            with self._handing:
                try:  # one that goes wrong must not take the others along
                    if not self._was_seen(what):
                        self._take(what)
                except Exception:
                    log.exception("press_failed", envelope=what.envelope_id)

    def _was_seen(self, what: Heard) -> bool:
        try:
            return self._seen(what.envelope_id)
        except StoreError:  # it refuses the act as well, and the person is answered so
            return False
