"""Which message has called a reader for a run: what it leaves out after all may be the reader's again."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("turns", sa.Column("called_by", sa.LargeBinary(16)))
    op.create_index("ix_turns_called", "turns", ["called_by"])


def downgrade() -> None:
    op.drop_index("ix_turns_called", "turns")
    op.drop_column("turns", "called_by")
