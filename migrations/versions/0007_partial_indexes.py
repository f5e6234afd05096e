"""Indexes of what is owed, leased, kept true or unexplained alone: no step reads all that was ever sent."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

IS_LIVE = sa.text("state IN ('pending', 'sending', 'unknown', 'held')")
KEPT = sa.text("edit_until IS NOT NULL")
LEASED = sa.text("lease_until IS NOT NULL")
UNEXPLAINED = sa.text("closed_at IS NOT NULL AND how_left IS NULL")


def upgrade() -> None:
    op.drop_index("ix_deliveries_queue", "deliveries")
    _add("ix_deliveries_queue", "deliveries", ["queue_id"], IS_LIVE)
    _add("ix_deliveries_kept", "deliveries", ["queue_id", "edit_until"], KEPT)
    _add("ix_deliveries_leased", "deliveries", ["lease_until"], LEASED)
    _add("ix_reviews_unexplained", "reviews", ["queue_id", "closed_at"], UNEXPLAINED)


def downgrade() -> None:
    op.drop_index("ix_reviews_unexplained", "reviews")
    op.drop_index("ix_deliveries_leased", "deliveries")
    op.drop_index("ix_deliveries_kept", "deliveries")
    op.drop_index("ix_deliveries_queue", "deliveries")
    op.create_index("ix_deliveries_queue", "deliveries", ["queue_id", "state"])


def _add(name: str, table: str, columns: list[str], condition: sa.TextClause) -> None:
    op.create_index(name, table, columns, sqlite_where=condition, postgresql_where=condition)
