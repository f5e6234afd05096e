"""The outbox and the pauses of the store in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from tests.support.memory_tables import (
    MemoryTables,
    Owed,
    by_age,
    earliest_edit,
)
from worker.core.model import (
    LISTED,
    Kind,
    RemindIn,
    Review,
    ReviewKey,
)
from worker.core.outbox import (
    LIVE,
    STANDS_FOR_ALL,
    Candidate,
    Taking,
    as_owed,
    choose,
    concerned,
    due_longest,
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
    State,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from datetime import datetime, timedelta
    from uuid import UUID

    from worker.core.model import Id, Queue
    from worker.core.owed import Receipt


class MemoryOutbox(MemoryTables):
    """The roles `Outbox` and `Channels`, and the part of `Deliveries` that looks at deliveries alone."""

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
        *,
        looks: bool = True,
    ) -> Claim | None:
        with self._lock:
            while (due := due_longest(self._waiting(now, skip, unposted, unseen, looks=looks), now)) is not None:
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
            return [self._as_it_is(owed) for owed in live]

    def _as_it_is(self, owed: Owed) -> Claim:
        claim = Claim(
            self._as_read(owed),
            self._oldest_first(owed),
            queues=self._queues(owed),
            polled_at=None
            if owed.queue_id is None and owed.delivery.kind is not Kind.DIRECT
            else self._polled_at(owed),
            muted_until=self._muted_until(owed),
            mutes=self._mutes_of(owed),
        )
        return replace(claim, purposes=owed.purposes) if claim.queues else claim

    def _waiting(
        self,
        now: datetime,
        skip: Collection[Destination],
        unposted: Collection[Destination],
        unseen: Collection[Destination],
        *,
        looks: bool,
    ) -> Iterator[Candidate[ReviewKey]]:
        """What may be claimed, without what it speaks of: the loops ask for it many thousand times."""
        is_quiet = EVERYWHERE in unposted
        for place, owed in enumerate(self._outbox.values()):
            delivery = owed.delivery
            to = delivery.destination
            # Most is not due, or over: no more than that is looked at.
            if delivery.due_at > now or to in skip or (delivery.kind is Kind.BASELINE and to in unseen):
                continue
            if not (unposted and (is_quiet or to in unposted)) if _is_unposted(owed) else looks:
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
        before = frozenset(owed.spoken)
        for merged in taking.merged:
            other = self._outbox[merged.delivery.key]
            if other.delivery.queue and other.queue_id != owed.queue_id:
                owed.elsewhere |= dict.fromkeys(other.told, other.delivery.queue) | other.elsewhere
            for key, kind in other.purposes.items():
                if key in other.told and key not in before:
                    owed.purposes[key] = min(kind, owed.purposes.get(key, kind))
            owed.before = other.before | owed.before
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
            polled_at=self._polled_at(owed),
            muted_until=self._muted_until(owed),
            mutes=self._mutes_of(owed),
            queues=self._queues(owed),
        )

    def _mutes_of(self, owed: Owed) -> dict[Id, datetime]:
        queues = self._queues(owed).values()
        return {each.queue_id: until for each in queues if (until := self._mutes.get(each.queue_id)) is not None}

    def _muted_until(self, owed: Owed) -> datetime | None:
        ids = {owed.queue_id} if owed.queue_id is not None else {q.queue_id for q in self._queues(owed).values()}
        muted = [self._mutes.get(each) for each in ids if each is not None]
        return None if None in muted else min((at for at in muted if at is not None), default=None)

    def _polled_at(self, owed: Owed) -> datetime | None:
        if owed.queue_id is not None:
            return self._polled[owed.queue_id].completed_at
        polled = [self._polled[queue.queue_id].completed_at for queue in self._queues(owed).values()]
        times = [at for at in polled if at is not None]
        return min(times) if times and len(times) == len(polled) else None

    def _queues(self, owed: Owed) -> dict[ReviewKey, Queue]:
        """The queues of the reviews of a direct message."""
        if owed.delivery.kind is not Kind.DIRECT:
            return {}
        return {key: self._polled[owed.elsewhere[key].queue_id].queue for key in owed.told}

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
            self._untell(owed, left_out)
            owed.spoken |= {key: True for key in left_out if key in owed.spoken}
            self._supersede(owed)
            self._take_back(owed)
            return True

    def _leased(self, claimed: Delivery, state: State) -> Owed | None:
        owed = self._outbox.get(claimed.key)
        if owed is None or claimed.lease_until is None or owed.delivery.state is not state:
            return None
        return owed if owed.delivery.lease_until == claimed.lease_until else None

    def _untell(self, owed: Owed, left_out: Collection[ReviewKey]) -> None:
        """Let runs be as far as before a notice that does not speak of them after all."""
        if owed.delivery.kind in {Kind.DIRECT, Kind.OPS}:
            return
        keys = owed.told if owed.delivery.state is State.WITHDRAWN else [key for key in owed.told if key in left_out]
        for key in keys:
            review, before = self._review(owed, key), owed.before.get(key)
            if not review.is_open or review.told_at is None or (before is not None and before >= review.told_at):
                continue
            is_reminder = owed.purposes.get(key, owed.delivery.kind) is Kind.REMINDER
            queue_id = self._queue_id(owed, key)
            assert queue_id is not None
            reminded = max(review.reminded - is_reminder, 0)
            self._reviews[queue_id, key] = replace(review, told_at=before, reminded=reminded)
            self._revisions[queue_id] += 1

    def _take_back(self, owed: Owed) -> None:
        """Let a reader not count as called for what a direct message does not speak of after all."""
        is_withdrawn = owed.delivery.state is State.WITHDRAWN
        if owed.delivery.state is not State.SENT and not is_withdrawn:
            return
        for (reader, about), heard in self._spoken.items():
            if heard.called_by == owed.delivery.key and (is_withdrawn or owed.spoken.get(about[1], False)):
                self._spoken[reader, about] = replace(heard, told_at=None)

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
            owed.change(successor=newer.delivery.key, edit_at=earliest_edit(owed.delivery, now))

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

    def unclaim(self, claimed_at: datetime, lease: timedelta) -> int:
        with self._lock:
            taken = [owed for owed in self._outbox.values() if owed.delivery.lease_until == claimed_at + lease]
            for owed in taken:
                waited = owed.delivery.edit_at == owed.delivery.lease_until
                owed.change(lease_until=None)
                if waited:
                    owed.change(edit_at=earliest_edit(owed.delivery, claimed_at))
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
                    owed.change(edit_at=earliest_edit(owed.delivery, now))
                if owed.delivery.state is State.SENDING:
                    owed.change(state=State.UNKNOWN, due_at=look_at)
            return len(leased)

    def claim_edit(self, now: datetime, lease: timedelta, skip: Collection[Destination] = ()) -> Claim | None:
        with self._lock:
            kept = [owed for owed in self._outbox.values() if owed.delivery.destination not in skip]
            due = [owed for owed in kept if (at := _edit_due_at(owed.delivery)) is not None and at <= now]
            # Of several owed at once the newest.
            owed = min(reversed(due), key=lambda owed: owed.delivery.edit_at or NEVER, default=None)
            return None if owed is None else self._take_edit(owed, now + lease)

    def _take_edit(self, owed: Owed, lease_until: datetime) -> Claim:
        claimed = replace(self._as_read(owed), lease_until=lease_until)
        owed.change(lease_until=lease_until, digest="")
        successor = self._outbox.get(owed.delivery.successor) if owed.delivery.successor else None
        told = self._told(owed)
        shown_at = claimed.edited_at or claimed.settled_at or NEVER
        most = len(told) if owed.delivery.kind is Kind.DIRECT else LISTED
        listed = tuple(sorted(told, key=_as_listed)[:most])
        owed.shown = [review.key for review in listed[:LISTED]]
        return Claim(
            claimed,
            listed,
            purposes={review.key: owed.purposes[review.key] for review in told if review.key in owed.purposes},
            total=len(told),
            shares=self._shares(owed),
            queues=self._queues(owed),
            waiting=sum(review.is_open for review in told),
            entered=sum(
                review.is_open
                and (review.told_at is None or claimed.kind is Kind.DIRECT)
                and owed.entered.get(review.key, shown_at) > shown_at
                for review in told
            ),
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

    def next_due_at(self) -> datetime | None:
        with self._lock:
            live = [ready_at(owed.delivery) for owed in self._outbox.values() if owed.delivery.state in LIVE]
            edits = [_edit_due_at(owed.delivery) for owed in self._outbox.values()]
            dues = [*(due for due in live if due < NEVER), *(at for at in edits if at is not None)]
            return min(dues, default=None)

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


def _as_listed(review: Review) -> tuple[object, ...]:
    """Those that wait, oldest first; then those that left, the last of them first."""
    left = NEVER - (review.closed_at or NEVER)
    return (not review.is_open, left, *by_age(review))


def _was_posted_since(delivery: Delivery, since: datetime) -> bool:
    return delivery.state is State.SENT and delivery.settled_at is not None and delivery.settled_at >= since


def _edit_due_at(delivery: Delivery) -> datetime | None:
    if delivery.state is not State.SENT or delivery.edit_at is None or delivery.edit_until is None:
        return None
    return max(delivery.edit_at, delivery.lease_until or delivery.edit_at)


def _owed_after(now_owed: Delivery, after: Delivery, claimed: Delivery) -> datetime | None:
    if now_owed.edit_at is None or now_owed.edit_at == claimed.edit_at:
        return after.edit_at
    # Owed to an act of a person while this one was made.
    if now_owed.lease_until is not None and now_owed.edit_at < now_owed.lease_until:
        return now_owed.edit_at
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
