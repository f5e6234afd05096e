"""The roster: the queues to poll, given by id, by name or as all; and the check that the key is blind to none."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import structlog

from worker.core.cooldown import Cooldown
from worker.core.delivery import clamp_wish
from worker.core.model import Queue
from worker.core.overview import Area
from worker.core.ports import SourceError, Trouble
from worker.core.text import folded

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from datetime import datetime

    from worker.core.model import Id
    from worker.core.ports import Blindness, Clock, Incidents, Source
    from worker.loops.poll import Known, Seen

log = structlog.get_logger(__name__)

LOOK_UP_EVERY = timedelta(minutes=5)
TRY_AGAIN_EVERY = timedelta(seconds=30)
"""More often while no look-up has succeeded: there may be nothing to poll, or not every queue."""

REFUSED_EVERY = LOOK_UP_EVERY
"""Asking more often does not make a refused key better."""


class Roster:
    """The queues to poll at present. Names, and all queues, are looked up again every 5 minutes."""

    def __init__(
        self,
        *,
        source: Source,
        clock: Clock,
        ids: Sequence[Id],
        names: Collection[str],
        everything: bool,
        last: Iterable[Queue] = (),
    ) -> None:
        """`ids` are polled whatever the list of queues says.

        `last` are the queues that were polled last, by any worker: the wanted ones among them are polled until a
        look-up succeeds, so that none goes unpolled because this worker cannot list them.
        """
        self._source = source
        self._clock = clock
        self._ids = tuple(ids)
        self._names = frozenset(names)
        self._everything = everything
        self._listed_again = Cooldown()
        self._has_listed = False
        self._unknown: frozenset[str] = frozenset()
        self._listed: frozenset[str] = frozenset()
        self.failing_since: datetime | None = None
        """The time since which the look-up fails; None where the last one succeeded."""
        self.error = ""
        """The error of the last look-up; empty where it succeeded."""
        self.queues = {queue_id: Queue(queue_id, str(queue_id)) for queue_id in self._ids}
        self.queues |= {q.queue_id: q for q in last if q.queue_id in self.queues or self._is_wanted(q)}

    def may_poll(self, queue_id: Id) -> bool:
        """Whether a queue is polled, or may come to be: the queues have not been listed so far."""
        is_listed = self._has_listed or not (self._names or self._everything)
        return not is_listed or queue_id in self.queues

    @property
    def unknown(self) -> frozenset[str]:
        """Names that no queue has, as of the last look-up."""
        return self._unknown

    def meant(self, name: str) -> str:
        """A "did you mean" for a fix, where names of queues differ from this one only in blanks, case or accents."""
        alike = sorted(listed for listed in self._listed if folded(listed) == folded(name))
        return f"did you mean {' or '.join(map(repr, alike))}? " if alike else ""

    @property
    def is_failing(self) -> bool:
        """Whether the last look-up failed."""
        return self.failing_since is not None

    def refresh(self) -> bool:
        """Look the queues up where that is due; returns whether `queues` has changed. A failure changes nothing."""
        if not (self._names or self._everything) or not self._listed_again.is_over(self._clock.monotonic()):
            return False
        try:
            listed = self._source.queues()
        except SourceError as error:
            self._failed(error)
            return False
        self.failing_since, self.error, self._has_listed = None, "", True
        self._listed_again = Cooldown.of(LOOK_UP_EVERY, self._clock.monotonic())
        self._listed = frozenset(queue.name for queue in listed)
        self._miss(self._names - self._listed - {str(queue.queue_id) for queue in listed})
        return self._take(listed)

    def _take(self, listed: Sequence[Queue]) -> bool:
        wanted = {queue.queue_id: queue for queue in listed if self._is_wanted(queue)}
        wanted |= {queue_id: wanted.get(queue_id, self.queues[queue_id]) for queue_id in self._ids}
        # Replaced as a whole: other threads may be going through it.
        before, self.queues = self.queues, wanted
        for queue_id in wanted.keys() - before.keys():
            log.info("queue_added", queue=wanted[queue_id].name)
        for queue_id in before.keys() - wanted.keys():
            log.info("queue_gone", queue=before[queue_id].name)
        return before.keys() != wanted.keys()

    def _is_wanted(self, queue: Queue) -> bool:
        return self._everything or queue.name in self._names or str(queue.queue_id) in self._names

    def _miss(self, unknown: frozenset[str]) -> None:
        # One line for each name, not one for each look-up.
        for name in sorted(unknown - self._unknown):
            fix = f"{self.meant(name)}correct the name or give the queue's id; `review-notifier queues` lists them"
            log.error("queue_unknown", queue=name, fix=fix)
        self._unknown = unknown

    def _failed(self, error: SourceError) -> None:
        self._listed_again = Cooldown.of(self._wait(error), self._clock.monotonic())
        self.error = str(error)
        if self.failing_since is None:
            self.failing_since = self._clock.now()
            log.warning("queues_not_listed", error=str(error), polled=len(self.queues))

    def _wait(self, error: SourceError) -> timedelta:
        wish = clamp_wish(error.retry_after)
        if wish is not None:
            return wish
        if error.trouble is Trouble.REFUSED:
            return REFUSED_EVERY
        return LOOK_UP_EVERY if self._has_listed else TRY_AGAIN_EVERY


_KIND = "queue_blind"
COMPARE_EVERY = timedelta(hours=1)
COMPARE_AGAIN_AFTER = timedelta(seconds=5)
"""A run may come between the counts of two sections, so a difference is believed only when it is found twice."""


class BlindCheck:
    """Asks once an hour whether a queue with an empty listing has open runs that the key does not see.

    One thread at a time; each call asks about one queue.
    """

    def __init__(self, *, source: Blindness | None, clock: Clock, poll: Known, incidents: Incidents) -> None:
        """`source` is None where it cannot count hidden runs: then nothing is asked."""
        self._source = source
        self._clock = clock
        self._poll = poll
        self._incidents = incidents
        self._again: dict[Id, Cooldown] = {}
        self._suspected: set[Id] = set()
        self._seeing: set[Id] = set()

    def __call__(self) -> None:
        """Ask about the next queue that is due. Never raises for a failure."""
        known = [each for each in self._poll.seen() if each.polled.completed_at and not each.polled.trouble]
        seeing = {_id(seen) for seen in known if seen.waiting}
        for queue_id in seeing - self._seeing:
            self._sees(queue_id)
        self._seeing = seeing
        now = self._clock.monotonic()
        due = (each for each in known if not each.waiting and self._again.get(_id(each), Cooldown()).is_over(now))
        if (first := next(due, None)) is not None:
            self._look(first)

    def _look(self, seen: Seen) -> None:
        queue_id = _id(seen)
        # Before the question, so that one which fails is not asked again with every call.
        self._ask_again(queue_id, COMPARE_EVERY)
        try:
            found = None if self._source is None else self._source.blindness(queue_id)
        except SourceError as error:
            log.debug("sections_not_counted", queue=seen.polled.queue.name, error=str(error))
            return
        if found is None:
            self._sees(queue_id)
        elif queue_id not in self._suspected:
            self._suspected.add(queue_id)
            self._ask_again(queue_id, COMPARE_AGAIN_AFTER)
        else:
            text = f"{seen.polled.queue.name}: {found.text}"
            self._incidents.begin(_KIND, Area.QUEUES, text, found.fix, subject=str(queue_id))

    def _sees(self, queue_id: Id) -> None:
        self._suspected.discard(queue_id)
        self._incidents.end(_KIND, subject=str(queue_id))

    def _ask_again(self, queue_id: Id, wait: timedelta) -> None:
        self._again[queue_id] = Cooldown.of(wait, self._clock.monotonic())


def _id(seen: Seen) -> Id:
    return seen.polled.queue.queue_id
