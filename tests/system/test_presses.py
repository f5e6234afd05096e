"""The whole way of a press: Slack's socket, the act, the answer to its person, and the edit that shows it to all."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.system.conftest import CHANNEL
from tests.system.process import Bench, wait_for

if TYPE_CHECKING:
    from uuid import UUID

    from worker.demo.langsmith.server import SimulatedLangSmith
    from worker.demo.slack.server import SimulatedSlack

ADA, GUEST = "U0ADA00001", "U0GUEST001"


def menu(message: dict[str, Any]) -> dict[str, Any]:
    """The first menu of a run that a message shows: which block it is in, and its values by their labels."""
    (block,) = (block for block in message["blocks"] if "accessory" in block)
    options = {each["text"]["text"]: each["value"] for each in block["accessory"]["options"]}
    return {"block_id": block["block_id"], "options": options}


def press(slack: SimulatedSlack, user: str, label: str) -> None:
    (message,) = slack.messages(CHANNEL)
    shown = menu(message)
    how = {"block_id": shown["block_id"], "option": shown["options"][label]}
    slack.personal.press(user, CHANNEL, message["ts"], "run", **how)


def test_a_press_is_an_act_an_answer_and_an_edit(
    bench: Bench, langsmith: SimulatedLangSmith, slack: SimulatedSlack, queue: UUID
) -> None:
    slack.add_user(ADA, "ada@example.com", "Ada")
    slack.add_user(GUEST, name="Guest", guest=True)
    langsmith.add_run(queue, name="checkout")
    with bench.service(SLACK_APP_TOKEN=slack.app_token) as service:
        wait_for(lambda: slack.messages(CHANNEL) and slack.sockets.links == 1, "a message and a link")
        press(slack, ADA, "I take it")
        wait_for(lambda: "Ada has it" in slack.messages(CHANNEL)[0]["text"], "the edit")
        (shown,) = wait_for(lambda: slack.personal.ephemerals(ADA), "the answer")
        assert "checkout: you have it until" in shown.text
        wait_for(
            lambda: "has heard what people do in Slack since" in bench.run("status").stdout, "the link in `status`"
        )
        press(slack, GUEST, "Give it back")
        (shown,) = wait_for(lambda: slack.personal.ephemerals(GUEST), "the answer to a guest")
        assert "guests cannot act" in shown.text
        (message,) = slack.messages(CHANNEL)
        slack.personal.press(ADA, CHANNEL, message["ts"], "mine")
        wait_for(lambda: len(slack.personal.ephemerals(ADA)) == 2, "what waits for Ada")
        assert "checkout" in slack.personal.ephemerals(ADA)[1].text
        slack.personal.command(ADA, CHANNEL, "/reviews", "mute support qa 1h")
        wait_for(lambda: "muted until" in slack.personal.ephemerals(ADA)[-1].text, "the answer to a command")
        slack.personal.open_home(GUEST)
        slack.personal.open_home(ADA)
        home = wait_for(lambda: slack.personal.home(ADA), "the page")
        assert "1 run waits for your review" in str(home)
        assert "guests cannot act" in str(slack.personal.home(GUEST))
        assert service.stop() == 0
    assert slack.sockets.close_codes == [1000]
    assert [each["act"] for each in json.loads(bench.run("actions", "--json").stdout)["actions"]] == ["mute", "claim"]
    assert len(slack.posts) == 1
