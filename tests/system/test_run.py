"""The main job, through the real process: what people see in Slack as runs come, wait, and go."""

from __future__ import annotations

import signal
import sqlite3
from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.system.conftest import CHANNEL, LEADS
from tests.system.process import PATIENCE, Bench, soon_after, stays, wait_for
from worker.clock import SystemClock

if TYPE_CHECKING:
    from uuid import UUID

    from worker.demo.langsmith.server import SimulatedLangSmith
    from worker.demo.slack.server import SimulatedSlack

pytestmark = pytest.mark.usefixtures("migrated")


def kinds(slack: SimulatedSlack, channel: str = CHANNEL) -> list[str]:
    return [message["metadata"]["event_payload"]["kind"] for message in slack.messages(channel)]


def posted(slack: SimulatedSlack, kind: str, channel: str = CHANNEL) -> list[dict[str, Any]]:
    return [m for m in slack.messages(channel) if m["metadata"]["event_payload"]["kind"] == kind]


def wait_for_kinds(slack: SimulatedSlack, *wanted: str, channel: str = CHANNEL, patience: float = PATIENCE) -> None:
    what = f"{wanted} in {channel}, but {kinds(slack, channel)}"
    wait_for(lambda: kinds(slack, channel) == list(wanted), what, patience=patience)


def ago(seconds: float) -> Any:
    return SystemClock().now() - timedelta(seconds=seconds)


@pytest.mark.long(7)
def test_baseline_announcement_reminder_and_no_word_of_completed_runs(
    bench: Bench, langsmith: SimulatedLangSmith, slack: SimulatedSlack, queue: UUID
) -> None:
    begun_at = ago(0)
    first = [langsmith.add_run(queue, name=f"waiting {number}") for number in range(3)]
    with bench.service(WORKER_STALE_AFTER="never") as service:
        wait_for_kinds(slack, "baseline")
        baseline = posted(slack, "baseline")[0]["text"]
        assert "3 runs" in baseline
        assert all(f"waiting {number}" in baseline for number in range(3))

        with langsmith.at_once():
            langsmith.add_run(queue, name="new one")
            langsmith.add_run(queue, name="new two")
        wait_for_kinds(slack, "baseline", "announcement")
        announcement = posted(slack, "announcement")[0]["text"]
        assert "2 new runs" in announcement
        assert "new one" in announcement
        assert "new two" in announcement
        assert "• waiting" not in announcement
        langsmith.complete(first[0])
        assert service.stop() == 0

    with bench.service(WORKER_STALE_AFTER=soon_after(begun_at)) as service:
        wait_for(lambda: posted(slack, "reminder"), "a reminder")
        wait_for(lambda: sum("new" in m["text"] for m in posted(slack, "reminder")), "the new ones too")
        assert not any("waiting 0" in m["text"] for m in posted(slack, "reminder"))
        reminded = ["waiting 1", "waiting 2", "new one", "new two"]
        for name in reminded:
            assert sum(name in m["text"] for m in posted(slack, "reminder")) == 1, name
        assert service.stop() == 0


@pytest.mark.long(9)
def test_all_stale_at_once_get_one_reminder(
    bench: Bench, langsmith: SimulatedLangSmith, slack: SimulatedSlack, queue: UUID
) -> None:
    added_at = ago(0)
    for number in range(5):
        langsmith.add_run(queue, name=f"run {number}", added_at=added_at)
    with bench.service(WORKER_STALE_AFTER="never"):
        wait_for_kinds(slack, "baseline")
    with bench.service(WORKER_STALE_AFTER=soon_after(added_at)):
        wait_for_kinds(slack, "baseline", "reminder")
        assert "5 of 5 waiting runs are overdue" in posted(slack, "reminder")[0]["text"]
        stays(lambda: kinds(slack) == ["baseline", "reminder"], 3, "nothing is repeated")


def test_killed_and_started_again_it_repeats_nothing(
    bench: Bench, langsmith: SimulatedLangSmith, slack: SimulatedSlack, queue: UUID
) -> None:
    langsmith.add_run(queue)
    with bench.service(cold=True) as service:
        wait_for_kinds(slack, "baseline")
        service.kill()
    langsmith.add_run(queue, name="came while it was down")
    with bench.service(cold=True):
        wait_for_kinds(slack, "baseline", "announcement")
        stays(lambda: len(kinds(slack)) == 2, 3, "nothing is repeated")
    assert "came while it was down" in posted(slack, "announcement")[0]["text"]


def test_a_run_that_was_put_back_is_announced_as_back(
    bench: Bench, langsmith: SimulatedLangSmith, slack: SimulatedSlack, queue: UUID
) -> None:
    run = langsmith.add_run(queue, name="returner", added_at=ago(60))
    langsmith.add_run(queue, name="stayer", added_at=ago(60))
    with bench.service():
        wait_for_kinds(slack, "baseline")
        langsmith.complete(run)
        wait_for(lambda: "edited" in slack.messages(CHANNEL)[0], "the baseline shows the review")
        langsmith.requeue(run)
        wait_for_kinds(slack, "baseline", "announcement")
    text = posted(slack, "announcement")[0]["text"]
    assert "back in the queue" in text
    assert "returner" in text
    assert "stayer" not in text


def test_5000_waiting_at_the_first_start_give_one_message(
    bench: Bench, langsmith: SimulatedLangSmith, slack: SimulatedSlack, queue: UUID
) -> None:
    for number in range(5000):
        langsmith.add_run(queue, name=f"run {number}")
    with bench.service(WORKER_REQUESTS_PER_SECOND="1000"):
        wait_for_kinds(slack, "baseline")
        stays(lambda: kinds(slack) == ["baseline"], 3, "one message")
    text = posted(slack, "baseline")[0]["text"]
    assert "5,000 runs" in text
    assert "and 4,990 more" in text


@pytest.mark.long(7)
def test_a_server_that_knows_the_listing_alone_is_served_fully(
    bench: Bench, langsmith: SimulatedLangSmith, slack: SimulatedSlack, queue: UUID
) -> None:
    begun_at = ago(0)
    langsmith.serve_the_seed_alone()
    langsmith.add_run(queue, name="first")
    with bench.service(WORKER_STALE_AFTER="never") as service:
        wait_for_kinds(slack, "baseline")
        run = langsmith.add_run(queue, name="second")
        wait_for_kinds(slack, "baseline", "announcement")
        langsmith.complete(run)
        wait_for(lambda: "edited" in posted(slack, "announcement")[0], "the announcement shows the review")
        assert service.stop() == 0
    with bench.service(WORKER_STALE_AFTER=soon_after(begun_at)) as service:
        wait_for(lambda: "reminder" in kinds(slack), "a reminder of the first")
        assert service.stop() == 0


@pytest.mark.long(6)
def test_escalation_goes_to_its_own_channel_with_its_mention(
    bench: Bench, langsmith: SimulatedLangSmith, slack: SimulatedSlack, queue: UUID
) -> None:
    begun_at = ago(0)
    langsmith.add_run(queue, name="urgent")
    with bench.service():
        wait_for_kinds(slack, "baseline")
    settings = {
        "WORKER_ESCALATE_AFTER": soon_after(begun_at),
        "WORKER_ESCALATE_TO": LEADS,
        "WORKER_ESCALATE_MENTION": "S0ONCALL00",
    }
    with bench.service(**settings):
        wait_for_kinds(slack, "escalation", channel=LEADS)
    assert "<!subteam^S0ONCALL00>" in str(slack.messages(LEADS)[0]["blocks"])
    assert kinds(slack) == ["baseline"]


@pytest.mark.long(12)
def test_a_reserved_run_is_spared_until_it_is_let_go(
    bench: Bench, langsmith: SimulatedLangSmith, slack: SimulatedSlack, queue: UUID
) -> None:
    begun_at = ago(0)
    run = langsmith.add_run(queue, name="being read")
    langsmith.reserve(run)
    with bench.service(WORKER_STALE_AFTER="never"):
        wait_for_kinds(slack, "baseline")
    with bench.service(WORKER_STALE_AFTER=soon_after(begun_at)) as service:
        wait_for(lambda: service.logged("started"), "the start")
        stays(lambda: kinds(slack) == ["baseline"], 5, "reserved runs are spared")
        langsmith.release(run)
        wait_for_kinds(slack, "baseline", "reminder")


def test_an_outage_of_langsmith_loses_nothing_and_says_so_once(
    bench: Bench, langsmith: SimulatedLangSmith, slack: SimulatedSlack, queue: UUID
) -> None:
    langsmith.add_run(queue)
    with bench.service() as service:
        wait_for_kinds(slack, "baseline")
        langsmith.fail(status=503)
        wait_for(lambda: service.logged("queue_failing"), "the failure is logged")
        langsmith.add_run(queue, name="came in the dark")
        langsmith.heal()
        wait_for_kinds(slack, "baseline", "announcement")
        assert len(service.logged("queue_failing")) == 1
        assert len(service.logged("queue_recovered")) == 1


def test_a_queue_that_fails_at_once_after_a_restart_is_called_by_its_name(
    bench: Bench, langsmith: SimulatedLangSmith, slack: SimulatedSlack, queue: UUID
) -> None:
    langsmith.add_run(queue)
    with bench.service():
        wait_for_kinds(slack, "baseline")
    langsmith.fail(status=503)
    with bench.service() as service:
        wait_for(lambda: service.logged("queue_failing"), "the failure is logged")
        assert service.logged("queue_failing")[0]["queue"] == "Support QA"


@pytest.mark.long(13)
def test_a_database_that_another_locks_is_one_line_and_costs_no_message(
    bench: Bench, langsmith: SimulatedLangSmith, slack: SimulatedSlack, queue: UUID
) -> None:
    langsmith.add_run(queue)
    with bench.service() as service:
        wait_for_kinds(slack, "baseline")
        with closing(sqlite3.connect(bench.directory / "worker.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            langsmith.add_run(queue, name="came while it was locked")
            wait_for(lambda: service.logged("store_failing"), "the lock is told of")
            other.execute("ROLLBACK")
        wait_for_kinds(slack, "baseline", "announcement")
        wait_for(lambda: service.logged("store_recovered"), "the end is told of")
        assert len(service.logged("store_failing")) == 1
        assert service.stop() == 0
    assert len(slack.messages(CHANNEL)) == 2


def test_one_failing_queue_does_not_hold_up_another(
    bench: Bench, langsmith: SimulatedLangSmith, slack: SimulatedSlack, queue: UUID
) -> None:
    other = langsmith.add_queue("Other")
    langsmith.add_run(queue, name="unseen")
    langsmith.add_run(other, name="seen")
    langsmith.fail(status=500, path=str(queue))
    with bench.service(WORKER_QUEUES=f"{queue},{other}"):
        wait_for_kinds(slack, "baseline")
        assert "seen" in slack.messages(CHANNEL)[0]["text"]


def test_all_follows_queues_that_come(
    bench: Bench, langsmith: SimulatedLangSmith, slack: SimulatedSlack, queue: UUID
) -> None:
    langsmith.add_run(queue)
    langsmith.add_run(langsmith.add_queue("RAG bot"))
    with bench.service(WORKER_QUEUES="all"):
        wait_for_kinds(slack, "baseline")
        assert "2 runs are waiting in 2 queues" in slack.messages(CHANNEL)[0]["text"]


@pytest.mark.parametrize("number", ["SIGTERM", "SIGINT"])
def test_a_signal_ends_it_cleanly(bench: Bench, number: str) -> None:
    with bench.service(cold=True) as service:
        wait_for(lambda: service.logged("started"), "start")
        assert service.stop(signal.Signals[number]) == 0
        assert service.logged("stopped")


def test_a_second_instance_is_refused_and_names_the_first(bench: Bench) -> None:
    with bench.service() as service:
        wait_for(lambda: service.logged("started"), "start")
        second = bench.run("run")
        assert second.returncode == 75
        assert f"process {service.popen.pid}" in second.stderr


def test_hostile_names_reach_slack_as_text(
    bench: Bench, langsmith: SimulatedLangSmith, slack: SimulatedSlack, queue: UUID
) -> None:
    langsmith.add_run(queue, name="<!channel> " + "x" * 5000 + "\n<@U0BOSS00000>")
    with bench.service():
        wait_for_kinds(slack, "baseline")
    message = slack.messages(CHANNEL)[0]
    assert "<!channel>" not in message["text"]
    assert "<!channel>" not in str(message["blocks"])
    assert "<@U0BOSS00000>" not in str(message)
