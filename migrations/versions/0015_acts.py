"""Acts of people: what they said of a run, until when a queue is muted, and the audit."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.add_column("reviews", sa.Column("acts", sa.Text()))
    op.add_column("queues", sa.Column("muted_until", sa.BigInteger()))
    op.create_table(
        "acts",
        sa.Column("act_id", number, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("act", sa.Text(), nullable=False),
        sa.Column("through", sa.Text(), nullable=False),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("queue_id", sa.LargeBinary(16), nullable=False),
        sa.Column("queue_run_id", sa.LargeBinary(16)),
        sa.Column("review_id", number),
        sa.Column("until", sa.BigInteger()),
        sa.Column("refusal", sa.Text()),
        sa.Column("envelope_id", sa.Text()),
        sa.PrimaryKeyConstraint("act_id", name="pk_acts"),
        sa.ForeignKeyConstraint(["review_id"], ["reviews.review_id"], name="fk_acts_review_id"),
        sa.UniqueConstraint("envelope_id", name="uq_acts_envelope_id"),
    )
    op.create_index("ix_acts_review", "acts", ["review_id"])


def downgrade() -> None:
    op.drop_table("acts")
    op.drop_column("queues", "muted_until")
    op.drop_column("reviews", "acts")
