"""What the store in memory holds, and what its roles look up in it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import RLock
from typing import TYPE_CHECKING

from msgspec.structs import replace

from worker.core.model import (
    Kind,
    Polled,
    Review,
    ReviewKey,
    Window,
)
from worker.core.outbox import ACTS_COME_FIRST
from worker.core.owed import (
    Delivery,
    Destination,
    Pause,
    QueueShare,
    State,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from uuid import UUID

    from worker.core.actions import Record
    from worker.core.direct_inbox import About, Spoken
    from worker.core.directory import Card
    from worker.core.history import Hour
    from worker.core.model import Id, Queue, Reviewer
    from worker.core.overview import Process


@dataclass(slots=True)
class Owed:
    """A delivery with the reviews that it speaks of (True: left out) and those that its message lists.

    `purposes` has what those are in it for that have a purpose of their own, `elsewhere` the queues of those that are
    in another queue than the delivery, `passed` those of which the owner is to hear, `entered` those
    that came by an edit. `before` says up to when each had been spoken of.
    """

    delivery: Delivery
    purposes: dict[ReviewKey, Kind] = field(default_factory=dict)
    elsewhere: dict[ReviewKey, Queue] = field(default_factory=dict)
    spoken: dict[ReviewKey, bool] = field(default_factory=dict)
    shown: list[ReviewKey] = field(default_factory=list)
    passed: dict[ReviewKey, datetime] = field(default_factory=dict)
    entered: dict[ReviewKey, datetime] = field(default_factory=dict)
    before: dict[ReviewKey, datetime | None] = field(default_factory=dict)

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


class MemoryTables:
    """The tables of a store in memory, under one lock."""

    def __init__(self) -> None:
        self._lock = RLock()
        self._polled: dict[Id, Polled] = {}
        self._revisions: Counter[Id] = Counter()
        self._listings: dict[Id, str] = {}
        self._windows: dict[Id, Window] = {}
        self._reviews: dict[tuple[Id, ReviewKey], Review] = {}
        self._outbox: dict[UUID, Owed] = {}
        self._pings: dict[tuple[UUID, str], datetime] = {}
        self._written: Counter[Id] = Counter()
        self._begun: frozenset[Id] = frozenset()
        self._spoken: dict[tuple[str, About], Spoken] = {}
        self._inboxes: dict[str, tuple[datetime, UUID]] = {}
        self._hours: dict[Id, dict[datetime, Hour]] = {}
        self._mutes: dict[Id, datetime | None] = {}
        self._records: list[Record] = []
        self._heard: dict[str, datetime] = {}
        self._pauses: dict[Destination, Pause] = {}
        self._notes: dict[str, str] = {}
        self._cards: dict[str, Card] = {}
        self._processes: dict[UUID, Process] = {}

    def _seen(self, queue: Queue) -> Polled:
        forgotten = {card.reviewer_id for card in self._cards.values() if card.is_forgotten}
        if forgotten:
            queue = replace(queue, assigned=without_names(queue.assigned, forgotten))
        known = self._polled.setdefault(queue.queue_id, Polled(queue))
        if queue != known.queue:
            shown = known.queue if queue.name == str(queue.queue_id) else queue
            counted = known.queue.disagreed if queue.disagreed is None else queue.disagreed
            known = replace(known, queue=replace(shown, url=queue.url or known.queue.url, disagreed=counted))
            self._polled[queue.queue_id] = known
        return known

    def _owe_edits(self, queue_id: Id, keys: Collection[ReviewKey], now: datetime, *, at_once: bool = False) -> None:
        for owed in self._outbox.values():
            mine = [key for key in owed.told if self._queue_id(owed, key) == queue_id]
            if set(mine) & set(keys) and is_kept_true(owed.delivery, now):
                owed.change(edit_at=now - ACTS_COME_FIRST if at_once else earliest_edit(owed.delivery, now))

    def _queue_id(self, owed: Owed, key: ReviewKey) -> Id | None:
        return owed.elsewhere[key].queue_id if key in owed.elsewhere else owed.queue_id

    def _oldest_first(self, owed: Owed) -> tuple[Review, ...]:
        return tuple(sorted(self._told(owed), key=by_age))

    def _told(self, owed: Owed) -> list[Review]:
        return [self._review(owed, key) for key in owed.told]

    def _review(self, owed: Owed, key: ReviewKey) -> Review:
        queue_id = self._queue_id(owed, key)
        assert queue_id is not None
        return self._reviews[queue_id, key]

    def _shares(self, owed: Owed) -> tuple[QueueShare, ...]:
        """What each queue has in a baseline of several, by name."""
        mine: dict[Queue, list[Review]] = {}
        for key in owed.told if owed.delivery.kind is not Kind.DIRECT else ():
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
        by_name = sorted(shares, key=lambda share: (share.queue.name, kept_form(share.queue.queue_id)))
        return tuple(by_name) if len(by_name) > 1 else ()

    def _as_read(self, owed: Owed) -> Delivery:
        queue = None if owed.queue_id is None else self._polled[owed.queue_id].queue
        return owed.delivery if queue == owed.delivery.queue else replace(owed.delivery, queue=queue)


def kept_form(one: Id) -> bytes:
    """An id as the databases sort it; those of one source are all UUIDs or all text."""
    return one.encode() if isinstance(one, str) else one.bytes


def added_or_first(review: Review) -> datetime:
    return review.added_at or datetime.min.replace(tzinfo=UTC)


def by_age(review: Review) -> tuple[str, datetime, bytes, datetime]:
    return review.rank, review.since, kept_form(review.queue_run_id), added_or_first(review)


def is_kept_true(delivery: Delivery, now: datetime) -> bool:
    if delivery.state is State.SENT:
        return delivery.edit_until is not None and delivery.edit_until > now
    is_in_doubt = delivery.state in {State.PENDING, State.HELD} and delivery.attempted_at is not None
    may_be_posted = is_in_doubt or delivery.state in {State.SENDING, State.UNKNOWN}
    return may_be_posted and (delivery.edit_until is None or delivery.edit_until > now)


def earliest_edit(delivery: Delivery, now: datetime) -> datetime:
    rested = delivery.edit_held_until or now
    return max(now, rested, delivery.lease_until or now)


def without_names(reviewers: Iterable[Reviewer], ids: Collection[str]) -> tuple[Reviewer, ...]:
    return tuple(replace(each, name="", email="") if each.reviewer_id in ids else each for each in reviewers)
