"""Reading and writing reviews inside a transaction that somebody else began."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from worker.core.model import Review, ReviewKey, Standing, State
from worker.stores.chunks import chunks
from worker.stores.tables import LIVE, OPEN, deliveries, reviews

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy.engine import Connection

    from worker.core.model import Left

# In the order of Review's fields, so that a row becomes a Review as it is.
REVIEW = (
    reviews.c.queue_run_id,
    reviews.c.added_at,
    reviews.c.run_id,
    reviews.c.since,
    reviews.c.first_seen_at,
    reviews.c.told,
    reviews.c.generation,
    reviews.c.back,
    reviews.c.reserved,
    reviews.c.done,
    reviews.c.facts,
    reviews.c.absent_at,
    reviews.c.closed_at,
    reviews.c.left,
)
FIELDS = tuple(column.key for column in REVIEW)
BESIDE_THE_KEY = FIELDS[2:]
"""Writing a key that stays as it is would make the database look after its indexes."""

OLDEST_FIRST = (reviews.c.since, reviews.c.queue_run_id, reviews.c.added_at)
IS_CLOSED = reviews.c.closed_at.is_not(None)


def recall(connection: Connection, queue_id: UUID, keys: Collection[UUID]) -> list[Review]:
    """Read a queue's open reviews, and the closed ones whose `queue_run_id` is in `keys`."""
    mine = sa.select(*REVIEW).where(reviews.c.queue_id == queue_id)
    found = [Review(*row) for row in connection.execute(mine.where(OPEN))]
    closed = mine.where(IS_CLOSED, reviews.c.queue_run_id.in_(sa.bindparam("some", expanding=True)))
    for some in chunks(keys):
        found += [Review(*row) for row in connection.execute(closed, {"some": some})]
    return found


def write(connection: Connection, queue_id: UUID, altered: Collection[Review]) -> list[int]:
    """Write reviews; the numbers of those that existed before."""
    ids = _ids(connection, queue_id, altered)
    _insert(connection, queue_id, [review for review in altered if review.key not in ids])
    _replace(connection, ids, [review for review in altered if review.key in ids])
    return [ids[review.key] for review in altered if review.key in ids]


def _ids(connection: Connection, queue_id: UUID, altered: Collection[Review]) -> dict[ReviewKey, int]:
    """The numbers of the rows of these runs, by key."""
    query = sa.select(reviews.c.queue_run_id, reviews.c.added_at, reviews.c.review_id).where(
        reviews.c.queue_id == queue_id,
        reviews.c.queue_run_id.in_(sa.bindparam("some", expanding=True)),
    )
    some = chunks({review.queue_run_id for review in altered})
    rows = (row for ids in some for row in connection.execute(query, {"some": ids}))
    return {ReviewKey(row.queue_run_id, row.added_at): row.review_id for row in rows}


def _insert(connection: Connection, queue_id: UUID, new: Sequence[Review]) -> None:
    for some in chunks(new):
        connection.execute(sa.insert(reviews), [{"queue_id": queue_id, **_values(review, FIELDS)} for review in some])


def _replace(connection: Connection, ids: Mapping[ReviewKey, int], altered: Sequence[Review]) -> None:
    statement = sa.update(reviews).where(reviews.c.review_id == sa.bindparam("number"))
    for some in chunks(altered):
        connection.execute(
            statement, [{"number": ids[review.key], **_values(review, BESIDE_THE_KEY)} for review in some]
        )


def _values(review: Review, fields: Iterable[str]) -> dict[str, Any]:
    return {field: getattr(review, field) for field in fields}


def learn(connection: Connection, queue_id: UUID, left: Mapping[UUID, Left]) -> list[int]:
    """Note how the latest closed stay of each run ended; the numbers of those for which that is news."""
    news = {number: how for number, was, how in _latest_closed(connection, queue_id, left) if was is not how}
    statement = sa.update(reviews).where(reviews.c.review_id == sa.bindparam("number"))
    for some in chunks(news):
        connection.execute(statement, [{"number": number, "left": news[number]} for number in some])
    return list(news)


def _latest_closed(
    connection: Connection, queue_id: UUID, left: Mapping[UUID, Left]
) -> Iterable[tuple[int, Left | None, Left]]:
    query = (
        sa.select(reviews.c.queue_run_id, reviews.c.review_id, reviews.c.left)
        .where(
            reviews.c.queue_id == queue_id, IS_CLOSED, reviews.c.queue_run_id.in_(sa.bindparam("some", expanding=True))
        )
        .order_by(reviews.c.closed_at, reviews.c.added_at)
    )
    rows = (row for some in chunks(left) for row in connection.execute(query, {"some": some}))
    latest = {row.queue_run_id: row for row in rows}
    return ((row.review_id, row.left, left[queue_run_id]) for queue_run_id, row in latest.items())


def standing(connection: Connection, queue_id: UUID, stale_before: datetime | None) -> Standing:
    """Count a queue's open reviews and what is owed or dead about it."""
    mine = sa.select(sa.func.count()).where(reviews.c.queue_id == queue_id, OPEN)
    owed = sa.select(sa.func.count()).where(deliveries.c.queue_id == queue_id)
    oldest = sa.select(sa.func.min(reviews.c.since)).where(reviews.c.queue_id == queue_id, OPEN)
    return Standing(
        waiting=connection.execute(mine).scalar_one(),
        stale=0
        if stale_before is None
        else connection.execute(mine.where(reviews.c.since <= stale_before)).scalar_one(),
        oldest_since=connection.execute(oldest).scalar_one(),
        undelivered=connection.execute(owed.where(LIVE)).scalar_one(),
        dead=connection.execute(owed.where(deliveries.c.state == State.DEAD)).scalar_one(),
    )
