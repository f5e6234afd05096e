"""A store in memory: the contract of `Store` said as plainly as it can be, for the loops and as a reference."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from threading import RLock
from typing import TYPE_CHECKING

from msgspec import structs

from worker.core.audience import Problem, email_key, listed_id
from worker.core.directory import LOOKED_UP_FOR, Card, introduced
from worker.core.message import totals_of
from worker.core.model import (
    LISTED,
    Entry,
    Kind,
    Memory,
    Polled,
    QueueTotals,
    RemindIn,
    Review,
    ReviewKey,
    Window,
)
from worker.core.outbox import (
    IN_DOUBT,
    LIVE,
    STANDS_FOR_ALL,
    Candidate,
    Taking,
    as_owed,
    choose,
    concerned,
    due_longest,
    entry_of,
    let_go,
    ready_at,
    superseded,
    waits_for_time,
)
from worker.core.owed import (
    EVERYWHERE,
    NEVER,
    Backlog,
    Claim,
    Delivery,
    Destination,
    Pause,
    QueueShare,
    State,
    Story,
    StoryNotice,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
    from datetime import timedelta
    from uuid import UUID

    from worker.core.leases import Assignment
    from worker.core.model import Facts, Fate, Id, Queue, Reviewer
    from worker.core.overview import Process
    from worker.core.owed import Receipt
    from worker.core.plan import Plan


@dataclass(slots=True)
class Owed:
    """A delivery with the reviews that it speaks of (True: left out) and those that its message lists.

    `purposes` has what those are in it for that have a purpose of their own, `elsewhere` the queues of those that are
    in another queue than the delivery.
    """

    delivery: Delivery
    purposes: dict[ReviewKey, Kind] = field(default_factory=dict)
    elsewhere: dict[ReviewKey, Queue] = field(default_factory=dict)
    spoken: dict[ReviewKey, bool] = field(default_factory=dict)
    shown: list[ReviewKey] = field(default_factory=list)

    @property
    def queue_id(self) -> Id | None:
        """The queue that it is about."""
        return self.delivery.queue.queue_id if self.delivery.queue else None

    @property
    def told(self) -> list[ReviewKey]:
        """What it speaks of still."""
        return [key for key, left_out in self.spoken.items() if not left_out]

    def change(self, **news: object) -> None:
        """Alter the delivery."""
        self.delivery = replace(self.delivery, **news)  # type: ignore[arg-type]


class MemoryStore:
    """The store's contract, said as plainly as it can be; nothing outlives the process."""

    def __init__(self) -> None:
        self._lock = RLock()
        self._polled: dict[Id, Polled] = {}
        self._revisions: Counter[Id] = Counter()
        self._listings: dict[Id, str] = {}
        self._windows: dict[Id, Window] = {}
        self._reviews: dict[tuple[Id, ReviewKey], Review] = {}
        self._outbox: dict[UUID, Owed] = {}
        self._pauses: dict[Destination, Pause] = {}
        self._notes: dict[str, str] = {}
        self._cards: dict[str, Card] = {}
        self._processes: dict[UUID, Process] = {}

    def under(self, assignment: Assignment) -> MemoryStore:  # noqa: ARG002
        return self

    # Reviews

    def update(
        self,
        queue: Queue,
        keys: Collection[Id],
        decide: Callable[[Memory], Plan],
        now: datetime,
        *,
        whole: bool = True,
    ) -> Plan:
        with self._lock:
            known = self._seen(queue)
            mine = [review for (queue_id, _), review in self._reviews.items() if queue_id == queue.queue_id]
            recalled = [review for review in mine if (whole and review.is_open) or review.queue_run_id in keys]
            listing = self._listings.get(queue.queue_id, "")
            revision = self._revisions[queue.queue_id]
            window = self._window(queue.queue_id, now)
            is_baselined = known.baselined_at is not None
            plan = decide(Memory(is_baselined, recalled, revision=revision, listing=listing, window=window))
            self._listings[queue.queue_id] = plan.listing or listing
            if plan.is_baselined:
                self._polled[queue.queue_id] = replace(known, baselined_at=known.baselined_at or now)
            written = {(queue.queue_id, review.key): review for review in plan.reviews}
            altered = [key for queue_id, key in written if (queue_id, key) in self._reviews]
            self._reviews |= written
            for notice in plan.notices:
                delivery = Delivery(
                    notice.key,
                    notice.kind,
                    notice.destination,
                    created_at=now,
                    due_at=now,
                    queue=queue,
                    mention=notice.mention,
                    remind_in=notice.remind_in,
                )
                if self.owe(delivery):
                    owed = self._outbox[notice.key]
                    owed.spoken = dict.fromkeys(notice.reviews, False)
                    purposes = zip(notice.reviews, notice.purposes, strict=False)
                    owed.purposes = {key: purpose for key, purpose in purposes if purpose is not notice.kind}
            if plan.opened is not None:
                self._windows[queue.queue_id] = plan.opened
            elif plan.entered and window is not None:
                self._enter(self._outbox[window.host], plan.entered, now)
            self._owe_edits(queue.queue_id, altered, now)
            return plan

    def _window(self, queue_id: Id, now: datetime) -> Window | None:
        window = self._windows.get(queue_id)
        if window is None:
            return None
        host = self._outbox.get(window.host)
        return replace(window, entry=Entry.NEVER if host is None else entry_of(host.delivery, now))

    def _enter(self, owed: Owed, entering: Collection[ReviewKey], now: datetime) -> None:
        if new := [key for key in entering if key not in owed.spoken]:
            owed.spoken |= dict.fromkeys(new, False)
            if owed.delivery.kind is not Kind.ANNOUNCEMENT:
                owed.purposes |= dict.fromkeys(new, Kind.ANNOUNCEMENT)
            owed.change(edit_at=max(now, owed.delivery.lease_until or now))

    def _seen(self, queue: Queue) -> Polled:
        forgotten = {card.reviewer_id for card in self._cards.values() if card.is_forgotten}
        if forgotten:
            queue = replace(queue, assigned=_stripped(queue.assigned, forgotten))
        known = self._polled.setdefault(queue.queue_id, Polled(queue))
        if queue.name != str(queue.queue_id) and queue != known.queue:
            counted = known.queue.disagreed if queue.disagreed is None else queue.disagreed
            known = replace(known, queue=replace(queue, url=queue.url or known.queue.url, disagreed=counted))
            self._polled[queue.queue_id] = known
        return known

    def polled(self, polls: Iterable[Polled]) -> Mapping[Id, int]:
        with self._lock:
            every = list(polls)
            for polled in every:
                known = self._seen(polled.queue)
                self._polled[polled.queue.queue_id] = replace(
                    known,
                    completed_at=polled.completed_at or known.completed_at,
                    failing_since=polled.failing_since,
                    error=polled.error,
                    trouble=polled.trouble,
                )
            return {polled.queue.queue_id: self._revisions[polled.queue.queue_id] for polled in every}

    def learn(self, queue_id: Id, left: Mapping[Id, Fate], now: datetime) -> bool:
        with self._lock:
            latest: dict[Id, Review] = {}
            for review in sorted(self._closed(queue_id), key=_ended):
                latest[review.queue_run_id] = review
            news = {run: how for run, how in left.items() if run in latest and latest[run].fate is not how}
            for queue_run_id, how in news.items():
                review = latest[queue_run_id]
                self._reviews[queue_id, review.key] = structs.replace(review, fate=how)
            return self._acted(queue_id, [latest[run].key for run in news], now)

    def unexplained(self, queue_id: Id, now: datetime, most: int) -> Sequence[Id]:
        with self._lock:
            kept = [o for o in self._outbox.values() if o.queue_id == queue_id and _is_kept_true(o.delivery, now)]
            shown = {key for owed in kept for key in (owed.shown if owed.delivery.state is State.SENT else owed.told)}
            told = {key for owed in kept for key in owed.told}
            ended = {review.queue_run_id: review for review in sorted(self._closed(queue_id), key=_ended)}
            waiting = {r.queue_run_id for (of, _), r in self._reviews.items() if of == queue_id and r.is_open}
            mine = [owed.delivery for owed in self._outbox.values() if owed.queue_id == queue_id]
            owed_at = [d.created_at for d in mine if d.state in LIVE or (d.edit_until and d.edit_until > now)]
            # No message speaks of what left before it was owed.
            since = min(owed_at, default=NEVER)
            found = [r for r in ended.values() if r.fate is None and r.key in shown & told]
            found = [review for review in found if review.closed_at and review.closed_at >= since]
            found = sorted((r for r in found if r.queue_run_id not in waiting), key=lambda r: _kept(r.queue_run_id))
            found.sort(key=lambda r: r.closed_at or NEVER, reverse=True)
            return [review.queue_run_id for review in found[:most]]

    def describe(self, queue_id: Id, facts: Mapping[Id, Facts], now: datetime) -> bool:
        with self._lock:
            news = [r for r in self._open(queue_id) if facts.get(r.queue_run_id, r.facts) != r.facts]
            for review in news:
                after = structs.replace(review, facts=facts[review.queue_run_id])
                self._reviews[queue_id, review.key] = after
            return self._acted(queue_id, [review.key for review in news], now)

    def undescribed(self, queue_id: Id, now: datetime, most: int) -> Mapping[Id, Facts]:
        with self._lock:
            lacking = {r.key: r for r in sorted(self._open(queue_id), key=_oldest_first) if not r.facts.name}
            listed = {
                key for owed in self._outbox.values() if owed.queue_id == queue_id for key in self._lists(owed, now)
            }
            found = [review for key, review in lacking.items() if key in listed]
            return {review.queue_run_id: review.facts for review in found[:most]}

    def _lists(self, owed: Owed, now: datetime) -> Sequence[ReviewKey]:
        if owed.delivery.state is State.SENT:
            return owed.shown if _is_kept_true(owed.delivery, now) else ()
        if owed.delivery.state not in LIVE:
            return ()
        return [review.key for review in sorted(self._told(owed), key=_oldest_first) if review.is_open][:LISTED]

    def _open(self, queue_id: Id) -> list[Review]:
        return [review for (of, _), review in self._reviews.items() if of == queue_id and review.is_open]

    def _closed(self, queue_id: Id) -> Iterator[Review]:
        return (review for (of, _), review in self._reviews.items() if of == queue_id and not review.is_open)

    def _acted(self, queue_id: Id, keys: Collection[ReviewKey], now: datetime) -> bool:
        if keys:
            self._revisions[queue_id] += 1
            self._owe_edits(queue_id, keys, now)
        return bool(keys)

    def _owe_edits(self, queue_id: Id, keys: Collection[ReviewKey], now: datetime) -> None:
        for owed in self._outbox.values():
            mine = [key for key in owed.told if self._queue_id(owed, key) == queue_id]
            if set(mine) & set(keys) and _is_kept_true(owed.delivery, now):
                owed.change(edit_at=_earliest_edit(owed.delivery, now))

    def _queue_id(self, owed: Owed, key: ReviewKey) -> Id | None:
        return owed.elsewhere[key].queue_id if key in owed.elsewhere else owed.queue_id

    # Deliveries

    def owe(self, delivery: Delivery) -> bool:
        with self._lock:
            if delivery.queue is not None:
                self._seen(delivery.queue)
            if delivery.key in self._outbox:
                return False
            self._outbox[delivery.key] = Owed(as_owed(delivery, self._pauses.values()))
            return True

    def claim(
        self,
        now: datetime,
        lease: timedelta,
        skip: Collection[Destination] = (),
        unposted: Collection[Destination] = (),
        unseen: Collection[Destination] = (),
    ) -> Claim | None:
        with self._lock:
            while (due := due_longest(self._waiting(now, skip, unposted, unseen), now)) is not None:
                first = self._candidate(due.place, self._outbox[due.delivery.key])
                choice = choose([first, *concerned(first.delivery, self._candidates(skip))], now)
                for taking in choice.withdrawn:
                    _withdraw(self._apply(taking, now), STANDS_FOR_ALL, now)
                if choice.taking is not None:
                    return self._claimed(self._apply(choice.taking, now), choice.taking.taken, now + lease)
            return None

    def outbox(self) -> Sequence[Claim]:
        with self._lock:
            live = [owed for owed in self._outbox.values() if owed.delivery.state in LIVE]
            return [Claim(self._as_read(owed), self._oldest_first(owed)) for owed in live]

    def _waiting(
        self,
        now: datetime,
        skip: Collection[Destination],
        unposted: Collection[Destination],
        unseen: Collection[Destination],
    ) -> Iterator[Candidate[ReviewKey]]:
        """What may be claimed, without what it speaks of: the loops ask for it many thousand times."""
        is_quiet = EVERYWHERE in unposted
        for place, owed in enumerate(self._outbox.values()):
            delivery = owed.delivery
            to = delivery.destination
            # Most is not due, or over: no more than that is looked at.
            if delivery.due_at > now or to in skip or (delivery.kind is Kind.BASELINE and to in unseen):
                continue
            if not (unposted and (is_quiet or to in unposted) and _is_unposted(owed)):
                yield Candidate(delivery, place)

    def _candidates(self, skip: Collection[Destination]) -> Iterator[Candidate[ReviewKey]]:
        for place, owed in enumerate(self._outbox.values()):
            if owed.delivery.destination not in skip:
                yield self._candidate(place, owed)

    def _candidate(self, place: int, owed: Owed) -> Candidate[ReviewKey]:
        return Candidate(self._as_read(owed), place, frozenset(owed.told))

    def _apply(self, taking: Taking[ReviewKey], now: datetime) -> Owed:
        taken = taking.taken.delivery
        owed = self._outbox[taken.key]
        for merged in taking.merged:
            other = self._outbox[merged.delivery.key]
            if other.delivery.queue and other.queue_id != owed.queue_id:
                owed.elsewhere |= dict.fromkeys(other.told, other.delivery.queue) | other.elsewhere
            owed.purposes |= {key: kind for key, kind in other.purposes.items() if key not in owed.spoken}
            owed.spoken |= dict.fromkeys(other.told, False)
            for queue_id, window in self._windows.items():
                if window.host == merged.delivery.key:
                    self._windows[queue_id] = replace(window, host=taken.key)
            _withdraw(other, f"merged into {taken.key}", now)
        if owed.elsewhere:
            self._windows = {of: window for of, window in self._windows.items() if window.host != taken.key}
        owed.spoken |= {key: True for key in owed.told if key in taking.left_out}
        if (owed.delivery.mention, owed.delivery.attempts) != (taken.mention, taken.attempts):
            owed.change(mention=taken.mention, attempts=taken.attempts)
        return owed

    def _claimed(self, owed: Owed, taken: Candidate[ReviewKey], lease_until: datetime) -> Claim:
        found = taken.delivery.state
        owed.change(
            attempted_at=taken.delivery.attempted_at,
            state=State.SENDING,
            lease_until=lease_until,
            due_at=lease_until,
            held_until=None,
        )
        reviews = self._oldest_first(owed)
        return Claim(
            replace(self._as_read(owed), state=found),
            reviews,
            total=len(reviews),
            waiting=sum(review.is_open for review in reviews),
            root=self._root(owed),
            purposes={key: kind for key, kind in owed.purposes.items() if key in owed.told},
            shares=self._shares(owed),
            polled_at=self._polled[owed.queue_id].completed_at if owed.queue_id is not None else None,
        )

    def _oldest_first(self, owed: Owed) -> tuple[Review, ...]:
        return tuple(sorted(self._told(owed), key=_oldest_first))

    def _told(self, owed: Owed) -> list[Review]:
        return [self._review(owed, key) for key in owed.told]

    def _review(self, owed: Owed, key: ReviewKey) -> Review:
        assert owed.queue_id is not None
        return self._reviews[owed.elsewhere[key].queue_id if key in owed.elsewhere else owed.queue_id, key]

    def _shares(self, owed: Owed) -> tuple[QueueShare, ...]:
        """What each queue has in a baseline of several, by name."""
        mine: dict[Queue, list[Review]] = {}
        for key in owed.told:
            queue = owed.elsewhere.get(key) or owed.delivery.queue
            assert queue is not None
            mine.setdefault(self._seen(queue).queue, []).append(self._review(owed, key))
        shares = [
            QueueShare(
                queue,
                waiting=len(waiting := [review.since for review in reviews if review.is_open]),
                total=len(reviews),
                oldest_since=min(waiting, default=None),
            )
            for queue, reviews in mine.items()
        ]
        by_name = sorted(shares, key=lambda share: (share.queue.name, _kept(share.queue.queue_id)))
        return tuple(by_name) if len(by_name) > 1 else ()

    def _root(self, owed: Owed) -> Receipt | None:
        if owed.delivery.remind_in is RemindIn.CHANNEL:
            return None
        return next((other.delivery.receipt for other in self._outbox.values() if _is_root_of(other, owed)), None)

    def settle(
        self,
        after: Delivery,
        claimed: Delivery,
        *,
        shown: Sequence[ReviewKey] = (),
        left_out: Collection[ReviewKey] = (),
    ) -> bool:
        with self._lock:
            owed = self._leased(claimed, State.SENDING)
            if owed is None:
                return False
            owed.delivery = replace(
                after,
                queue=owed.delivery.queue,
                lease_until=None,
                edit_at=owed.delivery.edit_at,
                successor=owed.delivery.successor,
            )
            owed.shown = list(shown) or owed.shown
            owed.spoken |= {key: True for key in left_out if key in owed.spoken}
            self._supersede(owed)
            return True

    def _leased(self, claimed: Delivery, state: State) -> Owed | None:
        owed = self._outbox.get(claimed.key)
        if owed is None or claimed.lease_until is None or owed.delivery.state is not state:
            return None
        return owed if owed.delivery.lease_until == claimed.lease_until else None

    def _supersede(self, newer: Owed) -> None:
        if newer.delivery.kind is not Kind.REMINDER:
            return
        sent = {owed.delivery.key: place for place, owed in enumerate(self._outbox.values())}
        earlier = (
            Candidate(owed.delivery, sent[owed.delivery.key], frozenset(r.key for r in self._told(owed) if r.is_open))
            for owed in self._outbox.values()
            if owed.queue_id is not None
        )
        mine = Candidate(newer.delivery, sent[newer.delivery.key], frozenset(newer.told))
        for each in superseded(mine, earlier):
            now = newer.delivery.settled_at or newer.delivery.due_at
            owed = self._outbox[each.delivery.key]
            owed.change(successor=newer.delivery.key, edit_at=_earliest_edit(owed.delivery, now))

    def retry(self, key: UUID, now: datetime) -> bool:
        with self._lock:
            owed = self._outbox.get(key)
            if owed is None or owed.delivery.state not in {State.DEAD, State.HELD}:
                return False
            owed.change(
                state=State.PENDING,
                due_at=now,
                held_until=None,
                attempts=0,
                attempted_at=None,
                looks=0,
                plain=False,
                settled_at=None,
            )
            if owed.queue_id is not None:
                self._revisions[owed.queue_id] += 1
            return True

    # Edits

    def unclaim(self, claimed_at: datetime, lease: timedelta) -> int:
        with self._lock:
            taken = [owed for owed in self._outbox.values() if owed.delivery.lease_until == claimed_at + lease]
            for owed in taken:
                waited = owed.delivery.edit_at == owed.delivery.lease_until
                owed.change(lease_until=None)
                if waited:
                    owed.change(edit_at=_earliest_edit(owed.delivery, claimed_at))
                if owed.delivery.state is State.SENDING and owed.delivery.attempted_at == claimed_at:
                    owed.change(state=State.PENDING, attempted_at=None, due_at=claimed_at)
                elif owed.delivery.state is State.SENDING:
                    owed.change(state=State.UNKNOWN, due_at=claimed_at)
            return len(taken)

    def lapse(self, now: datetime, look_at: datetime) -> int:
        with self._lock:
            leased = [owed for owed in self._outbox.values() if owed.delivery.lease_until is not None]
            for owed in leased:
                waited = owed.delivery.edit_at == owed.delivery.lease_until
                owed.change(lease_until=None)
                if waited:
                    owed.change(edit_at=_earliest_edit(owed.delivery, now))
                if owed.delivery.state is State.SENDING:
                    owed.change(state=State.UNKNOWN, due_at=look_at)
            return len(leased)

    def claim_edit(self, now: datetime, lease: timedelta, skip: Collection[Destination] = ()) -> Claim | None:
        with self._lock:
            kept = [owed for owed in self._outbox.values() if owed.delivery.destination not in skip]
            due = [owed for owed in kept if (at := _edit_due_at(owed.delivery)) is not None and at <= now]
            owed = min(due, key=lambda owed: owed.delivery.edit_at or NEVER, default=None)
            return None if owed is None else self._take_edit(owed, now + lease)

    def _take_edit(self, owed: Owed, lease_until: datetime) -> Claim:
        claimed = replace(self._as_read(owed), lease_until=lease_until)
        owed.change(lease_until=lease_until, digest="")
        successor = self._outbox.get(owed.delivery.successor) if owed.delivery.successor else None
        told = self._told(owed)
        shown_at = claimed.edited_at or claimed.settled_at or NEVER
        listed = tuple(sorted(told, key=_as_listed)[:LISTED])
        owed.shown = [review.key for review in listed]
        return Claim(
            claimed,
            listed,
            purposes={review.key: owed.purposes[review.key] for review in told if review.key in owed.purposes},
            total=len(told),
            shares=self._shares(owed),
            waiting=sum(review.is_open for review in told),
            entered=sum(review.is_open and review.told_at is None and _is_since(review, claimed) for review in told),
            left=sum(review.closed_at is not None and review.closed_at > shown_at for review in told),
            successor=successor.delivery.receipt if successor else None,
        )

    def settle_edit(self, after: Delivery, claimed: Delivery) -> bool:
        with self._lock:
            owed = self._leased(claimed, State.SENT)
            if owed is None:
                return False
            owed.change(
                lease_until=None,
                edit_at=_owed_after(owed.delivery, after, claimed),
                edited_at=after.edited_at,
                edit_held_until=after.edit_held_until,
                edits=after.edits,
                edit_until=after.edit_until,
                digest=after.digest,
                last_error=after.last_error,
            )
            return True

    # Pauses

    def pauses(self) -> Sequence[Pause]:
        with self._lock:
            return sorted(self._pauses.values(), key=lambda pause: (pause.since, pause.destination))

    def pause(self, pause: Pause) -> Pause:
        with self._lock:
            former = self._pauses.get(pause.destination, pause)
            self._pauses[pause.destination] = replace(pause, since=former.since)
            self._hold(pause.destination)
            return self._pauses[pause.destination]

    def rest(self, now: datetime, until: datetime) -> None:
        """Whoever is alone keeps that in mind by itself."""

    def resume(self, destination: Destination) -> None:
        with self._lock:
            self._pauses.pop(destination, None)
            for owed in self._outbox.values():
                if _within(owed, destination):
                    owed.delivery = let_go(owed.delivery)
            self._hold(destination)

    def _hold(self, destination: Destination) -> None:
        for owed in self._outbox.values():
            until = [p.until for p in self._pauses.values() if _within(owed, p.destination)]
            if until and waits_for_time(owed.delivery) and _within(owed, destination):
                owed.change(state=State.HELD, held_until=max(until))

    # Looking

    def next_due_at(self) -> datetime | None:
        with self._lock:
            live = [ready_at(owed.delivery) for owed in self._outbox.values() if owed.delivery.state in LIVE]
            edits = [_edit_due_at(owed.delivery) for owed in self._outbox.values()]
            dues = [*(due for due in live if due < NEVER), *(at for at in edits if at is not None)]
            return min(dues, default=None)

    def polls(self) -> Sequence[Polled]:
        with self._lock:
            return sorted(self._polled.values(), key=lambda polled: (polled.queue.name, str(polled.queue.queue_id)))

    def standing(self, queue_id: Id, stale_before: datetime | None) -> QueueTotals:
        with self._lock:
            mine = totals_of((r for (of, _), r in self._reviews.items() if of == queue_id), stale_before)
            states = [owed.delivery.state for owed in self._outbox.values() if owed.queue_id == queue_id]
            undelivered = sum(state in LIVE for state in states)
            return replace(mine, undelivered=undelivered, dead=states.count(State.DEAD))

    def backlog(self) -> Sequence[Backlog]:
        with self._lock:
            found: dict[State, list[Delivery]] = {}
            for owed in self._outbox.values():
                if owed.delivery.state in LIVE | {State.DEAD}:
                    found.setdefault(owed.delivery.state, []).append(owed.delivery)
            errors = {state: each[-1].last_error for state, each in found.items() if state in {State.DEAD, State.HELD}}
            return [
                Backlog(state, len(each), min(one.created_at for one in each), errors.get(state, ""))
                for state, each in found.items()
            ]

    def deliveries(self, state: State | None = None, limit: int = 100) -> Sequence[Delivery]:
        with self._lock:
            newest = [self._as_read(owed) for owed in reversed(self._outbox.values())]
            return [delivery for delivery in newest if state in {None, delivery.state}][:limit]

    def mentioned(self, since: datetime, but: UUID) -> Mapping[str, int]:
        with self._lock:
            every = [owed.delivery for owed in self._outbox.values() if owed.delivery.key != but]
            posted = [each for each in every if each.state in IN_DOUBT or _was_posted_since(each, since)]
            return Counter(mention for each in posted for mention in each.mention)

    def stories(self, queue_run_id: Id) -> Sequence[Story]:
        with self._lock:
            stays = [(of, r) for (of, key), r in self._reviews.items() if key.queue_run_id == queue_run_id]
            return [
                Story(self._polled[of].queue, review, tuple(self._tellings(of, review.key)))
                for of, review in sorted(stays, key=lambda stay: stay[1].first_seen_at)
            ]

    def _tellings(self, queue_id: Id, key: ReviewKey) -> Iterator[StoryNotice]:
        return (
            StoryNotice(self._as_read(owed), left_out=owed.spoken[key], purpose=owed.purposes.get(key))
            for owed in self._outbox.values()
            if key in owed.spoken and self._queue_id(owed, key) == queue_id
        )

    def _as_read(self, owed: Owed) -> Delivery:
        queue = None if owed.queue_id is None else self._polled[owed.queue_id].queue
        return owed.delivery if queue == owed.delivery.queue else replace(owed.delivery, queue=queue)

    def recall(self, name: str) -> str | None:
        with self._lock:
            return self._notes.get(name)

    def remember(self, name: str, value: str) -> None:
        with self._lock:
            self._notes[name] = value

    def note(self, process: Process) -> None:
        with self._lock:
            self._processes[process.process_id] = process

    def processes(self) -> Sequence[Process]:
        with self._lock:
            return sorted(self._processes.values(), key=lambda process: process.started_at, reverse=True)

    def prune(self, *, settled_before: datetime, closed_before: datetime) -> int:
        with self._lock:
            old = [key for key, owed in self._outbox.items() if _is_over(owed.delivery, settled_before)]
            for key in old:
                del self._outbox[key]
            spoken = {(owed.queue_id, key) for owed in self._outbox.values() for key in owed.spoken}
            closed = [
                key
                for key, r in self._reviews.items()
                if r.closed_at and r.closed_at < closed_before and key not in spoken
            ]
            for each in closed:
                del self._reviews[each]
            return len(old) + len(closed)

    # People

    def cards(self) -> Sequence[Card]:
        with self._lock:
            return [self._cards[reviewer_id] for reviewer_id in sorted(self._cards)]

    def introduce(self, reviewers: Collection[Reviewer], now: datetime) -> int:
        with self._lock:
            written = introduced(self._cards, reviewers, now)
            self._cards |= {card.reviewer_id: card for card in written}
            return len(written)

    def answer(self, card: Card) -> bool:
        with self._lock:
            known = self._cards.get(card.reviewer_id)
            if known is None or known.is_forgotten or known.email != card.email:
                return False
            self._cards[card.reviewer_id] = replace(card, name=known.name)
            return True

    def refuse(self, user: str, problem: Problem, now: datetime) -> bool:
        with self._lock:
            found = [card for card in self._cards.values() if user and card.user == user and not card.is_forgotten]
            for card in found:
                self._cards[card.reviewer_id] = replace(card, problem=problem, asked_at=now, ask_at=now + LOOKED_UP_FOR)
            return bool(found)

    def strangers(self) -> Collection[str]:
        with self._lock:
            every = [review.who for review in self._reviews.values() if review.is_open]
            named = {one for who in every for one in (*who.assigned_to, *who.reserved_by, *who.completed_by)}
            return named - self._cards.keys()

    def forget(self, email: str, now: datetime) -> int:
        with self._lock:
            wanted = email_key(email)
            ids = {card.reviewer_id for card in self._cards.values() if card.email == wanted}
            for queue_id, polled in self._polled.items():
                assigned = polled.queue.assigned
                named = {each.reviewer_id for each in assigned if email_key(each.email) == wanted}
                stripped = replace(polled.queue, assigned=_stripped(assigned, named))
                self._polled[queue_id] = replace(polled, queue=stripped)
                ids |= named
            for reviewer_id in ids:
                self._cards[reviewer_id] = Card(reviewer_id, problem=Problem.FORGOTTEN, asked_at=now)
            self._cards.pop(listed_id(wanted), None)
            return len(ids)

    def readmit(self, ids: Collection[str]) -> None:
        with self._lock:
            for reviewer_id in [one for one in ids if one in self._cards and self._cards[one].is_forgotten]:
                del self._cards[reviewer_id]

    def maintain(self) -> None:
        """Nothing to give back."""


def _kept(one: Id) -> bytes:
    """An id as the databases sort it; those of one source are all UUIDs or all text."""
    return one.encode() if isinstance(one, str) else one.bytes


def _is_since(review: Review, message: Delivery) -> bool:
    """Whether a run that nothing has announced entered a message after it was shown last."""
    return message.edited_at is None or review.first_seen_at > message.edited_at


def _as_listed(review: Review) -> tuple[object, ...]:
    """Those that wait, oldest first; then those that left, the last of them first."""
    left = NEVER - (review.closed_at or NEVER)
    return (not review.is_open, left, *_oldest_first(review))


def _was_posted_since(delivery: Delivery, since: datetime) -> bool:
    return delivery.state is State.SENT and delivery.settled_at is not None and delivery.settled_at >= since


def _ended(review: Review) -> tuple[datetime, datetime]:
    return review.closed_at or NEVER, _added(review)


def _added(review: Review) -> datetime:
    return review.added_at or datetime.min.replace(tzinfo=UTC)


def _oldest_first(review: Review) -> tuple[datetime, bytes, datetime]:
    return review.since, _kept(review.queue_run_id), _added(review)


def _is_kept_true(delivery: Delivery, now: datetime) -> bool:
    if delivery.edit_until is None:
        return delivery.state in {State.SENDING, State.UNKNOWN}
    return delivery.state in {State.SENDING, State.UNKNOWN, State.SENT} and delivery.edit_until > now


def _earliest_edit(delivery: Delivery, now: datetime) -> datetime:
    rested = delivery.edit_held_until or now
    return max(now, rested, delivery.lease_until or now)


def _edit_due_at(delivery: Delivery) -> datetime | None:
    if delivery.state is not State.SENT or delivery.edit_at is None or delivery.edit_until is None:
        return None
    return max(delivery.edit_at, delivery.lease_until or delivery.edit_at)


def _owed_after(now_owed: Delivery, after: Delivery, claimed: Delivery) -> datetime | None:
    if now_owed.edit_at is None or now_owed.edit_at == claimed.edit_at:
        return after.edit_at
    return max(now_owed.edit_at, after.edit_held_until or now_owed.edit_at)


def _is_same_place(one: Owed, other: Owed) -> bool:
    return (one.queue_id, one.delivery.destination) == (other.queue_id, other.delivery.destination)


def _is_root_of(other: Owed, owed: Owed) -> bool:
    up = other.delivery.state is State.SENT and other.delivery.receipt is not None
    in_channel = other.delivery.remind_in is RemindIn.CHANNEL
    return up and in_channel and _is_same_place(other, owed) and bool(set(other.told) & set(owed.told))


def _withdraw(owed: Owed, reason: str, now: datetime) -> None:
    owed.change(state=State.WITHDRAWN, last_error=reason, settled_at=now, edit_at=None)


def _is_unposted(owed: Owed) -> bool:
    return owed.delivery.state in {State.PENDING, State.HELD}


def _within(owed: Owed, destination: Destination) -> bool:
    return destination in {EVERYWHERE, owed.delivery.destination}


def _is_over(delivery: Delivery, before: datetime) -> bool:
    over = delivery.state not in LIVE and delivery.settled_at is not None and delivery.settled_at < before
    return over and (delivery.edit_until is None or delivery.edit_until < before)


def _stripped(reviewers: Iterable[Reviewer], ids: Collection[str]) -> tuple[Reviewer, ...]:
    return tuple(replace(each, name="", email="") if each.reviewer_id in ids else each for each in reviewers)
