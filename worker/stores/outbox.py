"""The outbox's rows: adding, reading, settling, inside a transaction that somebody else began."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from worker.core.model import Entry, Kind, Review, ReviewKey, Window
from worker.core.outbox import as_owed, entry_of
from worker.core.owed import (
    EVERYWHERE,
    NEVER,
    Backlog,
    Delivery,
    Destination,
    Notice,
    Pause,
    Receipt,
    State,
    Story,
    StoryNotice,
)
from worker.stores import reviews
from worker.stores.columns import At
from worker.stores.database import chunks, insert, insert_many
from worker.stores.reviews import REVIEW_COLUMNS, hold_queue, lock_queue, queue_of, review_numbers, revise_queue
from worker.stores.schema import (
    CHANNEL_PAUSES,
    DELIVERIES,
    DELIVERY_REVIEWS,
    IS_LIVE,
    IS_OPEN,
    IS_PASSED,
    KNOWN_QUEUES,
    REVIEWS,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy.engine import Connection, Row

    from worker.core.model import Id, Queue

# Statements are built once: building one costs more than running it.
NOW = sa.bindparam("now", type_=At())
SPEAKS = DELIVERY_REVIEWS.c.left_out.is_(sa.false())


def in_state(*states: State) -> sa.ColumnElement[bool]:
    """Match these states without the index of states, through which every message would be read that was ever sent."""
    # Joined with nothing, the column is not the one of the index any more.
    return sa.type_coerce(DELIVERIES.c.state, sa.Text).concat("").in_([state.value for state in states])


IS_SENT = in_state(State.SENT)
EDIT_OWED = (DELIVERIES.c.edit_at.is_not(None), DELIVERIES.c.edit_until.is_not(None), IS_SENT)
_MANY = 50
"""A notice of so many runs may well speak of all that wait: the database finds those by itself."""

UNFINISHED = (State.PENDING, State.SENDING, State.UNKNOWN, State.HELD, State.DEAD)

# Held first: a claim of its edit has either seen all that enters, or has a lease that is waited for.
_HOLD = (
    sa.select(DELIVERIES.c.delivery_id, DELIVERIES.c.kind, DELIVERIES.c.lease_until)
    .where(DELIVERIES.c.key == sa.bindparam("key"))
    .with_for_update()
)
_WAITING = (REVIEWS.c.queue_id == sa.bindparam("queue"), IS_OPEN)
_COUNT_WAITING = sa.select(sa.func.count()).where(*_WAITING)
_SPEAK_OF_ALL = sa.insert(DELIVERY_REVIEWS).from_select(
    ["delivery_id", "review_id", "left_out"],
    sa.select(sa.bindparam("number", type_=sa.BigInteger), REVIEWS.c.review_id, sa.false()).where(*_WAITING),
)
_POLLED_AT = KNOWN_QUEUES.c.completed_at.label("polled_at")
_QUEUE = (
    KNOWN_QUEUES.c.name,
    KNOWN_QUEUES.c.url,
    KNOWN_QUEUES.c.reviewers_per_run,
    KNOWN_QUEUES.c.reviewers,
    KNOWN_QUEUES.c.disagreed,
    _POLLED_AT,
    KNOWN_QUEUES.c.muted_until,
)
_SETTLED_BY_LOOP = (
    "state", "due_at", "held_until", "mention", "remind_in", "attempts", "attempted_at", "looks", "plain", "last_error",
    "settled_at", "edited_at", "edit_held_until", "edits", "edit_until", "digest",
)  # fmt: skip
_SAME_NAME = (
    "key", "kind", "destination", "created_at", "due_at", "held_until", "mention", "remind_in", "text", "reader",
    "state", "attempts", "attempted_at", "lease_until", "looks", "plain", "last_error", "settled_at", "edit_at",
    "edited_at", "edit_held_until", "edits", "edit_until", "digest", "successor",
)  # fmt: skip


SELECT_DELIVERIES = sa.select(DELIVERIES, *_QUEUE).select_from(DELIVERIES.outerjoin(KNOWN_QUEUES))
"""Every column of a delivery, with its queue's."""

CHANGE_DELIVERY = sa.update(DELIVERIES).where(DELIVERIES.c.delivery_id == sa.bindparam("number"))
"""Changes one delivery, by its `number`, to the other parameters."""

_OF_KEY = SELECT_DELIVERIES.where(DELIVERIES.c.key == sa.bindparam("key"))


def delivery_of(row: Row[Any], **news: Any) -> Delivery:  # noqa: ANN401  whatever a field holds
    """Build a delivery from a row of `SELECT_DELIVERIES`, with `news` in place of what the row holds."""
    queue = None if row.queue_id is None else queue_of(row)
    receipt = None if row.receipt_ts is None else Receipt(row.receipt_channel, row.receipt_ts)
    return Delivery(**{**{name: getattr(row, name) for name in _SAME_NAME}, **news}, queue=queue, receipt=receipt)


def owe_delivery(connection: Connection, delivery: Delivery) -> bool:
    """Add a delivery, held where its destination is paused; False where its key is owed already."""
    if delivery.queue is not None:
        lock_queue(connection, delivery.queue)
    return _add(connection, delivery) is not None


def _add(connection: Connection, delivery: Delivery) -> int | None:
    """Add a delivery; its number, or None where its key is owed already. Its queue's row is held."""
    delivery = as_owed(delivery, every_pause(connection))
    row = {name: getattr(delivery, name) for name in _SAME_NAME} | {
        "queue_id": None if delivery.queue is None else delivery.queue.queue_id,
        **_receipt(delivery),
    }
    number: int | None = connection.execute(_adding(connection.dialect), row).scalar_one_or_none()
    return number


@lru_cache
def _adding(dialect: sa.Dialect) -> sa.Executable:
    return insert(dialect, DELIVERIES).on_conflict_do_nothing().returning(DELIVERIES.c.delivery_id)


def owe_notice(connection: Connection, queue: Queue, notice: Notice, now: datetime) -> None:
    """Owe a notice, and note which reviews it speaks of. The queue's row is held."""
    delivery = Delivery(
        key=notice.key,
        kind=notice.kind,
        destination=notice.destination,
        created_at=now,
        due_at=now,
        queue=queue,
        mention=notice.mention,
        remind_in=notice.remind_in,
    )
    number = _add(connection, delivery)
    if number is not None:
        _speak_of(connection, queue.queue_id, notice, number)


def enter_reviews(
    connection: Connection, queue_id: Id, host: UUID, entering: Collection[ReviewKey], now: datetime
) -> None:
    """Let a message that is up show more reviews: an edit of it is owed at once where it does not speak of them yet."""
    numbers = review_numbers(connection, queue_id, entering).values()
    message, kind, soon = hold_host(connection, host, now)
    # Beside what a baseline found waiting, a run that came later is known as such.
    purpose = None if kind is Kind.ANNOUNCEMENT else Kind.ANNOUNCEMENT
    owed = 0
    for some in chunks(numbers):
        shown = {"left_out": False, "entered_at": soon}
        rows = [{"delivery_id": message, "review_id": review, "purpose": purpose, **shown} for review in some]
        # What was left out, as most likely reviewed, and is listed again.
        added = insert(connection.dialect, DELIVERY_REVIEWS).on_conflict_do_update(
            index_elements=["delivery_id", "review_id"], set_=shown, where=DELIVERY_REVIEWS.c.left_out.is_(sa.true())
        )
        owed += connection.execute(added.execution_options(preserve_rowcount=True), rows).rowcount
    if owed:
        # Past the debounce: a run is shown within a poll.
        connection.execute(CHANGE_DELIVERY, {"number": message, "edit_at": soon})


def hold_host(connection: Connection, host: UUID, now: datetime) -> tuple[int, Kind, datetime]:
    """Hold a message that more is to enter: its number and kind, and from when on an edit can show that."""
    number, kind, lease_until = connection.execute(_HOLD, {"key": host}).one()
    # A claim that may have looked already is waited for.
    return number, kind, max(now, lease_until or now)


SPOKEN_COLUMNS = ("delivery_id", "review_id", "left_out", "purpose", "told_before")


def _speak_of(connection: Connection, queue_id: Id, notice: Notice, number: int) -> None:
    others = {key: kind for key, kind in zip(notice.reviews, notice.purposes, strict=False) if kind is not notice.kind}
    before = {key: at for key, at in zip(notice.reviews, notice.before, strict=False) if at is not None}
    are_many = len(notice.reviews) >= _MANY and not (others or before)
    if are_many and len(notice.reviews) == _waiting(connection, queue_id):
        connection.execute(_SPEAK_OF_ALL, {"number": number, "queue": queue_id})
        return
    for some in chunks(review_numbers(connection, queue_id, notice.reviews).items()):
        rows = [(number, review, False, others.get(key), before.get(key)) for key, review in some]
        insert_many(connection, DELIVERY_REVIEWS, SPOKEN_COLUMNS, rows)


def window_of(connection: Connection, queue: Row[Any], now: datetime) -> Window | None:
    """The window that the last announcement of a queue opened, from the queue's row."""
    if queue.host is None:
        return None
    row = connection.execute(_OF_KEY, {"key": queue.host}).one_or_none()
    return Window(queue.announced_at, queue.host, Entry.NEVER if row is None else entry_of(delivery_of(row), now))


def known_window(connection: Connection, queue_id: Id, now: datetime) -> Window | None:
    """The window that the last announcement of a queue opened; None too where the queue was never seen."""
    row = connection.execute(reviews.SELECT_QUEUE, {"queue": queue_id}).one_or_none()
    return None if row is None else window_of(connection, row, now)


def _waiting(connection: Connection, queue_id: Id) -> int:
    """How many reviews of a queue are open."""
    return connection.execute(_COUNT_WAITING, {"queue": queue_id}).scalar_one()


HAS_LEASE = (
    DELIVERIES.c.key == sa.bindparam("of_key"),
    DELIVERIES.c.state == sa.bindparam("found"),
    DELIVERIES.c.lease_until == sa.bindparam("lease"),
)
"""Match a delivery while the lease is still the one that the claim got: by the parameters of `lease_of`."""

_CLAIMED = sa.select(DELIVERIES.c.delivery_id).where(*HAS_LEASE).with_for_update()


def lease_of(claimed: Delivery, state: State) -> dict[str, Any]:
    """The parameters of `HAS_LEASE`."""
    return {"of_key": claimed.key, "found": state, "lease": claimed.lease_until}


def settle_delivery(connection: Connection, after: Delivery, claimed: Delivery) -> int | None:
    """Write what became of a claimed delivery and end its lease; its number, or None where the lease is not ours."""
    number: int | None = connection.execute(_CLAIMED, lease_of(claimed, State.SENDING)).scalar_one_or_none()
    if number is not None:
        news = {name: getattr(after, name) for name in _SETTLED_BY_LOOP} | _receipt(after)
        connection.execute(CHANGE_DELIVERY, {"number": number, "lease_until": None, **news})
    return number


def _receipt(delivery: Delivery) -> dict[str, str | None]:
    receipt = delivery.receipt
    return {"receipt_channel": receipt.channel if receipt else None, "receipt_ts": receipt.ts if receipt else None}


def mark_reviews(
    connection: Connection, number: int, *, shown: Sequence[ReviewKey], left_out: Collection[ReviewKey]
) -> None:
    """Note which reviews a message lists, in its order, and of which it does not speak after all."""
    if shown:
        # Cleared first: a message may list less than it did before.
        connection.execute(UNLIST, {"number": number})
        connection.execute(_SPOKEN, [{**_key(number, key), "position": at} for at, key in enumerate(shown)])
    for some in chunks(left_out):
        connection.execute(_SPOKEN, [{**_key(number, key), "left_out": True} for key in some])


_OF_MESSAGE = sa.update(DELIVERY_REVIEWS).where(DELIVERY_REVIEWS.c.delivery_id == sa.bindparam("number"))
UNLIST = _OF_MESSAGE.where(DELIVERY_REVIEWS.c.position.is_not(None)).values(position=None)
"""Forgets what a message lists."""

_SPOKEN = _OF_MESSAGE.where(
    # By the key alone: a baseline may speak of several queues. No two of them have the same queue run.
    DELIVERY_REVIEWS.c.review_id.in_(
        sa.select(REVIEWS.c.review_id).where(
            REVIEWS.c.queue_run_id == sa.bindparam("of_run"), REVIEWS.c.added_at == sa.bindparam("of_stay")
        )
    )
)


_PASS_NONE = _OF_MESSAGE.where(IS_PASSED).values(passed_at=None)


def pass_reviews(connection: Connection, number: int, passed: Collection[ReviewKey], now: datetime) -> None:
    """Note of which reviews the owner is to hear instead of those whom a message does not call, and of no others."""
    connection.execute(_PASS_NONE, {"number": number})
    for some in chunks(passed):
        connection.execute(_SPOKEN, [{**_key(number, key), "passed_at": now} for key in some])


def _key(number: int, key: ReviewKey) -> dict[str, Any]:
    return {"number": number, "of_run": key.queue_run_id, "of_stay": key.added_at}


def retry_delivery(connection: Connection, key: UUID, now: datetime) -> bool:
    """Put a dead or held delivery back to pending; a poll has to see again what its message will lack."""
    about = sa.select(DELIVERIES.c.queue_id).where(DELIVERIES.c.key == key)
    queue_id = connection.execute(about).scalar_one_or_none()
    # The queue before the delivery, as everybody locks them.
    if queue_id is not None:
        hold_queue(connection, queue_id)
    given_up = sa.update(DELIVERIES).where(DELIVERIES.c.key == key, DELIVERIES.c.state.in_([State.DEAD, State.HELD]))
    afresh = {"state": State.PENDING, "due_at": now, "attempts": 0, "looks": 0, "plain": False}
    unset = dict.fromkeys(("held_until", "attempted_at", "settled_at"))
    if connection.execute(given_up.values(**afresh, **unset)).rowcount != 1:
        return False
    if queue_id is not None:
        revise_queue(connection, queue_id)
    return True


def next_due_at(connection: Connection) -> datetime | None:
    """When the next delivery or edit is due by itself: what waits for an operator is not."""
    dues = [connection.execute(query).scalar_one() for query in (_NEXT_POST, _NEXT_EDIT)]
    return min((due for due in dues if due is not None), default=None)


def _later(one: sa.Column[Any], other: sa.Column[Any]) -> sa.ColumnElement[Any]:
    """The later of two instants, of which the second may be NULL."""
    return sa.case((other > one, other), else_=one)


_NEXT_POST = sa.select(sa.func.min(_later(DELIVERIES.c.due_at, DELIVERIES.c.held_until))).where(
    IS_LIVE, DELIVERIES.c.due_at < NEVER
)
_NEXT_EDIT = sa.select(sa.func.min(_later(DELIVERIES.c.edit_at, DELIVERIES.c.lease_until))).where(*EDIT_OWED)
_BACKLOG = (
    sa.select(DELIVERIES.c.state, sa.func.count(), sa.func.min(DELIVERIES.c.created_at))
    .where(DELIVERIES.c.state.in_(UNFINISHED))
    .group_by(DELIVERIES.c.state)
)


def backlog(connection: Connection) -> Sequence[Backlog]:
    """How many deliveries need something still, by state."""
    counted = connection.execute(_BACKLOG).all()
    return [Backlog(state, count, since, _last_error(connection, state)) for state, count, since in counted]


def _last_error(connection: Connection, state: State) -> str:
    """Why the newest delivery that waits for a person or a destination did not go."""
    if state not in {State.DEAD, State.HELD}:
        return ""
    newest = sa.select(DELIVERIES.c.last_error).where(DELIVERIES.c.state == state)
    found: str = connection.execute(newest.order_by(DELIVERIES.c.delivery_id.desc()).limit(1)).scalar_one()
    return found


def newest(connection: Connection, state: State | None, limit: int) -> Sequence[Delivery]:
    """The outbox, newest first."""
    query = SELECT_DELIVERIES.order_by(DELIVERIES.c.delivery_id.desc()).limit(limit)
    if state is not None:
        query = query.where(DELIVERIES.c.state == state)
    return [delivery_of(row) for row in connection.execute(query)]


def newest_of(connection: Connection, queue_id: Id, most: int) -> Sequence[Delivery]:
    """The deliveries that speak of one queue's runs alone, newest first, at most so many."""
    query = SELECT_DELIVERIES.where(DELIVERIES.c.queue_id == queue_id).order_by(DELIVERIES.c.delivery_id.desc())
    return [delivery_of(row) for row in connection.execute(query.limit(most))]


def by_beginning(connection: Connection, beginning: str) -> Sequence[Delivery]:
    """The deliveries whose key begins so, with or without its dashes; the newest first."""
    sought = beginning.replace("-", "").lower()
    keys = connection.execute(sa.select(DELIVERIES.c.key)).scalars()
    # Compared here: keys are kept as bytes, and a beginning may be half of one.
    found = [key for key in keys if sought and key.hex.startswith(sought)]
    query = SELECT_DELIVERIES.where(DELIVERIES.c.key.in_(found[:100]))
    return [delivery_of(row) for row in connection.execute(query.order_by(DELIVERIES.c.delivery_id.desc()))]


def stories(connection: Connection, queue_run_id: Id) -> Sequence[Story]:
    """Every stay of a queue run, oldest first."""
    query: sa.Select[Any] = (
        sa.select(*REVIEW_COLUMNS, REVIEWS.c.review_id, *KNOWN_QUEUES.c)
        .join_from(REVIEWS, KNOWN_QUEUES)
        .where(REVIEWS.c.queue_run_id == queue_run_id)
        .order_by(REVIEWS.c.first_seen_at, REVIEWS.c.review_id)
    )
    return [
        Story(queue_of(row), Review(*row[: len(REVIEW_COLUMNS)]), tuple(_deliveries_about(connection, row.review_id)))
        for row in connection.execute(query).all()
    ]


def _deliveries_about(connection: Connection, review_id: int) -> Iterable[StoryNotice]:
    query = (
        SELECT_DELIVERIES.add_columns(DELIVERY_REVIEWS.c.left_out, DELIVERY_REVIEWS.c.purpose)
        .join(DELIVERY_REVIEWS, DELIVERY_REVIEWS.c.delivery_id == DELIVERIES.c.delivery_id)
        .where(DELIVERY_REVIEWS.c.review_id == review_id)
        .order_by(DELIVERIES.c.delivery_id)
    )
    rows = connection.execute(query)
    return (StoryNotice(delivery_of(row), left_out=row.left_out, purpose=row.purpose) for row in rows)


_PAUSES = sa.select(CHANNEL_PAUSES).order_by(CHANNEL_PAUSES.c.since, CHANNEL_PAUSES.c.destination)

# What waits for an operator is due never, and no pause concerns it.
WAITS_FOR_TIME = sa.or_(
    DELIVERIES.c.state == State.PENDING,
    sa.and_(DELIVERIES.c.state == State.HELD, DELIVERIES.c.due_at < NEVER),
)


def every_pause(connection: Connection) -> Sequence[Pause]:
    """Every destination that is paused, longest first."""
    return [_pause_of(row) for row in connection.execute(_PAUSES)]


def pause_channel(connection: Connection, paused: Pause) -> Pause:
    """Remember a pause and hold what it concerns; the pause as it stands: one that there was began then."""
    news = {"until": paused.until, "reason": paused.reason, "failures": paused.failures, "error": paused.error}
    statement = insert(connection.dialect, CHANNEL_PAUSES).values(
        destination=paused.destination, since=paused.since, **news
    )
    connection.execute(statement.on_conflict_do_update(index_elements=[CHANNEL_PAUSES.c.destination], set_=news))
    _hold(connection, paused.destination)
    return _pause_of(
        connection.execute(sa.select(CHANNEL_PAUSES).where(CHANNEL_PAUSES.c.destination == paused.destination)).one()
    )


def _pause_of(row: Row[Any]) -> Pause:
    return Pause(row.destination, row.since, row.until, row.reason, row.failures, row.error or "")


def resume_channel(connection: Connection, destination: Destination) -> None:
    """Forget a pause and let go what no other pause holds."""
    connection.execute(sa.delete(CHANNEL_PAUSES).where(CHANNEL_PAUSES.c.destination == destination))
    held = sa.update(DELIVERIES).where(DELIVERIES.c.state == State.HELD, WAITS_FOR_TIME, _within(destination))
    connection.execute(held.values(state=State.PENDING, held_until=None))
    _hold(connection, destination)


def _hold(connection: Connection, destination: Destination) -> None:
    """Hold what waits for a destination until the last of the pauses that concern it."""
    concern = [
        other
        for other in every_pause(connection)
        if EVERYWHERE in {destination, other.destination} or other.destination == destination
    ]
    # The longest last, since the last one written is the one that holds.
    for other in sorted(concern, key=lambda other: other.until):
        narrower = other.destination if destination == EVERYWHERE else destination
        waiting = sa.update(DELIVERIES).where(WAITS_FOR_TIME, _within(narrower))
        connection.execute(waiting.values(state=State.HELD, held_until=other.until))


def _within(destination: Destination) -> sa.ColumnElement[bool]:
    return sa.true() if destination == EVERYWHERE else DELIVERIES.c.destination == destination
