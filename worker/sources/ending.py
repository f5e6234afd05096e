"""When the `runs` listing will end, as its own answers tell. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

NEAR = timedelta(days=60)
URGENT = timedelta(days=14)
NOT_DEPRECATED = {"", "false", "?0", "0"}


@dataclass(frozen=True, slots=True)
class Ending:
    """That the listing is deprecated, and until when it will be served (None: nobody said)."""

    sunset: datetime | None = None

    def left(self, now: datetime) -> timedelta | None:
        """How long it will still be served."""
        return None if self.sunset is None else self.sunset - now


def ending(headers: Mapping[str, str], now: datetime) -> Ending | None:
    """What the headers `Deprecation` and `Sunset` of an answer say; None where they say nothing, or not yet."""
    sunset, deprecation = (headers.get(name, "").strip() for name in ("sunset", "deprecation"))
    if sunset:
        return Ending(date(sunset))
    begins_at = date(deprecation)
    is_to_come = begins_at is not None and begins_at > now
    return None if is_to_come or deprecation.lower() in NOT_DEPRECATED else Ending()


def loudness(found: Ending, now: datetime) -> str:
    """How urgent it is: `info`, `warning` or `error`, as the names of log levels."""
    left = found.left(now)
    if left is None or left > NEAR:
        return "info"
    return "warning" if left > URGENT else "error"


def date(value: str) -> datetime | None:
    """An HTTP date, a stamp as in `Deprecation`, or any date that ISO 8601 knows: sources differ."""
    for parse in (parsedate_to_datetime, datetime.fromisoformat, _stamp):
        try:
            found = parse(value)
            return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
        except (ValueError, OverflowError, OSError):
            continue
    return None


def _stamp(value: str) -> datetime:
    """Seconds since 1970 behind an `@`. Raises ValueError, OverflowError or OSError."""
    if not value.startswith("@"):
        raise ValueError(value)
    return datetime.fromtimestamp(int(value[1:]), UTC)
