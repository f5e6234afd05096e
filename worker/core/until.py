"""Times that people write: until when an act lasts. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from worker.core.actions import after_today, on_monday
from worker.core.text import plain

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

    from worker.core.calendar import Calendar

_OPENING, _MONDAY = "opening", "monday"
_DATED = re.compile(r"\d{4}-\d")


def until_of(written: str, calendar: Calendar, now: datetime, duration: Callable[[str], timedelta]) -> datetime:
    """The instant that is written: itself, after a duration, or the next opening after today or from Monday on.

    `duration` reads one, and raises ValueError for anything else. Raises ValueError, which says what can be written.
    """
    if (word := written.strip().casefold()) in {_OPENING, _MONDAY}:
        return after_today(calendar, now) if word == _OPENING else on_monday(calendar, now)
    try:
        return now + duration(written)
    except (ValueError, OverflowError):
        return _instant(written, calendar)


def _instant(written: str, calendar: Calendar) -> datetime:
    try:
        # A number alone would be taken for a date, too.
        found = datetime.fromisoformat(written.strip()) if _DATED.match(written.strip()) else None
        at = found and (found if found.tzinfo else found.replace(tzinfo=calendar.zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        at = None
    if at is None:
        raise ValueError(
            f"{plain(written)!r} is no time; write a duration such as 1h or 2d, opening for the next opening after "
            "today, monday, or an instant such as 2026-12-24T10:00, on the queue's clock, or 2026-12-24T09:00Z"
        )
    return at
