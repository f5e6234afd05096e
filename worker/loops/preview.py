"""What a poll would post, without posting or remembering anything."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from worker.core.message import compose_post
from worker.core.model import Claim, Delivery
from worker.core.plan import plan
from worker.core.ports import SourceError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime
    from uuid import UUID

    from worker.core.model import Memory, Message, Notice, Plan, Queue, Review, ReviewKey, Snapshot
    from worker.core.ports import Clock, Source, Store
    from worker.loops.poll import Rules

log = structlog.get_logger(__name__)


class _NotWrittenError(Exception):
    """Ends the store's transaction with nothing written and carries out what was decided in it."""

    def __init__(self, decided: Plan, memory: Memory) -> None:
        super().__init__()
        self.decided = decided
        self.memory = memory


class Preview:
    """Plans as a poll would, and gives the messages instead of owing them."""

    def __init__(self, *, source: Source, store: Store, clock: Clock, rules: Callable[[Queue], Rules]) -> None:
        """`store` is only read: the transaction of each decision is rolled back."""
        self._source = source
        self._store = store
        self._clock = clock
        self._rules = rules

    def __call__(self, queue: Queue) -> tuple[Message, ...] | None:
        """The messages that a poll of the queue would post now; None where it could not be polled."""
        try:
            snapshot = self._source.snapshot(queue.queue_id, show=self._rules(queue).show)
        except SourceError as error:
            log.warning("queue_failing", queue=queue.name, error=str(error))
            return None
        now = self._clock.now()
        return tuple(self._messages(snapshot, now))

    def _messages(self, snapshot: Snapshot, now: datetime) -> Iterator[Message]:
        rules = self._rules(snapshot.queue)

        def decide(memory: Memory) -> Plan:
            raise _NotWrittenError(plan(snapshot, memory, rules.policy, now), memory)

        try:
            self._store.update(snapshot.queue, _keys(snapshot), decide, now)
        except _NotWrittenError as decision:
            reviews = {review.key: review for review in (*decision.memory.reviews, *decision.decided.reviews)}
            for notice in decision.decided.notices:
                claim = _claim(notice, snapshot.queue, reviews, now)
                yield compose_post(claim, claim.reviews, rules.show, now)


def _keys(snapshot: Snapshot) -> set[UUID]:
    return {run.queue_run_id for run in snapshot.runs}


def _claim(notice: Notice, queue: Queue, reviews: dict[ReviewKey, Review], now: datetime) -> Claim:
    delivery = Delivery(
        key=notice.key,
        kind=notice.kind,
        channel=notice.channel,
        created_at=now,
        due_at=now,
        queue=queue,
        mention=notice.mention,
    )
    return Claim(delivery, reviews=tuple(reviews[key] for key in notice.reviews))
