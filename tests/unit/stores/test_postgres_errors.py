"""What a role on PostgreSQL may not do, and options that do not fit: one message with the fix at the start."""

from __future__ import annotations

import re
from contextlib import closing
from types import SimpleNamespace
from typing import TYPE_CHECKING
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import make_url

from tests.support.builders import NOON, deciding, notice, queue, review
from worker.core.ports import DATABASE_URL, ConfigError, RefusedError, StoreError
from worker.stores.opening import migrate_database, open_store
from worker.stores.postgres import is_exposed
from worker.stores.postgres_errors import explain_server_error, is_passing, is_refusal

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.postgres import Postgres

QUEUE = queue()
NAME = "caf\N{LATIN SMALL LETTER E WITH ACUTE} \N{PILE OF POO}"
ROWS = "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role}"
NUMBERS = "GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {role}"


class Guest:
    """A role that owns nothing, and a database of somebody else."""

    def __init__(self, server: Postgres, owner_url: str) -> None:
        self._server = server
        self.role = f"guest_{uuid4().hex[:12]}"
        self.owner_url = owner_url
        self.url = owner_url.replace("//postgres:", f"//{self.role}:")
        self.database = str(make_url(owner_url).database)
        server.execute(f"CREATE ROLE {self.role} LOGIN")

    def owner_says(self, *statements: str) -> None:
        with psycopg.connect(self.owner_url.replace("+psycopg", ""), autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.format(role=self.role, database=self.database).encode())

    def refused(self, work: Callable[[str], object], said: str) -> str:
        with pytest.raises(ConfigError, match=said) as caught:
            work(self.url)
        assert "\n" not in str(caught.value)
        return str(caught.value)


@pytest.fixture
def guest(postgres_server: Postgres, postgres_url: str) -> Guest:
    return Guest(postgres_server, postgres_url)


@pytest.fixture
def migrated(guest: Guest) -> Guest:
    migrate_database(guest.owner_url)
    return guest


def to_work(url: str) -> None:
    open_store(url, migrate=True).close()


def to_look(url: str) -> None:
    open_store(url, migrate=False).close()


def write(url: str) -> None:
    with closing(open_store(url, migrate=True)) as store:
        told = review(NAME)
        store.update(QUEUE, [], deciding(told, notices=[notice(told)]), NOON)
        store.remember("a", NAME)
        assert store.recall("a") == NAME


class TestARole:
    def test_that_was_granted_all_works(self, migrated: Guest) -> None:
        migrated.owner_says(ROWS, NUMBERS)
        write(migrated.url)

    @pytest.mark.parametrize(
        ("granted", "denied", "said"),
        [
            ([], [], r"GRANT SELECT, INSERT, UPDATE, DELETE ON acts, deliveries, .*, reviews, turns, workers TO guest"),
            ([NUMBERS, "GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}"], [], "GRANT INSERT, UPDATE, DELETE ON"),
            (
                [ROWS, NUMBERS],
                ["REVOKE DELETE ON reviews, notes FROM {role}"],
                "GRANT DELETE ON notes, reviews TO",
            ),
            ([ROWS], [], "owner: GRANT USAGE ON SEQUENCE public.reviews_review_id_seq, public.deliv"),
            ([ROWS, NUMBERS], ["REVOKE USAGE ON SCHEMA public FROM PUBLIC"], "GRANT USAGE ON SCHEMA public TO guest"),
            ([ROWS, NUMBERS], ["REVOKE CONNECT ON DATABASE {database} FROM PUBLIC"], "GRANT CONNECT ON DATABASE test_"),
            ([], ["ALTER ROLE {role} NOLOGIN"], "ALTER ROLE guest_.* LOGIN"),
            (
                [ROWS, NUMBERS],
                ["ALTER ROLE {role} SET default_transaction_read_only = on"],
                "only reads: .* RESET",
            ),
            ([ROWS, NUMBERS], ["ALTER ROLE {role} SET search_path = nowhere"], "ALTER ROLE guest.* SET search_path"),
        ],
    )
    def test_is_given_the_statement_that_is_missing(
        self, migrated: Guest, granted: list[str], denied: list[str], said: str
    ) -> None:
        migrated.owner_says(*granted, *denied)
        migrated.refused(to_work, said)

    def test_that_may_read_may_look(self, migrated: Guest) -> None:
        migrated.owner_says("GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}")
        to_look(migrated.url)

    def test_that_may_not_even_read_is_told_so(self, migrated: Guest) -> None:
        migrated.refused(to_look, "permission denied for table review_notifier_version.*GRANT SELECT")

    def test_that_may_make_nothing_cannot_migrate(self, guest: Guest) -> None:
        guest.refused(
            migrate_database, "for schema public. As its owner: GRANT USAGE, CREATE ON SCHEMA public TO guest"
        )

    def test_whose_connections_are_all_in_use_may_come_again(self, migrated: Guest) -> None:
        migrated.owner_says("ALTER ROLE {role} CONNECTION LIMIT 0")
        with pytest.raises(StoreError, match="has no room for another connection; it is tried again"):
            to_work(migrated.url)

    def test_may_have_settings_of_its_own(self, migrated: Guest) -> None:
        odd = {
            "datestyle": "'SQL, DMY'",
            "timezone": "'Asia/Kathmandu'",
            "standard_conforming_strings": "off",
            "bytea_output": "'escape'",
            "client_encoding": "'LATIN1'",
            "default_transaction_isolation": "'serializable'",
            "statement_timeout": "'1s'",
        }
        migrated.owner_says(ROWS, NUMBERS, *(f"ALTER ROLE {{role}} SET {name} = {odd[name]}" for name in odd))
        write(migrated.url)

    def test_that_is_denied_something_meanwhile_goes_on_when_it_is_granted(self, migrated: Guest) -> None:
        migrated.owner_says(ROWS, NUMBERS)
        with closing(open_store(migrated.url, migrate=True)) as store:
            migrated.owner_says("REVOKE INSERT, UPDATE ON notes FROM {role}")
            said = "denied for table notes. As its owner: GRANT SELECT, INSERT, UPDATE, DELETE ON notes TO guest"
            with pytest.raises(RefusedError, match=said):
                store.remember("a", "b")
            migrated.owner_says(ROWS)
            store.remember("a", "b")
            migrated.owner_says("ALTER TABLE notes RENAME TO elsewhere")
            with pytest.raises(RefusedError, match="lacks one of its tables"):
                store.recall("a")


class TestTheTry:
    def test_leaves_nothing(self, migrated: Guest) -> None:
        to_work(migrated.owner_url)
        with psycopg.connect(migrated.owner_url.replace("+psycopg", "")) as connection:
            assert connection.execute("SELECT count(*) FROM notes").fetchone() == (0,)

    def test_finds_what_no_privilege_shows(self, migrated: Guest) -> None:
        migrated.owner_says(
            ROWS,
            NUMBERS,
            "ALTER TABLE notes ENABLE ROW LEVEL SECURITY",
        )
        migrated.refused(to_work, "row-level security policy")


class TestAnEncoding:
    def made(self, server: Postgres, encoding: str) -> str:
        name = f"test_{uuid4().hex}"
        server.execute(f"CREATE DATABASE {name} ENCODING '{encoding}' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'")
        return server.uri.replace("/postgres?", f"/{name}?")

    def test_that_lacks_characters_is_refused(self, postgres_server: Postgres) -> None:
        url = self.made(postgres_server, "LATIN1")
        for work in (migrate_database, to_work, to_look):
            with pytest.raises(ConfigError, match=r"keeps its text in LATIN1.*createdb --encoding UTF8"):
                work(url)

    def test_that_looks_at_nothing_keeps_everything(self, postgres_server: Postgres) -> None:
        url = self.made(postgres_server, "SQL_ASCII")
        migrate_database(url)
        write(url)


class TestOptions:
    @pytest.mark.parametrize(
        ("query", "said"),
        [
            ("prepare_threshold=0", "option prepare_threshold cannot be set here"),
            ("autocommit=true", "option autocommit cannot be set here"),
            ("client_encoding=latin1", "option client_encoding cannot be set here"),
            ("replication=database", "option replication cannot be set here"),
            ("row_factory=x", "option row_factory is not an option of PostgreSQL: remove it"),
            ("context=1", "option context is not an option of PostgreSQL"),
            ("plugin=x", "option plugin is not an option of PostgreSQL"),
            ("pgbouncer=true", "option pgbouncer is not an option of PostgreSQL: remove it"),
            ("ssl_mode=require", "option ssl_mode is not an option of PostgreSQL: did you mean sslmode?"),
            ("sslmode=disable&sslmode=require", "option sslmode is given more than once"),
            ("dbname=other", "option dbname is given before the question mark, too"),
            ("user=other", "option user is given before the question mark, too"),
            ("a%00b=c", "option after the question mark is not an option"),
            ("sslmode=%00", "zero byte"),
            ("connect_timeout=soon", "connect_timeout: 'soon'"),
            ("sslmode=quite", 'invalid sslmode value: "quite"'),
            ("service=none", 'service "none" not found'),
        ],
    )
    def test_that_cannot_be_used_are_refused_by_name(self, query: str, said: str) -> None:
        for work in (migrate_database, to_work):
            with pytest.raises(ConfigError, match=re.escape(said) if "%" in said else said) as caught:
                work(f"postgresql://guest:hunter2@127.0.0.1:1/x?{query}")
            assert DATABASE_URL in str(caught.value)
            assert "hunter2" not in str(caught.value)

    @pytest.mark.parametrize("query", ["application_name=x%20y", "sslmode=prefer", "options=-c%20work_mem%3D1MB"])
    def test_of_libpq_work(self, postgres_url: str, query: str) -> None:
        migrate_database(f"{postgres_url}&{query}")

    @pytest.mark.parametrize("host", ["a..b", "x" * 80 + ".example"])
    def test_hosts_that_no_name_server_knows_are_no_tracebacks(self, host: str) -> None:
        with pytest.raises(ConfigError, match=r"could be sent|resolve"):
            to_work(f"postgresql://guest:hunter2@{host}/x")


@pytest.mark.parametrize(
    ("words", "said", "refusal", "passing"),
    [
        ('FATAL:  password authentication failed for user "x"', "refuses the user or the password", True, False),
        ('FATAL:  no pg_hba.conf entry for host "1.2.3.4", user "x"', "refuses the user or the password", True, False),
        ("FATAL:  sorry, too many clients already", "has no room for another connection", False, True),
        ("FATAL:  the database system is starting up", "is being started or stopped", False, True),
        ("FATAL:  no more connections allowed (max_client_conn)", "has no room for another", False, True),
        ("transaction blocks not allowed in statement pooling mode", "set its pool_mode to transaction", True, False),
        ("FATAL:  unsupported startup parameter: options", "a pooler that takes no such option", False, False),
        ("FATAL:  Passwort falsch", "fails: Passwort falsch", False, False),
    ],
)
def test_words_before_a_connection_are_understood(words: str, said: str, *, refusal: bool, passing: bool) -> None:
    error = psycopg.OperationalError(f"connection failed: connection to server failed: {words}\n")
    assert said in explain_server_error(error, make_url("postgresql+psycopg://x:hunter2@db/notifier"))
    assert (is_refusal(error), is_passing(error)) == (refusal, passing)


@pytest.mark.parametrize(
    ("host", "address", "tls", "exposed"),
    [
        (b"/run/postgresql", b"", False, False),
        (b"localhost", b"127.0.0.1", False, False),
        (b"localhost", b"::1", False, False),
        (b"db.internal", b"10.1.2.3", False, True),
        (b"db.internal", b"fe80::1%eth0", False, True),
        (b"db.internal", b"10.1.2.3", True, False),
    ],
)
def test_a_line_is_exposed_on_a_network_without_tls(host: bytes, address: bytes, *, tls: bool, exposed: bool) -> None:
    line = SimpleNamespace(host=host, hostaddr=address, ssl_in_use=tls)
    driver = SimpleNamespace(connection=SimpleNamespace(driver_connection=SimpleNamespace(pgconn=line)))
    assert is_exposed(driver) is exposed  # type: ignore[arg-type]
