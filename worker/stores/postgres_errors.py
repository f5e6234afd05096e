"""What PostgreSQL refuses, and the fix: a failure, a right that a role lacks, an option of the URL."""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import TYPE_CHECKING
from uuid import uuid4

import sqlalchemy as sa
from psycopg import pq

from worker.core.ports import DATABASE_URL, ConfigError
from worker.stores.schema import NOTES, VERSION_TABLE, metadata

if TYPE_CHECKING:
    from sqlalchemy.engine import URL, Connection

MOST_SAID = 500
_PLAIN = re.compile(r"[a-z_][a-z0-9_]*")
ROWS = "SELECT, INSERT, UPDATE, DELETE"

_FIXES = {
    "55P03": "is busy: another transaction holds what this one needs; it is tried again",
    "57014": "is too slow: a statement was given up; it is tried again",
    "53100": "cannot grow: the server's disk is full. Free some space; it is tried again, and nothing is lost",
    "53": "has no room for another connection; it is tried again",
    "57P": "is being started or stopped; it is tried again",
    "25006": "only reads: it is a standby or is being switched over; it is tried again",
    "28": "refuses the user or the password of {setting} ({said})",
    "3D000": "does not exist: run `createdb {database}`, then `review-notifier migrate`",
    "3F000": "has no schema to work in ({said}): correct the role's search_path, or create the schema",
    "42P01": "lacks one of its tables ({said}): run `review-notifier migrate`, and check the role's search_path",
    "42703": "lacks a column of its tables ({said}): run `review-notifier migrate`, and check the role's search_path",
}
"""By the beginning of an SQLSTATE."""

GRANTS = {
    "database": "GRANT CONNECT ON DATABASE {name} TO {role}",
    "schema": "GRANT USAGE, CREATE ON SCHEMA {name} TO {role}",
    "sequence": "GRANT USAGE ON SEQUENCE {name} TO {role}",
    "table": f"GRANT {ROWS} ON {{name}} TO {{role}}",
    "relation": f"GRANT {ROWS} ON {{name}} TO {{role}}",
}
"""By the kind of object of which PostgreSQL says `permission denied for …`."""

STATES = {
    # What libpq and poolers say while a connection comes about has no SQLSTATE; here is the one that it would have.
    "permission denied for": "42501",
    "not permitted to log in": "28000",
    "authentication failed": "28P01",
    "no pg_hba.conf entry": "28000",
    "no password supplied": "28P01",
    "no such user": "28000",
    "no such database": "3D000",
    "too many connections": "53300",
    "too many clients": "53300",
    "connection slots are reserved": "53300",
    "no more connections allowed": "53300",
    "database system is": "57P03",
    "server login has been failing": "57P03",
    'role "': "28000",
    'database "': "3D000",
}

REFUSING = ("28", "3D000", "3F000", "42501", "42P01", "42703", "42704")
_PASSING = ("53", "57P", "55P03", "57014", "40")


def database_name(where: URL) -> str:
    """Name a database without its user or password."""
    host = where.host or where.query.get("host") or "the local socket"
    port = f":{where.port}" if where.port else ""
    return f"the PostgreSQL database {where.database or 'of that user'} on {host}{port}"


def quoted(identifier: str) -> str:
    """An identifier as SQL writes it."""
    return identifier if _PLAIN.fullmatch(identifier) else '"{}"'.format(identifier.replace('"', '""'))


def is_refusal(error: BaseException) -> bool:
    """Whether it lasts until the administrator of the database does something."""
    return _state(error).startswith(REFUSING) or "statement pooling mode" in _said(error)


def is_passing(error: BaseException | None) -> bool:
    """Whether it goes by without anybody's help, so that another start is worth while."""
    return error is not None and _state(error).startswith(_PASSING)


def explain_server_error(error: BaseException, where: URL, setting: str = DATABASE_URL) -> str:
    """Say what a failure means and the fix; `setting` is what people know the URL by."""
    return f"{database_name(where)} {_meaning(error, where, setting)}"


def _meaning(error: BaseException, where: URL, setting: str) -> str:
    state, said = _state(error), _said(error)
    role = quoted(where.username) if where.username else "that user"
    # By its words first: poolers give it a general SQLSTATE, or none.
    if "statement pooling mode" in said:
        return "is behind a pooler in statement mode, which knows no transactions: set its pool_mode to transaction"
    if "unsupported startup parameter" in said:
        return f"is behind a pooler that takes no such option of {setting}: remove it ({said})"
    if "not permitted to log in" in said:
        return f"refuses the user of {setting} ({said}): ALTER ROLE {role} LOGIN"
    if state == "42501":
        return f"refuses: {said}. {_grant(said, role)}"
    database = quoted(where.database or "NAME")
    known = (text for prefix, text in _FIXES.items() if state.startswith(prefix))
    return next(known, "fails: {said}").format(said=said, database=database, setting=setting)


def _grant(said: str, role: str) -> str:
    """What the owner of the database has to say."""
    denied = re.search(r"permission denied for (\w+) \"?([^\"]+?)\"?(?: |$)", said)
    if denied and denied[1] in GRANTS:
        return f"As its owner: {GRANTS[denied[1]].format(name=quoted(denied[2]), role=role)}"
    if "must be owner of" in said:
        return "Migrate as the role that owns the tables, or give them to this one"
    return "`review-notifier check` says which privilege is missing"


def _state(error: BaseException) -> str:
    cause = getattr(error, "orig", error)
    state: str = getattr(cause, "sqlstate", None) or ""
    said = "" if state else str(cause)
    return state or next((known for words, known in STATES.items() if words in said), "")


def _said(error: BaseException) -> str:
    """The driver's or the server's own words, on one line, without the address that is named already."""
    cause = getattr(error, "orig", error)
    primary = getattr(getattr(cause, "diag", None), "message_primary", None)
    text = " ".join(line.strip() for line in str(primary or cause).splitlines() if line.strip())
    return text.rpartition("FATAL: ")[2].strip().rstrip(".")[:MOST_SAID]


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
    # The service reads the revision, and only `migrate` writes it.
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
    connection.execute(sa.insert(NOTES).values(name=name, value=""))
    connection.execute(sa.delete(NOTES).where(NOTES.c.name == name))


SPOILING = {
    "client_encoding": "text is always exchanged as UTF-8",
    "replication": "a replication connection takes no transactions",
    "autocommit": "every transaction is this program's own",
    "prepare_threshold": "no statement is ever prepared, so that a pooler may be in between",
}
"""Options that are left to this program, with the reason."""

PLACED = {"user": "username", "password": "password", "dbname": "database"}
"""Options that have a place of their own in a URL, with SQLAlchemy's word for it."""

SEVERAL = frozenset({"host", "port"})
"""Options that may stand there more than once: the addresses of a cluster."""


def check_options(where: URL) -> None:
    """Refuse an option that PostgreSQL does not have, that would break us, or that is given twice: ConfigError."""
    if any("\0" in part for part in _parts(where)):
        raise ConfigError(f"{DATABASE_URL} holds a zero byte (%00), where libpq stops reading: remove it")
    known = {option.keyword.decode() for option in pq.Conninfo.get_defaults()}
    for name, value in where.query.items():
        if name in SPOILING:
            raise _refusal(name, f"cannot be set here: {SPOILING[name]}. Remove it")
        if name not in known:
            # Never a suggestion that the next try would refuse.
            near = get_close_matches(name, sorted(known - SPOILING.keys()), n=1)
            raise _refusal(
                name, f"is not an option of PostgreSQL: {f'did you mean {near[0]}?' if near else 'remove it'}"
            )
        if isinstance(value, tuple) and name not in SEVERAL:
            raise _refusal(name, "is given more than once: leave one")
        if name in PLACED and getattr(where, PLACED[name]):
            raise _refusal(name, "is given before the question mark, too: leave one")


def _parts(where: URL) -> list[str]:
    """Every text of it, without the percent signs of a URL."""
    values = (where.username, where.password, where.host, where.database, *where.query.values())
    return [text for value in values if value for text in ((value,) if isinstance(value, str) else value)]


def _refusal(name: str, why: str) -> ConfigError:
    # A name may be the rest of a password with an unescaped question mark in it.
    shown = name if name.isidentifier() and len(name) <= 63 else "after the question mark"  # noqa: PLR2004
    return ConfigError(f"{DATABASE_URL}: the option {shown} {why}")
