"""Instants as whole microseconds since 1970, and back: exact from the year 1 to 9999. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


# A poll needs the number of a run's date several times: for its record, its key, its row and its next step.
@lru_cache(1024)
def microseconds(at: datetime) -> int:
    """The number of an instant. Raises TypeError for one without a zone."""
    return (at - EPOCH) // MICROSECOND


# Neighbouring rows mostly repeat the instants of the last ones.
@lru_cache(64)
def instant_at(number: int) -> datetime:
    """The instant of a number."""
    return EPOCH + timedelta(microseconds=number)
