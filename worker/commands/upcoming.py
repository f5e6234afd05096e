"""What of each queue is held, and what its next notices depend on, as the database shows it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from worker.core.owed import State
from worker.core.status.upcoming import Circumstances, Held, count_held
from worker.stores import acts, outbox, reviews

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from worker.core.model import Polled
    from worker.core.owed import Delivery
    from worker.core.policy import EscalationPolicy
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
