"""How Alembic reaches the database: over the connection that the program hands in, else over `-x url=…`.

alembic -x url=sqlite:////tmp/new.db upgrade head
alembic -x url=sqlite:////tmp/new.db revision --autogenerate -m "what changes"
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from alembic import context

from worker.stores.schema import VERSION_TABLE, metadata

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection


def render_item(kind: str, item: Any, _autogen: object) -> str | bool:  # noqa: ANN401  whatever Alembic renders
    """Write plain SQLAlchemy types, so that an old revision never imports a newer program."""
    if kind != "type" or not isinstance(item, sa.types.TypeDecorator):
        return False
    return f"sa.{item.impl_instance!r}"


def migrate(connection: Connection) -> None:
    """Run the revisions; on SQLite a table is altered by making a new one."""
    context.configure(
        connection=connection,
        target_metadata=metadata,
        version_table=VERSION_TABLE,
        render_as_batch=connection.dialect.name == "sqlite",
        render_item=render_item,
        compare_type=True,
    )
    with context.begin_transaction():
        context.run_migrations()


def migrate_by_url(url: str) -> None:
    """Serve Alembic's own command line."""
    with sa.create_engine(url).begin() as connection:
        migrate(connection)


handed_in = context.config.attributes.get("connection")
if handed_in is None:
    migrate_by_url(context.get_x_argument(as_dictionary=True)["url"])
else:
    migrate(handed_in)
