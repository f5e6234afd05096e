"""The directory: which user of the notifier stands for a reviewer."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "people",
        sa.Column("reviewer_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("problem", sa.Text(), nullable=False),
        sa.Column("asked_at", sa.BigInteger()),
        sa.Column("ask_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("reviewer_id", name="pk_people"),
    )


def downgrade() -> None:
    op.drop_table("people")
