"""What of a setting's value may be shown, and the secrets that must never be. Pure."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from worker.settings.database import passwords

if TYPE_CHECKING:
    from collections.abc import Collection

    from worker.settings.model import Settings

MASK = "***"
SHORTEST = 8
"""A shorter text is not masked inside other text: it would hide more words than secrets."""

_LONGEST_SHOWN = 100
_TOKEN = re.compile(r"(?:xox[a-z.]*-|xapp-|lsv2_|ls__)[\w.-]{4,}", re.IGNORECASE)
_SCHEME = re.compile(r"[a-z0-9+]+:/*", re.IGNORECASE)
"""An address that ends there holds nothing to hide, and remedies begin with one."""

_CREDENTIALS = re.compile(r"(?<=://)[^\s'\"]*(?=@)")


def masked(text: str, secrets: Collection[str]) -> str:
    """The text without these secrets, and without what looks like one that was put in the wrong place."""
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= SHORTEST and not _SCHEME.fullmatch(secret):
            text = text.replace(secret, MASK)
    return _CREDENTIALS.sub(MASK, _TOKEN.sub(MASK, text))


def shown(value: object, secrets: Collection[str]) -> str:
    """A value as its user would recognise it, on one line, not too long and without secrets."""
    text = masked(value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False), secrets)
    text = text if len(text) <= _LONGEST_SHOWN else text[:_LONGEST_SHOWN] + "…"
    return repr(text) if isinstance(value, str) else text


def secrets(settings: Settings) -> tuple[str, ...]:
    """Every secret string, longest first, for the log's edge to take out."""
    found = [
        secret.get_secret_value()
        for secret in (settings.langsmith_api_key, settings.slack_bot_token, settings.heartbeat_url)
        if secret is not None
    ]
    found += [*passwords(settings.database_url), *settings.network.secrets()]
    if settings.heartbeat_url is not None:
        found += _capability(settings.heartbeat_url.get_secret_value())
    return tuple(sorted(dict.fromkeys(found), key=len, reverse=True))


def _capability(url: str) -> list[str]:
    """What follows the host, because some errors quote an address without it."""
    parts = urlsplit(url)
    path = parts.path.strip("/") + (f"?{parts.query}" if parts.query else "")
    return [path] if len(path) >= SHORTEST else []
