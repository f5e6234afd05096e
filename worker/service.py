"""The service: every loop on its tick until a signal stops it."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import TYPE_CHECKING

import structlog

from worker.app import RENEW_EVERY, TICK, match_controls, note_polls, remember_roster, try_again
from worker.core.cooldown import Cooldown
from worker.core.leases import Task
from worker.core.ports import StoreError
from worker.loops.housekeep import AllWell
from worker.scheduler import Ticker

if TYPE_CHECKING:
    from collections.abc import Callable

    from worker.app import Parts
    from worker.core.model import Id, Queue
    from worker.core.ports import Clock, Listener
    from worker.process import Stop
    from worker.web.monitor import Monitor

log = structlog.get_logger(__name__)

POOLS = {
    "polls": 8,
    "posts": 1,
    "edits": 1,
    "house": 1,
    "watch": 1,
    "sight": 1,
    "people": 1,
    "keep": 1,
    "assignments": 1,
}
"""The number of threads for each kind of work, so that no work waits behind slow work of another kind."""

SPREAD = timedelta(milliseconds=250)
"""The time between the first polls of two queues, so that they never all poll at once."""

FIRST_POLLS = timedelta(seconds=30)
"""The time that a start waits for first polls before it delivers, so that no reviewed run is posted."""

POST_PATIENCE = 28.0
"""Seconds that a stop waits for a post in flight."""

POLL_PATIENCE = 10.0
"""Seconds that a change of settings waits for polls in flight; those that take longer are broken off."""

_SLICE = 0.25
RELOAD = "SIGHUP"
"""The signal that asks for the settings to be read again."""

_DATABASE_PATIENCE = 9.0
"""Seconds that a stop waits for a database that does not answer."""

_NOW = timedelta(0)
_LOOK_EVERY = timedelta(seconds=5)
KEEP_EVERY = timedelta(hours=1)
KEEP_AFTER = timedelta(minutes=5)
"""The time from a start to the first housekeeping: short, so that a service that restarts often does it as well."""

HANGS_AFTER = timedelta(minutes=10)
"""A loop without a sign of life for this time hangs. Every wait within a loop has a far shorter deadline."""


def _never(_is_asked: bool) -> bool:  # noqa: FBT001
    return False


class Service:
    """The `run` command: every loop on its tick until a signal stops it."""

    def __init__(self, parts: Parts, monitor: Monitor, machine: Clock) -> None:
        """Start nothing yet. `monitor` shows the service to others; `machine` is the clock that the ticker follows."""
        self._parts = parts
        self._monitor = monitor
        self._ticker = Ticker(machine, POOLS)
        self._stopping = threading.Event()
        self._posting = threading.Lock()
        self._warm_up = Cooldown()
        self._scheduling = threading.Lock()
        self._scheduled: set[Id] = set()
        self._remembered: set[Id] | None = None
        self._people_known = False
        self._inbox: Listener | None = None
        self._all_well = AllWell(parts.clock)
        self._polling: set[Id] = set()
        self._idle = threading.Event()

    def run(
        self,
        stop: Stop,
        inbox: Listener | None = None,
        *,
        has_changed: Callable[[bool], bool] = _never,
        is_first: bool = True,
    ) -> bool:
        """Work until `stop` is set, or the settings are others; returns whether that was a stop.

        No post is in flight any more then. People are heard through an `inbox`. `has_changed` is asked each second
        whether the settings are others now, with whether a signal wants them read. Unless this `is_first`, another
        service of this process has ended for that.
        """
        clock = self._parts.clock
        if self._parts.assignments.is_shared:
            # Before anything is written: only from the first renewal on do we go by the database's clock.
            self._guarded("assignments", self._renew)()
        if is_first:
            self._guarded("watch", lambda: self._parts.presence.begin("run", clock.now()))()
        self._guarded("deliver", lambda: try_again(self._parts.store, clock.now()))()
        are_on = self._parts.settings.hears_people
        self._guarded("edit", lambda: match_controls(self._parts.store, clock.now(), are_on=are_on))()
        self._warm_up = Cooldown.of(FIRST_POLLS, clock.monotonic())
        self._monitor.begin(self._parts.look)
        if self._parts.assignments.is_shared:
            self._loop("assignments", RENEW_EVERY, self._share, pool="assignments")
        self._loop("roster", TICK, self._refresh_roster, pool="house")
        self._loop("deliver", TICK, self._deliver, pool="posts")
        self._loop("edit", TICK, self._edit, pool="edits")
        # Not at the same instant as the deliveries: writing a queue's row locks its notices for a moment.
        self._loop("note", self._shortest_interval(), self._note, pool="house", after=TICK / 2)
        self._loop("watch", _LOOK_EVERY, self._watch, pool="watch")
        self._loop("sight", TICK, self._parts.sight, pool="sight")
        self._loop("people", TICK, self._look_people_up, pool="people")
        self._loop("polls", _LOOK_EVERY, lambda: None, pool="polls")
        self._loop("reports", TICK, self._report, pool="house")
        self._loop("housekeep", KEEP_EVERY, self._housekeep, pool="keep", after=KEEP_AFTER)
        self._ticker.start()
        if inbox is not None:
            self._inbox = inbox
            inbox.start()
        while not stop.wait(TICK.total_seconds()):
            self._ticker.mind_the_clock()
            signals = [*stop.noted()]
            for name in signals:
                if name != RELOAD:
                    log.warning("signal_ignored", signal=name, fix="nothing: no signal but SIGHUP asks for anything")
            self._monitor.alive()
            if has_changed(RELOAD in signals):
                self._pause()
                return False
        self._stop()
        return True

    def hurry_edits(self) -> None:
        """Make the edits that are owed now, not at the next tick."""
        self._ticker.hurry("edit")

    def _loop(
        self, name: str, interval: timedelta, work: Callable[[], object], *, pool: str, after: timedelta = _NOW
    ) -> None:
        """Work each `interval`; each time is a sign of life of the loop."""
        self._monitor.pulse.expect(name, max(HANGS_AFTER, interval * 3))
        self._ticker.every(interval, self._guarded(name, work), name=name, pool=pool, after=after)

    def _stop(self) -> None:
        """Start nothing new, and let a post in flight end; meanwhile write the last state and give the lease back."""
        self._stopping.set()
        # First, and beside all else: what people do from now on goes to another worker's link.
        inbox = self._inbox
        closing = threading.Thread(target=inbox.stop if inbox else lambda: None, name="inbox-end", daemon=True)
        closing.start()
        self._monitor.end()
        self._ticker.stop()
        handing_over = threading.Thread(target=self._hand_over, name="hand-over", daemon=True)
        handing_over.start()
        if not self._posting.acquire(timeout=POST_PATIENCE):
            log.warning("post_abandoned", fix="it is looked up at the next start")
        handing_over.join(_DATABASE_PATIENCE)
        closing.join(_DATABASE_PATIENCE)

    def _pause(self) -> None:
        """Start nothing new, and let what is in flight end, for another service of this process to go on."""
        self._stopping.set()
        self._ticker.stop()
        if self._inbox is not None:
            self._inbox.hold()
        began = self._parts.clock.monotonic()
        while not self._posting.acquire(timeout=_SLICE) and self._waits(began, POST_PATIENCE):
            pass
        while self._polling and self._waits(began, POLL_PATIENCE):
            self._idle.clear()
            self._idle.wait(_SLICE if self._polling else 0)
        self._guarded("note", self._note)()

    def _waits(self, began: float, seconds: float) -> bool:
        """Keep what is ours meanwhile; False where it has taken so long."""
        if self._parts.assignments.is_shared:
            self._guarded("assignments", self._renew)()
        return self._parts.clock.monotonic() - began < seconds

    def _hand_over(self) -> None:
        self._guarded("note", self._note)()
        self._guarded("watch", lambda: self._parts.presence.end(self._parts.clock.now()))()
        self._guarded("assignments", self._parts.assignments.leave)()

    def _share(self) -> None:
        try:
            self._renew()
        finally:
            # Also after a failed renewal: a queue must not be polled once its lease has lapsed.
            self._schedule_polls()

    def _renew(self) -> None:
        self._parts.assignments.renew(self._parts.roster.queues.keys())

    def _refresh_roster(self) -> None:
        roster = self._parts.roster
        roster.refresh()
        self._schedule_polls()
        # A list that cannot be read says nothing about the queues that were polled before: keep what was written.
        if self._remembered != roster.queues.keys() and (roster.queues or not roster.is_failing):
            remember_roster(self._parts)
            self._remembered = set(roster.queues)

    def _schedule_polls(self) -> None:
        """Schedule the polls of the roster's queues that are ours, and cancel all others."""
        with self._scheduling:
            queues = dict(self._parts.roster.queues)
            ours = self._parts.assignments.among(queues)
            for queue_id in self._scheduled - ours:
                self._ticker.cancel(f"poll {queue_id}")
                self._parts.poll.relieve(queue_id)
            for queue_id in self._scheduled - queues.keys():
                self._parts.poll.forget(queue_id)
            new = ours - self._scheduled
            added = [queue for queue_id, queue in queues.items() if queue_id in new]
            for number, queue in enumerate(added):
                self._schedule(queue, number, len(added))
            self._scheduled = ours

    def _schedule(self, queue: Queue, number: int, count: int) -> None:
        interval = self._parts.rules(queue).settings.poll_interval
        after = min(interval / count, SPREAD) * number
        self._ticker.every(
            interval, lambda: self._poll(queue), name=f"poll {queue.queue_id}", pool="polls", after=after
        )

    def _poll(self, queue: Queue) -> None:
        self._polling.add(queue.queue_id)
        try:
            if not self._stopping.is_set():
                self._parts.poll(queue)
        finally:
            self._polling.discard(queue.queue_id)
            self._idle.set()
        self._monitor.pulse.beat("polls")

    def _deliver(self) -> None:
        if self._warming_up():
            return
        if self._parts.assignments.has(Task.PEOPLE):
            self._parts.direct()
        pace = _NOW
        while not self._stopping.wait(pace.total_seconds()):
            with self._posting:
                self._parts.deliver.run(lambda: self._is_stopping("deliver"))
            # A tick would be too late by up to its whole length for the next message to the same channel.
            if not (pace := self._parts.deliver.paced_for):
                return

    def _warming_up(self) -> bool:
        """Whether first polls are still awaited, which show what was reviewed while we were not running."""
        if self._warm_up.is_over(self._parts.clock.monotonic()):
            return False
        polled = self._parts.poll.known.polled()
        queues = self._parts.roster.queues
        waiting = not queues or len(polled) < len(self._parts.assignments.among(queues))
        if waiting or not all(each.completed_at or each.failing_since for each in polled):
            return True
        if self._parts.assignments.has(Task.PEOPLE) and not self._has_looked_people_up():
            return True
        self._warm_up = Cooldown()
        return False

    def _has_looked_people_up(self) -> bool:
        """Whether everybody whom the first polls have shown was looked up, as far as that is possible."""
        if not self._people_known:
            self._people_known = True
            self._parts.look_ups.wake()
        return self._parts.look_ups.is_settled

    def _look_people_up(self) -> None:
        if self._parts.assignments.has(Task.PEOPLE):
            self._parts.look_ups()

    def _edit(self) -> None:
        pace, edit = _NOW, self._parts.edit
        while self._parts.assignments.has(Task.EDITS) and not self._stopping.wait(pace.total_seconds()):
            while not self._is_stopping("edit") and edit.step():
                pass
            # A tick would be too late by up to its whole length for an edit that shows what somebody has just done.
            if not (pace := edit.paced_for):
                return

    def _is_stopping(self, loop: str) -> bool:
        # Asked between two steps of a loop, so that a long row of them counts as a sign of life, too.
        self._monitor.pulse.beat(loop)
        return self._stopping.is_set()

    def _watch(self) -> None:
        self._monitor.seen(self._parts.watch)
        if self._parts.watch.overview:
            link = self._inbox.state if self._inbox is not None else None
            self._parts.presence.show(self._parts.watch.overview, self._monitor.reasons(), link)
            self._all_well(self._parts.watch.overview, self._parts.deliver.posted)

    def _report(self) -> None:
        # Its numbers are those of the first polls, too.
        if self._parts.assignments.has(Task.HOUSE) and not self._warming_up():
            self._parts.reports()

    def _housekeep(self) -> None:
        if self._parts.assignments.has(Task.HOUSE):
            self._parts.housekeep()

    def _note(self) -> None:
        """Write the state of the polls, for `status` in another process, and read whether reviews changed elsewhere."""
        polled = [polled for polled in self._parts.poll.known.polled() if polled.completed_at or polled.failing_since]
        if polled:
            self._parts.poll.known.noticed(note_polls(self._parts, polled))

    def _shortest_interval(self) -> timedelta:
        intervals = [queue.poll_interval for queue in (*self._parts.settings.queues, self._parts.settings.defaults)]
        return max(min(intervals), TICK)

    def _guarded(self, name: str, work: Callable[[], object]) -> Callable[[], None]:
        """The work of a loop, made to survive a failing database: the next tick is the retry."""

        def guarded() -> None:
            try:
                work()
            except StoreError as error:
                self._parts.complaint.failed(name, error)
            else:
                self._parts.complaint.worked(name)
            self._monitor.pulse.beat(name)

        return guarded
