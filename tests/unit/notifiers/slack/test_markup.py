"""Outside text stays one harmless line."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import slack_reader as reader
from worker.core import text
from worker.core.text import marked_place, unmarked
from worker.notifiers.slack import markup

NOW = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)
ANYTHING = st.text(st.characters(), max_size=200)


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
    assert markup.words(raw, 80) == shown


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
    assert not reader.autolinked(markup.bare(f"see {raw} now", 80))


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        pytest.param("run #3 of v1.5", "run #3 of v1.5", id="numbers are no channels and no addresses"),
        pytest.param("see #general", "see #\u2060general", id="channels are not linked"),
    ],
)
def test_bare_text_changes_no_more_than_it_must(raw: str, shown: str) -> None:
    assert markup.bare(raw, 80) == shown


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
    assert markup.target(url) == aim


def test_a_label_cannot_end_its_link() -> None:
    assert markup.link("https://x/", "a|b>c") == "<https://x/|a¦b&gt;c>"


def test_a_label_without_a_target_is_just_text() -> None:
    assert markup.link("javascript:x", "a") == "a"


def test_code_that_is_empty_is_left_out() -> None:
    assert markup.code("\u200b", 10) == ""


@pytest.mark.parametrize(
    ("since", "shown"),
    [
        pytest.param(NOW - timedelta(hours=4), "<!date^1795411800^{ago}|4 h ago>", id="kept current by Slack"),
        pytest.param(NOW + timedelta(days=9), "just now", id="a future that a wrong clock made"),
        pytest.param(datetime(1, 1, 1, tzinfo=UTC), "739942 d ago", id="before dates that Slack can show"),
    ],
)
def test_ago(since: datetime, shown: str) -> None:
    assert markup.ago(since, NOW) == shown


def test_a_date_beyond_what_slack_can_show_is_told_in_words() -> None:
    late = datetime(2200, 1, 1, tzinfo=UTC)
    assert markup.ago(late, late + timedelta(hours=2)) == "2 h ago"


@given(ANYTHING)
def test_words_hold_no_markup_at_all(raw: str) -> None:
    shown = markup.words(raw, 100)
    assert reader.tokens(shown) == []
    assert reader.formatting(shown) == []
    assert reader.struck(shown) == []


@given(ANYTHING)
def test_bare_text_holds_nothing_that_would_be_linked(raw: str) -> None:
    shown = markup.bare(raw, 100)
    assert reader.tokens(shown) == []
    assert reader.autolinked(shown) == []


@given(st.sampled_from(["https://", "http://", "https://x/", "", "ftp://"]), ANYTHING, ANYTHING)
def test_a_link_is_one_token_or_none(start: str, rest: str, label: str) -> None:
    shown = markup.link(start + rest, text.flat(label, 80) or "run")
    assert reader.mentions(shown) == []
    assert len(reader.targets(shown)) <= 1


KEY = "00000000-0000-4000-8000-000000000001"


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        (f"run `review-notifier retry {KEY}`.", f"run `review-notifier retry {KEY}`."),
        ("`review-notifier check` *shows* it", "`review-notifier check` ∗shows∗ it"),  # noqa: RUF001
        ("`review-notifier people forget x` and `rm`", "ˋreview-notifier people forget xˋ and ˋrmˋ"),  # noqa: RUF001
        (f"to {marked_place('C0SUPPORT00')}.", "to <#C0SUPPORT00>."),
        (f"to {marked_place('support-qa')}: no", "to #support-qa: no"),
        (f"to {marked_place('<!channel>')}", "to #&lt;!channel&gt;"),
        ("since 2026-11-23 09:12 UTC.", "since <!date^1795425120^{date_short_pretty} {time}|23 Nov 09:12 UTC>."),
        ("since 2026-13-23 09:12 UTC, 1999-01-01 00:00 UTC", "since 2026-13-23 09:12 UTC, 1999-01-01 00:00 UTC"),
        ("<#C0EVIL00000> <!channel>", "&lt;#C0EVIL00000&gt; &lt;!channel&gt;"),
        ("a\x02C0SUPPORT00", "a C0SUPPORT00"),
        ("", ""),
    ],
)
def test_of_a_report_our_own_parts_are_set_and_the_rest_is_escaped(raw: str, shown: str) -> None:
    assert markup.own_report(raw, 200, words=markup.words) == shown


@given(ANYTHING)
def test_no_outside_text_in_a_report_links_mentions_or_is_code(outside: str) -> None:
    written = markup.own_report(f"It fails: {unmarked(outside)}.", 300, words=markup.words)
    rest = re.sub(r"`review-notifier [a-z]+( [0-9a-f-]{36})?`|<!date\^\d+\^[^<>|]*\|[^<>]*>", "", written)
    assert not set("<>`*~") & set(rest)
    assert "\n" not in written


def test_a_report_that_is_cut_says_so() -> None:
    assert markup.own_report("x" * 50, 20, words=markup.words) == "x" * 19 + "…"
