"""People in Slack: found by e-mail or id, with the reason why somebody is not reached."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.slack_stage import TOKEN, Stage, stage
from worker.core.audience import Problem
from worker.core.directory import Account
from worker.core.ports import DeliveryError, Outcome
from worker.demo.slack.server import BOT_USER
from worker.notifiers.slack.notifier import Slack
from worker.notifiers.slack.people import SlackPeople, account

if TYPE_CHECKING:
    from collections.abc import Iterator

    from worker.demo.slack.server import SimulatedSlack

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
def people(server: Stage, slack: SimulatedSlack) -> Iterator[SlackPeople]:  # noqa: ARG001 - it answers
    notifier = Slack(token=TOKEN, base_url=server.root)
    yield SlackPeople(notifier)
    notifier.close()


def test_a_person_is_found_by_e_mail_and_by_id(people: SlackPeople) -> None:
    assert people.by_email("ada@example.com") == Account(ADA, "Ada Lovelace")
    assert people.by_id(ADA) == Account(ADA, "Ada Lovelace")


def test_nobody_is_found(people: SlackPeople) -> None:
    assert people.by_email("bob@example.com") is None
    assert people.by_id("U0NOBODY01") is None


def test_who_has_left_is_found_by_id(people: SlackPeople, slack: SimulatedSlack) -> None:
    slack.alter_user(ADA, is_deleted=True)
    assert people.by_email("ada@example.com") is None
    assert people.by_id(ADA) == Account(ADA, "Ada Lovelace", Problem.LEFT)


def test_guests_and_bots_have_a_problem(people: SlackPeople, slack: SimulatedSlack) -> None:
    for guest in ("single", "multi"):
        slack.alter_user(ADA, guest=guest)
        found = people.by_email("ada@example.com")
        assert found is not None
        assert found.problem is Problem.GUEST
    bot = people.by_id(BOT_USER)
    assert bot is not None
    assert bot.problem is Problem.BOT


def test_a_deleted_guest_has_left() -> None:
    raw = {"id": ADA, "deleted": True, "is_restricted": True, "is_bot": True}
    assert account(raw) == Account(ADA, "", Problem.LEFT)


def test_user_groups_are_on_or_off(people: SlackPeople, slack: SimulatedSlack) -> None:
    slack.add_group("S0ONCALL01", "on-call", ADA)
    slack.add_group("S0FORMER01", "former", is_disabled=True)
    assert people.groups() == {"S0ONCALL01": True, "S0FORMER01": False}


def test_a_missing_scope_is_an_error_that_names_it_and_no_e_mail(people: SlackPeople, slack: SimulatedSlack) -> None:
    slack.scopes = {"chat:write"}
    with pytest.raises(DeliveryError) as caught:
        people.by_email("ada@example.com")
    assert caught.value.code == "missing_scope"
    assert "users:read.email" in str(caught.value)
    assert "ada" not in str(caught.value)


def test_a_throttled_look_up_says_for_how_long(people: SlackPeople, slack: SimulatedSlack) -> None:
    slack.fail("users.lookupByEmail", mode="ratelimited", retry_after=30)
    with pytest.raises(DeliveryError) as caught:
        people.by_email("ada@example.com")
    assert caught.value.outcome is Outcome.THROTTLED
    assert caught.value.retry_after is not None
    assert caught.value.retry_after.total_seconds() == 30


@pytest.mark.parametrize("answer", [{"user": "ada"}, {"user": {}}, {}])
def test_an_answer_without_a_user_finds_nobody(answer: dict[str, object]) -> None:
    class Odd(Slack):
        def __init__(self) -> None:
            """Ask nothing."""

        def ask(self, method: str, **fields: str) -> dict[str, object]:  # type: ignore[override]  # noqa: ARG002
            return answer

    assert SlackPeople(Odd()).by_email("ada@example.com") is None
