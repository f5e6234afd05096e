"""The simulated Slack knows people as the published one does: how they are found, and who may be written to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.support.slack_stage import TOKEN, Stage, stage
from worker.demo.slack.server import ALL_SCOPES, BOT_USER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from worker.demo.slack.server import SimulatedSlack

    Call = Callable[..., dict[str, Any]]

ADA = "U0ADA00001"


@pytest.fixture(scope="module")
def server() -> Iterator[Stage]:
    with stage() as made:
        yield made


@pytest.fixture
def slack(server: Stage) -> SimulatedSlack:
    slack = server.reset()
    slack.add_user(ADA, "Ada@Example.com", "Ada Lovelace")
    return slack


@pytest.fixture
def call(server: Stage, slack: SimulatedSlack) -> Iterator[Call]:  # noqa: ARG001 - it answers
    with httpx.Client(headers={"authorization": f"Bearer {TOKEN}"}, verify=False) as client:  # noqa: S501 - no TLS here
        yield lambda method, **arguments: client.post(server.root + method, json=arguments).json()


def test_a_person_is_found_by_e_mail_in_any_case(call: Call) -> None:
    found = call("users.lookupByEmail", email="ada@example.COM")["user"]
    assert (found["id"], found["profile"]["email"]) == (ADA, "Ada@Example.com")
    assert not any((found["deleted"], found["is_bot"], found["is_restricted"], found["is_ultra_restricted"]))
    assert call("users.lookupByEmail", email="bob@example.com")["error"] == "users_not_found"
    assert call("users.lookupByEmail")["error"] == "invalid_arguments"


def test_who_has_left_is_found_by_id_alone(call: Call, slack: SimulatedSlack) -> None:
    slack.alter_user(ADA, is_deleted=True)
    assert call("users.lookupByEmail", email="ada@example.com")["error"] == "users_not_found"
    assert call("users.info", user=ADA)["user"]["deleted"]
    slack.remove_user(ADA)
    assert call("users.info", user=ADA)["error"] == "user_not_found"


def test_guests_and_bots_are_shown_as_such(call: Call, slack: SimulatedSlack) -> None:
    slack.add_user("U0GUEST01", "guest@example.com", guest="single")
    guest = call("users.lookupByEmail", email="guest@example.com")["user"]
    assert guest["is_restricted"]
    assert guest["is_ultra_restricted"]
    assert call("users.info", user=BOT_USER)["user"]["is_bot"]


def test_direct_messages_are_opened_once(call: Call, slack: SimulatedSlack) -> None:
    opened = call("conversations.open", users=ADA)
    assert opened == {"ok": True, "channel": {"id": "D0ADA00001"}}
    again = call("conversations.open", users=ADA, return_im=True)
    assert (again["already_open"], again["channel"]["user"]) == (True, ADA)
    assert call("chat.postMessage", channel="D0ADA00001", text="hello")["ok"]
    assert [message["text"] for message in slack.direct_messages(ADA)] == ["hello"]
    assert len(call("conversations.history", channel="D0ADA00001")["messages"]) == 1


@pytest.mark.parametrize(
    ("user", "error"),
    [
        ("", "users_list_not_supplied"),
        ("U0NOBODY01", "user_not_found"),
        (BOT_USER, "cannot_dm_bot"),
        (ADA, "user_disabled"),
        (f"{ADA},{BOT_USER}", "missing_scope"),
    ],
)
def test_direct_messages_that_cannot_be_opened(call: Call, slack: SimulatedSlack, user: str, error: str) -> None:
    slack.alter_user(ADA, is_deleted=True)
    assert call("conversations.open", users=user)["error"] == error


def test_a_post_to_a_person_is_refused_as_the_person_is(call: Call, slack: SimulatedSlack) -> None:
    opened = call("conversations.open", users=ADA)["channel"]["id"]
    assert call("chat.postMessage", channel="U0NOBODY01", text="x")["error"] == "channel_not_found"
    slack.switch_messages_tab(on=False)
    assert call("chat.postMessage", channel=opened, text="x")["error"] == "messages_tab_disabled"
    slack.switch_messages_tab(on=True)
    slack.alter_user(ADA, is_deleted=True)
    for place in (opened, ADA):
        assert call("chat.postMessage", channel=place, text="x")["error"] == "user_disabled"
    assert slack.direct_messages(ADA) == []


def test_user_groups_are_listed_those_switched_off_only_when_asked_for(call: Call, slack: SimulatedSlack) -> None:
    slack.add_group("S0ONCALL01", "on-call", ADA)
    slack.add_group("S0FORMER01", "former", is_disabled=True)
    assert [group["id"] for group in call("usergroups.list")["usergroups"]] == ["S0ONCALL01"]
    every = call("usergroups.list", include_disabled=True)["usergroups"]
    assert {group["handle"]: bool(group["date_delete"]) for group in every} == {"on-call": False, "former": True}


@pytest.mark.parametrize(
    ("method", "needed", "arguments"),
    [
        ("users.lookupByEmail", "users:read.email", {"email": "ada@example.com"}),
        ("users.info", "users:read", {"user": ADA}),
        ("usergroups.list", "usergroups:read", {}),
        ("conversations.open", "im:write", {"users": ADA}),
        ("conversations.history", "im:history", {"channel": "D0ADA00001"}),
        ("conversations.info", "im:read", {"channel": "D0ADA00001"}),
    ],
)
def test_each_needs_its_scope(call: Call, slack: SimulatedSlack, method: str, needed: str, arguments: Any) -> None:
    call("conversations.open", users=ADA)
    slack.scopes = ALL_SCOPES - {needed}
    answer = call(method, **arguments)
    assert (answer["error"], answer["needed"]) == ("missing_scope", needed)


def test_an_argument_that_is_not_known_is_refused(call: Call) -> None:
    assert call("users.lookupByEmail", email="ada@example.com", exact=True)["error"] == "invalid_arguments"


def test_people_are_looked_up_fifty_times_a_minute(server: Stage) -> None:
    slack = server.reset(pace=True)
    slack.add_user(ADA, "ada@example.com")
    with httpx.Client(headers={"authorization": f"Bearer {TOKEN}"}, verify=False) as client:  # noqa: S501 - no TLS here
        asked = [
            client.post(f"{server.root}users.lookupByEmail", json={"email": "ada@example.com"}).status_code
            for _ in range(51)
        ]
    assert asked == [200] * 50 + [429]
