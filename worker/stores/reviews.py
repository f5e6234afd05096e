"""Queues and their reviews, read and written inside a transaction that somebody else began."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from msgspec import structs
from msgspec.structs import replace

from worker.core.history import hour_of, learned_hours, marks
from worker.core.model import Polled, Queue, QueueTotals, Review, ReviewKey
from worker.core.owed import State
from worker.stores.columns import At, Reviewers
from worker.stores.database import chunks, insert, insert_many, lists
from worker.stores.history import add_hours
from worker.stores.people import without_forgotten
from worker.stores.schema import DELIVERIES, DELIVERY_REVIEWS, IS_LIVE, IS_OPEN, KNOWN_QUEUES, REVIEWS, TURNS

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy.engine import Connection, Row

    from worker.core.history import Hour, Measure
    from worker.core.model import Acts, Facts, Fate, Id, Who
    from worker.core.plan import Plan

# In the order of Review's fields, so that a row becomes a Review as it is.
REVIEW_COLUMNS = (
    REVIEWS.c.queue_run_id,
    REVIEWS.c.added_at,
    REVIEWS.c.run_id,
    REVIEWS.c.since,
    REVIEWS.c.first_seen_at,
    REVIEWS.c.told_at,
    REVIEWS.c.generation,
    REVIEWS.c.back,
    REVIEWS.c.reserved,
    REVIEWS.c.done,
    REVIEWS.c.facts,
    REVIEWS.c.absent_at,
    REVIEWS.c.closed_at,
    REVIEWS.c.fate,
    REVIEWS.c.who,
    REVIEWS.c.acts,
    REVIEWS.c.reminded,
    REVIEWS.c.traits,
    REVIEWS.c.left_out,
    REVIEWS.c.rank,
    REVIEWS.c.expires_at,
)
OLDEST_FIRST = (REVIEWS.c.since, REVIEWS.c.queue_run_id, REVIEWS.c.added_at)
LISTED_FIRST = (REVIEWS.c.rank, *OLDEST_FIRST)
"""The order in which messages list runs."""

SHOWN = REVIEWS.c.left_out == ""
"""That no filter keeps a run from people."""

IS_CLOSED = REVIEWS.c.closed_at.is_not(None)

# Built once: building a statement costs more than running it.
_MINE = REVIEWS.c.queue_id == sa.bindparam("queue")
_SOME = REVIEWS.c.queue_run_id.in_(sa.bindparam("some", expanding=True))
_NUMBERED = REVIEWS.c.review_id == sa.bindparam("number")
_SELECT_OPEN = sa.select(*REVIEW_COLUMNS).where(_MINE, IS_OPEN)
_SELECT_CLOSED = sa.select(*REVIEW_COLUMNS).where(_MINE, IS_CLOSED, _SOME)
_SELECT_SOME = sa.select(*REVIEW_COLUMNS, REVIEWS.c.review_id).where(_MINE, _SOME)
_SELECT_NUMBERS = sa.select(REVIEWS.c.queue_run_id, REVIEWS.c.added_at, REVIEWS.c.review_id).where(_MINE, _SOME)
_SELECT_LEFT = (
    sa.select(*REVIEW_COLUMNS, REVIEWS.c.review_id)
    .where(_MINE, IS_CLOSED, _SOME)
    .order_by(REVIEWS.c.closed_at, REVIEWS.c.added_at)
)
_SELECT_FACTS = sa.select(REVIEWS.c.queue_run_id, REVIEWS.c.review_id, REVIEWS.c.facts).where(_MINE, IS_OPEN, _SOME)
_INSERTED = ("queue_id", *Review.__struct_fields__)
_UPDATE = sa.update(REVIEWS).where(_NUMBERED)
SELECT_QUEUE = sa.select(KNOWN_QUEUES).where(KNOWN_QUEUES.c.queue_id == sa.bindparam("queue"))
CHANGE_QUEUE = sa.update(KNOWN_QUEUES).where(KNOWN_QUEUES.c.queue_id == sa.bindparam("queue"))
"""Changes one queue, by its id as `queue`, to the other parameters."""

_REVISE = CHANGE_QUEUE.values(revision=KNOWN_QUEUES.c.revision + 1)
# All who write a queue's reviews hold its row, so that a plan never rests on reviews that another is writing. With
# `key_share` rows that only refer to the queue may be added meanwhile.
_HOLD = SELECT_QUEUE.with_for_update(key_share=True)
# In one order, so that two workers never wait for each other in a circle.
_HOLD_SOME = (
    sa.select(KNOWN_QUEUES)
    .where(KNOWN_QUEUES.c.queue_id.in_(sa.bindparam("some", expanding=True)))
    .order_by(KNOWN_QUEUES.c.queue_id)
    .with_for_update(key_share=True)
)


def recall_reviews(connection: Connection, queue_id: Id, keys: Collection[Id], *, is_known: bool) -> list[Review]:
    """Read a queue's open reviews, and the closed ones of `keys`.

    Before its baseline (`is_known` is False) none is closed unless others wait for that.
    """
    found = [Review(*row) for row in connection.execute(_SELECT_OPEN, {"queue": queue_id})]
    for some in lists(keys) if is_known or found else ():
        found += [Review(*row) for row in connection.execute(_SELECT_CLOSED, {"queue": queue_id, "some": some})]
    return found


def recall_some(connection: Connection, queue_id: Id, keys: Collection[Id]) -> dict[int, Review]:
    """Read every stay of the runs of `keys`, open or closed, by the numbers of their rows."""
    asked = ({"queue": queue_id, "some": some} for some in lists(keys))
    rows = (row for each in asked for row in connection.execute(_SELECT_SOME, each))
    return {number: Review(*values) for *values, number in rows}


def write_reviews(
    connection: Connection, queue_id: Id, altered: Collection[Review], known: Mapping[ReviewKey, int] | None = None
) -> list[int]:
    """Write reviews, and give the numbers of those that existed before.

    `known` has the number of each that exists, where that is known already; else it is looked up.
    """
    if known is None:
        known = review_numbers(connection, queue_id, [review.key for review in altered])
    if not known:
        # A first sight, whose reviews are made one by one as they are written.
        _insert(connection, queue_id, altered)
        return []
    replaced = [review for review in altered if review.key in known]
    _insert(connection, queue_id, [review for review in altered if review.key not in known])
    _replace(connection, known, replaced)
    return [known[review.key] for review in replaced]


def review_numbers(connection: Connection, queue_id: Id, keys: Collection[ReviewKey]) -> dict[ReviewKey, int]:
    """The numbers of the rows of these reviews, as far as there are any."""
    asked = ({"queue": queue_id, "some": some} for some in lists({key.queue_run_id for key in keys}))
    rows = (row for each in asked for row in connection.execute(_SELECT_NUMBERS, each))
    found = {ReviewKey(queue_run_id, added_at): number for queue_run_id, added_at, number in rows}
    return {key: found[key] for key in keys if key in found}


def _insert(connection: Connection, queue_id: Id, new: Iterable[Review]) -> None:
    for some in chunks(new):
        insert_many(connection, REVIEWS, _INSERTED, [(queue_id, *structs.astuple(review)) for review in some])


def _replace(connection: Connection, known: Mapping[ReviewKey, int], altered: Sequence[Review]) -> None:
    for some in chunks(altered):
        connection.execute(_UPDATE, [{"number": known[review.key], **_beside_the_key(review)} for review in some])


def _beside_the_key(review: Review) -> dict[str, Any]:
    values = structs.asdict(review)
    # Writing a key that stays as it is would make the database look after its indexes.
    del values["queue_run_id"], values["added_at"]
    return values


def describe_reviews(connection: Connection, queue_id: Id, facts: Mapping[Id, Facts]) -> list[int]:
    """Note what is known of open reviews now; the numbers of those for which that is news."""
    asked = ({"queue": queue_id, "some": some} for some in lists(facts))
    rows = (row for each in asked for row in connection.execute(_SELECT_FACTS, each))
    news = {number: facts[queue_run_id] for queue_run_id, number, was in rows if facts[queue_run_id] != was}
    for some in chunks(news):
        connection.execute(_UPDATE, [{"number": number, "facts": news[number]} for number in some])
    return list(news)


def learn_fates(
    connection: Connection, queue_id: Id, left: Mapping[Id, Fate], measure: Measure
) -> tuple[list[int], Mapping[datetime, Hour]]:
    """Note how the latest closed stay of each run ended; the numbers of those for which that is news.

    The second value is what their hours gain by it.
    """
    latest = _latest_closed(connection, queue_id, left)
    news = {number: review for number, review in latest.items() if review.fate is not left[review.queue_run_id]}
    for some in chunks(news):
        values = [{"number": number, "fate": left[news[number].queue_run_id]} for number in some]
        connection.execute(_UPDATE, values)
    return list(news), learned_hours(news.values(), left, measure)


def _latest_closed(connection: Connection, queue_id: Id, left: Mapping[Id, Fate]) -> Mapping[int, Review]:
    asked = ({"queue": queue_id, "some": some} for some in lists(left))
    rows = (row for each in asked for row in connection.execute(_SELECT_LEFT, each))
    # In the order in which they ended: of each run the last row remains.
    latest = {row.queue_run_id: row for row in rows}
    return {row.review_id: Review(*row[:-1]) for row in latest.values()}


# Asked for each message: building these statements costs more than running them. No run has waited since before NULL.
_STANDING = sa.select(
    sa.func.count().filter(SHOWN).label("waiting"),
    sa.func.count().filter(SHOWN, REVIEWS.c.since <= sa.bindparam("stale_before", type_=At())).label("stale"),
    sa.func.count().filter(SHOWN, REVIEWS.c.reserved).label("reserved"),
    sa.func.min(REVIEWS.c.since).filter(SHOWN).label("oldest_since"),
    sa.func.count().filter(sa.not_(SHOWN)).label("left_out"),
    sa.func.count()
    .filter(SHOWN, REVIEWS.c.expires_at <= sa.bindparam("expiring_before", type_=At()))
    .label("expiring"),
    sa.func.min(REVIEWS.c.expires_at).filter(SHOWN).label("expires_at"),
).where(REVIEWS.c.queue_id == sa.bindparam("queue"), IS_OPEN)
_OWED = sa.select(sa.func.count()).where(DELIVERIES.c.queue_id == sa.bindparam("queue"))
_UNDELIVERED, _DEAD = _OWED.where(IS_LIVE), _OWED.where(DELIVERIES.c.state == State.DEAD)


def queue_standing(
    connection: Connection, queue_id: Id, stale_before: datetime | None, expiring_before: datetime | None
) -> QueueTotals:
    """Count a queue's open reviews and what is owed or dead about it."""
    asked = {"queue": queue_id}
    bounds = {"stale_before": stale_before, "expiring_before": expiring_before}
    mine = connection.execute(_STANDING, asked | bounds).one()
    return QueueTotals(
        waiting=mine.waiting,
        stale=mine.stale,
        reserved=mine.reserved,
        oldest_since=mine.oldest_since,
        undelivered=connection.execute(_UNDELIVERED, asked).scalar_one(),
        dead=connection.execute(_DEAD, asked).scalar_one(),
        left_out=mine.left_out,
        expiring=mine.expiring,
        expires_at=mine.expires_at,
    )


def lock_queue(connection: Connection, queue: Queue) -> Row[Any]:
    """Make sure of the queue's row and hold it to the end of the transaction; the row as it was."""
    row = hold_queue(connection, queue.queue_id)
    if row is None:
        # Another may make it at the same moment; then its row is the one to hold.
        values = _new(without_forgotten(connection, queue))
        connection.execute(_new_queue(connection.dialect), values)
        row = hold_queue(connection, queue.queue_id)
    if row is None:
        raise AssertionError  # it was just made, and queues are never forgotten
    _rename(connection, row, queue)
    return row


@lru_cache
def _new_queue(dialect: sa.Dialect) -> sa.Insert:
    return insert(dialect, KNOWN_QUEUES).on_conflict_do_nothing()


def hold_queue(connection: Connection, queue_id: Id) -> Row[Any] | None:
    """Hold a queue's row to the end of the transaction; None where the queue was never seen."""
    return connection.execute(_HOLD, {"queue": queue_id}).one_or_none()


def revise_queue(connection: Connection, queue_id: Id) -> None:
    """Count an act on the queue's reviews. The queue's row is held already."""
    connection.execute(_REVISE, {"queue": queue_id})


def conclude_poll(connection: Connection, row: Row[Any], plan: Plan, now: datetime) -> None:
    """Remember what a decision says of the queue itself: its first sight, the listing that was read, the window."""
    news = {"baselined_at": row.baselined_at, "listing": plan.listing or row.listing}
    if plan.is_baselined and row.baselined_at is None:
        news["baselined_at"] = now
    # Most polls find the same listing again, and write nothing.
    is_news = news != {"baselined_at": row.baselined_at, "listing": row.listing}
    if plan.opened is not None:
        news |= {"announced_at": plan.opened.opened_at, "host": plan.opened.host}
    if plan.reviews:
        # For those who look at the reviews at other times.
        news["written"] = row.written + 1
    if is_news or plan.opened is not None or plan.reviews:
        connection.execute(CHANGE_QUEUE, {"queue": row.queue_id, **news})


def note_every_poll(
    connection: Connection, every: Sequence[Polled], stale_before: Callable[[Queue, datetime], datetime | None]
) -> Mapping[Id, int]:
    """Remember how the polls of queues stand; their revisions."""
    ids = (polled.queue.queue_id for polled in every)
    rows = {row.queue_id: row for some in lists(ids) for row in connection.execute(_HOLD_SOME, {"some": some})}
    for polled in every:
        row = rows.get(polled.queue.queue_id) or lock_queue(connection, polled.queue)
        rows[row.queue_id] = row
        _rename(connection, row, polled.queue)
        _mark_hour(connection, row, polled, stale_before)
    if every:
        connection.execute(CHANGE_QUEUE, [_noted(rows[polled.queue.queue_id], polled) for polled in every])
    return {queue_id: row.revision for queue_id, row in rows.items()}


def _noted(row: Row[Any], polled: Polled) -> dict[str, Any]:
    return {
        "queue": row.queue_id,
        "failing_since": polled.failing_since,
        "error": polled.error,
        "trouble": polled.trouble,
        # A poll that failed leaves the time of the last one that did not.
        "completed_at": polled.completed_at or row.completed_at,
    }


def _mark_hour(
    connection: Connection, row: Row[Any], polled: Polled, stale_before: Callable[[Queue, datetime], datetime | None]
) -> None:
    """Write that the hour of the last complete poll was seen, once an hour."""
    at, before = polled.completed_at, row.completed_at
    if at is None or (before is not None and hour_of(before) >= hour_of(at)):
        return
    bounds = {"stale_before": stale_before(polled.queue, hour_of(at)), "expiring_before": None}
    asked = {"queue": row.queue_id, **bounds}
    mine = connection.execute(_STANDING, asked).one()
    add_hours(connection, row.queue_id, marks(at, before, QueueTotals(mine.waiting, mine.stale)))


def every_poll(connection: Connection) -> Sequence[Polled]:
    """How the polls of every queue stand, by name."""
    found = [
        Polled(
            queue=queue_of(row),
            baselined_at=row.baselined_at,
            completed_at=row.completed_at,
            failing_since=row.failing_since,
            error=row.error,
            trouble=row.trouble or "",
        )
        for row in connection.execute(sa.select(KNOWN_QUEUES))
    ]
    # Sorted here, since every database sorts letters in its own way.
    return sorted(found, key=lambda polled: (polled.queue.name, str(polled.queue.queue_id)))


def queue_of(row: Row[Any]) -> Queue:
    """Build a queue from a row that holds its columns."""
    access, assigned = row.reviewers
    return Queue(row.queue_id, row.name, row.url, row.reviewers_per_run, access, assigned, row.disagreed)


def _new(queue: Queue) -> dict[str, Any]:
    return {"queue_id": queue.queue_id, **_shown(queue), "error": ""}


def _shown(queue: Queue) -> dict[str, Any]:
    return {
        "name": queue.name,
        "url": queue.url,
        "reviewers_per_run": queue.reviewers_per_run,
        "reviewers": Reviewers(queue.access, queue.assigned),
        "disagreed": queue.disagreed,
    }


def _rename(connection: Connection, row: Row[Any], queue: Queue) -> None:
    """Follow what the source shows now; a queue known by its id alone shows no more than link and counts."""
    known = queue_of(row)
    # The link and the count come from the listing itself, also where the server has no names.
    shown = known if queue.name == str(queue.queue_id) else queue
    counted = row.disagreed if queue.disagreed is None else queue.disagreed
    shown = replace(shown, url=queue.url or row.url, disagreed=counted)
    if shown == known:
        return
    shown = without_forgotten(connection, shown)
    if shown == known:
        return
    connection.execute(CHANGE_QUEUE, {"queue": queue.queue_id, **_shown(shown)})


def by_ids(connection: Connection, ids: Collection[Id]) -> Sequence[Id]:
    """The queue runs with one of these ids, be it their own or their run's."""
    query = sa.select(REVIEWS.c.queue_run_id).where(REVIEWS.c.queue_run_id.in_(ids) | REVIEWS.c.run_id.in_(ids))
    return _once(connection, query)


def by_post(connection: Connection, channel: str, ts: str) -> Sequence[Id]:
    """The queue runs of which a posted message speaks."""
    query = (
        sa.select(REVIEWS.c.queue_run_id)
        .join(DELIVERY_REVIEWS, DELIVERY_REVIEWS.c.review_id == REVIEWS.c.review_id)
        .join(DELIVERIES, DELIVERIES.c.delivery_id == DELIVERY_REVIEWS.c.delivery_id)
        .where(DELIVERIES.c.receipt_ts == ts, DELIVERIES.c.receipt_channel == channel)
    )
    return _once(connection, query)


def by_part(connection: Connection, part: str, most: int) -> Sequence[Id]:
    """The queue runs whose name holds `part`, or whose id or run's id begins with it; the newest, at most so many."""
    query = sa.select(REVIEWS.c.queue_run_id, REVIEWS.c.run_id, REVIEWS.c.facts).order_by(REVIEWS.c.review_id.desc())
    sought = part.casefold()
    found: dict[Id, None] = {}
    # Compared here: SQLite folds the case of ASCII alone, and names lie within JSON.
    for row in connection.execute(query):
        if len(found) >= most:
            break
        begins = any(str(each).casefold().startswith(sought) for each in (row.queue_run_id, row.run_id))
        if begins or sought in row.facts.name.casefold():
            found[row.queue_run_id] = None
    return list(found)


def open_reviews(connection: Connection, queue_id: Id) -> Sequence[Review]:
    """A queue's open reviews, oldest first."""
    return sorted(
        recall_reviews(connection, queue_id, (), is_known=True),
        key=lambda review: (review.since, str(review.queue_run_id)),
    )


_OLDEST = _SELECT_OPEN.where(SHOWN).order_by(*OLDEST_FIRST).limit(sa.bindparam("most")).offset(sa.bindparam("past"))
_ALIKE = (
    sa.select(REVIEWS.c.who, REVIEWS.c.acts, REVIEWS.c.done, sa.func.count(), sa.func.min(REVIEWS.c.since))
    .where(_MINE, IS_OPEN, SHOWN)
    .group_by(REVIEWS.c.who, REVIEWS.c.acts, REVIEWS.c.done)
)


def oldest_reviews(connection: Connection, queue_id: Id, most: int, past: int = 0) -> Sequence[Review]:
    """Some of a queue's open reviews that people hear of, oldest first: at most so many, `past` the oldest ones."""
    rows = connection.execute(_OLDEST, {"queue": queue_id, "most": most, "past": past})
    return [Review(*row) for row in rows]


def counts_by_who(connection: Connection, queue_id: Id) -> Sequence[tuple[Review, int]]:
    """How many of a queue's open reviews are alike in whose turn they are, each time with one that stands for them.

    Those that a filter keeps from people are left out.
    """
    # Counted by the database: thousands of runs name a handful of people.
    rows = connection.execute(_ALIKE, {"queue": queue_id})
    return [(_of_whom(who, acts, done, since), many) for who, acts, done, many, since in rows]


def _of_whom(who: Who, acts: Acts, done: int, since: datetime) -> Review:
    return Review("", None, None, since, since, done=done, who=who, acts=acts)


def heard_at(connection: Connection, queue_id: Id) -> Mapping[ReviewKey, datetime]:
    """Of a queue's open reviews that direct messages have called somebody for: when the last one did."""
    query = (
        sa.select(REVIEWS.c.queue_run_id, REVIEWS.c.added_at, sa.func.max(TURNS.c.told_at).label("at"))
        .join_from(TURNS, REVIEWS)
        .where(REVIEWS.c.queue_id == queue_id, IS_OPEN, TURNS.c.told_at.is_not(None), TURNS.c.generation > 0)
        .group_by(REVIEWS.c.review_id)
    )
    rows = connection.execute(query)
    return {ReviewKey(row.queue_run_id, row.added_at): row.at for row in rows}


def _once(connection: Connection, query: sa.Select[Any]) -> Sequence[Id]:
    return list(dict.fromkeys(row.queue_run_id for row in connection.execute(query.order_by(REVIEWS.c.review_id))))
