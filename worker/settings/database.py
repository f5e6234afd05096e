"""The database's URL: which engines there are, where a relative file lies, which part is secret. Pure.

It is read here without SQLAlchemy, which would cost every command a quarter of a second, by the same grammar.
Functions raise ValueError as those of `worker.settings.values` do.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote

from worker.settings.values import text

if TYPE_CHECKING:
    from pathlib import Path

SQLITE = "sqlite"
POSTGRESQL = "postgresql+psycopg"

_SCHEMES = {
    "sqlite": SQLITE,
    "sqlite+pysqlite": SQLITE,
    "postgres": POSTGRESQL,
    "postgresql": POSTGRESQL,
    POSTGRESQL: POSTGRESQL,
}
_REST = re.compile(
    # Without a user only where SQLAlchemy finds none either: of `u:0?@@host` it makes a password, not a port.
    r"(?:(?P<user>[^:/@]*)(?::(?P<password>[^@]*))?@|(?![^:/]*(?::[^@]*)?@))"
    r"(?P<host>\[[0-9a-fA-F:.%]+\]|[^\[\]:/?@\s]*)(?::(?P<port>\d{1,5}))?"
    r"(?:/(?P<database>[^?]*))?(?:\?(?P<query>.*))?"
)
_SECRET_PARAMETERS = frozenset({"password", "sslpassword"})


def database_url(value: object, *, directory: Path) -> str:
    """A SQLAlchemy URL of SQLite, its file absolute (a relative one begins at `directory`), or of PostgreSQL."""
    scheme, separator, rest = text(value).partition("://")
    kind = _SCHEMES.get(scheme.casefold())
    if not separator or kind is None:
        raise ValueError(
            "is neither SQLite nor PostgreSQL by psycopg; "
            "write sqlite:///worker.db or postgresql+psycopg://user:password@host/name"
        )
    return _sqlite(rest, directory) if kind == SQLITE else _postgresql(rest)


def passwords(url: str) -> tuple[str, ...]:
    """Every secret string inside a database URL: passwords as they are written and as they are meant."""
    match = _REST.fullmatch(url.partition("://")[2])
    if match is None or not url.startswith(POSTGRESQL):
        return ()
    parameters = [item.partition("=") for item in (match["query"] or "").split("&")]
    written = [match["password"] or "", *(value for name, _, value in parameters if name in _SECRET_PARAMETERS)]
    meant = [unquote(match["password"] or "")]
    meant += [value for name, value in parse_qsl(match["query"] or "") if name in _SECRET_PARAMETERS]
    return tuple(dict.fromkeys(word for word in (*written, *meant) if word))


def _sqlite(rest: str, directory: Path) -> str:
    path = unquote(rest.removeprefix("/"))
    if path in {"", ":memory:"} or path.startswith("file:") or "mode=memory" in path:
        raise ValueError(
            "keeps the database in memory, where every restart would forget it and tell everything again; "
            "name a file: sqlite:///worker.db"
        )
    if not rest.startswith("/"):
        raise ValueError("has two slashes, where a host would stand; write three: sqlite:///worker.db")
    if "?" in rest or path.endswith("/"):
        raise ValueError("does not name a file alone; write sqlite:///worker.db or sqlite:////var/lib/worker/worker.db")
    return sqlite_url(directory / path)


def sqlite_url(file: Path) -> str:
    """The URL of a database file."""
    return f"{SQLITE}:///{str(file).replace('%', '%25').replace('?', '%3F')}"


def _postgresql(rest: str) -> str:
    if " " in rest or not _REST.fullmatch(rest):
        raise ValueError(
            "cannot be taken apart; write postgresql+psycopg://user:password@host:5432/name, "
            "with @ : / ? % and spaces in the password percent-encoded (%40 %3A %2F %3F %25 %20)"
        )
    return f"{POSTGRESQL}://{rest}"
