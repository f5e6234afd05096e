"""Notices a key that is blind: nothing is listed of a queue in which something is open."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import structlog

from worker.core.cooldown import Cooldown
from worker.core.ports import SourceError
from worker.core.status.process import Area

if TYPE_CHECKING:
    from worker.core.model import Id
    from worker.core.ports import Blindness, Clock, Incidents
    from worker.loops.poll import Poll, Seen

log = structlog.get_logger(__name__)

KIND = "queue_blind"
EVERY = timedelta(hours=1)
AGAIN = timedelta(seconds=5)
"""A run may come between the counts of two sections: only what is found twice is believed."""


class Sight:
    """Compares what is listed with what there is: once an hour and queue, where nothing is listed.

    One thread at a time; each call asks about one queue.
    """

    def __init__(self, *, source: Blindness | None, clock: Clock, poll: Poll, incidents: Incidents) -> None:
        """A `source` that is None cannot tell: then nothing is asked."""
        self._source = source
        self._clock = clock
        self._poll = poll
        self._incidents = incidents
        self._again: dict[Id, Cooldown] = {}
        self._suspected: set[Id] = set()

    def __call__(self) -> None:
        """Ask about the next queue that is due. Never raises for a failure."""
        known = [each for each in self._poll.seen() if each.polled.completed_at and not each.polled.trouble]
        for seen in known:
            if seen.waiting:
                self._sees(_id(seen))
        now = self._clock.monotonic()
        due = (each for each in known if not each.waiting and self._again.get(_id(each), Cooldown()).is_over(now))
        if (first := next(due, None)) is not None:
            self._look(first)

    def _look(self, seen: Seen) -> None:
        queue_id = _id(seen)
        self._ask_again(queue_id, EVERY)
        try:
            found = None if self._source is None else self._source.blindness(queue_id)
        except SourceError as error:
            log.debug("sections_not_counted", queue=seen.polled.queue.name, error=str(error))
            return
        if found is None:
            self._sees(queue_id)
        elif queue_id not in self._suspected:
            self._suspected.add(queue_id)
            self._ask_again(queue_id, AGAIN)
        else:
            text = f"{seen.polled.queue.name}: {found.text}"
            self._incidents.begin(KIND, Area.QUEUES, text, found.fix, subject=str(queue_id))

    def _sees(self, queue_id: Id) -> None:
        self._suspected.discard(queue_id)
        self._incidents.end(KIND, subject=str(queue_id))

    def _ask_again(self, queue_id: Id, wait: timedelta) -> None:
        self._again[queue_id] = Cooldown.of(wait, self._clock.monotonic())


def _id(seen: Seen) -> Id:
    return seen.polled.queue.queue_id
