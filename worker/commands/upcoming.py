"""What of each queue is held, and what its next notices depend on, as the database shows it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from msgspec import Struct

from worker.core.outbox import in_vain_at
from worker.core.owed import State
from worker.core.status.upcoming import Circumstances, Held, count_held
from worker.core.text import day_time_in, plain
from worker.stores import acts, outbox, reviews

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime, tzinfo

    from worker.core.model import Id, Polled, Queue
    from worker.core.owed import Delivery
    from worker.core.policy import EscalationPolicy
    from worker.rules import RulesOf
    from worker.stores.sql import SqlStore

_MOST = 10_000
"""The number of waiting deliveries that are looked through for held ones."""


def circumstances_of(store: SqlStore, polled: Polled, policy: EscalationPolicy, now: datetime) -> Circumstances:
    """What the next notices of a queue depend on, beside its runs."""
    find = partial(outbox.known_window, queue_id=polled.queue.queue_id, now=now)
    muted_until = store.search(acts.mutes).get(polled.queue.queue_id)
    return Circumstances(policy, store.search(find), polled.baselined_at is not None, muted_until)


def held_of(
    store: SqlStore, polls: Sequence[Polled], policies: Sequence[EscalationPolicy], now: datetime
) -> Sequence[Held]:
    """What of each queue is held outside hours."""
    # Mostly it is open, and nothing has to be read.
    if all(step.calendar.may_post(now) for policy in policies for step in policy.steps):
        return [Held()] * len(polls)
    pending = store.deliveries(State.PENDING, _MOST)
    return [
        _held(store, polled, policy, _of(pending, polled), now) for polled, policy in zip(polls, policies, strict=True)
    ]


class Unpolled(Struct, frozen=True):
    """What waits for a poll of a queue that is polled no more: so many `deliveries` are withdrawn at `withdrawn_at`."""

    queue: Queue
    deliveries: int
    withdrawn_at: datetime
    zone: tzinfo


def unpolled_of(store: SqlStore, polls: Sequence[Polled], rules: RulesOf, now: datetime) -> list[Unpolled]:
    """What waits for a poll that will not come, by queue."""
    polled = {each.queue.queue_id for each in polls}
    pending = store.deliveries(State.PENDING, _MOST)
    lost = [each for each in pending if each.queue is not None and each.queue.queue_id not in polled]
    found: dict[Id, Unpolled] = {}
    for delivery in lost:
        queue = delivery.queue
        calendar = rules(queue).policy.calendar_of(delivery.kind)
        # Without hours nothing waits for a poll after an opening.
        if queue is None or calendar.is_always:
            continue
        known = found.get(queue.queue_id)
        count = 1 if known is None else known.deliveries + 1
        found[queue.queue_id] = Unpolled(queue, count, in_vain_at(calendar, now), calendar.zone)
    return list(found.values())


def unpolled_lines(unpolled: Iterable[Unpolled]) -> list[str]:
    """What waits for a poll of queues that are polled no more, and when it is given up; nothing where there is none."""
    lines = [f"  {plain(each.queue.name)}: {_unpolled_text(each)}" for each in unpolled]
    return ["", "Polled no more:", *lines] if lines else []


def _unpolled_text(each: Unpolled) -> str:
    what = "1 message waits" if each.deliveries == 1 else f"{each.deliveries} messages wait"
    at = day_time_in(each.withdrawn_at, each.zone)
    return f"{what} for a poll, withdrawn at {at} unless the queue is polled before"


def _of(deliveries: Sequence[Delivery], polled: Polled) -> list[Delivery]:
    queue_id = polled.queue.queue_id
    return [each for each in deliveries if each.queue is not None and each.queue.queue_id == queue_id]


def _held(
    store: SqlStore, polled: Polled, policy: EscalationPolicy, deliveries: Sequence[Delivery], now: datetime
) -> Held:
    if all(step.calendar.may_post(now) for step in policy.steps):
        return Held()
    waiting = store.search(partial(reviews.open_reviews, queue_id=polled.queue.queue_id))
    return count_held(circumstances_of(store, polled, policy, now), waiting, deliveries, now)
