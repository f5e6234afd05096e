"""Reading and writing queues and how their polls stand, inside a transaction that somebody else began."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from worker.core.model import Polled, Queue
from worker.stores.dialects import insert
from worker.stores.tables import queues

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy.engine import Connection, Row

    from worker.core.model import Id


def lock(connection: Connection, queue: Queue) -> Row[Any]:
    """Make sure of the queue's row and hold it to the end of the transaction; the row as it was."""
    row = hold(connection, queue.queue_id)
    if row is None:
        connection.execute(insert(connection, queues).values(_new(queue)).on_conflict_do_nothing())
        row = hold(connection, queue.queue_id)
    if row is None:
        raise AssertionError  # it was just made, and queues are never forgotten
    _rename(connection, row, queue)
    return row


def hold(connection: Connection, queue_id: Id) -> Row[Any] | None:
    """Hold a queue's row to the end of the transaction; None where the queue was never seen.

    Whoever writes a queue's reviews holds its row, so that a plan never rests on reviews that another is writing.
    """
    query = sa.select(queues).where(queues.c.queue_id == queue_id).with_for_update(key_share=True)
    return connection.execute(query).one_or_none()


def revise(connection: Connection, queue_id: Id) -> None:
    """Count an act on the queue's reviews. The queue's row is held already."""
    mine = sa.update(queues).where(queues.c.queue_id == queue_id)
    connection.execute(mine.values(revision=queues.c.revision + 1))


def conclude(connection: Connection, row: Row[Any], listing: str, now: datetime) -> None:
    """Remember that a first complete poll of the queue has been written, and which listing the last one read."""
    news = {"baselined_at": row.baselined_at or now, "listing": listing or row.listing}
    if news != {"baselined_at": row.baselined_at, "listing": row.listing}:
        connection.execute(sa.update(queues).where(queues.c.queue_id == row.queue_id).values(news))


def poll(connection: Connection, polled: Polled) -> int:
    """Remember how the polls of one queue stand; its revision."""
    row = lock(connection, polled.queue)
    news: dict[str, Any] = {"failing_since": polled.failing_since, "error": polled.error, "trouble": polled.trouble}
    if polled.completed_at is not None:
        news["completed_at"] = polled.completed_at
    connection.execute(sa.update(queues).where(queues.c.queue_id == polled.queue.queue_id).values(news))
    revision: int = row.revision
    return revision


def polls(connection: Connection) -> Sequence[Polled]:
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
        for row in connection.execute(sa.select(queues))
    ]
    # Sorted here, since every database sorts letters in its own way.
    return sorted(found, key=lambda polled: (polled.queue.name, str(polled.queue.queue_id)))


def queue_of(row: Row[Any]) -> Queue:
    """Build a queue from a row that holds its columns."""
    return Queue(row.queue_id, row.name, row.url, row.reviewers_per_run)


def _new(queue: Queue) -> dict[str, Any]:
    return {
        "queue_id": queue.queue_id,
        "name": queue.name,
        "url": queue.url,
        "reviewers_per_run": queue.reviewers_per_run,
        "error": "",
    }


def _rename(connection: Connection, row: Row[Any], queue: Queue) -> None:
    """Follow what the source shows now; a queue that is known by its id alone shows nothing."""
    told = replace(queue, url=queue.url or row.url)
    if queue.name == str(queue.queue_id) or told == queue_of(row):
        return
    news = {"name": told.name, "url": told.url, "reviewers_per_run": told.reviewers_per_run}
    connection.execute(sa.update(queues).where(queues.c.queue_id == queue.queue_id).values(news))
