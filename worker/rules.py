"""The rules of each queue: its settings with the ladder that follows from them, made once. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, TypeAlias

from worker.core.policy import EscalationPolicy, ladder

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from worker.core.model import Id, Queue
    from worker.settings import PerQueue, Settings


@dataclass(frozen=True, slots=True)
class QueueRules:
    """Everything that holds for one queue: `settings` are filled in, `policy` is the ladder that they describe."""

    settings: PerQueue
    policy: EscalationPolicy

    def stale_before(self, now: datetime) -> datetime | None:
        """Since when a run has to have waited to be stale now; None: none ever is."""
        after = self.settings.stale_after
        return None if after is None else now - after


RulesOf: TypeAlias = "Callable[[Queue | None], QueueRules]"
"""Gives the rules of a queue, or of what belongs to none (None)."""


def rules_of(settings: PerQueue) -> QueueRules:
    """The rules that the settings of one queue describe."""
    filled_in = settings.filled_in()
    return QueueRules(filled_in, ladder(filled_in))


def rules_for(settings: Settings) -> RulesOf:
    """The rules of every queue, each made once."""
    common = rules_of(settings.defaults)

    @cache
    def rules(queue_id: Id, name: str) -> QueueRules:
        return rules_of(settings.for_queue(queue_id, name))

    return lambda queue: common if queue is None else rules(queue.queue_id, queue.name)
