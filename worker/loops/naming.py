"""Learns what runs are called that a listing does not describe: before a message lists them, else as soon as it can."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import structlog
from msgspec import structs

from worker.core.diff import is_bare
from worker.core.ports import SourceError, StoreError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from worker.core.model import Facts, Id, Queue, Show, Snapshot
    from worker.core.ports import Clock, Descriptions
    from worker.core.roles import Reviews
    from worker.loops.parting import Doubts
    from worker.rules import QueueRules

log = structlog.get_logger(__name__)

MOST = 1000
"""Runs of messages that are there already that one poll may ask about."""


class Naming:
    """Asks for the facts of what messages list, and of nothing else. Thread-safe for different queues."""

    def __init__(self, descriptions: Descriptions | None, *, clock: Clock) -> None:
        """Without `descriptions` there is nobody to ask, and nothing is named."""
        self._descriptions = descriptions
        self._clock = clock

    def described(self, snapshot: Snapshot, queue_run_ids: Collection[Id], show: frozenset[Show]) -> Snapshot:
        """The snapshot with what can be had now of these runs. Never raises for a failure."""
        try:
            found = self._facts(snapshot.queue.queue_id, queue_run_ids, show)
        except SourceError as error:
            log.debug("runs_not_described", queue=snapshot.queue.name, error=str(error))
            return snapshot
        if not found:
            return snapshot
        runs = [
            structs.replace(run, facts=found[run.queue_run_id]) if run.queue_run_id in found else run
            for run in snapshot.runs
        ]
        return replace(snapshot, runs=runs)

    def __call__(self, queue: Queue, doubts: Doubts, *, store: Reviews, rules: QueueRules) -> Doubts:
        """Give messages what they lack, where `doubts` are open. Never raises for a failure."""
        if self._descriptions is None or not doubts.may_be_asked(self._clock.monotonic()):
            return doubts
        try:
            answered = self._learn(queue, doubts, store, rules.settings.show)
        except (SourceError, StoreError) as error:
            answered = None
            log.debug("runs_not_described", queue=queue.name, error=str(error))
        return answered or doubts.unanswered(self._clock.monotonic(), rules.settings.poll_interval)

    def _learn(self, queue: Queue, doubts: Doubts, store: Reviews, show: frozenset[Show]) -> Doubts | None:
        """The doubts after an answer; None where there was something to learn, and nothing was."""
        lacking = store.undescribed(queue.queue_id, self._clock.now(), MOST)
        wanted = [one for one, known in lacking.items() if is_bare(known)]
        if not wanted:
            return doubts.answered(are_open=False)
        found = self._facts(queue.queue_id, wanted, show)
        if not found:
            return None
        is_news = store.describe(queue.queue_id, found, self._clock.now())
        return doubts.answered(are_open=not found.keys() >= set(wanted), is_news=is_news)

    def _facts(self, queue_id: Id, queue_run_ids: Collection[Id], show: frozenset[Show]) -> Mapping[Id, Facts]:
        return {} if self._descriptions is None else self._descriptions.facts(queue_id, queue_run_ids, show=show)
