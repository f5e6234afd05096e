"""The tables, and at which revision a database is. Migrations are written apart; a test holds both together."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

import worker
from worker.core.actions import Act, Refusal
from worker.core.audience import Problem
from worker.core.model import Fate, Kind, RemindIn
from worker.core.owed import State
from worker.core.ports import DATABASE_URL, ConfigError
from worker.stores.columns import (
    ActsColumn,
    AddedAt,
    At,
    DestinationColumn,
    FactsColumn,
    IdColumn,
    LinkColumn,
    Plain,
    ReasonsColumn,
    ReviewersColumn,
    TraitsColumn,
    WhoColumn,
    Word,
    Words,
)

if TYPE_CHECKING:
    from alembic.config import Config
    from sqlalchemy.engine import Connection

metadata = sa.MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
    },
)

VERSION_TABLE = "review_notifier_version"
"""Where Alembic notes the schema's revision: not its default name, which another program may use beside us."""

# SQLite counts only a column of exactly the type INTEGER by itself.
SURROGATE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

# Written out in queries too: a partial index is used only where the query repeats its condition word by word.
IS_LIVE = sa.text("state IN ('pending', 'sending', 'unknown', 'held')")
IS_OPEN = sa.text("closed_at IS NULL")
IS_PASSED = sa.text("passed_at IS NOT NULL")
IS_UNEXPLAINED = sa.text("closed_at IS NOT NULL AND how_left IS NULL")


def _partial(name: str, *columns: str, where: sa.TextClause) -> sa.Index:
    # Not named for PostgreSQL as well: SQLAlchemy would import its dialect at every start. The migrations make the
    # index on both.
    return sa.Index(name, *columns, sqlite_where=where)


# `revision` counts the acts on a queue's reviews from outside a poll's own transaction. `announced_at` is when the last
# window was opened, `host` the key of the delivery that opened it. `written` counts the polls that wrote reviews;
# `direct_since` is when people began to be notified directly of the queue's runs, NULL where they are not.
KNOWN_QUEUES = sa.Table(
    "queues",
    metadata,
    sa.Column("queue_id", IdColumn, primary_key=True),
    sa.Column("name", Plain, nullable=False),
    sa.Column("url", Plain, nullable=False),
    sa.Column("reviewers_per_run", sa.Integer, nullable=False),
    sa.Column("baselined_at", At),
    sa.Column("completed_at", At),
    sa.Column("failing_since", At),
    sa.Column("error", Plain, nullable=False),
    sa.Column("trouble", Plain),
    sa.Column("revision", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("listing", Plain),
    sa.Column("announced_at", At),
    sa.Column("host", IdColumn),
    sa.Column("reviewers", ReviewersColumn),
    sa.Column("disagreed", sa.Integer),
    sa.Column("direct_since", At),
    sa.Column("written", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("muted_until", At),
)

REVIEWS = sa.Table(
    "reviews",
    metadata,
    sa.Column("review_id", SURROGATE, primary_key=True),
    sa.Column("queue_id", IdColumn, sa.ForeignKey("queues.queue_id"), nullable=False),
    sa.Column("queue_run_id", IdColumn, nullable=False),
    sa.Column("added_at", AddedAt, nullable=False),
    sa.Column("run_id", IdColumn),
    sa.Column("since", At, nullable=False),
    sa.Column("first_seen_at", At, nullable=False),
    sa.Column("told_at", At),
    sa.Column("generation", sa.Integer, nullable=False),
    sa.Column("back", sa.Boolean, nullable=False),
    sa.Column("reserved", sa.Boolean, nullable=False),
    sa.Column("done", sa.Integer, nullable=False),
    sa.Column("facts", FactsColumn, nullable=False),
    sa.Column("absent_at", At),
    sa.Column("closed_at", At),
    sa.Column("how_left", Word(Fate), key="fate"),
    sa.Column("who", WhoColumn),
    sa.Column("acts", ActsColumn),
    sa.Column("reminded", sa.Integer, nullable=False, server_default="0"),
    sa.Column("traits", TraitsColumn),
    sa.Column("left_out", Plain, nullable=False, server_default=sa.text("''")),
    sa.Column("rank", Plain, nullable=False, server_default=sa.text("''")),
    sa.Column("expires_at", At),
    sa.UniqueConstraint("queue_run_id", "queue_id", "added_at"),
    _partial("ix_reviews_open", "queue_id", "since", where=IS_OPEN),
    _partial("ix_reviews_closed", "closed_at", where=sa.text("closed_at IS NOT NULL")),
    _partial("ix_reviews_unexplained", "queue_id", "closed_at", where=IS_UNEXPLAINED),
)

DELIVERIES = sa.Table(
    "deliveries",
    metadata,
    sa.Column("delivery_id", SURROGATE, primary_key=True),
    sa.Column("delivery_key", IdColumn, nullable=False, unique=True, key="key"),
    sa.Column("kind", Word(Kind), nullable=False),
    sa.Column("channel", DestinationColumn, nullable=False, key="destination"),
    sa.Column("queue_id", IdColumn, sa.ForeignKey("queues.queue_id")),
    sa.Column("mention", Words, nullable=False),
    sa.Column("remind_in", Word(RemindIn), nullable=False),
    sa.Column("story", Plain, nullable=False, key="text"),
    sa.Column("state", Word(State), nullable=False),
    sa.Column("created_at", At, nullable=False),
    sa.Column("due_at", At, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("attempted_at", At),
    sa.Column("lease_until", At),
    sa.Column("looks", sa.Integer, nullable=False),
    sa.Column("plain", sa.Boolean, nullable=False),
    sa.Column("last_error", Plain, nullable=False),
    sa.Column("receipt_channel", Plain),
    sa.Column("receipt_ts", Plain),
    sa.Column("settled_at", At),
    sa.Column("edit_at", At),
    sa.Column("edited_at", At),
    sa.Column("edits", sa.Integer, nullable=False),
    sa.Column("edit_until", At),
    sa.Column("digest", Plain, nullable=False),
    sa.Column("successor", IdColumn),
    sa.Column("worker_id", IdColumn),
    sa.Column("held_until", At),
    sa.Column("edit_held_until", At),
    sa.Column("reader", Plain, nullable=False, server_default=sa.text("''")),
    _partial("ix_deliveries_due", "due_at", where=IS_LIVE),
    _partial("ix_deliveries_edit", "edit_at", where=sa.text("edit_at IS NOT NULL")),
    _partial("ix_deliveries_queue", "queue_id", where=IS_LIVE),
    _partial("ix_deliveries_kept", "queue_id", "edit_until", where=sa.text("edit_until IS NOT NULL")),
    _partial("ix_deliveries_leased", "lease_until", where=sa.text("lease_until IS NOT NULL")),
    sa.Index("ix_deliveries_state", "state", "delivery_id"),
    _partial("ix_deliveries_settled", "settled_at", where=sa.text("settled_at IS NOT NULL")),
)

# Which reviews a delivery speaks of. `position` is a review's place in the message's list, NULL where it is only
# counted; `left_out` means that the message does not speak of it after all. `purpose` is the kind of notice that it
# stands there for, NULL where that is the delivery's own. `passed_at` is when the message was to call somebody for it
# whose budget was spent, until the owner is called instead. `entered_at` is when the run entered the message by
# an edit. `told_before` is the review's `told_at` before this delivery.
DELIVERY_REVIEWS = sa.Table(
    "delivery_reviews",
    metadata,
    sa.Column("delivery_id", sa.ForeignKey("deliveries.delivery_id"), primary_key=True),
    sa.Column("review_id", sa.ForeignKey("reviews.review_id"), primary_key=True),
    sa.Column("position", sa.Integer),
    sa.Column("left_out", sa.Boolean, nullable=False),
    sa.Column("purpose", Word(Kind)),
    sa.Column("passed_at", At),
    sa.Column("entered_at", At),
    sa.Column("told_before", At),
    sa.Index("ix_delivery_reviews_review", "review_id"),
    _partial("ix_delivery_reviews_passed", "review_id", where=IS_PASSED),
    sqlite_with_rowid=False,
)

# Whom a delivery calls, and when it is posted, or was at last. A row is made before the post, so that no two workers
# spend the same: after a crash in between it counts all the same.
CALLS = sa.Table(
    "pings",
    metadata,
    sa.Column("delivery_id", sa.ForeignKey("deliveries.delivery_id"), primary_key=True),
    sa.Column("called", Plain, primary_key=True),
    sa.Column("posted_at", At, nullable=False),
    sa.Index("ix_pings_called", "called", "posted_at"),
    sqlite_with_rowid=False,
)

# How far each reader has heard of a run; the reader is a reviewer's id, or an owner's inbox.
TURNS = sa.Table(
    "turns",
    metadata,
    sa.Column("review_id", sa.ForeignKey("reviews.review_id"), primary_key=True),
    sa.Column("reader", Plain, primary_key=True),
    sa.Column("since", At, nullable=False),
    sa.Column("told_at", At),
    sa.Column("reminded", sa.Integer, nullable=False),
    sa.Column("generation", sa.Integer, nullable=False),
    sa.Column("called_by", IdColumn),
    sa.Index("ix_turns_called", "called_by"),
    sqlite_with_rowid=False,
)

# The message of each reader that is kept true at present: when it was last called for, and by which delivery. A row is
# held by whoever spends that reader's budget.
INBOXES = sa.Table(
    "inboxes",
    metadata,
    sa.Column("reader", Plain, primary_key=True),
    sa.Column("opened_at", At),
    sa.Column("host", IdColumn),
)

# Every act of a person, refused ones too. A press that comes twice has the same `envelope_id`. An act on a run that is
# known has the number of its review, and goes with it.
ACTS = sa.Table(
    "acts",
    metadata,
    sa.Column("act_id", SURROGATE, primary_key=True),
    sa.Column("at", At, nullable=False),
    sa.Column("act", Word(Act), nullable=False),
    sa.Column("through", Plain, nullable=False),
    sa.Column("who", Plain, nullable=False),
    sa.Column("name", Plain, nullable=False),
    sa.Column("email", Plain, nullable=False),
    sa.Column("queue_id", IdColumn, nullable=False),
    sa.Column("queue_run_id", IdColumn),
    sa.Column("review_id", sa.ForeignKey("reviews.review_id")),
    sa.Column("until", At),
    sa.Column("refusal", Word(Refusal)),
    sa.Column("envelope_id", Plain, unique=True),
    sa.Index("ix_acts_review", "review_id"),
)

# What came, left and waited in the hours of a day of UTC, which is counted from 1970; `hours` is packed by
# `stores.history`: a row an hour would take several times the room.
HISTORY = sa.Table(
    "history",
    metadata,
    sa.Column("queue_id", IdColumn, sa.ForeignKey("queues.queue_id"), primary_key=True),
    sa.Column("day", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("hours", sa.LargeBinary, nullable=False),
)

# What the notifier's service has handed over lately: the same comes once more where it heard no acknowledgement.
ENVELOPES = sa.Table(
    "envelopes",
    metadata,
    sa.Column("envelope_id", Plain, primary_key=True),
    sa.Column("heard_at", At, nullable=False),
    sa.Index("ix_envelopes_heard", "heard_at"),
)

CHANNEL_PAUSES = sa.Table(
    "pauses",
    metadata,
    sa.Column("channel", DestinationColumn, primary_key=True, key="destination"),
    sa.Column("since", At, nullable=False),
    sa.Column("until", At, nullable=False),
    sa.Column("reason", Plain, nullable=False),
    sa.Column("failures", sa.Integer, nullable=False),
    sa.Column("error", Plain),
)

NOTES = sa.Table(
    "notes",
    metadata,
    sa.Column("name", Plain, primary_key=True),
    sa.Column("value", Plain, nullable=False),
)

# Who works on the database, for `status` in another process. A row does not show whether its process is alive:
# the lock does on SQLite, and the lease in `workers` on PostgreSQL.
PROCESSES = sa.Table(
    "processes",
    metadata,
    sa.Column("process_id", IdColumn, primary_key=True),
    sa.Column("command", Plain, nullable=False),
    sa.Column("host", Plain, nullable=False),
    sa.Column("pid", sa.BigInteger, nullable=False),
    sa.Column("version", Plain, nullable=False),
    sa.Column("started_at", At, nullable=False),
    sa.Column("ended_at", At),
    sa.Column("reasons", ReasonsColumn, nullable=False),
    sa.Column("link", LinkColumn),
)

# An id is that of an identity of the source, or made of an e-mail of the settings. One that is forgotten keeps its id
# alone: so the source does not bring the rest back.
PEOPLE = sa.Table(
    "people",
    metadata,
    sa.Column("reviewer_id", Plain, primary_key=True),
    sa.Column("name", Plain, nullable=False),
    sa.Column("email", Plain, nullable=False),
    sa.Column("user_id", Plain, nullable=False, key="user"),
    sa.Column("problem", Word(Problem), nullable=False),
    sa.Column("asked_at", At),
    sa.Column("ask_at", At),
)

# The rest is empty where one process is alone. Times are the database's; a worker's lease lasts `until` then, and with
# it everything that it has taken. An assignment names its worker also where its row in `workers` is gone already.
WORKERS = sa.Table(
    "workers",
    metadata,
    sa.Column("worker_id", IdColumn, primary_key=True),
    sa.Column("name", Plain, nullable=False),
    sa.Column("started_at", At, nullable=False),
    sa.Column("until", At, nullable=False),
)

ASSIGNMENTS = sa.Table(
    "duties",
    metadata,
    sa.Column("name", Plain, primary_key=True),
    sa.Column("worker_id", IdColumn),
    sa.Column("token", sa.BigInteger, nullable=False),
)

# When a channel may be posted to again, whoever of several workers posts.
CHANNEL_PACES = sa.Table(
    "paces",
    metadata,
    sa.Column("channel", DestinationColumn, primary_key=True, key="destination"),
    sa.Column("free_at", At, nullable=False),
)


HEAD = "0023"
"""The revision that this program is written for; a test holds it to the newest of the migrations."""


RESTORING = "Restore a dump from then"


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


def require_head(found: Fit, name: str, restoring: str = RESTORING) -> None:
    """Refuse every schema but the newest: ConfigError."""
    refuse_newer(found, name, restoring)
    if found is not Fit.HEAD:
        raise ConfigError(f"{name} has an older schema than this program: run `review-notifier migrate`")


def refuse_newer(found: Fit, name: str, restoring: str = RESTORING) -> None:
    """Refuse a schema that this program cannot bring to its own: ConfigError."""
    if found is Fit.AHEAD:
        raise ConfigError(
            f"{name} is newer than this program: install the version that wrote it (or a later one),"
            f" or go back to before the upgrade. {restoring}"
        )
    refuse_foreign(found, name)


def refuse_foreign(found: Fit, name: str) -> None:
    """Refuse the tables of another program: ConfigError."""
    if found is Fit.FOREIGN:
        raise ConfigError(f"{name} holds tables of another program: name a database of its own in {DATABASE_URL}")
