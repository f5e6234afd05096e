"""Claiming a delivery that is due: reading and locking what the core chooses from, and writing what it chose."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from msgspec.structs import replace

from worker.core.model import Kind, RemindIn, Review, ReviewKey
from worker.core.outbox import IN_DOUBT, STANDS_FOR_ALL, Candidate, Taking, choose
from worker.core.owed import EVERYWHERE, Claim, QueueShare, Receipt, State
from worker.stores import outbox
from worker.stores.assignments import is_resting, take_channel
from worker.stores.columns import DestinationColumn
from worker.stores.database import chunks, filled, insert
from worker.stores.outbox import CHANGE_DELIVERY, IS_SENT, NOW, SELECT_DELIVERIES, SPEAKS, SPOKEN_COLUMNS, delivery_of
from worker.stores.reviews import LISTED_FIRST, REVIEW_COLUMNS, SELECT_QUEUE, queue_of
from worker.stores.schema import DELIVERIES, DELIVERY_REVIEWS, IS_LIVE, KNOWN_QUEUES, REVIEWS

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime, timedelta

    from sqlalchemy.engine import Connection, Row

    from worker.core.model import Id, Queue
    from worker.core.owed import Delivery, Destination
    from worker.stores.assignments import Member

UNPOSTED = (State.PENDING, State.HELD)


# Statements are built once: building one costs more than running it.
def _outside(destinations: str) -> sa.ColumnElement[bool]:
    return DELIVERIES.c.destination.not_in(sa.bindparam(destinations, expanding=True))


_MAY_POST = sa.and_(
    _outside("unposted"), sa.literal(EVERYWHERE, DestinationColumn()).not_in(sa.bindparam("unposted", expanding=True))
)
_MOST_DUE = (
    SELECT_DELIVERIES.where(IS_LIVE, DELIVERIES.c.due_at <= NOW, _outside("skip"))
    .where(sa.or_(DELIVERIES.c.held_until.is_(None), DELIVERIES.c.held_until <= NOW))
    .where(sa.or_(sa.text("state NOT IN ('pending', 'held')"), _MAY_POST))
    .where(sa.or_(sa.text("state IN ('pending', 'held')"), sa.bindparam("looks", type_=sa.Boolean)))
    .where(sa.or_(sa.text("kind != 'baseline'"), _outside("unseen")))
    .where(DELIVERIES.c.delivery_id.not_in(sa.bindparam("passed", expanding=True)))
    .order_by(DELIVERIES.c.due_at, DELIVERIES.c.delivery_id)
    .limit(1)
    .with_for_update(of=DELIVERIES, skip_locked=True)
)

# An update that ran beside the claim would not yet see the delivery as one that may be posted, and owe it no edit.
# Skipped rather than waited for: an update waits for deliveries while it holds the queue, the other way round.
_HOLD_QUEUE = SELECT_QUEUE.with_for_update(read=True, skip_locked=True)
_BESIDE = (
    # In SQL what `core.outbox.is_surely_unposted` says of a delivery, so that only such rows are locked and read.
    SELECT_DELIVERIES.where(IS_LIVE, outbox.WAITS_FOR_TIME, DELIVERIES.c.attempted_at.is_(None))
    .where(DELIVERIES.c.plain.is_(sa.false()), DELIVERIES.c.destination == sa.bindparam("destination"))
    .where(DELIVERIES.c.delivery_id != sa.bindparam("number"))
    .order_by(DELIVERIES.c.delivery_id)
    .with_for_update(of=DELIVERIES, skip_locked=True)
)
_OF_QUEUE = DELIVERIES.c.queue_id == sa.bindparam("queue")
_BESIDE_IN_QUEUE = _BESIDE.where(_OF_QUEUE)
_BESIDE_BASELINE = _BESIDE.where(sa.or_(_OF_QUEUE, DELIVERIES.c.kind == Kind.BASELINE))


def claim_delivery(  # noqa: PLR0913, PLR0917  (what is passed over, kind by kind)
    connection: Connection,
    now: datetime,
    lease: timedelta,
    skip: Collection[Destination],
    unposted: Collection[Destination] = (),
    unseen: Collection[Destination] = (),
    member: Member | None = None,
    *,
    looks: bool = True,
) -> Claim | None:
    """Take the delivery that is due longest; the rules are those of `Store.claim`.

    One of several workers takes nothing once its lease has ended, leaves a channel alone to which another posts, and
    posts nothing while the notifier has asked any of them for a rest.
    Raises UnknownChannelError for one that has no pace yet.
    """
    if member is not None and not member.is_alive(connection):
        return None
    passed: list[int] = []
    spared = set(unposted)
    if member is not None and is_resting(connection, now):
        spared.add(EVERYWHERE)
    while (row := _most_due(connection, now, skip, spared, unseen, passed, looks=looks)) is not None:
        if not _is_free(connection, row):
            passed.append(row.delivery_id)
        elif (
            member
            and row.state in UNPOSTED
            and not take_channel(connection, row.destination, now, member.posts_until(now + lease))
        ):
            # Another worker posts there at present: what else waits for this channel need not be tried.
            spared.add(row.destination)
        elif (taken := _take(connection, row, now, lease, member)) is not None:
            return taken
        else:
            passed.append(row.delivery_id)
    return None


def _most_due(  # noqa: PLR0913  (the same)
    connection: Connection,
    now: datetime,
    skip: Collection[Destination],
    unposted: Collection[Destination],
    unseen: Collection[Destination],
    passed: Sequence[int],
    *,
    looks: bool,
) -> Row[Any] | None:
    spared = {"skip": skip, "unposted": unposted, "unseen": unseen, "passed": passed}
    lists = {name: filled(values) for name, values in spared.items()}
    return connection.execute(_MOST_DUE, {"now": now, "looks": looks, **lists}).one_or_none()


def _is_free(connection: Connection, row: Row[Any]) -> bool:
    """Hold the rows of its queues, so that no review changes unseen before the claim is committed."""
    queues = [row.queue_id] if row.queue_id is not None else []
    if row.kind is Kind.DIRECT:
        queues = [each.queue_id for each in connection.execute(_QUEUES_OF, {"number": row.delivery_id})]
    return all(connection.execute(_HOLD_QUEUE, {"queue": each}).one_or_none() is not None for each in queues)


def _take(
    connection: Connection, row: Row[Any], now: datetime, lease: timedelta, member: Member | None
) -> Claim | None:
    """Make a due delivery ours, as the core chooses; None where nothing was left to say and it was withdrawn."""
    choice = choose(_candidates(connection, row), now)
    for taking in choice.withdrawn:
        _write(connection, taking, now)
        _withdraw(connection, [taking.taken.place], STANDS_FOR_ALL, now)
    if choice.taking is None:
        return None
    _write(connection, choice.taking, now)
    claim = _claim(connection, choice.taking.taken, now + lease, member)
    return _with_mutes(connection, row, claim)


def _first(instants: Sequence[datetime | None]) -> datetime | None:
    """The first of the instants that several queues have; None where one of them has none."""
    found = [at for at in instants if at is not None]
    return min(found, default=None) if len(found) == len(instants) else None


def _claim(connection: Connection, taken: Candidate[int], lease_until: datetime, member: Member | None) -> Claim:
    delivery = replace(taken.delivery, lease_until=lease_until, due_at=lease_until)
    leased = {"state": State.SENDING, "lease_until": lease_until, "due_at": lease_until, "held_until": None}
    claimer = {"worker_id": member and member.worker_id, "attempted_at": delivery.attempted_at}
    # `due_at` is the end of the lease: after a crash the delivery comes up again by itself.
    connection.execute(CHANGE_DELIVERY, {"number": taken.place, **leased, **claimer})
    speaks_of, purposes = _speaks_of(connection, taken.place)
    is_direct = delivery.kind is Kind.DIRECT
    return Claim(
        delivery=delivery,
        reviews=speaks_of,
        purposes=purposes,
        total=len(speaks_of),
        waiting=sum(review.is_open for review in speaks_of),
        root=_root(connection, taken.place, delivery),
        shares=queue_shares(connection, taken.place) if delivery.kind is Kind.BASELINE else (),
        queues=queues_of_reviews(connection, taken.place) if is_direct else {},
    )


def _candidates(connection: Connection, row: Row[Any]) -> list[Candidate[int]]:
    """A due delivery and what waits beside it; the reviews are read only where there is anything beside it."""
    # What may have been posted already says what it said then: nothing is merged into it.
    beside = [] if row.state in IN_DOUBT else _beside(connection, row)
    rows = (row, *beside)
    reviews_of = _reviews_of(connection, [each.delivery_id for each in rows]) if beside else {}
    return [
        Candidate(delivery_of(each), each.delivery_id, frozenset(reviews_of.get(each.delivery_id, ()))) for each in rows
    ]


def _beside(connection: Connection, row: Row[Any]) -> Sequence[Row[Any]]:
    beside = _BESIDE_BASELINE if row.kind is Kind.BASELINE else _BESIDE_IN_QUEUE
    asked = {"queue": row.queue_id, "destination": row.destination, "number": row.delivery_id}
    found = connection.execute(beside, asked).all()
    return [each for each in found if each.queue_id == row.queue_id or _is_free(connection, each)]


def _reviews_of(connection: Connection, numbers: Sequence[int]) -> dict[int, list[int]]:
    """The reviews that deliveries speak of, by number."""
    found: dict[int, list[int]] = {}
    for some in chunks(numbers):
        query = sa.select(DELIVERY_REVIEWS.c.delivery_id, DELIVERY_REVIEWS.c.review_id)
        for number, review in connection.execute(query.where(DELIVERY_REVIEWS.c.delivery_id.in_(some), SPEAKS)):
            found.setdefault(number, []).append(review)
    return found


def _write(connection: Connection, taking: Taking[int], now: datetime) -> None:
    """Write what a delivery takes over, and what it leaves out for a later notice."""
    taken = taking.taken
    for some in chunks(each.place for each in taking.merged):
        _adopt(connection, taken.place, some)
        _withdraw(connection, some, f"merged into {taken.delivery.key}", now)
    if taking.merged:
        grown = {"mention": taken.delivery.mention, "attempts": taken.delivery.attempts}
        connection.execute(CHANGE_DELIVERY, {"number": taken.place, **grown})
        every = [taken.delivery, *(each.delivery for each in taking.merged)]
        hosts = KNOWN_QUEUES.c.host.in_([each.key for each in every])
        # New runs enter the message that goes out, and not one that has become part of it; a message about several
        # queues lists no runs, so that none can enter.
        host = taken.delivery.key if len({each.queue for each in every}) == 1 else None
        connection.execute(sa.update(KNOWN_QUEUES).where(hosts).values(host=host))
    for some in chunks(taking.left_out):
        mine = sa.update(DELIVERY_REVIEWS).where(DELIVERY_REVIEWS.c.delivery_id == taken.place)
        connection.execute(mine.where(DELIVERY_REVIEWS.c.review_id.in_(some)).values(left_out=True))


def _adopt(connection: Connection, number: int, others: Sequence[int]) -> None:
    theirs = (
        sa.select(
            sa.literal(number, sa.BigInteger),
            DELIVERY_REVIEWS.c.review_id,
            sa.false(),
            sa.func.min(DELIVERY_REVIEWS.c.purpose),
            sa.func.min(DELIVERY_REVIEWS.c.told_before),
        )
        .where(DELIVERY_REVIEWS.c.delivery_id.in_(others), SPEAKS)
        .group_by(DELIVERY_REVIEWS.c.review_id)
    )
    adopted = insert(connection.dialect, DELIVERY_REVIEWS).from_select(SPOKEN_COLUMNS, theirs)
    key = [DELIVERY_REVIEWS.c.delivery_id, DELIVERY_REVIEWS.c.review_id]
    # What was left out here, and comes back with a merged delivery, is spoken of again.
    connection.execute(adopted.on_conflict_do_update(index_elements=key, set_={"left_out": False}))


def _withdraw(connection: Connection, numbers: Sequence[int], reason: str, now: datetime) -> None:
    withdrawn = sa.update(DELIVERIES).where(DELIVERIES.c.delivery_id.in_(numbers))
    connection.execute(withdrawn.values(state=State.WITHDRAWN, last_error=reason, settled_at=now, edit_at=None))


_SPEAKS_OF = (
    sa.select(*REVIEW_COLUMNS, DELIVERY_REVIEWS.c.purpose)
    .join_from(DELIVERY_REVIEWS, REVIEWS)
    .where(DELIVERY_REVIEWS.c.delivery_id == sa.bindparam("number"), SPEAKS)
    .order_by(*LISTED_FIRST)
)


def _speaks_of(connection: Connection, number: int) -> tuple[tuple[Review, ...], dict[ReviewKey, Kind]]:
    """The reviews that a delivery speaks of, oldest first, and what those are for that have a purpose of their own."""
    found = [(Review(*row[:-1]), row[-1]) for row in connection.execute(_SPEAKS_OF, {"number": number})]
    return tuple(review for review, _ in found), {review.key: purpose for review, purpose in found if purpose}


_OF_ITS_QUEUES = KNOWN_QUEUES.c.queue_id == REVIEWS.c.queue_id
_SPOKEN_IN = (DELIVERY_REVIEWS.c.delivery_id == sa.bindparam("number"), SPEAKS)
_QUEUES_OF = (
    sa.select(KNOWN_QUEUES.c.queue_id, KNOWN_QUEUES.c.completed_at, KNOWN_QUEUES.c.muted_until)
    .distinct()
    .join_from(DELIVERY_REVIEWS, REVIEWS)
    .join(KNOWN_QUEUES, _OF_ITS_QUEUES)
    .where(*_SPOKEN_IN)
)
_QUEUE_OF_EACH = (
    sa.select(REVIEWS.c.queue_run_id, REVIEWS.c.added_at, *KNOWN_QUEUES.c)
    .join_from(DELIVERY_REVIEWS, REVIEWS)
    .join(KNOWN_QUEUES, _OF_ITS_QUEUES)
    .where(*_SPOKEN_IN)
)


def queues_of_reviews(connection: Connection, number: int) -> dict[ReviewKey, Queue]:
    """The queue of each review that a direct message speaks of."""
    rows = connection.execute(_QUEUE_OF_EACH, {"number": number})
    known: dict[Id, Queue] = {}
    return {ReviewKey(row.queue_run_id, row.added_at): known.setdefault(row.queue_id, queue_of(row)) for row in rows}


def queue_shares(connection: Connection, number: int) -> tuple[QueueShare, ...]:
    """What each queue has in a baseline, by name; empty where it speaks of one queue alone."""
    query: sa.Select[Any] = (
        sa.select(
            *KNOWN_QUEUES.c,
            sa.func.count().label("total"),
            sa.func.count().filter(REVIEWS.c.closed_at.is_(None)).label("waiting"),
            sa.func.min(REVIEWS.c.since).filter(REVIEWS.c.closed_at.is_(None)).label("oldest_since"),
        )
        .join_from(DELIVERY_REVIEWS, REVIEWS)
        .join(KNOWN_QUEUES, KNOWN_QUEUES.c.queue_id == REVIEWS.c.queue_id)
        .where(DELIVERY_REVIEWS.c.delivery_id == number, SPEAKS)
        .group_by(*KNOWN_QUEUES.c)
        .order_by(KNOWN_QUEUES.c.name, KNOWN_QUEUES.c.queue_id)
    )
    rows = connection.execute(query).all()
    shares = (QueueShare(queue_of(row), row.waiting, row.total, row.oldest_since) for row in rows)
    return tuple(shares) if len(rows) > 1 else ()


_MINE, _ITS = DELIVERY_REVIEWS.alias("mine"), DELIVERY_REVIEWS.alias("its")
# Run by run the first such message, which is nearly always the first of all about it: not all that are about any.
_FIRST_ABOUT_RUN = (
    sa.select(_ITS.c.delivery_id)
    .join(DELIVERIES, DELIVERIES.c.delivery_id == _ITS.c.delivery_id)
    .where(_ITS.c.review_id == _MINE.c.review_id, _ITS.c.left_out.is_(sa.false()), _OF_QUEUE, IS_SENT)
    .where(DELIVERIES.c.destination == sa.bindparam("destination"), DELIVERIES.c.remind_in == RemindIn.CHANNEL)
    .where(DELIVERIES.c.receipt_ts.is_not(None))
    .order_by(_ITS.c.delivery_id)
    .limit(1)
    .correlate(_MINE)
    .scalar_subquery()
)
_ROOT = sa.select(DELIVERIES.c.receipt_channel, DELIVERIES.c.receipt_ts).where(
    DELIVERIES.c.delivery_id
    == sa.select(sa.func.min(_FIRST_ABOUT_RUN))
    .where(_MINE.c.delivery_id == sa.bindparam("number"), _MINE.c.left_out.is_(sa.false()))
    .scalar_subquery()
)


def _root(connection: Connection, number: int, delivery: Delivery) -> Receipt | None:
    """The oldest message in the channel itself, not in a thread, that concerns a run of this delivery."""
    if delivery.remind_in is RemindIn.CHANNEL or delivery.queue is None:
        return None
    where = {"queue": delivery.queue.queue_id, "destination": delivery.destination}
    receipt = connection.execute(_ROOT, {"number": number, **where}).one_or_none()
    return receipt and Receipt(*receipt)


def live_deliveries(connection: Connection) -> list[Claim]:
    """Every live delivery in the order of the outbox, with what is known of its runs; nothing is claimed."""
    rows = connection.execute(SELECT_DELIVERIES.where(IS_LIVE).order_by(DELIVERIES.c.delivery_id)).all()
    return [_with_mutes(connection, row, _as_it_is(connection, row)) for row in rows]


def _with_mutes(connection: Connection, row: Row[Any], claim: Claim) -> Claim:
    """A claim with when its queues were polled, and until when they are muted."""
    if row.kind is not Kind.DIRECT:
        return replace(claim, polled_at=row.polled_at, muted_until=row.muted_until)
    queues = connection.execute(_QUEUES_OF, {"number": row.delivery_id}).all()
    return replace(
        claim,
        # The one that was polled longest ago, and the mute that ends first: see `Claim`.
        polled_at=_first([each.completed_at for each in queues]),
        muted_until=_first([each.muted_until for each in queues]),
        mutes={each.queue_id: each.muted_until for each in queues if each.muted_until is not None},
    )


def _as_it_is(connection: Connection, row: Row[Any]) -> Claim:
    speaks_of, purposes = _speaks_of(connection, row.delivery_id)
    if row.kind is not Kind.DIRECT:
        return Claim(delivery_of(row), speaks_of)
    queues = queues_of_reviews(connection, row.delivery_id)
    return Claim(delivery_of(row), speaks_of, purposes=purposes, queues=queues)
