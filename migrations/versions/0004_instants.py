"""Instants in place of ages, and a count of the acts on a queue's reviews."""

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


def downgrade() -> None:
    op.drop_column("queues", "revision")
    op.alter_column("reviews", "told_at", new_column_name="told")
    op.execute("UPDATE reviews SET told = told - since WHERE told IS NOT NULL")
