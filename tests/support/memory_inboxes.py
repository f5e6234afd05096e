"""Direct messages and budgets of the store in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from tests.support.memory_outbox import MemoryOutbox
from worker.core.direct import Desk
from worker.core.model import Entry, Kind, Window
from worker.core.outbox import entry_of
from worker.core.owed import Delivery, State

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    from tests.support.memory_tables import Owed
    from worker.core.direct import DirectNotice, DirectPlan
    from worker.core.direct_inbox import About
    from worker.core.model import Id, Review, ReviewKey


class MemoryInboxes(MemoryOutbox):
    """What readers have heard, and whom deliveries have called."""

    def stirred(self, queue_ids: Collection[Id]) -> object:
        with self._lock:
            queues = {queue_id: (self._written[queue_id], self._revisions[queue_id]) for queue_id in queue_ids}
            shown = {queue_id: self._polled[queue_id].queue for queue_id in queue_ids if queue_id in self._polled}
            hosts = [self._outbox[host].delivery for _, host in self._inboxes.values() if host in self._outbox]
            return queues, shown, [(host.state, host.edit_until) for host in hosts], self._passed()

    def _passed(self) -> dict[About, datetime]:
        sent = [owed for owed in self._outbox.values() if owed.delivery.state is State.SENT]
        return {
            (owed.queue_id, key): at
            for owed in sent
            for key, at in owed.passed.items()
            if owed.queue_id is not None and key in owed.told
        }

    def direct(
        self,
        queue_ids: Collection[Id],
        decide: Callable[[Desk], DirectPlan],
        now: datetime,
        *,
        owners: Collection[Id] = (),
    ) -> DirectPlan:
        with self._lock:
            plan = decide(self._desk(queue_ids, now, owners))
            ended, self._begun = self._begun - plan.begun, frozenset(plan.begun)
            for queue_id in ended:
                self._unsay(queue_id)
            self._spoken |= plan.spoken
            for notice in plan.notices:
                self._owe_directly(notice, now)
            for entered in plan.entered:
                owed = self._outbox[entered.host]
                soon = max(now, owed.delivery.lease_until or now)
                if self._speak(owed, entered.runs, soon):
                    owed.change(edit_at=soon)
            for queue_id, key in plan.heard:
                for owed in self._outbox.values():
                    if owed.queue_id == queue_id:
                        owed.passed.pop(key, None)
            return plan

    def _desk(self, queue_ids: Collection[Id], now: datetime, owners: Collection[Id]) -> Desk:
        windows = {}
        for reader, (opened_at, host) in self._inboxes.items():
            entry = entry_of(self._outbox[host].delivery, now) if host in self._outbox else Entry.NEVER
            windows[reader] = Window(opened_at, host, entry)
        pings: dict[str, list[datetime]] = {}
        for (of, who), at in self._pings.items():
            if of in self._outbox and self._outbox[of].delivery.state not in {State.WITHDRAWN, State.DEAD}:
                pings.setdefault(who, []).append(at)
        reviews = {queue_id: self._waiting_in(queue_id) for queue_id in queue_ids}
        passed = set(self._passed())
        for queue_id in owners:
            every = reviews.get(queue_id, [])
            reviews[queue_id] = [one for one in every if one.reminded or (queue_id, one.key) in passed]
        muted = {queue_id: until for queue_id, until in self._mutes.items() if until is not None}
        return Desk(reviews, self._begun, dict(self._spoken), windows, pings, muted, passed)

    def _waiting_in(self, queue_id: Id) -> list[Review]:
        return [review for (of, _), review in self._reviews.items() if of == queue_id and review.is_open]

    def _unsay(self, queue_id: Id) -> None:
        heard = {about for (_, about), spoken in self._spoken.items() if spoken.told_at is not None}
        for one in self._waiting_in(queue_id):
            if not one.generation and (queue_id, one.key) not in heard:
                self._reviews[queue_id, one.key] = replace(one, told_at=None)
        self._revisions[queue_id] += 1

    def _owe_directly(self, notice: DirectNotice, now: datetime) -> None:
        delivery = Delivery(
            notice.key, Kind.DIRECT, notice.destination, created_at=now, due_at=now, reader=notice.reader
        )
        if self.owe(delivery):
            self._speak(self._outbox[notice.key], notice.runs)
            self._pings[notice.key, notice.destination.place] = now
        self._inboxes[notice.reader] = now, notice.key

    def _speak(self, owed: Owed, runs: Iterable[tuple[About, Kind]], entered_at: datetime | None = None) -> int:
        """Let a direct message speak of runs; how many of them it did not speak of before."""
        new = [(about, kind) for about, kind in runs if owed.spoken.get(about[1], True)]
        for (queue_id, key), kind in new:
            owed.spoken[key] = False
            owed.purposes.setdefault(key, kind)
            owed.elsewhere[key] = self._polled[queue_id].queue
            if entered_at is not None:
                owed.entered[key] = entered_at
        return len(new)

    def spend(
        self,
        key: UUID,
        since: Mapping[str, datetime],
        most: int,
        now: datetime,
        passed: Callable[[Sequence[str]], Collection[ReviewKey]] = lambda _called: (),
    ) -> Sequence[str]:
        with self._lock:
            spent = self.spent(since, key)
            called = [reader for reader in since if spent[reader] < most]
            self._pings = {(of, who): at for (of, who), at in self._pings.items() if of != key}
            self._pings |= {(key, reader): now for reader in called}
            self._outbox[key].passed = dict.fromkeys(passed(called), now)
            return called

    def spent(self, since: Mapping[str, datetime], but: UUID) -> Mapping[str, int]:
        with self._lock:
            never = {State.WITHDRAWN, State.DEAD}
            pings = [
                (who, at)
                for (of, who), at in self._pings.items()
                if of != but and of in self._outbox and self._outbox[of].delivery.state not in never
            ]
            return {reader: sum(who == reader and at >= first for who, at in pings) for reader, first in since.items()}
