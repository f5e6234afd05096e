"""The report of what only the live service can tell."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from tests.support.langsmith_stage import COUNT, ITEMS, SIZE
from worker.demo.langsmith.server import How

if TYPE_CHECKING:
    from tests.support.langsmith_stage import Stage


def report(stage: Stage, queue: UUID) -> Any:
    return list(stage.source.live(queue))


def test_it_tells_order_ids_dates_headers_and_counts(stage: Stage, queue: UUID) -> None:
    for minutes in range(3):
        stage.langsmith.add_run(queue, name="secret", added_at=stage.clock.now() + timedelta(minutes=minutes))
    stage.langsmith.deprecate()
    assert report(stage, queue) == [
        "runs: 3 rows read, 3 with a usable id",
        "runs: headers deprecation: true; sunset: Sun, 31 Jan 2027 00:00:00 GMT",
        "runs: 3 dates, 3 of them with a zone",
        "runs: order by added_at is ascending",
        "items: 3 rows read, 3 with a usable id",
        "items: headers say nothing of limits or an end",
        "items: 3 dates, 3 of them with a zone",
        "items: order by added_at is ascending",
        "ids: 3 of 3 in runs are in items too (3 read)",
        "count needs_my_review: 3",
        "count needs_others_review: 0",
        "count completed: 0",
    ]


def test_it_only_reads_and_asks_little(stage: Stage, queue: UUID) -> None:
    stage.add(queue, 200)
    report(stage, queue)
    assert {asked.method for asked in stage.langsmith.requests} == {"GET"}
    assert len(stage.langsmith.requests) == 5


@pytest.mark.parametrize(
    ("dates", "order"),
    [
        (["2026-03-02T12:00:00", "2026-03-02T11:00:00"], "descending"),
        (["2026-03-02T12:00:00", "2026-03-02T11:00:00", "2026-03-02T13:00:00"], "none"),
        (["2026-03-02T12:00:00", "2026-03-02T12:00:00"], "unknown (too few dates)"),
        ([], "unknown (too few dates)"),
    ],
)
def test_it_tells_the_order_and_the_zone(stage: Stage, queue: UUID, dates: Any, order: Any) -> None:
    rows = [{"queue_run_id": str(UUID(int=n + 1)), "added_at": date} for n, date in enumerate(dates)]
    stage.langsmith.fail(How.BODY, path="/runs", status=200, body=json.dumps(rows).encode())
    told = report(stage, queue)
    assert f"runs: order by added_at is {order}" in told
    assert f"runs: {len(dates)} dates, 0 of them with a zone" in told


def test_what_the_server_does_not_know_is_a_line_too(stage: Stage, queue: UUID) -> None:
    for route in (ITEMS, COUNT, SIZE):
        stage.langsmith.switch_off(route)
    told = report(stage, queue)
    assert sum(line.startswith("items: reading a sample of items: LangSmith answered 404") for line in told) == 1
    assert told[-1] == "count completed: the server does not count"


@pytest.mark.parametrize("body", [b"", b"<html>", b"{}"])
def test_a_failing_call_is_a_line_too(stage: Stage, queue: UUID, body: bytes) -> None:
    stage.langsmith.fail(How.BODY, status=200, body=body)
    told = report(stage, queue)
    assert len(told) >= 4
    assert any(line.startswith("runs: reading a sample of runs: the answer is") for line in told)
