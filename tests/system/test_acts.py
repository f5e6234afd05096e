"""People act from the command line while the service runs: messages show it at once, and every command says it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.system.conftest import CHANNEL
from tests.system.process import Bench, wait_for

if TYPE_CHECKING:
    from uuid import UUID

    from worker.demo.langsmith.server import SimulatedLangSmith
    from worker.demo.slack.server import SimulatedSlack

pytestmark = pytest.mark.usefixtures("migrated")

ADA, BEN = "ada@example.com", "ben@example.com"


def said(bench: Bench, *arguments: str, status: int = 0, **settings: str) -> str:
    done = bench.run(*arguments, **settings)
    assert done.returncode == status, (done.stdout, done.stderr)
    return " ".join((done.stdout + done.stderr).split())


def found(bench: Bench, *arguments: str) -> Any:
    done = bench.run(*arguments, "--json")
    return json.loads(done.stdout)


def text(slack: SimulatedSlack) -> str:
    return str(slack.messages(CHANNEL)[-1]["text"])


def test_a_claim_from_the_shell_is_in_the_message_within_seconds_and_in_every_command(
    bench: Bench, langsmith: SimulatedLangSmith, slack: SimulatedSlack, queue: UUID
) -> None:
    langsmith.add_run(queue, name="checkout")
    with bench.service(WORKER_ESCALATE_AFTER="1d"):
        wait_for(lambda: slack.messages(CHANNEL), "a message")
        assert "ada has it until" in said(bench, "claim", "checkout", "--by", ADA)
        wait_for(lambda: "ada has it" in text(slack), "the edit that shows the claim")
        assert "ada has it already" in said(bench, "claim", "checkout", "--by", BEN, status=1)
        assert [(each["act"], each["email"], each["refused"]) for each in found(bench, "actions")["actions"]] == [
            ("claim", BEN, "taken"),
            ("claim", ADA, None),
        ]
        assert found(bench, "runs")["runs"][0]["claimed_by"] == "ada"
        assert "claim until" in said(bench, "why", "checkout")
        assert "Acts of people: Support QA: 1 claimed" in said(bench, "status")
        assert "nobody has it now" in said(bench, "unclaim", "checkout")
        wait_for(lambda: "has it" not in text(slack), "the edit that shows that it was given back")
    assert len(slack.posts) == 1


def test_a_snooze_and_a_mute_are_shown_and_taken_back(bench: Bench, langsmith: SimulatedLangSmith, queue: UUID) -> None:
    langsmith.add_run(queue, name="checkout")
    assert bench.run("poll").returncode == 0
    assert "snoozed until" in said(bench, "snooze", "checkout", "--until", "2h")
    assert "muted until" in said(bench, "mute", "support qa", "--until", "opening")
    (shown,) = found(bench, "status")["queues"]
    assert (shown["claimed"], shown["snoozed"], bool(shown["muted_until"])) == (0, 1, True)
    assert "the queue is muted until" in said(bench, "runs")
    assert "not muted any more" in said(bench, "unmute", "support qa")
    shown = said(bench, "runs")
    assert all(words in shown for words in ("it is snoozed until", "Acts", "snoozed until"))
    assert [each["act"] for each in found(bench, "actions")["actions"]] == ["unmute", "mute", "snooze"]


def test_people_forget_deletes_what_a_person_did(bench: Bench, langsmith: SimulatedLangSmith, queue: UUID) -> None:
    langsmith.add_run(queue, name="checkout")
    assert bench.run("poll").returncode == 0
    said(bench, "claim", "checkout", "--by", ADA)
    assert "Forgotten" in said(bench, "people", "forget", ADA)
    assert found(bench, "actions") == {"actions": []}
    assert found(bench, "runs")["runs"][0]["claimed_by"] is None
    left = "".join(file.read_bytes().decode(errors="replace") for file in bench.directory.glob("worker.db*"))
    assert ADA not in left
    assert "nobody with the Slack id" in said(bench, "people", "forget", "U0NOBODY0001", status=1)


@pytest.mark.parametrize(
    ("arguments", "status", "reason"),
    [
        pytest.param(("claim", "nothing", "--by", ADA), 1, "matches no run", id="a run that was never seen"),
        pytest.param(("claim", "checkout", "--by", "ada"), 2, "is not an e-mail address", id="an e-mail that is none"),
        pytest.param(("claim", "checkout"), 2, "--by", id="a claim by nobody"),
        pytest.param(("unclaim", "checkout"), 1, "nobody has taken it", id="a run that nobody has"),
        pytest.param(("snooze", "nothing", "--until", "soon"), 2, "is not a time", id="a time that is none"),
        pytest.param(("snooze", "checkout", "--until", "2020-01-01"), 1, "passed already", id="a time in the past"),
        pytest.param(("mute", "Nowhere", "--until", "1h"), 1, "no queue 'Nowhere'", id="a queue that is not polled"),
        pytest.param(("mute", "Suport", "--until", "1h"), 1, "did you mean 'Support QA'", id="a queue misspelled"),
        pytest.param(("unmute", "Support QA"), 1, "it is not muted", id="a queue that is not muted"),
    ],
)
def test_what_cannot_be_done_is_refused_with_the_reason(
    bench: Bench, langsmith: SimulatedLangSmith, queue: UUID, arguments: tuple[str, ...], status: int, reason: str
) -> None:
    langsmith.add_run(queue, name="checkout")
    assert bench.run("poll").returncode == 0
    assert reason in said(bench, *arguments, status=status)


def test_claim_by_a_person_who_is_not_a_reviewer_is_refused_where_only_reviewers_may(
    bench: Bench, langsmith: SimulatedLangSmith, queue: UUID
) -> None:
    langsmith.assign_queue(queue, ADA)
    langsmith.add_run(queue, name="checkout")
    only = {"WORKER_ACTIONS_WHO": "reviewers", "WORKER_PEOPLE": "assigned"}
    assert bench.run("poll", **only).returncode == 0
    assert "only reviewers may do so" in said(bench, "claim", "checkout", "--by", BEN, status=1, **only)
    assert "has it until" in said(bench, "claim", "checkout", "--by", ADA, **only)
