"""Whom runs are assigned to, reserved by and completed by, and the reviewers of their queues."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("queues", sa.Column("reviewers", sa.Text()))
    op.add_column("reviews", sa.Column("who", sa.Text()))


def downgrade() -> None:
    op.drop_column("reviews", "who")
    op.drop_column("queues", "reviewers")
