"""The instant up to which a review has been spoken of, in place of its age then."""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("UPDATE reviews SET told = since + told WHERE told IS NOT NULL")
    op.alter_column("reviews", "told", new_column_name="told_at")


def downgrade() -> None:
    op.alter_column("reviews", "told_at", new_column_name="told")
    op.execute("UPDATE reviews SET told = told - since WHERE told IS NOT NULL")
