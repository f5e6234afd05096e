"""Turns what a server sent into values that are safe to keep: wrong types and impossible values become absent. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from urllib.parse import unquote
from uuid import UUID

from msgspec import ValidationError, convert

NAME_CHARACTERS = 300
PREVIEW_CHARACTERS = 500
TAG_CHARACTERS = 60
TAGS = 20
PATH_CHARACTERS = 2_000

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MOST_TOKENS = 10**15

_PATH = re.compile(r"/(?![/\\])[\w\-./~%!$&'()*+,;=:@?#]*", re.ASCII)
_TENANT = re.compile(r"/o/([0-9a-fA-F-]{36})(?:/|$)")
_SURROGATE = re.compile("[\ud800-\udfff]")


def text(value: object, longest: int = NAME_CHARACTERS) -> str:
    """Text that any database and any encoding takes, cut to `longest` characters; '' for anything but text."""
    if not isinstance(value, str):
        return ""
    cut = value[:longest]
    if cut.isascii():
        return cut.replace("\0", "")
    return _SURROGATE.sub("\ufffd", cut).replace("\0", "")


def identity(value: object) -> UUID | None:
    """An id, or None. All zeros is how some servers write "none"."""
    if not isinstance(value, str) or len(value) not in {32, 36}:
        return None
    try:
        found = convert(value, UUID)
    except ValidationError:
        return None
    return found if found.int else None


def instant(value: object) -> datetime | None:
    """An aware instant in UTC, or None. Without a zone it is UTC; before 1970 it is how some servers write "none"."""
    if not isinstance(value, str):
        return None
    try:
        parsed = datetime.fromisoformat(value.strip().upper())
        found = parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return found if found >= EPOCH else None


def tags(value: object) -> tuple[str, ...]:
    """The tags that are text, cut in number and length."""
    if not isinstance(value, list):
        return ()
    return tuple(tag for tag in (text(given, TAG_CHARACTERS) for given in value[:TAGS]) if tag)


def count(value: object) -> int | None:
    """A plausible amount, or None."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MOST_TOKENS:
        return None
    return value


def amount(value: object) -> str:
    """A cost as text: one listing sends text, the other a number. '' for what is no plausible cost."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return ""
    try:
        cost = Decimal(str(value)[:TAG_CHARACTERS])
    except InvalidOperation:
        return ""
    if not cost.is_finite() or abs(cost) > MOST_TOKENS:
        return ""
    written = f"{cost:.10f}"
    return written.rstrip("0").rstrip(".")


def length(value: object) -> int:
    """How many entries a list has; 0 for anything but a list."""
    return len(value) if isinstance(value, list) else 0


def safe_path(value: object) -> str:
    """A path below the web root, or ''. Anything that could lead to another host or out of the root is refused."""
    if not isinstance(value, str) or len(value) > PATH_CHARACTERS or not _PATH.fullmatch(value):
        return ""
    path = unquote(value.partition("?")[0].partition("#")[0])
    return "" if "\\" in path or ".." in path.split("/") or "//" in path else value


def tenant_of(path: str) -> UUID | None:
    """The workspace that a web path belongs to, where it says so."""
    found = _TENANT.match(path)
    return identity(found.group(1)) if found else None
