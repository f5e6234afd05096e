"""Decides on a listing, or on what is other than in the last one, and writes that down in one transaction."""

from __future__ import annotations

import threading
from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING

import structlog
from msgspec import Struct
from msgspec.structs import replace

from worker.core.filters import NO_FILTERS
from worker.core.first_sight import is_first_sight, plan_first_sight
from worker.core.history import tallied
from worker.core.model import Difference, Snapshot
from worker.core.plan import Remainder, plan, plan_difference
from worker.core.remade import Remade

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from worker.core.model import Id, Memory, Unchanged
    from worker.core.plan import Plan
    from worker.core.policy import EscalationPolicy
    from worker.core.ports import Clock
    from worker.core.store_roles import Reviews
    from worker.rules import QueueRules

    Listed = Snapshot | Difference

log = structlog.get_logger(__name__)

NOTHING_LEFT = Remainder()

MOST_SIFTED = 1000
"""Runs that are asked about for filters at once: as many as one query may name. Others are shown until they are."""

LARGE = 10_000
"""Queues of so many runs are decided on one at a time: together they would take longer than a transaction may."""


class Concluded(Struct, frozen=True):
    """The last listing that is written down: how the source knows it again, and what was left to decide of it.

    It was decided on by `rules`. `same` is the listing as a difference from itself.
    """

    rules: QueueRules
    remainder: Remainder
    same: Difference

    def is_due(self, rules: QueueRules, now: datetime) -> bool:
        """Whether the whole listing has to be decided on again."""
        due_at = self.remainder.due_at
        if self.rules != rules or self.remainder.turns != rules.policy_for(self.same.queue).turns:
            return True
        return due_at is not None and due_at <= now - self.same.ahead

    @classmethod
    def of(cls, found: Listed, rules: QueueRules, decided: Plan) -> Concluded:
        """A listing that was decided on, once that is written down."""
        kept = {name: getattr(found, name) for name in Difference.__struct_fields__ if name != "gone"}
        return cls(rules, decided.remainder, Difference(**kept | {"runs": ()}))

    def unchanged(self, found: Unchanged) -> Concluded:
        """The same, as the source has just found it."""
        news = {name: getattr(found, name) for name in ("queue", "taken_at", "bare", "ahead", "concluded")}
        return replace(self, same=replace(self.same, **news))


class WholeNeededError(Exception):
    """Ends a transaction with nothing written: the difference alone does not say what has to be decided."""


class UnknownTraitsError(Exception):
    """Ends a transaction with nothing written: filters need more of these runs than the listing shows."""

    def __init__(self, runs: Sequence[Id]) -> None:
        super().__init__(runs)
        self.runs = runs


class Conclude:
    """Decides on a listing and writes that down. Thread-safe for different queues."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._large = threading.Lock()

    def __call__(
        self,
        store: Reviews,
        found: Listed,
        rules: QueueRules,
        remainder: Remainder = NOTHING_LEFT,
        revision: int = 0,
        *,
        is_sifted: bool = False,
    ) -> Plan:
        """Plan and write; one line for a poll that changed something.

        A difference is decided on with the `remainder` of the last decision, after which the queue had this `revision`.
        Raises WholeNeededError where that is not enough, and unless all `is_sifted` that can be, UnknownTraitsError.
        """
        with self._large if len(found.runs) >= LARGE else nullcontext():
            now = self._clock.now()
            decide = partial(_decide, found, rules, now, remainder, revision, is_sifted=is_sifted)
            decided = store.update(found.queue, _ids(found), decide, now, whole=isinstance(found, Snapshot))
        if decided.reviews:
            log.info(
                "queue_polled",
                queue=found.queue.name,
                waiting=found.count,
                changed=len(decided.reviews),
                closed=len(decided.closed),
                notices=[notice.kind.value for notice in decided.notices],
            )
        return decided


def _ids(found: Listed) -> Collection[Id]:
    """The queue runs that a listing concerns."""
    if isinstance(found, Difference):
        return {run.queue_run_id for run in found.runs} | set(found.gone)
    return Remade(len(found.runs), lambda: (run.queue_run_id for run in found.runs))


def _decide(  # noqa: PLR0913  (what a decision is made of)
    found: Listed,
    rules: QueueRules,
    now: datetime,
    remainder: Remainder,
    revision: int,
    memory: Memory,
    *,
    is_sifted: bool = False,
) -> Plan:
    """Decide on a listing. Pure; raises WholeNeededError for a difference that does not say enough.

    Unless it `is_sifted`, raises UnknownTraitsError for a bare listing of which filters need more.
    """
    policy = rules.policy_for(found.queue)
    if found.bare and not is_sifted and (unknown := policy.filters.unknown(found.runs, memory.reviews)):
        raise UnknownTraitsError(unknown[:MOST_SIFTED])
    decided = _planned(found, policy, now, remainder, revision, memory)
    # What the listing does not show waits still. How many the filters leave out only the note of the polls counts.
    waiting = found.count + len(decided.remainder.unlisted) if policy.filters is NO_FILTERS else None
    tally = tallied(decided.reviews, memory, rules.measure, waiting=waiting, now=now, ahead=found.ahead)
    return replace(decided, tally=tally)


def _planned(
    found: Listed, policy: EscalationPolicy, now: datetime, remainder: Remainder, revision: int, memory: Memory
) -> Plan:
    if isinstance(found, Snapshot):
        if is_first_sight(found, memory, policy, now):
            return plan_first_sight(found, memory, policy, now)
        return plan(found, memory, policy, now)
    # Who acted meanwhile may have changed more than is recalled here.
    is_known = memory.revision == revision
    decided = plan_difference(found, memory, remainder, policy, now) if is_known else None
    if decided is None:
        raise WholeNeededError
    return decided
