"""The whole way of a press: Slack's socket, the act, the answer to its person, and the edit that shows it to all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.system.conftest import CHANNEL
from tests.system.process import Bench, wait_for
from worker.core.controls import ON_RUN, block_of

if TYPE_CHECKING:
    from uuid import UUID

    from worker.demo.langsmith.server import SimulatedLangSmith
    from worker.demo.slack.server import SimulatedSlack

ADA, GUEST = "U0ADA00001", "U0GUEST001"


def test_a_press_is_an_act_an_answer_and_an_edit(
    bench: Bench, langsmith: SimulatedLangSmith, slack: SimulatedSlack, queue: UUID
) -> None:
    slack.add_user(ADA, "ada@example.com", "Ada")
    slack.add_user(GUEST, name="Guest", guest=True)
    run = langsmith.add_run(queue, name="checkout")
    with bench.service(SLACK_APP_TOKEN=slack.app_token) as service:
        wait_for(lambda: slack.messages(CHANNEL) and slack.sockets.links == 1, "a message and a link")
        (message,) = slack.messages(CHANNEL)
        slack.personal.press(ADA, CHANNEL, message["ts"], ON_RUN, block_id=block_of(queue, run), option="claim")
        wait_for(lambda: "Ada has it" in slack.messages(CHANNEL)[0]["text"], "the edit")
        (shown,) = wait_for(lambda: slack.personal.ephemerals(ADA), "the answer")
        assert "checkout: you have it until" in shown.text
        slack.personal.press(GUEST, CHANNEL, message["ts"], ON_RUN, block_id=block_of(queue, run), option="give_back")
        (shown,) = wait_for(lambda: slack.personal.ephemerals(GUEST), "the answer to a guest")
        assert "guests cannot act" in shown.text
        assert service.stop() == 0
    assert slack.sockets.close_codes == [1000]
    assert len(slack.posts) == 1
