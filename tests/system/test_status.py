"""`status` beside the real service: who runs, and every reason why all is not well."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.system.conftest import CHANNEL
from tests.system.process import Bench, wait_for
from worker.version import release

if TYPE_CHECKING:
    from uuid import UUID

    from tests.system.stage import Stage
    from worker.demo.langsmith.server import SimulatedLangSmith
    from worker.demo.slack.server import SimulatedSlack


def status(bench: Bench, **more: str) -> dict[str, Any]:
    """What it says, which has to fit its exit status."""
    done = bench.run("status", "--json", **more)
    found: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == (0 if found["ok"] else 1), done.stderr
    assert found["ok"] == (not found["reasons"])
    return found


def kinds(bench: Bench, **more: str) -> set[str]:
    return {reason["kind"] for reason in status(bench, **more)["reasons"]}


def first_line(bench: Bench) -> str:
    done = bench.run("status", WORKER_POLL_INTERVAL="60s")
    return done.stdout.partition("\n")[0]  # empty where it meets a service that is just opening the database


def test_the_first_line_says_whether_a_service_runs(bench: Bench, langsmith: SimulatedLangSmith, queue: UUID) -> None:
    langsmith.add_run(queue)
    with bench.service() as service:
        wait_for(lambda: service.logged("started"), "it runs")
        wait_for(lambda: "A service is running: process " in first_line(bench), "the service is known")
        found = status(bench, WORKER_POLL_INTERVAL="60s")
        assert (found["running"], found["service"]["version"]) == (True, release())
        assert set(found["service"]) == {"pid", "host", "since", "version", "link"}
        service.kill()
        assert first_line(bench).startswith("No service is running; the last service did not stop by itself: process ")
        assert status(bench, WORKER_POLL_INTERVAL="60s")["running"] is False
    with bench.service() as service:
        wait_for(lambda: "A service is running" in first_line(bench), "the next service is known")
        assert service.stop() == 0
    assert first_line(bench).startswith("No service is running; the last service ended ")


def test_after_a_pass_no_service_runs(bench: Bench) -> None:
    assert bench.run("poll").returncode == 0
    assert first_line(bench).startswith("No service is running; the last pass ended ")


@pytest.mark.long(10)
def test_a_token_or_a_channel_that_slack_refuses_is_a_reason_until_it_is_taken(
    bench: Bench, langsmith: SimulatedLangSmith, slack: SimulatedSlack, queue: UUID
) -> None:
    calm = {"WORKER_POLL_INTERVAL": "60s"}
    langsmith.add_run(queue)
    slack.token_error = "token_revoked"
    with bench.service() as service:
        wait_for(lambda: service.logged("started"), "it runs")
        wait_for(lambda: "token_refused" in kinds(bench, **calm), "the token is refused")
        said = bench.run("status", **calm).stdout
        assert "Slack: has refused the token since" in said
        assert "SLACK_BOT_TOKEN was revoked: reinstall the app" in said
        slack.token_error = None
        slack.kick(CHANNEL)
        (held,) = json.loads(bench.run("deliveries", "--json").stdout)["deliveries"]
        assert bench.run("retry", held["key"]).returncode == 0
        wait_for(lambda: kinds(bench, **calm) == {"channel_refused", "delivery_held"}, "the channel is refused")
        slack.invite(CHANNEL)
        assert bench.run("retry", held["key"]).returncode == 0
        wait_for(lambda: kinds(bench, **calm) == set(), "all is well again")


@pytest.mark.long(15)
@pytest.mark.parametrize(
    ("settings", "kind", "said"),
    [
        pytest.param({"WORKER_QUEUES": "Nowhere"}, "queue_unknown", "Nowhere: no queue has this name", id="name"),
        pytest.param(
            {"WORKER_QUEUES": "Support QA", "LANGSMITH_API_KEY": "lsv2_pt_wrong"}, "queue_missing", "401", id="key"
        ),
        pytest.param({"LANGSMITH_ENDPOINT": "http://127.0.0.1:9"}, "queue_late", "cannot connect", id="server"),
    ],
)
def test_a_worker_that_has_never_polled_is_not_well(
    bench: Bench, settings: dict[str, str], kind: str, said: str
) -> None:
    with bench.service(**settings) as service:
        wait_for(lambda: service.logged("started"), "it runs")
        wait_for(
            lambda: any(
                (reason["kind"], said in reason["text"]) == (kind, True) for reason in status(bench)["reasons"]
            ),
            "what stands in the way",
        )
        assert said in bench.run("status").stdout


def test_on_postgres_each_worker_has_a_line(stage: Stage, migrated_postgres: str) -> None:
    stage.add("one")
    stage.use(migrated_postgres)
    with stage.service() as first, stage.service():
        wait_for(lambda: len(status(stage.bench)["services"]) == 2, "both are known")
        first.kill()
        wait_for(lambda: len(status(stage.bench)["services"]) == 1, "the lease of the first lapses")
