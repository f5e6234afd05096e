"""Instants in place of ages, holds apart from back-offs, and a count of the acts on a queue's reviews."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("UPDATE reviews SET told = since + told WHERE told IS NOT NULL")
    op.alter_column("reviews", "told", new_column_name="told_at")
    op.add_column("queues", sa.Column("revision", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("deliveries", sa.Column("held_until", sa.BigInteger()))
    # What a pause held was due at its end, and the back-off of before is lost: there is none any more. One that waits
    # for an operator is due in the year 9999.
    op.execute(
        "UPDATE deliveries SET held_until = due_at, due_at = created_at"
        " WHERE state = 'held' AND due_at < 253370764800000000"
    )


def downgrade() -> None:
    op.execute("UPDATE deliveries SET due_at = held_until WHERE held_until > due_at")
    op.drop_column("deliveries", "held_until")
    op.drop_column("queues", "revision")
    op.alter_column("reviews", "told_at", new_column_name="told")
    op.execute("UPDATE reviews SET told = told - since WHERE told IS NOT NULL")
