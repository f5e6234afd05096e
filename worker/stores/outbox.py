"""The outbox's rows: adding, reading, settling, inside a transaction that somebody else began."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from worker.core.model import (
    NEVER,
    Backlog,
    Delivery,
    Notice,
    Queue,
    Receipt,
    Review,
    ReviewKey,
    State,
    Story,
    StoryNotice,
)
from worker.core.outbox import as_owed
from worker.stores import pauses, queues
from worker.stores.chunks import chunks
from worker.stores.dialects import insert
from worker.stores.reviews import REVIEW, numbers
from worker.stores.tables import LIVE, OPEN, deliveries, delivery_reviews, reviews
from worker.stores.tables import queues as queues_table

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy.engine import Connection, Row
    from sqlalchemy.sql import Select

    from worker.core.model import Id

SPEAKS = delivery_reviews.c.left_out.is_(sa.false())
MANY = 50
"""A notice of so many runs may well speak of all that wait: the database finds those by itself."""

UNFINISHED = (State.PENDING, State.SENDING, State.UNKNOWN, State.HELD, State.DEAD)

_NUMBER = sa.select(deliveries.c.delivery_id).where(deliveries.c.key == sa.bindparam("key"))
_SPEAK = sa.insert(delivery_reviews)
_WAITING = (reviews.c.queue_id == sa.bindparam("queue"), OPEN)
_COUNT_WAITING = sa.select(sa.func.count()).where(*_WAITING)
_SPEAK_OF_ALL = sa.insert(delivery_reviews).from_select(
    ["delivery_id", "review_id", "left_out"],
    sa.select(sa.bindparam("number", type_=sa.BigInteger), reviews.c.review_id, sa.false()).where(*_WAITING),
)
_QUEUE = (queues_table.c.name, queues_table.c.url, queues_table.c.reviewers_per_run)
_SETTLED_BY_LOOP = (
    "state", "due_at", "remind_in", "attempts", "attempted_at", "looks", "plain", "last_error",
    "settled_at", "edited_at", "edits", "edit_until", "digest",
)  # fmt: skip
_SAME_NAME = (
    "key", "kind", "channel", "created_at", "due_at", "held_until", "mention", "remind_in", "text", "state", "attempts",
    "attempted_at", "lease_until", "looks", "plain", "last_error", "settled_at", "edit_at", "edited_at", "edits",
    "edit_until", "digest", "successor",
)  # fmt: skip


def select_deliveries() -> Select[Any]:
    """Every column of a delivery, with its queue's."""
    return sa.select(deliveries, *_QUEUE).select_from(deliveries.outerjoin(queues_table))


def delivery_of(row: Row[Any], **news: Any) -> Delivery:  # noqa: ANN401  whatever a field holds
    """Build a delivery from a row of `select_deliveries`, with `news` in place of what the row holds."""
    queue = None if row.queue_id is None else Queue(row.queue_id, row.name, row.url, row.reviewers_per_run)
    receipt = None if row.receipt_ts is None else Receipt(row.receipt_channel, row.receipt_ts)
    return Delivery(**{**{name: getattr(row, name) for name in _SAME_NAME}, **news}, queue=queue, receipt=receipt)


def owe(connection: Connection, delivery: Delivery) -> bool:
    """Add a delivery, held where its destination is paused; False where its key is owed already."""
    if delivery.queue is not None:
        queues.lock(connection, delivery.queue)
    delivery = as_owed(delivery, pauses.every(connection))
    row = {name: getattr(delivery, name) for name in _SAME_NAME} | {
        "queue_id": None if delivery.queue is None else delivery.queue.queue_id,
        **_receipt(delivery),
    }
    added = insert(connection, deliveries).on_conflict_do_nothing().execution_options(preserve_rowcount=True)
    return connection.execute(added, row).rowcount == 1


def notify(connection: Connection, queue: Queue, notice: Notice, now: datetime) -> None:
    """Owe a notice, and note which reviews it speaks of."""
    delivery = Delivery(
        key=notice.key,
        kind=notice.kind,
        channel=notice.channel,
        created_at=now,
        due_at=now,
        queue=queue,
        mention=notice.mention,
        remind_in=notice.remind_in,
    )
    if owe(connection, delivery):
        _speak_of(connection, queue.queue_id, notice)


def _speak_of(connection: Connection, queue_id: Id, notice: Notice) -> None:
    number = connection.execute(_NUMBER, {"key": notice.key}).scalar_one()
    if len(notice.reviews) >= MANY and len(notice.reviews) == _waiting(connection, queue_id):
        connection.execute(_SPEAK_OF_ALL, {"number": number, "queue": queue_id})
        return
    for some in chunks(numbers(connection, queue_id, notice.reviews).values()):
        rows = [{"delivery_id": number, "review_id": review, "left_out": False} for review in some]
        connection.execute(_SPEAK, rows)


def _waiting(connection: Connection, queue_id: Id) -> int:
    """How many reviews of a queue are open."""
    return connection.execute(_COUNT_WAITING, {"queue": queue_id}).scalar_one()


def _same_key() -> tuple[sa.ColumnElement[bool], ...]:
    """Match a review by the parameters of `_key`; typed, so that undated becomes the sentinel and never NULL."""
    return (
        reviews.c.queue_run_id == sa.bindparam("of_run", type_=reviews.c.queue_run_id.type),
        reviews.c.added_at == sa.bindparam("of_stay", type_=reviews.c.added_at.type),
    )


def _key(key: ReviewKey) -> dict[str, Any]:
    return {"of_run": key.queue_run_id, "of_stay": key.added_at}


def is_ours(claimed: Delivery, state: State) -> tuple[sa.ColumnElement[bool], ...]:
    """Match a delivery while the lease is still the one that the claim got."""
    return (
        deliveries.c.key == claimed.key,
        deliveries.c.state == state,
        deliveries.c.lease_until.is_not(None),
        deliveries.c.lease_until == claimed.lease_until,
    )


def settle(connection: Connection, after: Delivery, claimed: Delivery) -> int | None:
    """Write what became of a claimed delivery and end its lease; its number, or None where the lease is not ours."""
    ours = sa.select(deliveries.c.delivery_id).where(*is_ours(claimed, State.SENDING))
    number: int | None = connection.execute(ours.with_for_update()).scalar_one_or_none()
    if number is not None:
        news = {name: getattr(after, name) for name in _SETTLED_BY_LOOP} | _receipt(after)
        connection.execute(change(number).values(**news, lease_until=None))
    return number


def change(number: int) -> sa.Update:
    """Change one delivery."""
    return sa.update(deliveries).where(deliveries.c.delivery_id == number)


def _receipt(delivery: Delivery) -> dict[str, str | None]:
    receipt = delivery.receipt
    return {"receipt_channel": receipt.channel if receipt else None, "receipt_ts": receipt.ts if receipt else None}


def mark(connection: Connection, number: int, *, shown: Sequence[ReviewKey], left_out: Collection[ReviewKey]) -> None:
    """Note which reviews a message lists, in its order, and of which it does not speak after all."""
    mine = sa.update(delivery_reviews).where(delivery_reviews.c.delivery_id == number)
    queue_id = sa.select(deliveries.c.queue_id).where(deliveries.c.delivery_id == number).scalar_subquery()
    review = sa.select(reviews.c.review_id).where(reviews.c.queue_id == queue_id, *_same_key()).scalar_subquery()
    one = mine.where(delivery_reviews.c.review_id == review)
    if shown:
        connection.execute(mine.where(delivery_reviews.c.position.is_not(None)).values(position=None))
        places = [{"place": place, **_key(key)} for place, key in enumerate(shown)]
        connection.execute(one.values(position=sa.bindparam("place")), places)
    for some in chunks(left_out):
        connection.execute(one.values(left_out=True), [_key(key) for key in some])


def retry(connection: Connection, key: UUID, now: datetime) -> bool:
    """Put a dead or held delivery back to pending; a poll has to see again what its message will lack."""
    about = sa.select(deliveries.c.queue_id).where(deliveries.c.key == key)
    queue_id = connection.execute(about).scalar_one_or_none()
    # The queue before the delivery, as everybody locks them.
    if queue_id is not None:
        queues.hold(connection, queue_id)
    given_up = sa.update(deliveries).where(deliveries.c.key == key, deliveries.c.state.in_([State.DEAD, State.HELD]))
    afresh = given_up.values(
        state=State.PENDING,
        due_at=now,
        held_until=None,
        attempts=0,
        attempted_at=None,
        looks=0,
        plain=False,
        settled_at=None,
    )
    if connection.execute(afresh).rowcount != 1:
        return False
    if queue_id is not None:
        queues.revise(connection, queue_id)
    return True


def next_due_at(connection: Connection) -> datetime | None:
    """When the next delivery or edit is due by itself: what waits for an operator is not."""
    ready_at = sa.case(
        (deliveries.c.held_until > deliveries.c.due_at, deliveries.c.held_until), else_=deliveries.c.due_at
    )
    live = sa.select(sa.func.min(ready_at)).where(LIVE, deliveries.c.due_at < NEVER)
    free_at = sa.case(
        (deliveries.c.lease_until > deliveries.c.edit_at, deliveries.c.lease_until), else_=deliveries.c.edit_at
    )
    edit = sa.select(sa.func.min(free_at)).where(*EDIT_OWED)
    dues = [connection.execute(query).scalar_one() for query in (live, edit)]
    return min((due for due in dues if due is not None), default=None)


EDIT_OWED = (
    deliveries.c.edit_at.is_not(None),
    deliveries.c.edit_until.is_not(None),
    deliveries.c.state == State.SENT,
)


def backlog(connection: Connection) -> Sequence[Backlog]:
    """How many deliveries need something still, by state."""
    query = (
        sa.select(deliveries.c.state, sa.func.count(), sa.func.min(deliveries.c.created_at))
        .where(deliveries.c.state.in_(UNFINISHED))
        .group_by(deliveries.c.state)
    )
    counted = connection.execute(query).all()
    return [Backlog(state, count, since, _last_error(connection, state)) for state, count, since in counted]


def _last_error(connection: Connection, state: State) -> str:
    """Why the newest delivery that waits for a person or a destination did not go."""
    if state not in {State.DEAD, State.HELD}:
        return ""
    newest = sa.select(deliveries.c.last_error).where(deliveries.c.state == state)
    found: str = connection.execute(newest.order_by(deliveries.c.delivery_id.desc()).limit(1)).scalar_one()
    return found


def newest(connection: Connection, state: State | None, limit: int) -> Sequence[Delivery]:
    """The outbox, newest first."""
    query = select_deliveries().order_by(deliveries.c.delivery_id.desc()).limit(limit)
    if state is not None:
        query = query.where(deliveries.c.state == state)
    return [delivery_of(row) for row in connection.execute(query)]


def stories(connection: Connection, queue_run_id: Id) -> Sequence[Story]:
    """Every stay of a queue run, oldest first."""
    query: Select[Any] = (
        sa.select(*REVIEW, reviews.c.review_id, *queues_table.c)
        .join_from(reviews, queues_table)
        .where(reviews.c.queue_run_id == queue_run_id)
        .order_by(reviews.c.first_seen_at, reviews.c.review_id)
    )
    return [
        Story(queues.queue_of(row), Review(*row[: len(REVIEW)]), tuple(_told(connection, row.review_id)))
        for row in connection.execute(query).all()
    ]


def _told(connection: Connection, review_id: int) -> Iterable[StoryNotice]:
    query = (
        select_deliveries()
        .add_columns(delivery_reviews.c.left_out)
        .join(delivery_reviews, delivery_reviews.c.delivery_id == deliveries.c.delivery_id)
        .where(delivery_reviews.c.review_id == review_id)
        .order_by(deliveries.c.delivery_id)
    )
    return (StoryNotice(delivery_of(row), left_out=row.left_out) for row in connection.execute(query))
