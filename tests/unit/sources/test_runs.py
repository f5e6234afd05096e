"""Reading the `runs` listing."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
import structlog

from tests.support.langsmith_stage import SHOW, WEB, ids, run_of
from worker.core.model import Difference, Facts, Fate, Show, Unchanged
from worker.core.ports import SourceError, Trouble
from worker.demo.langsmith.server import How

if TYPE_CHECKING:
    from tests.support.langsmith_stage import Stage
    from worker.demo.langsmith.application import ReceivedRequest


def pages(stage: Stage) -> Any:
    found = [
        (int(asked.query["limit"]), int(asked.query["offset"]))
        for asked in stage.langsmith.requests
        if asked.path.endswith("/runs")
    ]
    stage.langsmith.forget_requests()
    return found


@pytest.mark.parametrize(
    ("runs", "expected"),
    [
        (0, [(100, 0)]),
        (1, [(100, 0)]),
        (99, [(100, 0)]),
        (100, [(100, 0), (100, 90)]),
        (189, [(100, 0), (100, 90)]),
        (190, [(100, 0), (100, 90), (100, 180)]),
        (250, [(100, 0), (100, 90), (100, 180)]),
    ],
)
def test_pages_overlap_by_ten_rows_until_one_is_short(stage: Stage, queue: UUID, runs: Any, expected: Any) -> None:
    added = stage.add(queue, runs)
    snapshot = stage.snapshot(queue)
    assert ids(snapshot) == added
    assert pages(stage) == expected
    assert snapshot.one_page is (len(expected) == 1)
    assert (snapshot.unusable, snapshot.moved, snapshot.listing) == (0, False, "runs")


def test_a_run_is_told_with_what_may_be_shown(stage: Stage, queue: UUID) -> None:
    added = stage.langsmith.add_run(
        queue, name="triage", run_type="llm", tags=["vip"], error="boom", thread_id="t1", tokens=7, cost="0.50"
    )
    run = run_of(stage.snapshot(queue, frozenset(Show)), added)
    assert run.facts.url.startswith(f"{WEB}/o/{stage.langsmith.tenant_id}/projects/p/")
    assert run.facts == Facts(
        name="triage",
        run_type="llm",
        url=run.facts.url,
        tags=("vip",),
        error="boom",
        inputs_preview="A question to triage",
        outputs_preview="",
        thread="t1",
        tokens=7,
        cost="0.5",
    )
    assert run.added_at == run.effective_added_at == stage.clock.now()


def test_nothing_is_told_that_may_not_be_shown(stage: Stage, queue: UUID) -> None:
    added = stage.langsmith.add_run(queue, name="triage", tags=["vip"], error="boom", thread_id="t1", tokens=7)
    facts = run_of(stage.snapshot(queue, frozenset()), added).facts
    assert facts == Facts(url=facts.url)


def test_reservations_and_reviews_are_told(stage: Stage) -> None:
    queue = stage.langsmith.add_queue("Pairs", reviewers_per_run=2)
    first, second = stage.add(queue, 2)
    stage.langsmith.complete(first)
    stage.langsmith.reserve(second)
    snapshot = stage.snapshot(queue)
    assert (run_of(snapshot, first).done, run_of(snapshot, first).reserved) == (1, False)
    assert (run_of(snapshot, second).done, run_of(snapshot, second).reserved) == (0, True)
    assert snapshot.queue.reviewers_per_run == 2
    stage.langsmith.complete(first, reviewer="other@example.com")
    assert ids(stage.snapshot(queue)) == [second]


def test_a_requeued_run_keeps_its_id_and_has_a_newer_date(stage: Stage, queue: UUID) -> None:
    (added,) = stage.add(queue, 1)
    later = stage.clock.now().replace(year=2027)
    stage.langsmith.requeue(added, later)
    assert run_of(stage.snapshot(queue), added).added_at == later


def test_an_undated_run_is_undated(stage: Stage, queue: UUID) -> None:
    added = stage.langsmith.add_run(queue, undated=True)
    assert run_of(stage.snapshot(queue), added).added_at is None


def test_several_statuses_are_read_and_merged(stage: Stage) -> None:
    key = "lsv2_pt_someone"
    stage.langsmith.add_key(key, reviewer="me@example.com")
    queue = stage.langsmith.add_queue("Pairs", reviewers_per_run=2)
    mine, others = stage.add(queue, 2)
    stage.langsmith.complete(others, reviewer="me@example.com")
    assert ids(stage.restart(key=key).snapshot(queue, SHOW)) == [mine]
    both = stage.restart(key=key, statuses=("needs_my_review", "needs_others_review"))
    snapshot = both.snapshot(queue, SHOW)
    assert ids(snapshot) == [mine, others]
    assert snapshot.one_page is False


def test_progress_is_told_while_a_long_list_is_read(stage: Stage, queue: UUID) -> None:
    told = []
    stage.add(queue, 250)
    stage.restart(progress=lambda queue_id, runs: told.append((queue_id, runs))).snapshot(queue, SHOW)
    assert told == [(queue, 100), (queue, 190)]


def test_a_failed_page_concludes_nothing(stage: Stage, queue: UUID) -> None:
    stage.add(queue, 250)
    seen = []

    def fail_the_second(asked: ReceivedRequest) -> None:
        seen.append(asked)
        if len(seen) == 2:
            stage.langsmith.fail(How.STATUS, status=500, times=1)

    stage.langsmith.before_each_answer(fail_the_second)
    with pytest.raises(SourceError) as caught:
        stage.snapshot(queue)
    assert caught.value.trouble is Trouble.UNREACHABLE
    assert len(seen) == 2
    assert len(stage.snapshot(queue).runs) == 250


@pytest.mark.parametrize(
    ("fault", "trouble"),
    [
        ({"how": How.STATUS, "status": 401}, Trouble.REFUSED),
        ({"how": How.STATUS, "status": 403}, Trouble.REFUSED),
        ({"how": How.HTML, "status": 403}, Trouble.UNREACHABLE),
        ({"how": How.HTML, "status": 502}, Trouble.UNREACHABLE),
        ({"how": How.HTML, "status": 200}, Trouble.UNLAWFUL),
        ({"how": How.BODY, "status": 200}, Trouble.UNLAWFUL),
        ({"how": How.BODY, "status": 200, "body": b'{"runs": []}'}, Trouble.UNLAWFUL),
        ({"how": How.BODY, "status": 200, "body": b'[{"queue_run_id":'}, Trouble.UNLAWFUL),
        ({"how": How.STATUS, "status": 429, "retry_after": "5"}, Trouble.THROTTLED),
        ({"how": How.DROP}, Trouble.UNREACHABLE),
    ],
)
def test_each_failure_has_its_trouble_and_costs_one_request(
    stage: Stage, queue: UUID, fault: Any, trouble: Any
) -> None:
    stage.langsmith.fail(path="/runs", **fault)
    with pytest.raises(SourceError) as caught:
        stage.snapshot(queue)
    assert caught.value.trouble is trouble
    assert str(queue) in str(caught.value)
    assert len(stage.asked()) == 1


def test_a_failing_queue_does_not_touch_another(stage: Stage, queue: UUID) -> None:
    other = stage.langsmith.add_queue("Other")
    stage.add(other, 3)
    stage.langsmith.fail(path=str(queue), status=401)
    for _ in range(3):
        with pytest.raises(SourceError):
            stage.snapshot(queue)
        assert len(stage.snapshot(other).runs) == 3


def test_an_unknown_queue_is_missing(stage: Stage) -> None:
    with pytest.raises(SourceError, match="WORKER_QUEUES") as caught:
        stage.snapshot(UUID(int=7))
    assert caught.value.trouble is Trouble.MISSING


def test_a_bad_key_is_not_tried_for_every_queue(stage: Stage) -> None:
    queues = [stage.langsmith.add_queue(f"Queue {n}") for n in range(10)]
    stage.restart(key="lsv2_sk_wrong")
    for queue in queues:
        with pytest.raises(SourceError, match="LANGSMITH_API_KEY") as caught:
            stage.snapshot(queue)
        assert caught.value.trouble is Trouble.REFUSED
    assert len(stage.asked()) == 2


def test_a_throttled_key_is_not_tried_for_every_queue(stage: Stage) -> None:
    queues = [stage.langsmith.add_queue(f"Queue {n}") for n in range(10)]
    stage.langsmith.fail(status=429, retry_after="7")
    waits = []
    for queue in queues:
        with pytest.raises(SourceError) as caught:
            stage.snapshot(queue)
        waits.append((caught.value.trouble, caught.value.retry_after))
    assert waits == [(Trouble.THROTTLED, timedelta(seconds=7))] * 10
    assert len(stage.asked()) == 2


def serve(stage: Stage, *rows: Any) -> None:
    stage.langsmith.fail(How.BODY, path="/runs", status=200, body=json.dumps(rows).encode())


def test_rows_that_cannot_be_used_are_counted(stage: Stage, queue: UUID) -> None:
    good = str(UUID(int=1))
    serve(stage, {"queue_run_id": good}, {"name": "secret"}, {"queue_run_id": "x"}, {"queue_run_id": None}, "secret")
    snapshot = stage.snapshot(queue)
    assert ids(snapshot) == [UUID(good)]
    assert (snapshot.unusable, snapshot.strays, snapshot.obscured) == (4, frozenset(), True)


@pytest.mark.parametrize("api", ["runs", "items"])
def test_a_row_without_an_id_of_its_own_names_its_run(stage: Stage, queue: UUID, api: str) -> None:
    stage.restart(api=api)
    _, lost, _ = stage.add(queue, 3)
    run_id = run_of(stage.snapshot(queue), lost).run_id
    stage.langsmith.lose(lost, "queue_run_id" if api == "runs" else "id")
    first, again = stage.snapshot(queue), stage.snapshot(queue)
    assert (first.unusable, first.strays, first.obscured) == (1, {run_id}, False)
    assert (again.unusable, again.strays, again.obscured) == (1, {run_id}, False)


def test_a_row_that_goes_makes_another_listing_whether_it_could_be_used_or_not(stage: Stage, queue: UUID) -> None:
    _, lost, _ = stage.add(queue, 3)
    stage.langsmith.lose(lost, "queue_run_id")
    before = stage.snapshot(queue).concluded
    assert isinstance(stage.source.snapshot(queue, SHOW, before), Unchanged)
    stage.langsmith.complete(lost)
    changed = stage.source.snapshot(queue, SHOW, before)
    assert isinstance(changed, Difference)
    assert (changed.runs, changed.gone, changed.unusable) == ((), (), 0)


def test_a_list_of_rows_that_cannot_be_used_is_no_empty_queue(stage: Stage, queue: UUID) -> None:
    serve(stage, {"name": "secret"}, {"queue_run_id": None})
    with pytest.raises(SourceError, match="none of 2 rows can be used") as caught:
        stage.snapshot(queue)
    assert (caught.value.trouble, "secret" in str(caught.value)) == (Trouble.UNLAWFUL, False)


def test_wrong_types_become_absent(stage: Stage, queue: UUID) -> None:
    strange = {"a": 1}
    serve(
        stage,
        {
            "queue_run_id": str(UUID(int=1)),
            **dict.fromkeys(("id", "name", "run_type", "added_at", "effective_added_at", "tags", "error"), strange),
            **dict.fromkeys(("app_path", "session_id", "thread_id", "total_tokens", "total_cost"), strange),
            **dict.fromkeys(("reserved_by", "completed_by", "inputs_preview", "outputs_preview"), strange),
        },
    )
    (run,) = stage.snapshot(queue, frozenset(Show)).runs
    assert (run.run_id, run.added_at, run.effective_added_at, run.reserved, run.done) == (None, None, None, False, 0)
    assert run.facts == Facts()


def test_a_row_that_shows_twice_counts_once(stage: Stage, queue: UUID) -> None:
    serve(stage, *({"queue_run_id": str(UUID(int=1)), "name": name} for name in ("old", "new")))
    (run,) = stage.snapshot(queue).runs
    assert run.facts.name == "new"


def test_the_queue_is_linked_by_what_its_runs_tell(stage: Stage, queue: UUID) -> None:
    stage.langsmith.serve_the_seed_alone()
    stage.add(queue, 1)
    snapshot = stage.snapshot(queue)
    assert snapshot.queue.name == str(queue)
    assert snapshot.queue.url == f"{WEB}/o/{stage.langsmith.tenant_id}/annotation-queues/{queue}"


def test_a_server_that_has_the_seed_alone_is_served_fully(stage: Stage, queue: UUID) -> None:
    stage.langsmith.serve_the_seed_alone()
    added = stage.add(queue, 3)
    with structlog.testing.capture_logs() as lines:
        for _ in range(3):
            assert ids(stage.snapshot(queue)) == added
        stage.langsmith.remove(added[0])
        assert ids(stage.snapshot(queue)) == added[1:]
        assert stage.source.fates(queue, added[:1]) == {added[0]: Fate.UNKNOWN}
    assert [line["event"] for line in lines] == ["listing_in_use", "queue_names_unknown"]


def test_a_list_without_end_is_refused(stage: Stage, queue: UUID) -> None:
    rows = [{"queue_run_id": str(UUID(int=n + 1))} for n in range(100)]
    serve(stage, *rows)
    with pytest.raises(SourceError, match="no end") as caught:
        stage.snapshot(queue)
    assert caught.value.trouble is Trouble.UNLAWFUL
    assert len(stage.asked()) <= 5


def test_pages_over_the_cap_are_read_in_smaller_ones(stage: Stage, queue: UUID) -> None:
    added = stage.add(queue, 60, payload=5_000)
    stage.restart(most_bytes=400_000)
    assert ids(stage.snapshot(queue)) == added
    assert pages(stage) == [(100, 0), (25, 0), (25, 15), (25, 30), (25, 45)]
    assert ids(stage.snapshot(queue)) == added
    assert pages(stage) == [(25, 0), (25, 15), (25, 30), (25, 45)]


def test_a_single_run_over_the_cap_is_passed_over_and_the_others_are_served(stage: Stage, queue: UUID) -> None:
    before = stage.add(queue, 7, payload=100)
    stage.langsmith.add_run(queue, payload=400_000)
    after = stage.add(queue, 7, payload=100)
    stage.restart(most_bytes=300_000)
    snapshot = stage.snapshot(queue)
    assert set(ids(snapshot)) == {*before, *after}
    assert snapshot.unusable == 1


def test_a_server_whose_every_answer_is_too_large_is_given_up(stage: Stage, queue: UUID) -> None:
    stage.restart(most_bytes=100_000)
    stage.langsmith.fail(How.ENDLESS, path="/runs")
    with pytest.raises(SourceError, match="too large") as caught:
        stage.snapshot(queue)
    assert caught.value.trouble is Trouble.UNLAWFUL
    assert len(stage.asked()) == 7
