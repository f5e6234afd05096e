"""Slack's answers may hold anything."""

from __future__ import annotations

from typing import Any

import pytest
from slack_sdk.web.slack_response import SlackResponse

from worker.core.owed import Receipt
from worker.core.ports import DeliveryError, Outcome
from worker.notifiers.slack import errors

ODD = [None, 7, "x", [], {}, [None], {"x": None}]


def answer(data: dict[str, Any], headers: dict[str, str] | None = None) -> SlackResponse:
    return SlackResponse(
        client=None, http_verb="POST", api_url="", req_args={}, data=data, headers=headers or {}, status_code=200
    )


def test_a_receipt() -> None:
    assert errors.receipt(answer({"channel": "C1", "ts": "1.2"})) == Receipt("C1", "1.2")


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"channel": "C1"},
        {"ts": "1.2"},
        {"channel": "", "ts": "1.2"},
        {"channel": "C1", "ts": ""},
        {"channel": "C1", "ts": 1.2},
        {"channel": ["C1"], "ts": "1.2"},
    ],
)
def test_an_ok_without_a_receipt_may_stand_for_a_post(data: dict[str, Any]) -> None:
    with pytest.raises(DeliveryError) as caught:
        errors.receipt(answer(data))
    assert caught.value.outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(
    ("channel", "is_id"),
    [
        ("C0123456789", True),
        ("G0123456789", True),
        ("D0123456789", False),
        ("general", False),
        ("#C0123456", False),
        ("C01", False),
        ("CHANNEL-ONE", False),
    ],
)
def test_ids_and_names(channel: str, is_id: bool) -> None:  # noqa: FBT001 - a table's column
    assert errors.is_id(channel) is is_id


@pytest.mark.parametrize("value", ODD)
def test_odd_metadata_holds_no_key(value: object) -> None:
    assert errors.key({"metadata": value}) == ""
    assert errors.key({"metadata": {"event_payload": value}}) == ""


@pytest.mark.parametrize("value", [*ODD[:1], *ODD[2:]])
def test_a_message_without_a_time_is_from_long_ago(value: object) -> None:
    assert errors.seconds({"ts": value}) == 0
    assert errors.seconds({"ts": "1.5"}) == 1.5


@pytest.mark.parametrize("value", ODD)
def test_odd_pages_end_the_listing(value: object) -> None:
    assert errors.next_cursor(answer({"response_metadata": value})) == ""
    assert errors.objects(value) == []


def test_a_page_keeps_what_is_usable() -> None:
    assert errors.objects([None, {"ts": "1"}, 3]) == [{"ts": "1"}]


def test_someone_is_ours_by_bot_or_by_user_and_nobody_by_nothing() -> None:
    me = errors.bot_identity(answer({"bot_id": "B1", "user_id": "U1"}))
    nobody = errors.bot_identity(answer({}))
    assert [errors.is_own_message(found, me) for found in ({"bot_id": "B1"}, {"user": "U1"}, {"bot_id": "B2"}, {})] == [
        True,
        True,
        False,
        False,
    ]
    assert not errors.is_own_message({"bot_id": "", "user": ""}, nobody)


@pytest.mark.parametrize(
    ("headers", "scopes"),
    [({}, None), ({"X-OAuth-Scopes": ""}, frozenset()), ({"x-oauth-scopes": "a, b,"}, frozenset({"a", "b"}))],
)
def test_scopes_are_listed_or_unknown(headers: dict[str, str], scopes: frozenset[str] | None) -> None:
    assert errors.bot_identity(answer({}, headers)).scopes == scopes
