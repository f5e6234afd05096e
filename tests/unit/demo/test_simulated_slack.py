"""The simulated Slack behaves as the published one where the worker could notice."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import httpx
import pytest

from tests.support.builders import SECOND
from tests.support.slack_stage import CHANNEL, TOKEN, Stage, stage
from worker.demo.slack.server import ALL_SCOPES, BOT_ID, BOT_USER
from worker.demo.slack.workspace import MethodError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from worker.demo.slack.server import SimulatedSlack
    from worker.demo.slack.workspace import Event

METADATA = {"event_type": "review_notice", "event_payload": {"delivery_key": "k"}}


def section(text: str = "hello", **more: object) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text, **more}}


@pytest.fixture(scope="module")
def server() -> Iterator[Stage]:
    with stage() as made:
        yield made


@pytest.fixture
def slack(server: Stage) -> SimulatedSlack:
    return server.reset()


class Caller:
    """Calls methods as an app does."""

    def __init__(self, root: str, client: httpx.Client) -> None:
        self.root = root
        self._client = client

    def raw(self, method: str, *, token: str = TOKEN, **arguments: object) -> httpx.Response:
        headers = {"authorization": f"Bearer {token}"} if token else {}
        return self._client.post(self.root + method, json=arguments, headers=headers)

    def __call__(self, method: str, **arguments: object) -> dict[str, Any]:
        answer = self.raw(method, **arguments)
        assert answer.status_code == 200
        return answer.json()

    def post(self, text: str = "hello", **arguments: object) -> str:
        answer = self("chat.postMessage", **{"channel": CHANNEL, "text": text, **arguments})
        assert answer["ok"], answer
        return answer["ts"]


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    with httpx.Client() as made:
        yield made


@pytest.fixture
def call(server: Stage, slack: SimulatedSlack, client: httpx.Client) -> Caller:  # noqa: ARG001 - it answers
    return Caller(server.root, client)


@pytest.mark.parametrize(("token", "error"), [("", "not_authed"), ("xoxb-other", "invalid_auth")])
def test_a_token_is_needed(call: Caller, token: str, error: str) -> None:
    answer = call.raw("auth.test", token=token)
    assert (answer.status_code, answer.json()) == (200, {"ok": False, "error": error})


def test_a_revoked_token_is_told(call: Caller, slack: SimulatedSlack) -> None:
    slack.token_error = "token_revoked"
    assert call("auth.test")["error"] == "token_revoked"


def test_who_am_i_and_what_may_i(call: Caller) -> None:
    answer = call.raw("auth.test")
    assert answer.json() | {"user_id": BOT_USER, "bot_id": BOT_ID, "ok": True} == answer.json()
    assert set(answer.headers["x-oauth-scopes"].split(",")) == ALL_SCOPES


def test_a_missing_scope_is_named(call: Caller, slack: SimulatedSlack) -> None:
    slack.scopes = {"chat:write"}
    answer = call("conversations.history", channel=CHANNEL)
    assert (answer["error"], answer["needed"], answer["provided"]) == (
        "missing_scope",
        "channels:history",
        "chat:write",
    )


def test_an_unknown_method(call: Caller) -> None:
    assert call("chat.shout")["error"] == "unknown_method"


def test_forms_are_understood_like_json(server: Stage, slack: SimulatedSlack) -> None:
    form = urlencode({"channel": CHANNEL, "text": "é", "blocks": json.dumps([section()]), "token": TOKEN})
    answer = httpx.post(
        f"{server.root}chat.postMessage", content=form, headers={"content-type": "application/x-www-form-urlencoded"}
    )
    assert answer.json()["ok"]
    assert slack.messages(CHANNEL)[0]["blocks"] == [section()]


def test_timestamps_are_unique_and_rise_even_when_the_clock_goes_back(server: Stage, call: Caller) -> None:
    first, second = call.post(), call.post()
    server.clock.set_wall(server.clock.now().replace(year=2020))
    assert first < second < call.post()


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        pytest.param({"text": ""}, "no_text", id="neither text nor blocks"),
        pytest.param({"text": "x" * 4_001}, "msg_too_long", id="a text too long"),
        pytest.param({"text": 3}, "invalid_arguments", id="a text of another type"),
        pytest.param({"channel": "C0NOWHERE00"}, "channel_not_found", id="no such channel"),
        pytest.param({"channel": None}, "channel_not_found", id="no channel"),
        pytest.param({"channel": "C0ARCHIVED0"}, "is_archived", id="an archived channel"),
        pytest.param({"channel": "C0FOREIGN00"}, "not_in_channel", id="a channel without the app"),
        pytest.param({"channel": "G0SECRET000"}, "channel_not_found", id="a private channel without the app"),
        pytest.param({"thread_ts": "1.2"}, "thread_not_found", id="no such thread"),
        pytest.param({"metadata": "x"}, "invalid_metadata_format", id="metadata of another type"),
        pytest.param({"metadata": {"event_type": "x"}}, "invalid_metadata_schema", id="metadata without payload"),
        pytest.param(
            {"metadata": {"event_type": "x", "event_payload": {"a": "x" * 9_000}}},
            "metadata_too_large",
            id="metadata too large",
        ),
        pytest.param({"blocks": [section("x" * 2_900)] * 6}, "msg_blocks_too_long", id="blocks too large together"),
    ],
)
def test_what_cannot_be_posted(call: Caller, slack: SimulatedSlack, arguments: dict[str, Any], error: str) -> None:
    slack.add_channel("C0ARCHIVED0", "old", archived=True)
    slack.add_channel("C0FOREIGN00", "foreign", member=False)
    slack.add_channel("G0SECRET000", "secret", private=True, member=False)
    answer = call("chat.postMessage", **{"channel": CHANNEL, "text": "x", **arguments})
    assert (answer["ok"], answer["error"]) == (False, error)
    assert slack.posts[-1].outcome == error
    assert not slack.posts[-1].committed


def plain(text: str = "x") -> dict[str, str]:
    return {"type": "plain_text", "text": text}


def button(**changes: object) -> dict[str, Any]:
    return {"type": "button", "action_id": "go", "text": plain(), "value": "1", **changes}


def menu(options: int, value: str = "1") -> dict[str, Any]:
    return {"type": "overflow", "action_id": "menu", "options": [{"text": plain(), "value": value}] * options}


def actions(*controls: object) -> dict[str, Any]:
    return {"type": "actions", "block_id": "b", "elements": list(controls)}


@pytest.mark.parametrize(
    ("blocks", "said"),
    [
        pytest.param("x", "must provide an array [json-pointer:/blocks]", id="not a list"),
        pytest.param(["x"], "must be an object [json-pointer:/blocks/0]", id="not a block"),
        pytest.param([{"type": "divider"}] * 51, "no more than 50 items", id="51 blocks"),
        pytest.param([{"type": "text"}], "unsupported type: text", id="an unknown block"),
        pytest.param(
            [section("x" * 3_001)],
            "less than 3001 characters [json-pointer:/blocks/0/text/text]",
            id="a section too long",
        ),
        pytest.param([section("")], "more than 0 characters", id="an empty section"),
        pytest.param([{"type": "section"}], "text or fields", id="a section of nothing"),
        pytest.param([{"type": "section", "fields": [section()["text"]] * 11}], "no more than 10", id="11 fields"),
        pytest.param(
            [{"type": "section", "fields": [section("x" * 2_001)["text"]]}], "less than 2001", id="a long field"
        ),
        pytest.param([{"type": "header", "text": section()["text"]}], "plain_text", id="a header with markup"),
        pytest.param(
            [{"type": "header", "text": {"type": "plain_text", "text": "x" * 151}}],
            "less than 151",
            id="a header too long",
        ),
        pytest.param(
            [{"type": "header", "text": {"type": "plain_text", "text": "x", "verbatim": True}}],
            "verbatim",
            id="verbatim plain text",
        ),
        pytest.param([section(emoji=False)], "emoji", id="emoji in mrkdwn"),
        pytest.param([{"type": "context", "elements": []}], "at least 1", id="an empty context"),
        pytest.param([{"type": "context", "elements": [section()["text"]] * 11}], "no more than 10", id="11 elements"),
        pytest.param([{"type": "context", "elements": ["x"]}], "must be a text object", id="an element of no type"),
        pytest.param(
            [actions({"type": "button", "text": plain("x" * 76)})],
            "less than 76",
            id="a button too long",
        ),
        pytest.param([actions({"type": "checkboxes"})], "must be one of button", id="another control"),
        pytest.param([actions("x")], "must be one of button", id="a control of no type"),
        pytest.param([actions(button(value="x" * 2_001))], "1 to 2000 characters", id="a value too long"),
        pytest.param([actions(button(action_id="x" * 256))], "1 to 255 characters", id="an id too long"),
        pytest.param([actions(button(), button())], "action_id must be unique", id="one id twice"),
        pytest.param([actions(button()), actions(button())], "block_id must be unique", id="one block's id twice"),
        pytest.param([actions(menu(6))], "1 to 5 items", id="6 options"),
        pytest.param([actions(menu(0))], "1 to 5 items", id="no option"),
        pytest.param([actions(menu(1, value="x" * 151))], "1 to 150 characters", id="an option's value too long"),
        pytest.param([{**section(), "accessory": menu(6)}], "/blocks/0/accessory/options", id="a menu beside text"),
        pytest.param([actions({**menu(101), "type": "static_select"})], "placeholder", id="a select without a word"),
        pytest.param(
            [
                actions(
                    button(confirm={"title": plain("x" * 101), "text": plain(), "confirm": plain(), "deny": plain()})
                )
            ],
            "less than 101",
            id="a confirmation too long",
        ),
    ],
)
def test_blocks_beyond_the_limits(call: Caller, blocks: object, said: str) -> None:
    for method in ("chat.postMessage", "blocks.validate"):
        answer = call(method, channel=CHANNEL, text="x", blocks=blocks)
        assert answer["error"] == "invalid_blocks"
        assert said in answer["response_metadata"]["messages"][0]


@pytest.mark.parametrize(
    "blocks",
    [
        [{"type": "divider"}],
        [{"type": "section", "fields": [section()["text"]]}],
        [{"type": "context", "elements": [{"type": "image", "image_url": "https://x", "alt_text": "x"}]}],
        [{**section(), "accessory": menu(5)}, actions(button(), menu(2))],
        [actions({**menu(100), "type": "static_select", "placeholder": plain()})],
        [actions(button(confirm={"title": plain(), "text": section()["text"], "confirm": plain(), "deny": plain()}))],
    ],
    ids=["a divider", "fields alone", "an image", "menus and a button", "a select", "a confirmation"],
)
def test_blocks_within_the_limits(call: Caller, blocks: object) -> None:
    assert call("chat.postMessage", channel=CHANNEL, blocks=blocks)["ok"]


def test_blocks_are_validated_without_a_token(call: Caller) -> None:
    assert call.raw("blocks.validate", token="", blocks=[section()]).json() == {"ok": True}


def test_a_channel_is_found_by_name_if_it_is_public(call: Caller, slack: SimulatedSlack) -> None:
    slack.add_channel("G0LEADS0000", "leads", private=True)
    assert call("chat.postMessage", channel="#support", text="x")["channel"] == CHANNEL
    assert call("chat.postMessage", channel="leads", text="x")["error"] == "channel_not_found"


def test_a_post_to_a_person_says_the_id_of_the_conversation(call: Caller, slack: SimulatedSlack) -> None:
    slack.add_user("U0PERSON000")
    answer = call("chat.postMessage", channel="U0PERSON000", text="x")
    assert answer["channel"] == "D0PERSON000"
    assert call("chat.update", channel="D0PERSON000", ts=answer["ts"], text="y")["ok"]
    assert [channel.channel_id for channel in slack.channels()] == [CHANNEL]


def test_an_edit_keeps_metadata_and_drops_blocks_that_are_not_given_again(call: Caller, slack: SimulatedSlack) -> None:
    ts = call.post(blocks=[section()], metadata=METADATA)
    assert call("chat.update", channel=CHANNEL, ts=ts, text="new")["text"] == "new"
    shown = slack.messages(CHANNEL)[0]
    assert (shown["text"], shown["blocks"], shown["metadata"]) == ("new", [], METADATA)
    assert shown["edited"]["user"] == BOT_USER


def test_an_edit_may_replace_metadata(call: Caller, slack: SimulatedSlack) -> None:
    ts = call.post(metadata=METADATA)
    call("chat.update", channel=CHANNEL, ts=ts, text="new", metadata={**METADATA, "event_type": "other"})
    assert slack.messages(CHANNEL)[0]["metadata"]["event_type"] == "other"


def test_what_cannot_be_edited(call: Caller, slack: SimulatedSlack) -> None:
    theirs = slack.say(CHANNEL, "mine")
    assert call("chat.update", channel=CHANNEL, ts=theirs, text="x")["error"] == "cant_update_message"
    assert call("chat.update", channel=CHANNEL, ts="1.2", text="x")["error"] == "message_not_found"
    slack.archive(CHANNEL)
    assert call("chat.update", channel=CHANNEL, ts=theirs, text="x")["error"] == "is_archived"


def test_history_is_newest_first_without_replies_and_with_metadata_on_request(call: Caller) -> None:
    first = call.post("first", metadata=METADATA)
    call.post("reply", thread_ts=first)
    broadcast = call.post("broadcast", thread_ts=first, reply_broadcast=True)
    last = call.post("last")
    plain = call("conversations.history", channel=CHANNEL)
    assert [message["ts"] for message in plain["messages"]] == [last, broadcast, first]
    assert plain["messages"][1]["subtype"] == "thread_broadcast"
    assert "metadata" not in plain["messages"][2]
    full = call("conversations.history", channel=CHANNEL, include_all_metadata=True)
    assert full["messages"][2]["metadata"] == METADATA


def test_a_thread_has_its_root_first(call: Caller) -> None:
    root = call.post("root")
    replies = [call.post("reply", thread_ts=root) for _ in range(2)]
    answer = call("conversations.replies", channel=CHANNEL, ts=root)
    assert [message["ts"] for message in answer["messages"]] == [root, *replies]
    assert answer["messages"][0]["reply_count"] == 2
    assert (
        call("chat.postMessage", channel=CHANNEL, text="x", thread_ts=replies[0])["error"] == "cannot_reply_to_message"
    )
    assert call("conversations.replies", channel=CHANNEL, ts="1.2")["error"] == "thread_not_found"


def test_history_is_paged_and_bounded_by_time(call: Caller) -> None:
    posted = [call.post(str(number)) for number in range(5)]
    seen, cursor = [], ""
    for _ in range(3):
        page = call("conversations.history", channel=CHANNEL, limit=2, cursor=cursor)
        seen += [message["ts"] for message in page["messages"]]
        cursor = page["response_metadata"]["next_cursor"]
        assert page["has_more"] is bool(cursor)
    assert (seen, cursor) == (posted[::-1], "")
    middle = call("conversations.history", channel=CHANNEL, oldest=posted[1], latest=posted[3])
    assert [message["ts"] for message in middle["messages"]] == [posted[2]]
    ends = call("conversations.history", channel=CHANNEL, oldest=posted[1], latest=posted[3], inclusive=True)
    assert [message["ts"] for message in ends["messages"]] == posted[3:0:-1]
    assert call("conversations.history", channel=CHANNEL, cursor="x")["error"] == "invalid_cursor"


def test_history_is_for_members(call: Caller, slack: SimulatedSlack) -> None:
    slack.kick(CHANNEL)
    assert call("conversations.history", channel=CHANNEL)["error"] == "not_in_channel"
    slack.invite(CHANNEL)
    assert call("conversations.history", channel=CHANNEL)["ok"]


def test_channels_are_listed_and_described(call: Caller, slack: SimulatedSlack) -> None:
    slack.add_channel("C0ARCHIVED0", "old", archived=True)
    slack.add_channel("G0LEADS0000", "leads", private=True)
    assert [c["name"] for c in call("conversations.list")["channels"]] == ["support", "old"]
    assert [c["name"] for c in call("conversations.list", types="private_channel")["channels"]] == ["leads"]
    assert [c["name"] for c in call("conversations.list", exclude_archived=True)["channels"]] == ["support"]
    assert call("conversations.info", channel="G0LEADS0000")["channel"]["is_private"]


def test_joining(call: Caller, slack: SimulatedSlack) -> None:
    slack.add_channel("C0FOREIGN00", "foreign", member=False)
    assert call("conversations.join", channel="C0FOREIGN00")["needed"] == "channels:join"
    slack.scopes = ALL_SCOPES | {"channels:join"}
    assert call("conversations.join", channel="C0FOREIGN00")["channel"]["is_member"]
    slack.archive(CHANNEL)
    assert call("conversations.join", channel=CHANNEL)["error"] == "is_archived"
    slack.add_channel("G0LEADS0000", "leads", private=True)
    assert call("conversations.join", channel="G0LEADS0000")["error"] == "channel_not_found"


def test_deleting_and_linking(call: Caller, slack: SimulatedSlack) -> None:
    ts = call.post()
    link = call("chat.getPermalink", channel=CHANNEL, message_ts=ts)["permalink"]
    assert link == f"{slack.url}archives/{CHANNEL}/p{ts.replace('.', '')}"
    assert call("chat.delete", channel=CHANNEL, ts=ts)["ok"]
    assert slack.messages(CHANNEL) == []
    assert call("chat.getPermalink", channel=CHANNEL, message_ts=ts)["error"] == "message_not_found"
    assert call("chat.delete", channel=CHANNEL, ts=ts)["error"] == "message_not_found"


def test_posts_are_paced_on_request(server: Stage, call: Caller) -> None:
    slack = server.reset(pace=True)
    slack.add_channel("C0OTHER0000", "other")
    for _ in range(3):
        call.post()
    refused = call.raw("chat.postMessage", channel=CHANNEL, text="x")
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
    assert refused.json() == {"ok": False, "error": "ratelimited"}
    call.post(channel="C0OTHER0000")
    server.clock.advance(SECOND)
    call.post()


def test_faults_end_after_their_times_meet_their_channel_and_heal(call: Caller, slack: SimulatedSlack) -> None:
    slack.add_channel("C0OTHER0000", "other")
    slack.fail("chat.postMessage", error="fatal_error", channel=CHANNEL, times=2, after=1)
    outcomes = [call("chat.postMessage", channel=CHANNEL, text="x")["ok"] for _ in range(4)]
    assert outcomes == [True, False, False, True]
    slack.fail("chat.postMessage", error="fatal_error", channel=CHANNEL)
    assert call("chat.postMessage", channel="C0OTHER0000", text="x")["ok"]
    slack.heal("chat.update")
    assert not call("chat.postMessage", channel=CHANNEL, text="x")["ok"]
    slack.heal()
    assert call("chat.postMessage", channel=CHANNEL, text="x")["ok"]


def test_what_hangs_is_let_go_when_it_is_healed(call: Caller, slack: SimulatedSlack) -> None:
    slack.fail("chat.postMessage", mode="commit_then_hang")
    ended = slack.subscribe(lambda _event: slack.heal())
    with pytest.raises(httpx.RemoteProtocolError):
        call("chat.postMessage", channel=CHANNEL, text="x")
    ended()
    assert len(slack.messages(CHANNEL)) == 1


def test_a_late_commit_is_told_twice_in_the_log(call: Caller, slack: SimulatedSlack) -> None:
    done = threading.Event()
    slack.subscribe(lambda _event: done.set())
    slack.fail("chat.postMessage", mode="late_commit", times=1, delay=0.01)
    with pytest.raises(httpx.HTTPError):
        call("chat.postMessage", channel=CHANNEL, text="x")
    assert done.wait(60)


def test_subscribers_see_posts_edits_and_deletions_in_order(call: Caller, slack: SimulatedSlack) -> None:
    seen: list[Event] = []
    end = slack.subscribe(seen.append)
    ts = call.post()
    call("chat.update", channel=CHANNEL, ts=ts, text="new")
    slack.delete(CHANNEL, ts)
    end()
    call.post()
    assert [(event.kind, event.channel, event.message["text"]) for event in seen] == [
        ("post", CHANNEL, "hello"),
        ("edit", CHANNEL, "new"),
        ("delete", CHANNEL, "new"),
    ]


def test_what_is_given_out_is_a_copy(call: Caller, slack: SimulatedSlack) -> None:
    call.post()
    slack.messages(CHANNEL)[0]["text"] = "changed"
    assert slack.messages(CHANNEL)[0]["text"] == "hello"
    with pytest.raises(MethodError):
        slack.messages("C0NOWHERE00")
