"""Direct messages: reading what they are decided on, and writing what was decided, in one transaction."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from worker.core.direct import Desk
from worker.core.direct_inbox import Spoken
from worker.core.model import Entry, Kind, Review, Window
from worker.core.outbox import entry_of
from worker.core.owed import Delivery, State
from worker.stores.acts import mutes
from worker.stores.budgets import hold_inbox, note_pings
from worker.stores.columns import At
from worker.stores.database import chunks, insert, lists
from worker.stores.outbox import (
    CHANGE_DELIVERY,
    IS_SENT,
    SELECT_DELIVERIES,
    SPEAKS,
    delivery_of,
    hold_host,
    in_state,
    owe_delivery,
)
from worker.stores.reviews import REVIEW_COLUMNS, SELECT_QUEUE, hold_queue, revise_queue
from worker.stores.schema import (
    CALLS,
    DELIVERIES,
    DELIVERY_REVIEWS,
    INBOXES,
    IS_OPEN,
    IS_PASSED,
    KNOWN_QUEUES,
    REVIEWS,
    TURNS,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy.engine import Connection

    from worker.core.direct import DirectNotice, DirectPlan, Entered
    from worker.core.direct_inbox import About
    from worker.core.model import Id

LATELY = timedelta(days=3)
"""Messages before this ago called nobody today, whatever the zone."""

_OF_QUEUE = REVIEWS.c.queue_id == sa.bindparam("queue")
# Held against polls, so that what an edit is owed for is not changed unseen meanwhile.
_HOLD_QUEUE = SELECT_QUEUE.with_for_update(read=True)
_OPEN = sa.select(*REVIEW_COLUMNS, REVIEWS.c.review_id).where(_OF_QUEUE, IS_OPEN)
_NUMBERS_PASSED = sa.select(DELIVERY_REVIEWS.c.review_id).where(IS_PASSED)
# All of a large queue need not be read where most are none of the owner's business.
_OWNERS = _OPEN.where(sa.or_(REVIEWS.c.reminded > 0, REVIEWS.c.review_id.in_(_NUMBERS_PASSED)))
# Passed on once the message is up that could not call anybody.
_PASSED = (
    sa.select(DELIVERY_REVIEWS.c.delivery_id, DELIVERY_REVIEWS.c.review_id, DELIVERY_REVIEWS.c.passed_at)
    .join_from(DELIVERY_REVIEWS, DELIVERIES)
    .where(IS_PASSED, SPEAKS, IS_SENT)
)
_PASS_NO_MORE = (
    sa.update(DELIVERY_REVIEWS)
    .where(IS_PASSED, DELIVERY_REVIEWS.c.review_id == sa.bindparam("of"))
    .values(passed_at=None)
)
_HEARD = (
    # Behind the first two in the order of Spoken's fields.
    sa.select(
        TURNS.c.reader,
        TURNS.c.review_id,
        TURNS.c.since,
        TURNS.c.told_at,
        TURNS.c.reminded,
        TURNS.c.generation,
        TURNS.c.called_by,
    )
    .join_from(TURNS, REVIEWS)
    .where(_OF_QUEUE, IS_OPEN)
)
# Few rows each, which are read first: joined, all that was ever sent might be read for them.
_HOSTS = sa.select(INBOXES.c.reader, INBOXES.c.opened_at, INBOXES.c.host).where(INBOXES.c.host.is_not(None))
_OF_KEYS = DELIVERIES.c.key.in_(sa.bindparam("some", expanding=True))
_LIVING = SELECT_DELIVERIES.where(_OF_KEYS).with_for_update(of=DELIVERIES)
_STATES = (
    sa.select(DELIVERIES.c.delivery_id, DELIVERIES.c.state, DELIVERIES.c.edit_until)
    .where(_OF_KEYS)
    .order_by(DELIVERIES.c.delivery_id)
)
_PINGS = sa.select(CALLS.c.delivery_id, CALLS.c.called, CALLS.c.posted_at).where(
    CALLS.c.posted_at >= sa.bindparam("since", type_=At())
)
_NEVER_POSTED = sa.select(DELIVERIES.c.delivery_id).where(
    DELIVERIES.c.delivery_id.in_(sa.bindparam("some", expanding=True)), in_state(State.WITHDRAWN, State.DEAD)
)
_IS_BEGUN = KNOWN_QUEUES.c.direct_since.is_not(None)
_IS_HEARD = sa.exists().where(TURNS.c.review_id == REVIEWS.c.review_id, TURNS.c.told_at.is_not(None))
# The channel was spared of these for messages that never called anybody: now they are new to it.
_UNSAY = (
    sa.update(REVIEWS)
    .where(_OF_QUEUE, IS_OPEN, REVIEWS.c.told_at.is_not(None), REVIEWS.c.generation == 0, ~_IS_HEARD)
    .values(told_at=None)
)


def stirred(connection: Connection, queue_ids: Collection[Id]) -> object:
    """A value that is another one once something has changed that direct messages follow from."""
    columns = (KNOWN_QUEUES.c.queue_id, KNOWN_QUEUES.c.written, KNOWN_QUEUES.c.revision, KNOWN_QUEUES.c.reviewers)
    queues = sa.select(*columns).where(KNOWN_QUEUES.c.queue_id.in_(queue_ids)).order_by(KNOWN_QUEUES.c.queue_id)
    keys = [row.host for row in connection.execute(_HOSTS)]
    hosts = [tuple(row) for some in lists(keys) for row in connection.execute(_STATES, {"some": some})]
    # Sorted here: an order asked of the database is found in all that is kept, and not in the few that are passed on.
    passed = sorted(tuple(row) for row in connection.execute(_PASSED))
    return [tuple(row) for row in connection.execute(queues)], hosts, passed


def direct(
    connection: Connection,
    queue_ids: Collection[Id],
    decide: Callable[[Desk], DirectPlan],
    now: datetime,
    owners: Collection[Id],
) -> DirectPlan:
    """Decide on direct messages and write that down; the rules are those of `Inboxes.direct`."""
    # One look at a time, whichever worker makes it.
    hold_inbox(connection, "")
    for queue_id in sorted(queue_ids, key=str):
        connection.execute(_HOLD_QUEUE, {"queue": queue_id}).all()
    numbers: dict[About, int] = {}
    plan = decide(_desk(connection, queue_ids, owners, numbers, now))
    _begin(connection, plan.begun, now)
    _write_spoken(connection, plan.spoken, numbers)
    for notice in plan.notices:
        _owe(connection, notice, numbers, now)
    for entered in plan.entered:
        _enter(connection, entered, numbers, now)
    for about in plan.heard:
        connection.execute(_PASS_NO_MORE, {"of": numbers[about]})
    return plan


def _desk(
    connection: Connection,
    queue_ids: Collection[Id],
    owners: Collection[Id],
    numbers: dict[About, int],
    now: datetime,
) -> Desk:
    reviews: dict[Id, Sequence[Review]] = {}
    spoken: dict[tuple[str, About], Spoken] = {}
    about: dict[int, About] = {}
    for queue_id in queue_ids:
        query = _OWNERS if queue_id in owners else _OPEN
        rows = [(Review(*row[:-1]), row[-1]) for row in connection.execute(query, {"queue": queue_id})]
        about |= {number: (queue_id, review.key) for review, number in rows}
        reviews[queue_id] = [review for review, _ in rows]
        for reader, number, *heard in connection.execute(_HEARD, {"queue": queue_id}):
            if number in about:
                spoken[reader, about[number]] = Spoken(*heard)
    numbers |= {key: number for number, key in about.items()}
    begun = connection.execute(sa.select(KNOWN_QUEUES.c.queue_id).where(_IS_BEGUN)).scalars()
    passed = {about[row.review_id] for row in connection.execute(_PASSED) if row.review_id in about}
    windows, pings = _windows(connection, now), _pings(connection, now)
    return Desk(reviews, frozenset(begun), spoken, windows, pings, mutes(connection), passed)


def _windows(connection: Connection, now: datetime) -> Mapping[str, Window]:
    """What the last message to each reader opened; one whose delivery is forgotten cannot be edited any more."""
    hosts = connection.execute(_HOSTS).all()
    keys = [row.host for row in hosts]
    rows = (row for some in lists(keys) for row in connection.execute(_LIVING, {"some": some}))
    entries = {row.key: entry_of(delivery_of(row), now) for row in rows}
    return {row.reader: Window(row.opened_at, row.host, entries.get(row.host, Entry.NEVER)) for row in hosts}


def _pings(connection: Connection, now: datetime) -> Mapping[str, Sequence[datetime]]:
    """When messages have called each reader lately, or may have."""
    rows = connection.execute(_PINGS, {"since": now - LATELY}).all()
    numbers = {row.delivery_id for row in rows}
    never = {one for some in lists(numbers) for one in connection.execute(_NEVER_POSTED, {"some": some}).scalars()}
    found: dict[str, list[datetime]] = {}
    for number, called, posted_at in rows:
        if number not in never:
            found.setdefault(called, []).append(posted_at)
    return found


def _begin(connection: Connection, begun: Collection[Id], now: datetime) -> None:
    """Remember of which queues people are notified directly from now on, and of which no more."""
    mine = KNOWN_QUEUES.c.queue_id.in_(begun)
    connection.execute(sa.update(KNOWN_QUEUES).where(mine, ~_IS_BEGUN).values(direct_since=now))
    ended = connection.execute(sa.select(KNOWN_QUEUES.c.queue_id).where(~mine, _IS_BEGUN)).scalars().all()
    for queue_id in sorted(ended, key=str):
        hold_queue(connection, queue_id)
        connection.execute(_UNSAY, {"queue": queue_id})
        revise_queue(connection, queue_id)
    connection.execute(sa.update(KNOWN_QUEUES).where(~mine, _IS_BEGUN).values(direct_since=None))


def _write_spoken(
    connection: Connection, spoken: Mapping[tuple[str, About], Spoken], numbers: Mapping[About, int]
) -> None:
    said = ("since", "told_at", "reminded", "generation", "called_by")
    for some in chunks(spoken.items()):
        rows = [
            {"reader": reader, "review_id": numbers[about], **{name: getattr(heard, name) for name in said}}
            for (reader, about), heard in some
        ]
        written = insert(connection.dialect, TURNS)
        news = {name: getattr(written.excluded, name) for name in said}
        connection.execute(written.on_conflict_do_update(index_elements=["review_id", "reader"], set_=news), rows)


def _owe(connection: Connection, notice: DirectNotice, numbers: Mapping[About, int], now: datetime) -> None:
    delivery = Delivery(
        key=notice.key,
        kind=Kind.DIRECT,
        destination=notice.destination,
        created_at=now,
        due_at=now,
        reader=notice.reader,
    )
    if owe_delivery(connection, delivery):
        number = hold_host(connection, notice.key, now)[0]
        _speak_of(connection, number, notice.runs, numbers)
        # Until it is posted it counts as posted now: no other message may be promised what this one spends.
        note_pings(connection, number, [notice.destination.place], now)
    hold_inbox(connection, notice.reader)
    opened = {"opened_at": now, "host": notice.key}
    connection.execute(sa.update(INBOXES).where(INBOXES.c.reader == notice.reader).values(opened))


def _enter(connection: Connection, entered: Entered, numbers: Mapping[About, int], now: datetime) -> None:
    """Let a message show more: an edit is owed at once where it is up and does not speak of them yet."""
    number, _, soon = hold_host(connection, entered.host, now)
    if _speak_of(connection, number, entered.runs, numbers, soon):
        connection.execute(CHANGE_DELIVERY, {"number": number, "edit_at": soon})


def _speak_of(
    connection: Connection,
    number: int,
    runs: Iterable[tuple[About, Kind]],
    numbers: Mapping[About, int],
    entered_at: datetime | None = None,
) -> int:
    """Let a delivery speak of runs; how many of them it did not speak of before."""
    added = 0
    fixed = {"left_out": False, "entered_at": entered_at}
    for some in chunks(runs):
        rows = [{"delivery_id": number, "review_id": numbers[about], "purpose": kind, **fixed} for about, kind in some]
        spoken: Any = insert(connection.dialect, DELIVERY_REVIEWS)
        # What was left out, as another's turn, and is the reader's again.
        spoken = spoken.on_conflict_do_update(
            index_elements=["delivery_id", "review_id"],
            set_=fixed,
            where=DELIVERY_REVIEWS.c.left_out.is_(sa.true()),
        )
        added += connection.execute(spoken.execution_options(preserve_rowcount=True), rows).rowcount
    return added


_CALLED_BY = sa.update(TURNS).where(TURNS.c.called_by == sa.bindparam("key")).values(told_at=None)
_LEFT_OUT = sa.select(DELIVERY_REVIEWS.c.review_id).where(
    DELIVERY_REVIEWS.c.delivery_id == sa.bindparam("number"), DELIVERY_REVIEWS.c.left_out.is_(sa.true())
)


def take_back(connection: Connection, number: int, after: Delivery) -> None:
    """Let a reader not count as called for what a message does not speak of after all: it may be the reader's again."""
    if after.state is State.WITHDRAWN:
        connection.execute(_CALLED_BY, {"key": after.key})
    else:
        connection.execute(_CALLED_BY.where(TURNS.c.review_id.in_(_LEFT_OUT)), {"key": after.key, "number": number})
