"""Completed runs on which reviewers disagree: counted, and listed where the settings say so."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
import structlog

from tests.support.langsmith_stage import COUNT, ITEMS, RUNS, SHOW, ids, run_of
from worker.core.model import Difference, Unchanged
from worker.core.ports import SourceError
from worker.demo.langsmith.server import How

if TYPE_CHECKING:
    from uuid import UUID

    from tests.support.langsmith_stage import Stage

STATUSES = ("needs_my_review", "disagreed")
ADA, BO = "ada@example.com", "bo@example.com"
MINUTES = timedelta(minutes=11)


@pytest.fixture
def pairs(stage: Stage) -> UUID:
    stage.langsmith.compare_reviews(on=True)
    return stage.langsmith.add_queue("Pairs", reviewers_per_run=2)


@pytest.fixture(params=["runs", "items"])
def listing(request: pytest.FixtureRequest, stage: Stage) -> str:
    stage.restart(api=request.param, statuses=STATUSES)
    return str(request.param)


def complete(stage: Stage, *runs: UUID) -> None:
    for run in runs:
        stage.langsmith.complete(run, reviewer=ADA)
        stage.langsmith.complete(run, reviewer=BO)


def dispute(stage: Stage, *runs: UUID) -> None:
    complete(stage, *runs)
    for run in runs:
        stage.langsmith.disagree(run)


def counts(stage: Stage, queue: UUID) -> int:
    return stage.asked().count(COUNT.format(queue_id=queue))


def ignore_the_filter(stage: Stage, queue: UUID, completed: int) -> None:
    """Answer as a server that does not know `has_unresolved_keys`."""
    body = json.dumps({"count": completed}).encode()
    stage.langsmith.fail(How.BODY, path=COUNT.format(queue_id=queue), status=200, body=body)


class TestTheCount:
    def test_is_the_queues(self, stage: Stage, pairs: UUID) -> None:
        first, second, third, waiting = stage.add(pairs, 4)
        complete(stage, third)
        dispute(stage, first, second)
        snapshot = stage.snapshot(pairs)
        assert (snapshot.queue.disagreed, ids(snapshot)) == (2, [waiting])

    def test_is_taken_every_ten_minutes_and_not_at_each_poll(self, stage: Stage, pairs: UUID) -> None:
        run, *_ = stage.add(pairs, 2)
        assert stage.snapshot(pairs).queue.disagreed == 0
        dispute(stage, run)
        for _ in range(9):
            stage.clock.advance(timedelta(minutes=1))
            assert stage.snapshot(pairs).queue.disagreed == 0
        assert counts(stage, pairs) == 1
        stage.clock.advance(timedelta(minutes=2))
        assert stage.snapshot(pairs).queue.disagreed == 1

    def test_is_seen_where_no_run_has_changed(self, stage: Stage, pairs: UUID) -> None:
        (run,) = stage.add(pairs, 1)
        dispute(stage, run)
        before = stage.source.snapshot(pairs, SHOW)
        stage.langsmith.disagree(run, settled=True)
        stage.clock.advance(MINUTES)
        after = stage.source.snapshot(pairs, SHOW, before.concluded)
        assert isinstance(after, Unchanged)
        assert (before.queue.disagreed, after.queue.disagreed) == (1, 0)

    def test_is_none_of_a_queue_with_one_reviewer_and_costs_no_request(self, stage: Stage, queue: UUID) -> None:
        assert stage.snapshot(queue).queue.disagreed == 0
        assert counts(stage, queue) == 0

    @pytest.mark.parametrize("off", ["switched off", "an older server", "no right", "a filter that is refused"])
    def test_is_none_where_there_are_none_to_be_had_and_asked_again_a_day_later(
        self, stage: Stage, pairs: UUID, off: str
    ) -> None:
        (run,) = stage.add(pairs, 1)
        dispute(stage, run)
        path = COUNT.format(queue_id=pairs)
        match off:
            case "switched off":
                stage.langsmith.compare_reviews(on=False)
            case "an older server":
                stage.langsmith.switch_off(COUNT)
            case "no right":
                stage.langsmith.fail(path=path, status=403)
            case _:
                stage.langsmith.fail(path=path, status=400)
        with structlog.testing.capture_logs() as lines:
            for _ in range(30):
                assert stage.snapshot(pairs).queue.disagreed == 0
                stage.clock.advance(timedelta(minutes=40))
        assert counts(stage, pairs) == 1
        said = [(line["event"], line["log_level"]) for line in lines if line["event"] != "listing_in_use"]
        assert said == [("disagreements_off", "info")]
        stage.langsmith.heal()
        stage.langsmith.switch_on(COUNT)
        stage.langsmith.compare_reviews(on=True)
        stage.clock.advance(timedelta(hours=5))
        assert stage.snapshot(pairs).queue.disagreed == 1

    def test_of_a_server_that_passes_over_the_filter_is_none(self, stage: Stage, pairs: UUID) -> None:
        ignore_the_filter(stage, pairs, completed=7)
        assert stage.snapshot(pairs).queue.disagreed == 0
        assert counts(stage, pairs) == 3
        stage.clock.advance(MINUTES)
        assert stage.snapshot(pairs).queue.disagreed == 0
        assert counts(stage, pairs) == 0

    def test_is_believed_where_all_that_is_completed_is_disagreed_on(self, stage: Stage, pairs: UUID) -> None:
        runs = stage.add(pairs, 3)
        dispute(stage, *runs)
        assert stage.snapshot(pairs).queue.disagreed == 3

    @pytest.mark.parametrize(
        "fault", [{"status": 500}, {"status": 429}, {"how": How.DROP}, {"how": How.HTML, "status": 403}]
    )
    def test_stays_as_it_was_while_it_cannot_be_taken_and_costs_no_poll(
        self, stage: Stage, pairs: UUID, fault: Any
    ) -> None:
        run, other = stage.add(pairs, 2)
        stage.langsmith.fail(path=COUNT.format(queue_id=pairs), **fault)
        assert stage.snapshot(pairs).queue.disagreed is None
        stage.langsmith.heal()
        dispute(stage, run)
        stage.clock.advance(MINUTES)
        assert stage.snapshot(pairs).queue.disagreed == 1
        stage.langsmith.fail(path=COUNT.format(queue_id=pairs), **fault)
        stage.clock.advance(MINUTES)
        snapshot = stage.snapshot(pairs)
        assert (snapshot.queue.disagreed, ids(snapshot)) == (1, [other])

    @pytest.mark.parametrize(
        "body",
        [b"[]", b"{}", b'{"count":"many"}', b'{"count":-1}', b"<html>", b'{"count":null}', b'{"count":9999999999}'],
    )
    def test_that_is_none_is_none(self, stage: Stage, pairs: UUID, body: bytes) -> None:
        stage.langsmith.fail(How.BODY, path=COUNT.format(queue_id=pairs), status=200, body=body)
        assert stage.snapshot(pairs).queue.disagreed == 0


class TestTheList:
    def test_shows_them_beside_what_waits(self, stage: Stage, pairs: UUID, listing: str) -> None:
        waiting, settled, disputed = stage.add(pairs, 3)
        complete(stage, settled)
        dispute(stage, disputed)
        snapshot = stage.snapshot(pairs)
        assert ids(snapshot) == [waiting, disputed]
        assert [run.who.disagreed for run in snapshot.runs] == [False, True]
        assert (run_of(snapshot, disputed).done, snapshot.queue.disagreed) == (2, 1)
        assert snapshot.revealed == {disputed}
        assert (snapshot.bare, snapshot.listing) == (True, f"{listing} disagreed")

    def test_shows_none_where_the_settings_do_not_name_them(self, stage: Stage, pairs: UUID) -> None:
        waiting, disputed = stage.add(pairs, 2)
        dispute(stage, disputed)
        assert ids(stage.snapshot(pairs)) == [waiting]

    def test_names_are_found(self, stage: Stage, pairs: UUID, listing: str) -> None:
        waiting, disputed = stage.add(pairs, 2)
        dispute(stage, disputed)
        stage.snapshot(pairs)
        found = stage.source.facts(pairs, [waiting, disputed], show=SHOW)
        assert found[disputed].name == "run 1"
        assert (waiting in found) is (listing == "items")

    def test_shows_a_change_alone(self, stage: Stage, pairs: UUID, listing: str) -> None:
        waiting, one, other = stage.add(pairs, 3)
        dispute(stage, one)
        before = stage.source.snapshot(pairs, SHOW)
        unchanged = stage.source.snapshot(pairs, SHOW, before.concluded)
        assert isinstance(unchanged, Unchanged), listing
        dispute(stage, other)
        came = stage.source.snapshot(pairs, SHOW, unchanged.concluded)
        assert isinstance(came, Difference)
        assert [(run.queue_run_id, run.who.disagreed) for run in came.runs] == [(other, True)]
        assert (came.gone, came.count, came.queue.disagreed) == ((), 3, 2)
        stage.langsmith.disagree(one, settled=True)
        left = stage.source.snapshot(pairs, SHOW, came.concluded)
        assert isinstance(left, Difference)
        assert (left.runs, left.gone, left.queue.disagreed) == ((), (one,), 1)
        assert ids(stage.snapshot(pairs)) == [waiting, other]

    def test_is_empty_where_there_are_none_to_be_had(self, stage: Stage, pairs: UUID, listing: str) -> None:
        waiting, disputed = stage.add(pairs, 2)
        dispute(stage, disputed)
        stage.langsmith.compare_reviews(on=False)
        snapshot = stage.snapshot(pairs)
        assert (ids(snapshot), snapshot.one_page) == ([waiting], True), listing

    def test_is_empty_from_the_moment_that_they_are_switched_off(self, stage: Stage, pairs: UUID, listing: str) -> None:
        waiting, disputed = stage.add(pairs, 2)
        dispute(stage, disputed)
        assert ids(stage.snapshot(pairs)) == [waiting, disputed], listing
        stage.langsmith.compare_reviews(on=False)
        snapshot = stage.snapshot(pairs)
        assert (ids(snapshot), snapshot.queue.disagreed) == ([waiting], 0)

    def test_is_never_all_that_was_ever_reviewed(self, stage: Stage, pairs: UUID, listing: str) -> None:
        waiting, *completed = stage.add(pairs, 5)
        complete(stage, *completed)
        ignore_the_filter(stage, pairs, completed=4)
        assert ids(stage.snapshot(pairs)) == [waiting], listing

    def test_of_a_queue_with_one_reviewer_is_not_read(self, stage: Stage, queue: UUID, listing: str) -> None:
        stage.snapshot(queue)
        pages = [path for path in stage.asked() if path.endswith(f"/{listing}")]
        assert len(pages) == 1

    def test_is_read_once_a_poll_and_not_counted_besides(self, stage: Stage, pairs: UUID, listing: str) -> None:
        (disputed,) = stage.add(pairs, 1)
        dispute(stage, disputed)
        stage.snapshot(pairs)
        stage.asked()
        stage.clock.advance(MINUTES)
        stage.snapshot(pairs)
        asked = stage.asked()
        assert asked.count(ITEMS.format(queue_id=pairs)) == (2 if listing == "items" else 1)
        assert asked.count(RUNS.format(queue_id=pairs)) == (0 if listing == "items" else 1)
        assert asked.count(COUNT.format(queue_id=pairs)) == 0

    def test_that_cannot_be_read_concludes_nothing(self, stage: Stage, pairs: UUID) -> None:
        (disputed,) = stage.add(pairs, 1)
        dispute(stage, disputed)
        stage.restart(api="runs", statuses=STATUSES)
        stage.langsmith.fail(path="/items", status=500)
        with pytest.raises(SourceError):
            stage.snapshot(pairs)

    def test_leaves_it_to_the_other_listing_how_long_that_is_served(self, stage: Stage, pairs: UUID) -> None:
        (disputed,) = stage.add(pairs, 1)
        dispute(stage, disputed)
        stage.langsmith.deprecate()
        stage.restart(api="runs", statuses=STATUSES)
        stage.snapshot(pairs)
        assert stage.source.outlook.ending is not None

    def test_is_counted_among_what_waits(self, stage: Stage, pairs: UUID, listing: str) -> None:
        _, disputed = stage.add(pairs, 2)
        dispute(stage, disputed)
        assert stage.source.waiting(pairs) == 2, listing
