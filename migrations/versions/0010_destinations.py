"""Destinations with the scheme of the notifier that they belong to, in place of Slack's channels alone."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

TABLES = [sa.table(name, sa.column("channel", sa.Text())) for name in ("deliveries", "pauses", "paces")]


def upgrade() -> None:
    for table in TABLES:
        channel = table.c.channel
        # A pause of every channel stands under an asterisk, and so does a rest of all of them.
        owned = sa.case((channel == "*", "*:*"), else_=sa.literal("slack:") + channel)
        op.execute(sa.update(table).values(channel=owned))


def downgrade() -> None:
    for table in TABLES:
        channel = table.c.channel
        bare = sa.func.substr(channel, len("slack:") + 1)
        # What has another scheme keeps it: a channel that Slack does not know, so that it is held and not lost.
        known = sa.case((channel == "*:*", "*"), (channel.startswith("slack:"), bare), else_=channel)
        op.execute(sa.update(table).values(channel=known))
