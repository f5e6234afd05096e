"""When the older listing will end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given

from tests.support.schemas import date_like
from worker.sources.langsmith.choice import Ending, ending, loudness

SUNSET = datetime(2027, 1, 31, tzinfo=UTC)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        pytest.param({}, None, id="nothing said"),
        pytest.param({"deprecation": "false"}, None, id="expressly not"),
        pytest.param({"deprecation": "true"}, Ending(None), id="no date"),
        pytest.param({"deprecation": "@1785542400"}, Ending(None), id="deprecated since a time stamp"),
        pytest.param({"deprecation": "@1811808000"}, None, id="deprecated from a time stamp to come"),
        pytest.param({"deprecation": "@1811808000", "sunset": "2027-01-31"}, Ending(SUNSET), id="it ends all the same"),
        pytest.param(
            {"deprecation": "true", "sunset": "Sun, 31 Jan 2027 00:00:00 GMT"}, Ending(SUNSET), id="an HTTP date"
        ),
        pytest.param({"sunset": "2027-01-31"}, Ending(SUNSET), id="a day"),
        pytest.param({"sunset": "2027-01-31T00:00:00Z"}, Ending(SUNSET), id="ISO"),
        pytest.param({"sunset": "2027-01-31T02:00:00+02:00"}, Ending(SUNSET), id="ISO elsewhere"),
        pytest.param({"sunset": "@1801353600"}, Ending(SUNSET), id="a time stamp"),
        pytest.param({"sunset": "@" + "9" * 20}, Ending(None), id="a time stamp beyond all time"),
        pytest.param({"sunset": "Sun, 31 Jan 2027 00:00:00 -0000"}, Ending(SUNSET), id="an HTTP date without a zone"),
        pytest.param({"sunset": "0001-01-01T00:00:00+14:00"}, Ending(None), id="before all time"),
        pytest.param({"sunset": "end of January"}, Ending(None), id="no date that can be read"),
    ],
)
def test_the_headers_are_read_leniently(headers: Any, expected: Any) -> None:
    assert ending(headers, datetime(2026, 11, 27, tzinfo=UTC)) == expected


@given(date_like())
def test_no_date_is_too_strange(value: str) -> None:
    found = ending({"sunset": value, "deprecation": "true"}, SUNSET)
    assert found is not None
    assert found.sunset is None or found.sunset.tzinfo is UTC


@pytest.mark.parametrize(
    ("days", "level"), [(200, "info"), (61, "info"), (59, "warning"), (15, "warning"), (13, "error"), (-3, "error")]
)
def test_it_gets_louder_as_the_date_nears(days: Any, level: Any) -> None:
    assert loudness(Ending(SUNSET), SUNSET - timedelta(days=days)) == level


def test_without_a_date_it_stays_quiet() -> None:
    assert loudness(Ending(None), SUNSET) == "info"
