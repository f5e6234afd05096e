"""A store in memory: the contract of `Store` said as plainly as it can be, for the loops and as a reference."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from tests.support.memory_inboxes import MemoryInboxes
from tests.support.memory_people import MemoryPeople
from tests.support.memory_tables import (
    Owed,
    added_or_first,
    by_age,
    earliest_edit,
    is_kept_true,
    kept_form,
)
from worker.core.history import EMPTY_HOUR, PLAINLY, hour_of, learned_hours, marks, with_change
from worker.core.message import totals_of
from worker.core.model import (
    LISTED,
    Entry,
    Kind,
    Memory,
    Polled,
    QueueTotals,
    Review,
    ReviewKey,
    Window,
)
from worker.core.outbox import (
    LIVE,
    entry_of,
)
from worker.core.owed import (
    NEVER,
    Delivery,
    State,
    Story,
    StoryNotice,
)
from worker.core.store_roles import never_stale

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from worker.core.history import Hours, Measure
    from worker.core.leases import Assignment
    from worker.core.model import Facts, Fate, Id, Queue
    from worker.core.overview import Process
    from worker.core.plan import Plan


class MemoryStore(MemoryInboxes, MemoryPeople):
    """The store's contract, said as plainly as it can be; nothing outlives the process."""

    def under(self, assignment: Assignment) -> MemoryStore:  # noqa: ARG002
        return self

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
            muted_until = self._mutes.get(queue.queue_id)
            plan = decide(Memory(is_baselined, recalled, revision, listing, window, muted_until, known.completed_at))
            self._listings[queue.queue_id] = plan.listing or listing
            if plan.is_baselined:
                self._polled[queue.queue_id] = replace(known, baselined_at=known.baselined_at or now)
            written = {(queue.queue_id, review.key): review for review in plan.reviews}
            altered = [key for queue_id, key in written if (queue_id, key) in self._reviews]
            self._reviews |= written
            self._written[queue.queue_id] += bool(written)
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
                    owed.before = dict(zip(notice.reviews, notice.before, strict=False))
            if plan.opened is not None:
                self._windows[queue.queue_id] = plan.opened
            elif plan.entered and window is not None:
                self._enter(self._outbox[window.host], plan.entered, now)
            self._owe_edits(queue.queue_id, altered, now)
            self._add_hours(queue.queue_id, plan.tally.hours)
            return plan

    def _add_hours(self, queue_id: Id, tally: Hours) -> None:
        mine = self._hours.setdefault(queue_id, {})
        for start, change in tally.items():
            mine[start] = with_change(mine.get(start, EMPTY_HOUR), change)

    def hours(self, since: datetime, until: datetime, queue_id: Id | None = None) -> Mapping[Id, Hours]:
        with self._lock:
            asked = self._hours if queue_id is None else {queue_id: self._hours.get(queue_id, {})}
            found = {
                of: {start: mine[start] for start in sorted(mine) if hour_of(since) <= start < until}
                for of, mine in asked.items()
            }
            return {of: mine for of, mine in found.items() if mine}

    def _window(self, queue_id: Id, now: datetime) -> Window | None:
        window = self._windows.get(queue_id)
        if window is None:
            return None
        host = self._outbox.get(window.host)
        return replace(window, entry=Entry.NEVER if host is None else entry_of(host.delivery, now))

    def _enter(self, owed: Owed, entering: Collection[ReviewKey], now: datetime) -> None:
        if new := [key for key in entering if owed.spoken.get(key, True)]:
            owed.spoken |= dict.fromkeys(new, False)
            if owed.delivery.kind is not Kind.ANNOUNCEMENT:
                owed.purposes |= dict.fromkeys(new, Kind.ANNOUNCEMENT)
            soon = max(now, owed.delivery.lease_until or now)
            owed.entered |= dict.fromkeys(new, soon)
            owed.change(edit_at=soon)

    def newer_days(self) -> int:
        """Nothing outlives the process."""
        return 0

    def polled(
        self, polls: Iterable[Polled], stale_before: Callable[[Queue, datetime], datetime | None] = never_stale
    ) -> Mapping[Id, int]:
        with self._lock:
            every = list(polls)
            for polled in every:
                known = self._seen(polled.queue)
                self._mark_hour(known, polled, stale_before)
                self._polled[polled.queue.queue_id] = replace(
                    known,
                    completed_at=polled.completed_at or known.completed_at,
                    failing_since=polled.failing_since,
                    error=polled.error,
                    trouble=polled.trouble,
                )
            return {polled.queue.queue_id: self._revisions[polled.queue.queue_id] for polled in every}

    def _mark_hour(
        self, known: Polled, polled: Polled, stale_before: Callable[[Queue, datetime], datetime | None]
    ) -> None:
        at, before = polled.completed_at, known.completed_at
        if at is not None and (before is None or hour_of(before) < hour_of(at)):
            queue_id = polled.queue.queue_id
            standing = totals_of(self._open(queue_id), stale_before(polled.queue, hour_of(at)))
            self._add_hours(queue_id, marks(at, before, standing))

    def learn(self, queue_id: Id, left: Mapping[Id, Fate], now: datetime, measure: Measure = PLAINLY) -> bool:
        with self._lock:
            latest: dict[Id, Review] = {}
            for review in sorted(self._closed(queue_id), key=_ended):
                latest[review.queue_run_id] = review
            news = {run: how for run, how in left.items() if run in latest and latest[run].fate is not how}
            self._add_hours(queue_id, learned_hours((latest[run] for run in news), left, measure))
            for queue_run_id, how in news.items():
                review = latest[queue_run_id]
                self._reviews[queue_id, review.key] = replace(review, fate=how)
            return self._acted(queue_id, [latest[run].key for run in news], now)

    def unexplained(self, queue_id: Id, now: datetime, most: int) -> Sequence[Id]:
        with self._lock:
            kept = [
                o for o in self._outbox.values() if o.queue_id in {queue_id, None} and is_kept_true(o.delivery, now)
            ]
            shown = {key for owed in kept for key in (owed.shown if owed.delivery.state is State.SENT else owed.told)}
            told = {key for owed in kept for key in owed.told}
            ended = {review.queue_run_id: review for review in sorted(self._closed(queue_id), key=_ended)}
            waiting = {r.queue_run_id for (of, _), r in self._reviews.items() if of == queue_id and r.is_open}
            mine = [owed.delivery for owed in self._outbox.values() if owed.queue_id in {queue_id, None}]
            owed_at = [d.created_at for d in mine if d.state in LIVE or (d.edit_until and d.edit_until > now)]
            # No message speaks of what left before it was owed.
            since = min(owed_at, default=NEVER)
            found = [r for r in ended.values() if r.fate is None and r.key in shown & told]
            found = [review for review in found if review.closed_at and review.closed_at >= since]
            found = sorted((r for r in found if r.queue_run_id not in waiting), key=lambda r: kept_form(r.queue_run_id))
            found.sort(key=lambda r: r.closed_at or NEVER, reverse=True)
            return [review.queue_run_id for review in found[:most]]

    def describe(self, queue_id: Id, facts: Mapping[Id, Facts], now: datetime) -> bool:
        with self._lock:
            news = [r for r in self._open(queue_id) if facts.get(r.queue_run_id, r.facts) != r.facts]
            for review in news:
                after = replace(review, facts=facts[review.queue_run_id])
                self._reviews[queue_id, review.key] = after
            return self._acted(queue_id, [review.key for review in news], now)

    def undescribed(self, queue_id: Id, now: datetime, most: int) -> Mapping[Id, Facts]:
        with self._lock:
            lacking = {r.key: r for r in sorted(self._open(queue_id), key=by_age) if not r.facts.name}
            listed = {
                key
                for owed in self._outbox.values()
                if owed.queue_id in {queue_id, None}
                for key in self._lists(owed, now)
            }
            found = [review for key, review in lacking.items() if key in listed]
            return {review.queue_run_id: review.facts for review in found[:most]}

    def _lists(self, owed: Owed, now: datetime) -> Sequence[ReviewKey]:
        if owed.delivery.state is State.SENT:
            return owed.shown if is_kept_true(owed.delivery, now) else ()
        if owed.delivery.state not in LIVE:
            return ()
        return [review.key for review in sorted(self._told(owed), key=by_age) if review.is_open][:LISTED]

    def _open(self, queue_id: Id) -> list[Review]:
        return [review for (of, _), review in self._reviews.items() if of == queue_id and review.is_open]

    def _closed(self, queue_id: Id) -> Iterator[Review]:
        return (review for (of, _), review in self._reviews.items() if of == queue_id and not review.is_open)

    def _acted(self, queue_id: Id, keys: Collection[ReviewKey], now: datetime) -> bool:
        if keys:
            self._revisions[queue_id] += 1
            self._owe_edits(queue_id, keys, now)
        return bool(keys)

    def polls(self) -> Sequence[Polled]:
        with self._lock:
            return sorted(self._polled.values(), key=lambda polled: (polled.queue.name, str(polled.queue.queue_id)))

    def standing(
        self, queue_id: Id, stale_before: datetime | None, expiring_before: datetime | None = None
    ) -> QueueTotals:
        with self._lock:
            every = (r for (of, _), r in self._reviews.items() if of == queue_id)
            mine = totals_of(every, stale_before, expiring_before)
            states = [owed.delivery.state for owed in self._outbox.values() if owed.queue_id == queue_id]
            undelivered = sum(state in LIVE for state in states)
            return replace(mine, undelivered=undelivered, dead=states.count(State.DEAD))

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

    def prune(self, *, settled_before: datetime, closed_before: datetime, hours_before: datetime | None = None) -> int:
        with self._lock:
            for mine in self._hours.values() if hours_before is not None else ():
                for start in [start for start in mine if start.date() < hours_before.date()]:
                    del mine[start]
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
            return len(old) + len(closed) + self._prune_acts(closed_before)

    def reshow(self, now: datetime) -> int:
        with self._lock:
            kept = [owed for owed in self._outbox.values() if is_kept_true(owed.delivery, now)]
            for owed in kept:
                owed.change(edit_at=earliest_edit(owed.delivery, now))
            return len(kept)

    def maintain(self) -> None:
        """Nothing to give back."""


def _ended(review: Review) -> tuple[datetime, datetime]:
    return review.closed_at or NEVER, added_or_first(review)


def _is_over(delivery: Delivery, before: datetime) -> bool:
    over = delivery.state not in LIVE and delivery.settled_at is not None and delivery.settled_at < before
    return over and (delivery.edit_until is None or delivery.edit_until < before)
