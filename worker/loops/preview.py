"""The dry run: the messages that a pass would post, without posting or remembering anything."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import structlog

from worker.core.message import compose_post, totals_of
from worker.core.model import Kind
from worker.core.outbox import Candidate, as_owed, claims_to_come, let_go
from worker.core.owed import Claim, Delivery, State
from worker.core.plan import plan, still_owed, undescribed
from worker.core.ports import SourceError
from worker.loops.details import Naming

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from worker.core.message import Message
    from worker.core.model import Id, Memory, Queue, Review, ReviewKey, Snapshot
    from worker.core.owed import Notice, Pause
    from worker.core.plan import Plan
    from worker.core.ports import Clock, Descriptions, Source
    from worker.rules import QueueRules, RulesOf

    About = tuple[Id | None, ReviewKey]
    from worker.core.roles import Channels, Deliveries, Reviews

log = structlog.get_logger(__name__)


class _NotWrittenError(Exception):
    """Ends the store's transaction with nothing written, and carries the decision out of it."""

    def __init__(self, decided: Plan, memory: Memory) -> None:
        super().__init__()
        self.decided = decided
        self.memory = memory


class Preview:
    """Plans as a poll would, and gives the messages instead of owing them.

    `store` is only read: the transaction of each decision is rolled back. The core chooses among the planned notices
    and those that wait already, as for every claim.
    """

    def __init__(  # noqa: PLR0913  (its surroundings, all by name)
        self,
        *,
        source: Source,
        store: Reviews,
        deliveries: Deliveries,
        channels: Channels,
        clock: Clock,
        rules: RulesOf,
        descriptions: Descriptions | None = None,
    ) -> None:
        """`rules` gives the rules of a queue, `descriptions` the facts that bare snapshots lack. Raises StoreError."""
        self._source = source
        self._store = store
        self._clock = clock
        self._rules = rules
        self._naming = Naming(descriptions, clock=clock)
        self.unread: list[str] = []
        """A sentence for each queue that could not be read."""
        # A pass tries every destination again at once, however long its pause would last.
        now = clock.now()
        self._pauses = [replace(pause, until=now) for pause in channels.pauses()]
        self._reviews: dict[About, Review] = {}
        self._candidates: list[Candidate[About]] = []
        self._purposes: dict[tuple[str, About], Kind] = {}
        for claim in deliveries.outbox():
            self._reviews |= {(_queue_id(claim.delivery), review.key): review for review in claim.reviews}
            self._add(let_go(claim.delivery), [review.key for review in claim.reviews], claim.purposes)

    def poll(self, queue: Queue) -> None:
        """Plan the notices that a poll of the queue would owe, or note that it could not be read. Raises StoreError."""
        try:
            snapshot = self._source.snapshot(queue.queue_id, self._rules(queue).settings.show)
        except SourceError as error:
            log.warning("queue_failing", queue=queue.name, error=str(error))
            self.unread.append(f"{queue.name} could not be read: {error}")
            return
        now = self._clock.now()
        rules = self._rules(snapshot.queue)
        decision = self._decide(snapshot, rules, now)
        if snapshot.bare and (lacking := undescribed(decision.decided)):
            decision = self._decide(self._naming.described(snapshot, lacking, rules.settings.show), rules, now)
        for review in (*decision.memory.reviews, *decision.decided.reviews):
            self._reviews[snapshot.queue.queue_id, review.key] = review
        for notice in decision.decided.notices:
            purposes = dict(zip(notice.reviews, notice.purposes, strict=False))
            self._add(_owed(notice, snapshot.queue, now, self._pauses), notice.reviews, purposes)

    def messages(self) -> Iterator[Message]:
        """The messages that would be posted now, in order."""
        # Without deliveries that may be posted already: a pass looks them up first, and this one must not ask.
        now = self._clock.now()
        for taken in claims_to_come(self._candidates, now, self._pauses):
            waiting, _ = still_owed(self._reviews[about] for about in taken.reviews)
            if taken.delivery.state is not State.UNKNOWN and (waiting or taken.delivery.kind is Kind.OPS):
                oldest_first = sorted(waiting, key=lambda review: (review.since, str(review.queue_run_id)))
                yield self._composed(taken.delivery, oldest_first, now)

    def _composed(self, delivery: Delivery, owed: Sequence[Review], now: datetime) -> Message:
        queue = delivery.queue
        if queue is None:
            return compose_post(Claim(delivery), owed, frozenset(), now)
        about = {review.key: (delivery.channel, (queue.queue_id, review.key)) for review in owed}
        claim = Claim(delivery, purposes={key: self._purposes[each] for key, each in about.items()})
        rules = self._rules(queue)
        totals = totals_of(
            (review for (of, _), review in self._reviews.items() if of == queue.queue_id), rules.stale_before(now)
        )
        return compose_post(
            claim,
            owed,
            rules.settings.show,
            now,
            stale_at=rules.policy.stale_at,
            totals=totals,
            zone=rules.policy.calendar.zone,
        )

    def _decide(self, snapshot: Snapshot, rules: QueueRules, now: datetime) -> _NotWrittenError:
        def decide(memory: Memory) -> Plan:
            raise _NotWrittenError(plan(snapshot, memory, rules.policy, now), memory)

        try:
            self._store.update(snapshot.queue, {run.queue_run_id for run in snapshot.runs}, decide, now)
        except _NotWrittenError as decision:
            return decision
        raise AssertionError  # the decision always ends the transaction

    def _add(self, delivery: Delivery, reviews: Sequence[ReviewKey], purposes: Mapping[ReviewKey, Kind]) -> None:
        """Put a delivery at the end of the outbox, unless its key is owed already."""
        if any(each.delivery.key == delivery.key for each in self._candidates):
            return
        queue_id = _queue_id(delivery)
        about = frozenset((queue_id, key) for key in reviews)
        self._purposes |= {(delivery.channel, (queue_id, key)): purposes.get(key, delivery.kind) for key in reviews}
        self._candidates.append(Candidate(delivery, len(self._candidates), about))


def _queue_id(delivery: Delivery) -> Id | None:
    return delivery.queue.queue_id if delivery.queue else None


def _owed(notice: Notice, queue: Queue, now: datetime, pauses: Sequence[Pause]) -> Delivery:
    delivery = Delivery(
        key=notice.key,
        kind=notice.kind,
        channel=notice.channel,
        created_at=now,
        due_at=now,
        queue=queue,
        mention=notice.mention,
        remind_in=notice.remind_in,
    )
    return as_owed(delivery, pauses)
