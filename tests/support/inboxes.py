"""Queues in a store, and people who are notified directly of their runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from tests.support.builders import HOUR, NOON, deciding, queue, rules_with
from tests.support.people import ADA, ASSIGNED, person
from worker.core.audience import Audience, Persons, Reach
from worker.core.direct import World, plan_direct
from worker.core.direct_inbox import Allowance
from worker.loops.direct import of_owners

if TYPE_CHECKING:
    from datetime import datetime

    from worker.core.direct import DirectPlan
    from worker.core.model import Queue, Review
    from worker.core.store_roles import Store

TRIO = tuple(person(name) for name in ("Ada", "Ben", "Eve"))
OTHER = queue("Billing", assigned=(ADA,))


@dataclass
class Office:
    """Queues in a store, and people who are notified directly of their runs."""

    store: Store
    queues: tuple[Queue, ...] = (ASSIGNED,)
    persons: tuple[Any, ...] = TRIO
    settings: dict[str, Any] = field(default_factory=dict)

    def see(self, *reviews: Review, of: Queue = ASSIGNED, at: datetime = NOON) -> None:
        """Write what a poll has seen."""
        self.store.update(of, {one.queue_run_id for one in reviews}, deciding(*reviews), at)

    def look(self, at: datetime = NOON) -> DirectPlan:
        """Decide on all inboxes."""
        usual = {"people": Audience.ASSIGNED, "tell": Reach.DIRECT, "announce_every": HOUR}
        rules = replace(rules_with(**usual | self.settings), persons=Persons(self.persons))
        turns = {one.queue_id: rules.queue_turns(one) for one in self.queues}
        world = World(turns, rules.persons, Allowance(3, 3), {}, "slack")
        return self.store.direct([*turns], lambda desk: plan_direct(world, desk, at), at, owners=of_owners(turns))

    def owed(self) -> dict[str, list[str]]:
        """What waits for each place, oldest first."""
        return {
            claim.delivery.destination.place: [one.facts.name for one in claim.reviews] for claim in self.store.outbox()
        }


def office(store: Store) -> Office:
    """One queue whose runs were looked at before."""
    world = Office(store)
    world.see()
    world.look()
    return world
