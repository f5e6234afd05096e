"""When a queue was last announced, by which message, and what each run is in a message for."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("queues", sa.Column("announced_at", sa.BigInteger()))
    op.add_column("queues", sa.Column("host", sa.LargeBinary(16)))
    op.add_column("delivery_reviews", sa.Column("purpose", sa.Text()))


def downgrade() -> None:
    op.drop_column("delivery_reviews", "purpose")
    op.drop_column("queues", "host")
    op.drop_column("queues", "announced_at")
