"""What came, left and waited in each hour of each queue, a row a day."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "history",
        sa.Column("queue_id", sa.LargeBinary(16), nullable=False),
        sa.Column("day", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("hours", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("queue_id", "day", name="pk_history"),
        sa.ForeignKeyConstraint(["queue_id"], ["queues.queue_id"], name="fk_history_queue_id"),
    )


def downgrade() -> None:
    op.drop_table("history")
