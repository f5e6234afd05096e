"""Makes worklists: reads what waits in the queues that are polled, for one person who asks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.core.audience import Audience
from worker.core.worklist import Shelf, worklist_in, worklist_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from datetime import datetime

    from worker.core.audience import Persons
    from worker.core.model import Id, Polled, Queue
    from worker.core.store_roles import Acting, Polls
    from worker.core.worklist import Worklist
    from worker.rules import RulesOf


class Worklists:
    """Makes worklists of the queues that are polled. Thread-safe. Every method may raise StoreError."""

    def __init__(
        self,
        *,
        acting: Acting,
        polls: Polls,
        rules: RulesOf,
        persons: Callable[[], Persons],
        queues: Callable[[], Collection[Id]],
    ) -> None:
        """`queues` gives the ids of those that are polled, by whichever worker."""
        self._acting = acting
        self._polls = polls
        self._rules = rules
        self._persons = persons
        self._queues = queues

    def of(self, user: str, now: datetime) -> Worklist:
        """What is the turn of a user, or taken by this one."""
        mutes = self._acting.mutes()
        shelves = [self._shelf(polled, mutes, is_whole=False) for polled in self._polled()]
        return worklist_of(user, self._persons(), shelves, now)

    def within(self, queue: Queue, user: str, now: datetime) -> Worklist:
        """What waits in one of the queues, as it is shown to a user."""
        polled = next(each for each in self._polled() if each.queue.queue_id == queue.queue_id)
        return worklist_in(self._shelf(polled, self._acting.mutes(), is_whole=True), user, self._persons(), now)

    def queues(self) -> Sequence[Queue]:
        """The queues that can be asked for, by name."""
        return [each.queue for each in self._polled()]

    def is_reviewer(self, user: str, queue: Queue) -> bool:
        """Whether a user of the notifier is one of the reviewers of a queue."""
        person = self._persons().with_user(user)
        return person is not None and self._rules(queue).turns(queue).is_reviewer(person)

    def _polled(self) -> Sequence[Polled]:
        wanted = set(self._queues())
        return [each for each in self._polls.polls() if each.queue.queue_id in wanted]

    def _shelf(self, polled: Polled, mutes: Mapping[Id, datetime], *, is_whole: bool) -> Shelf:
        queue = polled.queue
        rules = self._rules(queue)
        # What is nobody's turn is only counted: such queues may be long.
        is_counted = rules.settings.people is Audience.NOBODY and not is_whole
        reviews = self._acting.waiting(queue.queue_id, taken=is_counted)
        return Shelf(
            queue=queue,
            view=rules.view(queue),
            reviews=reviews,
            waiting=self._polls.standing(queue.queue_id, None).waiting if is_counted else len(reviews),
            muted_until=mutes.get(queue.queue_id),
            failing_since=polled.failing_since,
        )
