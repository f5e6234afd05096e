"""The directory of reviewers, read and written inside a transaction that somebody else began."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from msgspec.structs import replace

from worker.core.audience import Problem, email_key, listed_id
from worker.core.directory import LOOKED_UP_FOR, Card, introduced
from worker.stores.columns import Reviewers
from worker.stores.database import insert, lists
from worker.stores.schema import IS_OPEN, KNOWN_QUEUES, PEOPLE, REVIEWS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy.engine import Connection

    from worker.core.model import Queue, Reviewer

# In the order of Card's fields, so that a row becomes a Card as it is.
_COLUMNS = (
    PEOPLE.c.reviewer_id,
    PEOPLE.c.name,
    PEOPLE.c.email,
    PEOPLE.c.user,
    PEOPLE.c.problem,
    PEOPLE.c.asked_at,
    PEOPLE.c.ask_at,
)
_IS_KNOWN = PEOPLE.c.problem != Problem.FORGOTTEN
_FORGOTTEN = sa.select(PEOPLE.c.reviewer_id).where(
    PEOPLE.c.problem == Problem.FORGOTTEN, PEOPLE.c.reviewer_id.in_(sa.bindparam("some", expanding=True))
)


def every_card(connection: Connection) -> Sequence[Card]:
    """Every card, in the order of its ids."""
    return [Card(*row) for row in connection.execute(sa.select(*_COLUMNS).order_by(PEOPLE.c.reviewer_id))]


def introduce_reviewers(connection: Connection, reviewers: Collection[Reviewer], now: datetime) -> int:
    """Make cards of reviewers who have none, and take over what the source says otherwise than before."""
    written = introduced(_cards(connection, {each.reviewer_id for each in reviewers}), reviewers, now)
    for card in written:
        _write(connection, card)
    return len(written)


def _cards(connection: Connection, ids: Collection[str]) -> Mapping[str, Card]:
    query = sa.select(*_COLUMNS).where(PEOPLE.c.reviewer_id.in_(sa.bindparam("some", expanding=True)))
    found = (Card(*row) for some in lists(ids) for row in connection.execute(query, {"some": some}))
    return {card.reviewer_id: card for card in found}


def _write(connection: Connection, card: Card) -> None:
    news = {column.key: getattr(card, column.key) for column in _COLUMNS[1:]}
    statement = insert(connection.dialect, PEOPLE).values(reviewer_id=card.reviewer_id, **news)
    # Another worker, or `people forget`, may write the same card at this moment: what is forgotten stays so.
    connection.execute(statement.on_conflict_do_update(index_elements=["reviewer_id"], set_=news, where=_IS_KNOWN))


def note_answer(connection: Connection, card: Card) -> bool:
    """Write the card as a look-up left it; False where it was forgotten, or got another e-mail, meanwhile."""
    news: dict[str, Any] = {name: getattr(card, name) for name in ("user", "problem", "asked_at", "ask_at")}
    asked = (PEOPLE.c.reviewer_id == card.reviewer_id, PEOPLE.c.email == card.email, _IS_KNOWN)
    return connection.execute(sa.update(PEOPLE).where(*asked).values(news)).rowcount > 0


def note_refusal(connection: Connection, user: str, problem: Problem, now: datetime) -> bool:
    """Write why no message reaches a user, until the next look-up; False where no card has the user."""
    news = {"problem": problem, "asked_at": now, "ask_at": now + LOOKED_UP_FOR}
    # Everybody who was not found has the empty user.
    found = (PEOPLE.c.user == user, PEOPLE.c.user != "", _IS_KNOWN)
    return connection.execute(sa.update(PEOPLE).where(*found).values(news)).rowcount > 0


def named_strangers(connection: Connection) -> set[str]:
    """The ids of identities that open reviews name and that have no card."""
    # Each set of people once: thousands of runs share a few.
    query = sa.select(REVIEWS.c.who).distinct().where(IS_OPEN, REVIEWS.c.who.is_not(None))
    named: set[str] = set()
    for who in connection.execute(query).scalars():
        named |= {*who.assigned_to, *who.reserved_by, *who.completed_by}
    return named - _cards(connection, named).keys()


def overwrite_deleted(connection: Connection) -> None:
    """Let what is deleted from now on be overwritten as well, where the database would leave its bytes in the file."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("PRAGMA secure_delete = ON")


def forget_person(connection: Connection, email: str, now: datetime) -> int:
    """Delete name, e-mail and user of everybody with an e-mail, and keep that they are forgotten; how many ids."""
    wanted = email_key(email)
    ids = set(connection.execute(sa.select(PEOPLE.c.reviewer_id).where(PEOPLE.c.email == wanted)).scalars())
    ids |= _named_by_queues(connection, wanted)
    # An id that is made of the e-mail holds it itself.
    made_of_it = {listed_id(wanted)} & ids
    connection.execute(sa.delete(PEOPLE).where(PEOPLE.c.reviewer_id.in_(made_of_it)))
    # The id stays, or the next poll would introduce this person again.
    for reviewer_id in ids - made_of_it:
        _write(connection, Card(reviewer_id, problem=Problem.FORGOTTEN, asked_at=now))
    return len(ids)


def _named_by_queues(connection: Connection, wanted: str) -> set[str]:
    """Strip the reviewers with an e-mail from every queue; their ids."""
    found: set[str] = set()
    query = sa.select(KNOWN_QUEUES.c.queue_id, KNOWN_QUEUES.c.reviewers).where(KNOWN_QUEUES.c.reviewers.is_not(None))
    # Held to the end: a poll that would write the names back waits, and leaves them out once it sees who is forgotten.
    for queue_id, reviewers in connection.execute(query.with_for_update(key_share=True)).all():
        ids = {each.reviewer_id for each in reviewers.assigned if email_key(each.email) == wanted}
        if ids:
            stripped = Reviewers(reviewers.access, _without(reviewers.assigned, ids))
            connection.execute(
                sa.update(KNOWN_QUEUES).where(KNOWN_QUEUES.c.queue_id == queue_id).values(reviewers=stripped)
            )
        found |= ids
    return found


def readmit_people(connection: Connection, ids: Collection[str]) -> None:
    """Take back that these were forgotten: what the source says of them is taken over at the next occasion."""
    connection.execute(sa.delete(PEOPLE).where(PEOPLE.c.reviewer_id.in_(ids), ~_IS_KNOWN))


def without_forgotten(connection: Connection, queue: Queue) -> Queue:
    """A queue without the names and e-mails of the reviewers who are forgotten."""
    named = [each.reviewer_id for each in queue.assigned if each.name or each.email]
    forgotten = set(connection.execute(_FORGOTTEN, {"some": named}).scalars()) if named else set()
    return replace(queue, assigned=_without(queue.assigned, forgotten)) if forgotten else queue


def _without(reviewers: Iterable[Reviewer], ids: Collection[str]) -> tuple[Reviewer, ...]:
    """The reviewers, those with these ids without name and e-mail."""
    return tuple(replace(each, name="", email="") if each.reviewer_id in ids else each for each in reviewers)
