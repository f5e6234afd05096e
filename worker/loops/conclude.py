"""Decides on a listing, or on what is other than in the last one, and writes that down in one transaction."""

from __future__ import annotations

import threading
from contextlib import nullcontext
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import TYPE_CHECKING

import structlog

from worker.core.model import Difference, Snapshot
from worker.core.plan import Remainder, plan, plan_difference, undescribed, with_facts

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from datetime import datetime

    from worker.core.model import Id, Memory, Unchanged
    from worker.core.plan import Plan
    from worker.core.ports import Clock
    from worker.core.roles import Reviews
    from worker.loops.details import Naming
    from worker.rules import QueueRules

    Listed = Snapshot | Difference
    Decide = Callable[[Listed, Memory], Plan]

log = structlog.get_logger(__name__)

_NOTHING_LEFT = Remainder()

LARGE = 10_000
"""Queues of so many runs are decided on one at a time: together they would take longer than a transaction may."""


@dataclass(frozen=True, slots=True)
class Concluded:
    """The last listing that is written down: how the source knows it again, and what was left to decide of it.

    It was decided on by `rules`. `same` is the listing as a difference from itself.
    """

    rules: QueueRules
    remainder: Remainder
    same: Difference

    def is_due(self, rules: QueueRules, now: datetime) -> bool:
        """Whether the whole listing has to be decided on again."""
        due_at = self.remainder.due_at
        return self.rules != rules or (due_at is not None and due_at <= now - self.same.ahead)

    @classmethod
    def of(cls, found: Listed, rules: QueueRules, decided: Plan) -> Concluded:
        """A listing that was decided on, once that is written down."""
        kept = {each.name: getattr(found, each.name) for each in fields(Difference) if each.name != "gone"}
        return cls(rules, decided.remainder, Difference(**kept | {"runs": ()}))

    def unchanged(self, found: Unchanged) -> Concluded:
        """The same, as the source has just found it."""
        news = {name: getattr(found, name) for name in ("queue", "taken_at", "bare", "ahead", "concluded")}
        return replace(self, same=replace(self.same, **news))


class _NotDescribedError(Exception):
    """Ends a transaction with nothing written: first it is asked what these runs are called."""

    def __init__(self, queue_run_ids: Collection[Id], memory: Memory, decided: Plan) -> None:
        super().__init__()
        self.queue_run_ids = queue_run_ids
        self.memory = memory
        self.decided = decided


class WholeNeededError(Exception):
    """Ends a transaction with nothing written: the difference alone does not say what has to be decided."""


class Conclude:
    """Decides on a listing and writes that down. Thread-safe for different queues."""

    def __init__(self, naming: Naming, owed: Callable[[], None], clock: Clock) -> None:
        self._naming = naming
        self._owed = owed
        self._clock = clock
        self._large = threading.Lock()

    def __call__(
        self,
        store: Reviews,
        found: Listed,
        rules: QueueRules,
        remainder: Remainder = _NOTHING_LEFT,
        revision: int = 0,
    ) -> Plan:
        """Plan and write; one line for a poll that changed something, and a nudge where something is owed.

        A difference is decided on with the `remainder` of the last decision, after which the queue had this `revision`.
        Raises WholeNeededError where that is not enough.
        """
        with self._large if len(found.runs) >= LARGE else nullcontext():
            now = self._clock.now()
            decided = self._update(store, found, _deciding(rules, now, remainder, revision), rules, now)
        if decided.reviews:
            log.info(
                "queue_polled",
                queue=found.queue.name,
                waiting=found.count,
                changed=len(decided.reviews),
                closed=sum(not review.is_open for review in decided.reviews),
                notices=[notice.kind.value for notice in decided.notices],
            )
        if decided.notices:
            self._owed()
        return decided

    def _update(self, store: Reviews, found: Listed, decide: Decide, rules: QueueRules, now: datetime) -> Plan:
        whole = isinstance(found, Snapshot)
        keys = {run.queue_run_id for run in found.runs}
        if isinstance(found, Difference):
            keys.update(found.gone)

        def decide_on_described(memory: Memory) -> Plan:
            decided = decide(found, memory)
            if lacking := undescribed(decided):
                raise _NotDescribedError(lacking, memory, decided)
            return decided

        first = decide_on_described if found.bare else partial(decide, found)
        try:
            return store.update(found.queue, keys, first, now, whole=whole)
        except _NotDescribedError as waiting:
            at_first = waiting
        described = self._naming.described(found, at_first.queue_run_ids, rules.settings.show)

        def decide_again(memory: Memory) -> Plan:
            # Mostly nothing has happened since, and deciding costs more than comparing.
            return (
                with_facts(at_first.decided, described.runs) if memory == at_first.memory else decide(described, memory)
            )

        return store.update(found.queue, keys, decide_again, now, whole=whole)


def _deciding(rules: QueueRules, now: datetime, remainder: Remainder, revision: int) -> Decide:
    """How a listing is decided on. Pure; raises WholeNeededError for a difference that does not say enough."""

    def decide(found: Listed, memory: Memory) -> Plan:
        if isinstance(found, Snapshot):
            return plan(found, memory, rules.policy, now)
        # Who acted meanwhile may have changed more than is recalled here.
        is_known = memory.revision == revision
        decided = plan_difference(found, memory, remainder, rules.policy, now) if is_known else None
        if decided is None:
            raise WholeNeededError
        return decided

    return decide
