"""What of a queue cannot be seen is no secret: rows without ids, a blind key, names that come late."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.support.langsmith_stage import QUERY
from tests.system.conftest import CHANNEL
from tests.system.process import stays, wait_for
from worker.demo.langsmith.server import SERVICE_KEY

if TYPE_CHECKING:
    from uuid import UUID

    from tests.system.process import Bench
    from worker.demo.langsmith.server import SimulatedLangSmith
    from worker.demo.slack.server import SimulatedSlack

pytestmark = pytest.mark.usefixtures("migrated")

OPS = "C0OPS000000"


def reasons(bench: Bench) -> list[str]:
    """The kinds of the reasons for which `status` ends with 1."""
    ended = bench.run("status", "--json")
    kinds = [reason["kind"] for reason in json.loads(ended.stdout)["reasons"]]
    assert ended.returncode == bool(kinds)
    return kinds


@pytest.mark.long(12)
def test_a_row_that_loses_its_id_is_not_crossed_off(
    bench: Bench, langsmith: SimulatedLangSmith, slack: SimulatedSlack, queue: UUID
) -> None:
    slack.add_channel(OPS, "ops")
    _, lost, _ = (langsmith.add_run(queue, name=name) for name in "ABC")
    with bench.service(WORKER_OPS_CHANNEL=OPS) as service:
        wait_for(lambda: slack.messages(CHANNEL), "a baseline")
        langsmith.lose(lost, "queue_run_id")
        wait_for(lambda: slack.messages(OPS), "a report")
        wait_for(lambda: reasons(bench) == ["rows_unusable"], "a reason")
        stays(lambda: "no longer waiting" not in slack.messages(CHANNEL)[0]["text"], 3, "it waits still")
        langsmith.lose(lost)
        wait_for(lambda: service.logged("incident_ended"), "the end")
        wait_for(lambda: reasons(bench) == [], "all is well")
        assert len(service.logged("incident_began")) == 1
        langsmith.complete(lost)
        wait_for(lambda: "2 of 3 left" in slack.messages(CHANNEL)[0]["text"], "what is true")


@pytest.mark.long(12)
def test_a_key_that_is_shown_nothing_of_what_is_open_is_a_reason(
    bench: Bench, langsmith: SimulatedLangSmith, queue: UUID
) -> None:
    langsmith.add_run(queue)
    langsmith.leave_to_others(SERVICE_KEY, queue)
    with bench.service() as service:
        wait_for(lambda: service.logged("incident_began"), "an incident")
        wait_for(lambda: reasons(bench) == ["queue_blind"], "a reason")
        langsmith.open_eyes(SERVICE_KEY, queue)
        wait_for(lambda: service.logged("incident_ended"), "the end")


def test_names_that_come_late_reach_the_message(
    bench: Bench, langsmith: SimulatedLangSmith, slack: SimulatedSlack, queue: UUID
) -> None:
    langsmith.fail(path=QUERY, status=429, retry_after="6", times=1)
    langsmith.add_run(queue, name="the late name")
    with bench.service(WORKER_LANGSMITH_API="items"):
        wait_for(lambda: slack.messages(CHANNEL), "a baseline")
        assert "the late name" not in slack.messages(CHANNEL)[0]["text"]
        wait_for(lambda: "the late name" in slack.messages(CHANNEL)[0]["text"], "the name")
