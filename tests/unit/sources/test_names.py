"""Names that are looked up together, within a budget, and what a project costs that LangSmith refuses."""

from __future__ import annotations

import contextlib
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from structlog.testing import capture_logs

from tests.support.builders import NOON, ident
from tests.support.clock import FakeClock
from worker.core.model import Show
from worker.core.ports import SourceError, Trouble
from worker.sources.langsmith.rows import Trace, Wanted
from worker.sources.langsmith.run_names import Names

if TYPE_CHECKING:
    from collections.abc import Iterator

GOOD, GONE, OTHER = (ident(name) for name in ("good", "gone", "other"))
NAME = frozenset({Show.NAME})


class Queries:
    """Answers look-ups, but none that names a refused project; notes what was asked for, by project."""

    def __init__(self) -> None:
        self.refused: dict[UUID, Trouble] = {}
        self.wish: timedelta | None = None
        self.asked: list[tuple[int, set[UUID]]] = []
        self.tenants: list[UUID | None] = []
        self.selects: list[list[str]] = []
        self.gate = threading.Event()
        self.gate.set()

    @contextlib.contextmanager
    def post(self, _path: str, body: Any, *, what: str, tenant_id: UUID | None, seconds: float) -> Iterator[Any]:
        assert seconds < 30
        projects = {UUID(project) for project in body["project_ids"]}
        self.asked.append((len(body["ids"]), projects))
        self.tenants.append(tenant_id)
        self.selects.append(body["selects"])
        self.gate.wait(60)
        for project in projects & self.refused.keys():
            raise SourceError(f"{what}: LangSmith answered; no", self.refused[project], retry_after=self.wish)
        rows = [{"id": run_id, "name": run_id[:8]} for run_id in body["ids"]]
        yield SimpleNamespace(body=json.dumps({"items": rows}).encode())


class Stage:
    """A queue whose runs lie in projects."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.queries = Queries()
        self.names = Names(self.queries, clock=self.clock, per_second=1_000_000)  # type: ignore[arg-type]
        self.traces: dict[UUID, Trace] = {}

    def add(self, project: UUID, number: int = 1) -> None:
        for _ in range(number):
            each = len(self.traces)
            self.traces[ident(f"queue run {each}")] = Trace(ident(f"run {each}"), project, NOON)

    def look_up(self) -> list[set[UUID]]:
        """Look all up; the projects of each query."""
        self.queries.asked.clear()
        self.found = self.names.of(self.traces, Wanted(ident("queue"), "x", NAME))
        return [projects for _, projects in self.queries.asked]

    def later(self, wait: timedelta = timedelta(minutes=1)) -> list[set[UUID]]:
        self.clock.advance(wait)
        return self.look_up()

    @property
    def named(self) -> set[UUID]:
        """The projects whose runs are all named."""
        lacking = {at.project_id for one, at in self.traces.items() if one not in self.found}
        return {at.project_id for at in self.traces.values()} - lacking


@pytest.fixture
def stage() -> Stage:
    return Stage()


def test_a_thousand_runs_of_many_projects_are_one_query(stage: Stage) -> None:
    for project in (GOOD, OTHER):
        stage.add(project, 600)
    stage.look_up()
    assert [size for size, _ in stage.queries.asked] == [1000, 200]
    assert stage.named == {GOOD, OTHER}


def test_those_who_ask_while_another_is_served_share_the_next_query(stage: Stage) -> None:
    stage.queries.gate.clear()
    many = [{ident(f"of {n}"): Trace(ident(f"run of {n}"), ident(f"project {n}"), NOON)} for n in range(8)]
    wanted = Wanted(ident("queue"), "x", NAME, tenant_id=ident("tenant"))
    with ThreadPoolExecutor(8) as pool:
        asking = [pool.submit(stage.names.of, traces, wanted) for traces in many]
        while stage.names.waiting < len(many):
            threading.Event().wait(0.001)
        stage.queries.gate.set()
        found = [each.result(5) for each in asking]
    assert [list(one) for one in found] == [list(traces) for traces in many]
    assert [size for size, _ in stage.queries.asked] == [1, 7]
    assert set(stage.queries.tenants) == {ident("tenant")}


def test_what_queues_may_show_is_not_mixed(stage: Stage) -> None:
    stage.add(GOOD)
    stage.names.of(stage.traces, Wanted(ident("queue"), "x", NAME))
    stage.names.of(stage.traces, Wanted(ident("other"), "x", NAME | {Show.INPUTS_PREVIEW}))
    assert stage.queries.selects == [["ID", "NAME"], ["ID", "INPUTS_PREVIEW", "NAME"]]


def test_between_two_queries_lies_a_second(stage: Stage) -> None:
    waits: list[float] = []
    stage.names = Names(stage.queries, clock=stage.clock, wait=waits.append)  # type: ignore[arg-type]
    stage.add(GOOD)
    stage.look_up()
    stage.look_up()
    stage.clock.advance(timedelta(seconds=0.25))
    stage.look_up()
    assert waits == [0, 1.0, pytest.approx(0.75)]


@pytest.mark.parametrize("trouble", [Trouble.MISSING, Trouble.REFUSED, Trouble.UNLAWFUL])
def test_a_project_that_is_refused_costs_the_others_nothing(stage: Stage, trouble: Trouble) -> None:
    for project in (GOOD, GONE, OTHER):
        stage.add(project)
    stage.queries.refused[GONE] = trouble
    assert stage.look_up() == [{GOOD, GONE, OTHER}, {GOOD}, {GONE}, {OTHER}]
    assert stage.named == {GOOD, OTHER}


def test_it_is_asked_for_again_every_hour_and_said_once(stage: Stage) -> None:
    stage.add(GONE)
    stage.queries.refused[GONE] = Trouble.MISSING
    with capture_logs() as lines:
        asked = [projects for _ in range(150) for projects in stage.later()]
    assert asked == [{GONE}] * 3
    assert [line["event"] for line in lines] == ["run_names_unknown"]
    stage.queries.refused.clear()
    stage.later(timedelta(hours=1))
    assert stage.named == {GONE}


def test_where_one_project_after_the_other_is_refused_polls_wait_for_few_of_them(stage: Stage) -> None:
    projects = [ident(f"project {n}") for n in range(100)]
    stage.queries.refused = dict.fromkeys(projects, Trouble.REFUSED)
    for project in projects:
        stage.add(project)
    assert [len(asked) for asked in stage.look_up()] == [100, 1, 1, 1]
    assert stage.look_up() == []
    assert [len(asked) for asked in stage.later()] == [1]
    stage.queries.refused.clear()
    stage.later()
    assert len(stage.named) == 96  # the four that were refused alone are asked for again after an hour
    stage.later(timedelta(hours=1))
    assert stage.named == set(projects)


def test_the_others_are_asked_for_together_again(stage: Stage) -> None:
    for project in (GOOD, GONE, OTHER):
        stage.add(project)
    stage.queries.refused[GONE] = Trouble.MISSING
    stage.look_up()
    assert stage.later() == [{GOOD, OTHER}]


@pytest.mark.parametrize(("trouble", "pause"), [(Trouble.UNREACHABLE, 60), (Trouble.THROTTLED, 10)])
def test_a_passing_trouble_concerns_every_project(stage: Stage, trouble: Trouble, pause: int) -> None:
    for project in (GOOD, OTHER):
        stage.add(project)
        stage.queries.refused[project] = trouble
    assert len(stage.look_up()) == 1
    stage.queries.refused.clear()
    assert stage.later(timedelta(seconds=pause - 6)) == []
    stage.later(timedelta(seconds=6))
    assert stage.named == {GOOD, OTHER}


@pytest.mark.parametrize(("wish", "wait"), [(90, 90), (20, 20), (9999 * 86_400, 3600)])
def test_the_wish_to_be_left_alone_is_followed_as_given_within_an_hour(stage: Stage, wish: int, wait: int) -> None:
    stage.add(GOOD)
    stage.queries.refused[GOOD] = Trouble.THROTTLED
    stage.queries.wish = timedelta(seconds=wish)
    stage.look_up()
    assert stage.later(timedelta(seconds=wait - 6)) == []
    assert len(stage.later(timedelta(seconds=6))) == 1


def test_a_refusal_comes_with_the_fix_for_runs(stage: Stage) -> None:
    stage.add(GOOD)
    stage.queries.refused[GOOD] = Trouble.REFUSED
    with capture_logs() as lines:
        stage.look_up()
    (line,) = lines
    assert "runs:read" in line["error"]
    assert "LANGSMITH_WORKSPACE_ID" in line["error"]
