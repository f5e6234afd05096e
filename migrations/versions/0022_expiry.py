"""When the trace of a run expires."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("reviews", sa.Column("expires_at", sa.BigInteger()))


def downgrade() -> None:
    op.drop_column("reviews", "expires_at")
