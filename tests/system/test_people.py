"""Reviewers become people in Slack, and their names and e-mails go nowhere else."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.system.process import Bench, wait_for
from worker.demo.slack.server import ALL_SCOPES

if TYPE_CHECKING:
    from uuid import UUID

    from worker.demo.langsmith.server import SimulatedLangSmith
    from worker.demo.slack.server import SimulatedSlack

pytestmark = pytest.mark.usefixtures("migrated")

ADA = "ada@example.com"
LOOK_UP, POST = "users.lookupByEmail", "chat.postMessage"


def asked(slack: SimulatedSlack) -> list[str]:
    """The methods in question, in the order of their calls."""
    return [attempt.method for attempt in slack.attempts if attempt.method in {LOOK_UP, POST}]


def test_a_pass_looks_people_up_before_it_posts(
    bench: Bench, langsmith: SimulatedLangSmith, slack: SimulatedSlack, queue: UUID
) -> None:
    slack.add_user("U0ADA00001", ADA.upper(), "Ada")
    langsmith.assign_queue(queue, ADA)
    langsmith.add_run(queue, name="waiting")
    assert bench.run("poll", WORKER_PEOPLE="assigned").returncode == 0
    assert asked(slack) == [LOOK_UP, POST]
    langsmith.add_run(queue, name="second")
    assert bench.run("poll", WORKER_PEOPLE="assigned").returncode == 0
    assert asked(slack) == [LOOK_UP, POST, POST]


def test_the_service_looks_people_up_before_its_first_post(
    bench: Bench, langsmith: SimulatedLangSmith, slack: SimulatedSlack, queue: UUID
) -> None:
    slack.add_user("U0ADA00001", ADA, "Ada")
    langsmith.assign_queue(queue, ADA)
    langsmith.add_run(queue, name="waiting")
    with bench.service(WORKER_PEOPLE="assigned") as service:
        wait_for(lambda: slack.posts, "a message")
        assert service.stop() == 0
    assert asked(slack) == [LOOK_UP, POST]


def test_nobody_is_looked_up_unless_the_settings_want_people(
    bench: Bench, langsmith: SimulatedLangSmith, slack: SimulatedSlack, queue: UUID
) -> None:
    langsmith.assign_queue(queue, ADA)
    langsmith.add_run(queue, name="waiting")
    assert bench.run("poll").returncode == 0
    assert asked(slack) == [POST]


def test_messages_go_out_while_nobody_can_be_looked_up(
    bench: Bench, langsmith: SimulatedLangSmith, slack: SimulatedSlack, queue: UUID
) -> None:
    langsmith.assign_queue(queue, ADA)
    langsmith.add_run(queue, name="waiting")
    slack.fail(LOOK_UP, mode="ratelimited", retry_after=3600)
    assert bench.run("poll", WORKER_PEOPLE="assigned").returncode == 0
    with bench.service(WORKER_PEOPLE="assigned") as service:
        wait_for(lambda: service.logged("people_look_ups_wait"), "a look-up is refused")
        langsmith.add_run(queue, name="second")
        wait_for(lambda: len(slack.posts) == 2, "a message all the same")
        assert service.stop() == 0
    assert asked(slack).count(LOOK_UP) == 2


def people(bench: Bench, **more: str) -> dict[str, dict[str, Any]]:
    """What the command says of every reviewer, by e-mail, or by id where there is none."""
    said = bench.run("people", "--json", WORKER_PEOPLE="assigned", **more)
    assert said.returncode == 0, said.stderr
    return {each["email"] or each["reviewer_ids"][0]: each for each in json.loads(said.stdout)["people"]}


def test_every_reviewer_is_shown_with_the_turn_and_the_reason(
    bench: Bench, langsmith: SimulatedLangSmith, slack: SimulatedSlack, queue: UUID
) -> None:
    slack.add_user("U0ADA00001", ADA, "Ada")
    slack.add_user("U0LEFT0001", "left@example.com", "Left", is_deleted=True)
    service = langsmith.add_service("Nightly job")
    langsmith.assign_queue(queue, ADA, "left@example.com", "unknown@example.com", service)
    for name in ("one", "two"):
        langsmith.add_run(queue, name=name)
    assert bench.run("poll", WORKER_PEOPLE="assigned").returncode == 0
    found = people(bench)
    ada = found[ADA]
    assert (ada["slack_id"], ada["turns"], ada["called_today"], ada["budget_left"]) == ("U0ADA00001", 2, 0, 3)
    assert ada["why_unresolved"] is None
    assert "no Slack user is found" in found["left@example.com"]["why_unresolved"]
    assert "write the Slack id as slack" in found["unknown@example.com"]["why_unresolved"]
    assert "service account" in found[str(service)]["why_unresolved"]
    shown = bench.run("people", WORKER_PEOPLE="assigned").stdout
    assert [word for word in (ADA, "U0ADA00001", "unknown@example.com") if word not in shown] == []
    assert "set WORKER_PEOPLE" in bench.run("people").stdout


def test_who_is_forgotten_is_gone_and_does_not_come_back(
    bench: Bench, langsmith: SimulatedLangSmith, slack: SimulatedSlack, queue: UUID
) -> None:
    slack.add_user("U0ADA00001", ADA, "Marked Lovelace")
    langsmith.assign_queue(queue, langsmith.add_reviewer(ADA, name="Marked Lovelace"))
    langsmith.add_run(queue, name="waiting")
    assert bench.run("poll", WORKER_PEOPLE="assigned").returncode == 0
    assert ADA in kept(bench)
    forgotten = bench.run("people", "forget", ADA.upper())
    assert (forgotten.returncode, forgotten.stdout[:25]) == (0, f"Forgotten: {ADA}"[:25]), forgotten.stderr
    assert not [word for word in (ADA, "Lovelace", "U0ADA00001") if word in kept(bench)]
    langsmith.add_run(queue, name="second")
    assert bench.run("poll", WORKER_PEOPLE="assigned").returncode == 0
    assert not [word for word in (ADA, "Lovelace", "U0ADA00001") if word in kept(bench)]
    assert asked(slack).count(LOOK_UP) == 1
    unknown = bench.run("people", "forget", ADA)
    assert (unknown.returncode, "nobody with the e-mail" in unknown.stderr) == (1, True)


def kept(bench: Bench) -> str:
    """All bytes of the database."""
    return "".join(file.read_bytes().decode(errors="replace") for file in bench.directory.glob("worker.db*"))


def test_check_proves_each_reviewer_the_owner_and_the_mentions(
    bench: Bench, langsmith: SimulatedLangSmith, slack: SimulatedSlack, queue: UUID
) -> None:
    slack.add_user("U0ADA00001", ADA, "Ada")
    langsmith.assign_queue(queue, ADA, "unknown@example.com")
    stranger = langsmith.add_reviewer("stranger@example.com")
    langsmith.assign(langsmith.add_run(queue, name="waiting"), stranger)
    (bench.directory / "worker.toml").write_text("[people]\n'ada at home' = { slack = 'U0ADA00001' }\n")
    more = {"WORKER_PEOPLE": "assigned", "WORKER_TELL": "direct", "WORKER_OWNER": "U0LEAD00001"}
    more |= {
        "WORKER_ESCALATE_AFTER": "1d",
        "WORKER_ESCALATE_MENTION": "turn,S0ONCALL00",
        "WORKER_LANGSMITH_API": "items",
    }
    slack.scopes = ALL_SCOPES - {"im:write"}
    said = bench.run("check", "--json", **more)
    found = {each["check"]: each for each in json.loads(said.stdout)["checks"]}
    assert said.returncode == 1
    assert found[f"reviewer {ADA}"]["ok"]
    failing = {name for name, each in found.items() if not each["ok"]}
    assert failing == {
        "settings",
        "slack scope im:write",
        "reviewer unknown@example.com",
        "reviewer stranger@example.com",
        "owner U0LEAD00001",
        "mention S0ONCALL00",
    }
    assert "ada at home" in found["settings"]["text"]
    assert all(found[name]["fix"] for name in failing)


def test_an_id_that_is_none_keeps_nothing_from_being_posted(
    bench: Bench, langsmith: SimulatedLangSmith, slack: SimulatedSlack, queue: UUID
) -> None:
    langsmith.assign_queue(queue, ADA)
    langsmith.add_run(queue, name="waiting")
    (bench.directory / "worker.toml").write_text(f"[people]\n'{ADA}' = {{ slack = '@ada' }}\n'ada at home' = {{}}\n")
    done = bench.run("poll", WORKER_PEOPLE="assigned")
    assert (done.returncode, len(slack.posts)) == (0, 1), done.stderr


def test_of_two_workers_one_looks_people_up_and_both_know_them(
    bench: Bench, langsmith: SimulatedLangSmith, slack: SimulatedSlack, queue: UUID, postgres_url: str
) -> None:
    slack.add_user("U0ADA00001", ADA, "Ada")
    langsmith.assign_queue(queue, ADA)
    langsmith.add_run(queue, name="waiting")
    more = {"WORKER_PEOPLE": "assigned", "WORKER_DATABASE_URL": postgres_url}
    assert bench.run("migrate", **more).returncode == 0
    with bench.service(**more) as first, bench.service(**more) as second:
        wait_for(lambda: slack.posts, "a message")
        wait_for(lambda: LOOK_UP in asked(slack), "a look-up")
        assert people(bench, WORKER_DATABASE_URL=postgres_url)[ADA]["slack_id"] == "U0ADA00001"
        assert (first.stop(), second.stop()) == (0, 0)
    assert asked(slack).count(LOOK_UP) == 1
