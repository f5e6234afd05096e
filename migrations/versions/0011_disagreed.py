"""How many completed runs of a queue wait for a final answer, because its reviewers disagree."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("queues", sa.Column("disagreed", sa.Integer()))


def downgrade() -> None:
    op.drop_column("queues", "disagreed")
