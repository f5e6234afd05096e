"""Reviewers become people in Slack, and their names and e-mails go nowhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.system.process import Bench, wait_for

if TYPE_CHECKING:
    from uuid import UUID

    from worker.demo.langsmith.server import SimulatedLangSmith
    from worker.demo.slack.server import SimulatedSlack

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
