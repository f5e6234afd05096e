"""The direct messages of a dry run: those that wait to be posted, and those that a look at the inboxes would owe."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from worker.core.direct import World, plan_direct
from worker.core.model import Kind
from worker.core.outbox import without_spared
from worker.core.owed import Claim, Delivery, State
from worker.loops.deliver import letter_of
from worker.loops.direct import calendars_of, concerns_readers, of_owners

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import timedelta

    from worker.core.audience import Persons
    from worker.core.direct import Desk, DirectNotice, DirectPlan
    from worker.core.direct_inbox import Allowance
    from worker.core.message import Message
    from worker.core.model import Id, Queue, Review
    from worker.core.ports import Clock
    from worker.core.store_roles import Deliveries, Inboxes
    from worker.rules import CalendarOf, RulesOf

    Seen = Mapping[Id, tuple[Queue, Sequence[Review]]]


class _NothingWrittenError(Exception):
    """Ends the store's transaction with nothing written, and carries the decision out of it."""

    def __init__(self, decided: DirectPlan) -> None:
        super().__init__()
        self.decided = decided


class DirectPreview:
    """Looks at the inboxes as a pass would, and gives the messages instead of owing them. Nobody is looked up."""

    def __init__(  # noqa: PLR0913  (its surroundings, all by name)
        self,
        *,
        inboxes: Inboxes,
        deliveries: Deliveries,
        clock: Clock,
        rules: RulesOf,
        persons: Callable[[], Persons],
        calendars: CalendarOf,
        budget: Allowance,
        scheme: str,
    ) -> None:
        self._inboxes = inboxes
        self._deliveries = deliveries
        self._clock = clock
        self._rules = rules
        self._persons = persons
        self._calendars = calendars
        self._budget = budget
        self._scheme = scheme

    def messages(self, seen: Seen, ahead: timedelta) -> Iterator[Message]:
        """The messages that would be posted, of queues whose first sight is over with their open reviews.

        Our clock is `ahead` of the one by which runs grow old.
        """
        now = self._clock.now()
        live = (claim for claim in self._deliveries.outbox() if claim.delivery.state is State.PENDING)
        waiting = (claim for claim in live if not claim.is_muted(now))
        yield from self._written(claim for claim in waiting if claim.delivery.kind is Kind.DIRECT)
        yield from self._written(self._owed(notice, seen) for notice in self._decided(seen, ahead).notices)

    def _written(self, claims: Iterator[Claim]) -> Iterator[Message]:
        for claim in claims:
            letter = letter_of(claim, self._rules, self._clock.now())
            if letter is not None and (owed := without_spared(claim, letter.split()[0], self._clock.now())[0]):
                yield letter.post(owed)

    def _decided(self, seen: Seen, ahead: timedelta) -> DirectPlan:
        now, persons = self._clock.now(), self._persons()
        queues = {
            queue_id: self._rules(queue).queue_turns(queue)
            for queue_id, (queue, _) in seen.items()
            if concerns_readers(self._rules(queue))
        }
        calendars = calendars_of(self._calendars, persons, queues)
        world = World(queues, persons, self._budget, calendars, self._scheme, ahead)

        def decide(desk: Desk) -> DirectPlan:
            planned = {queue_id: [one for one in seen[queue_id][1] if one.is_open] for queue_id in queues}
            raise _NothingWrittenError(plan_direct(world, replace(desk, reviews=planned), now))

        try:
            return self._inboxes.direct(list(queues), decide, now, owners=of_owners(queues))
        except _NothingWrittenError as decision:
            return decision.decided

    def _owed(self, notice: DirectNotice, seen: Seen) -> Claim:
        now = self._clock.now()
        delivery = Delivery(
            notice.key, Kind.DIRECT, notice.destination, created_at=now, due_at=now, reader=notice.reader
        )
        known = {(queue_id, one.key): one for queue_id, (_, reviews) in seen.items() for one in reviews}
        return Claim(
            delivery,
            reviews=tuple(known[about] for about, _ in notice.runs),
            purposes={about[1]: kind for about, kind in notice.runs},
            queues={about[1]: seen[about[0]][0] for about, _ in notice.runs},
        )
