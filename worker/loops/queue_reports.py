"""Owes each queue's report to its channel at the times of the week that its settings name, once a period."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import structlog

from worker.core.cooldown import Cooldown
from worker.core.instants import instant_at, microseconds
from worker.core.model import Kind
from worker.core.owed import Delivery
from worker.core.queue_report import QueueReport, due_period, posted_text, report_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime

    from worker.core.model import Id, Queue
    from worker.core.owed import Destination
    from worker.core.ports import Clock
    from worker.core.store_roles import History, Notes, Outbox, Polls
    from worker.rules import RulesOf

log = structlog.get_logger(__name__)

LOOK_EVERY = timedelta(seconds=15)


class Reports:
    """Sees which reports are due, and owes them. One thread at a time, of one worker."""

    def __init__(  # noqa: PLR0913  (the parts that it works with, all by name)
        self,
        *,
        outbox: Outbox,
        history: History,
        polls: Polls,
        notes: Notes,
        clock: Clock,
        rules: RulesOf,
        queues: Callable[[], Mapping[Id, Queue]],
        owed: Callable[[], None] = lambda: None,
    ) -> None:
        """`queues` gives those that are polled; `owed` is called when there is something to deliver."""
        self._outbox = outbox
        self._history = history
        self._polls = polls
        self._notes = notes
        self._clock = clock
        self._rules = rules
        self._queues = queues
        self._owed = owed
        self._rests = Cooldown()
        self._done: dict[Id, datetime] = {}
        """Up to when the reports of each queue are owed."""

    def __call__(self) -> None:
        """Owe what has come due. Raises StoreError."""
        if not self._rests.is_over(self._clock.monotonic()):
            return
        self._rests = Cooldown.of(LOOK_EVERY, self._clock.monotonic())
        for queue, due_at in self._come():
            if due_at is None:
                # What came due before the setting was there is not reported: from here on it is.
                self._note(queue, self._clock.now())
                continue
            delivery = self._delivery(queue)
            if delivery is not None and self._outbox.owe(delivery):
                log.info("report_owed", queue=queue.name, key=str(delivery.key))
                self._owed()
            self._note(queue, due_at)

    def due(self) -> Iterator[Delivery]:
        """What would be owed now; nothing is written."""
        found = (self._delivery(queue) for queue, due_at in self._come() if due_at is not None)
        return (delivery for delivery in found if delivery is not None)

    def _come(self) -> Iterator[tuple[Queue, datetime | None]]:
        """The queues for which a time has come, with that time; None for a first look."""
        now = self._clock.now()
        for queue in list(self._queues().values()):
            rules = self._rules(queue)
            if rules.settings.report_at is None:
                continue
            due_at, _ = due_period(rules.calendar, rules.settings.report_at, now)
            done = self._done_until(queue)
            if done is None or done < due_at:
                yield queue, None if done is None else due_at

    def _delivery(self, queue: Queue) -> Delivery | None:
        """The report of a queue as it is owed; None where there is no time for it, or no place."""
        rules = self._rules(queue)
        if rules.settings.report_at is None or not rules.policy.destination.place:
            return None
        _, period = due_period(rules.calendar, rules.settings.report_at, self._clock.now())
        # As it was polled last: one that is given by its id has no name in the settings.
        queue = next((each.queue for each in self._polls.polls() if each.queue.queue_id == queue.queue_id), queue)
        hours = self._history.hours(period.begin, period.end, queue.queue_id).get(queue.queue_id, {})
        standing = self._polls.standing(queue.queue_id, rules.stale_before(self._clock.now()))
        report = QueueReport.of(queue, period, hours, standing, rules.calendar)
        return as_delivery(report, rules.policy.destination, self._clock.now())

    def _done_until(self, queue: Queue) -> datetime | None:
        if queue.queue_id not in self._done and (kept := self._notes.recall(_name_of_note(queue))) is not None:
            self._done[queue.queue_id] = instant_at(int(kept))
        return self._done.get(queue.queue_id)

    def _note(self, queue: Queue, until: datetime) -> None:
        self._notes.remember(_name_of_note(queue), str(microseconds(until)))
        self._done[queue.queue_id] = until


def _name_of_note(queue: Queue) -> str:
    return f"reported/{queue.queue_id}"


def as_delivery(report: QueueReport, destination: Destination, now: datetime) -> Delivery:
    """The report as it is owed to the channel of its queue."""
    return Delivery(
        key=report_key(report.queue.queue_id, report.period),
        kind=Kind.REPORT,
        destination=destination,
        created_at=now,
        due_at=now,
        queue=report.queue,
        text=posted_text(report),
    )
