"""Runs on which reviewers disagree, in the real process: counted everywhere, and waiting where the settings say so."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.system.conftest import CHANNEL
from worker.clock import SystemClock

if TYPE_CHECKING:
    from uuid import UUID

    from tests.system.process import Bench
    from worker.demo.langsmith.server import SimulatedLangSmith
    from worker.demo.slack.server import SimulatedSlack

ADA, BO = "ada@example.com", "bo@example.com"
WATCHED = {"WORKER_STATUSES": "needs_my_review,disagreed"}


@pytest.fixture
def queue(langsmith: SimulatedLangSmith) -> UUID:
    langsmith.compare_reviews(on=True)
    return langsmith.add_queue("Pairs", reviewers_per_run=2)


def dispute(langsmith: SimulatedLangSmith, run: UUID) -> None:
    langsmith.complete(run, reviewer=ADA)
    langsmith.complete(run, reviewer=BO)
    langsmith.disagree(run)


def add(langsmith: SimulatedLangSmith, queue: UUID, name: str, hours: int = 2) -> UUID:
    return langsmith.add_run(queue, name=name, added_at=SystemClock().now() - timedelta(hours=hours))


def poll(bench: Bench, **settings: str) -> None:
    done = bench.run("poll", **settings)
    assert done.returncode == 0, done.stderr


def shown(bench: Bench) -> Any:
    return json.loads(bench.run("status", "--json").stdout)["queues"][0]


def test_they_are_counted_beside_what_waits(
    bench: Bench, langsmith: SimulatedLangSmith, slack: SimulatedSlack, queue: UUID
) -> None:
    for name in ("one", "two"):
        dispute(langsmith, add(langsmith, queue, name))
    add(langsmith, queue, "three")
    poll(bench)
    assert (shown(bench)["waiting"], shown(bench)["disagreed"]) == (1, 2)
    assert "Reviewers disagree" in bench.run("status").stdout
    (posted,) = slack.messages(CHANNEL)
    assert "reviewers disagree on 2" in json.dumps(posted["blocks"])
    assert "one" not in posted["text"].split()


def test_where_they_are_watched_they_wait_and_are_reminded_of(
    bench: Bench, langsmith: SimulatedLangSmith, slack: SimulatedSlack, queue: UUID
) -> None:
    old, later = add(langsmith, queue, "Old one"), add(langsmith, queue, "Later one")
    dispute(langsmith, old)
    poll(bench)
    baseline = slack.messages(CHANNEL)
    # Those that are there when it is switched on are a first sight, and no news.
    poll(bench, **WATCHED)
    first, second = slack.messages(CHANNEL)
    assert [first["ts"]] == [message["ts"] for message in baseline]
    assert second["metadata"]["event_payload"]["kind"] == "baseline"
    assert "Old one" in second["text"]
    # One that comes later keeps its place: nothing is announced, and what shows it says so.
    dispute(langsmith, later)
    poll(bench, **WATCHED)
    assert len(slack.messages(CHANNEL)) == 2
    assert (shown(bench)["waiting"], shown(bench)["disagreed"]) == (2, 2)
    assert [each["disagreed"] for each in json.loads(bench.run("runs", "--json").stdout)["runs"]] == [True, True]
    assert "still waiting, reviewers disagree" in bench.run("why", "Later").stdout
    poll(bench, **WATCHED, WORKER_STALE_AFTER="1h", WORKER_REMIND_EVERY="1s")
    reminder = slack.messages(CHANNEL)[-1]
    assert reminder["metadata"]["event_payload"]["kind"] == "reminder"
    assert "2 of 2 reviews done, reviewers disagree" in reminder["text"]
    # With a final answer it is reviewed.
    langsmith.disagree(old, settled=True)
    langsmith.disagree(later, settled=True)
    for _ in range(2):  # in a listing of two pages a run has left when it was absent twice
        poll(bench, **WATCHED)
    assert shown(bench)["waiting"] == 0
