"""Until when no further edit of a message is due, as an instant: how often is for the notifier to say."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

WAS_EVERY = 30_000_000
"""The microseconds between two edits of one message, in all versions before."""


def upgrade() -> None:
    op.add_column("deliveries", sa.Column("edit_held_until", sa.BigInteger()))
    columns = (sa.column("edited_at", sa.BigInteger()), sa.column("edit_held_until", sa.BigInteger()))
    deliveries = sa.table("deliveries", *columns)
    op.execute(sa.update(deliveries).values(edit_held_until=deliveries.c.edited_at + WAS_EVERY))


def downgrade() -> None:
    op.drop_column("deliveries", "edit_held_until")
