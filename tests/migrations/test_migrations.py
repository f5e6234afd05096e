"""The migrations: they lead to the tables that the program uses, and lose nothing on the way."""

from __future__ import annotations

import ast
import re
import shutil
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from tests.support.builders import NOON, deciding, notice, queue, review
from worker.core.owed import State
from worker.core.ports import ConfigError, StoreError
from worker.stores import schema
from worker.stores.opening import migrate_database, open_store
from worker.stores.schema import VERSION_TABLE, metadata

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

QUEUE = queue()
REVISIONS = sorted((schema.migrations() / "versions").glob("*.py"))
NEXT = '''
"""A revision as it may come one day."""
import sqlalchemy as sa
from alembic import op
revision = "next"
down_revision = "{head}"
def upgrade():
{steps}
'''
# Alembic alters an SQLite table by making a new one and dropping the old: with foreign keys on, that would delete
# every row of other tables that refers to it.
ALTER_A_PARENT = """
    recreate = "always" if op.get_bind().dialect.name == "sqlite" else "never"
    with op.batch_alter_table("reviews", recreate=recreate) as batch:
        batch.add_column(sa.Column("note", sa.Text(), nullable=False, server_default="none"))
"""
LOSE_A_PARENT = """
    op.execute("DELETE FROM reviews")
"""
FAIL_HALFWAY = """
    op.add_column("reviews", sa.Column("note", sa.Text()))
    op.execute("INSERT INTO nowhere VALUES (1)")
"""


@pytest.fixture(params=["sqlite", "postgres"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database without tables."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/worker.db"
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture
def used(empty: str) -> str:
    """A migrated database with a queue, reviews and a sent delivery."""
    migrate_database(empty)
    with closing(open_store(empty, migrate=False)) as store:
        runs = [review(number) for number in range(50)]
        store.update(QUEUE, [], deciding(*runs, notices=[notice(*runs)]), NOON)
    return empty


@pytest.fixture
def connection(empty: str) -> Iterator[sa.Connection]:
    engine = sa.create_engine(empty)
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def future(tmp_path: Path, steps: str) -> Path:
    """The migrations with one more."""
    scripts = tmp_path / "future"
    shutil.copytree(schema.migrations(), scripts, ignore=shutil.ignore_patterns("__pycache__"))
    (scripts / "versions" / "next.py").write_text(NEXT.format(head=schema.HEAD, steps=steps))
    return scripts


def for_postgres() -> sa.MetaData:
    """The tables, whose partial indexes are partial on PostgreSQL as well."""
    copied = sa.MetaData(naming_convention=metadata.naming_convention)
    for table in metadata.sorted_tables:
        for index in table.to_metadata(copied).indexes:
            index.dialect_kwargs["postgresql_where"] = index.dialect_options["sqlite"]["where"]
    return copied


class TestTheNewestSchema:
    def test_is_the_one_that_the_program_is_written_for(self) -> None:
        assert ScriptDirectory(str(schema.migrations())).get_heads() == [schema.HEAD]

    def test_has_no_difference_from_the_tables_that_alembic_can_see(
        self, empty: str, connection: sa.Connection
    ) -> None:
        migrate_database(empty)
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": True, "version_table": VERSION_TABLE}
        )
        assert compare_metadata(context, metadata) == []

    def test_is_word_for_word_what_sqlite_would_make_of_the_tables(self, tmp_path: Path) -> None:
        migrate_database(f"sqlite:///{tmp_path}/worker.db")
        engine = sa.create_engine(f"sqlite:///{tmp_path}/made.db")
        metadata.create_all(engine)
        engine.dispose()
        assert _sqlite_schema(tmp_path / "worker.db") == _sqlite_schema(tmp_path / "made.db")

    def test_is_on_postgres_what_the_tables_say(self, postgres_url: str) -> None:
        migrate_database(postgres_url)
        engine = sa.create_engine(postgres_url)
        with engine.connect() as connection:
            migrated = _postgres_schema(connection)
            connection.exec_driver_sql(f"DROP TABLE {', '.join(metadata.tables)}")
            for_postgres().create_all(connection)
            made = _postgres_schema(connection)
        engine.dispose()
        assert migrated == made
        assert len(made) > 80

    def test_is_kept_by_migrating_again(self, used: str) -> None:
        migrate_database(used)
        with closing(open_store(used, migrate=False)) as store:
            assert store.standing(QUEUE.queue_id, None).waiting == 50

    @pytest.mark.usefixtures("used")
    def test_can_be_undone(self, connection: sa.Connection) -> None:
        command.downgrade(schema.settings(connection=connection), "base")
        assert set(sa.inspect(connection).get_table_names()) <= {VERSION_TABLE}


def _sqlite_schema(path: Path) -> set[str]:
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    return {_in_order(sql) for (sql,) in rows if VERSION_TABLE not in sql}


def _in_order(sql: str) -> str:
    """Spaces and the order of constraints do not count."""
    head, _, rest = re.sub(r"\s+", " ", sql).partition("(")
    return head + "(" + ",".join(sorted(part.strip() for part in rest.split(", ")))


def _postgres_schema(connection: sa.Connection) -> set[str]:
    columns = connection.exec_driver_sql(
        "SELECT table_name || ' ' || column_name || ' ' || data_type || ' ' || is_nullable || ' ' ||"
        " coalesce(column_default, '') FROM information_schema.columns WHERE table_schema = 'public'"
    ).scalars()
    indexes = connection.exec_driver_sql("SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'").scalars()
    constraints = connection.exec_driver_sql(
        "SELECT conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid) FROM pg_constraint"
        " WHERE connamespace = 'public'::regnamespace"
    ).scalars()
    return {line for line in [*columns, *indexes, *constraints] if VERSION_TABLE not in line}


class TestANewRevision:
    def test_that_alters_a_table_loses_nothing(self, used: str, tmp_path: Path, connection: sa.Connection) -> None:
        migrate_database(used, scripts=future(tmp_path, ALTER_A_PARENT))
        counts = [
            connection.execute(sa.select(sa.func.count()).select_from(sa.table(name))).scalar()
            for name in ("queues", "reviews", "deliveries", "delivery_reviews")
        ]
        assert counts == [1, 50, 1, 50]
        assert connection.exec_driver_sql("SELECT DISTINCT note FROM reviews").scalar() == "none"

    def test_that_would_lose_references_is_refused(self, used: str, tmp_path: Path, connection: sa.Connection) -> None:
        with pytest.raises((StoreError, sa.exc.IntegrityError)):
            migrate_database(used, scripts=future(tmp_path, LOSE_A_PARENT))
        assert connection.exec_driver_sql("SELECT count(*) FROM reviews").scalar() == 50

    def test_that_fails_halfway_leaves_the_database_as_it_was(
        self, used: str, tmp_path: Path, connection: sa.Connection
    ) -> None:
        with pytest.raises((ConfigError, StoreError, sa.exc.ProgrammingError)):
            migrate_database(used, scripts=future(tmp_path, FAIL_HALFWAY))
        assert "note" not in {column["name"] for column in sa.inspect(connection).get_columns("reviews")}
        with closing(open_store(used, migrate=False)) as store:
            assert store.deliveries()[0].state is State.PENDING

    def test_makes_the_database_newer_than_this_program(self, used: str, tmp_path: Path) -> None:
        migrate_database(used, scripts=future(tmp_path, ALTER_A_PARENT))
        with pytest.raises(ConfigError, match="newer than this program"):
            open_store(used, migrate=True)

    def test_leaves_a_copy_that_the_former_program_can_read(self, tmp_path: Path) -> None:
        path = tmp_path / "worker.db"
        with closing(open_store(f"sqlite:///{path}", migrate=True)) as store:
            store.update(QUEUE, [], deciding(review("a")), NOON)
        migrate_database(f"sqlite:///{path}", scripts=future(tmp_path, ALTER_A_PARENT))
        kept = tmp_path / f"worker.db.before-migration-of-{schema.HEAD}"
        with closing(open_store(f"sqlite:///{kept}", migrate=False)) as store:
            assert store.standing(QUEUE.queue_id, None).waiting == 1

    def test_tries_again_after_a_failure(self, used: str, tmp_path: Path, connection: sa.Connection) -> None:
        with pytest.raises((ConfigError, StoreError, sa.exc.ProgrammingError)):
            migrate_database(used, scripts=future(tmp_path / "bad", FAIL_HALFWAY))
        migrate_database(used, scripts=future(tmp_path / "good", ALTER_A_PARENT))
        assert connection.exec_driver_sql("SELECT count(note) FROM reviews").scalar() == 50


NOTES = {f"listing of {QUEUE.queue_id}": "items", "listing of https://smith.example": "runs", "roster": "x"}


def _notes(connection: sa.Connection) -> dict[str, str]:
    return dict(connection.exec_driver_sql("SELECT name, value FROM notes").all())  # type: ignore[arg-type]


class TestTheListingOfAQueue:
    """0005: it was a note, and is a part of the queue's row now."""

    def test_moves_into_its_row_and_back(self, used: str, connection: sa.Connection) -> None:
        command.downgrade(schema.settings(connection=connection), "0004")
        for name, value in NOTES.items():
            connection.execute(sa.text("INSERT INTO notes VALUES (:name, :value)"), {"name": name, "value": value})
        connection.commit()
        migrate_database(used)
        assert connection.exec_driver_sql("SELECT listing FROM queues").scalar() == "items"
        assert set(_notes(connection)) == NOTES.keys() - {f"listing of {QUEUE.queue_id}"}
        connection.commit()
        command.downgrade(schema.settings(connection=connection), "0004")
        assert _notes(connection) == NOTES


class TestTheScripts:
    @pytest.mark.parametrize("revision", REVISIONS, ids=lambda path: path.stem)
    def test_never_import_the_program(self, revision: Path) -> None:
        """What an old revision says must not change with a newer program."""
        found = [
            node for node in ast.walk(ast.parse(revision.read_text())) if isinstance(node, ast.Import | ast.ImportFrom)
        ]
        names = {getattr(node, "module", None) or node.names[0].name for node in found}
        assert names <= {"__future__", "alembic", "re", "sqlalchemy"}

    def test_are_found_beside_the_package_in_a_checkout(self) -> None:
        assert (schema.migrations() / "env.py").is_file()

    def test_would_be_written_in_plain_types(self, tmp_path: Path) -> None:
        scripts = tmp_path / "scripts"
        shutil.copytree(schema.migrations(), scripts, ignore=shutil.ignore_patterns("__pycache__", "0*"))
        engine = sa.create_engine(f"sqlite:///{tmp_path}/empty.db")
        with engine.begin() as connection:
            command.revision(schema.settings(scripts, connection), "all tables", autogenerate=True)
        engine.dispose()
        (written,) = (scripts / "versions").glob("*.py")
        assert "worker." not in written.read_text()
        assert "sa.BigInteger()" in written.read_text()
