"""Names that are looked up in batches, and what a project costs that LangSmith refuses."""

from __future__ import annotations

import contextlib
import json
from datetime import timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from structlog.testing import capture_logs

from tests.builders import NOON, ident, queue_run
from tests.fakes import FakeClock
from worker.core.model import Show
from worker.core.ports import SourceError, Trouble
from worker.sources.names import Names
from worker.sources.rows import Trace, Wanted

if TYPE_CHECKING:
    from collections.abc import Iterator

GOOD, GONE, OTHER = (ident(name) for name in ("good", "gone", "other"))


class Queries:
    """Answers look-ups, but none that names a refused project; notes what was asked for, by project."""

    def __init__(self) -> None:
        self.refused: dict[UUID, Trouble] = {}
        self.wish: timedelta | None = None
        self.asked: list[tuple[int, set[UUID]]] = []

    @contextlib.contextmanager
    def post(self, _path: str, body: Any, *, what: str) -> Iterator[Any]:
        projects = {UUID(project) for project in body["project_ids"]}
        self.asked.append((len(body["ids"]), projects))
        for project in projects & self.refused.keys():
            raise SourceError(f"{what}: refused", self.refused[project], retry_after=self.wish)
        rows = [{"id": run_id, "name": run_id[:8]} for run_id in body["ids"]]
        yield SimpleNamespace(body=json.dumps({"items": rows}).encode())


class Stage:
    """A queue whose runs lie in projects."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.queries = Queries()
        self.names = Names(self.queries, clock=self.clock)  # type: ignore[arg-type]
        self.runs: dict[UUID, Any] = {}
        self.traces: dict[UUID, Trace] = {}

    def add(self, project: UUID, number: int = 1) -> None:
        for _ in range(number):
            run = queue_run(f"run {len(self.runs)}", added_at=NOON + timedelta(seconds=len(self.runs)))
            self.runs[run.queue_run_id] = run
            self.traces[run.queue_run_id] = Trace(ident(f"trace {len(self.runs)}"), project, NOON)

    def poll(self) -> list[set[UUID]]:
        """Look up once; the projects of each batch that was asked for."""
        self.queries.asked.clear()
        self.found = self.names.of(self.runs, self.traces, Wanted(ident("queue"), "x", frozenset({Show.NAME})))
        self.clock.advance(timedelta(minutes=1))
        return [projects for _, projects in self.queries.asked]

    @property
    def named(self) -> set[UUID]:
        """The projects whose runs are all named."""
        return {at.project_id for at in self.traces.values()} - {
            at.project_id for one, at in self.traces.items() if one not in self.found
        }


@pytest.fixture
def stage() -> Stage:
    return Stage()


def test_many_are_looked_up_over_several_polls_the_oldest_first(stage: Stage) -> None:
    stage.add(GOOD, 1200)
    stage.poll()
    assert [size for size, _ in stage.queries.asked] == [100] * 10
    assert list(stage.found) == list(stage.runs)[:1000]
    stage.poll()
    assert len(stage.found) == 1200


def test_projects_are_asked_for_together(stage: Stage) -> None:
    for project in (GOOD, OTHER):
        stage.add(project)
    assert stage.poll() == [{GOOD, OTHER}]


@pytest.mark.parametrize("trouble", [Trouble.MISSING, Trouble.REFUSED, Trouble.UNLAWFUL])
def test_a_project_that_is_refused_costs_the_others_one_poll(stage: Stage, trouble: Trouble) -> None:
    for project in (GOOD, GONE, OTHER):
        stage.add(project)
    stage.queries.refused[GONE] = trouble
    assert stage.poll() == [{GOOD, GONE, OTHER}]
    assert stage.poll() == [{GOOD}, {GONE}, {OTHER}]
    assert stage.named == {GOOD, OTHER}


def test_after_a_batch_that_is_refused_no_other_is_asked_for_in_the_same_poll(stage: Stage) -> None:
    for _ in range(300):
        stage.add(GOOD)
        stage.add(GONE)
    stage.queries.refused[GONE] = Trouble.MISSING
    assert stage.poll() == [{GOOD, GONE}]
    assert stage.poll() == [{GOOD}] * 3 + [{GONE}]


def test_it_is_asked_for_again_every_hour_and_said_once(stage: Stage) -> None:
    for project in (GOOD, GONE):
        stage.add(project)
    stage.queries.refused[GONE] = Trouble.MISSING
    with capture_logs() as lines:
        asked = [projects for _ in range(150) for projects in stage.poll()]
    assert asked == [{GOOD, GONE}, {GOOD}, {GONE}, {GONE}, {GONE}]
    assert [line["event"] for line in lines] == ["run_names_unknown"]
    stage.queries.refused.clear()
    for _ in range(60):
        stage.poll()
    assert stage.named == {GOOD, GONE}


def test_the_others_are_asked_for_together_again(stage: Stage) -> None:
    for project in (GOOD, GONE, OTHER):
        stage.add(project)
    stage.queries.refused[GONE] = Trouble.MISSING
    stage.poll()
    stage.poll()
    for project in (GOOD, GONE, OTHER):
        stage.add(project)
    assert stage.poll() == [{GOOD, OTHER}]


def test_a_server_that_refuses_every_look_up_is_asked_once_a_project_and_hour(stage: Stage) -> None:
    for project in (GOOD, GONE, OTHER):
        stage.add(project, 150)
        stage.queries.refused[project] = Trouble.MISSING
    assert sum(len(stage.poll()) for _ in range(60)) <= 2 + 3


@pytest.mark.parametrize("trouble", [Trouble.UNREACHABLE, Trouble.THROTTLED])
def test_a_passing_trouble_concerns_every_project(stage: Stage, trouble: Trouble) -> None:
    for project in (GOOD, OTHER):
        stage.add(project, 150)
        stage.queries.refused[project] = trouble
    assert len(stage.poll()) == 1
    stage.queries.refused.clear()
    stage.poll()
    assert stage.named == {GOOD, OTHER}


def test_an_absurd_wish_to_be_left_alone_is_followed_for_an_hour(stage: Stage) -> None:
    stage.add(GOOD)
    stage.queries.refused[GOOD] = Trouble.THROTTLED
    stage.queries.wish = timedelta(days=9999)
    assert sum(len(stage.poll()) for _ in range(61)) == 2
