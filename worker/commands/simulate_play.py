"""A policy on the remembered time: the very parts that work, with a clock that flies from event to event."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from datetime import timedelta
from functools import partial
from heapq import heapify, heappop
from typing import TYPE_CHECKING, cast

from worker.app import build
from worker.core.actions import apply
from worker.core.message import fingerprint
from worker.core.model import Difference, QueueRun, Snapshot, Unchanged
from worker.core.owed import NEVER, Receipt
from worker.core.ports import Limits, SourceError, Trouble
from worker.rules import wants_direct

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
    from datetime import datetime

    from worker.core.message import Message
    from worker.core.model import Fate, Id, Polled, Queue, Review, Show
    from worker.core.ports import Notifier, Source
    from worker.core.simulation import Past
    from worker.core.store_roles import Store
    from worker.settings import Settings

_AGAIN = timedelta(minutes=1)
"""The time after which something is tried again that waits for a poll."""

_LOOK_EVERY = timedelta(minutes=1)
"""The shortest time between two looks at the inboxes: a look goes through all that waits."""


class FlyingClock:
    """A clock that stands at an instant until it is set to a later one."""

    def __init__(self, now: datetime) -> None:
        """It begins then."""
        self._begin = self._now = now

    def now(self) -> datetime:
        """See ports.Clock."""
        return self._now

    def monotonic(self) -> float:
        """See ports.Clock."""
        return (self._now - self._begin).total_seconds()

    def fly(self, to: datetime) -> None:
        """Let the time pass until then; it never runs backwards."""
        self._now = max(self._now, to)


class _Tape:
    """What was listed of one queue when, as polls have seen it."""

    def __init__(self, polled: Polled, reviews: Iterable[Review], warm_at: datetime) -> None:
        self.queue = polled.queue
        self.begins_at = max(polled.baselined_at or warm_at, warm_at)
        events: list[tuple[datetime, bool, Review]] = []
        for review in reviews:
            came_at = max(review.first_seen_at, self.begins_at)
            if review.closed_at is None or review.closed_at > came_at:
                events.append((came_at, True, review))
                events += [(review.closed_at, False, review)] if review.closed_at else []
        # Of one instant what left comes first: it may be a stay that is over because the next has begun.
        events.sort(key=lambda event: event[:2])
        self._events = events
        self._times = [at for at, _, _ in events]
        self.arrivals = sorted({at for at, is_arrival, _ in events if is_arrival})
        self._place = 0
        self._waiting: dict[Id, QueueRun] = {}

    def is_behind(self, now: datetime) -> bool:
        """Whether something has changed since the last listing."""
        return self._place < len(self._times) and self._times[self._place] <= now

    def listed(self, now: datetime, concluded: object) -> Snapshot | Unchanged | Difference:
        """The listing, or what is other than in the one that was concluded, which is the last."""
        end = bisect_right(self._times, now)
        before = dict(self._waiting) if concluded == self._place else None
        touched: dict[Id, None] = {}
        for _, is_arrival, review in self._events[self._place : end]:
            touched[review.queue_run_id] = None
            if is_arrival:
                self._waiting[review.queue_run_id] = _run_of(review)
            else:
                self._waiting.pop(review.queue_run_id, None)
        self._place = end
        if before is None:
            return Snapshot(self.queue, tuple(self._waiting.values()), now, concluded=end)
        if not touched:
            return Unchanged(self.queue, now, concluded=end)
        runs = tuple(self._waiting[one] for one in touched if one in self._waiting)
        gone = tuple(one for one in touched if one in before and one not in self._waiting)
        return Difference(self.queue, runs, now, gone, len(self._waiting), concluded=end)


def _run_of(review: Review) -> QueueRun:
    return QueueRun(
        review.queue_run_id,
        review.run_id,
        review.added_at,
        effective_added_at=review.since,
        facts=review.facts,
        who=review.who,
    )


class _Listings:
    """The Source: what the queues held by the clock."""

    def __init__(self, tapes: Mapping[Id, _Tape], clock: FlyingClock) -> None:
        self._tapes = tapes
        self._clock = clock

    def snapshot(
        self, queue_id: Id, fields: frozenset[Show], concluded: object = None
    ) -> Snapshot | Unchanged | Difference:
        """See Source."""
        del fields
        if queue_id not in self._tapes:
            raise SourceError("nothing is remembered of it", Trouble.MISSING)
        return self._tapes[queue_id].listed(self._clock.now(), concluded)

    def fates(self, queue_id: Id, queue_run_ids: Collection[Id]) -> Mapping[Id, Fate]:
        """See Source: nothing is asked."""
        del queue_id, queue_run_ids
        return {}

    def queues(self) -> Sequence[Queue]:
        """See Source."""
        return [tape.queue for tape in self._tapes.values()]


class _Everywhere:
    """The Notifier: takes every message at once."""

    limits: Limits

    def __init__(self, scheme: str) -> None:
        self.limits = Limits(scheme=scheme)
        self._posts = 0

    def send(self, message: Message, in_time: object = None) -> Receipt:
        del in_time
        self._posts += 1
        return Receipt(message.destination.place, str(self._posts))

    def probe(self) -> None:
        """All is well."""

    def fingerprint(self, message: Message) -> str:
        return fingerprint(message)


class Simulation:
    """One policy on one past. It reads no clock, and writes into its own store alone."""

    def __init__(self, settings: Settings, past: Past, store: Store, *, scheme: str) -> None:
        """Put the worker together as the settings say, but for its notifier, which takes all of the `scheme`.

        `store` begins empty, and is written to.
        """
        self._past = past
        self._store = store
        self._clock = FlyingClock(past.warm_at)
        self._tapes = {
            polled.queue.queue_id: _Tape(polled, past.reviews.get(polled.queue.queue_id, ()), past.warm_at)
            for polled in past.polls
        }
        self._parts = build(
            settings,
            clock=self._clock,
            store=store,
            source=cast("Source", _Listings(self._tapes, self._clock)),
            notifier=cast("Notifier", _Everywhere(scheme)),
        )
        self.rules = self._parts.rules
        self._is_direct = wants_direct(settings)
        self._parts.roster.refresh()
        wanted = self._parts.roster.queues
        self.queues = {queue_id: self._tapes[queue_id].queue for queue_id in wanted if queue_id in self._tapes}
        """The queues that are played."""
        self.missing = {*self._parts.roster.unknown, *(str(one) for one in wanted if one not in self._tapes)}
        """The queues of the settings of which nothing is remembered, by the words there."""
        # Each is polled from its first event on, and comes back with it.
        self._parts.roster.queues = {}
        self._records = deque(past.records)
        # Sorted by the number of the queue where instants are equal: ids need not be comparable.
        self._numbers = {queue_id: number for number, queue_id in enumerate(self.queues)}
        # Where people have hours of their own, a queue that is closed may be open for one of them.
        self._is_folded = not any(person.calendar for person in settings.persons.values())
        self._events = [
            (at, self._numbers[queue_id], queue_id) for queue_id in self.queues for at in self._seen_at(queue_id)
        ]
        heapify(self._events)
        self._dues: dict[Id, datetime] = {}
        self._looked_at = past.warm_at - _LOOK_EVERY
        self._looks_at: datetime | None = None

    def play(self, progress: Callable[[datetime], None] = lambda _at: None) -> None:
        """Work through the past, from event to event."""
        while (at := self._next_at()) < self._past.end:
            progress(at)
            is_due = _is_due(self._store.next_due_at(), at)
            self._clock.fly(at)
            polled = self._poll_due(at)
            self._act(at)
            if is_due or self._next_look_at() <= at:
                # What was reviewed meanwhile is seen before anything is posted: polls come all the time.
                self._poll_behind(at, polled)
            self._look(at)
            self._parts.deliver.wake()
            self._parts.deliver.run(lambda: not _is_due(self._store.next_due_at(), at))

    def _seen_at(self, queue_id: Id) -> set[datetime]:
        """When the runs of a queue are seen: what comes in closed hours, of which nothing comes, at their end."""
        tape, rules = self._tapes[queue_id], self.rules(self.queues[queue_id])
        if not self._is_folded or rules.settings.escalate_outside_hours:
            return {tape.begins_at, *tape.arrivals}
        opens, every = rules.policy.calendar.opens, rules.settings.poll_interval
        # Before the opening, not at it: what has come by then goes out at once, and what comes later may not.
        return {tape.begins_at, *(max(at, opens(at) - every) for at in tape.arrivals)}

    def _next_at(self) -> datetime:
        events = min(self._events[0][0] if self._events else NEVER, *self._dues.values(), NEVER)
        acts = self._records[0].at if self._records else NEVER
        due = self._store.next_due_at() or NEVER
        if due <= self._clock.now():
            # It waits for something else than its time, such as another queue's first look.
            due = self._clock.now() + _AGAIN
        return max(min(events, acts, due, self._next_look_at()), self._clock.now())

    def _next_look_at(self) -> datetime:
        """When the inboxes are looked at again: when something is due there, or was changed since the last look."""
        wanted = min(self._looks_at or NEVER, self._parts.direct.next_due_at or NEVER) if self._is_direct else NEVER
        return max(wanted, self._looked_at + _LOOK_EVERY)

    def _poll_due(self, at: datetime) -> set[Id]:
        """Poll the queues to which runs came, or in which something has come due."""
        due = {queue_id for queue_id, due_at in self._dues.items() if due_at <= at}
        while self._events and self._events[0][0] <= at:
            due.add(heappop(self._events)[2])
        for queue_id in sorted(due, key=self._numbers.__getitem__):
            self._poll(queue_id, at)
        return due

    def _poll(self, queue_id: Id, at: datetime) -> None:
        queue = self.queues[queue_id]
        self._parts.roster.queues.setdefault(queue_id, queue)
        self._parts.poll(queue)
        progress = self._parts.poll.known.of(queue)
        due_at = progress.concluded.remainder.due_at if progress.concluded is not None else None
        rules = self.rules(queue)
        if due_at is not None and due_at <= at and progress.is_held:
            # A first sight that is held is due all the time; nothing comes of it before the opening.
            due_at = rules.policy.calendar.opens(at)
        if due_at is not None:
            # Polls come at their interval, and decide on what has come due since the last.
            every = rules.settings.poll_interval
            polled_at = at + max(-((at - due_at) // every), 1) * every
            gaps = self._past.gaps.get(queue_id, ())
            self._dues[queue_id] = next((end for begin, end in gaps if begin <= polled_at < end), polled_at)
        else:
            self._dues.pop(queue_id, None)

    def _poll_behind(self, at: datetime, polled: Collection[Id]) -> None:
        for queue_id in list(self._parts.roster.queues):
            if queue_id not in polled and self._tapes[queue_id].is_behind(at):
                self._poll(queue_id, at)

    def _act(self, at: datetime) -> None:
        """Do again what people did."""
        while self._records and self._records[0].at <= at:
            action = self._records.popleft().action
            if action.queue_id in self._parts.roster.queues and self._tapes[action.queue_id].is_behind(at):
                # It may be about a run that came in closed hours.
                self._poll(action.queue_id, at)
            self._store.act(action, partial(apply, action, now=at), at)
            # The polls learn of an act as in a worker: its queue has another revision than they know.
            self._parts.poll.known.noticed(self._store.polled(()))
            if action.queue_id in self.queues:
                self._dues[action.queue_id] = min(at + _AGAIN, self._dues.get(action.queue_id, NEVER))

    def _look(self, at: datetime) -> None:
        """Look at the inboxes, or note when: what changes within moments is looked at together."""
        if not self._is_direct:
            return
        if at - self._looked_at >= _LOOK_EVERY:
            self._looked_at, self._looks_at = at, None
            self._parts.direct()
        elif self._looks_at is None:
            self._looks_at = self._looked_at + _LOOK_EVERY


def _is_due(due_at: datetime | None, at: datetime) -> bool:
    return due_at is not None and due_at <= at
