"""PostgreSQL behind a pooler: each transaction meets another session, and leaves nothing in it."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import psycopg
import pytest

from tests.support.builders import DAY, HOUR, LEASE, NOON, SECOND, deciding, ident, notice, queue, review
from tests.support.outbox import posted
from tests.support.pooler import pooling
from worker.core.owed import State
from worker.stores.assignments import Member
from worker.stores.opening import migrate_database, open_store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from uuid import UUID

    from tests.support.pooler import Pooler
    from worker.core.owed import Claim
    from worker.stores.assignments import SqlAssignments
    from worker.stores.sql import SqlStore

YEAR = 365 * DAY
QUEUES = [queue(f"queue {number}") for number in range(2)]
IDS = [each.queue_id for each in QUEUES]


@pytest.fixture
def pooler(postgres_url: str) -> Iterator[tuple[Pooler, str]]:
    with pooling(postgres_url) as pooler:
        yield pooler


def join(store: SqlStore, number: int) -> tuple[SqlStore, SqlAssignments]:
    return store.join(Member(ident(number), name=f"host:{number}", pace=0 * SECOND))


def work(store: SqlStore, assignments: SqlAssignments, number: int) -> set[UUID]:
    """One round of a worker, when its channel may be posted to again; the queues that are its own."""
    now = NOON + 100 * YEAR + number * HOUR  # after the server's own time, by which a channel rests
    turn = assignments.renew(IDS)
    mine = [each for each in QUEUES if str(each.queue_id) in turn.assignments]
    for each in mine:
        told = [review(f"{each.name} {number} {run}") for run in range(3)]
        plan = deciding(*told, notices=[notice(*told, name=f"{each.name} {number}")])
        store.under(turn.assignments[str(each.queue_id)]).update(each, [], plan, now)
    while (claim := store.claim(now, LEASE)) is not None:
        settle(store, claim, now)
    return {each.queue_id for each in mine}


def settle(store: SqlStore, claim: Claim, now: datetime) -> None:
    after = posted(claim.delivery, now)
    assert store.settle(after, claim.delivery, shown=[one.key for one in claim.reviews])


def test_two_workers_behind_a_pooler_share_the_work(pooler: tuple[Pooler, str]) -> None:
    migrate_database(pooler[1])
    with (
        closing(open_store(pooler[1], migrate=True)) as one,
        closing(open_store(pooler[1], migrate=True)) as other,
    ):
        first, second = join(one, 1), join(other, 2)
        polled = [
            work(*worker, 2 * number + second_one)
            for number in range(10)
            for second_one, worker in enumerate((first, second))
        ]
        assert polled[-1] | polled[-2] == set(IDS)
        assert polled[-1]
        assert polled[-2]
        assert {each.state for each in one.deliveries()} == {State.SENT}
    assert pooler[0].transactions > 100


def test_a_session_keeps_nothing_of_a_transaction(pooler: tuple[Pooler, str], postgres_url: str) -> None:
    migrate_database(pooler[1])
    with closing(open_store(pooler[1], migrate=True)) as store:
        for _ in range(20):
            store.polls()
            store.remember("a", "b")
    fresh = "SELECT name, setting FROM pg_settings WHERE name <> 'application_name' ORDER BY name"
    with psycopg.connect(postgres_url.replace("+psycopg", "")) as direct:
        usual = direct.execute(fresh).fetchall()
    # By the pooler: these very sessions were used, each in its turn.
    with psycopg.connect(pooler[1], autocommit=True, prepare_threshold=None) as pooled:
        for _ in range(3):
            assert pooled.execute(fresh).fetchall() == usual
            assert pooled.execute("SELECT name FROM pg_prepared_statements").fetchall() == []
            mine = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()"
            assert pooled.execute(mine).fetchall() == []


def test_a_column_whose_type_changes_under_an_open_connection_is_read_on(postgres_url: str) -> None:
    migrate_database(postgres_url)
    with closing(open_store(postgres_url, migrate=True)) as store:
        for _ in range(10):
            store.remember("a", "b")
            assert store.recall("a") == "b"
        with psycopg.connect(postgres_url.replace("+psycopg", ""), autocommit=True) as other:
            other.execute("ALTER TABLE notes ALTER value TYPE varchar(1000)")
        assert store.recall("a") == "b"
