"""The link by which a process hears people, for `status`."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("processes", sa.Column("link", sa.Text()))


def downgrade() -> None:
    op.drop_column("processes", "link")
