"""Reading and writing reviews inside a transaction that somebody else began."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from msgspec import structs

from worker.core.model import QueueTotals, Review, ReviewKey, State
from worker.stores.chunks import chunks
from worker.stores.tables import LIVE, OPEN, deliveries, reviews

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy.engine import Connection

    from worker.core.model import Facts, Fate, Id

# In the order of Review's fields, so that a row becomes a Review as it is.
REVIEW = (
    reviews.c.queue_run_id,
    reviews.c.added_at,
    reviews.c.run_id,
    reviews.c.since,
    reviews.c.first_seen_at,
    reviews.c.told_at,
    reviews.c.generation,
    reviews.c.back,
    reviews.c.reserved,
    reviews.c.done,
    reviews.c.facts,
    reviews.c.absent_at,
    reviews.c.closed_at,
    reviews.c.fate,
)
OLDEST_FIRST = (reviews.c.since, reviews.c.queue_run_id, reviews.c.added_at)
IS_CLOSED = reviews.c.closed_at.is_not(None)

# Built once: building a statement costs more than running it.
_MINE = reviews.c.queue_id == sa.bindparam("queue")
_SOME = reviews.c.queue_run_id.in_(sa.bindparam("some", expanding=True))
_NUMBERED = reviews.c.review_id == sa.bindparam("number")
_SELECT_OPEN = sa.select(*REVIEW).where(_MINE, OPEN)
_SELECT_CLOSED = sa.select(*REVIEW).where(_MINE, IS_CLOSED, _SOME)
_SELECT_NUMBERS = sa.select(reviews.c.queue_run_id, reviews.c.added_at, reviews.c.review_id).where(_MINE, _SOME)
_SELECT_LEFT = (
    sa.select(reviews.c.queue_run_id, reviews.c.review_id, reviews.c.fate)
    .where(_MINE, IS_CLOSED, _SOME)
    .order_by(reviews.c.closed_at, reviews.c.added_at)
)
_SELECT_FACTS = sa.select(reviews.c.queue_run_id, reviews.c.review_id, reviews.c.facts).where(_MINE, OPEN, _SOME)
_INSERT = sa.insert(reviews)
_UPDATE = sa.update(reviews).where(_NUMBERED)


def recall(connection: Connection, queue_id: Id, keys: Collection[Id]) -> list[Review]:
    """Read a queue's open reviews, and the closed ones whose `queue_run_id` is in `keys`."""
    found = [Review(*row) for row in connection.execute(_SELECT_OPEN, {"queue": queue_id})]
    for some in chunks(keys):
        found += [Review(*row) for row in connection.execute(_SELECT_CLOSED, {"queue": queue_id, "some": some})]
    return found


def write(connection: Connection, queue_id: Id, altered: Collection[Review], *, are_new: bool) -> list[int]:
    """Write reviews, and give the numbers of those that existed before. Where all `are_new` none is looked for."""
    if are_new:
        _insert(connection, queue_id, altered)
        return []
    known = numbers(connection, queue_id, [review.key for review in altered])
    _insert(connection, queue_id, [review for review in altered if review.key not in known])
    _replace(connection, known, [review for review in altered if review.key in known])
    return list(known.values())


def numbers(connection: Connection, queue_id: Id, keys: Collection[ReviewKey]) -> dict[ReviewKey, int]:
    """The numbers of the rows of these reviews, as far as there are any."""
    asked = ({"queue": queue_id, "some": some} for some in chunks({key.queue_run_id for key in keys}))
    rows = (row for each in asked for row in connection.execute(_SELECT_NUMBERS, each))
    found = {ReviewKey(queue_run_id, added_at): number for queue_run_id, added_at, number in rows}
    return {key: found[key] for key in keys if key in found}


def _insert(connection: Connection, queue_id: Id, new: Iterable[Review]) -> None:
    for some in chunks(new):
        connection.execute(_INSERT, [{"queue_id": queue_id, **structs.asdict(review)} for review in some])


def _replace(connection: Connection, known: Mapping[ReviewKey, int], altered: Sequence[Review]) -> None:
    for some in chunks(altered):
        connection.execute(_UPDATE, [{"number": known[review.key], **_beside_the_key(review)} for review in some])


def _beside_the_key(review: Review) -> dict[str, Any]:
    """Writing a key that stays as it is would make the database look after its indexes."""
    values = structs.asdict(review)
    del values["queue_run_id"], values["added_at"]
    return values


def describe(connection: Connection, queue_id: Id, facts: Mapping[Id, Facts]) -> list[int]:
    """Note what is known of open reviews now; the numbers of those for which that is news."""
    asked = ({"queue": queue_id, "some": some} for some in chunks(facts))
    rows = (row for each in asked for row in connection.execute(_SELECT_FACTS, each))
    news = {number: facts[queue_run_id] for queue_run_id, number, was in rows if facts[queue_run_id] != was}
    for some in chunks(news):
        connection.execute(_UPDATE, [{"number": number, "facts": news[number]} for number in some])
    return list(news)


def learn(connection: Connection, queue_id: Id, left: Mapping[Id, Fate]) -> list[int]:
    """Note how the latest closed stay of each run ended; the numbers of those for which that is news."""
    news = {number: how for number, was, how in _latest_closed(connection, queue_id, left) if was is not how}
    for some in chunks(news):
        connection.execute(_UPDATE, [{"number": number, "fate": news[number]} for number in some])
    return list(news)


def _latest_closed(
    connection: Connection, queue_id: Id, left: Mapping[Id, Fate]
) -> Iterable[tuple[int, Fate | None, Fate]]:
    asked = ({"queue": queue_id, "some": some} for some in chunks(left))
    rows = (row for each in asked for row in connection.execute(_SELECT_LEFT, each))
    latest = {row.queue_run_id: row for row in rows}
    return ((row.review_id, row.fate, left[queue_run_id]) for queue_run_id, row in latest.items())


def standing(connection: Connection, queue_id: Id, stale_before: datetime | None) -> QueueTotals:
    """Count a queue's open reviews and what is owed or dead about it."""
    mine = sa.select(sa.func.count()).where(reviews.c.queue_id == queue_id, OPEN)
    owed = sa.select(sa.func.count()).where(deliveries.c.queue_id == queue_id)
    oldest = sa.select(sa.func.min(reviews.c.since)).where(reviews.c.queue_id == queue_id, OPEN)
    return QueueTotals(
        waiting=connection.execute(mine).scalar_one(),
        stale=0
        if stale_before is None
        else connection.execute(mine.where(reviews.c.since <= stale_before)).scalar_one(),
        oldest_since=connection.execute(oldest).scalar_one(),
        undelivered=connection.execute(owed.where(LIVE)).scalar_one(),
        dead=connection.execute(owed.where(deliveries.c.state == State.DEAD)).scalar_one(),
    )
