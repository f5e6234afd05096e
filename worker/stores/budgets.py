"""Whom messages have called today: counted and spent under a lock, so that no two workers spend the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from worker.core.owed import State
from worker.stores.columns import At
from worker.stores.database import insert
from worker.stores.outbox import in_state, pass_reviews
from worker.stores.schema import CALLS, DELIVERIES, INBOXES

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy.engine import Connection

    from worker.core.model import ReviewKey

_HOLD = sa.select(INBOXES.c.reader).where(INBOXES.c.reader == sa.bindparam("reader")).with_for_update()
_SPENT = (
    sa.select(sa.func.count())
    .join_from(CALLS, DELIVERIES)
    .where(CALLS.c.called == sa.bindparam("reader"), CALLS.c.posted_at >= sa.bindparam("since", type_=At()))
    # What never came to a post called no one.
    .where(DELIVERIES.c.key != sa.bindparam("but"), ~in_state(State.WITHDRAWN, State.DEAD))
)
_NUMBER = sa.select(DELIVERIES.c.delivery_id).where(DELIVERIES.c.key == sa.bindparam("key"))
_FORGET = sa.delete(CALLS).where(CALLS.c.delivery_id == sa.bindparam("number"))


def hold_inbox(connection: Connection, reader: str) -> None:
    """Hold what concerns a reader to the end of the transaction."""
    connection.execute(insert(connection.dialect, INBOXES).values(reader=reader).on_conflict_do_nothing())
    connection.execute(_HOLD, {"reader": reader})


def pings_since(connection: Connection, since: Mapping[str, datetime], but: UUID) -> dict[str, int]:
    """How many messages have called each of these since the instant given for them, without the delivery `but`."""
    return {
        reader: connection.execute(_SPENT, {"reader": reader, "since": at, "but": but}).scalar_one()
        for reader, at in since.items()
    }


def spend(
    connection: Connection,
    key: UUID,
    since: Mapping[str, datetime],
    most: int,
    now: datetime,
    passed: Callable[[Sequence[str]], Collection[ReviewKey]],
) -> Sequence[str]:
    """Let a delivery call those who may be called once more; the rules are those of `Budgets.spend`."""
    # In one order everywhere, so that two workers never wait for each other in a circle.
    for reader in sorted(since):
        hold_inbox(connection, reader)
    spent = pings_since(connection, since, key)
    called = [reader for reader in since if spent[reader] < most]
    number = connection.execute(_NUMBER, {"key": key}).scalar_one()
    # An attempt before may have been allowed to call others.
    connection.execute(_FORGET, {"number": number})
    note_pings(connection, number, called, now)
    pass_reviews(connection, number, passed(called), now)
    return called


def note_pings(connection: Connection, number: int, called: Sequence[str], at: datetime) -> None:
    """Count a delivery among those that call these people."""
    if called:
        rows = [{"delivery_id": number, "called": reader, "posted_at": at} for reader in called]
        connection.execute(sa.insert(CALLS), rows)
