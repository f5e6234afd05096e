"""Acts of people: decided on, written and kept in one transaction that somebody else began."""

from __future__ import annotations

from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from worker.core.actions import Acted, Action, Actor, Record, Refusal, Subject, acts_at, without_person
from worker.core.audience import email_key, listed_id
from worker.core.model import Review
from worker.core.owed import State
from worker.stores import edits, people, reviews
from worker.stores.columns import At, FactsColumn
from worker.stores.database import insert
from worker.stores.schema import ACTS, DELIVERIES, ENVELOPES, IS_OPEN, KNOWN_QUEUES, PEOPLE, REVIEWS

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from datetime import datetime

    from sqlalchemy.engine import Connection

    from worker.core.model import Id

# The stay that waits, else the last one: whoever acts means the run as it is now, however old the message is.
_NEWEST_STAY = (
    sa.select(*reviews.REVIEW_COLUMNS, REVIEWS.c.review_id)
    .where(REVIEWS.c.queue_id == sa.bindparam("queue"), REVIEWS.c.queue_run_id == sa.bindparam("run"))
    .order_by(REVIEWS.c.closed_at.is_not(None), REVIEWS.c.first_seen_at.desc(), REVIEWS.c.review_id.desc())
    .limit(1)
)
_WRITE = sa.update(REVIEWS).where(REVIEWS.c.review_id == sa.bindparam("number"), IS_OPEN).returning(REVIEWS.c.review_id)
_IS_REPEATED = sa.select(ACTS.c.act_id).where(ACTS.c.envelope_id == sa.bindparam("envelope"))
# Of a run that was never known there are none.
_FACTS = sa.type_coerce(sa.func.coalesce(sa.type_coerce(REVIEWS.c.facts, sa.Text), "{}"), FactsColumn())
_NEWEST = (
    sa.select(ACTS, KNOWN_QUEUES.c.name.label("queue"), _FACTS.label("facts"))
    .select_from(
        ACTS.outerjoin(KNOWN_QUEUES, KNOWN_QUEUES.c.queue_id == ACTS.c.queue_id).outerjoin(
            REVIEWS, REVIEWS.c.review_id == ACTS.c.review_id
        )
    )
    .order_by(ACTS.c.act_id.desc())
    .limit(sa.bindparam("most"))
)
ACTS_A_STEP = 1000
_MOST_OF_ONE = 1000
"""So many acts on one run are shown."""

HEARD_FOR = timedelta(days=1)
"""The time for which an envelope is known again; a service that repeats one does so within minutes."""


def act(connection: Connection, action: Action, decide: Callable[[Subject], Acted], now: datetime) -> Acted:
    """Decide on an act and write it down; the rules are those of `Store.act`."""
    # The queue's row is held first, so that of two acts on one run the second sees what the first has changed.
    row = reviews.hold_queue(connection, action.queue_id)
    if action.envelope_id and connection.execute(_IS_REPEATED, {"envelope": action.envelope_id}).first():
        return Acted(Subject(), Refusal.REPEATED)
    number, review = _newest_stay(connection, action.queue_id, action.queue_run_id)
    subject = Subject() if row is None else Subject(reviews.queue_of(row), review, row.muted_until)
    acted = decide(subject)
    if not _note(connection, action, acted, number, now):
        return Acted(Subject(), Refusal.REPEATED)
    if acted.refusal is None:
        _write(connection, action.queue_id, subject, acted.subject, number, now)
    return acted


def _newest_stay(connection: Connection, queue_id: Id, queue_run_id: Id | None) -> tuple[int | None, Review | None]:
    row = connection.execute(_NEWEST_STAY, {"queue": queue_id, "run": queue_run_id}).one_or_none()
    return (None, None) if row is None else (row.review_id, Review(*row[: len(reviews.REVIEW_COLUMNS)]))


def _note(connection: Connection, action: Action, acted: Acted, number: int | None, now: datetime) -> bool:
    """Add an act to the audit; False where another worker has noted the same press."""
    actor = action.actor
    values = {
        "at": now,
        "act": action.act,
        "through": action.through,
        "who": actor.who,
        "name": actor.name,
        "email": actor.email,
        "queue_id": action.queue_id,
        "queue_run_id": action.queue_run_id,
        "review_id": number,
        "until": action.until,
        "refusal": acted.refusal,
        "envelope_id": action.envelope_id or None,
    }
    added = insert(connection.dialect, ACTS).on_conflict_do_nothing().execution_options(preserve_rowcount=True)
    return connection.execute(added, values).rowcount == 1


def _write(
    connection: Connection, queue_id: Id, before: Subject, after: Subject, number: int | None, now: datetime
) -> None:
    """Write what an act has changed, let polls know of it, and owe the edits that show it."""
    if after.review is not None and after.review != before.review:
        written = connection.execute(_WRITE, {"number": number, "acts": after.review.acts}).scalars().all()
        edits.owe_edits(connection, written, now, at_once=True)
    if after.muted_until != before.muted_until:
        connection.execute(reviews.CHANGE_QUEUE, {"queue": queue_id, "muted_until": after.muted_until})
        # What a mute holds is looked at again; where it still is muted, or closed, it is held again.
        connection.execute(_let_go(), {"queue": queue_id, "now": now})
    # In any case: it costs one poll that reads the database.
    reviews.revise_queue(connection, queue_id)


@cache
def _let_go() -> sa.Update:
    at = sa.bindparam("now", type_=At())
    held = (DELIVERIES.c.queue_id == sa.bindparam("queue"), DELIVERIES.c.state == State.PENDING)
    return sa.update(DELIVERIES).where(*held, DELIVERIES.c.held_until > at).values(held_until=at)


def first_heard(connection: Connection, envelope_id: str, now: datetime) -> bool:
    """Note an envelope; the rules are those of `Store.first_heard`."""
    connection.execute(sa.delete(ENVELOPES).where(ENVELOPES.c.heard_at < now - HEARD_FOR))
    # The row that comes back says it: some drivers cannot count what a conflict has kept out.
    added = insert(connection.dialect, ENVELOPES).on_conflict_do_nothing().returning(ENVELOPES.c.envelope_id)
    return connection.execute(added, {"envelope_id": envelope_id, "heard_at": now}).first() is not None


def records(connection: Connection, most: int) -> Sequence[Record]:
    """The audit, newest first."""
    return [_record(row) for row in connection.execute(_NEWEST, {"most": most})]


def records_of(connection: Connection, queue_run_id: Id) -> Sequence[Record]:
    """The acts on one run, oldest first."""
    found = connection.execute(_NEWEST.where(ACTS.c.queue_run_id == queue_run_id), {"most": _MOST_OF_ONE})
    return [_record(row) for row in reversed(found.all())]


def acts_since(connection: Connection, since: datetime) -> Sequence[Record]:
    """The acts from a time on that changed something, oldest first."""
    done = (
        _NEWEST.limit(None).where(ACTS.c.at >= since, ACTS.c.refusal.is_(None)).order_by(None).order_by(ACTS.c.act_id)
    )
    return [_record(row) for row in connection.execute(done)]


def _record(row: sa.Row[Any]) -> Record:
    action = Action(
        act=row.act,
        actor=Actor(row.who, row.name, row.email),
        queue_id=row.queue_id,
        queue_run_id=row.queue_run_id,
        until=row.until,
        through=row.through,
        envelope_id=row.envelope_id or "",
    )
    return Record(row.at, action, row.queue or "", row.facts.name, row.refusal)


def waiting(connection: Connection, queue_id: Id, *, taken: bool) -> Sequence[Review]:
    """The open reviews of a queue, or those of them on which somebody has acted."""
    query = sa.select(*reviews.REVIEW_COLUMNS).where(REVIEWS.c.queue_id == queue_id, IS_OPEN)
    if taken:
        query = query.where(REVIEWS.c.acts.is_not(None))
    return [Review(*row) for row in connection.execute(query)]


def mutes(connection: Connection) -> dict[Id, datetime]:
    """Until when each queue is muted, or was last."""
    query = sa.select(KNOWN_QUEUES.c.queue_id, KNOWN_QUEUES.c.muted_until).where(
        KNOWN_QUEUES.c.muted_until.is_not(None)
    )
    return {row.queue_id: row.muted_until for row in connection.execute(query)}


def spared_runs(connection: Connection, now: datetime) -> dict[Id, tuple[int, int]]:
    """How many runs that wait are claimed, and snoozed, in each queue that has any."""
    query = sa.select(REVIEWS.c.queue_id, REVIEWS.c.acts).where(IS_OPEN, REVIEWS.c.acts.is_not(None))
    found: dict[Id, tuple[int, int]] = {}
    for queue_id, acts in connection.execute(query):
        claimed, snoozed = found.get(queue_id, (0, 0))
        still = acts_at(acts, now)
        found[queue_id] = claimed + still.is_claimed, snoozed + (still.snoozed_until is not None)
    return found


def prune_acts(connection: Connection, before: datetime) -> int:
    """Forget some acts on queues, and on runs that were never known, from before a time; how many."""
    old = sa.select(ACTS.c.act_id).where(ACTS.c.at < before, ACTS.c.review_id.is_(None)).limit(ACTS_A_STEP)
    numbers = connection.execute(old).scalars().all()
    connection.execute(sa.delete(ACTS).where(ACTS.c.act_id.in_(numbers)))
    return len(numbers)


def forget_everything(connection: Connection, whom: str, now: datetime) -> int:
    """Forget a person; the rules are those of `Store.forget`."""
    people.overwrite_deleted(connection)
    # Before the directory forgets by which user the person acted.
    acted = forget_acts(connection, whom, now)
    return people.forget_person(connection, whom, now) or min(acted, 1)


def forget_acts(connection: Connection, whom: str, now: datetime) -> int:
    """Delete every act of a person, known by an e-mail or a user's id, and what runs show of it; how many acts."""
    wanted = email_key(whom)
    users = connection.execute(sa.select(PEOPLE.c.user).where(PEOPLE.c.email == wanted)).scalars()
    ids = {whom.strip(), listed_id(wanted), *users} - {""}
    acted = REVIEWS.c.acts.is_not(None)
    queue_ids = connection.execute(sa.select(REVIEWS.c.queue_id).distinct().where(acted)).scalars().all()
    for queue_id in sorted(queue_ids, key=str):
        # Before its reviews, as everybody locks them.
        reviews.hold_queue(connection, queue_id)
        _forget_in(connection, queue_id, ids, now)
    theirs = sa.or_(ACTS.c.who.in_(ids), ACTS.c.email == wanted)
    return connection.execute(sa.delete(ACTS).where(theirs)).rowcount


def _forget_in(connection: Connection, queue_id: Id, ids: Collection[str], now: datetime) -> None:
    query = sa.select(REVIEWS.c.review_id, REVIEWS.c.acts).where(
        REVIEWS.c.queue_id == queue_id, REVIEWS.c.acts.is_not(None)
    )
    for number, acts in connection.execute(query).all():
        if (after := without_person(acts, ids)) != acts:
            connection.execute(sa.update(REVIEWS).where(REVIEWS.c.review_id == number).values(acts=after))
            reviews.revise_queue(connection, queue_id)
            edits.owe_edits(connection, [number], now, at_once=True)
