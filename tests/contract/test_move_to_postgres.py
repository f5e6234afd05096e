"""Moving from SQLite to PostgreSQL: everything arrives, work goes on as if nothing had been, and nothing half-way."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import psycopg
import pytest

from tests.support.builders import (
    HOUR,
    LEASE,
    NOON,
    SECOND,
    delivery,
    ident,
    pause,
    queue,
    queue_run,
    review,
    rules_with,
)
from tests.support.clock import FakeClock
from tests.support.fake_source import FakeSource
from tests.support.outbox import QUEUE, owe, post, posted, put_back, take, take_edit, write
from worker.core.model import Fate, Kind, Polled
from worker.core.owed import NEVER, State
from worker.core.ports import ConfigError, StoreError
from worker.loops.poll import Poll
from worker.stores.lock import Busy, hold_lock
from worker.stores.opening import migrate_database, move_to_postgres, open_store
from worker.stores.upkeep import TABLES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from worker.core.store_roles import Store
    from worker.stores.sql import SqlStore

HOSTILE = "\N{PILE OF POO} <!channel> O'Brien; \\ %s {0}"


@pytest.fixture
def file(sqlite_template: Path, tmp_path: Path) -> Path:
    path = tmp_path / "it's a worker.db"
    path.write_bytes(sqlite_template.read_bytes())
    return path


@pytest.fixture
def source(file: Path) -> Iterator[SqlStore]:
    with closing(open_store(f"sqlite:///{file}", migrate=False)) as store:
        yield store


def live(store: Store) -> None:
    """Leave something of every kind behind, in the middle of the work."""
    owe(store, review("reviewed"), review("waiting"), review("undated", added_at=None), name="sent")
    post(store)
    write(store, review("reviewed", closed_at=NOON))
    store.learn(QUEUE.queue_id, {ident("reviewed"): Fate.REVIEWED}, NOON)
    owe(store, review("later"), name="held", of=queue(HOSTILE), channel="C0HELD")
    put_back(store, take(store), NEVER, state=State.HELD)
    owe(store, review("now"), name="pending", mention=("S0ONCALL",))
    store.owe(delivery("told", kind=Kind.OPS, channel="C0OPS", text=HOSTILE, due_at=NOON - SECOND))
    take(store)
    store.pause(pause("C0ELSEWHERE"))
    store.polled([Polled(QUEUE, completed_at=NOON), Polled(queue("other"), failing_since=NOON, error="e", trouble="t")])
    store.remember("api", "runs")


def everything(store: SqlStore) -> list[object]:
    """All that a store can tell."""
    names = ["reviewed", "waiting", "undated", "later", "now"]
    return [
        store.deliveries(),
        store.polls(),
        store.pauses(),
        store.backlog(),
        store.recall("api"),
        *(store.stories(ident(name)) for name in names),
        *(store.standing(polled.queue.queue_id, NOON + HOUR) for polled in store.polls()),
    ]


class TestAMove:
    def test_takes_everything_along_and_leaves_the_file_alone(
        self, source: SqlStore, file: Path, postgres_url: str
    ) -> None:
        live(source)
        before = everything(source)
        rows = move_to_postgres(file, postgres_url)
        with closing(open_store(postgres_url, migrate=False)) as target:
            assert everything(target) == before == everything(source)
        assert (rows["queues"], rows["reviews"], rows["deliveries"]) == (3, 5, 4)

    def test_lets_the_work_go_on(self, source: SqlStore, file: Path, postgres_url: str) -> None:
        live(source)
        move_to_postgres(file, postgres_url)
        with closing(open_store(postgres_url, migrate=False)) as target:
            assert take_edit(target, NOON).waiting == 2
            owe(target, review("new"), name="new", of=queue("new"), at=NOON + SECOND)
            claims = [take(target, NOON + SECOND), take(target, NOON + SECOND)]
            assert [claim.delivery.key for claim in claims] == [ident("pending"), ident("new")]
            assert target.settle(posted(claims[1].delivery), claims[1].delivery)
            assert take(target, NOON + LEASE).delivery.state is State.UNKNOWN

    def test_announces_nothing_again(self, source: SqlStore, file: Path, postgres_url: str) -> None:
        listed, clock = FakeSource(), FakeClock()
        listed.show(QUEUE, *(queue_run(number) for number in range(25)))
        rules = rules_with(poll_interval=SECOND, show=frozenset())

        def poll(store: Store) -> bool:
            return Poll(
                source=listed, store=store, clock=clock, rules=lambda _: rules, owed=lambda: None, jitter=lambda: 0.0
            )(QUEUE)

        assert poll(source)
        owed = [each.kind for each in source.deliveries()]
        move_to_postgres(file, postgres_url)
        with closing(open_store(postgres_url, migrate=False)) as target:
            assert poll(target)
            assert [each.kind for each in target.deliveries()] == owed == [Kind.BASELINE]
            listed.show(QUEUE, *(queue_run(number) for number in range(26)))
            assert poll(target)
            assert len(target.deliveries()) == 2

    def test_copies_more_than_one_portion(self, source: SqlStore, file: Path, postgres_url: str) -> None:
        write(source, *(review(number) for number in range(2500)))
        assert move_to_postgres(file, postgres_url)["reviews"] == 2500


class TestARefusal:
    def test_of_a_file_at_work(self, source: SqlStore, file: Path, postgres_url: str) -> None:
        write(source, review("a"))
        with hold_lock(file), pytest.raises(Busy, match="stop it first"):
            move_to_postgres(file, postgres_url)
        assert tables(postgres_url) == 0

    def test_of_a_target_in_use(self, source: SqlStore, file: Path, postgres_url: str) -> None:
        write(source, review("a"))
        migrate_database(postgres_url)
        with closing(open_store(postgres_url, migrate=False)) as target:
            target.remember("api", "items")
            with pytest.raises(ConfigError, match=r"in use already .*'notes'.* Name an empty one"):
                move_to_postgres(file, postgres_url)
            assert (target.recall("api"), target.polls()) == ("items", [])

    @pytest.mark.parametrize("name", ["nowhere.db", "nowhere/worker.db"])
    def test_of_a_file_that_is_not_there(self, tmp_path: Path, postgres_url: str, name: str) -> None:
        with pytest.raises(ConfigError, match=rf"--from .*{name}: there is no such file"):
            move_to_postgres(tmp_path / name, postgres_url)
        assert (tables(postgres_url), list(tmp_path.iterdir())) == (0, [])

    def test_of_a_file_of_another_version(self, file: Path, postgres_url: str) -> None:
        with closing(sqlite3.connect(file)) as connection, connection:
            connection.execute("UPDATE review_notifier_version SET version_num = '0001'")
        with pytest.raises(ConfigError, match="older schema than this program: run `review-notifier migrate`"):
            move_to_postgres(file, postgres_url)

    def test_of_sqlite_as_the_target(self, file: Path) -> None:
        with pytest.raises(ConfigError, match="names SQLite: set it to the PostgreSQL database"):
            move_to_postgres(file, "sqlite:///other.db")

    def test_halfway_leaves_the_target_empty(self, source: SqlStore, file: Path, postgres_url: str) -> None:
        live(source)
        migrate_database(postgres_url)
        with psycopg.connect(postgres_url.replace("+psycopg", ""), autocommit=True) as connection:
            connection.execute(
                "CREATE FUNCTION refuse() RETURNS trigger AS $$ BEGIN RETURN NULL; END $$ LANGUAGE plpgsql;"
                "CREATE TRIGGER refuse BEFORE INSERT ON pauses FOR EACH ROW EXECUTE FUNCTION refuse()"
            )
        with pytest.raises(StoreError, match="nothing was moved"):
            move_to_postgres(file, postgres_url)
        with closing(open_store(postgres_url, migrate=False)) as target:
            assert (target.polls(), target.deliveries()) == ([], [])


def tables(url: str) -> int:
    """How many of our tables a database has."""
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        names = {name for (name,) in connection.execute("SELECT tablename FROM pg_tables").fetchall()}
    return len(names & {table.name for table in TABLES})
