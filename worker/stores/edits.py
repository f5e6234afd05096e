"""Which posted messages are owed an edit, and taking one, inside a transaction that somebody else began."""

from __future__ import annotations

from collections import defaultdict
from functools import cache
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from worker.core.model import LISTED, Kind, Review, ReviewKey
from worker.core.outbox import Candidate, superseded
from worker.core.owed import EDIT_EVERY, Claim, Delivery, Receipt, State
from worker.stores.claims import queue_shares
from worker.stores.columns import BEGINS_WITH_NAME, MICROSECOND, At, microseconds
from worker.stores.database import chunks, latest
from worker.stores.outbox import EDIT_OWED, SPEAKS, change_delivery, delivery_of, has_lease, select_deliveries
from worker.stores.reviews import IS_CLOSED, OLDEST_FIRST, REVIEW_COLUMNS
from worker.stores.schema import DELIVERIES, DELIVERY_REVIEWS, IS_LIVE, IS_OPEN, REVIEWS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from datetime import datetime, timedelta

    from sqlalchemy.engine import Connection, Row

    from worker.core.model import Facts, Id

# Statements of every poll are built once: building one costs more than running it.
_NOW = sa.bindparam("now", type_=At())
MAY_BE_POSTED = (State.SENDING, State.UNKNOWN, State.SENT)


def owe_edits(connection: Connection, review_ids: Iterable[int], now: datetime) -> None:
    """Owe an edit to every message that may be posted, is kept true, and speaks of one of these reviews."""
    for some in chunks(review_ids):
        connection.execute(_owing(connection.dialect.name), {"some": some, "now": now})


@cache
def _owing(dialect: str) -> sa.Update:
    some: sa.BindParameter[Any] = sa.bindparam("some", expanding=True)
    speak = sa.select(DELIVERY_REVIEWS.c.delivery_id).where(DELIVERY_REVIEWS.c.review_id.in_(some), SPEAKS)
    concerned = sa.update(DELIVERIES).where(DELIVERIES.c.delivery_id.in_(speak), kept_true())
    return concerned.values(edit_at=_earliest(dialect))


def kept_true() -> sa.ColumnElement[bool]:
    """How long a message is kept true is settled with its receipt: before that, nothing has passed."""
    undecided = sa.and_(DELIVERIES.c.edit_until.is_(None), DELIVERIES.c.state != State.SENT)
    return sa.and_(DELIVERIES.c.state.in_(MAY_BE_POSTED), sa.or_(undecided, DELIVERIES.c.edit_until > _NOW))


def unexplained(connection: Connection, queue_id: Id, now: datetime, most: int) -> Sequence[Id]:
    """Find the runs that left nobody knows how; the rules are those of `Store.unexplained`."""
    asked = {"queue": queue_id, "now": now, "most": most}
    return connection.execute(_unexplained(), asked).scalars().all()


@cache
def _unexplained() -> sa.Select[Any]:
    shown = sa.or_(DELIVERY_REVIEWS.c.position.is_not(None), DELIVERIES.c.state != State.SENT)
    return (
        sa.select(REVIEWS.c.queue_run_id)
        .select_from(DELIVERIES)
        .join(DELIVERY_REVIEWS)
        .join(REVIEWS)
        .where(DELIVERIES.c.queue_id == sa.bindparam("queue"), kept_true(), SPEAKS, shown)
        .where(REVIEWS.c.closed_at.is_not(None), REVIEWS.c.fate.is_(None), ~_later_stay().exists())
        .group_by(REVIEWS.c.queue_run_id)
        .order_by(sa.func.max(REVIEWS.c.closed_at).desc(), REVIEWS.c.queue_run_id)
        .limit(sa.bindparam("most"))
    )


def _later_stay() -> sa.Select[Any]:
    """A stay of the same queue run that goes on, or ended later: a question would be answered for that one."""
    other = REVIEWS.alias("other")
    same = (other.c.queue_id == REVIEWS.c.queue_id, other.c.queue_run_id == REVIEWS.c.queue_run_id)
    # The undated is the smallest `added_at` of all: as a sentinel it compares, where NULL would not.
    ended = sa.tuple_(other.c.closed_at, other.c.added_at) > sa.tuple_(REVIEWS.c.closed_at, REVIEWS.c.added_at)
    return sa.select(sa.literal(1)).where(*same, sa.or_(other.c.closed_at.is_(None), ended)).correlate(REVIEWS)


def _earliest(dialect: str) -> sa.ColumnElement[Any]:
    """Not before the debounce is over, nor before a claim that may have looked already has ended."""
    free = sa.type_coerce(DELIVERIES.c.lease_until, sa.BigInteger)
    return latest(dialect, *_debounced(), sa.func.coalesce(free, 0))


def _debounced() -> tuple[sa.ColumnElement[Any], sa.ColumnElement[Any]]:
    """An edit is made after the latest of these."""
    rested = sa.type_coerce(DELIVERIES.c.edited_at, sa.BigInteger) + EDIT_EVERY // MICROSECOND
    return _NOW, sa.func.coalesce(rested, 0)


def unclaim(connection: Connection, claimed_at: datetime, lease: timedelta) -> int:
    """Give back what was claimed at exactly that time; the rules are those of `Store.unclaim`."""
    taken = sa.update(DELIVERIES).where(DELIVERIES.c.lease_until == claimed_at + lease)
    _debounce(connection, taken, claimed_at)
    sending = taken.where(DELIVERIES.c.state == State.SENDING)
    fresh = sending.where(DELIVERIES.c.attempted_at == claimed_at)
    again = {"due_at": claimed_at, "lease_until": None}
    # In this order: each statement takes what the ones before it have not given back yet.
    given = connection.execute(fresh.values(state=State.PENDING, attempted_at=None, **again)).rowcount
    given += connection.execute(sending.values(state=State.UNKNOWN, **again)).rowcount
    return given + connection.execute(taken.values(lease_until=None)).rowcount


def lapse(connection: Connection, now: datetime, look_at: datetime) -> int:
    """End every lease; the rules are those of `Store.lapse`."""
    leased = sa.update(DELIVERIES).where(DELIVERIES.c.lease_until.is_not(None))
    _debounce(connection, leased, now)
    sending = leased.where(DELIVERIES.c.state == State.SENDING)
    sent = connection.execute(sending.values(state=State.UNKNOWN, due_at=look_at, lease_until=None)).rowcount
    return sent + connection.execute(leased.values(lease_until=None)).rowcount


def _debounce(connection: Connection, leased: sa.Update, now: datetime) -> None:
    """Let an edit that waited for a lease alone be due as if there had been none."""
    waited = leased.where(DELIVERIES.c.edit_at == DELIVERIES.c.lease_until)
    connection.execute(waited.values(edit_at=latest(connection.dialect.name, *_debounced())), {"now": now})


def supersede(connection: Connection, number: int, after: Delivery) -> None:
    """Let the earlier reminders point to this one of which the core says so."""
    if after.kind is not Kind.REMINDER or after.queue is None:
        return
    query = select_deliveries().where(
        DELIVERIES.c.queue_id == after.queue.queue_id,
        DELIVERIES.c.channel == after.channel,
        DELIVERIES.c.kind == Kind.REMINDER,
        DELIVERIES.c.state == State.SENT,
        # Older by its number: an answer that came late must not make the newer point to the older.
        DELIVERIES.c.delivery_id < number,
        DELIVERIES.c.successor.is_(None),
        DELIVERIES.c.edit_until.is_not(None),
    )
    rows = connection.execute(query.with_for_update(of=DELIVERIES)).all()
    waiting = _waiting(connection, [row.delivery_id for row in rows])
    earlier = [Candidate(delivery_of(row), row.delivery_id, frozenset(waiting[row.delivery_id])) for row in rows]
    newer = Candidate(after, number, frozenset(_waiting(connection, [number])[number]))
    for some in chunks(each.place for each in superseded(newer, earlier)):
        concerned = sa.update(DELIVERIES).where(DELIVERIES.c.delivery_id.in_(some))
        pointed = concerned.values(successor=after.key, edit_at=_earliest(connection.dialect.name))
        connection.execute(pointed, {"now": after.settled_at or after.due_at})


def _waiting(connection: Connection, numbers: Sequence[int]) -> defaultdict[int, list[int]]:
    """The reviews that deliveries speak of and that still wait, by number."""
    found: defaultdict[int, list[int]] = defaultdict(list)
    query = sa.select(DELIVERY_REVIEWS.c.delivery_id, DELIVERY_REVIEWS.c.review_id).join_from(DELIVERY_REVIEWS, REVIEWS)
    for some in chunks(numbers):
        mine = query.where(DELIVERY_REVIEWS.c.delivery_id.in_(some), SPEAKS, REVIEWS.c.closed_at.is_(None))
        for number, review in connection.execute(mine):
            found[number].append(review)
    return found


def is_due(connection: Connection, now: datetime) -> bool:
    """Whether any edit is owed by now: a question that locks nothing."""
    owed = sa.select(sa.literal(1)).where(*EDIT_OWED, DELIVERIES.c.edit_at <= now).limit(1)
    return connection.execute(owed).first() is not None


def claim_edit(connection: Connection, now: datetime, lease: timedelta, skip: Collection[str]) -> Claim | None:
    """Take the message whose edit is owed longest; the rules are those of `Store.claim_edit`."""
    query = (
        select_deliveries()
        .where(*EDIT_OWED, DELIVERIES.c.edit_at <= now)
        # An edit whose worker crashed is free again once its lease has ended.
        .where(sa.or_(DELIVERIES.c.lease_until.is_(None), DELIVERIES.c.lease_until <= now))
        .order_by(DELIVERIES.c.edit_at, DELIVERIES.c.delivery_id)
        .limit(1)
        .with_for_update(of=DELIVERIES, skip_locked=True)
    )
    if skip:
        query = query.where(DELIVERIES.c.channel.not_in(list(skip)))
    row = connection.execute(query).one_or_none()
    return None if row is None else _take(connection, row, now + lease)


def _take(connection: Connection, row: Row[Any], lease_until: datetime) -> Claim:
    # Until the edit is settled nobody knows what the message shows: a crash leaves it so.
    connection.execute(change_delivery(row.delivery_id).values(lease_until=lease_until, digest=""))
    total, waiting = _counts(connection, row.delivery_id)
    return Claim(
        delivery=delivery_of(row, lease_until=lease_until),
        reviews=_listed(connection, row.delivery_id),
        purposes=_purposes(connection, row.delivery_id),
        shares=queue_shares(connection, row.delivery_id) if row.kind is Kind.BASELINE else (),
        total=total,
        waiting=waiting,
        successor=_receipt_of(connection, row),
    )


def _counts(connection: Connection, number: int) -> tuple[int, int]:
    waiting = sa.func.count().filter(REVIEWS.c.closed_at.is_(None))
    query = (
        sa.select(sa.func.count(), waiting)
        .join_from(DELIVERY_REVIEWS, REVIEWS)
        .where(DELIVERY_REVIEWS.c.delivery_id == number, SPEAKS)
    )
    row = connection.execute(query).one()
    return row[0], row[1]


def _purposes(connection: Connection, number: int) -> dict[ReviewKey, Kind]:
    """The runs of a message that have another purpose in it than its kind, listed or not."""
    query = (
        sa.select(REVIEWS.c.queue_run_id, REVIEWS.c.added_at, DELIVERY_REVIEWS.c.purpose)
        .join_from(DELIVERY_REVIEWS, REVIEWS)
        .where(DELIVERY_REVIEWS.c.delivery_id == number, SPEAKS, DELIVERY_REVIEWS.c.purpose.is_not(None))
    )
    return {ReviewKey(row.queue_run_id, row.added_at): row.purpose for row in connection.execute(query)}


def _listed(connection: Connection, number: int) -> tuple[Review, ...]:
    """What a message is to list now.

    Oldest first those that wait; while there is room those that left, the last of them first.
    """
    query = (
        sa.select(*REVIEW_COLUMNS, REVIEWS.c.review_id)
        .join_from(DELIVERY_REVIEWS, REVIEWS)
        .where(DELIVERY_REVIEWS.c.delivery_id == number, SPEAKS)
        .order_by(IS_CLOSED, REVIEWS.c.closed_at.desc(), *OLDEST_FIRST)
        .limit(LISTED)
    )
    rows = connection.execute(query).all()
    mine = sa.update(DELIVERY_REVIEWS).where(DELIVERY_REVIEWS.c.delivery_id == number)
    # Asked for again as long as they are listed: names that are missing, and how runs left.
    connection.execute(mine.where(DELIVERY_REVIEWS.c.position.is_not(None)).values(position=None))
    for place, row in enumerate(rows):
        connection.execute(mine.where(DELIVERY_REVIEWS.c.review_id == row.review_id).values(position=place))
    return tuple(Review(*row[:-1]) for row in rows)


def _receipt_of(connection: Connection, row: Row[Any]) -> Receipt | None:
    """Where the newer reminder is that a message points to."""
    if row.successor is None:
        return None
    query = sa.select(DELIVERIES.c.receipt_channel, DELIVERIES.c.receipt_ts).where(
        DELIVERIES.c.key == row.successor, DELIVERIES.c.receipt_ts.is_not(None)
    )
    receipt = connection.execute(query).one_or_none()
    return receipt and Receipt(*receipt)


def settle_edit(connection: Connection, after: Delivery, claimed: Delivery) -> bool:
    """Write what became of an edit and end its lease; False where the lease is not ours any more."""
    ours = sa.update(DELIVERIES).where(*has_lease(claimed, State.SENT))
    # Where it is another by now, reviews changed while the edit was made, and it may not show them yet.
    unchanged = DELIVERIES.c.edit_at == claimed.edit_at
    written = ours.values(
        lease_until=None,
        edit_at=sa.case(
            (unchanged, sa.literal(after.edit_at, DELIVERIES.c.edit_at.type)), else_=_rested(connection, after)
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
    owed = sa.type_coerce(DELIVERIES.c.edit_at, sa.BigInteger)
    if after.edited_at is None:
        return owed
    rested = sa.literal(microseconds(after.edited_at + EDIT_EVERY), sa.BigInteger)
    return latest(connection.dialect.name, owed, rested)


def nameless_runs(connection: Connection, queue_id: Id, now: datetime, most: int) -> Mapping[Id, Facts]:
    """Find runs without a name that messages list; the rules are those of `Store.undescribed`."""
    asked = {"queue": queue_id, "now": now, "most": most}
    return {row.queue_run_id: row.facts for row in connection.execute(_nameless_runs(), asked)}


@cache
def _nameless_runs() -> sa.Select[Any]:
    # By the text's beginning: the two databases read JSON in different ways.
    nameless = sa.type_coerce(REVIEWS.c.facts, sa.Text).not_like(f"{BEGINS_WITH_NAME}%")
    return (
        sa.select(REVIEWS.c.queue_run_id, REVIEWS.c.facts)
        .where(REVIEWS.c.review_id.in_(sa.union(_posted(), _to_be_posted())), IS_OPEN, nameless)
        .order_by(*OLDEST_FIRST)
        .limit(sa.bindparam("most"))
    )


def _posted() -> sa.Select[Any]:
    """What messages list that are there."""
    return (
        sa.select(DELIVERY_REVIEWS.c.review_id)
        .join_from(DELIVERIES, DELIVERY_REVIEWS)
        .where(DELIVERIES.c.queue_id == sa.bindparam("queue"), kept_true(), DELIVERIES.c.state == State.SENT)
        .where(DELIVERY_REVIEWS.c.position.is_not(None), SPEAKS)
    )


def _to_be_posted() -> sa.Select[Any]:
    """What messages will list that are not posted yet, as far as is known: the oldest that wait."""
    place = sa.func.row_number().over(partition_by=DELIVERIES.c.delivery_id, order_by=OLDEST_FIRST)
    spoken = (
        sa.select(DELIVERY_REVIEWS.c.review_id, place.label("place"))
        .select_from(DELIVERIES)
        .join(DELIVERY_REVIEWS)
        .join(REVIEWS)
        .where(DELIVERIES.c.queue_id == sa.bindparam("queue"), IS_LIVE, SPEAKS, IS_OPEN)
        .subquery()
    )
    return sa.select(spoken.c.review_id).where(spoken.c.place <= LISTED)
