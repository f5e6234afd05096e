"""A past of a queue, written into any store as polls would have written it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.builders import NOON
from worker.core.history import Tally
from worker.core.plan import Plan

if TYPE_CHECKING:
    from worker.core.history import Hours
    from worker.core.model import Queue
    from worker.core.store_roles import Reviews


def write_hours(store: Reviews, queue: Queue, hours: Hours) -> None:
    """Add to the hours of a queue."""
    store.update(queue, (), lambda _: Plan(tally=Tally(hours)), NOON)
