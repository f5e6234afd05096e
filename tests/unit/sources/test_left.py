"""How runs left their queue."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.clock import FakeClock
from tests.support.langsmith_stage import PLACEMENT, SHOW
from worker.core.model import Fate
from worker.core.ports import SourceError, Trouble
from worker.demo.langsmith.server import How

if TYPE_CHECKING:
    from uuid import UUID

    from tests.support.langsmith_stage import Stage
    from worker.demo.langsmith.server import SimulatedLangSmith


class SlowClock(FakeClock):
    """Every request takes two seconds."""

    def __init__(self, langsmith: SimulatedLangSmith) -> None:
        super().__init__()
        self._langsmith = langsmith

    def monotonic(self) -> float:
        return 2.0 * len(self._langsmith.requests)


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
    left = stage.source.fates(queue, [reviewed, removed, waiting])
    assert left == {reviewed: Fate.REVIEWED, removed: Fate.REMOVED, waiting: Fate.UNKNOWN}


def test_with_a_personal_key_reviewed_by_me_is_reviewed(stage: Stage) -> None:
    stage.langsmith.add_key("lsv2_pt_me", reviewer="me@example.com")
    queue = stage.langsmith.add_queue("Pairs", reviewers_per_run=2)
    mine, _ = stage.add(queue, 2)
    stage.langsmith.complete(mine, reviewer="me@example.com")
    for statuses, expected in [
        (("needs_my_review",), {mine: Fate.REVIEWED}),
        (("needs_my_review", "needs_others_review"), {mine: Fate.UNKNOWN}),
    ]:
        stage.restart(key="lsv2_pt_me", statuses=statuses).snapshot(queue, SHOW)
        assert stage.source.fates(queue, [mine]) == expected


def test_a_removed_run_is_believed_only_where_the_question_is_known_to_work(stage: Stage, queue: UUID) -> None:
    removed, waiting = stage.add(queue, 2)
    stage.langsmith.remove(removed)
    stage.snapshot(queue)
    assert stage.source.fates(queue, [removed]) == {removed: Fate.REMOVED}
    assert placements(stage) == 2
    stage.langsmith.remove(waiting)
    stage.snapshot(queue)
    assert stage.source.fates(queue, [waiting]) == {waiting: Fate.REMOVED}
    assert placements(stage) == 1


def test_with_nothing_left_to_test_the_question_on_nothing_is_said(stage: Stage, queue: UUID) -> None:
    (removed,) = stage.add(queue, 1)
    stage.langsmith.remove(removed)
    stage.snapshot(queue)
    assert stage.source.fates(queue, [removed]) == {}
    assert stage.restart(api="items").fates(queue, [removed]) == {}


def test_a_server_that_does_not_know_the_question_is_not_asked_again_for_an_hour(stage: Stage, queue: UUID) -> None:
    stage.langsmith.switch_off(PLACEMENT)
    removed, _ = stage.add(queue, 2)
    stage.langsmith.remove(removed)
    stage.snapshot(queue)
    for _ in range(3):
        assert stage.source.fates(queue, [removed]) == {removed: Fate.UNKNOWN}
    assert placements(stage) == 2
    stage.clock.advance(timedelta(minutes=61))
    stage.langsmith.switch_on(PLACEMENT)
    assert stage.source.fates(queue, [removed]) == {removed: Fate.REMOVED}


def test_many_runs_cost_no_more_than_the_budget(stage: Stage, queue: UUID) -> None:
    added = stage.add(queue, 50)
    for one in added[1:]:
        stage.langsmith.complete(one)
    stage.snapshot(queue)
    left = stage.source.fates(queue, added[1:])
    assert left == dict.fromkeys(added[1:21], Fate.REVIEWED)
    assert placements(stage) == 20


def test_without_placements_the_older_listing_shows_what_was_reviewed(stage: Stage, queue: UUID) -> None:
    stage.langsmith.switch_off(PLACEMENT)
    reviewed, removed, _ = stage.add(queue, 3)
    stage.langsmith.complete(reviewed)
    stage.langsmith.remove(removed)
    stage.snapshot(queue)
    left = stage.source.fates(queue, [reviewed, removed])
    assert left == {reviewed: Fate.REVIEWED, removed: Fate.UNKNOWN}


def test_looking_into_other_sections_is_given_up_where_it_shows_nothing(stage: Stage, queue: UUID) -> None:
    stage.langsmith.switch_off(PLACEMENT)
    *removed, _ = stage.add(queue, 7)
    for one in removed:
        stage.langsmith.remove(one)
    stage.snapshot(queue)
    for one in removed:
        assert stage.source.fates(queue, [one]) == {one: Fate.UNKNOWN}
    assert glances(stage) == ["25"] * 3


def test_the_sections_are_not_searched_twice_for_the_same_runs(stage: Stage, queue: UUID) -> None:
    first, second = stage.add(queue, 2)
    stage.langsmith.remove(first)
    stage.langsmith.remove(second)
    stage.snapshot(queue)
    for asked in [[first], [first], [second, first], [second], [first]]:
        assert stage.source.fates(queue, asked) == {}, "nothing waits that could show that 404 means removed"
    assert glances(stage) == ["25"] * 2


def glances(stage: Stage) -> list[str]:
    """The sizes of the pages of reviewed runs that were read."""
    return [asked.query["limit"] for asked in stage.langsmith.requests if asked.query.get("status") == "completed"]


def test_a_run_that_waits_in_another_queue_shows_that_the_question_works(stage: Stage, queue: UUID) -> None:
    other = stage.langsmith.add_queue("Other")
    stage.add(other, 1)
    (removed,) = stage.add(queue, 1)
    stage.snapshot(other)
    stage.langsmith.remove(removed)
    stage.snapshot(queue)
    assert stage.source.fates(queue, [removed]) == {removed: Fate.REMOVED}


@pytest.mark.parametrize("body", [b'{"section": 7}', b'{"section": "elsewhere"}', b"{}"])
def test_an_answer_of_which_we_know_nothing_is_an_answer(stage: Stage, queue: UUID, body: bytes) -> None:
    one, _ = stage.add(queue, 2)
    stage.snapshot(queue)
    stage.langsmith.fail(How.BODY, path="/placement", status=200, body=body)
    assert stage.source.fates(queue, [one]) == {one: Fate.UNKNOWN}


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]"])
def test_an_unlawful_answer_says_nothing(stage: Stage, queue: UUID, body: bytes) -> None:
    one, _ = stage.add(queue, 2)
    stage.langsmith.fail(How.BODY, path="/placement", status=200, body=body)
    with pytest.raises(SourceError, match="asking how a run left") as caught:
        stage.source.fates(queue, [one])
    assert caught.value.trouble is Trouble.UNLAWFUL


def test_what_was_found_out_before_an_error_is_told(stage: Stage, queue: UUID) -> None:
    *gone, _ = stage.add(queue, 4)
    for one in gone:
        stage.langsmith.complete(one)
    stage.langsmith.fail(path=f"{gone[2]}/placement", status=500)
    assert stage.source.fates(queue, gone) == dict.fromkeys(gone[:2], Fate.REVIEWED)


def test_slow_answers_do_not_add_up(stage: Stage, queue: UUID) -> None:
    *gone, _ = stage.add(queue, 9)
    for one in gone:
        stage.langsmith.complete(one)
    stage.snapshot(queue)
    source = stage.restart(clock=SlowClock(stage.langsmith))
    assert len(source.fates(queue, gone)) == 3


def test_an_error_is_told(stage: Stage, queue: UUID) -> None:
    one, _ = stage.add(queue, 2)
    stage.langsmith.fail(path="/placement", status=500)
    with pytest.raises(SourceError):
        stage.source.fates(queue, [one])


def test_nobody_is_asked_about_nothing(stage: Stage, queue: UUID) -> None:
    stage.snapshot(queue)
    stage.langsmith.forget_requests()
    assert stage.source.fates(queue, []) == {}
    assert stage.asked() == []
