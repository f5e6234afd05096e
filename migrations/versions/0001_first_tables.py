"""First tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

ID = sa.LargeBinary(16)
# SQLite counts only a column of exactly the type INTEGER by itself.
SURROGATE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def partial(name: str, table: str, columns: list[str], condition: str) -> None:
    op.create_index(name, table, columns, sqlite_where=sa.text(condition), postgresql_where=sa.text(condition))


def upgrade() -> None:
    op.create_table(
        "queues",
        sa.Column("queue_id", ID, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("reviewers_per_run", sa.Integer(), nullable=False),
        sa.Column("baselined_at", sa.BigInteger()),
        sa.Column("completed_at", sa.BigInteger()),
        sa.Column("failing_since", sa.BigInteger()),
        sa.Column("error", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("queue_id", name="pk_queues"),
    )
    op.create_table(
        "reviews",
        sa.Column("review_id", SURROGATE, nullable=False),
        sa.Column("queue_id", ID, nullable=False),
        sa.Column("queue_run_id", ID, nullable=False),
        sa.Column("added_at", sa.BigInteger(), nullable=False),
        sa.Column("run_id", ID),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("first_seen_at", sa.BigInteger(), nullable=False),
        sa.Column("told", sa.BigInteger()),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("back", sa.Boolean(), nullable=False),
        sa.Column("reserved", sa.Boolean(), nullable=False),
        sa.Column("done", sa.Integer(), nullable=False),
        sa.Column("facts", sa.Text(), nullable=False),
        sa.Column("absent_at", sa.BigInteger()),
        sa.Column("closed_at", sa.BigInteger()),
        sa.Column("how_left", sa.Text()),
        sa.PrimaryKeyConstraint("review_id", name="pk_reviews"),
        sa.UniqueConstraint("queue_run_id", "queue_id", "added_at", name="uq_reviews_queue_run_id"),
        sa.ForeignKeyConstraint(["queue_id"], ["queues.queue_id"], name="fk_reviews_queue_id"),
    )
    partial("ix_reviews_open", "reviews", ["queue_id", "since"], "closed_at IS NULL")
    partial("ix_reviews_closed", "reviews", ["closed_at"], "closed_at IS NOT NULL")
    op.create_table(
        "deliveries",
        sa.Column("delivery_id", SURROGATE, nullable=False),
        sa.Column("delivery_key", ID, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("queue_id", ID),
        sa.Column("mention", sa.Text(), nullable=False),
        sa.Column("remind_in", sa.Text(), nullable=False),
        sa.Column("story", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("attempted_at", sa.BigInteger()),
        sa.Column("lease_until", sa.BigInteger()),
        sa.Column("looks", sa.Integer(), nullable=False),
        sa.Column("plain", sa.Boolean(), nullable=False),
        sa.Column("last_error", sa.Text(), nullable=False),
        sa.Column("receipt_channel", sa.Text()),
        sa.Column("receipt_ts", sa.Text()),
        sa.Column("settled_at", sa.BigInteger()),
        sa.Column("edit_at", sa.BigInteger()),
        sa.Column("edited_at", sa.BigInteger()),
        sa.Column("edits", sa.Integer(), nullable=False),
        sa.Column("edit_until", sa.BigInteger()),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("successor", ID),
        sa.PrimaryKeyConstraint("delivery_id", name="pk_deliveries"),
        sa.UniqueConstraint("delivery_key", name="uq_deliveries_delivery_key"),
        sa.ForeignKeyConstraint(["queue_id"], ["queues.queue_id"], name="fk_deliveries_queue_id"),
    )
    partial("ix_deliveries_due", "deliveries", ["due_at"], "state IN ('pending', 'sending', 'unknown', 'held')")
    partial("ix_deliveries_edit", "deliveries", ["edit_at"], "edit_at IS NOT NULL")
    partial("ix_deliveries_settled", "deliveries", ["settled_at"], "settled_at IS NOT NULL")
    op.create_index("ix_deliveries_queue", "deliveries", ["queue_id", "state"])
    op.create_index("ix_deliveries_state", "deliveries", ["state", "delivery_id"])
    op.create_table(
        "delivery_reviews",
        sa.Column("delivery_id", SURROGATE, nullable=False),
        sa.Column("review_id", SURROGATE, nullable=False),
        sa.Column("position", sa.Integer()),
        sa.Column("left_out", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("delivery_id", "review_id", name="pk_delivery_reviews"),
        sa.ForeignKeyConstraint(["delivery_id"], ["deliveries.delivery_id"], name="fk_delivery_reviews_delivery_id"),
        sa.ForeignKeyConstraint(["review_id"], ["reviews.review_id"], name="fk_delivery_reviews_review_id"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_delivery_reviews_review", "delivery_reviews", ["review_id"])
    op.create_table(
        "pauses",
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("channel", name="pk_pauses"),
    )
    op.create_table(
        "notes",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_notes"),
    )


def downgrade() -> None:
    for table in ("notes", "pauses", "delivery_reviews", "deliveries", "reviews", "queues"):
        op.drop_table(table)
