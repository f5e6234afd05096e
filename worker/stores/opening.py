"""Opening a store by its URL, migrating, backing up, and moving to PostgreSQL: where a database is refused, and why."""

from __future__ import annotations

import tempfile
from contextlib import closing, contextmanager, suppress
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError

from worker.core.ports import DATABASE_URL, ConfigError, RefusedError, StoreError
from worker.stores import files, schema, sqlite
from worker.stores.lock import hold_lock, require_same_file
from worker.stores.schema import Fit
from worker.stores.sql import SqlStore

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sqlalchemy.engine import URL, Connection

    from worker.stores.database import Database

_PATIENCE = timedelta(seconds=8)
"""How long one call waits for a database that is locked or does not answer."""

_MIGRATION_PATIENCE = timedelta(hours=1)


def open_store(url: str, *, migrate: bool, patience: timedelta = _PATIENCE, setting: str = DATABASE_URL) -> SqlStore:
    """Open the database at `url`.

    With `migrate` an SQLite database is made or brought to the newest schema first, as `run` and `poll` do; without,
    it must be there. PostgreSQL is never migrated here; with `migrate` its user has to be allowed all that they do.
    `setting` is what people know the URL by, for what fails later on.
    Raises ConfigError, with the fix, for a database that cannot be used, and StoreError for one that is locked or
    out of room; neither changes it.
    """
    where = parse_url(url)
    path = _path(where)
    if path is None:
        return _open_postgres(where, to_work=migrate, patience=patience, setting=setting)
    return _open_sqlite(path, migrate=migrate, patience=patience)


def open_beside(url: str, *, patience: timedelta, setting: str = DATABASE_URL) -> SqlStore:
    """Open connections of their own to a database that this process has open already; nothing is looked at again.

    A look at an SQLite file from within would end the locks that the process has on it.
    """
    where = parse_url(url)
    path = _path(where)
    if path is not None:
        return SqlStore(sqlite.connect_to_file(path, patience=patience), lambda: None)
    from worker.stores import postgres  # noqa: PLC0415  most never need it; a start should be quick

    return SqlStore(postgres.connect_to_server(where, patience=patience, setting=setting), lambda: None)


@contextmanager
def open_copy(url: str, *, setting: str = DATABASE_URL) -> Iterator[SqlStore]:
    """Open a database to read from it: a passing copy of an SQLite file, so that nothing beside it is touched either.

    Raises as `open_store` does.
    """
    path = _path(parse_url(url))
    if path is None:
        with closing(open_store(url, migrate=False, setting=setting)) as store:
            yield store
        return
    _check_present(path)
    schema.require_head(files.check_file(path, files.LOOK_FOR), f"the database {path}", files.restoring(path))
    with tempfile.TemporaryDirectory(prefix="review-notifier-") as directory:
        copy = Path(directory) / "aside.db"
        files.copy_untouched(path, copy)
        with closing(SqlStore(sqlite.connect_to_file(copy, patience=_PATIENCE), lambda: None)) as store:
            yield store


def migrate_database(url: str, *, scripts: Path | None = None) -> None:
    """Make a database or bring it to the newest schema; ConfigError where it is newer, foreign or unusable.

    `scripts` names other migrations than the program's own.
    """
    where = parse_url(url)
    path = _path(where)
    if path is None:
        _migrate_postgres(where, scripts)
    else:
        _migrate_sqlite(path, scripts)


def database_revision(url: str) -> tuple[str | None, Fit]:
    """Which revision a database has (None: no tables yet), and how that stands to this program's. Changes nothing.

    Raises ConfigError for a database that cannot be read, or is another program's.
    """
    where = parse_url(url)
    path = _path(where)
    if path is None:
        return _postgres_revision(where)
    sqlite.check_directory(path)
    if files.is_new_file(path):
        return None, Fit.NEW
    found = files.check_file(path, files.LOOK_FOR)
    schema.refuse_foreign(found, f"the database {path}")
    return (None if found is Fit.NEW else files.revision_of_file(path)), found


def back_up_database(url: str, file: Path) -> None:
    """Copy an SQLite database, in use or not, to one consistent file; refuses a file that exists (StoreError)."""
    path = _path(parse_url(url))
    if path is None:
        raise ConfigError(f"{DATABASE_URL} names PostgreSQL: back it up with its own pg_dump")
    _check_present(path)
    files.check_file(path)
    files.copy_file(path, file)


def refuse_unfit(path: Path) -> None:
    """ConfigError for a file that `open_store` would refuse by what it is, before a lock is laid beside it."""
    sqlite.check_directory(path)
    if path.exists() and not files.is_new_file(path):
        with suppress(StoreError):  # somebody works on it, as the lock will show
            schema.refuse_newer(files.check_file(path, None), f"the database {path}", files.restoring(path))


def database_path(url: str) -> Path | None:
    """The file of an SQLite database, whose lock a process holds; None for PostgreSQL. ConfigError for a bad URL."""
    return _path(parse_url(url))


def parse_url(url: str) -> URL:
    """Read a database URL; ConfigError, which does not repeat it, for one that names no database that we know."""
    try:
        where = sa.make_url(url.replace("postgres://", "postgresql://", 1) if url.startswith("postgres://") else url)
    except (ArgumentError, ValueError):
        # Not chained: what could not be read may be a password.
        raise ConfigError(
            f"{DATABASE_URL} is not a database URL: write sqlite:///worker.db or postgresql+psycopg://user@host/name"
        ) from None
    if where.get_backend_name() == "postgresql":
        return where.set(drivername="postgresql+psycopg")
    if where.get_backend_name() == "sqlite" and where.database and not where.database.startswith((":", "file:")):
        return where
    raise ConfigError(
        f"{DATABASE_URL} names {where.get_backend_name()!r} without a file that we could use:"
        " write sqlite:///worker.db (a file) or postgresql+psycopg://user@host/name"
    )


def _path(where: URL) -> Path | None:
    return sqlite.follow_links(Path(where.database or "")) if where.get_backend_name() == "sqlite" else None


def _open_sqlite(path: Path, *, migrate: bool, patience: timedelta) -> SqlStore:
    if migrate:
        _migrate_sqlite(path, None)
    else:
        require_same_file(path)
        _check_present(path)
        schema.require_head(files.check_file(path, files.LOOK_FOR), f"the database {path}", files.restoring(path))
    database = sqlite.connect_to_file(path, patience=patience)
    with _closed_on_failure(database):
        # Asked again through the connection: between the look at the file and now another may have migrated it.
        _require_head(database, f"the database {path}", files.restoring(path))
    return SqlStore(database, partial(sqlite.maintain_file, database))


def _check_present(path: Path) -> None:
    sqlite.check_directory(path)
    if files.is_new_file(path):
        raise ConfigError(
            f"there is no database at {path} yet: start `review-notifier run` first, or check {DATABASE_URL}"
        )


def _migrate_sqlite(path: Path, scripts: Path | None) -> None:
    sqlite.check_directory(path)
    sqlite.check_writable(path)
    if files.is_new_file(path):
        files.make_file(path)
    # Before a usual connection is opened, which would write to a file that may be another program's.
    found = files.check_file(path, scripts=scripts)
    schema.refuse_newer(found, f"the database {path}", files.restoring(path))
    if found is Fit.HEAD:
        return
    database = sqlite.connect_to_file(path, patience=_PATIENCE, foreign_keys=False)
    try:
        if found is Fit.BEHIND:
            _keep_copy(database, path)
        database.write(lambda connection: _upgrade_and_check(connection, path, scripts))
    finally:
        database.engine.dispose()


def _keep_copy(database: Database, path: Path) -> None:
    """Keep the last state that the former program can read, for a rollback; the copy of an earlier try is replaced."""
    kept = path.with_name(f"{path.name}.before-migration-of-{database.read(schema.revision_of)}")
    # An earlier try may have left one, which is out of date by now.
    kept.unlink(missing_ok=True)
    files.copy_file(path, kept)


def _upgrade_and_check(connection: Connection, path: Path, scripts: Path | None) -> None:
    """Alembic alters a table by making a new one, so foreign keys are off; nothing may dangle in the end."""
    schema.upgrade(connection, scripts)
    if dangling := connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall():
        raise StoreError(f"the database {path} was not migrated: it would lose {len(dangling)} references")


def _open_postgres(where: URL, *, to_work: bool, patience: timedelta, setting: str) -> SqlStore:
    from worker.stores import postgres, postgres_errors  # noqa: PLC0415  most never need it; a start should be quick

    name = postgres_errors.database_name(where)
    database = postgres.connect_to_server(where, patience=patience, setting=setting)
    with _closed_on_failure(database), _reached():
        database.read(lambda connection: postgres_errors.require_place(connection, name))
        if to_work:
            database.read(lambda connection: postgres_errors.require_rights(connection, name))
        _require_head(database, name)
        if to_work:
            database.write(postgres_errors.try_writing)
    return SqlStore(database, lambda: None)


@contextmanager
def _closed_on_failure(database: Database) -> Iterator[None]:
    try:
        yield
    except BaseException:
        database.engine.dispose()
        raise


def _migrate_postgres(where: URL, scripts: Path | None) -> None:
    from worker.stores import postgres, postgres_errors  # noqa: PLC0415  most never need it; a start should be quick

    name = postgres_errors.database_name(where)

    def work(connection: Connection) -> None:
        postgres_errors.require_place(connection, name)
        # Before the revision is read: of two that migrate at once the second finds everything done.
        postgres.migrate_alone(connection)
        _bring_postgres_to_head(connection, name, scripts)

    database = postgres.connect_to_server(where, patience=_MIGRATION_PATIENCE)
    try:
        with _reached():
            database.write(work)
    finally:
        database.engine.dispose()


def _bring_postgres_to_head(connection: Connection, name: str, scripts: Path | None) -> None:
    found = schema.fit(connection, scripts)
    schema.refuse_newer(found, name)
    if found is not Fit.HEAD:
        schema.upgrade(connection, scripts)


def _postgres_revision(where: URL) -> tuple[str | None, Fit]:
    from worker.stores import postgres, postgres_errors  # noqa: PLC0415  most never need it; a start should be quick

    name = postgres_errors.database_name(where)

    def work(connection: Connection) -> tuple[str | None, Fit]:
        postgres_errors.require_place(connection, name)
        found = schema.fit(connection)
        schema.refuse_foreign(found, name)
        return (None if found is Fit.NEW else schema.revision_of(connection)), found

    database = postgres.connect_to_server(where, patience=_PATIENCE)
    try:
        with _reached():
            return database.read(work)
    finally:
        database.engine.dispose()


@contextmanager
def _reached() -> Iterator[None]:
    """The first use of a server: what fails there is a matter of configuration, but for what passes by itself."""
    from worker.stores import postgres_errors  # noqa: PLC0415  SQLite does without it

    try:
        yield
    except RefusedError as error:
        raise ConfigError(str(error)) from error
    except StoreError as error:
        if postgres_errors.is_passing(error.__cause__):
            raise
        raise ConfigError(f"{error}. Check {DATABASE_URL}, and that the server is up") from error


def _require_head(database: Database, name: str, restoring: str = schema.RESTORING) -> None:
    schema.require_head(database.read(schema.fit), name, restoring)


def move_to_postgres(file: Path, url: str) -> Mapping[str, int]:
    """Copy an SQLite database to an empty PostgreSQL of the newest schema; the rows of each table.

    The file stays as it is. Raises ConfigError for a database that does not fit, Busy where a process works on the
    file, and StoreError where the copy failed; the target is as empty then as it was.
    """
    if database_path(url) is not None:
        raise ConfigError(f"{DATABASE_URL} names SQLite: set it to the PostgreSQL database that is to be moved to")
    if not file.is_file():
        raise ConfigError(f"--from {file}: there is no such file: name the SQLite database that was used so far")
    with hold_lock(file), closing(_source(file)) as source:
        migrate_database(url)
        with closing(open_store(url, migrate=False, patience=_MIGRATION_PATIENCE)) as target:
            return source.copy_to(target)


def _source(file: Path) -> SqlStore:
    where = sa.URL.create("sqlite", database=str(file)).render_as_string()
    try:
        return open_store(where, migrate=False)
    except ConfigError as error:
        raise ConfigError(f"nothing can be moved from {file}: {error}") from error
