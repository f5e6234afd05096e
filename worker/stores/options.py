"""The options of a PostgreSQL URL: those of libpq, less the few that would break this program."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

from psycopg import pq

from worker.core.ports import DATABASE_URL, ConfigError

if TYPE_CHECKING:
    from sqlalchemy.engine import URL

SPOILING = {
    "client_encoding": "text is always exchanged as UTF-8",
    "replication": "a replication connection takes no transactions",
    "autocommit": "every transaction is this program's own",
    "prepare_threshold": "no statement is ever prepared, so that a pooler may stand in between",
}
"""Options that are left to this program, with the reason."""

PLACED = {"user": "username", "password": "password", "dbname": "database"}
"""Options that have a place of their own in a URL, with SQLAlchemy's word for it."""

SEVERAL = frozenset({"host", "port"})
"""Options that may stand there more than once: the addresses of a cluster."""


def check(where: URL) -> None:
    """Refuse an option that PostgreSQL does not have, that would break us, or that is given twice: ConfigError."""
    if any("\0" in part for part in _parts(where)):
        raise ConfigError(f"{DATABASE_URL} holds a zero byte (%00), where libpq stops reading: remove it")
    known = {option.keyword.decode() for option in pq.Conninfo.get_defaults()}
    for name, value in where.query.items():
        if name in SPOILING:
            raise _refusal(name, f"cannot be set here: {SPOILING[name]}. Remove it")
        if name not in known:
            near = get_close_matches(name, sorted(known - SPOILING.keys()), n=1)
            raise _refusal(name, f"is none of PostgreSQL's: {f'did you mean {near[0]}?' if near else 'remove it'}")
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
