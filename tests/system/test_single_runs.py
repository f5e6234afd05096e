"""`runs`, `why` and `retry` take what a person has."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.system.conftest import CHANNEL

if TYPE_CHECKING:
    from uuid import UUID

    from tests.system.process import Bench
    from worker.demo.langsmith.server import SimulatedLangSmith
    from worker.demo.slack.server import SimulatedSlack

pytestmark = pytest.mark.usefixtures("migrated")


def listed(bench: Bench, *arguments: str) -> list[dict[str, Any]]:
    done = bench.run(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    return list(found["deliveries" if arguments[0] == "deliveries" else "runs"])


def test_a_run_is_found_by_its_ids_by_links_and_by_part_of_its_name(
    bench: Bench, langsmith: SimulatedLangSmith, slack: SimulatedSlack, queue: UUID
) -> None:
    wanted = langsmith.add_run(queue, name="checkout-agent")
    assert bench.run("poll").returncode == 0
    langsmith.add_run(queue, name="Billing agent")
    assert bench.run("poll").returncode == 0
    (run_id,) = [each["run_id"] for each in listed(bench, "runs") if each["queue_run_id"] == str(wanted)]
    ts = slack.messages(CHANNEL)[0]["ts"].replace(".", "")
    for what in (
        str(wanted),
        run_id,
        run_id[:8],
        f"https://smith.langchain.com/o/{queue}/projects/p/{queue}/r/{run_id}?poll=true",
        f"https://acme.slack.com/archives/{CHANNEL}/p{ts}",
        "CHECKOUT",
    ):
        assert [each["queue_run_id"] for each in listed(bench, "why", what)] == [str(wanted)], what
    assert "next: reminder in 3 h" in bench.run("why", "checkout", WORKER_STALE_AFTER="4h").stdout
    several = bench.run("why", "agent")
    assert several.returncode == 0
    assert "Several runs match" in several.stdout
    for nothing in ("nothing", "https://smith.langchain.com", ""):
        assert bench.run("why", nothing).returncode == 1


def test_what_waits_is_listed_with_ids_and_what_comes_next(
    bench: Bench, langsmith: SimulatedLangSmith, queue: UUID
) -> None:
    langsmith.add_run(queue, name="the one \x1b[31m")
    assert bench.run("poll").returncode == 0
    (one,) = listed(bench, "runs", "support  qa")
    assert (one["run"], one["queue"], one["next"]["kind"]) == ("the one \x1b[31m", "Support QA", "reminder")
    assert one["last_notified_at"]
    shown = bench.run("runs", str(queue)).stdout
    assert one["queue_run_id"] in shown
    assert "\x1b" not in shown
    assert "Support QA" in bench.run("runs", "No such queue").stderr
    assert bench.run("runs", "No such queue").returncode == 1


def test_retry_takes_a_beginning_and_says_what_happens_next(
    bench: Bench, langsmith: SimulatedLangSmith, slack: SimulatedSlack, queue: UUID
) -> None:
    assert bench.run("poll").returncode == 0
    langsmith.add_run(queue)
    slack.kick(CHANNEL)
    assert bench.run("poll").returncode == 1
    (held,) = listed(bench, "deliveries")
    for unknown in ("nonsense", "zz", ""):
        assert bench.run("retry", unknown).returncode == 1
    done = bench.run("retry", held["key"][:6])
    assert done.returncode == 0, done.stderr
    assert "is pending again" in done.stdout
    assert "No service is running: the next `run` or `poll` posts it" in done.stdout
    slack.invite(CHANNEL)
    assert bench.run("poll").returncode == 0
    assert "is sent: only a dead or held one" in bench.run("retry", held["key"][:6]).stderr


def test_a_dry_run_says_what_it_could_not_read(bench: Bench, langsmith: SimulatedLangSmith, queue: UUID) -> None:
    langsmith.fail(status=500)
    done = bench.run("poll", "--dry-run")
    assert (done.returncode, done.stdout.splitlines()[-1]) == (1, "Could not read 1 of 1 queue; nothing else to post")
    assert f"{queue} could not be read: " in done.stdout
    assert "The list of queues could not be read" in bench.run("poll", "--dry-run", WORKER_QUEUES="Any").stdout


def test_a_dry_run_refuses_a_folder_that_poll_would_refuse(bench: Bench) -> None:
    for command in (["poll", "--dry-run"], ["poll"]):
        done = bench.run(*command, WORKER_DATABASE_URL="sqlite:///nowhere/worker.db")
        assert (done.returncode, done.stdout) == (78, ""), done.stderr
        assert "/nowhere of the database does not exist" in done.stderr


def test_a_key_that_is_empty_or_strange_can_be_seen_in_the_answer(bench: Bench) -> None:
    assert bench.run("poll").returncode == 0
    assert "has the key '';" in bench.run("retry", "").stderr
