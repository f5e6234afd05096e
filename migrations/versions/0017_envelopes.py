"""Which envelopes of the notifier's service were heard: each once, whichever worker hears it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "envelopes",
        sa.Column("envelope_id", sa.Text(), nullable=False),
        sa.Column("heard_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("envelope_id", name="pk_envelopes"),
    )
    op.create_index("ix_envelopes_heard", "envelopes", ["heard_at"])


def downgrade() -> None:
    op.drop_table("envelopes")
