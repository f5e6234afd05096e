"""Channels that had no scheme, in both kinds of database: each is Slack's then, and nothing is announced again."""

from __future__ import annotations

from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from alembic import command

from tests.support.builders import CHANNEL, DAY, HOUR, LEADS, NOON, ident, queue, queue_run, rules_with, snapshot, to
from tests.support.old_database import former, insert, micro
from worker.core.model import Kind
from worker.core.owed import EVERYWHERE, Delivery, State
from worker.core.plan import notice_key, plan
from worker.core.ports import ConfigError
from worker.stores import schema
from worker.stores.opening import migrate_database, open_store

if TYPE_CHECKING:
    from pathlib import Path

    from worker.stores.sql import SqlStore

QUEUE = queue()
POLICY = rules_with(stale_after=4 * HOUR, escalate_after=2 * DAY, escalate_to=LEADS).policy
CHANNELS = {"sent": "C0SUPPORT", "pending": "C0LEADS", "held": "reviews", "dead": "café"}
"""The channels of deliveries, by their state: ids and names."""

TABLES = ("deliveries", "pauses", "paces")


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/worker.db"
    return str(request.getfixturevalue("postgres_url"))


@pytest.fixture
def old(url: str, tmp_path: Path) -> str:
    """The URL of a database of revision 0009, in which a run was announced and a reminder of it waits."""
    migrate_database(url, scripts=former(tmp_path, "0009"))
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        _fill(connection)
    engine.dispose()
    return url


def _fill(connection: sa.Connection) -> None:
    insert(
        connection, "queues", queue_id=QUEUE.queue_id.bytes, name=QUEUE.name, url="", reviewers_per_run=1,
        baselined_at=micro(NOON), completed_at=micro(NOON), error="",
    )  # fmt: skip
    insert(
        connection, "reviews", queue_id=QUEUE.queue_id.bytes, queue_run_id=ident("run").bytes, added_at=micro(NOON),
        run_id=ident("run of run").bytes, since=micro(NOON), first_seen_at=micro(NOON), told_at=micro(NOON),
        generation=1, back=False, reserved=False, done=0, facts="{}",
    )  # fmt: skip
    for state, channel in CHANNELS.items():
        insert(
            connection, "deliveries", delivery_key=ident(state).bytes, kind="announcement", channel=channel,
            queue_id=QUEUE.queue_id.bytes, mention="[]", remind_in="channel", story="", state=state,
            created_at=micro(NOON), due_at=micro(NOON), attempts=0, looks=0, plain=False, last_error="", edits=0,
            digest="", held_until=micro(NOON + HOUR) if state == "held" else None,
            receipt_channel="C0SUPPORT" if state == "sent" else None, receipt_ts="1.1" if state == "sent" else None,
        )  # fmt: skip
    for channel in ("*", "reviews"):
        until = micro(NOON + HOUR)
        insert(connection, "pauses", channel=channel, since=micro(NOON), until=until, reason="no", failures=1)
        insert(connection, "paces", channel=channel, free_at=until)


def migrated(url: str) -> SqlStore:
    migrate_database(url)
    return open_store(url, migrate=False)


def test_every_delivery_goes_where_it_went_under_the_key_that_it_had(old: str) -> None:
    with closing(migrated(old)) as store:
        found = {each.state.value: (each.key, each.destination) for each in store.deliveries()}
        assert found == {state: (ident(state), to(channel)) for state, channel in CHANNELS.items()}
        assert [each.receipt for each in store.deliveries(State.SENT)] != [None]


def test_every_pause_and_every_rest_holds_what_it_held(old: str) -> None:
    with closing(migrated(old)) as store:
        assert {pause.destination for pause in store.pauses()} == {EVERYWHERE, to("reviews")}
        store.resume(EVERYWHERE)
        store.resume(to("reviews"))
        assert {each.state for each in store.deliveries()} == {State.SENT, State.PENDING, State.DEAD}
    assert texts(old, "paces") == ["*:*", "slack:reviews"]


def test_nothing_is_announced_again_and_what_waits_is_claimed_once(old: str) -> None:
    listing = snapshot(queue_run("run"), taken_at=NOON + HOUR)
    with closing(migrated(old)) as store:
        decided = store.update(QUEUE, [], partial(plan, listing, policy=POLICY, now=NOON + HOUR), NOON + HOUR)
        assert decided.notices == ()
        store.resume(EVERYWHERE)
        claims = [store.claim(NOON + HOUR, HOUR, {to("reviews")}) for _ in range(2)]
        assert [claim and (claim.delivery.key, claim.delivery.destination) for claim in claims] == [
            (ident("pending"), LEADS),
            None,
        ]


def test_a_notice_has_the_key_that_it_had_without_a_scheme() -> None:
    # As revision 0009 named it: a decision that is repeated after the upgrade is the same one.
    assert str(notice_key(QUEUE.queue_id, Kind.REMINDER, CHANNEL, [])) == "753ac100-1dbd-5f40-8d1d-07a33692556d"


def test_a_key_that_is_owed_is_not_owed_again(old: str) -> None:
    with closing(migrated(old)) as store:
        again = Delivery(ident("sent"), Kind.ANNOUNCEMENT, CHANNEL, NOON, NOON, queue=QUEUE)
        assert not store.owe(again)


def test_the_way_back_has_the_channels_again_and_leaves_what_is_not_slacks(old: str) -> None:
    migrate_database(old)
    engine = sa.create_engine(old)
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE deliveries SET channel = 'mail:a@example.com' WHERE state = 'dead'")
        command.downgrade(schema.settings(connection=connection), "0009")
    engine.dispose()
    assert texts(old, "deliveries") == ["C0LEADS", "C0SUPPORT", "mail:a@example.com", "reviews"]
    assert texts(old, "pauses") == texts(old, "paces") == ["*", "reviews"]


def test_the_program_of_then_refuses_the_newer_database_and_leaves_it_alone(old: str, tmp_path: Path) -> None:
    migrate_database(old)
    before = {table: texts(old, table) for table in TABLES}
    with pytest.raises(ConfigError, match="newer than this program"):
        migrate_database(old, scripts=tmp_path / "former")
    assert {table: texts(old, table) for table in TABLES} == before


def texts(url: str, table: str) -> list[str]:
    """What stands in the column, in order."""
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        found = connection.execute(sa.select(sa.column("channel")).select_from(sa.table(table))).scalars().all()
    engine.dispose()
    return sorted(found)
