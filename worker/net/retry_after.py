"""The wait that a server asks for by `Retry-After`. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

LONGEST_RETRY_AFTER = timedelta(days=365)
"""The longest wait that is read; whether it is granted is not decided here."""

_SECONDS = re.compile(r"([0-9]+)(?:\.[0-9]*)?")
_MOST_DIGITS = 9


def retry_after(headers: Mapping[str, str], now: datetime) -> timedelta | None:
    """Seconds or a date, by the clock of the answer where it has a `Date`; None for nonsense and for the past."""
    given = {name.lower(): value for name, value in headers.items() if name.lower() in {"retry-after", "date"}}
    value = given.get("retry-after", "").strip()
    if seconds := _SECONDS.fullmatch(value):
        digits = seconds[1].lstrip("0") or "0"
        return (
            LONGEST_RETRY_AFTER
            if len(digits) > _MOST_DIGITS
            else min(timedelta(seconds=int(digits)), LONGEST_RETRY_AFTER)
        )
    at = _date(value)
    wish = None if at is None else at - (_date(given.get("date", "")) or now)
    return min(wish, LONGEST_RETRY_AFTER) if wish is not None and wish > timedelta(0) else None


def _date(value: str) -> datetime | None:
    try:
        at = parsedate_to_datetime(value)
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
