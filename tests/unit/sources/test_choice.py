"""Which of the two listings is read."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
import structlog

from tests.support.langsmith_stage import ITEMS, QUEUE, RUNS, SHOW, ids
from worker.core.model import Snapshot, Unchanged
from worker.core.ports import SourceError, Trouble
from worker.demo.langsmith.server import How
from worker.sources.langsmith.choice import Api, Ending, Outlook

if TYPE_CHECKING:
    from tests.support.langsmith_stage import Stage

SUNSET = "Sun, 31 Jan 2027 00:00:00 GMT"


def listings(stage: Stage) -> Any:
    """Which listings were asked, in order, since the last call."""
    paths = [asked.path for asked in stage.langsmith.requests]
    stage.langsmith.forget_requests()
    return [path.rpartition("/")[2] for path in paths if path.endswith(("/runs", "/items"))]


def test_the_older_listing_is_read_while_it_is_not_deprecated(stage: Stage, queue: UUID) -> None:
    stage.add(queue, 1)
    stage.snapshot(queue)
    stage.snapshot(queue)
    assert listings(stage) == ["runs", "runs"]
    assert stage.source.outlook == Outlook(Api.RUNS)


@pytest.mark.parametrize("headers", [{"deprecation": "true", "sunset": ""}, {"deprecation": "", "sunset": SUNSET}])
def test_once_it_is_deprecated_the_newer_one_is_read_and_nothing_looks_different(
    stage: Stage, queue: UUID, headers: Any
) -> None:
    added = stage.add(queue, 120)
    before = stage.snapshot(queue)
    stage.langsmith.deprecate(**headers)
    with structlog.testing.capture_logs() as lines:
        during, after, later = (stage.snapshot(queue) for _ in range(3))
    assert ids(before) == ids(during) == ids(after) == added
    assert listings(stage) == ["runs"] * 4 + ["items"] * 6
    assert [found.listing for found in (before, during, after, later)] == ["runs", "runs", "items", "items"]
    said = [("listing_changed", "items"), ("listing_in_use", "items")]
    assert [(line["event"], line["listing"]) for line in lines] == said
    strip = [(run.queue_run_id, run.run_id, run.added_at, run.effective_added_at) for run in before.runs]
    assert [(run.queue_run_id, run.run_id, run.added_at, run.effective_added_at) for run in after.runs] == strip


def test_the_decision_outlives_a_restart(stage: Stage, queue: UUID) -> None:
    stage.langsmith.deprecate()
    stage.snapshot(queue)
    listings(stage)
    stage.restart()
    assert [stage.snapshot(queue).listing for _ in range(2)] == ["items", "items"]
    assert listings(stage) == ["items", "items"]


def shown(stage: Stage) -> Any:
    """What `status` shows of the listing in use."""
    return json.loads(stage.kept["listing in use"])


def test_which_listing_is_read_and_until_when_is_shown(stage: Stage, queue: UUID) -> None:
    stage.snapshot(queue)
    assert shown(stage) == {"name": "runs", "ends_at": None, "meaning": "LangSmith has announced no end of it"}
    stage.langsmith.switch_off(ITEMS)
    stage.langsmith.deprecate()
    stage.snapshot(queue)
    assert (shown(stage)["name"], shown(stage)["ends_at"]) == ("runs", "2027-01-31T00:00:00+00:00")
    stage.langsmith.switch_on(ITEMS)
    stage.clock.advance(timedelta(hours=2))
    stage.snapshot(queue)
    meaning = "LangSmith ends the other on 2027-01-31; no end of this one is announced"
    for _ in range(2):
        assert shown(stage) == {"name": "items", "ends_at": None, "meaning": meaning}
        stage.restart()
        stage.snapshot(queue)


def test_a_deprecation_that_is_taken_back_is_forgotten(stage: Stage, queue: UUID) -> None:
    stage.langsmith.switch_off(ITEMS)
    stage.langsmith.deprecate()
    stage.snapshot(queue)
    stage.langsmith.deprecate(deprecation="", sunset="")
    stage.snapshot(queue)
    assert stage.source.outlook == Outlook(Api.RUNS)


def test_a_deprecation_to_come_changes_nothing_yet(stage: Stage, queue: UUID) -> None:
    stage.langsmith.deprecate(deprecation="@1811808000", sunset="")
    stage.snapshot(queue)
    assert stage.source.outlook == Outlook(Api.RUNS)


def test_conversations_are_revealed_by_the_newer_listing_and_no_run_is(stage: Stage, queue: UUID) -> None:
    stage.add(queue, 2)
    talk = stage.langsmith.add_run(queue, conversation=True)
    assert stage.snapshot(queue).revealed == frozenset()
    stage.langsmith.deprecate()
    stage.snapshot(queue)
    assert stage.snapshot(queue).revealed == {talk}


def test_the_decision_holds_for_all_queues_of_the_server(stage: Stage, queue: UUID) -> None:
    other = stage.langsmith.add_queue("Other")
    stage.langsmith.deprecate()
    stage.snapshot(queue)
    listings(stage)
    stage.snapshot(other)
    assert listings(stage) == ["items"]


def test_a_server_without_the_newer_listing_is_read_by_the_older_with_a_warning(stage: Stage, queue: UUID) -> None:
    stage.langsmith.switch_off(ITEMS)
    stage.langsmith.deprecate()
    added = stage.add(queue, 2)
    with structlog.testing.capture_logs() as lines:
        assert ids(stage.snapshot(queue)) == ids(stage.snapshot(queue)) == added
    warning, in_use = lines
    assert in_use["meaning"] == "LangSmith ends it on 2027-01-31"
    assert (warning["event"], warning["log_level"], warning["days"]) == ("listing_ends", "info", 334)
    assert "404" in warning["successor_fails"]
    outlook = stage.source.outlook
    assert (outlook.api, outlook.ending.sunset.isoformat()) == (Api.RUNS, "2027-01-31T00:00:00+00:00")
    assert "404" in outlook.obstacle


def test_the_warning_comes_once_a_day_and_louder_as_the_date_nears(stage: Stage, queue: UUID) -> None:
    stage.langsmith.switch_off(ITEMS)
    stage.langsmith.deprecate()
    said = []
    for hours in (0, 1, 24, 24 * 300, 24 * 25):
        stage.clock.advance(timedelta(hours=hours))
        with structlog.testing.capture_logs() as lines:
            stage.snapshot(queue)
        said.append([line["log_level"] for line in lines if line["event"] == "listing_ends"])
    assert said == [["info"], [], ["info"], ["warning"], ["error"]]


def test_the_newer_listing_is_tried_again_every_hour(stage: Stage, queue: UUID) -> None:
    stage.langsmith.switch_off(ITEMS)
    stage.langsmith.deprecate()
    for _ in range(7):
        stage.snapshot(queue)
        stage.clock.advance(timedelta(minutes=20))
    assert listings(stage).count("items") == 3
    stage.langsmith.switch_on(ITEMS)
    stage.clock.advance(timedelta(hours=1))
    stage.snapshot(queue)
    assert stage.source.outlook.api is Api.ITEMS


@pytest.mark.parametrize(
    "fault",
    [{"how": How.HTML, "status": 200}, {"how": How.BODY, "status": 200, "body": b'{"error":"x"}'}, {"status": 500}],
)
def test_a_newer_listing_that_is_unlawful_is_not_gone_over_to(stage: Stage, queue: UUID, fault: Any) -> None:
    stage.langsmith.deprecate()
    stage.langsmith.fail(path="/items", **fault)
    added = stage.add(queue, 2)
    assert ids(stage.snapshot(queue)) == added
    assert stage.source.outlook.api is Api.RUNS


@pytest.mark.parametrize("shown", [0, 1, 2])
def test_a_newer_listing_that_lacks_most_of_the_runs_is_not_gone_over_to(stage: Stage, queue: UUID, shown: int) -> None:
    added = stage.add(queue, 4)
    stage.langsmith.deprecate()
    rows = [{"id": str(one), "item_type": "RUN"} for one in added[:shown]]
    body = json.dumps({"items": rows}).encode()
    stage.langsmith.fail(How.BODY, path="/items", status=200, body=body)
    assert ids(stage.snapshot(queue)) == added
    goes_over = shown >= 2
    assert stage.source.outlook.api is (Api.ITEMS if goes_over else Api.RUNS)
    assert goes_over or stage.source.outlook.obstacle == f"the newer listing shows {shown} of the 4 runs of a queue"


def test_a_newer_listing_that_has_the_runs_by_other_ids_is_gone_over_to(stage: Stage, queue: UUID) -> None:
    stage.add(queue, 2)
    stage.langsmith.deprecate()
    rows = [{"id": str(UUID(int=n + 1)), "run_id": str(run.run_id)} for n, run in enumerate(stage.snapshot(queue).runs)]
    stage.restart()
    stage.kept.clear()
    body = json.dumps({"items": rows}).encode()
    stage.langsmith.fail(How.BODY, path="/items", status=200, body=body)
    stage.snapshot(queue)
    assert stage.source.outlook.api is Api.ITEMS


@pytest.mark.parametrize("status", [404, 405, 410])
def test_where_the_older_listing_is_gone_but_the_queue_exists_the_newer_is_read(
    stage: Stage, queue: UUID, status: Any
) -> None:
    added = stage.add(queue, 2)
    stage.langsmith.fail(path="/runs", status=status)
    assert ids(stage.snapshot(queue)) == added
    listings(stage)
    assert ids(stage.snapshot(queue)) == added
    assert listings(stage) == ["items"]


def test_a_queue_that_does_not_exist_changes_no_decision(stage: Stage, queue: UUID) -> None:
    for api in ("runs", "items"):
        with pytest.raises(SourceError, match="WORKER_QUEUES") as caught:
            stage.snapshot(UUID(int=7))
        assert caught.value.trouble is Trouble.MISSING
        assert stage.source.outlook.api == api
        stage.langsmith.deprecate()
        stage.snapshot(queue)


def test_where_neither_listing_answers_the_first_trouble_is_told(stage: Stage, queue: UUID) -> None:
    stage.langsmith.switch_off(RUNS)
    stage.langsmith.fail(path="/items", status=500)
    with pytest.raises(SourceError) as caught:
        stage.snapshot(queue)
    assert caught.value.trouble is Trouble.MISSING
    assert stage.source.outlook.api is Api.RUNS


def test_where_it_cannot_be_told_whether_the_queue_exists_nothing_is_decided(stage: Stage, queue: UUID) -> None:
    stage.langsmith.switch_off(RUNS)
    stage.langsmith.fail(path=f"/annotation-queues/{queue}", status=500)
    stage.langsmith.fail(path="/runs", status=404)
    with pytest.raises(SourceError):
        stage.snapshot(queue)
    assert stage.source.outlook.api is Api.RUNS


def test_a_server_that_loses_the_newer_listing_is_read_by_the_older_again(stage: Stage, queue: UUID) -> None:
    added = stage.add(queue, 2)
    stage.langsmith.deprecate()
    stage.snapshot(queue)
    stage.langsmith.switch_off(ITEMS)
    stage.langsmith.deprecate(deprecation="", sunset="")
    snapshot = stage.snapshot(queue)
    assert (ids(snapshot), snapshot.listing) == (added, "runs")
    assert stage.source.outlook.api is Api.RUNS
    listings(stage)
    stage.snapshot(queue)
    assert listings(stage) == ["runs"]


def test_one_unlawful_answer_of_the_newer_listing_is_made_up_for_by_the_older(stage: Stage, queue: UUID) -> None:
    added = stage.add(queue, 2)
    stage.langsmith.deprecate()
    stage.snapshot(queue)
    stage.langsmith.fail(How.HTML, path="/items", status=200, times=1)
    assert ids(stage.snapshot(queue)) == added
    assert stage.source.outlook.api is Api.ITEMS


@pytest.mark.parametrize("status", [401, 429, 500])
def test_a_passing_trouble_of_the_newer_listing_is_a_failed_poll(stage: Stage, queue: UUID, status: Any) -> None:
    stage.langsmith.deprecate()
    stage.snapshot(queue)
    listings(stage)
    stage.langsmith.fail(path="/items", status=status)
    with pytest.raises(SourceError):
        stage.snapshot(queue)
    assert listings(stage) == ["items"]


def test_a_listing_that_was_set_is_kept(stage: Stage, queue: UUID) -> None:
    stage.langsmith.deprecate()
    stage.restart(api="runs")
    stage.snapshot(queue)
    assert listings(stage) == ["runs"]
    found = stage.source.outlook
    assert (found.api, found.obstacle) == (Api.RUNS, "WORKER_LANGSMITH_API=runs is set")
    assert isinstance(found.ending, Ending)
    stage.langsmith.switch_off(RUNS)
    with pytest.raises(SourceError):
        stage.snapshot(queue)
    assert listings(stage) == ["runs"]


def test_the_newer_listing_that_was_set_is_kept(stage: Stage, queue: UUID) -> None:
    stage.restart(api="items")
    stage.langsmith.switch_off(ITEMS)
    with pytest.raises(SourceError):
        stage.snapshot(queue)
    assert listings(stage) == ["items"]


def test_a_listing_of_another_kind_is_never_unchanged(stage: Stage, queue: UUID) -> None:
    stage.add(queue, 2)
    before = stage.restart(api="runs").snapshot(queue, SHOW).concluded
    after = stage.restart(api="items").snapshot(queue, SHOW, before)
    assert isinstance(after, Snapshot)
    assert after.listing == "items"
    assert isinstance(stage.source.snapshot(queue, SHOW, after.concluded), Unchanged)


def test_a_list_that_is_as_before_is_read_whole_to_compare_the_newer_with(stage: Stage, queue: UUID) -> None:
    stage.add(queue, 2)
    stage.snapshot(queue)  # which tells the workspace too
    before = stage.snapshot(queue).concluded
    stage.langsmith.deprecate()
    listings(stage)
    assert isinstance(stage.source.snapshot(queue, SHOW, before), Unchanged)
    assert listings(stage) == ["runs", "items", "runs"]
    assert stage.source.outlook.api is Api.ITEMS


def test_the_queue_route_alone_missing_means_that_the_queue_is_missing(stage: Stage, queue: UUID) -> None:
    stage.langsmith.switch_off(QUEUE)
    stage.langsmith.switch_off(RUNS)
    with pytest.raises(SourceError) as caught:
        stage.snapshot(queue)
    assert caught.value.trouble is Trouble.MISSING
