"""What each of Slack's answers means."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from slack_sdk.errors import SlackApiError
from slack_sdk.web.slack_response import SlackResponse

from tests.support.builders import NOON
from worker.core.ports import DeliveryError, Outcome
from worker.net.failures import FailureKind
from worker.notifiers.slack.errors import Doing, NoAnswer, class_error, unanswered

ALL = list(Doing)

CODES = {
    Outcome.THROTTLED: "ratelimited rate_limited message_limit_exceeded",
    Outcome.UNKNOWN: "fatal_error internal_error",
    Outcome.RETRY: "service_unavailable request_timeout team_added_to_org org_login_required never_heard_of_it",
    Outcome.MESSAGE: (
        "invalid_blocks invalid_blocks_format msg_blocks_too_long msg_too_long no_text metadata_too_large "
        "metadata_must_be_sent_from_app invalid_metadata_format invalid_metadata_schema invalid_arguments "
        "invalid_attachments too_many_attachments"
    ),
    Outcome.DESTINATION: (
        "channel_not_found not_in_channel is_archived restricted_action restricted_action_read_only_channel "
        "restricted_action_thread_only_channel ekm_access_denied messages_tab_disabled team_not_found no_permission "
        "access_denied"
    ),
    Outcome.TOKEN: (
        "invalid_auth not_authed token_revoked token_expired account_inactive missing_scope not_allowed_token_type "
        "accesslimited"
    ),
    Outcome.EDIT: "message_not_found cant_update_message edit_window_closed is_inactive",
}
SEEN_OTHERWISE = {
    (Doing.SEND, Outcome.EDIT): Outcome.MESSAGE,
    (Doing.FIND, Outcome.UNKNOWN): Outcome.RETRY,
    (Doing.FIND, Outcome.MESSAGE): Outcome.BLIND,
    (Doing.FIND, Outcome.DESTINATION): Outcome.BLIND,
    (Doing.FIND, Outcome.EDIT): Outcome.RETRY,
    (Doing.EDIT, Outcome.UNKNOWN): Outcome.RETRY,
    (Doing.OPEN, Outcome.UNKNOWN): Outcome.RETRY,
    (Doing.OPEN, Outcome.MESSAGE): Outcome.DESTINATION,
    (Doing.OPEN, Outcome.EDIT): Outcome.RETRY,
    (Doing.ASK, Outcome.UNKNOWN): Outcome.RETRY,
    (Doing.ASK, Outcome.MESSAGE): Outcome.RETRY,
    (Doing.ASK, Outcome.EDIT): Outcome.RETRY,
}
NOT_GRANTED = {"missing_scope", "not_allowed_token_type"}
WITHOUT_RIGHT = {Doing.FIND: Outcome.BLIND, Doing.OPEN: Outcome.DESTINATION}
TABLE = [
    pytest.param(doing, code, _expected, id=f"{doing}: {code} is {_expected}")
    for doing in ALL
    for outcome, codes in CODES.items()
    for code in codes.split()
    for _expected in [
        WITHOUT_RIGHT[doing]
        if doing in WITHOUT_RIGHT and code in NOT_GRANTED
        else SEEN_OTHERWISE.get((doing, outcome), outcome)
    ]
]


def answer(
    status: int = 200, data: dict[str, Any] | None = None, headers: dict[str, str] | None = None
) -> SlackApiError:
    response = SlackResponse(
        client=None,
        http_verb="POST",
        api_url="",
        req_args={},
        data=data or {},
        headers=headers or {},
        status_code=status,
    )
    return SlackApiError("failed", response)


def classed(status: int, data: dict[str, Any] | None = None, doing: Doing = Doing.SEND) -> DeliveryError:
    return class_error(doing, answer(status, data), NOON)


@pytest.mark.parametrize(("doing", "code", "expected"), TABLE)
def test_every_code_has_its_class(doing: Doing, code: str, expected: Outcome) -> None:
    error = classed(200, {"ok": False, "error": code}, doing)
    assert (error.outcome, error.code) == (expected, code)


@pytest.mark.parametrize(
    ("status", "data", "outcome", "code"),
    [
        pytest.param(
            500,
            {"ok": False, "error": "channel_not_found"},
            Outcome.UNKNOWN,
            "channel_not_found",
            id="behind a 500 nobody knows, whatever the body says",
        ),
        pytest.param(502, {}, Outcome.UNKNOWN, "http_502", id="nor behind a bad gateway"),
        pytest.param(
            503, {"error": "service_unavailable"}, Outcome.UNKNOWN, "service_unavailable", id="nor behind a 503"
        ),
        pytest.param(429, {}, Outcome.THROTTLED, "http_429", id="throttled without a body"),
        pytest.param(429, {"ok": False, "error": "ratelimited"}, Outcome.THROTTLED, "ratelimited", id="throttled"),
        pytest.param(302, {}, Outcome.RETRY, "redirect", id="a redirect is not followed"),
        pytest.param(403, {}, Outcome.RETRY, "http_403", id="a proxy's page is no word on the token"),
        pytest.param(
            401, {"ok": False, "error": "invalid_auth"}, Outcome.TOKEN, "invalid_auth", id="Slack's own 401 is"
        ),
        pytest.param(404, {}, Outcome.RETRY, "http_404", id="nothing there"),
        pytest.param(408, {}, Outcome.RETRY, "http_408", id="the request did not arrive in time"),
        pytest.param(413, {}, Outcome.MESSAGE, "http_413", id="too large for a proxy"),
        pytest.param(202, {}, Outcome.UNKNOWN, "http_202", id="accepted by something that is not Slack"),
        pytest.param(200, {}, Outcome.UNKNOWN, "not_json", id="no JSON"),
        pytest.param(200, {"ok": False}, Outcome.UNKNOWN, "no_error", id="not ok, and no reason"),
        pytest.param(200, {"ok": False, "error": ["x"]}, Outcome.UNKNOWN, "no_error", id="a reason of another type"),
        pytest.param(200, {"ok": False, "error": "<b>\n"}, Outcome.UNKNOWN, "no_error", id="a reason that is no code"),
    ],
)
def test_the_status_is_looked_at_first(status: int, data: dict[str, Any], outcome: Outcome, code: str) -> None:
    error = classed(status, data)
    assert (error.outcome, error.code) == (outcome, code)


@pytest.mark.parametrize(
    ("doing", "may_be_done", "outcome"),
    [
        pytest.param(Doing.SEND, True, Outcome.UNKNOWN, id="a post that may have arrived is unknown"),
        pytest.param(Doing.SEND, False, Outcome.RETRY, id="a post that did not leave is sent again"),
        pytest.param(Doing.FIND, True, Outcome.RETRY, id="a look is repeated"),
        pytest.param(Doing.EDIT, True, Outcome.RETRY, id="an edit is repeated"),
    ],
)
def test_no_answer(doing: Doing, may_be_done: bool, outcome: Outcome) -> None:  # noqa: FBT001 - a table's column
    assert (
        unanswered(
            doing, NoAnswer(FailureKind.DEADLINE, "no whole answer within 25 s", may_be_done=may_be_done)
        ).outcome
        is outcome
    )


def test_the_wish_is_in_the_error() -> None:
    error = class_error(Doing.SEND, answer(429, headers={"retry-after": "7"}), NOON)
    assert error.retry_after == timedelta(seconds=7)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        pytest.param({"error": "not_in_channel"}, "C1: invite the app", id="the channel and the fix"),
        pytest.param({"error": "restricted_action_read_only_channel"}, "administrator", id="a family has one fix"),
        pytest.param({"error": "missing_scope", "needed": "chat:write"}, "(needs chat:write)", id="the missing scope"),
        pytest.param(
            {"error": "invalid_blocks", "response_metadata": {"messages": ["[ERROR] too long\n[x]"]}},
            "([ERROR] too long [x])",
            id="where in the blocks",
        ),
        pytest.param({"error": "invalid_blocks", "response_metadata": ["x"]}, "invalid_blocks for", id="odd details"),
    ],
)
def test_the_text_says_what_to_do(data: dict[str, Any], said: str) -> None:
    assert said in str(class_error(Doing.SEND, answer(200, {"ok": False, **data}), NOON, channel="C1"))


@given(
    st.sampled_from(ALL),
    st.integers(100, 599),
    st.dictionaries(
        st.sampled_from(["ok", "error", "needed", "response_metadata"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(),
            lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["messages"]), inner),
            max_leaves=5,
        ),
    ),
)
def test_any_answer_is_classed_in_one_short_line(doing: Doing, status: int, data: dict[str, Any]) -> None:
    error = classed(status, data, doing)
    assert "\n" not in str(error)
    assert len(str(error)) < 700
    assert (error.outcome is Outcome.UNKNOWN) <= (doing is Doing.SEND)
