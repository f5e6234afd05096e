"""The history in a table: the hours of a day of one queue in one row, packed.

A row is the version of its form and, compressed, a list an hour. A list ends where there is nothing more; counts that
are equal in both measures of a wait stand there once.
"""

from __future__ import annotations

import zlib
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec
import sqlalchemy as sa

from worker.core.history import HOUR, NO_WAITS, Hour, Waits, hour_of, with_change
from worker.stores.schema import HISTORY

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy.engine import Connection

    from worker.core.history import Hours
    from worker.core.model import Id

VERSION = 1
"""The form of rows that this program writes. Rows of a higher one are left as they are, and not read."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY = timedelta(days=1)

Packed: TypeAlias = "dict[int, list[Any]]"
"""The hours of a day by their number, each as the list of its values."""

_ABSENT: list[Any] = [None, None, 0, 0, 0, 0, 0, [], None, None, None]
"""What stands for the values of an hour that its list does not reach, in its order."""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(dict[int, list[Any]]).decode

_SELECT = sa.select(HISTORY.c.day, HISTORY.c.hours).where(
    HISTORY.c.queue_id == sa.bindparam("queue"), HISTORY.c.day.between(sa.bindparam("first"), sa.bindparam("last"))
)
_UPDATE = sa.update(HISTORY).where(HISTORY.c.queue_id == sa.bindparam("queue"), HISTORY.c.day == sa.bindparam("on"))
_INSERT = sa.insert(HISTORY)


def day_of(at: datetime) -> int:
    """The day of UTC that holds an instant, counted from 1970."""
    return (at - _EPOCH) // _DAY


def add_hours(connection: Connection, queue_id: Id, tally: Mapping[datetime, Hour]) -> None:
    """Add to the hours of a queue, whose row is held."""
    if not tally:
        return
    days = sorted({day_of(start) for start in tally})
    asked = {"queue": queue_id, "first": days[0], "last": days[-1]}
    known = {row.day: row.hours for row in connection.execute(_SELECT, asked)}
    for day in days:
        hours = unpacked_hours(known[day]) if day in known else {}
        # What a newer program wrote is not ours to change: this day's figures are lost, and nothing else.
        if hours is None:
            continue
        for start, change in tally.items():
            if day_of(start) == day:
                hours[start.hour] = _packed_hour(with_change(_hour(hours.get(start.hour, [])), change))
        _write(connection, queue_id, day, packed_hours(hours), is_new=day not in known)


def _write(connection: Connection, queue_id: Id, day: int, hours: bytes, *, is_new: bool) -> None:
    if is_new:
        connection.execute(_INSERT, {"queue_id": queue_id, "day": day, "hours": hours})
    else:
        connection.execute(_UPDATE, {"queue": queue_id, "on": day, "hours": hours})


def every_hour(connection: Connection, since: datetime, until: datetime, queue_id: Id | None) -> Mapping[Id, Hours]:
    """The hours from the one that holds `since` on, and before `until`; see `History.hours`."""
    first = hour_of(since)
    query = sa.select(HISTORY).where(HISTORY.c.day.between(day_of(first), day_of(until)))
    if queue_id is not None:
        query = query.where(HISTORY.c.queue_id == queue_id)
    found: dict[Id, dict[datetime, Hour]] = {}
    for row in connection.execute(query.order_by(HISTORY.c.queue_id, HISTORY.c.day)):
        midnight = _EPOCH + row.day * _DAY
        for number, kept in sorted((unpacked_hours(row.hours) or {}).items()):
            # A row is a whole day of UTC, of which the first and the last may be wanted in part.
            if first <= (start := midnight + number * HOUR) < until:
                found.setdefault(row.queue_id, {})[start] = _hour(kept)
    return found


def newer_days(connection: Connection) -> int:
    """How many rows have a form that this program does not know; see `History.newer_days`."""
    # The first byte is all that can be read of a form that is not known.
    form = sa.func.substr(HISTORY.c.hours, 1, 1, type_=sa.LargeBinary())
    query = sa.select(sa.func.count()).select_from(HISTORY).where(form > bytes([VERSION]))
    return connection.execute(query).scalar_one()


def prune_hours(connection: Connection, before: datetime) -> int:
    """Forget the days that ended before a time; how many."""
    return connection.execute(sa.delete(HISTORY).where(HISTORY.c.day < day_of(before))).rowcount


def packed_hours(hours: Packed) -> bytes:
    """A row: the version of its form, and the hours, compressed."""
    return bytes([VERSION]) + zlib.compress(_encode(hours))


def unpacked_hours(row: bytes) -> Packed | None:
    """The hours of a row; None where a newer program packed them."""
    return _decode(zlib.decompress(row[1:])) if row[0] <= VERSION else None


def _packed_hour(hour: Hour) -> list[Any]:
    kept = [
        hour.waiting,
        hour.overdue,
        hour.came,
        hour.reviewed,
        hour.removed,
        hour.unknown,
        hour.late,
        _pairs(hour.first),
        # Where one reviewer is enough, and no hours are closed, these are the same waits: they are kept once.
        None if hour.last == hour.first else _pairs(hour.last),
        None if hour.first_wall == hour.first else _pairs(hour.first_wall),
        None if hour.last_wall == hour.last else _pairs(hour.last_wall),
    ]
    # Most hours hold little: what is absent at the end takes no room. So another figure may be appended, and nothing
    # else.
    count = len(kept)
    while count and kept[count - 1] == _ABSENT[count - 1]:
        count -= 1
    return kept[:count]


def _pairs(waits: Waits) -> list[int]:
    return list(chain.from_iterable(sorted(waits.counts.items())))


def _waits(pairs: list[int]) -> Waits:
    return Waits(dict(zip(pairs[::2], pairs[1::2], strict=True))) if pairs else NO_WAITS


def _hour(kept: list[Any]) -> Hour:
    whole = [*kept, *_ABSENT[len(kept) :]]
    waiting, overdue, came, reviewed, removed, unknown, late, first, last, first_wall, last_wall = whole
    waits = _waits(first)
    lasts = waits if last is None else _waits(last)
    return Hour(
        came=came,
        reviewed=reviewed,
        removed=removed,
        unknown=unknown,
        late=late,
        waiting=waiting,
        overdue=overdue,
        first=waits,
        last=lasts,
        first_wall=waits if first_wall is None else _waits(first_wall),
        last_wall=lasts if last_wall is None else _waits(last_wall),
    )
