from __future__ import annotations

from datetime import datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.builders import NOON
from worker.net.retry_after import LONGEST_RETRY_AFTER, retry_after


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param("120", timedelta(minutes=2), id="seconds"),
        pytest.param(" 7 ", timedelta(seconds=7), id="seconds among blanks"),
        pytest.param("0", timedelta(0), id="at once"),
        pytest.param("1.5", timedelta(seconds=1), id="a fraction"),
        pytest.param("0000000000000060", timedelta(minutes=1), id="zeros before"),
        pytest.param("999999999", LONGEST_RETRY_AFTER, id="thirty years"),
        pytest.param("9999999999", LONGEST_RETRY_AFTER, id="ten digits"),
        pytest.param("9" * 10_000, LONGEST_RETRY_AFTER, id="absurd"),
        pytest.param("Mon, 02 Mar 2026 12:05:00 GMT", timedelta(minutes=5), id="a date"),
        pytest.param("Mon, 02 Mar 2026 12:05:00", timedelta(minutes=5), id="a date without a zone"),
        pytest.param("Fri, 31 Dec 9999 23:59:59 GMT", LONGEST_RETRY_AFTER, id="the last date"),
        pytest.param("Mon, 02 Mar 2026 11:00:00 GMT", None, id="a date in the past"),
        pytest.param("-5", None, id="negative"),
        pytest.param("1e9", None, id="an exponent"),
        pytest.param("soon", None, id="a word"),
        pytest.param("", None, id="nothing"),
        pytest.param("NaN", None, id="NaN"),
        pytest.param("٣", None, id="a digit of another script"),
        pytest.param("Mon, 99 Foo 2026 12:05:00 GMT", None, id="no date"),
    ],
)
@pytest.mark.parametrize("name", ["Retry-After", "retry-after"])
def test_a_wish_is_read_or_ignored(name: str, value: str, expected: timedelta | None) -> None:
    assert retry_after({name: value}, NOON) == expected


def test_a_date_is_judged_by_the_clock_of_the_answer() -> None:
    headers = {"Retry-After": "Mon, 02 Mar 2026 18:05:00 GMT", "Date": "Mon, 02 Mar 2026 18:00:00 GMT"}
    assert retry_after(headers, NOON) == timedelta(minutes=5)
    assert retry_after(headers | {"Date": "soon"}, NOON) == timedelta(hours=6, minutes=5)


def test_without_a_wish_there_is_none() -> None:
    assert retry_after({"Date": "Mon, 02 Mar 2026 18:00:00 GMT"}, NOON) is None


@given(st.text() | st.datetimes(min_value=datetime(1900, 1, 1)).map(format_datetime))  # noqa: DTZ001  as headers are
def test_no_wish_is_too_strange(value: str) -> None:
    found = retry_after({"retry-after": value, "date": value}, NOON)
    assert found is None or timedelta(0) <= found <= LONGEST_RETRY_AFTER
