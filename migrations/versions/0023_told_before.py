"""Up to when a run had been spoken of before a notice, for one that is not posted after all."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("delivery_reviews", sa.Column("told_before", sa.BigInteger()))


def downgrade() -> None:
    op.drop_column("delivery_reviews", "told_before")
