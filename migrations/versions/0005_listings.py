"""Which listing a queue was read from, beside the queue."""

from __future__ import annotations

import re

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

NAME = re.compile(r"listing of ([0-9a-f]{8})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{12})")
"""The notes about queues; those about servers look otherwise, and stay."""

QUEUES = sa.table("queues", sa.column("queue_id", sa.LargeBinary(16)), sa.column("listing", sa.Text()))
NOTES = sa.table("notes", sa.column("name", sa.Text()), sa.column("value", sa.Text()))


def upgrade() -> None:
    op.add_column("queues", sa.Column("listing", sa.Text()))
    connection = op.get_bind()
    for name, listing in connection.execute(sa.select(NOTES.c.name, NOTES.c.value)).all():
        if (found := NAME.fullmatch(name)) is not None:
            queue_id = bytes.fromhex("".join(found.groups()))
            connection.execute(sa.update(QUEUES).where(QUEUES.c.queue_id == queue_id).values(listing=listing))
            connection.execute(sa.delete(NOTES).where(NOTES.c.name == name))


def downgrade() -> None:
    connection = op.get_bind()
    known = sa.select(QUEUES.c.queue_id, QUEUES.c.listing).where(QUEUES.c.listing.is_not(None))
    for queue_id, listing in connection.execute(known).all():
        digits = bytes(queue_id).hex()
        parts = (digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:])
        connection.execute(sa.insert(NOTES).values(name=f"listing of {'-'.join(parts)}", value=listing))
    op.drop_column("queues", "listing")
