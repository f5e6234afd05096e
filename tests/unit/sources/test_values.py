"""What becomes of the values that a server sends."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.builders import NOON
from worker.sources.langsmith import rows
from worker.sources.langsmith.wire import BriefRow

ID = UUID("11111111-2222-4333-8444-555555555555")
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        pytest.param("2026-03-02T12:00:00Z", datetime(2026, 3, 2, 12, tzinfo=UTC), id="Z"),
        pytest.param("2026-03-02T12:00:00z", datetime(2026, 3, 2, 12, tzinfo=UTC), id="small z"),
        pytest.param("2026-03-02T12:00:00", datetime(2026, 3, 2, 12, tzinfo=UTC), id="no zone is UTC"),
        pytest.param("2026-03-02 12:00:00", datetime(2026, 3, 2, 12, tzinfo=UTC), id="a blank for the T"),
        pytest.param("2026-03-02T14:00:00+02:00", datetime(2026, 3, 2, 12, tzinfo=UTC), id="an offset"),
        pytest.param("2026-03-02T12:00:00.1Z", datetime(2026, 3, 2, 12, 0, 0, 100_000, UTC), id="one digit"),
        pytest.param("2026-03-02T12:00:00.123Z", datetime(2026, 3, 2, 12, 0, 0, 123_000, UTC), id="three digits"),
        pytest.param("2026-03-02T12:00:00.123456", datetime(2026, 3, 2, 12, 0, 0, 123_456, UTC), id="six digits"),
        pytest.param("2026-03-02T12:00:00.123456999Z", datetime(2026, 3, 2, 12, 0, 0, 123_457, UTC), id="nine digits"),
        pytest.param("0001-01-01T00:00:00Z", None, id="the zero of some languages"),
        pytest.param("0001-01-01T00:00:00+14:00", None, id="before the first day"),
        pytest.param("9999-12-31T23:59:59-12:00", None, id="after the last day"),
        pytest.param("-2026-03-02T12:00:00Z", None, id="a negative year"),
        pytest.param("1969-12-31T23:59:59Z", None, id="before 1970"),
        pytest.param("2026-13-02T12:00:00Z", None, id="a thirteenth month"),
        pytest.param("yesterday", None, id="a word"),
        pytest.param("2026-03-02T12:00:00Z\ud800", None, id="half a character"),
        pytest.param("", None, id="nothing"),
        pytest.param(1_700_000_000, None, id="a number"),
        pytest.param(None, None, id="null"),
    ],
)
def test_an_instant_is_aware_and_plausible_or_absent(written: Any, expected: Any) -> None:
    found = rows.instant(written)
    assert found == expected
    assert found is None or found.utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        pytest.param(str(ID), ID, id="as usual"),
        pytest.param(str(ID).upper(), ID, id="in capitals"),
        pytest.param(ID.hex, ID, id="without hyphens"),
        pytest.param("00000000-0000-0000-0000-000000000000", None, id="all zeros"),
        pytest.param("{" + ID.hex + "}", None, id="in braces"),
        pytest.param("not an id", None, id="a word"),
        pytest.param(ID.hex[:31] + "\ud800", None, id="half a character"),
        pytest.param("zzzzzzzz-2222-4333-8444-555555555555", None, id="not hexadecimal"),
        pytest.param(7, None, id="a number"),
        pytest.param(None, None, id="null"),
        pytest.param([str(ID)], None, id="a list"),
    ],
)
def test_an_identity_is_one_or_absent(written: Any, expected: Any) -> None:
    assert rows.identity(written) == expected


@pytest.mark.parametrize(
    ("given_text", "expected"),
    [
        pytest.param("answer", "answer", id="plain"),
        pytest.param("a\0b", "ab", id="no NUL"),
        pytest.param("ä\0b", "äb", id="no NUL beyond ASCII"),
        pytest.param("a\ud800b", "a\ufffdb", id="no lone surrogate"),
        pytest.param("x" * 5000, "x" * 300, id="cut"),
        pytest.param("<!channel>", "<!channel>", id="escaping is the notifier's"),
        pytest.param({"a": 1}, "", id="not text"),
        pytest.param(None, "", id="null"),
    ],
)
def test_text_can_be_kept_anywhere(given_text: Any, expected: Any) -> None:
    assert rows.text(given_text) == expected


@given(ANYTHING | st.text(st.characters(codec=None)))
def test_no_value_is_too_strange(value: Any) -> None:
    assert len(rows.text(value).encode("utf-8")) <= 4 * rows.NAME_CHARACTERS
    assert "\0" not in rows.text(value)
    assert all(isinstance(tag, str) for tag in rows.tags(value))
    assert rows.instant(value) is None or rows.instant(value).tzinfo is UTC
    assert rows.identity(value) is None or isinstance(rows.identity(value), UUID)
    assert isinstance(rows.amount(value), str)
    assert rows.length(value) >= 0


def test_tags_are_cut_in_number_and_length() -> None:
    found = rows.tags(["a" * 100, 7, "", None, *(f"t{n}" for n in range(50))])
    assert found[0] == "a" * 60
    assert found[1] == "t0"
    assert len(found) == 17


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0, 0), (350, 350), (-1, None), (True, None), (1.5, None), ("7", None), (10**30, None), (None, None)],
)
def test_a_count_is_plausible_or_absent(value: Any, expected: Any) -> None:
    assert rows.count(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("0.000525", "0.000525"),
        ("0.0005250000", "0.000525"),
        ("a lot", ""),
        (10**400, ""),
        ([1], ""),
        (0.000525, "0.000525"),
        (0.0000001, "0.0000001"),
        (3, "3"),
        (0, "0"),
        (120.0, "120"),
        (float("nan"), ""),
        (float("inf"), ""),
        (True, ""),
        (None, ""),
    ],
)
def test_a_cost_reads_the_same_from_either_listing(value: Any, expected: Any) -> None:
    assert rows.amount(value) == expected


SAFE = "/o/11111111-2222-4333-8444-555555555555/projects/p/x/r/y?trace_id=z&start_time=2026-03-02T12:00:00"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        pytest.param(SAFE, SAFE, id="as LangSmith writes it"),
        pytest.param("/@evil.example", "/@evil.example", id="an at sign after the slash stays on the host"),
        pytest.param("//evil.example", "", id="another host"),
        pytest.param("/\\evil.example", "", id="another host by a backslash"),
        pytest.param("https://evil.example", "", id="an address"),
        pytest.param("javascript:alert(1)", "", id="a script"),
        pytest.param("o/x", "", id="not from the root"),
        pytest.param("@evil.example/", "", id="a host behind an at sign"),
        pytest.param(".evil.example/", "", id="a longer host"),
        pytest.param("/a/../../b", "", id="out of the root"),
        pytest.param("/a/%2e%2e/%2E%2e/b", "", id="out of the root in disguise"),
        pytest.param("/a/..%2fb", "", id="out of the root by a packed slash"),
        pytest.param("/a%5c..%5cb", "", id="out of the root by packed backslashes"),
        pytest.param("/a//b", "", id="an empty part"),
        pytest.param("/a b", "", id="a blank"),
        pytest.param("/a\n", "", id="a line break"),
        pytest.param("/a|b>", "", id="what ends a Slack link"),
        pytest.param("/ä", "", id="beyond ASCII"),
        pytest.param("/" + "x" * 3000, "", id="too long"),
        pytest.param("", "", id="nothing"),
        pytest.param(None, "", id="null"),
    ],
)
def test_a_path_stays_below_the_web_root(path: Any, expected: Any) -> None:
    assert rows.safe_path(path) == expected


def test_the_workspace_is_read_from_a_path() -> None:
    assert rows.tenant_of(f"/o/{ID}/projects/p/x") == ID
    assert rows.tenant_of(f"/o/{ID}") == ID
    assert rows.tenant_of(f"/x/o/{ID}/") is None
    assert rows.tenant_of(f"/o/{ID}evil/") is None


RECEIVED = "2026-03-02T12:00:00Z"


@pytest.mark.parametrize(
    ("received", "ttl", "expected"),
    [
        pytest.param(RECEIVED, 1_209_600, NOON + timedelta(days=14), id="a fortnight"),
        pytest.param(RECEIVED, None, None, id="no time is given"),
        pytest.param(None, 1_209_600, None, id="no beginning is given"),
        pytest.param(RECEIVED, 0, None, id="no time at all"),
        pytest.param(RECEIVED, -5, None, id="less than none"),
        pytest.param(RECEIVED, "1209600", None, id="text"),
        pytest.param(RECEIVED, True, None, id="a truth"),
        pytest.param(RECEIVED, 10**12, None, id="for ever"),
    ],
)
def test_when_a_trace_expires(received: Any, ttl: Any, expected: datetime | None) -> None:
    assert rows.expiry(BriefRow(trace_first_received_at=received, ttl_seconds=ttl)) == expected


@given(ANYTHING, ANYTHING, ANYTHING)
def test_whatever_is_said_of_a_trace_is_no_crash(received: Any, ttl: Any, tier: Any) -> None:
    row = BriefRow(trace_first_received_at=received, ttl_seconds=ttl, trace_tier=tier)
    assert rows.expiry(row) is None or rows.expiry(row) > NOON.replace(year=1969)
    assert rows.run_mark(row) == rows.run_mark(row)
