"""The dry run: the messages that a pass would post, without posting or remembering anything."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import timedelta
from typing import TYPE_CHECKING

import structlog
from msgspec import Struct
from msgspec.structs import replace

from worker.core.calendar import ALWAYS_OPEN
from worker.core.message import EXPIRES_WITHIN, compose_post, totals_of
from worker.core.model import TEXT_ONLY, Kind
from worker.core.outbox import Candidate, as_owed, claims_to_come, let_go, without_spared
from worker.core.owed import Claim, Delivery, QueueShare, State
from worker.core.plan import plan, still_owed, undescribed
from worker.core.ports import SourceError
from worker.loops.conclude import MOST_SIFTED
from worker.loops.deliver import called_by
from worker.loops.details import Naming

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime, tzinfo
    from uuid import UUID

    from worker.core.calendar import Calendar
    from worker.core.message import Message
    from worker.core.model import Id, Memory, Queue, Review, ReviewKey, Snapshot
    from worker.core.owed import Destination, Notice, Pause
    from worker.core.plan import Plan
    from worker.core.ports import Clock, Descriptions, Source
    from worker.loops.direct_preview import DirectPreview
    from worker.rules import CalendarOf, QueueRules, RulesOf

    About = tuple[Id | None, ReviewKey]
    from worker.core.store_roles import Budgets, Channels, Deliveries, Reviews

log = structlog.get_logger(__name__)


class _NotWrittenError(Exception):
    """Ends the store's transaction with nothing written, and carries the decision out of it."""

    def __init__(self, decided: Plan, memory: Memory) -> None:
        super().__init__()
        self.decided = decided
        self.memory = memory


class HeldMessages(Struct, frozen=True):
    """The messages that go out at an opening, or at the end of quiet: at `until`, on the clock of `zone`."""

    until: datetime
    zone: tzinfo
    messages: tuple[Message, ...]


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
        budgets: Budgets,
        channels: Channels,
        clock: Clock,
        rules: RulesOf,
        descriptions: Descriptions | None = None,
        mentions_a_day: int = 3,
        calendars: CalendarOf = lambda _user: None,
        direct: DirectPreview | None = None,
    ) -> None:
        """`rules` gives the rules of a queue, `descriptions` the facts that bare snapshots lack. Raises StoreError."""
        self._budgets = budgets
        self._direct = direct
        self._calendars = calendars
        self._mentions_a_day = mentions_a_day
        self._source = source
        self._store = store
        self._clock = clock
        self._rules = rules
        self._naming = Naming(descriptions, clock=clock)
        self.unread: list[str] = []
        """A sentence for each queue that could not be read."""
        self._ahead = timedelta(0)
        self.entering = 0
        """The number of new runs that enter messages which are posted already, by an edit."""
        # A pass tries every destination again at once, however long its pause would last.
        now = clock.now()
        self._pauses = [replace(pause, until=now) for pause in channels.pauses()]
        self._reviews: dict[About, Review] = {}
        self._queues: dict[Id, Queue] = {}
        self._candidates: list[Candidate[About]] = []
        self._purposes: dict[tuple[Destination, About], Kind] = {}
        self._held: dict[UUID, datetime] = {}
        """Until when hours or a mute hold deliveries: those that wait already, and those that are owed only then."""
        self._seen: dict[Id, tuple[Queue, Sequence[Review]]] = {}
        """The queues whose first sight is over, with their reviews as they are now."""
        for claim in deliveries.outbox():
            if claim.delivery.kind is Kind.DIRECT:
                continue
            if claim.delivery.queue is not None:
                self._queues.setdefault(claim.delivery.queue.queue_id, claim.delivery.queue)
            self._reviews |= {(_queue_id(claim.delivery), review.key): review for review in claim.reviews}
            self._add(let_go(claim.delivery), [review.key for review in claim.reviews], claim.purposes)
            if claim.muted_until is not None and claim.is_muted(now):
                self._held[claim.delivery.key] = claim.muted_until

    def poll(self, queue: Queue) -> None:
        """Plan the notices that a poll of the queue would owe, or note that it could not be read. Raises StoreError."""
        try:
            snapshot = self._source.snapshot(queue.queue_id, self._rules(queue).fields)
        except SourceError as error:
            log.warning("queue_failing", queue=queue.name, error=str(error))
            self.unread.append(f"{queue.name} could not be read: {error}")
            return
        self.see(snapshot)

    def see(self, snapshot: Snapshot) -> None:
        """Plan the notices that a listing leads to: those of now, and those that are held now. Raises StoreError."""
        now, queue = self._clock.now(), snapshot.queue
        rules = self._rules(queue)
        self._queues[queue.queue_id] = queue
        self._ahead = snapshot.ahead
        decision = self._decide(snapshot, rules, now)
        unknown = rules.policy.filters.unknown(snapshot.runs, decision.memory.reviews) if snapshot.bare else ()
        if unknown:
            snapshot = self._naming.sifted(snapshot, unknown[:MOST_SIFTED], rules.fields)
            decision = self._decide(snapshot, rules, now)
        if snapshot.bare and (lacking := undescribed(decision.decided)):
            snapshot = self._naming.described(snapshot, lacking, rules.settings.show)
            decision = self._decide(snapshot, rules, now)
        self._owe(queue, decision.memory.reviews, decision.decided)
        if decision.memory.baselined:
            self._seen[queue.queue_id] = queue, _after(decision).reviews
        self.entering += len(decision.decided.entered)
        if decision.decided.held_until is not None:
            # By the clock that dated the runs, as every decision.
            then = decision.decided.held_until + snapshot.ahead
            later = plan(snapshot, _after(decision), rules.policy_for(queue), then)
            self._owe(queue, (), later)
            self._held |= dict.fromkeys((notice.key for notice in later.notices), then)

    def owe(self, delivery: Delivery) -> None:
        """Let a pass post what speaks of no run, such as a report."""
        self._add(as_owed(delivery, self._pauses), (), {})

    def _owe(self, queue: Queue, known: Iterable[Review], decided: Plan) -> None:
        for review in (*known, *decided.reviews):
            self._reviews[queue.queue_id, review.key] = review
        for notice in decided.notices:
            purposes = dict(zip(notice.reviews, notice.purposes, strict=False))
            self._add(_owed(notice, queue, self._clock.now(), self._pauses), notice.reviews, purposes)

    def messages(self) -> Sequence[Message]:
        """The messages that would be posted now, in order."""
        now = self._clock.now()
        free = [each for each in self._candidates if self._free_at(each.delivery, now) <= now]
        direct = () if self._direct is None else self._direct.messages(self._seen, self._ahead)
        return [*self._posted(free, now), *direct]

    def held(self) -> Sequence[HeldMessages]:
        """Those that would go out at openings, the next opening first."""
        now = self._clock.now()
        later: defaultdict[tuple[datetime, tzinfo], list[Candidate[About]]] = defaultdict(list)
        for each in self._candidates:
            if (until := self._free_at(each.delivery, now)) > now:
                # Its own hold is that of the hours, or of the mute, which ends then.
                free = replace(each, delivery=replace(each.delivery, held_until=None))
                later[until, self._calendar(each.delivery).zone].append(free)
        every = (HeldMessages(*when, tuple(self._posted(held, when[0]))) for when, held in later.items())
        return sorted((each for each in every if each.messages), key=lambda each: each.until)

    def _free_at(self, delivery: Delivery, now: datetime) -> datetime:
        """When neither hours nor a mute hold a delivery."""
        return self._calendar(delivery).opens(max(self._held.get(delivery.key, now), now))

    def _calendar(self, delivery: Delivery) -> Calendar:
        """The calendar by which a delivery is posted; reports of the worker's own have none."""
        queue = delivery.queue
        return ALWAYS_OPEN if queue is None else self._rules(queue).policy.calendar_of(delivery.kind)

    def _posted(self, candidates: Iterable[Candidate[About]], now: datetime) -> Iterator[Message]:
        called: Counter[str] = Counter()
        # Without deliveries that may be posted already: a pass looks them up first, and this one must not ask.
        for taken in claims_to_come(candidates, now, self._pauses):
            spoken_of = self._unspared(taken, now)
            waiting, _ = still_owed(self._reviews[about] for about in spoken_of)
            if taken.delivery.state is not State.UNKNOWN and (waiting or taken.delivery.kind in TEXT_ONLY):
                mention = self._mention(taken.delivery, waiting, called, now)
                # Whom this message calls has one call less left for those that follow in the same pass.
                called.update(mention)
                yield self._composed(replace(taken.delivery, mention=mention), spoken_of, now)

    def _unspared(self, taken: Candidate[About], now: datetime) -> Collection[About]:
        """The runs of a delivery without those that something keeps from going out now."""
        purposes = {about[1]: self._purposes[taken.delivery.destination, about] for about in taken.reviews}
        every = {id(self._reviews[about]): about for about in taken.reviews}
        claim = Claim(taken.delivery, purposes=purposes)
        kept, _ = without_spared(claim, [self._reviews[about] for about in every.values()], now)
        return [every[id(review)] for review in kept]

    def _mention(
        self, delivery: Delivery, owed: Sequence[Review], before: Counter[str], now: datetime
    ) -> tuple[str, ...]:
        """The people whom the message may still call today, after the others of this pass."""
        called = called_by(delivery, owed, self._rules)
        since = {user: (self._calendars(user) or ALWAYS_OPEN).day_began(now) for user in called}
        spent = self._budgets.spent(since, delivery.key) if since else {}
        return tuple(user for user in called if spent[user] + before[user] < self._mentions_a_day)

    def _composed(self, delivery: Delivery, about: Collection[About], now: datetime) -> Message:
        waiting = {each: self._reviews[each] for each in about if self._reviews[each].is_open}
        owed = sorted(waiting.values(), key=lambda review: (review.rank, review.since, str(review.queue_run_id)))
        queue = delivery.queue
        if queue is None:
            return compose_post(Claim(delivery), owed, frozenset(), now)
        purposes = {each[1]: self._purposes[delivery.destination, each] for each in waiting}
        claim = Claim(delivery, purposes=purposes, shares=self._shares(about))
        rules = self._rules(queue)
        totals = totals_of(
            (review for (of, _), review in self._reviews.items() if of == queue.queue_id),
            rules.stale_before(now),
            now + EXPIRES_WITHIN,
        )
        return compose_post(
            claim,
            owed,
            rules.settings.show,
            now,
            stale_at=rules.policy.stale_at,
            totals=totals,
            zone=rules.policy.calendar.zone,
            turns=rules.turns(queue),
        )

    def _shares(self, about: Collection[About]) -> tuple[QueueShare, ...]:
        """What each queue has in a baseline of several, by name; empty for one queue."""
        mine: defaultdict[Id | None, list[Review]] = defaultdict(list)
        for each in about:
            mine[each[0]].append(self._reviews[each])
        named = {queue_id: self._queues[queue_id] for queue_id in mine if queue_id in self._queues}
        shares = [_share(queue, mine[queue_id]) for queue_id, queue in named.items()]
        return tuple(sorted(shares, key=lambda share: share.queue.name)) if len(shares) > 1 else ()

    def _decide(self, snapshot: Snapshot, rules: QueueRules, now: datetime) -> _NotWrittenError:
        def decide(memory: Memory) -> Plan:
            # Raised within the transaction: so it ends with nothing written.
            raise _NotWrittenError(plan(snapshot, memory, rules.policy_for(snapshot.queue), now), memory)

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
        self._purposes |= {(delivery.destination, (queue_id, key)): purposes.get(key, delivery.kind) for key in reviews}
        self._candidates.append(Candidate(delivery, len(self._candidates), about))


def _after(decision: _NotWrittenError) -> Memory:
    """What is remembered once a decision is written."""
    memory, decided = decision.memory, decision.decided
    reviews = {review.key: review for review in (*memory.reviews, *decided.reviews)}
    return replace(memory, baselined=decided.is_baselined, reviews=tuple(reviews.values()))


def _share(queue: Queue, reviews: Sequence[Review]) -> QueueShare:
    waiting = [review.since for review in reviews if review.is_open]
    return QueueShare(queue, len(waiting), len(reviews), min(waiting, default=None))


def _queue_id(delivery: Delivery) -> Id | None:
    return delivery.queue.queue_id if delivery.queue else None


def _owed(notice: Notice, queue: Queue, now: datetime, pauses: Sequence[Pause]) -> Delivery:
    delivery = Delivery(
        key=notice.key,
        kind=notice.kind,
        destination=notice.destination,
        created_at=now,
        due_at=now,
        queue=queue,
        mention=notice.mention,
        remind_in=notice.remind_in,
    )
    return as_owed(delivery, pauses)
