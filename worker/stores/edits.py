"""Which posted messages are owed an edit, and taking one, inside a transaction that somebody else began."""

from __future__ import annotations

from collections import defaultdict
from functools import cache
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from worker.core.model import EDIT_EVERY, Claim, Delivery, Kind, Receipt, Review, State
from worker.core.outbox import Candidate, superseded
from worker.stores.chunks import chunks
from worker.stores.columns import EPOCH, MICROSECOND, At
from worker.stores.dialects import latest
from worker.stores.outbox import EDIT_OWED, SPEAKS, change, delivery_of, is_ours, select_deliveries
from worker.stores.reviews import REVIEW
from worker.stores.tables import deliveries, delivery_reviews, reviews

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from datetime import datetime, timedelta

    from sqlalchemy.engine import Connection, Row

    from worker.core.model import Id

# Statements of every poll are built once: building one costs more than running it.
NOW = sa.bindparam("now", type_=At())
MAY_BE_POSTED = (State.SENDING, State.UNKNOWN, State.SENT)


def owe(connection: Connection, review_ids: Iterable[int], now: datetime) -> None:
    """Owe an edit to every message that may be posted, is kept true, and speaks of one of these reviews."""
    for some in chunks(review_ids):
        connection.execute(_owing(connection.dialect.name), {"some": some, "now": now})


@cache
def _owing(dialect: str) -> sa.Update:
    some: sa.BindParameter[Any] = sa.bindparam("some", expanding=True)
    speak = sa.select(delivery_reviews.c.delivery_id).where(delivery_reviews.c.review_id.in_(some), SPEAKS)
    concerned = sa.update(deliveries).where(deliveries.c.delivery_id.in_(speak), kept_true())
    return concerned.values(edit_at=_earliest(dialect))


def kept_true() -> sa.ColumnElement[bool]:
    """How long a message is kept true is settled with its receipt: before that, nothing has passed."""
    undecided = sa.and_(deliveries.c.edit_until.is_(None), deliveries.c.state != State.SENT)
    return sa.and_(deliveries.c.state.in_(MAY_BE_POSTED), sa.or_(undecided, deliveries.c.edit_until > NOW))


def unexplained(connection: Connection, queue_id: Id, now: datetime, most: int) -> Sequence[Id]:
    """Find the runs that left nobody knows how; the rules are those of `Store.unexplained`."""
    asked = {"queue": queue_id, "now": now, "most": most}
    return connection.execute(_unexplained(), asked).scalars().all()


@cache
def _unexplained() -> sa.Select[Any]:
    shown = sa.or_(delivery_reviews.c.position.is_not(None), deliveries.c.state != State.SENT)
    return (
        sa.select(reviews.c.queue_run_id)
        .select_from(deliveries)
        .join(delivery_reviews)
        .join(reviews)
        .where(deliveries.c.queue_id == sa.bindparam("queue"), kept_true(), SPEAKS, shown)
        .where(reviews.c.closed_at.is_not(None), reviews.c.fate.is_(None), ~_later_stay().exists())
        .group_by(reviews.c.queue_run_id)
        .order_by(sa.func.max(reviews.c.closed_at).desc(), reviews.c.queue_run_id)
        .limit(sa.bindparam("most"))
    )


def _later_stay() -> sa.Select[Any]:
    """A stay of the same queue run that goes on, or ended later: a question would be answered for that one."""
    other = reviews.alias("other")
    same = (other.c.queue_id == reviews.c.queue_id, other.c.queue_run_id == reviews.c.queue_run_id)
    ended = sa.tuple_(other.c.closed_at, other.c.added_at) > sa.tuple_(reviews.c.closed_at, reviews.c.added_at)
    return sa.select(sa.literal(1)).where(*same, sa.or_(other.c.closed_at.is_(None), ended)).correlate(reviews)


def _earliest(dialect: str) -> sa.ColumnElement[Any]:
    """Not before the debounce is over, nor before a claim that may have looked already has ended."""
    free = sa.type_coerce(deliveries.c.lease_until, sa.BigInteger)
    return latest(dialect, *_debounced(), sa.func.coalesce(free, 0))


def _debounced() -> tuple[sa.ColumnElement[Any], sa.ColumnElement[Any]]:
    """An edit is made after the latest of these."""
    rested = sa.type_coerce(deliveries.c.edited_at, sa.BigInteger) + EDIT_EVERY // MICROSECOND
    return NOW, sa.func.coalesce(rested, 0)


def unclaim(connection: Connection, claimed_at: datetime, lease: timedelta) -> int:
    """Give back what was claimed at exactly that time; the rules are those of `Store.unclaim`."""
    taken = sa.update(deliveries).where(deliveries.c.lease_until == claimed_at + lease)
    _debounce(connection, taken, claimed_at)
    sending = taken.where(deliveries.c.state == State.SENDING)
    fresh = sending.where(deliveries.c.attempted_at == claimed_at)
    again = {"due_at": claimed_at, "lease_until": None}
    given = connection.execute(fresh.values(state=State.PENDING, attempted_at=None, **again)).rowcount
    given += connection.execute(sending.values(state=State.UNKNOWN, **again)).rowcount
    return given + connection.execute(taken.values(lease_until=None)).rowcount


def lapse(connection: Connection, now: datetime, look_at: datetime) -> int:
    """End every lease; the rules are those of `Store.lapse`."""
    leased = sa.update(deliveries).where(deliveries.c.lease_until.is_not(None))
    _debounce(connection, leased, now)
    sending = leased.where(deliveries.c.state == State.SENDING)
    sent = connection.execute(sending.values(state=State.UNKNOWN, due_at=look_at, lease_until=None)).rowcount
    return sent + connection.execute(leased.values(lease_until=None)).rowcount


def _debounce(connection: Connection, leased: sa.Update, now: datetime) -> None:
    """Let an edit that waited for a lease alone be due as if there had been none."""
    waited = leased.where(deliveries.c.edit_at == deliveries.c.lease_until)
    connection.execute(waited.values(edit_at=latest(connection.dialect.name, *_debounced())), {"now": now})


def supersede(connection: Connection, number: int, after: Delivery) -> None:
    """Let the earlier reminders point to this one of which the core says so."""
    if after.kind is not Kind.REMINDER or after.queue is None:
        return
    query = select_deliveries().where(
        deliveries.c.queue_id == after.queue.queue_id,
        deliveries.c.channel == after.channel,
        deliveries.c.kind == Kind.REMINDER,
        deliveries.c.state == State.SENT,
        deliveries.c.delivery_id < number,
        deliveries.c.successor.is_(None),
        deliveries.c.edit_until.is_not(None),
    )
    rows = connection.execute(query.with_for_update(of=deliveries)).all()
    waiting = _waiting(connection, [row.delivery_id for row in rows])
    earlier = [Candidate(delivery_of(row), row.delivery_id, frozenset(waiting[row.delivery_id])) for row in rows]
    newer = Candidate(after, number, frozenset(_waiting(connection, [number])[number]))
    for some in chunks(each.place for each in superseded(newer, earlier)):
        concerned = sa.update(deliveries).where(deliveries.c.delivery_id.in_(some))
        pointed = concerned.values(successor=after.key, edit_at=_earliest(connection.dialect.name))
        connection.execute(pointed, {"now": after.settled_at or after.due_at})


def _waiting(connection: Connection, numbers: Sequence[int]) -> defaultdict[int, list[int]]:
    """The reviews that deliveries speak of and that still wait, by number."""
    found: defaultdict[int, list[int]] = defaultdict(list)
    query = sa.select(delivery_reviews.c.delivery_id, delivery_reviews.c.review_id).join_from(delivery_reviews, reviews)
    for some in chunks(numbers):
        mine = query.where(delivery_reviews.c.delivery_id.in_(some), SPEAKS, reviews.c.closed_at.is_(None))
        for number, review in connection.execute(mine):
            found[number].append(review)
    return found


def is_due(connection: Connection, now: datetime) -> bool:
    """Whether any edit is owed by now: a question that locks nothing."""
    owed = sa.select(sa.literal(1)).where(*EDIT_OWED, deliveries.c.edit_at <= now).limit(1)
    return connection.execute(owed).first() is not None


def claim(connection: Connection, now: datetime, lease: timedelta, skip: Collection[str]) -> Claim | None:
    """Take the message whose edit is owed longest; the rules are those of `Store.claim_edit`."""
    query = (
        select_deliveries()
        .where(*EDIT_OWED, deliveries.c.edit_at <= now)
        .where(sa.or_(deliveries.c.lease_until.is_(None), deliveries.c.lease_until <= now))
        .order_by(deliveries.c.edit_at, deliveries.c.delivery_id)
        .limit(1)
        .with_for_update(of=deliveries, skip_locked=True)
    )
    if skip:
        query = query.where(deliveries.c.channel.not_in(list(skip)))
    row = connection.execute(query).one_or_none()
    return None if row is None else _take(connection, row, now + lease)


def _take(connection: Connection, row: Row[Any], lease_until: datetime) -> Claim:
    # Until the edit is settled nobody knows what the message shows: a crash leaves it so.
    connection.execute(change(row.delivery_id).values(lease_until=lease_until, digest=""))
    total, waiting = _counts(connection, row.delivery_id)
    return Claim(
        delivery=delivery_of(row, lease_until=lease_until),
        reviews=_listed(connection, row.delivery_id),
        total=total,
        waiting=waiting,
        successor=_receipt_of(connection, row),
    )


def _counts(connection: Connection, number: int) -> tuple[int, int]:
    waiting = sa.func.count().filter(reviews.c.closed_at.is_(None))
    query = (
        sa.select(sa.func.count(), waiting)
        .join_from(delivery_reviews, reviews)
        .where(delivery_reviews.c.delivery_id == number, SPEAKS)
    )
    row = connection.execute(query).one()
    return row[0], row[1]


def _listed(connection: Connection, number: int) -> tuple[Review, ...]:
    query = (
        sa.select(*REVIEW)
        .join_from(delivery_reviews, reviews)
        .where(delivery_reviews.c.delivery_id == number, delivery_reviews.c.position.is_not(None), SPEAKS)
        .order_by(delivery_reviews.c.position)
    )
    return tuple(Review(*row) for row in connection.execute(query))


def _receipt_of(connection: Connection, row: Row[Any]) -> Receipt | None:
    """Where the newer reminder is that a message points to."""
    if row.successor is None:
        return None
    query = sa.select(deliveries.c.receipt_channel, deliveries.c.receipt_ts).where(
        deliveries.c.key == row.successor, deliveries.c.receipt_ts.is_not(None)
    )
    receipt = connection.execute(query).one_or_none()
    return receipt and Receipt(*receipt)


def settle(connection: Connection, after: Delivery, claimed: Delivery) -> bool:
    """Write what became of an edit and end its lease; False where the lease is not ours any more."""
    ours = sa.update(deliveries).where(*is_ours(claimed, State.SENT))
    unchanged = deliveries.c.edit_at == claimed.edit_at
    written = ours.values(
        lease_until=None,
        edit_at=sa.case(
            (unchanged, sa.literal(after.edit_at, deliveries.c.edit_at.type)), else_=_rested(connection, after)
        ),
        edited_at=after.edited_at,
        edits=after.edits,
        edit_until=after.edit_until,
        digest=after.digest,
        last_error=after.last_error,
    )
    return connection.execute(written).rowcount == 1


def _rested(connection: Connection, after: Delivery) -> sa.ColumnElement[Any]:
    """What `update` owed during the edit, but never sooner than the debounce after it allows."""
    owed = sa.type_coerce(deliveries.c.edit_at, sa.BigInteger)
    if after.edited_at is None:
        return owed
    return latest(
        connection.dialect.name, owed, sa.literal((after.edited_at + EDIT_EVERY - EPOCH) // MICROSECOND, sa.BigInteger)
    )
