"""A decision on what is remembered of a queue, and all that it leads to, in the transaction that is given."""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.core.model import Memory
from worker.stores import edits, history, outbox, reviews

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from datetime import datetime

    from sqlalchemy.engine import Connection

    from worker.core.model import Id, Queue, ReviewKey
    from worker.core.plan import Plan


def decide_on_queue(
    connection: Connection,
    queue: Queue,
    keys: Collection[Id],
    decide: Callable[[Memory], Plan],
    now: datetime,
    *,
    whole: bool,
) -> Plan:
    """Hold the queue's row, recall its reviews, let the core decide, and write reviews, notices and history."""
    row = reviews.lock_queue(connection, queue)
    baselined = row.baselined_at is not None
    # A whole may be large: the numbers of its rows are looked up later, and only of what alters.
    known: dict[ReviewKey, int] | None
    if whole:
        recalled = reviews.recall_reviews(connection, queue.queue_id, keys, is_known=baselined)
        known = None if baselined or recalled else {}
    else:
        by_number = reviews.recall_some(connection, queue.queue_id, keys)
        recalled = list(by_number.values())
        known = {review.key: number for number, review in by_number.items()}
    memory = Memory(
        baselined,
        recalled,
        revision=row.revision,
        listing=row.listing or "",
        window=outbox.window_of(connection, row, now),
        muted_until=row.muted_until,
        completed_at=row.completed_at,
    )
    plan = decide(memory)
    reviews.conclude_poll(connection, row, plan, now)
    altered = reviews.write_reviews(connection, queue.queue_id, plan.reviews, known)
    for notice in plan.notices:
        outbox.owe_notice(connection, queue, notice, now)
    if plan.opened is None and plan.entered and memory.window is not None:
        outbox.enter_reviews(connection, queue.queue_id, memory.window.host, plan.entered, now)
    edits.owe_edits(connection, altered, now)
    history.add_hours(connection, queue.queue_id, plan.tally.hours)
    return plan
