"""Times that people write for the end of an act."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tests.support.office import FRIDAY, MONDAY, office
from worker.core.until import until_of
from worker.settings.values import duration


@pytest.mark.parametrize(
    ("written", "at"),
    [
        ("opening", MONDAY),
        (" Monday ", MONDAY),
        ("2026-12-24T10:00", datetime(2026, 12, 24, 9, tzinfo=UTC)),
        ("2026-12-24 09:00Z", datetime(2026, 12, 24, 9, tzinfo=UTC)),
    ],
)
def test_an_end_is_an_opening_or_an_instant_on_the_queues_clock(written: str, at: datetime) -> None:
    assert until_of(written, office(), FRIDAY, duration) == at


def test_an_end_is_so_long_from_now() -> None:
    assert until_of("1d12h", office(), FRIDAY, duration) == FRIDAY + duration("36h")


@pytest.mark.parametrize("written", ["soon", "tomorrow", "1", "99999y", "2026-13-01", "0001-01-01T00:00+23:59", "\x00"])
def test_anything_else_is_no_time(written: str) -> None:
    with pytest.raises(ValueError, match="is no time"):
        until_of(written, office(), FRIDAY, duration)
