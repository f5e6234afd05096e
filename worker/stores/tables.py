"""The tables. Migrations are written apart from them; a test holds both together."""

from __future__ import annotations

import sqlalchemy as sa

from worker.core.model import Fate, Kind, RemindIn, State
from worker.stores.columns import AddedAt, At, FactsColumn, IdColumn, Plain, ReasonsColumn, Word, Words

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
LIVE = sa.text("state IN ('pending', 'sending', 'unknown', 'held')")
OPEN = sa.text("closed_at IS NULL")

# `revision` counts the acts on a queue's reviews from outside a poll's own transaction.
queues = sa.Table(
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
)

reviews = sa.Table(
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
    sa.UniqueConstraint("queue_run_id", "queue_id", "added_at"),
    sa.Index("ix_reviews_open", "queue_id", "since", sqlite_where=OPEN, postgresql_where=OPEN),
    sa.Index(
        "ix_reviews_closed",
        "closed_at",
        sqlite_where=sa.text("closed_at IS NOT NULL"),
        postgresql_where=sa.text("closed_at IS NOT NULL"),
    ),
)

deliveries = sa.Table(
    "deliveries",
    metadata,
    sa.Column("delivery_id", SURROGATE, primary_key=True),
    sa.Column("delivery_key", IdColumn, nullable=False, unique=True, key="key"),
    sa.Column("kind", Word(Kind), nullable=False),
    sa.Column("channel", Plain, nullable=False),
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
    sa.Index("ix_deliveries_due", "due_at", sqlite_where=LIVE, postgresql_where=LIVE),
    sa.Index(
        "ix_deliveries_edit",
        "edit_at",
        sqlite_where=sa.text("edit_at IS NOT NULL"),
        postgresql_where=sa.text("edit_at IS NOT NULL"),
    ),
    sa.Index("ix_deliveries_queue", "queue_id", "state"),
    sa.Index("ix_deliveries_state", "state", "delivery_id"),
    sa.Index(
        "ix_deliveries_settled",
        "settled_at",
        sqlite_where=sa.text("settled_at IS NOT NULL"),
        postgresql_where=sa.text("settled_at IS NOT NULL"),
    ),
)

# Which reviews a delivery speaks of. `position` is a review's place in the message's list, NULL where it is only
# counted; `left_out` tells that the message does not speak of it after all.
delivery_reviews = sa.Table(
    "delivery_reviews",
    metadata,
    sa.Column("delivery_id", sa.ForeignKey("deliveries.delivery_id"), primary_key=True),
    sa.Column("review_id", sa.ForeignKey("reviews.review_id"), primary_key=True),
    sa.Column("position", sa.Integer),
    sa.Column("left_out", sa.Boolean, nullable=False),
    sa.Index("ix_delivery_reviews_review", "review_id"),
    sqlite_with_rowid=False,
)

pauses = sa.Table(
    "pauses",
    metadata,
    sa.Column("channel", Plain, primary_key=True),
    sa.Column("since", At, nullable=False),
    sa.Column("until", At, nullable=False),
    sa.Column("reason", Plain, nullable=False),
    sa.Column("failures", sa.Integer, nullable=False),
    sa.Column("error", Plain),
)

notes = sa.Table(
    "notes",
    metadata,
    sa.Column("name", Plain, primary_key=True),
    sa.Column("value", Plain, nullable=False),
)

# Who works on the database, for `status` in another process. Whether one is alive it does not tell: that is the
# lock's to tell on SQLite, and the lease's in `workers` on PostgreSQL.
processes = sa.Table(
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
)

# The rest is empty where one process is alone. Times are the database's; a worker's lease lasts `until` then, and with
# it everything that it has taken. Whoever has a duty is noted there, also where its row in `workers` is gone already.
workers = sa.Table(
    "workers",
    metadata,
    sa.Column("worker_id", IdColumn, primary_key=True),
    sa.Column("name", Plain, nullable=False),
    sa.Column("started_at", At, nullable=False),
    sa.Column("until", At, nullable=False),
)

duties = sa.Table(
    "duties",
    metadata,
    sa.Column("name", Plain, primary_key=True),
    sa.Column("worker_id", IdColumn),
    sa.Column("token", sa.BigInteger, nullable=False),
)

# When a channel may be posted to again, whoever of several workers posts.
paces = sa.Table(
    "paces",
    metadata,
    sa.Column("channel", Plain, primary_key=True),
    sa.Column("free_at", At, nullable=False),
)
