"""Destinations that are not posted to for a while, inside a transaction that somebody else began."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from worker.core.model import EVERYWHERE, NEVER, Pause, State
from worker.stores.dialects import insert
from worker.stores.tables import deliveries, pauses

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.engine import Connection, Row

# What waits for an operator is due never, and no pause concerns it.
WAITS_FOR_TIME = sa.or_(
    deliveries.c.state == State.PENDING,
    sa.and_(deliveries.c.state == State.HELD, deliveries.c.due_at < NEVER),
)


def every(connection: Connection) -> Sequence[Pause]:
    """Every destination that is paused, longest first."""
    rows = connection.execute(sa.select(pauses).order_by(pauses.c.since, pauses.c.channel))
    return [_pause_of(row) for row in rows]


def pause(connection: Connection, paused: Pause) -> Pause:
    """Remember a pause and hold what it concerns; the pause as it stands: one that there was began then."""
    news = {"until": paused.until, "reason": paused.reason, "failures": paused.failures, "error": paused.error}
    statement = insert(connection, pauses).values(channel=paused.channel, since=paused.since, **news)
    connection.execute(statement.on_conflict_do_update(index_elements=[pauses.c.channel], set_=news))
    _hold(connection, paused.channel)
    return _pause_of(connection.execute(sa.select(pauses).where(pauses.c.channel == paused.channel)).one())


def _pause_of(row: Row[Any]) -> Pause:
    return Pause(row.channel, row.since, row.until, row.reason, row.failures, row.error or "")


def resume(connection: Connection, channel: str) -> None:
    """Forget a pause and let go what no other pause holds."""
    connection.execute(sa.delete(pauses).where(pauses.c.channel == channel))
    held = sa.update(deliveries).where(deliveries.c.state == State.HELD, WAITS_FOR_TIME, _within(channel))
    connection.execute(held.values(state=State.PENDING, held_until=None))
    _hold(connection, channel)


def _hold(connection: Connection, channel: str) -> None:
    """Hold what waits in a channel until the last of the pauses that concern it."""
    concern = [
        other for other in every(connection) if EVERYWHERE in {channel, other.channel} or other.channel == channel
    ]
    for other in sorted(concern, key=lambda other: other.until):
        narrower = other.channel if channel == EVERYWHERE else channel
        waiting = sa.update(deliveries).where(WAITS_FOR_TIME, _within(narrower))
        connection.execute(waiting.values(state=State.HELD, held_until=other.until))


def _within(channel: str) -> sa.ColumnElement[bool]:
    return sa.true() if channel == EVERYWHERE else deliveries.c.channel == channel
