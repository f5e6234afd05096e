"""What owners hear of: how often a channel was reminded of a run, and calls that were over a budget."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

_PASSED = sa.text("passed_at IS NOT NULL")


def upgrade() -> None:
    op.add_column("reviews", sa.Column("reminded", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("delivery_reviews", sa.Column("passed_at", sa.BigInteger()))
    op.create_index(
        "ix_delivery_reviews_passed",
        "delivery_reviews",
        ["review_id"],
        sqlite_where=_PASSED,
        postgresql_where=_PASSED,
    )


def downgrade() -> None:
    op.drop_index("ix_delivery_reviews_passed", "delivery_reviews")
    op.drop_column("delivery_reviews", "passed_at")
    op.drop_column("reviews", "reminded")
