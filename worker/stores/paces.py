"""How often a channel is posted to by several workers together, inside a transaction that somebody else began."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from worker.core.model import EVERYWHERE
from worker.stores.dialects import insert
from worker.stores.tables import paces

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy.engine import Connection


class UnknownChannelError(Exception):
    """A channel that no worker has posted to yet: `know` it first, in a transaction of its own."""

    def __init__(self, channel: str) -> None:
        super().__init__(channel)
        self.channel = channel


def take(connection: Connection, channel: str, now: datetime, free_at: datetime) -> bool:
    """Let nobody else post to a channel before `free_at`; False where another does at present. Never waits for one."""
    mine = paces.c.channel == channel
    held = sa.select(paces.c.free_at).where(mine).with_for_update(skip_locked=True)
    taken_until = connection.execute(held).scalar_one_or_none()
    if taken_until is None and connection.execute(sa.select(paces.c.channel).where(mine)).first() is None:
        raise UnknownChannelError(channel)
    if taken_until is None or taken_until > now:
        return False
    connection.execute(sa.update(paces).where(mine).values(free_at=free_at))
    return True


def give_back(connection: Connection, channel: str, taken_until: datetime, free_at: datetime) -> None:
    """End what `take` has begun: the post is over. What another has taken since stays as it is."""
    mine = sa.update(paces).where(paces.c.channel == channel, paces.c.free_at == taken_until)
    connection.execute(mine.values(free_at=free_at))


def know(connection: Connection, channel: str, now: datetime) -> None:
    """Make a channel's row, where nobody else has. Committed at once: two who insert the same wait for each other."""
    known = insert(connection, paces).values(channel=channel, free_at=now)
    connection.execute(known.on_conflict_do_nothing())


def rest(connection: Connection, now: datetime, until: datetime) -> None:
    """Let nobody post anywhere before `until`."""
    know(connection, EVERYWHERE, now)
    longer = sa.update(paces).where(paces.c.channel == EVERYWHERE, paces.c.free_at < until)
    connection.execute(longer.values(free_at=until))


def is_resting(connection: Connection, now: datetime) -> bool:
    """Whether nobody may post anywhere."""
    resting = sa.select(sa.literal(1)).where(paces.c.channel == EVERYWHERE, paces.c.free_at > now)
    return connection.execute(resting).first() is not None
