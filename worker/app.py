"""Composition root: the one place that names concrete classes; the service and the single pass."""

from __future__ import annotations

import random
import threading
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING

import structlog

from worker.core.policy import ladder
from worker.core.ports import StoreError
from worker.loops.deliver import Care, Deliver
from worker.loops.edit import Edit
from worker.loops.ops import Ops
from worker.loops.poll import Poll, Rules
from worker.loops.roster import Roster
from worker.scheduler import Ticker
from worker.settings import OnUnknown

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from worker.core.model import Queue
    from worker.core.ports import Clock, Notifier, Source, Store
    from worker.settings import QueueSettings, Settings

log = structlog.get_logger(__name__)

TICK = timedelta(seconds=1)

ROSTER = "roster"
"""The name under which the ids of the queues that are polled are remembered, for `status`."""

POLL_THREADS = 8
SPREAD = timedelta(milliseconds=250)
"""Between the first polls of two queues, where the interval leaves room: no herd at the start, nor ever after."""

FIRST_POLLS = timedelta(seconds=30)
"""How long a start waits for the first polls before it delivers: what was reviewed meanwhile is not posted."""

POST_PATIENCE = 28.0
"""Seconds that a stop waits for a post in flight."""

PASS_PATIENCE = timedelta(seconds=60)
"""How long a single pass goes on with deliveries that are not settled at once."""

SOON = timedelta(seconds=15)
"""What comes due within this time is part of the same pass: the looks for a message whose answer was lost."""


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything that a process is made of."""

    settings: Settings
    clock: Clock
    store: Store
    source: Source
    roster: Roster
    poll: Poll
    deliver: Deliver
    edit: Edit


def build(settings: Settings, *, clock: Clock, store: Store, source: Source, notifier: Notifier) -> Parts:
    """Put the parts together as the settings say."""
    ops = Ops(store=store, clock=clock, channel=settings.ops_channel)
    deliver = Deliver(store=store, notifier=notifier, clock=clock, care=_care(settings), ops=ops)
    poll = Poll(
        source=source,
        store=store,
        clock=clock,
        rules=rules_for(settings),
        owed=deliver.wake,
        jitter=random.random,
    )
    roster = roster_for(settings, clock=clock, source=source)
    edit = Edit(store=store, notifier=notifier, clock=clock, care=_care(settings))
    return Parts(settings, clock, store, source, roster, poll, deliver, edit)


def roster_for(settings: Settings, *, clock: Clock, source: Source) -> Roster:
    """The queues that the settings name."""
    return Roster(
        source=source,
        clock=clock,
        ids=[queue.queue_id for queue in settings.queues if queue.queue_id],
        names={queue.queue for queue in settings.queues if not queue.queue_id},
        everything=settings.all_queues,
    )


def rules_of(queue: QueueSettings) -> Rules:
    """What the settings of a queue mean for polling it."""
    policy = ladder(
        channel=queue.channel,
        stale_after=queue.stale_after,
        remind_every=queue.remind_every,
        remind_in=queue.remind_in,
        escalate_after=queue.escalate_after,
        escalate_to=queue.escalate_to,
        escalate_mention=queue.escalate_mention,
        remind_reserved=queue.remind_reserved,
    )
    return Rules(policy=policy, interval=queue.poll_interval, show=queue.show)


def rules_for(settings: Settings) -> Callable[[Queue], Rules]:
    """The rules of any queue, worked out once each."""

    @cache
    def rules(queue_id: UUID, name: str) -> Rules:
        return rules_of(settings.for_queue(queue_id, name))

    return lambda queue: rules(queue.queue_id, queue.name)


def _care(settings: Settings) -> Callable[[Queue | None], Care]:
    def care(queue: Queue | None) -> Care:
        rules = settings.defaults if queue is None else settings.for_queue(queue.queue_id, queue.name)
        return Care(show=rules.show, edit_for=rules.edit_for, resend=rules.on_unknown is OnUnknown.RESEND)

    return care


class Service:
    """The `run` command: every loop on its tick until it is told to stop."""

    def __init__(self, parts: Parts) -> None:
        """Nothing starts yet."""
        self._parts = parts
        self._ticker = Ticker(parts.clock, {"polls": POLL_THREADS, "posts": 1, "edits": 1, "house": 1})
        self._stopping = threading.Event()
        self._posting = threading.Lock()
        self._first_polls_until = 0.0
        self._scheduled: set[UUID] = set()
        self._trouble: dict[str, str] = {}

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set; returns when nothing of ours is in flight any more."""
        clock = self._parts.clock
        try_again(self._parts)
        self._first_polls_until = clock.monotonic() + FIRST_POLLS.total_seconds()
        self._ticker.every(TICK, self._guarded("roster", self._follow_roster), name="roster", pool="house")
        self._ticker.every(TICK, self._guarded("deliver", self._deliver), name="deliver", pool="posts")
        self._ticker.every(TICK, self._guarded("edit", self._edit), name="edit", pool="edits")
        self._ticker.every(self._shortest_interval(), self._guarded("note", self._note), name="note", pool="house")
        self._ticker.start()
        while not stop.wait(TICK.total_seconds()):
            self._ticker.mind_the_clock()
        self._stop()

    def _stop(self) -> None:
        """Start nothing new, let a post in flight end, write down how the polls stand."""
        self._stopping.set()
        self._ticker.stop()
        if not self._posting.acquire(timeout=POST_PATIENCE):
            log.warning("post_abandoned", remedy="it is looked up at the next start")
        self._guarded("note", self._note)()

    def _follow_roster(self) -> None:
        roster = self._parts.roster
        roster.refresh()
        for queue_id in self._scheduled - roster.queues.keys():
            self._ticker.cancel(f"poll {queue_id}")
            self._parts.poll.forget(queue_id)
        added = [queue for queue_id, queue in roster.queues.items() if queue_id not in self._scheduled]
        for number, queue in enumerate(added):
            self._schedule(queue, number, len(added))
        if self._scheduled != roster.queues.keys():
            self._scheduled = set(roster.queues)
            remember_roster(self._parts)

    def _schedule(self, queue: Queue, number: int, count: int) -> None:
        interval = self._parts.settings.for_queue(queue.queue_id, queue.name).poll_interval
        after = min(interval / count, SPREAD) * number
        self._ticker.every(
            interval, lambda: self._parts.poll(queue), name=f"poll {queue.queue_id}", pool="polls", after=after
        )

    def _deliver(self) -> None:
        if self._warming_up():
            return
        with self._posting:
            self._parts.deliver.run(self._stopping.is_set)

    def _warming_up(self) -> bool:
        """Whether first polls are still awaited: they tell what was reviewed while we were not running."""
        if self._parts.clock.monotonic() > self._first_polls_until:
            return False
        waiting = len(self._parts.poll.polled()) < len(self._parts.roster.queues) or not self._parts.roster.queues
        if not waiting and all(polled.completed_at or polled.failing_since for polled in self._parts.poll.polled()):
            self._first_polls_until = 0.0
            return False
        return True

    def _edit(self) -> None:
        while not self._stopping.is_set() and self._parts.edit.step():
            pass

    def _note(self) -> None:
        """Write down how the polls stand, for `status` in another process."""
        polled = [polled for polled in self._parts.poll.polled() if polled.completed_at or polled.failing_since]
        if polled:
            self._parts.store.polled(polled)

    def _shortest_interval(self) -> timedelta:
        intervals = [queue.poll_interval for queue in (*self._parts.settings.queues, self._parts.settings.defaults)]
        return max(min(intervals), TICK)

    def _guarded(self, name: str, work: Callable[[], None]) -> Callable[[], None]:
        """Say once that the database has failed a loop and once that it works again; the next tick is the retry."""

        def guarded() -> None:
            try:
                work()
            except StoreError as error:
                if name not in self._trouble:
                    log.error("store_failing", loop=name, error=str(error))
                self._trouble[name] = str(error)
            else:
                if self._trouble.pop(name, None):
                    log.info("store_recovered", loop=name)

        return guarded


def try_again(parts: Parts) -> None:
    """End the waiting of every pause, not the pause: whoever starts us may have mended the reason."""
    now = parts.clock.now()
    for pause in parts.store.pauses():
        parts.store.pause(replace(pause, until=now))


def remember_roster(parts: Parts) -> None:
    """Write down which queues are polled, for `status` in another process."""
    parts.store.remember(ROSTER, " ".join(sorted(str(queue_id) for queue_id in parts.roster.queues)))


def one_pass(parts: Parts, progress: Callable[[Queue], None] = lambda _queue: None) -> bool:
    """The `poll` command: poll every queue once, deliver what is due; whether all of it worked."""
    try_again(parts)
    parts.roster.refresh()
    remember_roster(parts)
    well = not parts.roster.is_failing and not parts.roster.unknown
    for queue in parts.roster.queues.values():
        progress(queue)
        well = parts.poll(queue) and well
    parts.store.polled(parts.poll.polled())
    return _deliver_all(parts) and well


def _deliver_all(parts: Parts) -> bool:
    """Deliver until nothing is due soon; a look-up that is due in seconds is waited for."""
    pause = threading.Event()
    give_up_at = parts.clock.now() + PASS_PATIENCE
    while parts.clock.now() < give_up_at:
        parts.deliver.wake()
        steps = parts.deliver.run(lambda: False)
        while parts.edit.step():
            pass
        if not steps and not parts.deliver.is_paced and not _due_soon(parts):
            break
        pause.wait(TICK.total_seconds() / 4)
    return not parts.deliver.unsettled


def _due_soon(parts: Parts) -> bool:
    """Whether something comes due in a moment; what is due but is not taken waits for a paused destination."""
    now, due_at = parts.clock.now(), parts.store.next_due_at()
    return due_at is not None and now < due_at <= now + SOON
