"""What a failure of PostgreSQL, or of a pooler before it, means and the remedy. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from worker.core.ports import DATABASE_URL

if TYPE_CHECKING:
    from sqlalchemy.engine import URL

MOST_SAID = 500
PLAIN = re.compile(r"[a-z_][a-z0-9_]*")
ROWS = "SELECT, INSERT, UPDATE, DELETE"

REMEDIES = {
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
PASSING = ("53", "57P", "55P03", "57014", "40")


def name(where: URL) -> str:
    """Name a database without its user or password."""
    host = where.host or where.query.get("host") or "the local socket"
    port = f":{where.port}" if where.port else ""
    return f"the PostgreSQL database {where.database or 'of that user'} on {host}{port}"


def quoted(identifier: str) -> str:
    """An identifier as SQL writes it."""
    return identifier if PLAIN.fullmatch(identifier) else '"{}"'.format(identifier.replace('"', '""'))


def is_refusal(error: BaseException) -> bool:
    """Whether it lasts until the administrator of the database does something."""
    return _state(error).startswith(REFUSING) or "statement pooling mode" in _said(error)


def is_passing(error: BaseException | None) -> bool:
    """Whether it goes by without anybody's help, so that another start is worth while."""
    return error is not None and _state(error).startswith(PASSING)


def explain(error: BaseException, where: URL, setting: str = DATABASE_URL) -> str:
    """Say what a failure means and the remedy; `setting` is what people know the URL by."""
    return f"{name(where)} {_meaning(error, where, setting)}"


def _meaning(error: BaseException, where: URL, setting: str) -> str:
    state, said = _state(error), _said(error)
    role = quoted(where.username) if where.username else "that user"
    if "statement pooling mode" in said:
        return "is behind a pooler in statement mode, which knows no transactions: set its pool_mode to transaction"
    if "unsupported startup parameter" in said:
        return f"is behind a pooler that takes no such option of {setting}: remove it ({said})"
    if "not permitted to log in" in said:
        return f"refuses the user of {setting} ({said}): ALTER ROLE {role} LOGIN"
    if state == "42501":
        return f"refuses: {said}. {_grant(said, role)}"
    database = quoted(where.database or "NAME")
    known = (text for prefix, text in REMEDIES.items() if state.startswith(prefix))
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
