"""Whether a role may do on PostgreSQL what the program does, and whether the database can keep it: before it begins."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

import sqlalchemy as sa

from worker.core.ports import ConfigError
from worker.stores.refusals import ROWS, quoted
from worker.stores.tables import VERSION_TABLE, metadata, notes

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

KEEPS_EVERYTHING = frozenset({"UTF8", "SQL_ASCII"})
"""Encodings that keep each name as it is: the second does not look at what it keeps."""

DENIED = sa.text(
    """
    SELECT named.name, privilege
    FROM unnest(CAST(:names AS text[])) AS named (name), unnest(CAST(:privileges AS text[])) AS privilege
    WHERE NOT has_table_privilege(to_regclass(quote_ident(named.name)), privilege)
    ORDER BY named.name
    """
)
SEQUENCES = sa.text(
    """
    SELECT pg_get_serial_sequence(quote_ident(named.name), attribute.attname)
    FROM unnest(CAST(:names AS text[])) AS named (name)
    JOIN pg_attribute AS attribute ON attribute.attrelid = to_regclass(quote_ident(named.name))
    WHERE attribute.attidentity = '' AND attribute.attnum > 0 AND NOT attribute.attisdropped
    """
)


def require_place(connection: Connection, name: str) -> None:
    """Refuse a database with an encoding that cannot keep every name, and a role without a schema: ConfigError."""
    encoding, schema, role = connection.execute(
        sa.text("SELECT current_setting('server_encoding'), current_schema()::text, current_user::text")
    ).one()
    if encoding not in KEEPS_EVERYTHING:
        raise ConfigError(
            f"{name} keeps its text in {encoding}, which lacks most characters that a name may have:"
            " make one with `createdb --encoding UTF8 --template template0`"
        )
    if schema is None:
        raise ConfigError(f"{name} {_without_schema(connection, role)}")


def _without_schema(connection: Connection, role: str) -> str:
    path: str = connection.execute(sa.text("SELECT current_setting('search_path')")).scalar_one()
    named = [part.strip().strip('"').replace("$user", role) for part in path.split(",")]
    there = sa.text("SELECT nspname FROM pg_namespace WHERE nspname = ANY(CAST(:named AS text[]))")
    schemas = connection.execute(there, {"named": named}).scalars().all()
    if schemas:
        grant = f"GRANT USAGE ON SCHEMA {quoted(schemas[0])} TO {quoted(role)}"
        return f"lets its user into no schema. As its owner: {grant}"
    return (
        f"has no schema that the search_path of its user names ({path}): correct it, such as by"
        f" ALTER ROLE {quoted(role)} SET search_path = public"
    )


def require_rights(connection: Connection, name: str) -> None:
    """Refuse a role that may not do all that the service does: ConfigError with everything that is to be granted."""
    role: str = connection.execute(sa.text("SELECT current_user::text")).scalar_one()
    if connection.execute(sa.text("SELECT current_setting('transaction_read_only')")).scalar_one() == "on":
        raise ConfigError(
            f"{name} only reads: name the server that writes, not a standby; or, where the role or the database is"
            f" set so, ALTER ROLE {quoted(role)} RESET default_transaction_read_only"
        )
    if grants := [*_tables(connection, role), *_sequences(connection, role)]:
        raise ConfigError(f"{name} denies its user what the service needs. As its owner: {'; '.join(grants)}")


def _tables(connection: Connection, role: str) -> list[str]:
    """The statements that grant what is missing on tables, one for all with the same gaps."""
    asked = {"names": [*metadata.tables], "privileges": ROWS.split(", ")}
    rows = [*connection.execute(DENIED, asked)]
    rows += connection.execute(DENIED, {"names": [VERSION_TABLE], "privileges": ["SELECT"]})
    missing: dict[str, list[str]] = {}
    for table, privilege in rows:
        missing.setdefault(table, []).append(privilege)
    alike: dict[str, list[str]] = {}
    for table, privileges in missing.items():
        alike.setdefault(", ".join(sorted(privileges, key=ROWS.index)), []).append(table)
    return [f"GRANT {privileges} ON {', '.join(names)} TO {quoted(role)}" for privileges, names in alike.items()]


def _sequences(connection: Connection, role: str) -> list[str]:
    """The same for the sequences that number rows."""
    found = connection.execute(SEQUENCES, {"names": [*metadata.tables]}).scalars()
    usable = sa.text("SELECT has_sequence_privilege(CAST(:name AS text), 'USAGE')")
    names = [each for each in found if each and not connection.execute(usable, {"name": each}).scalar_one()]
    return [f"GRANT USAGE ON SEQUENCE {', '.join(names)} TO {quoted(role)}"] if names else []


def try_writing(connection: Connection) -> None:
    """Write a row and take it away again: what no privilege shows, such as a trigger or a full disk, shows here."""
    name = f"check/{uuid4()}"
    connection.execute(sa.insert(notes).values(name=name, value=""))
    connection.execute(sa.delete(notes).where(notes.c.name == name))
