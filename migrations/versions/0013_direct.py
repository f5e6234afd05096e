"""Direct messages: what each reader has heard, whom messages call and when, and which inbox a delivery is for."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "pings",
        sa.Column("delivery_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("called", sa.Text(), nullable=False),
        sa.Column("posted_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("delivery_id", "called", name="pk_pings"),
        sa.ForeignKeyConstraint(["delivery_id"], ["deliveries.delivery_id"], name="fk_pings_delivery_id"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_pings_called", "pings", ["called", "posted_at"])
    op.create_table(
        "inboxes",
        sa.Column("reader", sa.Text(), nullable=False),
        sa.Column("opened_at", sa.BigInteger()),
        sa.Column("host", sa.LargeBinary(16)),
        sa.PrimaryKeyConstraint("reader", name="pk_inboxes"),
    )
    op.add_column("queues", sa.Column("direct_since", sa.BigInteger()))
    op.add_column("queues", sa.Column("written", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("deliveries", sa.Column("reader", sa.Text(), nullable=False, server_default=sa.text("''")))
    op.create_table(
        "turns",
        sa.Column("review_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("reader", sa.Text(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("told_at", sa.BigInteger()),
        sa.Column("reminded", sa.Integer(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("review_id", "reader", name="pk_turns"),
        sa.ForeignKeyConstraint(["review_id"], ["reviews.review_id"], name="fk_turns_review_id"),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    op.drop_table("turns")
    op.drop_column("deliveries", "reader")
    op.drop_column("queues", "written")
    op.drop_column("queues", "direct_since")
    op.drop_table("inboxes")
    op.drop_index("ix_pings_called", "pings")
    op.drop_table("pings")
