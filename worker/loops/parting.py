"""Finds out how runs left their queue: asks when they do, and again later for as long as a message shows them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING

import structlog

from worker.core.cooldown import Cooldown
from worker.core.ports import SourceError, StoreError

if TYPE_CHECKING:
    from collections.abc import Collection

    from worker.core.model import Id, Queue
    from worker.core.ports import Clock, Source
    from worker.core.roles import Reviews
    from worker.rules import QueueRules

log = structlog.get_logger(__name__)

MOST = 20
"""Runs of earlier polls that are asked about in one; those that a message does not show are asked about only once."""

LONGEST_WAIT = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Doubts:
    """The open questions about one queue's runs, and the wait before they are asked again; in memory only.

    `are_open` is whether the store may know of runs to ask about: as at first, for an earlier process may have ended
    between closing a review and asking. `raised` counts by how much the answers have raised the queue's revision since
    the last transaction.
    """

    are_open: bool = True
    raised: int = 0
    cooldown: Cooldown = field(default_factory=Cooldown)

    def may_be_asked(self, at: float) -> bool:
        """Whether there may be something to ask, and it is time for it."""
        return self.are_open and self.cooldown.is_over(at)

    def opened(self, *, when: bool = True) -> Doubts:
        """The same with another question, `when` there is one."""
        return replace(self, are_open=self.are_open or when)

    def answered(self, *, are_open: bool, is_news: bool = False) -> Doubts:
        """Those after an answer: some are perhaps open still, and what was news has raised the queue's revision."""
        return Doubts(are_open, self.raised + is_news)

    def unanswered(self, at: float, first: timedelta) -> Doubts:
        """Those after an attempt that taught nothing: it is repeated later each time, `first` the first time."""
        return replace(self, cooldown=self.cooldown.backed_off(at, first=first, longest=LONGEST_WAIT))


class Parting:
    """Asks how runs left, and remembers it: nothing but wording depends on it. Thread-safe for different queues."""

    def __init__(self, *, source: Source, clock: Clock) -> None:
        self._source = source
        self._clock = clock

    def __call__(
        self, queue: Queue, gone: Collection[Id], doubts: Doubts, *, store: Reviews, rules: QueueRules
    ) -> Doubts:
        """Ask about those that are `gone` since the last poll, and about earlier ones. Never raises for a failure."""
        doubts = doubts.opened(when=bool(gone))
        if not gone and not doubts.may_be_asked(self._clock.monotonic()):
            return doubts
        try:
            answered = self._ask(queue, gone, doubts, store)
        except (SourceError, StoreError) as error:
            answered = None
            log.debug("how_left_unknown", queue=queue.name, error=str(error))
        return answered or doubts.unanswered(self._clock.monotonic(), rules.settings.poll_interval)

    def _ask(self, queue: Queue, gone: Collection[Id], doubts: Doubts, store: Reviews) -> Doubts | None:
        """The doubts after an answer; None where there was something to learn, and nothing was."""
        earlier = store.unexplained(queue.queue_id, self._clock.now(), MOST)
        wanted = dict.fromkeys((*earlier, *gone))
        if not wanted:
            return doubts.answered(are_open=False)
        left = self._source.fates(queue.queue_id, wanted.keys())
        if not left:
            return None
        is_news = store.learn(queue.queue_id, left, self._clock.now())
        return doubts.answered(are_open=not wanted.keys() <= left.keys(), is_news=is_news)
