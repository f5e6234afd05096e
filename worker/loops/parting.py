"""Finds out how runs left their queue: asks when they do, and again later for as long as a message shows them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import structlog

from worker.core.delivery import backoff
from worker.core.ports import SourceError, StoreError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from uuid import UUID

    from worker.core.model import Left, Queue
    from worker.core.ports import Clock, Source, Store
    from worker.rules import QueueRules

log = structlog.get_logger(__name__)

MOST = 20
"""Runs of earlier polls that are asked about in one; those that a message does not show are asked about only once."""

LONGEST_WAIT = timedelta(hours=1)


@dataclass(slots=True)
class Doubts:
    """What is known of one queue's questions; in memory only.

    `are_open` tells that the store may know of runs to ask about: as at first, for an earlier process may have ended
    between closing a review and asking. `vain` counts the attempts in a row that taught nothing, `raised` by how much
    the answers have raised the queue's revision since the last transaction.
    """

    are_open: bool = True
    vain: int = 0
    raised: int = 0
    not_before: float = 0.0


class Parting:
    """Asks how runs left, and remembers it: nothing but wording depends on it. Thread-safe for different queues."""

    def __init__(self, *, source: Source, clock: Clock) -> None:
        self._source = source
        self._clock = clock

    def __call__(
        self, queue: Queue, gone: Collection[UUID], doubts: Doubts, *, store: Store, rules: QueueRules
    ) -> None:
        """Ask about those that are `gone` since the last poll, and about earlier ones. Never raises for a failure."""
        doubts.are_open |= bool(gone)
        if not gone and (not doubts.are_open or self._clock.monotonic() < doubts.not_before):
            return
        try:
            taught = self._ask(queue, gone, doubts, store)
        except (SourceError, StoreError) as error:
            taught = False
            log.debug("how_left_unknown", queue=queue.name, error=str(error))
        doubts.vain = 0 if taught else doubts.vain + 1
        wait = (
            timedelta(0) if taught else backoff(doubts.vain, first=rules.settings.poll_interval, longest=LONGEST_WAIT)
        )
        doubts.not_before = self._clock.monotonic() + wait.total_seconds()

    def _ask(self, queue: Queue, gone: Collection[UUID], doubts: Doubts, store: Store) -> bool:
        """Whether there was nothing to learn, or something was."""
        earlier = store.unexplained(queue.queue_id, self._clock.now(), MOST)
        wanted = dict.fromkeys((*earlier, *gone))
        left: Mapping[UUID, Left] = self._source.fates(queue.queue_id, wanted.keys()) if wanted else {}
        if left:
            doubts.raised += store.learn(queue.queue_id, left, self._clock.now())
        doubts.are_open = not wanted.keys() <= left.keys()
        return bool(left) or not wanted
