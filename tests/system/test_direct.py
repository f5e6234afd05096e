"""People are notified directly of the runs that are their turn, by the real process."""

from __future__ import annotations

import json
import re
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING

import pytest

from tests.system.process import Bench, wait_for
from worker.demo.slack.faults import Mode

if TYPE_CHECKING:
    from uuid import UUID

    from worker.demo.langsmith.server import SimulatedLangSmith
    from worker.demo.slack.server import SimulatedSlack

pytestmark = pytest.mark.usefixtures("migrated")

GETTING_STARTED = Path(__file__).resolve().parents[2] / "docs" / "getting-started.md"
TOML = re.compile(r"^ *```toml\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)

DIRECT = {
    "WORKER_PEOPLE": "assigned",
    "WORKER_TELL": "direct",
    "WORKER_STALE_AFTER": "never",
    "WORKER_LANGSMITH_API": "items",
}
PEOPLE = {name: (f"U0{name.upper():A<8}", f"{name}@example.com") for name in ("ada", "ben", "eve")}
LEAD = "U0LEAD0001"


@pytest.fixture
def team(langsmith: SimulatedLangSmith, slack: SimulatedSlack, bench: Bench) -> UUID:
    """A queue of three reviewers that was seen empty before."""
    for name, (user, email) in PEOPLE.items():
        slack.add_user(user, email, name.title())
        langsmith.add_reviewer(email, name=name.title())
    slack.add_user(LEAD, "lead@example.com", "Lead")
    queue = langsmith.add_queue("Three eyes", reviewers_per_run=3)
    langsmith.assign_queue(queue, *(email for _, email in PEOPLE.values()))
    bench.environment |= {**DIRECT, "WORKER_QUEUES": str(queue)}
    assert bench.run("poll").returncode == 0
    return queue


def texts(slack: SimulatedSlack, name: str) -> list[str]:
    """The direct messages that a person has, oldest first."""
    user = PEOPLE[name][0] if name in PEOPLE else name
    return [str(message["text"]) for message in slack.direct_messages(user)]


def test_with_three_assigned_and_one_done_two_people_get_one_message_each_and_the_third_none(
    bench: Bench, langsmith: SimulatedLangSmith, slack: SimulatedSlack, team: UUID
) -> None:
    run = langsmith.add_run(team, name="Refund flow")
    langsmith.complete(run, reviewer="ada@example.com")
    assert bench.run("poll").returncode == 0
    assert "• Refund flow" in texts(slack, "ben")[0], "its name is asked for before people are notified of it"
    assert bench.run("poll").returncode == 0
    assert [len(texts(slack, name)) for name in ("ada", "ben", "eve")] == [0, 1, 1]
    assert texts(slack, "ben")[0].startswith("1 new run for you to review in Three eyes")
    assert "• Refund flow" in texts(slack, "ben")[0]
    assert "1 of 3 reviews done, waiting for Eve" in texts(slack, "ben")[0]
    assert not [attempt for attempt in slack.posts if attempt.channel.startswith("C")]


def test_a_message_is_kept_true_for_its_reader(
    bench: Bench, langsmith: SimulatedLangSmith, slack: SimulatedSlack, team: UUID
) -> None:
    with bench.service() as service:
        run = langsmith.add_run(team, name="Refund flow")
        wait_for(lambda: len(texts(slack, "eve")) == 1, "a direct message")
        langsmith.complete(run, reviewer="eve@example.com")
        wait_for(lambda: "reviewed by you" in texts(slack, "eve")[0], "the reader's own review")
        assert texts(slack, "eve")[0].startswith("Nothing left for you to review in Three eyes")
        assert service.stop() == 0
    assert len(slack.posts) == 3


def test_who_gets_a_run_hears_of_it_and_who_loses_it_does_not_again(
    bench: Bench, langsmith: SimulatedLangSmith, slack: SimulatedSlack, team: UUID
) -> None:
    run = langsmith.add_run(team, name="Refund flow")
    langsmith.assign(run, "ada@example.com")
    assert bench.run("poll").returncode == 0
    langsmith.assign(run, "ben@example.com")
    assert bench.run("poll").returncode == 0
    assert [len(texts(slack, name)) for name in ("ada", "ben", "eve")] == [1, 1, 0]
    assert "no longer your turn" in texts(slack, "ada")[0]


def test_the_owner_hears_once_of_a_person_whom_no_message_reaches(
    bench: Bench, langsmith: SimulatedLangSmith, slack: SimulatedSlack, team: UUID
) -> None:
    run = langsmith.add_run(team, name="Refund flow")
    langsmith.assign(run, "ada@example.com")
    slack.alter_user(PEOPLE["ada"][0], is_deleted=True)
    for _ in range(2):
        assert bench.run("poll", WORKER_OWNER=LEAD).returncode == 0
    assert [len(texts(slack, name)) for name in ("ada", LEAD)] == [0, 1]
    assert "waiting for Ada (has left)" in texts(slack, LEAD)[0]
    assert "a direct message goes to the owner" in bench.run("runs", WORKER_OWNER=LEAD).stdout
    assert "has left the Slack workspace" in bench.run("people", WORKER_OWNER=LEAD).stdout


def test_a_person_who_has_left_is_tried_once(
    bench: Bench, langsmith: SimulatedLangSmith, slack: SimulatedSlack, team: UUID
) -> None:
    slack.alter_user(PEOPLE["ada"][0], is_deleted=True)
    with bench.service(WORKER_OWNER=LEAD) as service:
        with langsmith.at_once():
            langsmith.assign(langsmith.add_run(team, name="Refund flow"), "ada@example.com")
        wait_for(lambda: texts(slack, LEAD), "the owner's message")
        assert len(service.logged("person_not_reached")) == 1
        assert service.stop() == 0


def test_the_channel_hears_where_no_message_reaches_anybody(
    bench: Bench, langsmith: SimulatedLangSmith, slack: SimulatedSlack, team: UUID
) -> None:
    slack.switch_messages_tab(on=False)
    langsmith.add_run(team, name="Refund flow")
    for _ in range(3):
        bench.run("poll", WORKER_OWNER=LEAD)
    posted = [attempt for attempt in slack.posts if attempt.committed]
    assert [attempt.channel[0] for attempt in posted] == ["C"]


def test_the_commands_show_who_is_notified_directly(bench: Bench, langsmith: SimulatedLangSmith, team: UUID) -> None:
    run = langsmith.add_run(team, name="Refund flow")
    langsmith.assign(run, "ada@example.com")
    assert bench.run("poll").returncode == 0
    assert json.loads(bench.run("runs", "--json").stdout)["runs"][0]["last_notified_at"]
    second = langsmith.add_run(team, name="Order status")
    langsmith.assign(second, "ada@example.com")
    assert bench.run("poll", WORKER_NAG_PER_PERSON_DAY="1").returncode == 0
    assert [bool(each["last_notified_at"]) for each in json.loads(bench.run("runs", "--json").stdout)["runs"]] == [
        True,
        False,
    ]
    assert "direct messages go to Ada" in bench.run("runs").stdout
    story = bench.run("why", "Refund").stdout
    assert "direct" in story
    assert PEOPLE["ada"][0] in story
    assert "direct" in bench.run("deliveries").stdout
    assert bench.run("status").returncode in {0, 1}


def test_a_dry_run_shows_direct_messages_and_sends_none(
    bench: Bench, langsmith: SimulatedLangSmith, slack: SimulatedSlack, team: UUID
) -> None:
    first = langsmith.add_run(team, name="Refund flow")
    langsmith.assign(first, "ada@example.com")
    assert bench.run("poll").returncode == 0
    second = langsmith.add_run(team, name="Order status")
    langsmith.assign(second, "ben@example.com")
    shown = bench.run("poll", "--dry-run", WORKER_ANNOUNCE_EVERY="0s").stdout
    assert f"direct to {PEOPLE['ben'][0]}" in shown
    assert "1 new run for you to review in Three eyes" in shown
    assert "Refund flow" not in shown
    assert [len(texts(slack, name)) for name in ("ada", "ben")] == [1, 0]


def test_a_dry_run_before_the_first_start_works_where_people_are_notified_directly(
    bench: Bench, langsmith: SimulatedLangSmith, team: UUID
) -> None:
    langsmith.add_run(team, name="Refund flow")
    done = bench.run("poll", "--dry-run", WORKER_DATABASE_URL="sqlite:///none-yet.db")
    assert (done.returncode, "1 queue: 1 baseline to" in done.stdout) == (0, True)


def test_the_settings_of_getting_started_notify_the_reviewers_alone(
    bench: Bench, langsmith: SimulatedLangSmith, slack: SimulatedSlack, team: UUID
) -> None:
    slack.add_user("U0LEAD00001", "owner@example.com", "Owner")
    slack.add_user("U0SAM000001", "another@example.com", "Sam")
    langsmith.assign_queue(team, "ada@example.com", "sam@example.com")
    (block,) = [text for text in TOML.findall(GETTING_STARTED.read_text()) if "people =" in text]
    (bench.directory / "worker.toml").write_text(dedent(block))
    for name in DIRECT.keys() - {"WORKER_LANGSMITH_API"}:
        del bench.environment[name]
    langsmith.add_run(team, name="Refund flow")
    checked = bench.run("check")
    assert checked.returncode == 0, checked.stdout
    assert bench.run("poll").returncode == 0
    listed = bench.run("people").stdout
    assert all(user in listed for user in (PEOPLE["ada"][0], "U0SAM000001"))
    assert [len(slack.direct_messages(user)) for user in (PEOPLE["ada"][0], "U0SAM000001", "U0LEAD00001")] == [1, 1, 0]
    assert not [attempt for attempt in slack.posts if attempt.channel.startswith("C")]


@pytest.mark.long(12)
def test_kill_9_while_direct_messages_are_posted_loses_none_and_repeats_none(
    bench: Bench, langsmith: SimulatedLangSmith, slack: SimulatedSlack, team: UUID
) -> None:
    langsmith.add_run(team, name="Refund flow")
    for lives, mode in enumerate((Mode.HANG, Mode.COMMIT_THEN_HANG), start=1):
        slack.fail("chat.postMessage", mode=mode, times=1)
        with bench.service() as service:
            wait_for(lambda lives=lives: len(slack.posts) >= lives, "a direct message has arrived")
            service.kill()
    with bench.service() as service:
        wait_for(lambda: all(texts(slack, name) for name in PEOPLE), "a message to each")
        assert service.stop() == 0
    assert [len(texts(slack, name)) for name in PEOPLE] == [1, 1, 1]
    assert all("Refund flow" in texts(slack, name)[0] for name in PEOPLE)
