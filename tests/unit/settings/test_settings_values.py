from __future__ import annotations

import contextlib
import re
from datetime import timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.model import RemindIn, Show
from worker.core.owed import Destination
from worker.settings import values

QUEUE_ID = "c0ffee00-1111-4222-8333-444455556666"


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("90s", timedelta(seconds=90)),
        ("15m", timedelta(minutes=15)),
        ("4h", timedelta(hours=4)),
        ("2d", timedelta(days=2)),
        ("1d12h", timedelta(days=1, hours=12)),
        ("1d2h3m4s", timedelta(days=1, hours=2, minutes=3, seconds=4)),
        ("36h", timedelta(hours=36)),
        ("0d5m", timedelta(minutes=5)),
        ("007s", timedelta(seconds=7)),
        ("4H", timedelta(hours=4)),
        (" 4h ", timedelta(hours=4)),
        ("3650d", timedelta(days=3650)),
    ],
)
def test_a_duration_is_read(text: str, length: timedelta) -> None:
    assert values.duration(text) == length
    assert values.duration_or_never(text) == length


NO_DURATION = "is not a duration with its unit; write one such as 90s, 15m, 4h, 2d, 1d12h"
BAD_DURATIONS = [
    pytest.param("soon", NO_DURATION, id="a word"),
    pytest.param("60", NO_DURATION, id="no unit"),
    pytest.param(60, NO_DURATION, id="a TOML number"),
    pytest.param(True, NO_DURATION, id="a TOML boolean"),
    pytest.param(["4h"], NO_DURATION, id="a TOML array"),
    pytest.param("-5m", NO_DURATION, id="negative"),
    pytest.param("1.5h", NO_DURATION, id="a fraction"),
    pytest.param("1h1d", NO_DURATION, id="units in the wrong order"),
    pytest.param("1h 30m", NO_DURATION, id="a space inside"),
    pytest.param("5min", NO_DURATION, id="a unit written out"),
    pytest.param("2w", NO_DURATION, id="weeks"),
    pytest.param("٣h", NO_DURATION, id="digits of another script"),
    pytest.param("h", NO_DURATION, id="a unit alone"),
    pytest.param("", NO_DURATION, id="empty"),
    pytest.param("0s", "is zero", id="zero"),
    pytest.param("0d0h0m0s", "is zero", id="zero in every unit"),
    pytest.param("3651d", "is longer than 3650d", id="more than ten years"),
    pytest.param("999999999h", "is longer than 3650d", id="absurd"),
    pytest.param("9" * 5000 + "s", "is longer than 3650d", id="more digits than int reads"),
]


@pytest.mark.parametrize(("value", "reason"), BAD_DURATIONS)
def test_a_bad_duration_is_refused(value: object, reason: str) -> None:
    for parse in (values.duration, values.duration_or_never, values.poll_interval):
        with pytest.raises(ValueError, match=re.escape(reason.replace("3650d", ""))):
            parse(value)


@given(days=st.integers(0, 3649), rest=st.integers(1, 86399))
def test_every_duration_survives_being_written(days: int, rest: int) -> None:
    length = timedelta(days=days, seconds=rest)
    hours, seconds = divmod(rest, 3600)
    assert values.duration(f"{days}d{hours}h{seconds // 60}m{seconds % 60}s") == length


@given(st.text())
def test_any_text_is_a_duration_or_refused(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert timedelta(0) < values.duration(text) <= values.LONGEST_DURATION


def test_never_is_no_duration_where_it_is_not_allowed() -> None:
    assert values.duration_or_never(" Never ") is None
    with pytest.raises(ValueError, match="is not a duration"):
        values.duration("never")


def test_a_poll_interval_is_at_most_a_week() -> None:
    assert values.poll_interval("1s") == timedelta(seconds=1)
    assert values.poll_interval("7d") == timedelta(days=7)
    with pytest.raises(ValueError, match="is longer than 7d"):
        values.poll_interval("8d")


@pytest.mark.parametrize(
    ("value", "meant"),
    [(word, True) for word in ("true", "TRUE", "yes", "on", "1", " true ", True)]
    + [(word, False) for word in ("false", "False", "no", "off", "0", False)],
)
def test_a_boolean_is_read(value: object, meant: object) -> None:
    assert values.boolean(value) is meant


@pytest.mark.parametrize("value", ["maybe", "", "2", 1, 0, [], "truely"])
def test_what_is_neither_true_nor_false_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="is neither true nor false"):
        values.boolean(value)


def test_one_word_of_an_enumeration_is_read_in_any_case() -> None:
    assert values.one_of(RemindIn)(" Thread ") is RemindIn.THREAD
    with pytest.raises(ValueError, match="is not one of channel, thread, both"):
        values.one_of(RemindIn)("dm")


def test_several_words_of_an_enumeration_are_read() -> None:
    parse = values.set_of(Show)
    assert parse("name, Cost,, name") == {Show.NAME, Show.COST}
    assert parse(["age"]) == {Show.AGE}
    assert parse([]) == frozenset()
    for bad in ("name,inputs", ["name", "inputs"]):
        with pytest.raises(ValueError, match=r"is not one of name, type, age, .*inputs_preview"):
            parse(bad)
    for bad in (["name", 1], 1, True):
        with pytest.raises(ValueError, match="is not text"):
            parse(bad)


@pytest.mark.parametrize(("value", "rate"), [("20", 20.0), ("0.5", 0.5), (5, 5.0), (0.1, 0.1), ("1000", 1000.0)])
def test_a_rate_is_read(value: object, rate: float) -> None:
    assert values.requests_per_second(value) == rate


@pytest.mark.parametrize(
    "value",
    ["0", "0.0001", "0.099", "-1", "nan", "inf", "1001", "many", "", True, None, [1], 10**400, "1" * 400],
    ids=lambda v: str(v)[:12],
)
def test_a_bad_rate_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"is not a number from 0\.1 to 1000; write one such as 20"):
        values.requests_per_second(value)


def test_statuses_come_in_one_order() -> None:
    both = ("needs_my_review", "needs_others_review")
    assert values.statuses("needs_others_review, needs_my_review") == both
    assert values.statuses(list(both)) == both
    assert values.statuses("needs_my_review,needs_my_review") == both[:1]
    assert values.statuses("disagreed,needs_my_review") == ("needs_my_review", "disagreed")


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("completed", "cannot be watched"),
        ("needs_my_review,archived", "cannot be watched"),
        ("needs_others_review", "leaves out needs_my_review"),
        (",", "leaves out needs_my_review"),
    ],
)
def test_bad_statuses_are_refused(value: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        values.statuses(value)


@pytest.mark.parametrize(
    ("given_", "kept"),
    [
        ("C0123456789", "C0123456789"),
        ("G0PRIVATE00", "G0PRIVATE00"),
        ("#support-qa", "support-qa"),
        ("support_qa", "support_qa"),
        (" #café ", "café"),
        ("レビュー", "レビュー"),
        ("2024-reviews", "2024-reviews"),
    ],
)
def test_a_channel_is_kept_without_its_sign(given_: str, kept: str) -> None:
    assert values.channel_value(given_) == Destination("slack", kept)


@pytest.mark.parametrize("given_", ["D0DIRECT000", "U0PERSON000", "W0PERSON000"])
def test_a_person_is_no_channel(given_: str) -> None:
    with pytest.raises(ValueError, match="is a person's id; name a channel"):
        values.channel_value(given_)


@pytest.mark.parametrize(
    "given_",
    [
        pytest.param("Support QA", id="a display name"),
        pytest.param("support qa", id="a space"),
        pytest.param("Support", id="upper case"),
        pytest.param("WEB", id="upper case alone"),
        pytest.param("S0ONCALL00", id="a user group"),
        pytest.param("<#C012|support>", id="a mention"),
        pytest.param("@ann", id="a person by name"),
        pytest.param("##x", id="two signs"),
        pytest.param("#", id="the sign alone"),
        pytest.param("a,b", id="two channels"),
        pytest.param("https://x.slack.com/archives/C012", id="an address"),
        pytest.param("x" * 81, id="too long"),
    ],
)
def test_a_bad_channel_is_refused(given_: str) -> None:
    with pytest.raises(ValueError, match="is neither a Slack channel's id nor its name; write the id"):
        values.channel_value(given_)


@pytest.mark.parametrize(
    ("given_", "reason"),
    [(5, "is not text"), (None, "is not text"), ("  ", "is empty"), ("a\nb", "line break"), ("a\x00b", "control")],
)
def test_what_is_no_line_of_text_is_refused_everywhere(given_: object, reason: str) -> None:
    for parse in (values.channel_value, values.queue_value, values.table_queue, values.header_value, values.one_line):
        with pytest.raises(ValueError, match=reason):
            parse(given_)


def test_mentions_are_slack_ids() -> None:
    assert values.mentions("U1, W2,S0ONCALL00,U1") == ("U1", "W2", "S0ONCALL00")
    assert values.mentions(["S0ONCALL00"]) == ("S0ONCALL00",)
    assert values.mentions([]) == ()


@pytest.mark.parametrize("bad", ["@ann", "ann", "<@U1>", "<!subteam^S1>", "C0123456789", "u1", "U1;U2", "U1 U2"])
def test_a_mention_that_is_no_slack_id_is_refused(bad: str) -> None:
    for value in (bad, f"U1,{bad}", ["U1", bad]):
        with pytest.raises(ValueError, match="has a name that is not a Slack id; write member ids"):
            values.mentions(value)


def test_a_queue_is_kept_as_given() -> None:
    assert values.queue_value(" Support QA ") == "Support QA"
    assert values.queue_value(QUEUE_ID.upper()) == QUEUE_ID.upper()
    assert values.queue_id(QUEUE_ID.upper()) == UUID(QUEUE_ID)
    assert values.queue_id("Support QA") is None
    assert values.queue_id("face" * 4) is None


@pytest.mark.parametrize(
    ("given_", "reason"),
    [
        (QUEUE_ID[:-1], "not a complete one"),
        (QUEUE_ID + "0", "not a complete one"),
        (f"https://smith.langchain.com/o/1/annotation-queues/{QUEUE_ID}", "is an address; give the queue's id"),
    ],
)
def test_a_broken_queue_id_is_refused(given_: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        values.queue_value(given_)


def test_listed_queues() -> None:
    assert values.listed_queues(f"Support QA, {QUEUE_ID}") == ("Support QA", QUEUE_ID)
    assert values.listed_queues(" ALL ") == ("all",)
    assert values.listed_queues("all, Support QA") == ("all", "Support QA")


@pytest.mark.parametrize(
    ("given_", "reason"),
    [
        ("Support,Support", "names 'Support' twice"),
        (f"{QUEUE_ID},{QUEUE_ID.upper()}", "twice"),
        ("all,ALL", "names 'all' twice"),
        (",,", "names no queue"),
    ],
)
def test_bad_lists_of_queues_are_refused(given_: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        values.listed_queues(given_)


def test_a_table_is_about_one_queue() -> None:
    assert values.table_queue("Support QA") == "Support QA"
    with pytest.raises(ValueError, match="set WORKER_QUEUES=all and write what holds for all under"):
        values.table_queue("All")


def test_a_header_value_is_plain() -> None:
    assert values.header_value(f" {QUEUE_ID} ") == QUEUE_ID
    for bad in ("two words", "é"):
        with pytest.raises(ValueError, match="contains white space or a character outside ASCII"):
            values.header_value(bad)


FLAWS = [
    pytest.param("{}\nmore", "a line break", id="a second line"),
    pytest.param(" {}", "white space", id="a space before"),
    pytest.param("{}\t", "white space", id="a tab after"),
    pytest.param('"{}"', "a quotation mark", id="quotation marks"),
    pytest.param("{}é", "a character that no key has", id="not ASCII"),
    pytest.param("{}\x00", "a character that no key has", id="a control character"),
    pytest.param("{}\u200b", "a character that no key has", id="an invisible character"),
]


@pytest.mark.parametrize(("form", "flaw"), FLAWS)
@pytest.mark.parametrize("parse", [values.langsmith_key, values.slack_token, values.app_token])
def test_a_secret_with_a_flaw_is_refused_without_being_shown(parse: object, form: str, flaw: str) -> None:
    with pytest.raises(ValueError, match=f"contains {flaw}; copy the secret again") as caught:
        parse(form.format("xoxb-MARKED"))  # type: ignore[operator]
    assert "MARKED" not in str(caught.value)


@pytest.mark.parametrize("end", ["", "\n", "\r\n", "\n\n"])
def test_line_ends_after_a_secret_are_normal(end: str) -> None:
    assert values.langsmith_key(f"lsv2_pt_1{end}").get_secret_value() == "lsv2_pt_1"
    assert values.slack_token(f"xoxb-1{end}").get_secret_value() == "xoxb-1"


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        ("xoxp-MARKED", r"is a user token \(xoxp-\)"),
        ("xapp-MARKED", r"is an app-level token \(xapp-\)"),
        ("xoxe.xoxb-MARKED", "token rotation is on"),
        ("xoxe-MARKED", "token rotation is on"),
        ("lsv2_pt_MARKED", "is a LangSmith key"),
        ("MARKED", "does not begin with xoxb-"),
        ("\n", "is empty"),
    ],
)
def test_what_is_no_bot_token_is_refused(token: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as caught:
        values.slack_token(token)
    assert "MARKED" not in str(caught.value)


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        ("xoxb-MARKED", r"is a bot token \(xoxb-\)"),
        ("xoxp-MARKED", r"is a user token \(xoxp-\)"),
        ("xoxe.xoxp-MARKED", "token rotation is on"),
        ("lsv2_pt_MARKED", "is a LangSmith key"),
        ("MARKED", "does not begin with xapp-"),
        ("\n", "is empty"),
    ],
)
def test_what_is_no_app_token_is_refused_with_the_place_of_the_right_one(token: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as caught:
        values.app_token(token)
    assert "MARKED" not in str(caught.value)
    assert token == "\n" or "App-Level Tokens" in str(caught.value)


def test_an_app_token() -> None:
    assert values.app_token("xapp-1-A0-1\n").get_secret_value() == "xapp-1-A0-1"


@pytest.mark.parametrize("key", ["xoxb-MARKED", "xoxp-MARKED", "xapp-MARKED"])
def test_a_slack_token_is_no_langsmith_key(key: str) -> None:
    with pytest.raises(ValueError, match="is a Slack token") as caught:
        values.langsmith_key(key)
    assert "MARKED" not in str(caught.value)


def test_an_empty_key_is_refused() -> None:
    with pytest.raises(ValueError, match="is empty"):
        values.langsmith_key("\n")
