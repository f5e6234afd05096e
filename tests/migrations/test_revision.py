"""`migrate --check`: which revision a database has, of both kinds, and nothing is changed by asking."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from worker.core.ports import ConfigError
from worker.stores.opening import database_revision, migrate_database
from worker.stores.schema import HEAD, VERSION_TABLE, Fit

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/worker.db"
    return str(request.getfixturevalue("postgres_url"))


def say(url: str, statement: str) -> None:
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.exec_driver_sql(statement)
    engine.dispose()


def test_of_an_empty_database_is_none(url: str, tmp_path: Path) -> None:
    assert database_revision(url) == (None, Fit.NEW)
    assert list(tmp_path.iterdir()) == []


def test_of_a_migrated_database_is_the_newest(url: str) -> None:
    migrate_database(url)
    assert database_revision(url) == (HEAD, Fit.HEAD)


@pytest.mark.parametrize(("number", "fit"), [("0001", Fit.BEHIND), ("9999", Fit.AHEAD)])
def test_of_another_version_is_the_one_it_has(url: str, number: str, fit: Fit) -> None:
    migrate_database(url)
    say(url, f"UPDATE {VERSION_TABLE} SET version_num = '{number}'")  # noqa: S608  names of our own
    assert database_revision(url) == (number, fit)


def test_of_another_program_is_refused(url: str) -> None:
    if url.startswith("sqlite"):
        migrate_database(url)
        say(url, f"DROP TABLE {VERSION_TABLE}")
    else:
        say(url, "CREATE TABLE queues (x int)")
    with pytest.raises(ConfigError, match="tables of another program"):
        database_revision(url)
