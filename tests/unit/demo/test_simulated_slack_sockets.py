"""Socket Mode of the simulated Slack, as slack-sdk's own client sees it; and what one person alone is shown."""

from __future__ import annotations

import json
import queue
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.socket_mode import SocketModeClient
from slack_sdk.socket_mode.response import SocketModeResponse
from slack_sdk.web import WebClient

from tests.support.slack_stage import CHANNEL, Stage, stage
from worker.clock import SystemClock
from worker.demo.slack.sockets import MOST_LINKS
from worker.demo.slack.workspace import MethodError
from worker.net.link import Link

if TYPE_CHECKING:
    from collections.abc import Iterator

    from slack_sdk.socket_mode.request import SocketModeRequest

    from worker.demo.slack.server import SimulatedSlack

ADA = "U0ADA00001"


@pytest.fixture(scope="module")
def server() -> Iterator[Stage]:
    with stage() as made:
        yield made


@pytest.fixture
def slack(server: Stage) -> SimulatedSlack:
    slack = server.reset()
    slack.add_user(ADA, "ada@example.com", "Ada Lovelace")
    return slack


@pytest.fixture
def web(server: Stage, slack: SimulatedSlack) -> WebClient:
    return WebClient(slack.token, base_url=server.root)


class Client:
    """slack-sdk's own client, which acknowledges everything."""

    def __init__(self, server: Stage) -> None:
        self.heard: queue.SimpleQueue[SocketModeRequest] = queue.SimpleQueue()
        web = WebClient(base_url=server.root)
        self.client = SocketModeClient(server.slack.app_token, web_client=web, auto_reconnect_enabled=False)
        self.client.socket_mode_request_listeners.append(self.listen)  # type: ignore[arg-type]
        self.client.connect()
        assert server.slack.sockets.wait_until(lambda: server.slack.sockets.links == 1)

    def listen(self, client: SocketModeClient, request: SocketModeRequest) -> None:
        client.send_socket_mode_response(SocketModeResponse(request.envelope_id))
        self.heard.put(request)

    def close(self) -> None:
        self.client.close()


@pytest.fixture
def client(server: Stage, slack: SimulatedSlack) -> Iterator[Client]:  # noqa: ARG001 - it answers
    with closing(Client(server)) as made:
        yield made


def test_slack_sdks_client_hears_what_people_do(client: Client, slack: SimulatedSlack) -> None:
    ts = slack.say(CHANNEL, "hello")
    pressed = slack.personal.press(ADA, CHANNEL, ts, "claim", "one", block_id="b")
    slack.personal.command(ADA, CHANNEL, "/reviews", "mine")
    slack.personal.open_home(ADA)
    # That client hands over by several threads, so in any order.
    home, press, command = sorted((client.heard.get(timeout=60) for _ in range(3)), key=lambda heard: heard.type)
    assert (press.type, press.envelope_id) == ("interactive", pressed)
    assert press.payload["message"]["text"] == "hello"
    assert (press.payload["actions"][0]["value"], press.payload["user"]["id"]) == ("one", ADA)
    assert (command.type, command.payload["command"], command.payload["text"]) == ("slash_commands", "/reviews", "mine")
    assert (home.type, home.payload["event"]["type"]) == ("events_api", "app_home_opened")
    assert slack.sockets.wait_until(lambda: all(each.answered_at is not None for each in slack.sockets.envelopes))


def test_a_press_is_of_the_control_that_the_message_shows(
    client: Client, slack: SimulatedSlack, web: WebClient
) -> None:
    text = {"type": "plain_text", "text": "Snooze 1 h"}
    menu = {"type": "overflow", "action_id": "run", "options": [{"text": text, "value": "snooze"}]}
    go = {"type": "button", "action_id": "go", "text": text, "value": "kept"}
    row = {"type": "section", "block_id": "row", "text": {"type": "mrkdwn", "text": "a run"}, "accessory": menu}
    ts = str(web.chat_postMessage(channel=CHANNEL, text="x", blocks=[row, {"type": "actions", "elements": [go]}])["ts"])
    slack.personal.press(ADA, CHANNEL, ts, "run", option="snooze")
    slack.personal.press(ADA, CHANNEL, ts, "go")
    slack.personal.press(ADA, CHANNEL, ts, "gone", "older", block_id="old")
    heard = (client.heard.get(timeout=60).payload["actions"][0] for _ in range(3))
    acts = {act["action_id"]: act for act in heard}
    assert {name: (act["type"], act["block_id"]) for name, act in acts.items()} == {
        "run": ("overflow", "row"),
        "go": ("button", "block-1"),
        "gone": ("button", "old"),
    }
    assert acts["run"]["selected_option"] == {"text": text, "value": "snooze"}
    assert (acts["go"]["value"], acts["gone"]["value"]) == ("kept", "older")


def test_a_press_without_a_link_reaches_nobody(slack: SimulatedSlack) -> None:
    ts = slack.say(CHANNEL, "hello")
    with pytest.raises(MethodError, match="no_link"):
        slack.personal.press(ADA, CHANNEL, ts, "claim")


def test_only_the_app_token_opens_a_link_and_it_opens_nothing_else(web: WebClient, slack: SimulatedSlack) -> None:
    def refused(call: Any) -> str:
        with pytest.raises(SlackApiError) as raised:
            call()
        return str(raised.value.response["error"])

    assert refused(lambda: web.apps_connections_open(app_token=slack.token)) == "not_allowed_token_type"
    assert refused(lambda: web.apps_connections_open(app_token="xapp-other")) == "invalid_auth"
    assert refused(lambda: web.auth_test(token=slack.app_token)) == "not_allowed_token_type"
    assert web.apps_connections_open(app_token=slack.app_token)["url"].startswith("ws://127.0.0.1:")


def test_an_eleventh_link_is_refused(server: Stage, slack: SimulatedSlack) -> None:
    web = WebClient(base_url=server.root)

    def opened() -> Link:
        return Link(web.apps_connections_open(app_token=slack.app_token)["url"], clock=SystemClock())

    links = [opened() for _ in range(MOST_LINKS + 1)]
    assert [json.loads(link.receive()).get("num_connections") for link in links[:-1]] == list(range(1, MOST_LINKS + 1))
    assert json.loads(links[-1].receive())["reason"] == "too_many_websockets"
    for link in links:
        link.close()
    assert slack.sockets.wait_until(lambda: slack.sockets.links == 0)


def test_an_ephemeral_message_is_shown_to_one_person(web: WebClient, slack: SimulatedSlack) -> None:
    web.chat_postEphemeral(channel=CHANNEL, user=ADA, text="It is yours.", thread_ts="1.0")
    (shown,) = slack.personal.ephemerals(ADA)
    assert (shown.channel, shown.text, shown.thread_ts) == (CHANNEL, "It is yours.", "1.0")
    assert slack.personal.ephemerals("U0OTHER001") == []
    assert slack.messages(CHANNEL) == []
    slack.kick(CHANNEL)
    with pytest.raises(SlackApiError, match="not_in_channel"):
        web.chat_postEphemeral(channel=CHANNEL, user=ADA, text="It is yours.")


def test_a_page_is_published_for_one_person(web: WebClient, slack: SimulatedSlack) -> None:
    view = {"type": "home", "blocks": [{"type": "divider"}]}
    web.views_publish(user_id=ADA, view=view)
    assert (slack.personal.home(ADA), slack.personal.home("U0OTHER001")) == (view, None)
    with pytest.raises(SlackApiError, match="invalid_arguments"):
        web.views_publish(user_id=ADA, view={"type": "modal"})
