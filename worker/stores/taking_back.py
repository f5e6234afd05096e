"""Taking back what a notice counted for, where it does not speak of a run after all: the run is as far as before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from worker.core.model import Kind, ReviewKey
from worker.core.owed import State
from worker.stores.database import chunks
from worker.stores.outbox import SPEAKS
from worker.stores.reviews import hold_queue, revise_queue
from worker.stores.schema import DELIVERIES, DELIVERY_REVIEWS, IS_OPEN, REVIEWS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from uuid import UUID

    from sqlalchemy.engine import Connection, Row

    from worker.core.model import Id
    from worker.core.owed import Delivery

_QUEUES = (
    sa.select(REVIEWS.c.queue_id)
    .distinct()
    .join_from(DELIVERY_REVIEWS, REVIEWS)
    .join(DELIVERIES, DELIVERIES.c.delivery_id == DELIVERY_REVIEWS.c.delivery_id)
    .where(DELIVERIES.c.key == sa.bindparam("key"), SPEAKS, IS_OPEN)
)
_BEFORE = DELIVERY_REVIEWS.c.told_before
# What a later notice has spoken of since is that one's to take back.
_IS_FURTHER = sa.or_(_BEFORE.is_(None), REVIEWS.c.told_at > _BEFORE)
_SPOKEN_OF = (
    sa.select(REVIEWS.c.review_id, REVIEWS.c.queue_run_id, REVIEWS.c.added_at, REVIEWS.c.reminded)
    .add_columns(_BEFORE.label("before"), DELIVERY_REVIEWS.c.purpose)
    .join_from(DELIVERY_REVIEWS, REVIEWS)
    .where(DELIVERY_REVIEWS.c.delivery_id == sa.bindparam("number"), SPEAKS, IS_OPEN)
    .where(REVIEWS.c.told_at.is_not(None), _IS_FURTHER)
)
_WRITE_BACK = sa.update(REVIEWS).where(REVIEWS.c.review_id == sa.bindparam("review"))


def hold_queues_of(connection: Connection, key: UUID) -> Sequence[Id]:
    """Hold the queues of the runs that a delivery speaks of and that wait, before the delivery, as everybody does."""
    queues = sorted(connection.execute(_QUEUES, {"key": key}).scalars().all(), key=str)
    for queue_id in queues:
        hold_queue(connection, queue_id)
    return queues


def take_back(
    connection: Connection, number: int, after: Delivery, queues: Iterable[Id], left_out: Collection[ReviewKey]
) -> None:
    """Let runs that wait, and of which a delivery does not speak after all, be as far as they were before it.

    Those are all of one that is withdrawn, else those that are just `left_out`. The rows of their queues are held.
    """
    of_all = after.state is State.WITHDRAWN
    rows = [
        row
        for row in connection.execute(_SPOKEN_OF, {"number": number})
        if of_all or ReviewKey(row.queue_run_id, row.added_at) in left_out
    ]
    news = [{"review": row.review_id, "told_at": row.before, "reminded": _reminded(row, after)} for row in rows]
    for some in chunks(news):
        connection.execute(_WRITE_BACK, some)
    for queue_id in queues if news else ():
        revise_queue(connection, queue_id)


def _reminded(row: Row[Any], after: Delivery) -> int:
    reminded: int = row.reminded
    return max(reminded - ((row.purpose or after.kind) is Kind.REMINDER), 0)
