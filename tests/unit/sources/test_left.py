"""How runs left their queue."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.langsmith_stage import PLACEMENT, RUNS, SHOW
from worker.core.model import Left
from worker.core.ports import SourceError
from worker.demo.langsmith import How

if TYPE_CHECKING:
    from uuid import UUID

    from tests.langsmith_stage import Stage


def placements(stage: Stage) -> Any:
    found = [asked for asked in stage.langsmith.requests if asked.path.endswith("/placement")]
    stage.langsmith.forget_requests()
    return len(found)


@pytest.mark.parametrize("api", ["runs", "items"])
def test_reviewed_is_told_from_removed(stage: Stage, queue: UUID, api: Any) -> None:
    stage.restart(api=api)
    reviewed, removed, waiting, *_ = stage.add(queue, 4)
    stage.langsmith.complete(reviewed)
    stage.langsmith.remove(removed)
    stage.snapshot(queue)
    left = stage.source.how_left(queue, [reviewed, removed, waiting])
    assert left == {reviewed: Left.REVIEWED, removed: Left.REMOVED}


def test_with_a_personal_key_reviewed_by_me_is_reviewed(stage: Stage) -> None:
    stage.langsmith.add_key("lsv2_pt_me", reviewer="me@example.com")
    queue = stage.langsmith.add_queue("Pairs", reviewers_per_run=2)
    mine, _ = stage.add(queue, 2)
    stage.langsmith.complete(mine, reviewer="me@example.com")
    for statuses, expected in [
        (("needs_my_review",), {mine: Left.REVIEWED}),
        (("needs_my_review", "needs_others_review"), {}),
    ]:
        stage.restart(key="lsv2_pt_me", statuses=statuses).snapshot(queue, show=SHOW)
        assert stage.source.how_left(queue, [mine]) == expected


def test_a_removed_run_is_believed_only_where_the_question_is_known_to_work(stage: Stage, queue: UUID) -> None:
    removed, waiting = stage.add(queue, 2)
    stage.langsmith.remove(removed)
    stage.snapshot(queue)
    assert stage.source.how_left(queue, [removed]) == {removed: Left.REMOVED}
    assert placements(stage) == 2
    stage.langsmith.remove(waiting)
    stage.snapshot(queue)
    assert stage.source.how_left(queue, [waiting]) == {waiting: Left.REMOVED}
    assert placements(stage) == 1


def test_with_nothing_left_to_test_the_question_on_nothing_is_said(stage: Stage, queue: UUID) -> None:
    (removed,) = stage.add(queue, 1)
    stage.langsmith.remove(removed)
    stage.snapshot(queue)
    assert stage.source.how_left(queue, [removed]) == {}
    assert stage.restart(api="items").how_left(queue, [removed]) == {}


def test_a_server_that_does_not_know_the_question_is_not_asked_again_for_an_hour(stage: Stage, queue: UUID) -> None:
    stage.langsmith.switch_off(PLACEMENT)
    removed, _ = stage.add(queue, 2)
    stage.langsmith.remove(removed)
    stage.snapshot(queue)
    for _ in range(3):
        assert stage.source.how_left(queue, [removed]) == {}
    assert placements(stage) == 2
    stage.clock.advance(timedelta(minutes=61))
    stage.langsmith.switch_on(PLACEMENT)
    assert stage.source.how_left(queue, [removed]) == {removed: Left.REMOVED}


def test_many_runs_cost_no_more_than_the_budget(stage: Stage, queue: UUID) -> None:
    added = stage.add(queue, 50)
    for one in added[1:]:
        stage.langsmith.complete(one)
    stage.snapshot(queue)
    left = stage.source.how_left(queue, added[1:])
    assert left == dict.fromkeys(added[1:21], Left.REVIEWED)
    assert placements(stage) == 20


def test_without_placements_the_older_listing_shows_what_was_reviewed(stage: Stage, queue: UUID) -> None:
    stage.langsmith.switch_off(PLACEMENT)
    reviewed, removed, _ = stage.add(queue, 3)
    stage.langsmith.complete(reviewed)
    stage.langsmith.remove(removed)
    stage.snapshot(queue)
    assert stage.source.how_left(queue, [reviewed, removed]) == {reviewed: Left.REVIEWED}


def test_looking_into_other_sections_is_given_up_where_it_shows_nothing(stage: Stage, queue: UUID) -> None:
    stage.langsmith.switch_off(PLACEMENT)
    removed, _ = stage.add(queue, 2)
    stage.langsmith.remove(removed)
    stage.snapshot(queue)
    for _ in range(6):
        assert stage.source.how_left(queue, [removed]) == {}
    others = [asked for asked in stage.langsmith.requests if asked.query.get("status") == "completed"]
    assert [asked.query["limit"] for asked in others] == ["25"] * 3


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"section": 7}', b'{"section": "elsewhere"}', b"{}"])
def test_a_strange_answer_says_nothing(stage: Stage, queue: UUID, body: bytes) -> None:
    one, _ = stage.add(queue, 2)
    stage.snapshot(queue)
    stage.langsmith.fail(How.BODY, path="/placement", status=200, body=body)
    stage.langsmith.switch_off(RUNS)
    stage.restart(api="items").snapshot(queue, show=SHOW)
    assert stage.source.how_left(queue, [one]) == {}


def test_an_error_is_told(stage: Stage, queue: UUID) -> None:
    one, _ = stage.add(queue, 2)
    stage.langsmith.fail(path="/placement", status=500)
    with pytest.raises(SourceError):
        stage.source.how_left(queue, [one])


def test_nobody_is_asked_about_nothing(stage: Stage, queue: UUID) -> None:
    stage.snapshot(queue)
    stage.langsmith.forget_requests()
    assert stage.source.how_left(queue, []) == {}
    assert stage.asked() == []
