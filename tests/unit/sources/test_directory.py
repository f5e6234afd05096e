"""What the queues are called."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
import structlog

from tests.support.langsmith_stage import QUEUE, QUEUES, WEB
from worker.core.model import Access, Queue
from worker.core.ports import SourceError, Trouble
from worker.demo.langsmith.server import How

if TYPE_CHECKING:
    from tests.support.langsmith_stage import Stage
    from worker.demo.langsmith.application import ReceivedRequest


def lookups(stage: Stage, queue: UUID) -> Any:
    found = [asked for asked in stage.langsmith.requests if asked.path == QUEUE.format(queue_id=queue)]
    stage.langsmith.forget_requests()
    return len(found)


def test_a_queue_is_told_with_its_name_link_and_reviewers(stage: Stage) -> None:
    queue = stage.langsmith.add_queue("Support QA", reviewers_per_run=3)
    link = f"{WEB}/o/{stage.langsmith.tenant_id}/annotation-queues/{queue}"
    assert stage.snapshot(queue).queue == Queue(queue, "Support QA", link, 3, Access.ANY, disagreed=0)
    assert list(stage.source.queues()) == [Queue(queue, "Support QA", link, 3, Access.ANY)]


def test_a_name_is_looked_up_seldom(stage: Stage, queue: UUID) -> None:
    for _ in range(4):
        stage.snapshot(queue)
    assert lookups(stage, queue) == 1
    stage.langsmith.rename_queue(queue, "Triage")
    stage.clock.advance(timedelta(hours=1))
    assert stage.snapshot(queue).queue.name == "Triage"
    assert lookups(stage, queue) == 1


def test_the_list_of_queues_freshens_the_names(stage: Stage, queue: UUID) -> None:
    stage.snapshot(queue)
    stage.langsmith.rename_queue(queue, "Triage")
    stage.source.queues()
    lookups(stage, queue)
    assert stage.snapshot(queue).queue.name == "Triage"
    assert lookups(stage, queue) == 0


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 404},
        {"status": 500},
        {"how": How.HTML, "status": 200},
        {"how": How.BODY, "status": 200},
        {"how": How.BODY, "status": 200, "body": b"[]"},
        {"how": How.DROP},
    ],
)
def test_a_failed_look_up_costs_one_line_and_no_poll(stage: Stage, queue: UUID, fault: Any) -> None:
    stage.langsmith.fail(path=f"/annotation-queues/{queue}", **fault, times=None)
    added = stage.add(queue, 1)
    stage.langsmith.heal()
    refuse_only_the_queue(stage, queue, fault)
    with structlog.testing.capture_logs() as lines:
        snapshots = [stage.snapshot(queue) for _ in range(3)]
    assert [run.queue_run_id for run in snapshots[-1].runs] == added
    assert snapshots[-1].queue.name == str(queue)
    assert [line["event"] for line in lines if line["event"] != "listing_in_use"] == ["queue_names_unknown"]
    assert lookups(stage, queue) == 1


def refuse_only_the_queue(stage: Stage, queue: UUID, fault: Any) -> None:
    """Faults hold for parts of paths, so this one is planned anew for each request for the queue itself."""

    def act(asked: ReceivedRequest) -> None:
        if asked.path == QUEUE.format(queue_id=queue):
            stage.langsmith.fail(**fault, times=1)

    stage.langsmith.before_each_answer(act)


def test_a_name_is_tried_again_after_five_minutes_and_kept_meanwhile(stage: Stage, queue: UUID) -> None:
    stage.snapshot(queue)
    stage.langsmith.switch_off(QUEUE)
    stage.clock.advance(timedelta(hours=1))
    assert stage.snapshot(queue).queue.name == "Support QA"
    lookups(stage, queue)
    stage.snapshot(queue)
    assert lookups(stage, queue) == 0
    stage.clock.advance(timedelta(minutes=6))
    stage.langsmith.switch_on(QUEUE)
    stage.langsmith.rename_queue(queue, "Triage")
    assert stage.snapshot(queue).queue.name == "Triage"


@pytest.mark.parametrize("number", [0, 1, 99, 100, 101, 250])
def test_every_queue_is_listed_over_all_pages(stage: Stage, number: Any) -> None:
    added = [stage.langsmith.add_queue(f"Queue {n}") for n in range(number)]
    assert [queue.queue_id for queue in stage.source.queues()] == added


def serve(stage: Stage, rows: Any) -> None:
    stage.langsmith.fail(How.BODY, path=QUEUES, status=200, body=json.dumps(rows).encode())


def test_a_list_without_end_is_refused(stage: Stage) -> None:
    serve(stage, [{"id": str(UUID(int=n + 1))} for n in range(100)])
    with pytest.raises(SourceError, match="no end") as caught:
        stage.source.queues()
    assert caught.value.trouble is Trouble.UNLAWFUL


def test_strange_queues_are_named_by_their_id_or_left_out(stage: Stage) -> None:
    one = UUID(int=1)
    serve(stage, [{"name": "no id"}, 7, {"id": str(one), "name": {"a": 1}, "num_reviewers_per_item": "many"}])
    assert list(stage.source.queues()) == [Queue(one, str(one))]


@pytest.mark.parametrize("reviewers", [0, -1, True, None, 1.5, 10**9])
def test_an_implausible_number_of_reviewers_is_one(stage: Stage, reviewers: Any) -> None:
    serve(stage, [{"id": str(UUID(int=1)), "num_reviewers_per_item": reviewers}])
    (queue,) = stage.source.queues()
    assert queue.reviewers_per_run == 1


@pytest.mark.parametrize("body", [b"", b"{}", b"<html>"])
def test_an_unlawful_list_is_an_error(stage: Stage, body: bytes) -> None:
    stage.langsmith.fail(How.BODY, path=QUEUES, status=200, body=body)
    with pytest.raises(SourceError) as caught:
        stage.source.queues()
    assert caught.value.trouble is Trouble.UNLAWFUL


def test_the_workspace_of_the_settings_links_queues_that_cannot_be_looked_up(stage: Stage, queue: UUID) -> None:
    workspace = stage.langsmith.tenant_id
    stage.langsmith.serve_the_seed_alone()
    stage.restart(workspace_id=str(workspace))
    assert stage.snapshot(queue).queue.url == f"{WEB}/o/{workspace}/annotation-queues/{queue}"
