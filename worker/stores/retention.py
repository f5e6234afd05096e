"""Forgetting what is old, one small step a transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from worker.core.model import State
from worker.stores.tables import deliveries, delivery_reviews, queues, reviews

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy.engine import Connection

DELIVERIES_A_STEP = 100
"""Few, since each may speak of very many reviews."""

REVIEWS_A_STEP = 1000
SETTLED = (State.SENT, State.WITHDRAWN, State.DEAD)


def prune_deliveries(connection: Connection, before: datetime) -> int:
    """Forget some deliveries that were settled, and whose edits ended, before a time; how many."""
    ended = sa.or_(deliveries.c.edit_until.is_(None), deliveries.c.edit_until < before)
    query = (
        sa.select(deliveries.c.delivery_id)
        .where(deliveries.c.settled_at < before, deliveries.c.state.in_(SETTLED), ended)
        .limit(DELIVERIES_A_STEP)
        .with_for_update(skip_locked=True)
    )
    old = connection.execute(query).scalars().all()
    connection.execute(sa.delete(delivery_reviews).where(delivery_reviews.c.delivery_id.in_(old)))
    connection.execute(sa.delete(deliveries).where(deliveries.c.delivery_id.in_(old)))
    return len(old)


def prune_reviews(connection: Connection, before: datetime) -> int:
    """Forget some reviews that were closed before a time and that no delivery speaks of; how many.

    Holds their queues' rows, so that no plan that rests on such a review is being made; a busy queue is left for later.
    """
    told = sa.select(sa.literal(1)).where(delivery_reviews.c.review_id == reviews.c.review_id).correlate(reviews)
    query = (
        sa.select(reviews.c.review_id)
        .join_from(reviews, queues)
        .where(reviews.c.closed_at < before, ~told.exists())
        .limit(REVIEWS_A_STEP)
        .with_for_update(of=[reviews, queues], key_share=True, skip_locked=True)
    )
    old = connection.execute(query).scalars().all()
    connection.execute(sa.delete(reviews).where(reviews.c.review_id.in_(old)))
    return len(old)
