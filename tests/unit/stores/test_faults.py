"""Databases in trouble while the worker runs: one clear StoreError in bounded time, and recovery by itself."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import socket
import sqlite3
import struct
import traceback
from contextlib import ExitStack, closing, contextmanager, suppress
from datetime import timedelta
from threading import Thread
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from sqlalchemy import make_url
from sqlalchemy.exc import OperationalError, StatementError

from tests.support import postgres
from tests.support.builders import NOON, deciding, delivery, queue, review
from worker.clock import SystemClock
from worker.core.model import Kind, Memory
from worker.core.plan import Plan
from worker.core.ports import ConfigError, Fenced, StoreError
from worker.stores import files
from worker.stores.opening import migrate_database, open_store
from worker.stores.postgres import connect_to_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.postgres import Postgres
    from worker.stores.sql import SqlStore

SHORTLY = timedelta(seconds=0.3)
BOUNDED = 30
QUEUE = queue()
ENCRYPTION = {struct.pack("!I", code) for code in (80877103, 80877104)}  # by TLS, by GSSAPI
LET_IN = b"R" + struct.pack("!II", 8, 0) + b"Z" + struct.pack("!I", 5) + b"I"  # authenticated; ready


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "worker.db"


@pytest.fixture
def lite(path: Path, sqlite_template: Path) -> Iterator[SqlStore]:
    shutil.copy(sqlite_template, path)
    with closing(open_store(f"sqlite:///{path}", migrate=False, patience=SHORTLY)) as store:
        yield store


@pytest.fixture
def post(migrated_postgres: str) -> Iterator[SqlStore]:
    with closing(open_store(migrated_postgres, migrate=False, patience=timedelta(seconds=1))) as store:
        yield store


def write(store: SqlStore, name: str = "a") -> None:
    store.update(QUEUE, [], deciding(review(name)), NOON)


class TestSqlite:
    def test_locked_by_another_is_said_and_over_when_that_lets_go(self, lite: SqlStore, path: Path) -> None:
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreError, match=f"{path} is locked by another program; it is tried again"):
                write(lite)
            assert lite.standing(QUEUE.queue_id, None).waiting == 0  # looking is still possible
            other.execute("ROLLBACK")
        write(lite)
        assert lite.standing(QUEUE.queue_id, None).waiting == 1

    def test_full_disk_is_said_and_over_when_there_is_room(self, lite: SqlStore) -> None:
        many = [review(number) for number in range(3000)]
        with limited(lite), pytest.raises(StoreError, match=r"disk is full. Free some space"):
            lite.update(QUEUE, [], deciding(*many), NOON)
        assert lite.polls() == []
        lite.update(QUEUE, [], deciding(*many), NOON)
        assert lite.standing(QUEUE.queue_id, None).waiting == 3000

    def test_failing_disk_is_said_and_over_when_it_works_again(self, lite: SqlStore) -> None:
        many = [review(number) for number in range(3000)]
        with small_files(), pytest.raises(StoreError, match=r"cannot be read or written|cannot grow"):
            lite.update(QUEUE, [], deciding(*many), NOON)
        assert lite.polls() == []
        lite.update(QUEUE, [], deciding(*many), NOON)
        assert lite.standing(QUEUE.queue_id, None).waiting == 3000

    def test_file_that_is_damaged_meanwhile_is_said(self, lite: SqlStore, path: Path) -> None:
        write(lite)
        lite.maintain()
        content = bytearray(path.read_bytes())
        content[100:] = b"\xff" * (len(content) - 100)
        path.write_bytes(content)
        lite.close()
        with pytest.raises(StoreError, match=r"damaged: stop the service and restore a backup|not a database"):
            lite.polls()

    def test_file_that_is_gone_meanwhile_is_said(self, lite: SqlStore, path: Path) -> None:
        lite.close()
        path.unlink()
        with pytest.raises(StoreError, match="cannot be opened: check that the file"):
            lite.polls()
        assert not path.exists()

    @pytest.mark.parametrize("harm", ["removed", "replaced", "folder renamed", "log removed", "index removed"])
    def test_files_that_change_hands_stop_everything_at_once(self, tmp_path: Path, harm: str) -> None:
        folder = tmp_path / "state"
        folder.mkdir()
        path = folder / "worker.db"
        with closing(open_store(f"sqlite:///{path}", migrate=True, patience=SHORTLY)) as store:
            write(store)
            if harm == "removed":
                path.unlink()
            elif harm == "replaced":
                files.copy_file(path, folder / "backup.db")
                (folder / "backup.db").replace(path)
            elif harm == "folder renamed":
                folder.rename(tmp_path / "away")
                folder.mkdir()
            else:
                path.with_name("worker.db-wal" if harm == "log removed" else "worker.db-shm").unlink()
            said = r"was (removed|replaced by another file) while this process works on it\. Nothing is polled"
            for work in (lambda: write(store, "b"), store.polls, store.pauses):
                with pytest.raises(StoreError, match=said):
                    work()
            if harm == "folder renamed":
                folder.rmdir()
                (tmp_path / "away").rename(folder)
                write(store, "b")  # nothing was lost
                assert store.standing(QUEUE.queue_id, None).waiting == 2

    def test_log_that_was_removed_is_folded_into_the_file_by_a_stop(self, path: Path) -> None:
        with closing(open_store(f"sqlite:///{path}", migrate=True)) as store:
            write(store)
            path.with_name("worker.db-wal").unlink()
            path.with_name("worker.db-shm").unlink()
        with closing(open_store(f"sqlite:///{path}", migrate=True)) as store:
            assert store.standing(QUEUE.queue_id, None).waiting == 1

    @pytest.mark.parametrize("room", [0, 1000, 5000])
    def test_full_disk_at_a_start_is_no_matter_of_settings(self, path: Path, room: int) -> None:
        with small_files(room), pytest.raises(StoreError, match=r"disk (fails or )?is full|cannot be made"):
            migrate_database(f"sqlite:///{path}")
        migrate_database(f"sqlite:///{path}")

    def test_a_transaction_of_this_process_is_waited_for_in_turn(self, lite: SqlStore) -> None:
        def decide(_: Memory) -> Plan:
            with pytest.raises(StoreError, match="busy with another transaction of this process"):
                lite.remember("a", "b")
            return Plan()

        lite.update(QUEUE, [], decide, NOON)
        lite.remember("a", "b")

    def test_a_bug_is_not_taken_for_trouble(self, lite: SqlStore) -> None:
        with pytest.raises(StatementError, match="offset-naive"):
            lite.owe(delivery(kind=Kind.OPS, created_at=NOON.replace(tzinfo=None)))
        write(lite)


@contextmanager
def limited(store: SqlStore) -> Iterator[None]:
    """Let the file grow no more, as on a full disk."""

    def limit(pages: int) -> None:
        raw = store._database.engine.raw_connection()  # noqa: SLF001  there is no other way to the one connection
        raw.cursor().execute(f"PRAGMA max_page_count = {pages}")
        raw.close()

    limit(1)
    yield
    limit(2**30)


@contextmanager
def small_files(room: int = 200_000) -> Iterator[None]:
    """Let the system refuse to write any further, in the middle of the transaction's log."""
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, usual[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, usual)


@contextmanager
def no_more_files() -> Iterator[None]:
    """Let the system refuse every new file and socket; those that are open go on."""
    usual = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, usual[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, usual)


class TestPostgres:
    def test_lost_connections_are_replaced(self, post: SqlStore, migrated_postgres: str) -> None:
        write(post)
        with psycopg.connect(migrated_postgres.replace("+psycopg", ""), autocommit=True) as other:
            other.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            write(post, "b")
        assert post.standing(QUEUE.queue_id, None).waiting == 2

    def test_frozen_server_holds_a_call_for_a_bounded_time(self, post: SqlStore, migrated_postgres: str) -> None:
        write(post)
        with frozen(migrated_postgres), pytest.raises(StoreError, match="has not answered for 1 s; it is tried again"):
            post.polls()
        assert len(post.polls()) == 1

    def test_frozen_server_is_given_up_without_a_free_file_number(self, post: SqlStore, migrated_postgres: str) -> None:
        write(post)
        began = SystemClock().monotonic()
        with frozen(migrated_postgres), no_more_files(), pytest.raises(StoreError, match="has not answered for 1 s"):
            post.polls()
        assert SystemClock().monotonic() - began < BOUNDED
        assert len(post.polls()) == 1

    def test_frozen_server_is_given_up_by_who_rolls_back(self, post: SqlStore, migrated_postgres: str) -> None:
        write(post)
        with ExitStack() as until_over:

            def decide(_: Memory) -> Plan:
                until_over.enter_context(frozen(migrated_postgres))
                raise Fenced

            with pytest.raises(StoreError, match="has not answered for 1 s"):
                post.update(QUEUE, [], decide, NOON)
        write(post, "b")

    def test_connection_that_was_cut_just_after_its_answer_is_not_used_again(self, post: SqlStore) -> None:
        with post._database.engine.connect() as connection:  # noqa: SLF001  nothing outside can hit that moment
            connection.info["watch"]._cut()  # noqa: SLF001
        write(post)

    def test_row_held_by_another_is_waited_for_a_bounded_time(self, post: SqlStore, migrated_postgres: str) -> None:
        write(post)
        with psycopg.connect(migrated_postgres.replace("+psycopg", "")) as other:
            other.execute("SELECT * FROM queues FOR UPDATE")
            with pytest.raises(StoreError, match=r"is busy|is too slow"):
                write(post, "b")
        write(post, "b")

    def test_transaction_outlasts_a_server_that_is_killed(self, postgres_url: str) -> None:
        database = connect_to_server(make_url(postgres_url), patience=timedelta(seconds=5))
        asked = "SHOW synchronous_commit"  # it is off on the tests' own server
        with closing(database.engine.connect()) as connection:
            assert connection.exec_driver_sql(asked).scalar_one() == "on"
        database.engine.dispose()

    def test_server_that_only_reads_is_said_and_left_for_one_that_writes(self, migrated_postgres: str) -> None:
        """After a failover the pooled sessions are still those of the former primary."""
        with psycopg.connect(migrated_postgres.replace("+psycopg", ""), autocommit=True) as other:
            only_read(other, "on")
            with closing(open_store(migrated_postgres, migrate=False, patience=timedelta(seconds=2))) as store:
                only_read(other, "off")
                with pytest.raises(StoreError, match=r"only reads: it is a standby .*; it is tried again$"):
                    write(store)  # once: a switch-over takes its time
                write(store)

    def test_deadlock_is_tried_again(self, post: SqlStore) -> None:
        """Whoever loses decides again."""
        decided = []

        def decide(_: Memory) -> Plan:
            decided.append(1)
            if len(decided) == 1:
                raise psycopg_error()
            return Plan((review("a"),))

        post.update(QUEUE, [], decide, NOON)
        assert (len(decided), post.standing(QUEUE.queue_id, None).waiting) == (2, 1)

    def test_that_loses_for_ever_is_given_up(self, post: SqlStore) -> None:
        decided = []

        def decide(_: Memory) -> Plan:
            decided.append(1)
            raise psycopg_error()

        with pytest.raises(StoreError, match="fails"):
            post.update(QUEUE, [], decide, NOON)
        assert len(decided) == 5


def only_read(connection: psycopg.Connection[Any], whether: str) -> None:
    """Let sessions that begin from now on only read, or write again."""
    connection.execute("SET default_transaction_read_only = off")
    sql = "ALTER DATABASE {} SET default_transaction_read_only = {}"
    connection.execute(psycopg.sql.SQL(sql).format(psycopg.sql.Identifier(connection.info.dbname), whether))


def psycopg_error() -> Exception:
    return OperationalError("UPDATE", None, psycopg.errors.DeadlockDetected("deadlock detected"))


@contextmanager
def frozen(url: str) -> Iterator[None]:
    """Freeze every server process that serves this database, as a machine under a paused hypervisor."""
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as other:
        rows = other.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        ).fetchall()
    for (pid,) in rows:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for (pid,) in rows:
            os.kill(pid, signal.SIGCONT)


class TestAServerThatCannotBeReached:
    def test_refuses_connections(self) -> None:
        url = "postgresql+psycopg://user:hunter2@127.0.0.1:1/notifier"
        said = r"the PostgreSQL database notifier on 127.0.0.1:1 .*the database's URL"
        with pytest.raises(ConfigError, match=said) as caught:
            open_store(url, migrate=False)
        assert "hunter2" not in "".join(traceback.format_exception(caught.value))

    def test_accepts_and_says_nothing(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(ConfigError) as caught:
            open_store(f"postgresql://user:hunter2@127.0.0.1:{silent.getsockname()[1]}/notifier", migrate=False)
        assert "hunter2" not in str(caught.value)

    def test_lets_in_and_says_nothing(self) -> None:
        with mute() as port, pytest.raises(ConfigError, match=f"on 127.0.0.1:{port} .*Check the database's URL"):
            open_store(f"postgresql://user@127.0.0.1:{port}/notifier", migrate=False, patience=SHORTLY)

    def test_has_no_such_database(self, postgres_server: Postgres) -> None:
        missing = postgres_server.uri.replace("/postgres?", "/missing?")
        with pytest.raises(ConfigError, match="missing"):
            open_store(missing, migrate=False)

    @pytest.mark.parametrize(
        "work", [migrate_database, lambda url: open_store(url, migrate=True)], ids=["migrate", "open"]
    )
    def test_holds_tables_of_another_program(self, postgres_url: str, work: object) -> None:
        with psycopg.connect(postgres_url.replace("+psycopg", "")) as other:
            other.execute("CREATE TABLE queues (x int)")
        with pytest.raises(ConfigError, match="tables of another program: name a database of its own"):
            work(postgres_url)  # type: ignore[operator]

    def test_is_not_migrated_by_who_works(self, postgres_url: str) -> None:
        with pytest.raises(ConfigError, match="older schema than this program: run `review-notifier migrate`"):
            open_store(postgres_url, migrate=True)

    def test_is_newer(self, postgres_url: str) -> None:
        migrate_database(postgres_url)
        with psycopg.connect(postgres_url.replace("+psycopg", "")) as other:
            other.execute("UPDATE review_notifier_version SET version_num = '9999'")
        with pytest.raises(ConfigError, match="newer than this program: install the version that wrote it"):
            open_store(postgres_url, migrate=False)


@contextmanager
def mute() -> Iterator[int]:
    """Serve one client that lets everybody in and answers no statement, as a pooler without a server; its port."""

    def serve() -> None:
        # A client that leaves with answers unread resets the line.
        with suppress(OSError), listener.accept()[0] as client:
            while client.recv(1000)[4:] in ENCRYPTION:
                client.sendall(b"N")
            client.sendall(LET_IN)
            while client.recv(1000):
                pass

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        thread.join()


def test_a_server_that_restarts_is_found_again() -> None:
    with postgres.running() as server:
        url = server.create()
        migrate_database(url)
        with closing(open_store(url, migrate=False, patience=timedelta(seconds=2))) as store:
            write(store)
            server.stop()
            with pytest.raises(StoreError, match="PostgreSQL database"):
                write(store, "b")
            server.start()
            write(store, "b")
            assert store.standing(QUEUE.queue_id, None).waiting == 2
