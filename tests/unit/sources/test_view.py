"""Whose view it is, what it hides, and how many wait."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.langsmith_stage import COUNT, QUEUES, SIZE
from worker.core.ports import SourceError
from worker.demo.langsmith.server import SERVICE_KEY, How

if TYPE_CHECKING:
    from uuid import UUID

    from tests.support.langsmith_stage import Stage

ME = "lsv2_pt_me"


@pytest.fixture
def pairs(stage: Stage) -> Any:
    """A queue for two reviewers: one run open to all, two that I have done my part of, one done."""
    stage.langsmith.add_key(ME, reviewer="me@example.com")
    queue = stage.langsmith.add_queue("Pairs", reviewers_per_run=2)
    _, mine, mine_too, done = stage.add(queue, 4)
    for one in (mine, mine_too, done):
        stage.langsmith.complete(one, reviewer="me@example.com")
    stage.langsmith.complete(done, reviewer="other@example.com")
    return queue


@pytest.mark.parametrize(
    ("key", "said"), [("lsv2_sk_x", "a service key"), ("lsv2_pt_x", "a personal key"), ("x", "is not known")]
)
def test_whose_view_it_is_is_told_by_the_key(stage: Stage, key: Any, said: Any) -> None:
    assert said in stage.restart(key=key).whose()


@pytest.mark.parametrize("missing", [(), (COUNT,), (COUNT, SIZE)])
def test_how_many_wait_is_counted_or_read(stage: Stage, pairs: Any, missing: Any) -> None:
    for route in missing:
        stage.langsmith.switch_off(route)
    assert stage.source.waiting(pairs) == 3
    assert stage.restart(key=ME).waiting(pairs) == 1
    assert stage.restart(key=ME, statuses=("needs_my_review", "needs_others_review")).waiting(pairs) == 3


@pytest.mark.parametrize("missing", [(), (COUNT,)])
def test_a_personal_key_is_told_what_it_hides(stage: Stage, pairs: Any, missing: Any) -> None:
    for route in missing:
        stage.langsmith.switch_off(route)
    (remark,) = stage.restart(key=ME).remarks(pairs)
    assert remark.text == "2 runs wait for the review of others, unannounced"
    assert "WORKER_STATUSES" in remark.fix


def test_a_service_key_hides_nothing(stage: Stage, pairs: Any) -> None:
    assert stage.source.remarks(pairs) == ()


def test_a_key_that_reads_the_others_too_hides_nothing(stage: Stage, pairs: Any) -> None:
    assert stage.restart(key=ME, statuses=("needs_my_review", "needs_others_review")).remarks(pairs) == ()


def test_a_key_that_is_blind_to_a_queue_is_told(stage: Stage, pairs: Any) -> None:
    stage.langsmith.blind(ME, pairs)
    (remark,) = stage.restart(key=ME).remarks(pairs)
    assert remark.text == "the key is shown none of the 3 runs that are open in this queue"
    assert "reviewer of this queue" in remark.fix


def test_blindness_shows_in_the_list_of_queues_where_nothing_else_counts_all(stage: Stage, pairs: Any) -> None:
    stage.langsmith.switch_off(COUNT)
    stage.langsmith.blind(ME, pairs)
    (remark,) = stage.restart(key=ME).remarks(pairs)
    assert "none of the 3 runs" in remark.text


def test_an_empty_queue_blinds_nobody(stage: Stage, queue: UUID) -> None:
    assert stage.source.remarks(queue) == ()
    stage.langsmith.complete(*stage.add(queue, 1))
    assert stage.source.remarks(queue) == ()


@pytest.mark.parametrize("missing", [(COUNT, SIZE), (COUNT, QUEUES)])
def test_where_nothing_is_counted_nothing_is_said(stage: Stage, pairs: Any, missing: Any) -> None:
    stage.langsmith.blind(ME, pairs)
    for route in missing:
        stage.langsmith.switch_off(route)
    assert stage.restart(key=ME).remarks(pairs) == ()


@pytest.mark.parametrize("body", [b"", b"[]", b"<html>"])
def test_an_unlawful_count_is_an_error(stage: Stage, queue: UUID, body: bytes) -> None:
    stage.langsmith.fail(How.BODY, path="/items/count", status=200, body=body)
    with pytest.raises(SourceError, match="counting"):
        stage.source.waiting(queue)


def test_a_count_that_fails_is_an_error(stage: Stage, queue: UUID) -> None:
    stage.langsmith.fail(path="/items/count", status=500)
    with pytest.raises(SourceError):
        stage.source.waiting(queue)
    with pytest.raises(SourceError):
        stage.source.remarks(queue)


def test_a_count_of_the_wrong_type_is_none(stage: Stage, queue: UUID) -> None:
    stage.langsmith.fail(How.BODY, path="/items/count", status=200, body=b'{"count":"many"}')
    stage.langsmith.switch_off(SIZE)
    stage.add(queue, 2)
    assert stage.source.waiting(queue) == 2


@pytest.mark.parametrize(
    ("key", "advice"),
    [
        (SERVICE_KEY, "use the personal key (lsv2_pt_…) of somebody who reviews this queue"),
        (ME, "make the key's owner a reviewer of this queue, or use the key of somebody who is"),
    ],
)
def test_a_key_that_is_shown_nothing_is_blind(stage: Stage, pairs: Any, key: Any, advice: str) -> None:
    source = stage.restart(key=key)
    stage.langsmith.blind(key, pairs)
    assert source.blindness(pairs) == ("the key is shown none of the 3 runs that are open in this queue", advice)


def test_a_service_key_to_which_all_is_the_review_of_others_is_blind(stage: Stage, pairs: Any) -> None:
    stage.snapshot(pairs)
    stage.langsmith.leave_to_others(SERVICE_KEY, pairs)
    found = stage.source.blindness(pairs)
    assert "3 runs wait for the review of others" in found.text
    assert found.fix.startswith("add needs_others_review to WORKER_STATUSES, or use the personal key")
    read = stage.restart(statuses=("needs_my_review", "needs_others_review"))
    assert read.blindness(pairs) is None


def test_a_person_who_is_done_is_not_blind(stage: Stage, pairs: Any) -> None:
    stage.restart(key=ME)
    stage.langsmith.leave_to_others(ME, pairs)
    assert stage.source.blindness(pairs) is not None
    stage.langsmith.open_eyes(ME, pairs)
    stage.snapshot(pairs)
    stage.restart(key=ME)
    stage.langsmith.leave_to_others(ME, pairs)
    assert stage.source.blindness(pairs) is None


def test_an_empty_queue_and_one_that_is_not_counted_blind_no_key(stage: Stage, queue: UUID, pairs: Any) -> None:
    assert stage.source.blindness(queue) is None
    stage.langsmith.blind(SERVICE_KEY, pairs)
    for route in (COUNT, SIZE):
        stage.langsmith.switch_off(route)
    assert stage.source.blindness(pairs) is None
