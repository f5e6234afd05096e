"""Outside text stays one harmless line."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import slack_reader as reader
from worker.notifiers import text

NOW = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)
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
    ("raw", "shown"),
    [
        pytest.param("a & b < c > d", "a &amp; b &lt; c &gt; d", id="markup is escaped, the ampersand first"),
        pytest.param("&lt;!channel&gt;", "&amp;lt;!channel&amp;gt;", id="an entity in the data stays what it is"),
        pytest.param("my_agent_run", "my_agent_run", id="underscores within a word stay"),
        pytest.param("_private_ x", "ˍprivateˍ x", id="underscores around a word would be italics"),
        pytest.param("*b* ~s~ `c`", "∗b∗ ∼s∼ ˋcˋ", id="bold, strike and code are look-alikes"),  # noqa: RUF001
        pytest.param("a :tada: 12:30", "a ∶tada: 12:30", id="no pictures, times stay"),  # noqa: RUF001
    ],
)
def test_words(raw: str, shown: str) -> None:
    assert text.words(raw, 80) == shown


@pytest.mark.parametrize(
    "raw",
    [
        "https://evil.example/x",
        "HTTP://x",
        "www.evil.example",
        "evil.com",
        "me@evil.example",
        "@everyone",
        "mailto://x",
    ],
)
def test_bare_text_is_not_linked_and_calls_nobody(raw: str) -> None:
    assert reader.autolinked(raw)
    assert not reader.autolinked(text.bare(f"see {raw} now", 80))


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        pytest.param("run #3 of v1.5", "run #3 of v1.5", id="numbers are no channels and no addresses"),
        pytest.param("see #general", "see #\u2060general", id="channels are not linked"),
    ],
)
def test_bare_text_changes_no_more_than_it_must(raw: str, shown: str) -> None:
    assert text.bare(raw, 80) == shown


@pytest.mark.parametrize(
    ("url", "aim"),
    [
        pytest.param(
            "https://smith.langchain.com/r/1?a=1&b=2", "https://smith.langchain.com/r/1?a=1&amp;b=2", id="https"
        ),
        pytest.param("http://localhost:8080/r", "http://localhost:8080/r", id="http"),
        pytest.param("https://x/a|b>c<d e\n", "https://x/a%7Cb%3Ec%3Cd%20e%0A", id="percent-encoded"),
        pytest.param("https://x/%7Ea%20b", "https://x/%7Ea%20b", id="not encoded twice"),
        pytest.param("https://x/~me", "https://x/%7Eme", id="a tilde"),
        pytest.param("https://x/é", "https://x/%C3%A9", id="not ASCII"),
        pytest.param("https://x/\ud800", "", id="not Unicode"),
        pytest.param("javascript:alert(1)", "", id="a script is not linked"),
        pytest.param("//evil.example/x", "", id="a scheme is needed"),
        pytest.param("https:///x", "", id="a host is needed"),
        pytest.param("https://smith.langchain.com@evil.example/", "", id="a host in disguise is not linked"),
        pytest.param("https://smíth.example/", "", id="look-alike letters in a host are not linked"),
        pytest.param("https://[::1", "", id="broken"),
        pytest.param("", "", id="none"),
        pytest.param("https://x/" + "a" * 600, "", id="too long"),
    ],
)
def test_target(url: str, aim: str) -> None:
    assert text.target(url) == aim


def test_a_label_cannot_end_its_link() -> None:
    assert text.link("https://x/", "a|b>c") == "<https://x/|a¦b&gt;c>"


def test_a_label_without_a_target_is_just_text() -> None:
    assert text.link("javascript:x", "a") == "a"


def test_code_that_is_empty_is_left_out() -> None:
    assert text.code("\u200b", 10) == ""


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


@pytest.mark.parametrize(
    ("since", "shown"),
    [
        pytest.param(NOW - timedelta(hours=4), "<!date^1795411800^{ago}|4 h ago>", id="kept current by Slack"),
        pytest.param(NOW + timedelta(days=9), "just now", id="a future that a wrong clock made"),
        pytest.param(datetime(1, 1, 1, tzinfo=UTC), "739942 d ago", id="before dates that Slack can show"),
    ],
)
def test_ago(since: datetime, shown: str) -> None:
    assert text.ago(since, NOW) == shown


def test_a_date_beyond_what_slack_can_show_is_told_in_words() -> None:
    late = datetime(2200, 1, 1, tzinfo=UTC)
    assert text.ago(late, late + timedelta(hours=2)) == "2 h ago"


@given(ANYTHING, st.integers(1, 60))
def test_flat_text_is_clean_short_and_stays_as_it_is(raw: str, limit: int) -> None:
    once = text.flat(raw, limit)
    assert reader.is_clean(once)
    assert "\n" not in once
    assert len(once) <= limit
    assert text.flat(once, limit) == once
    once.encode()


@given(ANYTHING)
def test_words_hold_no_markup_at_all(raw: str) -> None:
    shown = text.words(raw, 100)
    assert reader.tokens(shown) == []
    assert reader.formatting(shown) == []
    assert reader.struck(shown) == []


@given(ANYTHING)
def test_bare_text_holds_nothing_that_would_be_linked(raw: str) -> None:
    shown = text.bare(raw, 100)
    assert reader.tokens(shown) == []
    assert reader.autolinked(shown) == []


@given(st.sampled_from(["https://", "http://", "https://x/", "", "ftp://"]), ANYTHING, ANYTHING)
def test_a_link_is_one_token_or_none(start: str, rest: str, label: str) -> None:
    shown = text.link(start + rest, text.flat(label, 80) or "run")
    assert reader.mentions(shown) == []
    assert len(reader.targets(shown)) <= 1
