"""Several workers on one database."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

ID = sa.LargeBinary(16)


def upgrade() -> None:
    op.add_column("queues", sa.Column("trouble", sa.Text()))
    op.add_column("deliveries", sa.Column("worker_id", ID))
    op.create_table(
        "workers",
        sa.Column("worker_id", ID, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("worker_id", name="pk_workers"),
    )
    op.create_table(
        "duties",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("worker_id", ID),
        sa.Column("token", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_duties"),
    )
    op.create_table(
        "paces",
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("free_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("channel", name="pk_paces"),
    )


def downgrade() -> None:
    for table in ("paces", "duties", "workers"):
        op.drop_table(table)
    op.drop_column("deliveries", "worker_id")
    op.drop_column("queues", "trouble")
