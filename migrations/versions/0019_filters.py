"""Filters: what they know of a run, the rule that leaves it out, and its place in messages."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("reviews", sa.Column("traits", sa.Text()))
    op.add_column("reviews", sa.Column("left_out", sa.Text(), nullable=False, server_default=sa.text("''")))
    op.add_column("reviews", sa.Column("rank", sa.Text(), nullable=False, server_default=sa.text("''")))


def downgrade() -> None:
    for column in ("traits", "left_out", "rank"):
        op.drop_column("reviews", column)
