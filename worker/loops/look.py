"""Looks at how the worker stands: what the loops know, and what the store counts."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import structlog

from worker.core.advice import PLAIN
from worker.core.cooldown import Cooldown
from worker.core.model import Polled
from worker.core.overview import Asked, Overview, QueueView
from worker.core.ports import StoreError
from worker.loops.incidents import Board
from worker.loops.shift import ALONE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from worker.core.advice import Advice
    from worker.core.model import Backlog, Id, Pause, Queue, Standing
    from worker.core.overview import ApiInUse
    from worker.core.ports import Clock, Shift
    from worker.core.roles import Channels, Polls
    from worker.loops.poll import Poll, Seen
    from worker.loops.roster import Roster
    from worker.rules import RulesOf

log = structlog.get_logger(__name__)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SET = timedelta(seconds=5)
"""A wall clock that has moved against the monotonic one by more than this was set."""

COUNT_EVERY = timedelta(seconds=60)
"""How often each queue's runs are counted in the database: there may be hundreds of queues."""


class Look:
    """Makes an Overview. One thread at a time."""

    def __init__(  # noqa: PLR0913  (what is looked at, all by name)
        self,
        *,
        store: Polls,
        channels: Channels,
        clock: Clock,
        poll: Poll,
        roster: Roster,
        rules: RulesOf,
        api: Callable[[], ApiInUse | None] = lambda: None,
        counting: bool = False,
        shift: Shift = ALONE,
        board: Board | None = None,
        asked: Callable[[], Asked] = Asked,
        advice: Advice = PLAIN,
    ) -> None:
        """`rules` gives those of a queue, and those that hold where nothing else is said (None).

        `api` tells which of the source's listings is in use; `counting` whether each queue's runs are counted too.
        How the polls of queues stand that other workers poll, as `shift` tells, the database knows. `board` has what
        parts of the worker have announced; `asked` tells whether the notifier has taken the token. `advice` has
        the words for services and settings.
        """
        self._store = store
        self._channels = channels
        self._clock = clock
        self._poll = poll
        self._roster = roster
        self._rules = rules
        self._api = api
        self._counting = counting
        self._shift = shift
        self._board = board or Board(clock)
        self._asked = asked
        self._advice = advice
        self.started_at = clock.now()
        """When this process began, by a wall clock that may have been set since."""
        self._noted: dict[Id, Polled] = {}
        self._counted_again = Cooldown()
        self._offset = self._measure()
        self._standings: dict[Id, Standing] = {}
        self._counted: dict[Id, object] = {}
        """What the polls of each queue had found when it was counted."""
        self._pauses: Sequence[Pause] = ()
        self._backlog: Sequence[Backlog] = ()

    def __call__(self) -> Overview:
        """Look now. Where the database does not answer, what it said last stands, with its error."""
        error, clock_set = self._ask_store(), self._clock_set()
        self.started_at += clock_set
        return self.again(
            Overview(
                taken_at=self._clock.now(),
                store_error=error,
                pauses=self._pauses,
                backlog=self._backlog,
                api=self._api(),
                clock_set=clock_set,
                started_at=self.started_at,
                interval=self._rules(None).settings.poll_interval,
                advice=self._advice,
            )
        )

    def again(self, overview: Overview) -> Overview:
        """The same with what the loops know now; the database is not asked. From any thread."""
        return replace(
            overview,
            taken_at=self._clock.now(),
            queues=self.queues(),
            unknown=self._roster.unknown,
            unlisted_since=self._roster.failing_since,
            unlisted=self._roster.error,
            announced=self._board.standing,
            over=self._board.over,
            asked=self._asked(),
        )

    def _clock_set(self) -> timedelta:
        before, self._offset = self._offset, self._measure()
        return _by(self._offset - before)

    def _measure(self) -> timedelta:
        return self._clock.now() - EPOCH - timedelta(seconds=self._clock.monotonic())

    def _ask_store(self) -> str:
        try:
            self._pauses = self._channels.pauses()
            self._backlog = self._channels.backlog()
            if self._shift.is_shared:
                self._noted = {polled.queue.queue_id: polled for polled in self._store.polls()}
            if self._counting:
                self._count(self._clock.now())
        except StoreError as error:
            log.debug("store_not_looked_at", error=str(error))
            return str(error)
        return ""

    def _count(self, now: datetime) -> None:
        """Count every queue now and then, and one whose poll has changed something at once."""
        states = {each.polled.queue.queue_id: _state(each) for each in self._poll.seen()}
        queues = self._roster.queues
        ours = self._shift.among(queues)
        is_time = self._counted_again.is_over(self._clock.monotonic())
        counted = {queue_id: self._standings[queue_id] for queue_id in ours & self._standings.keys()}
        for queue_id in ours:
            state = states.get(queue_id)
            if is_time or self._counted.get(queue_id) != state:
                counted |= self._counted_now(queues[queue_id], now, is_polled=state is not None)
                self._counted[queue_id] = state
        self._standings = counted
        if is_time:
            self._counted_again = Cooldown.of(COUNT_EVERY, self._clock.monotonic())

    def _counted_now(self, queue: Queue, now: datetime, *, is_polled: bool) -> dict[Id, Standing]:
        """Of a queue of which nothing is remembered nothing is known before its first poll: no figure, not 0."""
        standing = self._store.standing(queue.queue_id, self._rules(queue).stale_before(now))
        return {queue.queue_id: standing} if is_polled or standing.waiting else {}

    def queues(self) -> tuple[QueueView, ...]:
        """What the loops know of each queue now, with what the database counted last. From any thread."""
        known = {seen.polled.queue.queue_id: seen for seen in self._poll.seen()}
        queues = self._roster.queues
        ours = self._shift.among(queues)
        return tuple(
            self._view(queue, known.get(queue_id)) if queue_id in ours else self._view_elsewhere(queue)
            for queue_id, queue in queues.items()
        )

    def _view_elsewhere(self, queue: Queue) -> QueueView:
        """A queue that another worker polls, as it noted that a while ago."""
        polled = self._noted.get(queue.queue_id, Polled(queue))
        interval = self._rules(polled.queue).settings.poll_interval
        return QueueView(polled, interval, trouble=polled.trouble, here=False)

    def _view(self, queue: Queue, seen: Seen | None) -> QueueView:
        polled = self._noted.get(queue.queue_id, Polled(queue)) if seen is None else self._on_this_clock(seen)
        if polled.completed_at is None and queue.queue_id in self._noted:
            # Just taken over: not late before its first poll here.
            polled = replace(polled, completed_at=self._noted[queue.queue_id].completed_at)
        interval = self._rules(polled.queue).settings.poll_interval
        standing = self._standings.get(queue.queue_id)
        if seen is None:
            return QueueView(polled, interval, waiting=standing.waiting if standing else 0, standing=standing)
        return QueueView(
            polled,
            interval,
            trouble=seen.polled.trouble,
            waiting=seen.waiting,
            unusable=seen.unusable,
            new=seen.new,
            gone=seen.gone,
            standing=standing,
        )

    def _on_this_clock(self, seen: Seen) -> Polled:
        """How a queue's polls stand, in the time of a wall clock that may have been set since the last one."""
        polled, ago = seen.polled, timedelta(seconds=self._clock.monotonic() - seen.completed)
        if polled.completed_at is None:
            return polled
        return replace(polled, completed_at=polled.completed_at + _by(self._clock.now() - ago - polled.completed_at))


def _state(seen: Seen) -> object:
    """What changes with everything that a poll writes; None before the first complete one."""
    return seen.decisions if seen.polled.completed_at else None


def _by(moved: timedelta) -> timedelta:
    """By how much the clock was set: whole seconds, so that it is the same at each look."""
    return timedelta(seconds=round(moved.total_seconds())) if abs(moved) > SET else timedelta(0)
