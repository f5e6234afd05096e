"""What a poll would post, without posting or remembering anything."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

import structlog

from worker.core.message import compose_post
from worker.core.model import FIRST_SIGHT, LATER, Claim, Delivery, Kind
from worker.core.plan import plan, undescribed
from worker.core.ports import SourceError
from worker.loops.naming import Naming

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from datetime import datetime
    from uuid import UUID

    from worker.core.model import Memory, Message, Notice, Plan, Queue, Review, ReviewKey, Show, Snapshot
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

    def __init__(
        self,
        *,
        source: Source,
        store: Store,
        clock: Clock,
        rules: Callable[[Queue], Rules],
        waiting: Iterable[Claim] = (),
    ) -> None:
        """`store` is only read: the transaction of each decision is rolled back.

        `waiting` are posts that were not made so far.
        """
        self._source = source
        self._store = store
        self._clock = clock
        self._rules = rules
        self._naming = Naming(source=source, clock=clock)
        self.unread: list[str] = []
        """Queues that could not be read, each in words."""
        self._waiting: defaultdict[UUID | None, list[Claim]] = defaultdict(list)
        for claim in waiting:
            queue = claim.delivery.queue
            self._waiting[queue.queue_id if queue else None].append(claim)

    def rest(self) -> tuple[Message, ...]:
        """What waits to be posted beside the queues that were polled, to be asked for after them."""
        now = self._clock.now()
        return tuple(
            compose_post(claim, claim.reviews, self._show(claim), now)
            for claims in self._waiting.values()
            for claim in _together(claims)
        )

    def _show(self, claim: Claim) -> frozenset[Show]:
        return self._rules(claim.delivery.queue).show if claim.delivery.queue else frozenset()

    def __call__(self, queue: Queue) -> tuple[Message, ...] | None:
        """The messages that a poll of the queue would post now; None where it could not be polled."""
        try:
            snapshot = self._source.snapshot(queue.queue_id, show=self._rules(queue).show)
        except SourceError as error:
            log.warning("queue_failing", queue=queue.name, error=str(error))
            self.unread.append(f"{queue.name} could not be read: {error}")
            return None
        now = self._clock.now()
        return tuple(self._messages(snapshot, now))

    def _messages(self, snapshot: Snapshot, now: datetime) -> Iterator[Message]:
        rules = self._rules(snapshot.queue)
        decision = self._decide(snapshot, rules, now)
        if snapshot.bare and (lacking := undescribed(decision.decided)):
            decision = self._decide(self._naming.described(snapshot, lacking, rules.show), rules, now)
        reviews = {review.key: review for review in (*decision.memory.reviews, *decision.decided.reviews)}
        waiting = self._waiting.pop(snapshot.queue.queue_id, [])
        owed = [replace(claim, reviews=_as_now(claim.reviews, reviews)) for claim in waiting]
        planned = [_claim(notice, snapshot.queue, reviews, now) for notice in decision.decided.notices]
        for claim in _together([*owed, *planned]):
            yield compose_post(claim, claim.reviews, rules.show, now)

    def _decide(self, snapshot: Snapshot, rules: Rules, now: datetime) -> _NotWrittenError:
        def decide(memory: Memory) -> Plan:
            raise _NotWrittenError(plan(snapshot, memory, rules.policy, now), memory)

        try:
            self._store.update(snapshot.queue, _keys(snapshot), decide, now)
        except _NotWrittenError as decision:
            return decision
        raise AssertionError  # the decision always ends the transaction


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


def _as_now(reviews: Iterable[Review], decided: Mapping[ReviewKey, Review]) -> tuple[Review, ...]:
    return tuple(decided.get(review.key, review) for review in reviews)


def _together(claims: Iterable[Claim]) -> Iterator[Claim]:
    """What is posted of all that waits for one queue, as the outbox would claim it.

    Like goes with like, a later notice stands for the first sight, and what has left is not told of.
    """
    alike: defaultdict[tuple[Kind, str], list[Claim]] = defaultdict(list)
    later: defaultdict[str, set[ReviewKey]] = defaultdict(set)
    for claim in claims:
        alike[claim.delivery.kind, claim.delivery.channel].append(claim)
        if claim.delivery.kind in LATER:
            later[claim.delivery.channel] |= {review.key for review in claim.reviews if review.is_open}
    for (kind, channel), some in alike.items():
        if kind is Kind.OPS:
            yield from some
            continue
        told_anyway = later[channel] if kind in FIRST_SIGHT else set()
        told = {review.key: review for claim in some for review in claim.reviews if review.is_open}
        left = [review for key, review in told.items() if key not in told_anyway]
        if left:
            mention = tuple(dict.fromkeys(name for claim in some for name in claim.delivery.mention))
            oldest_first = sorted(left, key=lambda review: (review.since, review.queue_run_id))
            yield Claim(replace(some[0].delivery, mention=mention), reviews=tuple(oldest_first))
