"""Envelopes of Socket Mode as Slack documents them, and as it never would send them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.owed import Receipt
from worker.core.ports import Press
from worker.notifiers.slack.envelopes import SlackEnvelope, acknowledgement, envelope_of, heard

if TYPE_CHECKING:
    from worker.core.ports import Heard

USER = {"id": "U1", "username": "ada", "team_id": "T1"}
ACT = {"type": "button", "action_id": "claim", "block_id": "b1", "value": "v1", "action_ts": "1.2"}
PRESS: dict[str, Any] = {
    "type": "block_actions",
    "user": USER,
    "team": {"id": "T2", "domain": "d"},
    "container": {"type": "message", "message_ts": "1.5", "channel_id": "C1", "is_ephemeral": False},
    "actions": [ACT],
}


def read(kind: str, payload: object) -> Heard | None:
    return heard(envelope_of(json.dumps({"type": kind, "envelope_id": "e1", "payload": payload}).encode()))


def pressed(**changes: Any) -> Any:
    return read("interactive", PRESS | changes)


def test_a_button() -> None:
    assert pressed() == Press("e1", "U1", "T1", Receipt("C1", "1.5"), "", "b1", "claim", "v1")


def test_a_menu_in_a_thread() -> None:
    chosen = {**ACT, "type": "overflow", "value": None, "selected_option": {"text": {}, "value": "snooze"}}
    press = pressed(actions=[chosen], container={**PRESS["container"], "thread_ts": "1.0"})
    assert (press.value, press.thread) == ("snooze", "1.0")


def test_a_control_on_a_page() -> None:
    assert pressed(container={"type": "view", "view_id": "V1"}).on is None


@pytest.mark.parametrize(
    ("user", "team", "expected"),
    [
        pytest.param({"id": "U1", "team_id": "T9"}, {"id": "T1"}, "T9", id="another workspace's person"),
        pytest.param({"id": "U1"}, {"id": "T1"}, "T1", id="none of the person's own"),
        pytest.param({"id": "U1"}, None, "", id="none at all"),
    ],
)
def test_the_team_is_the_persons_own(user: object, team: object, expected: str) -> None:
    assert pressed(user=user, team=team).team == expected


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param(None, id="none"),
        pytest.param([], id="a list"),
        pytest.param({}, id="empty"),
        pytest.param({**PRESS, "type": "view_submission"}, id="another interaction"),
        pytest.param({**PRESS, "actions": []}, id="nothing pressed"),
        pytest.param({**PRESS, "actions": "claim"}, id="no list"),
        pytest.param({**PRESS, "actions": [{"action_id": 1}]}, id="a number for an id"),
        pytest.param({**PRESS, "user": None}, id="nobody"),
        pytest.param({**PRESS, "user": {"id": ["U1"]}}, id="a list for an id"),
    ],
)
def test_a_payload_of_another_form_is_nothing(payload: object) -> None:
    assert read("interactive", payload) is None


@pytest.mark.parametrize(
    ("kind", "payload"),
    [
        ("slash_commands", {"command": "/reviews"}),
        ("slash_commands", PRESS),
        ("events_api", {"event": {"type": "message", "user": "U1"}}),
        ("events_api", {"event": {"type": "app_home_opened", "user": "U1", "tab": "messages"}}),
        ("events_api", {"event": {"type": "app_home_opened"}}),
        ("events_api", {}),
        ("hello", PRESS),
        ("", PRESS),
    ],
)
def test_what_is_none_of_ours_is_nothing(kind: str, payload: object) -> None:
    assert read(kind, payload) is None


def test_what_slack_escapes_in_a_command_is_read_as_it_was_written() -> None:
    written = {"command": "/reviews", "user_id": "U1", "channel_id": "C1", "text": "R&amp;D &lt;new&gt; &amp;lt;"}
    command = read("slash_commands", written)
    assert command is not None
    assert getattr(command, "text", "") == "R&D <new> &lt;"


def test_a_large_payload_is_read_and_what_it_drags_along_is_not_kept() -> None:
    press = pressed(state={"values": {"x": "y" * 1_000_000}}, message={"text": "z" * 1_000_000})
    assert len(repr(press)) < 300


@pytest.mark.parametrize(
    "message", [b"", b"null", b"[]", b"{", b"\xff\xfe", b'{"type": 1}', b'{"type":"hello"', b"[" * 100_000]
)
def test_a_message_that_is_no_envelope_is_an_empty_one(message: bytes) -> None:
    assert envelope_of(message) == SlackEnvelope()


def test_an_acknowledgement_names_its_envelope_alone() -> None:
    envelope = envelope_of(b'{"envelope_id": "e\\"1", "type": "interactive", "payload": {}}')
    assert json.loads(acknowledgement(envelope)) == {"envelope_id": 'e"1'}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda some: st.lists(some, max_size=3) | st.dictionaries(st.text(max_size=5), some, max_size=3),
    max_leaves=5,
)
PAYLOAD = st.dictionaries(st.sampled_from([*PRESS, "event", "command"]), JSON)


@given(st.sampled_from(["interactive", "slash_commands", "events_api"]), PAYLOAD)
def test_no_payload_is_an_error(kind: str, payload: object) -> None:
    read(kind, payload)
