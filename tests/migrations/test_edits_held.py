"""Edits that an earlier version made, in both kinds of database: the next one waits as long as it would have."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from alembic import command

from tests.support.builders import HOUR, NOON, SECOND, ident
from tests.support.old_database import former, insert, micro
from worker.stores import schema
from worker.stores.opening import migrate_database, open_store

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

EDITED_AT = {"never": None, "at noon": NOON, "later": NOON + HOUR}


@pytest.fixture(params=["sqlite", "postgres"])
def old(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database of revision 0011, with messages that were edited."""
    is_file = request.param == "sqlite"
    url = f"sqlite:///{tmp_path}/worker.db" if is_file else str(request.getfixturevalue("postgres_url"))
    migrate_database(url, scripts=former(tmp_path, "0011"))
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        for name, at in EDITED_AT.items():
            insert(
                connection, "deliveries", delivery_key=ident(name).bytes, kind="ops", channel="slack:C1", queue_id=None,
                mention="[]", remind_in="channel", story="", state="sent", created_at=micro(NOON), due_at=micro(NOON),
                attempts=1, looks=0, plain=False, last_error="", edits=0, digest="",
                edited_at=None if at is None else micro(at),
            )  # fmt: skip
    engine.dispose()
    return url


def held_until(url: str) -> dict[str, datetime | None]:
    names = {ident(name): name for name in EDITED_AT}
    with closing(open_store(url, migrate=False)) as store:
        return {names[each.key]: each.edit_held_until for each in store.deliveries()}


def test_the_next_edit_is_held_as_long_as_before(old: str) -> None:
    migrate_database(old)
    assert held_until(old) == {name: at and at + 30 * SECOND for name, at in EDITED_AT.items()}


def test_the_way_back_loses_nothing_that_was_known_before(old: str) -> None:
    migrate_database(old)
    engine = sa.create_engine(old)
    with engine.begin() as connection:
        command.downgrade(schema.settings(connection=connection), "0011")
        kept = connection.exec_driver_sql("SELECT edited_at FROM deliveries").scalars().all()
    engine.dispose()
    assert set(kept) == {at and micro(at) for at in EDITED_AT.values()}
