"""What one person alone is shown in Slack."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.builders import NOON, queue, review, rules_with
from tests.support.slack_stage import CHANNEL
from worker.core.audience import NO_PERSONS
from worker.core.ports import DeliveryError, Outcome
from worker.core.worklist import Shelf, worklist_in
from worker.notifiers.slack.private_answers import SlackAnswers

if TYPE_CHECKING:
    from worker.core.ports import Answers
    from worker.core.worklist import Worklist
    from worker.demo.slack.server import SimulatedSlack
    from worker.notifiers.slack.notifier import Slack

ADA = "U0ADA00001"


@pytest.fixture
def answers(notifier: Slack, slack: SimulatedSlack) -> SlackAnswers:
    slack.add_user(ADA, "ada@example.com", "Ada")
    return SlackAnswers(notifier)


def test_an_answer_is_shown_to_its_person_alone(answers: SlackAnswers, slack: SimulatedSlack) -> None:
    port: Answers = answers
    port.ephemeral(CHANNEL, ADA, "Bob took it at 10:02.", thread="1.0")
    (shown,) = slack.personal.ephemerals(ADA)
    assert (shown.channel, shown.text, shown.thread_ts) == (CHANNEL, "Bob took it at 10:02.", "1.0")
    assert shown.blocks[0]["text"]["text"] == "Bob took it at 10:02."
    assert slack.messages(CHANNEL) == []


@pytest.mark.parametrize(
    "hostile", ["<!channel> look", "<https://evil.example|here>", "@everyone *now*", "a <@U0BOB00001>"]
)
def test_nothing_in_an_answer_is_markup(answers: SlackAnswers, slack: SimulatedSlack, hostile: str) -> None:
    answers.ephemeral(CHANNEL, ADA, hostile)
    (shown,) = slack.personal.ephemerals(ADA)
    assert not {"<", "@everyone"} & {part for part in ("<", "@everyone") if part in shown.text}
    block: dict[str, Any] = shown.blocks[0]["text"]
    assert (block["type"], "<" in block["text"]) == ("plain_text", False)


@pytest.mark.parametrize("long", ["word " * 2_000, "<&>" * 2_000, "a.b\n" * 2_000])
def test_a_long_answer_fits(answers: SlackAnswers, slack: SimulatedSlack, long: str) -> None:
    answers.ephemeral(CHANNEL, ADA, long)
    assert len(slack.personal.ephemerals(ADA)) == 1


def test_an_answer_may_have_several_lines(answers: SlackAnswers, slack: SimulatedSlack) -> None:
    answers.ephemeral(CHANNEL, ADA, "Yours:\n1. summarise")
    (shown,) = slack.personal.ephemerals(ADA)
    assert (shown.text, shown.blocks[0]["text"]["text"]) == ("Yours:\n1. summarise", "Yours:\n1. summarise")


def test_where_the_app_is_not_an_answer_is_a_direct_message(answers: SlackAnswers, slack: SimulatedSlack) -> None:
    slack.kick(CHANNEL)
    answers.ephemeral(CHANNEL, ADA, "Nothing waits for you.")
    assert slack.personal.ephemerals(ADA) == []
    assert [message["text"] for message in slack.direct_messages(ADA)] == ["Nothing waits for you."]


def test_an_answer_that_fails_otherwise_is_an_error_and_no_second_message(
    answers: SlackAnswers, slack: SimulatedSlack
) -> None:
    slack.fail("chat.postEphemeral", error="internal_error")
    with pytest.raises(DeliveryError) as raised:
        answers.ephemeral(CHANNEL, ADA, "Nothing waits for you.")
    assert raised.value.outcome is Outcome.RETRY
    assert slack.direct_messages(ADA) == []


def worklist() -> Worklist:
    own = queue("Support QA")
    return worklist_in(Shelf(own, rules_with().view(own), [review("Refund")], 1), ADA, NO_PERSONS, NOON)


def test_a_worklist_is_shown_to_its_person_alone(answers: SlackAnswers, slack: SimulatedSlack) -> None:
    answers.show(CHANNEL, ADA, worklist(), thread="1.0")
    (shown,) = slack.personal.ephemerals(ADA)
    assert shown.text.startswith("1 run waits in Support QA")
    assert (shown.thread_ts, shown.blocks[0]["text"]["text"]) == ("1.0", "1 run waits in Support QA")


@pytest.mark.parametrize(
    ("page", "begins"),
    [("You are a <guest>.", "You are a \u2039guest\u203a."), (worklist(), "1 run waits in Support QA")],
)
def test_a_page_is_published(answers: SlackAnswers, slack: SimulatedSlack, page: Any, begins: str) -> None:
    answers.publish(ADA, page)
    home = slack.personal.home(ADA)
    assert home is not None
    assert (home["type"], home["blocks"][0]["text"]["text"]) == ("home", begins)


def test_the_bots_own_team_is_known(notifier: Slack) -> None:
    assert notifier.identity().team_id == "T0SIMULATED"
