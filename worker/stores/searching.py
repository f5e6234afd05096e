"""Finding stays of runs and deliveries by what a person has of them, inside a transaction that somebody else began."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from worker.stores import outbox
from worker.stores.reviews import recall
from worker.stores.tables import deliveries, delivery_reviews, reviews

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sqlalchemy.engine import Connection

    from worker.core.model import Delivery, Id, Review


def by_ids(connection: Connection, ids: Collection[Id]) -> Sequence[Id]:
    """The queue runs with one of these ids, be it their own or their run's."""
    query = sa.select(reviews.c.queue_run_id).where(reviews.c.queue_run_id.in_(ids) | reviews.c.run_id.in_(ids))
    return _once(connection, query)


def by_post(connection: Connection, channel: str, ts: str) -> Sequence[Id]:
    """The queue runs of which a posted message speaks."""
    query = (
        sa.select(reviews.c.queue_run_id)
        .join(delivery_reviews, delivery_reviews.c.review_id == reviews.c.review_id)
        .join(deliveries, deliveries.c.delivery_id == delivery_reviews.c.delivery_id)
        .where(deliveries.c.receipt_ts == ts, deliveries.c.receipt_channel == channel)
    )
    return _once(connection, query)


def by_part(connection: Connection, part: str, most: int) -> Sequence[Id]:
    """The queue runs whose name holds `part`, or whose id or run's id begins with it; the newest, at most so many."""
    query = sa.select(reviews.c.queue_run_id, reviews.c.run_id, reviews.c.facts).order_by(reviews.c.review_id.desc())
    sought = part.casefold()
    found: dict[Id, None] = {}
    for row in connection.execute(query):
        if len(found) >= most:
            break
        begins = any(str(each).casefold().startswith(sought) for each in (row.queue_run_id, row.run_id))
        if begins or sought in row.facts.name.casefold():
            found[row.queue_run_id] = None
    return list(found)


def by_beginning(connection: Connection, beginning: str) -> Sequence[Delivery]:
    """The deliveries whose key begins so, with or without its dashes; the newest first."""
    sought = beginning.replace("-", "").lower()
    keys = connection.execute(sa.select(deliveries.c.key)).scalars()
    found = [key for key in keys if sought and key.hex.startswith(sought)]
    query = outbox.select_deliveries().where(deliveries.c.key.in_(found[:100]))
    return [outbox.delivery_of(row) for row in connection.execute(query.order_by(deliveries.c.delivery_id.desc()))]


def waiting(connection: Connection, queue_id: Id) -> Sequence[Review]:
    """A queue's open reviews, oldest first."""
    return sorted(recall(connection, queue_id, ()), key=lambda review: (review.since, str(review.queue_run_id)))


def _once(connection: Connection, query: sa.Select[Any]) -> Sequence[Id]:
    return list(dict.fromkeys(row.queue_run_id for row in connection.execute(query.order_by(reviews.c.review_id))))
