"""The simulated Slack as an app on slack-bolt sees it: what people do arrives, and what it answers is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from slack_sdk.web import WebClient

from tests.support.slack_stage import CHANNEL, stage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from worker.demo.slack.server import SimulatedSlack

ADA = "U0ADA00001"
MENU = {
    "type": "overflow",
    "action_id": "run",
    "confirm": {
        "title": {"type": "plain_text", "text": "Mute?"},
        "text": {"type": "plain_text", "text": "Nothing is posted."},
        "confirm": {"type": "plain_text", "text": "Mute"},
        "deny": {"type": "plain_text", "text": "No"},
    },
    "options": [{"text": {"type": "plain_text", "text": "I take it"}, "value": "claim"}],
}
ROW = {"type": "section", "block_id": "row", "text": {"type": "mrkdwn", "text": "a run"}, "accessory": MENU}


class BoltApp:
    """An app as one would write it with slack-bolt."""

    def __init__(self, root: str, slack: SimulatedSlack) -> None:
        # Imported where it is used: every process of a test run collects this file.
        from slack_bolt import App  # noqa: PLC0415
        from slack_bolt.adapter.socket_mode import SocketModeHandler  # noqa: PLC0415

        self.slack = slack
        self.errors: list[Exception] = []
        self.web = WebClient(slack.token, base_url=root)
        self.app = App(client=self.web, signing_secret="unused", process_before_response=True)
        self.app.action("run")(self.press)
        self.app.command("/reviews")(self.command)
        self.app.event("app_home_opened")(self.home)
        self.app.error(self.errors.append)
        self.handler = SocketModeHandler(self.app, slack.app_token, web_client=self.web)
        self.handler.connect()

    def press(self, ack: Any, body: Any, action: Any) -> None:
        ack()
        text = f"{body['user']['id']} {action['block_id']} {action['selected_option']['value']}"
        place = body["container"]["channel_id"]
        self.web.chat_postEphemeral(channel=place, user=body["user"]["id"], text=text)

    def command(self, ack: Any, command: Any, client: Any) -> None:
        ack()
        text = f"{command['command']} {command['text']}"
        client.chat_postEphemeral(channel=command["channel_id"], user=command["user_id"], text=text)

    def home(self, event: Any, client: Any) -> None:
        view = {"type": "home", "blocks": [ROW]}
        client.views_publish(user_id=event["user"], view=view)


@pytest.fixture
def bolt() -> Iterator[BoltApp]:
    with stage() as server:
        slack = server.reset()
        slack.add_user(ADA, "ada@example.com", "Ada")
        made = BoltApp(server.root, slack)
        assert slack.sockets.wait_until(lambda: slack.sockets.links == 1, 30)
        yield made
        made.handler.close()


def test_bolt_hears_a_press_a_command_and_an_opened_page(bolt: BoltApp) -> None:
    slack = bolt.slack
    ts = str(bolt.web.chat_postMessage(channel=CHANNEL, text="x", blocks=[ROW])["ts"])
    slack.personal.press(ADA, CHANNEL, ts, "run", option="claim")
    slack.personal.command(ADA, CHANNEL, "/reviews", "Support QA")
    slack.personal.open_home(ADA)
    shown = slack.personal.wait_until(
        lambda: len(slack.personal.ephemerals(ADA)) == 2 and slack.personal.home(ADA) is not None, 30
    )
    assert not bolt.errors
    assert shown
    texts = {each.text for each in slack.personal.ephemerals(ADA)}
    assert texts == {f"{ADA} row claim", "/reviews Support QA"}
    assert slack.sockets.wait_until(lambda: all(each.answered_at is not None for each in slack.sockets.envelopes), 30)
