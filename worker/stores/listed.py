"""Which runs messages list, or will list, without a name; inside a transaction that somebody else began."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from worker.core.model import LISTED, State
from worker.stores.columns import NAMED
from worker.stores.edits import kept_true
from worker.stores.outbox import SPEAKS
from worker.stores.reviews import OLDEST_FIRST
from worker.stores.tables import LIVE, OPEN, deliveries, delivery_reviews, reviews

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from sqlalchemy.engine import Connection

    from worker.core.model import Facts, Id


def undescribed(connection: Connection, queue_id: Id, now: datetime, most: int) -> Mapping[Id, Facts]:
    """Find runs without a name that messages list; the rules are those of `Store.undescribed`."""
    asked = {"queue": queue_id, "now": now, "most": most}
    return {row.queue_run_id: row.facts for row in connection.execute(_undescribed(), asked)}


@cache
def _undescribed() -> sa.Select[Any]:
    nameless = sa.type_coerce(reviews.c.facts, sa.Text).not_like(f"{NAMED}%")
    return (
        sa.select(reviews.c.queue_run_id, reviews.c.facts)
        .where(reviews.c.review_id.in_(sa.union(_posted(), _to_be_posted())), OPEN, nameless)
        .order_by(*OLDEST_FIRST)
        .limit(sa.bindparam("most"))
    )


def _posted() -> sa.Select[Any]:
    """What messages list that are there."""
    return (
        sa.select(delivery_reviews.c.review_id)
        .join_from(deliveries, delivery_reviews)
        .where(deliveries.c.queue_id == sa.bindparam("queue"), kept_true(), deliveries.c.state == State.SENT)
        .where(delivery_reviews.c.position.is_not(None), SPEAKS)
    )


def _to_be_posted() -> sa.Select[Any]:
    """What messages will list that are not posted yet, as far as is known: the oldest that wait."""
    place = sa.func.row_number().over(partition_by=deliveries.c.delivery_id, order_by=OLDEST_FIRST)
    spoken = (
        sa.select(delivery_reviews.c.review_id, place.label("place"))
        .select_from(deliveries)
        .join(delivery_reviews)
        .join(reviews)
        .where(deliveries.c.queue_id == sa.bindparam("queue"), LIVE, SPEAKS, OPEN)
        .subquery()
    )
    return sa.select(spoken.c.review_id).where(spoken.c.place <= LISTED)
