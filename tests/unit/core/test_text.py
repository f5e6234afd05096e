"""Outside text stays one harmless line."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.golden_slack import AS_OF
from tests.support import slack_reader as reader
from worker.core import text

ANYTHING = st.text(st.characters(), max_size=200)


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        pytest.param("Refunds", "Refunds", id="an ordinary name stays"),
        pytest.param("  a\t b\r\nc  ", "a b c", id="line breaks and runs of blanks become one blank"),
        pytest.param("a\u2028b\u2029c\x85d\x00e", "a b c d e", id="rare line breaks and controls as well"),
        pytest.param("abc\u202edcb\u2066x\u200f", "abcdcbx", id="nothing reorders the line"),
        pytest.param("a\u200bb\u2060c\ufeffd\u00ade", "abcde", id="nothing hides in it"),
        pytest.param("👩\u200d💻 ok", "👩\u200d💻 ok", id="joined emoji stay"),
        pytest.param("a\ud800b", "a b", id="half a surrogate pair goes"),
        pytest.param("\u3164\u2800 \u115f", "", id="what looks like nothing is nothing"),
        pytest.param("\u200d\u200c", "", id="joiners alone are nothing"),
        pytest.param("e" + "\u0301" * 40 + "!", "e\u0301\u0301\u0301!", id="accents do not pile up"),
        pytest.param("x" * 13, "xxxxxxxxx…", id="a long one is cut"),
        pytest.param("xxxxxxxx yyyy", "xxxxxxxx…", id="a cut leaves no blank at the end"),
        pytest.param("x" * 10, "x" * 10, id="one that just fits is not"),
        pytest.param("\x00" * 5_000_000 + "x", "", id="a huge one is not read to its end"),
    ],
)
def test_flat(raw: str, shown: str) -> None:
    assert text.flat(raw, 10) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (-5, "0 s"),
        (0.9, "0 s"),
        (45, "45 s"),
        (60, "1 min"),
        (3_599, "59 min"),
        (3_600, "1 h"),
        (86_399, "23 h"),
        (86_400 * 3.5, "3 d"),
    ],
)
def test_age(seconds: float, shown: str) -> None:
    assert text.age(timedelta(seconds=seconds)) == shown


@given(ANYTHING, st.integers(1, 60))
def test_flat_text_is_clean_short_and_stays_as_it_is(raw: str, limit: int) -> None:
    once = text.flat(raw, limit)
    assert reader.is_clean(once)
    assert "\n" not in once
    assert len(once) <= limit
    assert text.flat(once, limit) == once
    once.encode()


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        pytest.param("a\nb\x1b[2Jc", "a b [2Jc", id="nothing moves the cursor"),
        pytest.param("a\u202eb", "ab", id="nothing turns the letters"),
    ],
)
def test_a_plain_line(raw: str, shown: str) -> None:
    assert text.plain(raw) == shown


def test_plain_lines_keep_their_breaks() -> None:
    assert text.plain_lines("a\tb\nc\x00d") == "a b\nc d"


def test_json_safe_means_the_same() -> None:
    assert text.json_safe('{"a": "b\u202ec\x9b"}') == '{"a": "b\\u202ec\\u009b"}'


def test_visible_writes_out_what_a_terminal_obeys() -> None:
    assert text.visible("a\x1bb\u2066") == "a\\x1bb\\u2066"


def test_a_time_that_has_just_passed() -> None:
    assert text.time_ago(AS_OF, AS_OF) == "just now"
    assert text.time_ago(AS_OF - timedelta(minutes=5), AS_OF) == "5 min ago"


@pytest.mark.parametrize(
    ("url", "encoded"),
    [
        pytest.param("https://x.test/a b?c=1&d", "https://x.test/a%20b?c=1&d", id="percent-encoded, not escaped"),
        pytest.param("https://[", "", id="no address at all"),
        pytest.param("ftp://x.test/", "", id="another scheme"),
        pytest.param("https://x.test/" + "a" * 500, "", id="too long"),
    ],
)
def test_a_web_address(url: str, encoded: str) -> None:
    assert text.web_address(url) == encoded


@pytest.mark.parametrize(
    ("how", "shown"),
    [
        pytest.param({}, "09:30 UTC", id="hours and minutes, and whose"),
        pytest.param({"day": True}, "23 Nov 09:30 UTC", id="with its day"),
        pytest.param({"seconds": True}, "09:30:00 UTC", id="with its seconds"),
    ],
)
def test_the_time_on_a_clock(how: dict[str, bool], shown: str) -> None:
    assert text.clock_time(AS_OF, UTC, **how) == shown


def test_the_end_of_time_is_shown_as_it_is() -> None:
    last = datetime.max.replace(tzinfo=UTC)
    assert text.clock_time(last, timezone(timedelta(hours=1), "later")) == "23:59 UTC"


def test_marks_are_ours_alone() -> None:
    assert text.marked_place("a\x03b\x02") == "\x02ab\x03"
    assert text.unmarked("x \x02C0EVIL00000\x03 y") == "x C0EVIL00000 y"
