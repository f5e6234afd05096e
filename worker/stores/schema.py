"""The schema's revision: telling one that fits from one behind, ahead or foreign, and bringing one to the newest."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

import worker
from worker.stores.tables import VERSION_TABLE, metadata

if TYPE_CHECKING:
    from alembic.config import Config
    from sqlalchemy.engine import Connection

HEAD = "0005"
"""The revision that this program is written for; a test holds it to the newest of the migrations."""


class Fit(Enum):
    """How a database's schema stands to the migrations."""

    NEW = "new"
    HEAD = "head"
    BEHIND = "behind"
    AHEAD = "ahead"
    FOREIGN = "foreign"


def migrations() -> Path:
    """Find the migrations: inside an installed package, or beside it in a checkout."""
    package = Path(worker.__file__).parent
    installed = package / "_migrations"
    return installed if installed.is_dir() else package.parent / "migrations"


def fit(connection: Connection, scripts: Path | None = None) -> Fit:
    """Compare a database's revision with the newest. Alembic, slow to import, is asked only where they differ."""
    tables = set(sa.inspect(connection).get_table_names())
    return judge(tables, revision_of(connection) if VERSION_TABLE in tables else None, scripts)


def judge(tables: set[str], revision: str | None, scripts: Path | None = None) -> Fit:
    """Say how a database with these tables at that revision stands to the migrations."""
    if revision is None:
        return Fit.FOREIGN if tables & set(metadata.tables) else Fit.NEW
    if scripts is None and revision == HEAD:
        return Fit.HEAD
    return _compare(revision, scripts)


def revision_of(connection: Connection) -> str | None:
    """Read which revision a database is at."""
    version = sa.table(VERSION_TABLE, sa.column("version_num"))
    revision: str | None = connection.execute(sa.select(version.c.version_num)).scalar_one_or_none()
    return revision


def _compare(revision: str, scripts: Path | None) -> Fit:
    from alembic.script import ScriptDirectory  # noqa: PLC0415  costs a fifth of a second that few starts need

    known = ScriptDirectory.from_config(settings(scripts))
    if revision == known.get_current_head():
        return Fit.HEAD
    return Fit.BEHIND if revision in {script.revision for script in known.walk_revisions()} else Fit.AHEAD


def upgrade(connection: Connection, scripts: Path | None = None) -> None:
    """Bring a database to the newest revision, inside the transaction of `connection`."""
    from alembic import command  # noqa: PLC0415  costs a fifth of a second that few starts need

    command.upgrade(settings(scripts, connection), "head")


def settings(scripts: Path | None = None, connection: Connection | None = None) -> Config:
    """Alembic's settings, for the program's own migrations or others, over a connection."""
    from alembic.config import Config  # noqa: PLC0415  costs a fifth of a second that few starts need

    config = Config()
    config.set_main_option("script_location", str(scripts or migrations()).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config
