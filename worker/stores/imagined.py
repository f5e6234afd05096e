"""The store of a simulation: all that polls, posts and looks at inboxes ask of a store, in memory and by index."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime
from itertools import count
from typing import TYPE_CHECKING

from msgspec.structs import replace

from worker.core.actions import Subject
from worker.core.direct import Desk
from worker.core.model import Entry, Kind, Memory, Polled, QueueTotals, Window
from worker.core.outbox import LIVE, STANDS_FOR_ALL, Candidate, choose, concerned, due_longest, entry_of
from worker.core.owed import NEVER, Claim, Delivery, QueueShare, State
from worker.core.simulation import Posting
from worker.stores.imagined_rows import NO_OUTAGES, ImaginedDelivery, ImaginedQueue, Outages

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
    from datetime import timedelta
    from uuid import UUID

    from worker.core.actions import Acted, Action
    from worker.core.direct import DirectPlan
    from worker.core.direct_inbox import About, Spoken
    from worker.core.directory import Card
    from worker.core.model import Fate, Id, Queue, Review, ReviewKey
    from worker.core.outbox import Taking
    from worker.core.owed import Destination, Pause
    from worker.core.plan import Plan
    from worker.core.store_roles import Budgets, Inboxes

_BEGIN = datetime(1, 1, 1, tzinfo=UTC)
_NO_TOTALS = QueueTotals()
_NEVER_CAME = frozenset({State.WITHDRAWN, State.DEAD})


class Imagined:
    """The parts of the store's roles that decide what is posted when; nothing is written down, nothing outlives it.

    It does what `worker.core.store_roles` promises, but that messages are neither edited nor looked up: every post gets
    through, and shows at once what enters it. For one thread.
    """

    def __init__(self, cards: Sequence[Card], outages: Outages = NO_OUTAGES) -> None:
        """Nothing is remembered yet but who is who, and when nothing got through."""
        self.posted: list[Posting] = []
        self.entered: dict[About, datetime] = {}
        """When runs entered a message that was posted already."""
        self._cards = cards
        self._outages = outages
        self._queues: dict[Id, ImaginedQueue] = {}
        self._outbox: dict[UUID, ImaginedDelivery] = {}
        self._live: dict[UUID, ImaginedDelivery] = {}
        self._places = count()
        self._pings: defaultdict[str, dict[UUID, datetime]] = defaultdict(dict)
        self._begun: frozenset[Id] = frozenset()
        self._heard: dict[tuple[str, About], Spoken] = {}
        self._inboxes: dict[str, tuple[datetime, UUID]] = {}
        self._stirred = 0
        self._looks_at = _BEGIN
        self._fresh: dict[About, Review] = {}

    # The reviews.

    def update(
        self, queue: Queue, keys: Collection[Id], decide: Callable[[Memory], Plan], now: datetime, *, whole: bool = True
    ) -> Plan:
        """See `Store.update`."""
        known = self._known(queue)
        recalled = dict(known.waiting) if whole else {}
        for one in keys:
            recalled |= known.reviews.get(one, {})
        memory = Memory(
            known.polled.baselined_at is not None,
            list(recalled.values()),
            known.revision,
            known.listing,
            self._window(known.window, now),
            known.muted_until,
        )
        plan = decide(memory)
        known.listing = plan.listing or known.listing
        if plan.is_baselined and known.polled.baselined_at is None:
            known.polled = replace(known.polled, baselined_at=now)
        for review in plan.reviews:
            self._write(known, review)
        for notice in plan.notices:
            delivery = Delivery(
                notice.key, notice.kind, notice.destination, now, now, queue=queue, mention=notice.mention
            )
            purposes = notice.purposes or (notice.kind,) * len(notice.reviews)
            abouts = ((queue.queue_id, key) for key in notice.reviews)
            self._owe(delivery, dict(zip(abouts, purposes, strict=True)))
        if plan.opened is not None:
            known.window = plan.opened
        elif plan.entered and known.window is not None:
            entering = {(queue.queue_id, key): Kind.ANNOUNCEMENT for key in plan.entered}
            self._enter(self._outbox[known.window.host], entering, now)
        return plan

    def _known(self, queue: Queue) -> ImaginedQueue:
        known = self._queues.setdefault(queue.queue_id, ImaginedQueue(Polled(queue)))
        if known.polled.queue != queue:
            known.polled = replace(known.polled, queue=queue)
        return known

    def _write(self, known: ImaginedQueue, review: Review) -> None:
        about = known.polled.queue.queue_id, review.key
        self._fresh[about] = review
        known.reviews.setdefault(review.queue_run_id, {})[about] = review
        if review.is_open:
            known.waiting[about] = review
        else:
            known.waiting.pop(about, None)
        self._stirred += 1

    def _window(self, window: Window | None, now: datetime) -> Window | None:
        return None if window is None else replace(window, entry=self._entry(window.host, now))

    def _entry(self, host: UUID, now: datetime) -> Entry:
        return entry_of(self._outbox[host].delivery, now) if host in self._outbox else Entry.NEVER

    def _enter(self, owed: ImaginedDelivery, runs: Mapping[About, Kind], now: datetime) -> None:
        new = {about: kind for about, kind in runs.items() if about not in owed.spoken or about in owed.left_out}
        owed.spoken |= new
        owed.left_out -= new.keys()
        if owed.delivery.state is State.SENT:
            self.entered |= {about: now for about in new if about not in self.entered}

    def under(self, _assignment: object) -> Imagined:
        """See `Store.under`: one process is alone."""
        return self

    def learn(self, queue_id: Id, left: Mapping[Id, Fate], now: datetime) -> bool:  # noqa: ARG002
        """Learn nothing: how a run left changes words alone."""
        return False

    def unexplained(self, queue_id: Id, now: datetime, most: int) -> Sequence[Id]:  # noqa: ARG002
        """No run: nothing is asked."""
        return ()

    def act(self, action: Action, decide: Callable[[Subject], Acted], now: datetime) -> Acted:  # noqa: ARG002
        """See `Store.act`; there is no audit."""
        known = self._queues.get(action.queue_id)
        if known is None:
            return decide(Subject())
        stays = known.reviews.get(action.queue_run_id, {}).values() if action.queue_run_id is not None else ()
        newest = max(stays, key=lambda review: (review.is_open, review.first_seen_at), default=None)
        acted = decide(Subject(known.polled.queue, newest, known.muted_until))
        if acted.refusal is None:
            known.muted_until = acted.subject.muted_until
            if acted.subject.review is not None:
                self._write(known, acted.subject.review)
            known.revision += 1
            self._looks_at = _BEGIN
        return acted

    # The outbox.

    def owe(self, delivery: Delivery) -> bool:
        """See `Store.owe`."""
        return self._owe(delivery, {})

    def _owe(self, delivery: Delivery, speaks_of: dict[About, Kind]) -> bool:
        if delivery.key in self._outbox:
            return False
        owed = ImaginedDelivery(delivery, next(self._places), speaks_of)
        self._outbox[delivery.key] = self._live[delivery.key] = owed
        return True

    def claim(
        self,
        now: datetime,
        lease: timedelta,
        skip: Collection[Destination] = (),  # noqa: ARG002  nothing is paused, nor in doubt
        unposted: Collection[Destination] = (),  # noqa: ARG002
        unseen: Collection[Destination] = (),
        *,
        looks: bool = True,  # noqa: ARG002
    ) -> Claim | None:
        """See `Store.claim`."""
        ready = (owed for owed in self._live.values() if self._outages.goes_at(owed.delivery, now) <= now)
        free = (o for o in ready if o.delivery.kind is not Kind.BASELINE or o.delivery.destination not in unseen)
        due: Candidate[About] | None = due_longest((Candidate(owed.delivery, owed.place) for owed in free), now)
        if due is None:
            return None
        candidates = [
            Candidate(owed.delivery, owed.place, frozenset(owed.speaks_of))
            for owed in self._live.values()
            if owed.delivery.destination == due.delivery.destination
        ]
        first = next(each for each in candidates if each.place == due.place)
        choice = choose([first, *concerned(first.delivery, candidates)], now)
        for taking in choice.withdrawn:
            self._withdraw(self._apply(taking, now), STANDS_FOR_ALL, now)
        if choice.taking is None:
            return self.claim(now, lease, unseen=unseen)
        return self._claimed(self._apply(choice.taking, now), choice.taking.taken.delivery, now, lease)

    def _apply(self, taking: Taking[About], now: datetime) -> ImaginedDelivery:
        """Take over what is merged, and leave out what a later notice speaks of."""
        taken = taking.taken.delivery
        owed = self._outbox[taken.key]
        own = set(owed.spoken)
        for merged in taking.merged:
            other = self._outbox[merged.delivery.key]
            for about, kind in other.speaks_of.items():
                owed.spoken[about] = kind if about not in own else owed.spoken[about]
            for known in self._queues.values():
                if known.window is not None and known.window.host == merged.delivery.key:
                    known.window = replace(known.window, host=taken.key)
            self._withdraw(other, f"merged into {taken.key}", now)
        if any(queue_id != owed.queue_id for queue_id, _ in owed.spoken):
            # A message of several queues hosts no runs.
            for known in self._queues.values():
                if known.window is not None and known.window.host == taken.key:
                    known.window = None
        owed.left_out |= taking.left_out & owed.spoken.keys()
        owed.delivery = replace(owed.delivery, mention=taken.mention, attempts=taken.attempts)
        return owed

    def _claimed(self, owed: ImaginedDelivery, taken: Delivery, now: datetime, lease: timedelta) -> Claim:
        until = now + lease
        owed.delivery = replace(
            owed.delivery,
            attempted_at=taken.attempted_at,
            state=State.SENDING,
            lease_until=until,
            due_at=until,
            held_until=None,
        )
        reviews_of = {about: self._review(about) for about in owed.speaks_of}
        reviews = tuple(sorted(reviews_of.values(), key=lambda review: (review.since, str(review.queue_run_id))))
        is_direct = owed.delivery.kind is Kind.DIRECT
        return Claim(
            replace(owed.delivery, state=State.PENDING),
            reviews,
            total=len(reviews),
            waiting=sum(review.is_open for review in reviews),
            purposes={about[1]: kind for about, kind in owed.speaks_of.items() if kind is not owed.delivery.kind},
            polled_at=now,  # polls come all the time
            shares=() if is_direct else self._shares(reviews_of),
            queues={about[1]: self._queues[about[0]].polled.queue for about in reviews_of} if is_direct else {},
            muted_until=self._muted_until(reviews_of, owed),
        )

    def _review(self, about: About) -> Review:
        return self._queues[about[0]].reviews[about[1].queue_run_id][about]

    def _shares(self, reviews_of: Mapping[About, Review]) -> tuple[QueueShare, ...]:
        mine: defaultdict[Id, list[Review]] = defaultdict(list)
        for (queue_id, _), review in reviews_of.items():
            mine[queue_id].append(review)
        if len(mine) <= 1:
            return ()
        return tuple(
            QueueShare(self._queues[queue_id].polled.queue, sum(each.is_open for each in reviews), len(reviews))
            for queue_id, reviews in mine.items()
        )

    def _muted_until(self, abouts: Iterable[About], owed: ImaginedDelivery) -> datetime | None:
        ids = {queue_id for queue_id, _ in abouts} if owed.delivery.kind is Kind.DIRECT else {owed.queue_id}
        until = [self._queues[queue_id].muted_until for queue_id in ids if queue_id is not None]
        return None if None in until else min((at for at in until if at is not None), default=None)

    def settle(
        self,
        after: Delivery,
        claimed: Delivery,
        *,
        shown: Sequence[object] = (),  # noqa: ARG002
        left_out: Collection[object] = (),
    ) -> bool:
        """See `Store.settle`."""
        owed = self._outbox[claimed.key]
        owed.delivery = replace(after, lease_until=None)
        if left_out:
            owed.left_out |= {about for about in owed.spoken if about[1] in left_out}
        if after.state not in LIVE:
            self._live.pop(after.key, None)
        if after.state is State.SENT:
            at = after.settled_at or after.due_at
            self.posted.append(Posting(at, after.kind, after.destination, after.mention, owed.speaks_of))
        if owed.passed:
            self._stirred, self._looks_at = self._stirred + 1, _BEGIN
        if after.kind is Kind.DIRECT:
            self._stirred += 1
            self._looks_at = self._looks_at if after.state is State.SENT else _BEGIN
            if after.state in {State.SENT, State.WITHDRAWN}:
                self._take_back(owed)
        return True

    def _take_back(self, owed: ImaginedDelivery) -> None:
        """Let a reader not count as called for what a direct message does not speak of after all."""
        back = owed.spoken.keys() if owed.delivery.state is State.WITHDRAWN else owed.left_out
        for (reader, about), heard in self._heard.items() if back else ():
            if heard.called_by == owed.delivery.key and about in back:
                self._heard[reader, about] = replace(heard, told_at=None)

    def _withdraw(self, owed: ImaginedDelivery, reason: str, now: datetime) -> None:
        owed.delivery = replace(owed.delivery, state=State.WITHDRAWN, last_error=reason, settled_at=now)
        self._live.pop(owed.delivery.key, None)

    def next_due_at(self) -> datetime | None:
        """See `Store.next_due_at`; no edit is ever due."""
        due = (self._outages.goes_at(owed.delivery) for owed in self._live.values())
        return min((at for at in due if at < NEVER), default=None)

    def pauses(self) -> Sequence[Pause]:
        """No pause: every post gets through."""
        return ()

    # What loops ask beside.

    def polls(self) -> Sequence[Polled]:
        """See `Store.polls`."""
        return [known.polled for known in self._queues.values()]

    def polled(self, polls: Iterable[Polled], stale_before: object = None) -> Mapping[Id, int]:  # noqa: ARG002
        """The revisions of all queues."""
        return {queue_id: known.revision for queue_id, known in self._queues.items()}

    def standing(self, *_asked: object) -> QueueTotals:
        """No numbers: only words depend on them."""
        return _NO_TOTALS

    def recall(self, name: str) -> str | None:  # noqa: ARG002
        """Nothing is kept."""
        return None

    def cards(self) -> Sequence[Card]:
        """See `Store.cards`."""
        return self._cards

    # Direct messages and budgets.

    def stirred(self, queue_ids: Collection[Id]) -> object:  # noqa: ARG002
        """See `Store.stirred`."""
        return self._stirred

    def direct(
        self,
        queue_ids: Collection[Id],
        decide: Callable[[Desk], DirectPlan],
        now: datetime,
        *,
        owners: Collection[Id] = (),
    ) -> DirectPlan:
        """See `Store.direct`."""
        plan = self._partial(queue_ids, decide, now, owners)
        if plan is None:
            waiting = {queue_id: list(self._queues[queue_id].waiting.values()) for queue_id in queue_ids}
            plan = decide(self._desk(waiting, now, owners))
        self._looks_at, self._fresh = plan.next_due_at or NEVER, {}
        ended, self._begun = self._begun - plan.begun, frozenset(plan.begun)
        for queue_id in ended:
            self._unsay(queue_id)
        self._heard |= plan.spoken
        for notice in plan.notices:
            owed = Delivery(notice.key, Kind.DIRECT, notice.destination, now, now, reader=notice.reader)
            if self._owe(owed, dict(notice.runs)):
                self._pings[notice.destination.place][notice.key] = now
            self._inboxes[notice.reader] = now, notice.key
        for entered in plan.entered:
            self._enter(self._outbox[entered.host], dict(entered.runs), now)
        for about in plan.heard:
            for passing in self._outbox.values():
                passing.passed.discard(about)
        return plan

    def _partial(
        self, queue_ids: Collection[Id], decide: Callable[[Desk], DirectPlan], now: datetime, owners: Collection[Id]
    ) -> DirectPlan | None:
        """What is decided on the runs that have come since the last look; None where the others may have a part in it.

        A look goes through all that waits, for each reader, and is made for each run that comes. Where nothing else
        has come due, and what is new calls nobody, it changes nothing of the others.
        """
        if now >= self._looks_at:
            return None
        fresh: dict[Id, list[Review]] = {queue_id: [] for queue_id in queue_ids}
        for (queue_id, _), review in self._fresh.items():
            if queue_id in fresh and review.is_open:
                fresh[queue_id].append(review)
        plan = decide(self._desk(fresh, now, owners))
        if plan.notices or plan.begun != self._begun:
            return None
        return replace(plan, next_due_at=min(plan.next_due_at or NEVER, self._looks_at))

    def _desk(self, waiting: dict[Id, list[Review]], now: datetime, owners: Collection[Id]) -> Desk:
        sent = (owed for owed in self._outbox.values() if owed.passed and owed.delivery.state is State.SENT)
        passed = {about for owed in sent for about in owed.passed & owed.speaks_of.keys()}
        for of in owners:
            waiting[of] = [one for one in waiting[of] if one.reminded or (of, one.key) in passed]
        return Desk(
            reviews=waiting,
            passed=passed,
            begun=self._begun,
            spoken=self._heard,
            windows={one: Window(at, host, self._entry(host, now)) for one, (at, host) in self._inboxes.items()},
            pings={who: [at for key, at in calls.items() if self._counts(key)] for who, calls in self._pings.items()},
            muted={of: known.muted_until for of, known in self._queues.items() if known.muted_until is not None},
        )

    def _counts(self, key: UUID) -> bool:
        return key in self._outbox and self._outbox[key].delivery.state not in _NEVER_CAME

    def _unsay(self, queue_id: Id) -> None:
        heard = {about for (_, about), spoken in self._heard.items() if spoken.told_at is not None}
        known = self._queues[queue_id]
        for about, review in list(known.waiting.items()):
            if not review.generation and about not in heard:
                self._write(known, replace(review, told_at=None))
        known.revision += 1

    def spend(
        self,
        key: UUID,
        since: Mapping[str, datetime],
        most: int,
        now: datetime,
        passed: Callable[[Sequence[str]], Collection[ReviewKey]] = lambda _called: (),
    ) -> Sequence[str]:
        """See `Store.spend`."""
        spent = self.spent(since, key)
        called = [who for who in since if spent[who] < most]
        for who in since:
            self._pings[who].pop(key, None)
        for who in called:
            self._pings[who][key] = now
        owed, keys = self._outbox[key], set(passed(called))
        owed.passed = {about for about in owed.spoken if about[1] in keys}
        return called

    def spent(self, since: Mapping[str, datetime], but: UUID) -> Mapping[str, int]:
        """See `Store.spent`."""
        return {
            who: sum(at >= first and key != but and self._counts(key) for key, at in self._pings[who].items())
            for who, first in since.items()
        }


if TYPE_CHECKING:
    # What the loops ask of a store may change: here it is seen that this one follows.
    _INBOXES: Inboxes = Imagined(())
    _BUDGETS: Budgets = Imagined(())
