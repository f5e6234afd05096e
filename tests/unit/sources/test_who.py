"""Whom runs are assigned to, reserved by and completed by, and the reviewers of their queues."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from tests.support.langsmith_stage import QUEUE, RUNS, SHOW, run_of
from worker.core.model import NO_ONE, Access, Difference, Reviewer, Unchanged, Who
from worker.demo.langsmith.server import How
from worker.demo.langsmith.state import ANYBODY
from worker.sources.langsmith.queues import FRESH
from worker.sources.langsmith.rows import MOST_NAMED, person

if TYPE_CHECKING:
    from tests.support.langsmith_stage import Stage

ADA, BO, CY = "ada@example.com", "bo@example.com", "cy@example.com"
ROLES = ["assigned_to", "reserved_by", "completed_by"]


@pytest.fixture
def pairs(stage: Stage) -> UUID:
    return stage.langsmith.add_queue("Pairs", reviewers_per_run=2)


@pytest.fixture(params=["runs", "items"])
def listing(request: pytest.FixtureRequest, stage: Stage) -> str:
    stage.restart(api=request.param)
    return str(request.param)


def ids(stage: Stage, *emails: str) -> tuple[str, ...]:
    return tuple(sorted(str(stage.langsmith.add_reviewer(email)) for email in emails))


class TestARun:
    def test_names_whom_it_is_assigned_to_reserved_and_completed_by(
        self, stage: Stage, pairs: UUID, listing: str
    ) -> None:
        one, other = stage.add(pairs, 2)
        stage.langsmith.assign(one, ADA, BO)
        stage.langsmith.reserve(one, reviewer=BO)
        stage.langsmith.complete(one, reviewer=CY)
        snapshot = stage.snapshot(pairs)
        assigned = ids(stage, ADA, BO) if listing == "items" else ()  # the older listing does not show it
        assert run_of(snapshot, one).who == Who(assigned, ids(stage, BO), ids(stage, CY))
        assert run_of(snapshot, other).who is NO_ONE
        assert [run.shows_assigned for run in snapshot.runs] == [listing == "items"] * 2

    def test_names_no_one_on_a_server_that_does_not(self, stage: Stage, pairs: UUID, listing: str) -> None:
        (run,) = stage.add(pairs, 1)
        stage.langsmith.lose(run, *ROLES)
        assert run_of(stage.snapshot(pairs), run).who is NO_ONE, listing

    @pytest.mark.parametrize("role", ROLES)
    def test_is_another_run_where_that_changes_and_nothing_else_is(
        self, stage: Stage, pairs: UUID, listing: str, role: str
    ) -> None:
        _, one = stage.add(pairs, 2)
        act = {
            "assigned_to": lambda email: stage.langsmith.assign(one, email),
            "reserved_by": lambda email: (stage.langsmith.release(one), stage.langsmith.reserve(one, reviewer=email)),
            "completed_by": lambda email: (
                stage.langsmith.requeue(one, stage.clock.now()),
                stage.langsmith.complete(one, reviewer=email),
            ),
        }[role]
        act(ADA)
        before = stage.source.snapshot(pairs, SHOW)
        unchanged = stage.source.snapshot(pairs, SHOW, before.concluded)
        assert isinstance(unchanged, Unchanged)
        act(BO)
        after = stage.source.snapshot(pairs, SHOW, unchanged.concluded)
        if (role, listing) == ("assigned_to", "runs"):
            assert isinstance(after, Unchanged)
            return
        assert isinstance(after, Difference)
        assert [(run.queue_run_id, getattr(run.who, role)) for run in after.runs] == [(one, ids(stage, BO))]


def row(listing: str, number: int = 1, **fields: Any) -> dict[str, Any]:
    return {"id" if listing == "items" else "queue_run_id": str(UUID(int=number)), **fields}


def serve(stage: Stage, listing: str, *rows: Any) -> None:
    body = json.dumps({"items": rows} if listing == "items" else rows).encode()
    stage.langsmith.fail(How.BODY, path=f"/{listing}", status=200, body=body, times=1)


class TestAStrangeRow:
    @pytest.mark.parametrize(
        ("given", "found"),
        [
            pytest.param(None, (), id="nothing"),
            pytest.param([], (), id="no one"),
            pytest.param("ada", (), id="text instead of a list"),
            pytest.param({"ada": 1}, (), id="an object instead of a list"),
            pytest.param(7, (), id="a number instead of a list"),
            pytest.param(True, (), id="yes instead of a list"),
            pytest.param([None, 7, 1.5, True, [], {}, ["ada"], ""], (), id="a list of what is no id"),
            pytest.param([str(UUID(int=0)), "0" * 32], (), id="the id that means none"),
            pytest.param(["bo", None, "ada", 7, "bo"], ("ada", "bo"), id="each id once, in one order"),
            pytest.param([str(UUID(int=10)).upper()], (str(UUID(int=10)),), id="one id in another writing"),
            pytest.param(["x" * 101], (), id="far too long an id"),
            pytest.param(["a\0da \ud800"], ("ada \ufffd",), id="text that no database takes"),
        ],
    )
    @pytest.mark.parametrize("role", ROLES)
    def test_names_those_whose_ids_can_be_used(
        self, stage: Stage, pairs: UUID, listing: str, role: str, given: Any, found: Any
    ) -> None:
        serve(stage, listing, row(listing, **{role: given}))
        (run,) = stage.snapshot(pairs).runs
        assert run.who == Who(**{role: found})

    def test_names_no_more_than_anybody_lets_review(self, stage: Stage, pairs: UUID, listing: str) -> None:
        many = [f"{number:06}" for number in range(1, 50_001)]
        serve(stage, listing, row(listing, completed_by=many))
        (run,) = stage.snapshot(pairs).runs
        assert (len(run.who.completed_by), run.done) == (MOST_NAMED, 50_000)

    def test_costs_no_other_row(self, stage: Stage, pairs: UUID, listing: str) -> None:
        serve(
            stage, listing, row(listing, 1, assigned_to=[[[[]]]]), row(listing, 2, assigned_to=["ada"]), row(listing, 3)
        )
        assert [run.who for run in stage.snapshot(pairs).runs] == [NO_ONE, Who(("ada",)), NO_ONE]

    def test_is_no_news_where_the_server_shuffles_a_list(self, stage: Stage, pairs: UUID, listing: str) -> None:
        serve(stage, listing, row(listing, assigned_to=["ada", "bo"]))
        before = stage.source.snapshot(pairs, SHOW)
        serve(stage, listing, row(listing, assigned_to=["bo", "ada"]))
        assert isinstance(stage.source.snapshot(pairs, SHOW, before.concluded), Unchanged)


@pytest.mark.parametrize("value", [None, 7, b"ada", ["ada"], "", " ", "0", "-"])
def test_what_is_no_id_names_no_one(value: object) -> None:
    assert person(value) == ""


def lookups(stage: Stage, queue: UUID) -> int:
    found = [asked for asked in stage.langsmith.requests if asked.path == QUEUE.format(queue_id=queue)]
    stage.langsmith.forget_requests()
    return len(found)


class TestAQueue:
    def shown(self, stage: Stage, queue: UUID) -> tuple[Access, list[str]]:
        found = stage.snapshot(queue).queue
        return found.access, [each.email for each in found.assigned]

    def test_is_shown_with_its_reviewers_by_name(self, stage: Stage, pairs: UUID) -> None:
        robot = stage.langsmith.add_service("Robot")
        stage.langsmith.assign_queue(pairs, robot, BO, ADA)
        ada, bo = (str(stage.langsmith.add_reviewer(email)) for email in (ADA, BO))
        expected = (Reviewer(ada, "Ada", ADA), Reviewer(bo, "Bo", BO), Reviewer(str(robot), "Robot"))
        for found in (stage.snapshot(pairs).queue, stage.source.queues()[0]):
            assert (found.access, found.assigned, found.reviewers_per_run) == (Access.ASSIGNED, expected, 2)

    def test_that_is_switched_from_any_to_assigned_is_seen_so_within_ten_minutes(
        self, stage: Stage, pairs: UUID
    ) -> None:
        stage.langsmith.assign_queue(pairs, access=ANYBODY)
        stage.add(pairs, 1)
        before = stage.source.snapshot(pairs, SHOW)
        assert (before.queue.access, before.queue.assigned) == (Access.ANY, ())
        stage.langsmith.assign_queue(pairs, ADA, BO)
        stage.clock.advance(timedelta(minutes=10, seconds=1))
        after = stage.source.snapshot(pairs, SHOW, before.concluded)
        assert isinstance(after, Unchanged)  # no run has changed, and the queue is seen all the same
        assert (after.queue.access, [each.email for each in after.queue.assigned]) == (Access.ASSIGNED, [ADA, BO])

    def test_is_asked_for_once_in_that_time_however_often_it_is_polled(self, stage: Stage, pairs: UUID) -> None:
        for _ in range(30):
            stage.snapshot(pairs)
            stage.clock.advance(FRESH / 30)
        assert lookups(stage, pairs) == 1

    def test_keeps_its_reviewers_while_it_cannot_be_asked_for(self, stage: Stage, pairs: UUID) -> None:
        stage.langsmith.assign_queue(pairs, ADA)
        expected = self.shown(stage, pairs)
        stage.langsmith.switch_off(QUEUE)
        stage.clock.advance(timedelta(hours=1))
        assert self.shown(stage, pairs) == expected == (Access.ASSIGNED, [ADA])

    def test_has_none_where_the_server_has_nothing_but_runs(self, stage: Stage, pairs: UUID) -> None:
        stage.langsmith.assign_queue(pairs, ADA)
        (run,) = stage.add(pairs, 1)
        stage.langsmith.reserve(run, reviewer=ADA)
        stage.langsmith.serve_the_seed_alone()
        found = stage.snapshot(pairs)
        assert (found.queue.access, found.queue.assigned) == (Access.UNKNOWN, ())
        assert run_of(found, run).who == Who(reserved_by=ids(stage, ADA))
        assert RUNS.format(queue_id=pairs) in stage.asked()


class TestAStrangeQueue:
    def found(self, stage: Stage, body: str) -> Any:
        stage.langsmith.fail(How.BODY, path="/annotation-queues", status=200, body=body.encode(), times=1)
        (queue,) = stage.source.queues()
        return queue

    def of(self, stage: Stage, **fields: Any) -> Any:
        return self.found(stage, json.dumps([{"id": str(UUID(int=1)), "name": "Pairs", **fields}]))

    @pytest.mark.parametrize("mode", [None, "", "ANY", "nobody", 7, True, ["any"], {"any": 1}])
    def test_lets_no_one_know_who_may_review(self, stage: Stage, mode: Any) -> None:
        assert self.of(stage, reviewer_access_mode=mode).access is Access.UNKNOWN

    @pytest.mark.parametrize(
        ("given", "found"),
        [
            pytest.param(None, (), id="nothing"),
            pytest.param("ada", (), id="text instead of a list"),
            pytest.param({"id": "ada"}, (), id="an object instead of a list"),
            pytest.param(7, (), id="a number instead of a list"),
            pytest.param([None, 7, "ada", [], {}, {"email": ADA}, {"id": 7}], (), id="no one with an id"),
            pytest.param([{"id": "ada"}], (Reviewer("ada"),), id="an id alone"),
            pytest.param([{"id": "ada", "name": 7, "email": ["x"]}], (Reviewer("ada"),), id="wrong types"),
            pytest.param(
                [{"id": "ada", "name": " Ada\0 ", "email": f" {ADA}"}, {"id": "ada", "name": "Again"}],
                (Reviewer("ada", "Ada", ADA),),
                id="one id twice",
            ),
            pytest.param(
                [{"id": "ada", "name": "x" * 9000, "email": "y" * 9000}],
                (Reviewer("ada", "x" * 300, "y" * 320),),
                id="far too long a name",
            ),
        ],
    )
    def test_has_the_reviewers_that_can_be_used(self, stage: Stage, given: Any, found: Any) -> None:
        assert self.of(stage, assigned_reviewers=given).assigned == found

    def test_has_no_more_reviewers_than_anybody_assigns(self, stage: Stage) -> None:
        many = [{"id": f"{number:06}"} for number in range(1, 50_001)]
        assert len(self.of(stage, assigned_reviewers=many).assigned) == 1000

    def test_keeps_its_reviewers_where_its_row_has_to_be_taken_apart(self, stage: Stage) -> None:
        body = f'[{{"id":"{UUID(int=1)}","name":"\\ud800","assigned_reviewers":[{{"id":"ada","email":"{ADA}"}}]}}]'
        assert self.found(stage, body).assigned == (Reviewer("ada", "", ADA),)
