"""Taking a delivery that is due: merging what waits beside it, leaving out what a higher notice tells anyway."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from worker.core.model import FIRST_SIGHT, LATER, NEVER, Claim, Receipt, RemindIn, Review, State
from worker.stores import paces
from worker.stores.chunks import chunks
from worker.stores.dialects import insert
from worker.stores.outbox import SPEAKS, change, delivery_of, select_deliveries
from worker.stores.pauses import EVERY
from worker.stores.reviews import OLDEST_FIRST, REVIEW
from worker.stores.tables import LIVE, deliveries, delivery_reviews, queues, reviews

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime, timedelta

    from sqlalchemy.engine import Connection, Row

    from worker.stores.duties import Member

UNPOSTED = (State.PENDING, State.HELD)


def claim(
    connection: Connection,
    now: datetime,
    lease: timedelta,
    skip: Collection[str],
    unposted: Collection[str] = (),
    member: Member | None = None,
) -> Claim | None:
    """Take the delivery that is due longest; the rules are those of `Store.claim`.

    One of several workers takes nothing once its lease has ended, leaves a channel alone to which another posts, and
    posts nothing while Slack has asked any of them for a rest.
    Raises UnknownChannelError for one that has no pace yet.
    """
    if member is not None and not member.is_alive(connection):
        return None
    passed: list[int] = []
    spared = set(unposted)
    if member is not None and paces.is_resting(connection, now):
        spared.add(EVERY)
    while (row := _most_due(connection, now, skip, spared, passed)) is not None:
        if not _is_free(connection, row):
            passed.append(row.delivery_id)
        elif (
            member
            and row.state in UNPOSTED
            and not paces.take(connection, row.channel, now, member.posts_until(now + lease))
        ):
            spared.add(row.channel)
        elif (taken := _take(connection, row, now, lease, member)) is not None:
            return taken
        else:
            passed.append(row.delivery_id)
    return None


def _most_due(
    connection: Connection, now: datetime, skip: Collection[str], unposted: Collection[str], passed: Sequence[int]
) -> Row[Any] | None:
    query = (
        select_deliveries()
        .where(LIVE, deliveries.c.due_at <= now)
        .order_by(deliveries.c.due_at, deliveries.c.delivery_id)
        .limit(1)
        .with_for_update(of=deliveries, skip_locked=True)
    )
    if skip:
        query = query.where(deliveries.c.channel.not_in(list(skip)))
    if unposted:
        elsewhere = sa.false() if EVERY in unposted else deliveries.c.channel.not_in(list(unposted))
        query = query.where(sa.or_(deliveries.c.state.not_in(UNPOSTED), elsewhere))
    if passed:
        query = query.where(deliveries.c.delivery_id.not_in(passed))
    return connection.execute(query).one_or_none()


def _is_free(connection: Connection, row: Row[Any]) -> bool:
    """Hold the queue's row, so that no review changes unseen before the claim is committed.

    An update that ran beside the claim would not yet see the delivery as one that may be posted, and owe it no edit.
    Never waits: an update waits for deliveries while it holds the queue, the other way round.
    """
    if row.queue_id is None:
        return True
    held = sa.select(queues.c.queue_id).where(queues.c.queue_id == row.queue_id)
    return connection.execute(held.with_for_update(read=True, skip_locked=True)).one_or_none() is not None


def _take(
    connection: Connection, row: Row[Any], now: datetime, lease: timedelta, member: Member | None
) -> Claim | None:
    """Make a due delivery ours; None where nothing was left to tell and it was withdrawn."""
    lease_until = now + lease
    news: dict[str, Any] = {"lease_until": lease_until, "due_at": lease_until}
    claimer = {"worker_id": member and member.worker_id}
    found = State.UNKNOWN if row.state in {State.SENDING, State.UNKNOWN} else State.PENDING
    if found is State.PENDING:
        merged = _merge(connection, row, now)
        news |= {"attempted_at": row.attempted_at or now, **merged}
        if _leaves_out(connection, row) and not _speaks_of(connection, row.delivery_id):
            connection.execute(change(row.delivery_id).values(**merged))
            _withdraw(connection, [row.delivery_id], "a later notice that waits too tells of every run of it", now)
            return None
    connection.execute(change(row.delivery_id).values(**news, **claimer, state=State.SENDING))
    told = _speaks_of(connection, row.delivery_id)
    waiting = sum(review.is_open for review in told)
    return Claim(
        delivery=delivery_of(row, state=found, **news),
        reviews=told,
        total=len(told),
        waiting=waiting,
        root=_root(connection, row),
    )


def _surely_unposted(table: sa.FromClause) -> sa.ColumnElement[bool]:
    """Pending, or held by a pause (not for an operator), without an attempt in doubt or a text that was refused."""
    paused = sa.and_(table.c.state == State.HELD, table.c.due_at < NEVER)
    waits = sa.or_(table.c.state == State.PENDING, paused)
    return sa.and_(waits, table.c.attempted_at.is_(None), table.c.plain.is_(sa.false()))


def _merge(connection: Connection, row: Row[Any], now: datetime) -> dict[str, Any]:
    """Make the reviews and mentions of what waits beside a delivery its own; what that changes of it."""
    beside = (
        sa.select(deliveries.c.delivery_id, deliveries.c.mention, deliveries.c.attempts)
        .where(
            deliveries.c.queue_id == row.queue_id,
            deliveries.c.kind == row.kind,
            deliveries.c.channel == row.channel,
            deliveries.c.delivery_id != row.delivery_id,
            _surely_unposted(deliveries),
        )
        .order_by(deliveries.c.delivery_id)
        .with_for_update(skip_locked=True)
    )
    # One that may be posted already takes nothing in: found by its key later, it would count as having told it.
    alone = row.plain or row.queue_id is None or row.attempted_at is not None
    others = [] if alone else connection.execute(beside).all()
    for some in chunks(other.delivery_id for other in others):
        _adopt(connection, row.delivery_id, some)
        _withdraw(connection, some, f"merged into {row.key}", now)
    mention = dict.fromkeys(name for one in (row, *others) for name in one.mention)
    return {"mention": tuple(mention), "attempts": max(one.attempts for one in (row, *others))}


def _adopt(connection: Connection, number: int, others: Sequence[int]) -> None:
    theirs = (
        sa.select(sa.literal(number, sa.BigInteger), delivery_reviews.c.review_id, sa.false())
        .where(delivery_reviews.c.delivery_id.in_(others), SPEAKS)
        .distinct()
    )
    columns = ["delivery_id", "review_id", "left_out"]
    adopted = insert(connection, delivery_reviews).from_select(columns, theirs)
    key = [delivery_reviews.c.delivery_id, delivery_reviews.c.review_id]
    connection.execute(adopted.on_conflict_do_update(index_elements=key, set_={"left_out": False}))


def _withdraw(connection: Connection, numbers: Sequence[int], reason: str, now: datetime) -> None:
    withdrawn = sa.update(deliveries).where(deliveries.c.delivery_id.in_(numbers))
    connection.execute(withdrawn.values(state=State.WITHDRAWN, last_error=reason, settled_at=now, edit_at=None))


def _leaves_out(connection: Connection, row: Row[Any]) -> bool:
    """After an outage tell only the highest: leave to a later reminder or escalation what it speaks of anyway."""
    if row.kind not in FIRST_SIGHT or row.attempted_at is not None:
        return False
    later, its = deliveries.alias("later"), delivery_reviews.alias("its")
    told_later = (
        sa.select(sa.literal(1))
        .join_from(its, later, its.c.delivery_id == later.c.delivery_id)
        .where(
            its.c.review_id == delivery_reviews.c.review_id,
            its.c.left_out.is_(sa.false()),
            later.c.delivery_id > row.delivery_id,
            later.c.queue_id == row.queue_id,
            later.c.channel == row.channel,
            later.c.kind.in_(LATER),
            _surely_unposted(later),
        )
        .correlate(delivery_reviews)
        .exists()
    )
    mine = sa.update(delivery_reviews).where(delivery_reviews.c.delivery_id == row.delivery_id, SPEAKS, told_later)
    return connection.execute(mine.values(left_out=True)).rowcount > 0


def _speaks_of(connection: Connection, number: int) -> tuple[Review, ...]:
    query = (
        sa.select(*REVIEW)
        .join_from(delivery_reviews, reviews)
        .where(delivery_reviews.c.delivery_id == number, SPEAKS)
        .order_by(*OLDEST_FIRST)
    )
    return tuple(Review(*row) for row in connection.execute(query))


def _root(connection: Connection, row: Row[Any]) -> Receipt | None:
    """The oldest message in the channel itself, not in a thread, that concerns a run of this delivery."""
    if row.remind_in is RemindIn.CHANNEL:
        return None
    mine, its = delivery_reviews.alias("mine"), delivery_reviews.alias("its")
    shared = (
        sa.select(sa.literal(1))
        .join_from(its, mine, its.c.review_id == mine.c.review_id)
        .where(
            its.c.delivery_id == deliveries.c.delivery_id,
            mine.c.delivery_id == row.delivery_id,
            its.c.left_out.is_(sa.false()),
            mine.c.left_out.is_(sa.false()),
        )
        .correlate(deliveries)
        .exists()
    )
    query = (
        sa.select(deliveries.c.receipt_channel, deliveries.c.receipt_ts)
        .where(
            deliveries.c.queue_id == row.queue_id,
            deliveries.c.channel == row.channel,
            deliveries.c.state == State.SENT,
            deliveries.c.remind_in == RemindIn.CHANNEL,
            deliveries.c.receipt_ts.is_not(None),
            shared,
        )
        .order_by(deliveries.c.delivery_id)
        .limit(1)
    )
    receipt = connection.execute(query).one_or_none()
    return receipt and Receipt(*receipt)


def waiting(connection: Connection) -> list[Claim]:
    """What waits to be posted, as it would be claimed but for what a claim changes; nothing that is in doubt."""
    held = sa.and_(deliveries.c.state == State.HELD, deliveries.c.due_at < NEVER)
    query = (
        select_deliveries()
        .where(sa.or_(deliveries.c.state == State.PENDING, held))
        .order_by(deliveries.c.due_at, deliveries.c.delivery_id)
    )
    rows = connection.execute(query).all()
    return [Claim(delivery_of(row), reviews=_speaks_of(connection, row.delivery_id)) for row in rows]
