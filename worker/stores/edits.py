"""Which posted messages are owed an edit, and taking one, inside a transaction that somebody else began."""

from __future__ import annotations

from collections import defaultdict
from functools import cache
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from worker.core.instants import microseconds
from worker.core.model import LISTED, Kind, Review, ReviewKey
from worker.core.outbox import ACTS_COME_FIRST, Candidate, superseded
from worker.core.owed import Claim, Delivery, Receipt, State
from worker.stores import outbox
from worker.stores.claims import queue_shares, queues_of_reviews
from worker.stores.columns import BEGINS_WITH_NAME, At
from worker.stores.database import filled, latest, lists
from worker.stores.outbox import CHANGE_DELIVERY, IS_SENT, NOW, SELECT_DELIVERIES, SPEAKS, delivery_of
from worker.stores.reviews import IS_CLOSED, LISTED_FIRST, REVIEW_COLUMNS, revise_queue
from worker.stores.schema import DELIVERIES, DELIVERY_REVIEWS, IS_LIVE, IS_OPEN, IS_UNEXPLAINED, REVIEWS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from datetime import datetime, timedelta

    from sqlalchemy.engine import Connection, Row

    from worker.core.model import Facts, Id
    from worker.core.owed import Destination

_OF_MESSAGE = DELIVERY_REVIEWS.c.delivery_id == sa.bindparam("number")
_OF_QUEUE = DELIVERIES.c.queue_id == sa.bindparam("queue")
_OF_READER = DELIVERIES.c.queue_id.is_(None)
"""Matches direct messages, which may be about any queue. Asked for apart: either has an index, both have none."""

_ABOUT_QUEUE = sa.or_(_OF_QUEUE, _OF_READER)
_IS_SENDING = outbox.in_state(State.SENDING)
# An attempt in doubt may have posted it, also where it waits to be sent again: a look may find the message yet.
_MAY_BE_POSTED = sa.or_(
    outbox.in_state(State.SENDING, State.UNKNOWN, State.SENT),
    sa.and_(outbox.in_state(State.PENDING, State.HELD), DELIVERIES.c.attempted_at.is_not(None)),
)
# How long a message is kept true is settled with its receipt: before that, nothing has passed.
_KEPT_TRUE = sa.and_(
    _MAY_BE_POSTED,
    sa.or_(sa.and_(DELIVERIES.c.edit_until.is_(None), ~IS_SENT), DELIVERIES.c.edit_until > NOW),
)


def owe_edits(connection: Connection, review_ids: Iterable[int], now: datetime, *, at_once: bool = False) -> None:
    """Owe an edit to every message that may be posted, is kept true, and speaks of one of these reviews.

    One that shows an act of a person is made `at_once`, past the debounce, and before all others.
    """
    for some in lists(review_ids):
        asked = {"some": some, "now": now, "soon": now - ACTS_COME_FIRST}
        connection.execute(_owing(connection.dialect.name, at_once=at_once), asked)


@cache
def _owing(dialect: str, *, at_once: bool) -> sa.Update:
    some: sa.BindParameter[Any] = sa.bindparam("some", expanding=True)
    speak = sa.select(DELIVERY_REVIEWS.c.delivery_id).where(DELIVERY_REVIEWS.c.review_id.in_(some), SPEAKS)
    concerned = sa.update(DELIVERIES).where(DELIVERIES.c.delivery_id.in_(speak), _KEPT_TRUE)
    # With a claim that has begun, this edit comes right after it: see `_edited`.
    return concerned.values(edit_at=sa.bindparam("soon", type_=At()) if at_once else _earliest(dialect))


def reviews_altered(connection: Connection, queue_id: Id, altered: Sequence[int], now: datetime) -> bool:
    """Let polls and messages know of reviews that were altered, if any; the queue's row is held."""
    if altered:
        revise_queue(connection, queue_id)
        owe_edits(connection, altered, now)
    return bool(altered)


def reshow(connection: Connection, now: datetime) -> int:
    """Owe an edit to all; the rules are those of `Store.reshow`."""
    every = sa.update(DELIVERIES).where(_KEPT_TRUE).values(edit_at=_earliest(connection.dialect.name))
    return connection.execute(every, {"now": now}).rowcount


def unexplained(connection: Connection, queue_id: Id, now: datetime, most: int) -> Sequence[Id]:
    """Find the runs that left in an unknown way; the rules are those of `Store.unexplained`."""
    asked = {"queue": queue_id, "now": now, "most": most}
    return connection.execute(_UNEXPLAINED, asked).scalars().all()


def _later_stay() -> sa.Exists:
    """A stay of the same queue run that goes on, or ended later: a question would be answered for that one."""
    other = REVIEWS.alias("other")
    same = (other.c.queue_id == REVIEWS.c.queue_id, other.c.queue_run_id == REVIEWS.c.queue_run_id)
    # The undated is the smallest `added_at` of all: as a sentinel it compares, where NULL would not.
    ended = sa.tuple_(other.c.closed_at, other.c.added_at) > sa.tuple_(REVIEWS.c.closed_at, REVIEWS.c.added_at)
    return sa.exists().where(*same, sa.or_(other.c.closed_at.is_(None), ended)).correlate(REVIEWS)


def _is_shown() -> sa.Exists:
    """A message that is kept true shows the run, or may come to."""
    shown = sa.or_(DELIVERY_REVIEWS.c.position.is_not(None), ~IS_SENT)
    about = sa.exists().where(
        DELIVERY_REVIEWS.c.review_id == REVIEWS.c.review_id, SPEAKS, shown, _ABOUT_QUEUE, _KEPT_TRUE
    )
    return about.where(DELIVERIES.c.delivery_id == DELIVERY_REVIEWS.c.delivery_id).correlate(REVIEWS)


_MANY_KEPT = 100
"""So many messages of a queue that are kept true are looked at for the oldest of them."""


def _shown_since() -> sa.ScalarSelect[Any]:
    """The time since which a message that is kept true may show a run that left: those that left before it do not."""
    found: list[sa.Select[Any]] = []
    for about in (_OF_QUEUE, _OF_READER):
        kept = sa.select(DELIVERIES.c.created_at).where(about, DELIVERIES.c.edit_until > NOW)
        # Of many: one that was found after a lost answer may be older than another whose edits end sooner.
        oldest = kept.order_by(DELIVERIES.c.edit_until).limit(_MANY_KEPT).subquery()
        live = sa.select(DELIVERIES.c.created_at).where(about, IS_LIVE)
        found += [sa.select(oldest.c.created_at), live]
    either = sa.union_all(*found).subquery()
    return sa.select(sa.func.min(either.c.created_at)).scalar_subquery()


_UNEXPLAINED = (
    sa.select(REVIEWS.c.queue_run_id)
    .where(REVIEWS.c.queue_id == sa.bindparam("queue"), IS_UNEXPLAINED, REVIEWS.c.closed_at >= _shown_since())
    .where(_is_shown(), ~_later_stay())
    .order_by(REVIEWS.c.closed_at.desc(), REVIEWS.c.queue_run_id)
    .limit(sa.bindparam("most"))
)


def _earliest(dialect: str) -> sa.ColumnElement[Any]:
    """Not before the debounce is over, nor before a claim that may have looked already has ended."""
    free = sa.type_coerce(DELIVERIES.c.lease_until, sa.BigInteger)
    return latest(dialect, *_debounced(), sa.func.coalesce(free, 0))


def _debounced() -> tuple[sa.ColumnElement[Any], sa.ColumnElement[Any]]:
    """An edit is made after the latest of these."""
    held_until = sa.type_coerce(DELIVERIES.c.edit_held_until, sa.BigInteger)
    return NOW, sa.func.coalesce(held_until, 0)


def unclaim(connection: Connection, claimed_at: datetime, lease: timedelta) -> int:
    """Give back what was claimed at exactly that time; the rules are those of `Store.unclaim`."""
    taken = sa.update(DELIVERIES).where(DELIVERIES.c.lease_until == claimed_at + lease)
    _debounce(connection, taken, claimed_at)
    sending = taken.where(_IS_SENDING)
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
    sending = leased.where(_IS_SENDING)
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
    asked = {"queue": after.queue.queue_id, "destination": after.destination, "number": number}
    rows = connection.execute(_EARLIER, asked).all()
    waiting = _waiting(connection, [row.delivery_id for row in rows])
    earlier = [Candidate(delivery_of(row), row.delivery_id, frozenset(waiting[row.delivery_id])) for row in rows]
    newer = Candidate(after, number, frozenset(_waiting(connection, [number])[number]))
    news = {"now": after.settled_at or after.due_at, "successor": after.key}
    pointed = CHANGE_DELIVERY.values(edit_at=_earliest(connection.dialect.name))
    for each in superseded(newer, earlier):
        connection.execute(pointed, {"number": each.place, **news})


_MINE, _ITS = DELIVERY_REVIEWS.alias("mine"), DELIVERY_REVIEWS.alias("its")
# Only a reminder that shares a run which still waits can point to the newer one.
_EARLIER = SELECT_DELIVERIES.where(
    DELIVERIES.c.delivery_id.in_(
        sa.select(_ITS.c.delivery_id)
        .join_from(_MINE, _ITS, _ITS.c.review_id == _MINE.c.review_id)
        .join(REVIEWS, REVIEWS.c.review_id == _MINE.c.review_id)
        .where(_MINE.c.delivery_id == sa.bindparam("number"), IS_OPEN, _ITS.c.left_out.is_(sa.false()))
    ),
    _OF_QUEUE,
    DELIVERIES.c.destination == sa.bindparam("destination"),
    DELIVERIES.c.kind == Kind.REMINDER,
    IS_SENT,
    # Older by its number: an answer that came late must not make the newer point to the older.
    DELIVERIES.c.delivery_id < sa.bindparam("number"),
    DELIVERIES.c.successor.is_(None),
).with_for_update(of=DELIVERIES)


def _waiting(connection: Connection, numbers: Sequence[int]) -> defaultdict[int, list[int]]:
    """The reviews that deliveries speak of and that still wait, by number."""
    found: defaultdict[int, list[int]] = defaultdict(list)
    for some in lists(numbers):
        for number, review in connection.execute(_WAITING, {"some": some}):
            found[number].append(review)
    return found


_WAITING = (
    sa.select(DELIVERY_REVIEWS.c.delivery_id, DELIVERY_REVIEWS.c.review_id)
    .join_from(DELIVERY_REVIEWS, REVIEWS)
    .where(DELIVERY_REVIEWS.c.delivery_id.in_(sa.bindparam("some", expanding=True)), SPEAKS, IS_OPEN)
)
_IS_DUE = sa.select(sa.literal(1)).where(*outbox.EDIT_OWED, DELIVERIES.c.edit_at <= NOW).limit(1)
_DUE = (
    SELECT_DELIVERIES.where(*outbox.EDIT_OWED, DELIVERIES.c.edit_at <= NOW)
    # An edit whose worker crashed is free again once its lease has ended.
    .where(sa.or_(DELIVERIES.c.lease_until.is_(None), DELIVERIES.c.lease_until <= NOW))
    .where(DELIVERIES.c.destination.not_in(sa.bindparam("skip", expanding=True)))
    # Of several owed at once the newest first: it is the one that people look at, or have just pressed a button of.
    .order_by(DELIVERIES.c.edit_at, DELIVERIES.c.delivery_id.desc())
    .limit(1)
    .with_for_update(of=DELIVERIES, skip_locked=True)
)


def is_due(connection: Connection, now: datetime) -> bool:
    """Whether any edit is owed by now: a question that locks nothing."""
    return connection.execute(_IS_DUE, {"now": now}).first() is not None


def claim_edit(connection: Connection, now: datetime, lease: timedelta, skip: Collection[Destination]) -> Claim | None:
    """Take the message whose edit is owed longest; the rules are those of `Store.claim_edit`."""
    row = connection.execute(_DUE, {"now": now, "skip": filled(skip)}).one_or_none()
    return None if row is None else _take(connection, row, now + lease)


def _take(connection: Connection, row: Row[Any], lease_until: datetime) -> Claim:
    # Until the edit is settled it is not known what the message shows: a crash leaves it so.
    connection.execute(CHANGE_DELIVERY, {"number": row.delivery_id, "lease_until": lease_until, "digest": ""})
    shown_at = row.edited_at or row.settled_at
    counts = connection.execute(_COUNTS, {"number": row.delivery_id, "shown_at": shown_at}).mappings().one()
    is_direct = row.kind is Kind.DIRECT
    return Claim(
        delivery=delivery_of(row, lease_until=lease_until),
        reviews=_listed(connection, row.delivery_id, counts["total"] if is_direct else LISTED),
        queues=queues_of_reviews(connection, row.delivery_id) if is_direct else {},
        purposes=_purposes(connection, row.delivery_id),
        shares=queue_shares(connection, row.delivery_id) if row.kind is Kind.BASELINE else (),
        **counts,
        successor=_receipt_of(connection, row),
    )


_SPOKEN_OF = sa.select(REVIEWS).join_from(DELIVERY_REVIEWS, REVIEWS).where(_OF_MESSAGE, SPEAKS)
_SHOWN_AT = sa.bindparam("shown_at", type_=At())
# What a channel was notified of meanwhile is no news there; whom direct messages have called is noted elsewhere.
_IS_NEWS = sa.or_(REVIEWS.c.told_at.is_(None), DELIVERIES.c.kind == Kind.DIRECT)
_COUNTS = _SPOKEN_OF.join(DELIVERIES, DELIVERIES.c.delivery_id == DELIVERY_REVIEWS.c.delivery_id).with_only_columns(
    sa.func.count().label("total"),
    sa.func.count().filter(REVIEWS.c.closed_at.is_(None)).label("waiting"),
    sa.func.count()
    .filter(REVIEWS.c.closed_at.is_(None), _IS_NEWS, DELIVERY_REVIEWS.c.entered_at > _SHOWN_AT)
    .label("entered"),
    sa.func.count().filter(REVIEWS.c.closed_at > _SHOWN_AT).label("left"),
)
_PURPOSES = _SPOKEN_OF.with_only_columns(REVIEWS.c.queue_run_id, REVIEWS.c.added_at, DELIVERY_REVIEWS.c.purpose).where(
    DELIVERY_REVIEWS.c.purpose.is_not(None)
)
_LISTED = (
    _SPOKEN_OF.with_only_columns(*REVIEW_COLUMNS, REVIEWS.c.review_id)
    .order_by(IS_CLOSED, REVIEWS.c.closed_at.desc(), *LISTED_FIRST)
    .limit(sa.bindparam("most"))
)
_LIST = sa.update(DELIVERY_REVIEWS).where(_OF_MESSAGE, DELIVERY_REVIEWS.c.review_id == sa.bindparam("review"))


def _purposes(connection: Connection, number: int) -> dict[ReviewKey, Kind]:
    """The runs of a message that have another purpose in it than its kind, listed or not."""
    rows = connection.execute(_PURPOSES, {"number": number})
    return {ReviewKey(row.queue_run_id, row.added_at): row.purpose for row in rows}


def _listed(connection: Connection, number: int, most: int) -> tuple[Review, ...]:
    """What a message is to list now.

    Oldest first those that wait; while there is room those that left, the last of them first. Of a direct message all
    are listed here: whose turn they still are is seen later.
    """
    rows = connection.execute(_LISTED, {"number": number, "most": most}).all()
    # Asked for again as long as they are listed: names that are missing, and how runs left.
    connection.execute(outbox.UNLIST, {"number": number})
    if rows:
        listed = enumerate(rows[:LISTED])
        places = [{"number": number, "review": row.review_id, "position": at} for at, row in listed]
        connection.execute(_LIST, places)
    return tuple(Review(*row[:-1]) for row in rows)


def _receipt_of(connection: Connection, row: Row[Any]) -> Receipt | None:
    """Where the newer reminder is that a message points to."""
    if row.successor is None:
        return None
    receipt = connection.execute(_RECEIPT, {"key": row.successor}).one_or_none()
    return receipt and Receipt(*receipt)


_RECEIPT = sa.select(DELIVERIES.c.receipt_channel, DELIVERIES.c.receipt_ts).where(
    DELIVERIES.c.key == sa.bindparam("key"), DELIVERIES.c.receipt_ts.is_not(None)
)


def settle_edit(connection: Connection, after: Delivery, claimed: Delivery) -> bool:
    """Write what became of an edit and end its lease; False where the lease is not ours any more."""
    held_until = 0 if after.edit_held_until is None else microseconds(after.edit_held_until)
    edited = {name: getattr(after, name) for name in _EDITED}
    asked = {**outbox.lease_of(claimed, State.SENT), "was": claimed.edit_at, "due": after.edit_at, "held": held_until}
    return connection.execute(_edited(connection.dialect.name), {**asked, **edited}).rowcount == 1


_EDITED = ("edited_at", "edit_held_until", "edits", "edit_until", "digest", "last_error")


@cache
def _edited(dialect: str) -> sa.Update:
    # Where it is another by now, reviews changed while the edit was made, and it may not show them yet. That is made,
    # too, but never sooner than the debounce allows.
    owed = sa.type_coerce(DELIVERIES.c.edit_at, sa.BigInteger)
    held = latest(dialect, owed, sa.bindparam("held", type_=sa.BigInteger))
    # Owed to an act of a person while this one was made: whatever else is, waits for the end of the lease.
    held = sa.case((DELIVERIES.c.edit_at < DELIVERIES.c.lease_until, owed), else_=held)
    unchanged = DELIVERIES.c.edit_at == sa.bindparam("was")
    edit_at = sa.case((unchanged, sa.bindparam("due", type_=DELIVERIES.c.edit_at.type)), else_=held)
    return sa.update(DELIVERIES).where(*outbox.HAS_LEASE).values(lease_until=None, edit_at=edit_at)


def nameless_runs(connection: Connection, queue_id: Id, now: datetime, most: int) -> Mapping[Id, Facts]:
    """Find runs without a name that messages list; the rules are those of `Store.undescribed`."""
    asked = {"queue": queue_id, "now": now, "most": most}
    rows = [row for query in _nameless_runs() for row in connection.execute(query, asked)]
    rows.sort(key=lambda row: row.since)
    return dict(list({row.queue_run_id: row.facts for row in rows}.items())[:most])


@cache
def _nameless_runs() -> tuple[sa.Select[Any], ...]:
    # By the text's beginning: the two databases read JSON in different ways.
    nameless = sa.type_coerce(REVIEWS.c.facts, sa.Text).not_like(f"{BEGINS_WITH_NAME}%")
    return tuple(
        sa.select(REVIEWS.c.queue_run_id, REVIEWS.c.facts, REVIEWS.c.since)
        .where(REVIEWS.c.review_id.in_(sa.union(_posted(about), _to_be_posted(about))), IS_OPEN, nameless)
        .where(REVIEWS.c.queue_id == sa.bindparam("queue"))
        .order_by(*LISTED_FIRST)
        .limit(sa.bindparam("most"))
        for about in (_OF_QUEUE, _OF_READER)
    )


def _posted(about: sa.ColumnElement[bool]) -> sa.Select[Any]:
    """What messages list that are there."""
    return (
        sa.select(DELIVERY_REVIEWS.c.review_id)
        .join_from(DELIVERIES, DELIVERY_REVIEWS)
        .where(about, DELIVERIES.c.edit_until > NOW, IS_SENT)
        .where(DELIVERY_REVIEWS.c.position.is_not(None), SPEAKS)
    )


def _to_be_posted(about: sa.ColumnElement[bool]) -> sa.Select[Any]:
    """What messages will list that are not posted yet, as far as is known: the oldest that wait."""
    place = sa.func.row_number().over(partition_by=DELIVERIES.c.delivery_id, order_by=LISTED_FIRST)
    spoken = (
        sa.select(DELIVERY_REVIEWS.c.review_id, place.label("place"))
        .select_from(DELIVERIES)
        .join(DELIVERY_REVIEWS)
        .join(REVIEWS)
        .where(about, IS_LIVE, SPEAKS, IS_OPEN)
        .subquery()
    )
    return sa.select(spoken.c.review_id).where(spoken.c.place <= LISTED)
