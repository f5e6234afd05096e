"""Our clock against LangSmith's, as the `Date` of its answers tells."""

from __future__ import annotations

from datetime import timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from tests.support.builders import HOUR, MINUTE, NOON
from tests.support.clock import FakeClock
from tests.support.langsmith_stage import Stage
from worker.clock import SystemClock
from worker.demo.langsmith.server import SimulatedLangSmith
from worker.demo.serve import serving
from worker.sources.langsmith.http import Skew

if TYPE_CHECKING:
    from collections.abc import Iterator
    from uuid import UUID

NOTHING = timedelta(0)


@pytest.fixture
def stage() -> Iterator[Stage]:
    """A LangSmith whose answers have a date."""
    langsmith = SimulatedLangSmith(SystemClock())
    with serving(langsmith.app) as root:
        stage = Stage(langsmith, root, FakeClock())
        stage.restart()
        yield stage
        stage.close()


@pytest.mark.parametrize("wrong", [6 * HOUR, -6 * HOUR, 6 * MINUTE], ids=["ahead", "behind", "a little"])
def test_a_clock_that_is_wrong_is_told_by_how_much(stage: Stage, queue: UUID, wrong: timedelta) -> None:
    stage.clock.set_wall(SystemClock().now() + wrong)
    assert abs(stage.snapshot(queue).ahead - wrong) < MINUTE


@pytest.mark.parametrize("wrong", [NOTHING, 4 * MINUTE, -4 * MINUTE])
def test_a_clock_that_is_about_right_is_right(stage: Stage, queue: UUID, wrong: timedelta) -> None:
    stage.clock.set_wall(SystemClock().now() + wrong)
    assert stage.snapshot(queue).ahead == NOTHING


def test_a_clock_at_the_edge_is_told_of_once() -> None:
    clock = FakeClock()
    skew = Skew(clock)
    said = {"date": format_datetime(NOON, usegmt=True)}
    with capture_logs() as lines:
        for minutes, ahead in ((4, 0), (6, 6), (4, 4), (6, 6), (2, 0), (4, 0)):
            clock.set_wall(NOON + minutes * MINUTE)
            skew.heard(said)
            assert skew.ahead == ahead * MINUTE
    assert [line["event"] for line in lines] == ["clock_differs", "clock_agrees"]


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"date": ""},
        {"date": "yesterday"},
        {"date": "Fri, 31 Dec 9999 23:59:59 GMT"},
        {"date": "Thu, 01 Jan 1970 00:00:00 GMT"},
        {"date": "Mon, 01 Jan 0001 00:00:00 GMT"},
    ],
)
def test_an_answer_without_a_date_that_can_be_tells_nothing(said: dict[str, str]) -> None:
    clock = FakeClock()
    skew = Skew(clock)
    skew.heard({"date": format_datetime(NOON - HOUR, usegmt=True)})
    skew.heard(said)
    assert skew.ahead == HOUR


def test_a_wrong_clock_is_logged_when_it_begins_and_when_it_ends(stage: Stage, queue: UUID) -> None:
    with capture_logs() as lines:
        for wrong in (NOTHING, 6 * HOUR, 6 * HOUR, NOTHING, NOTHING):
            stage.clock.set_wall(SystemClock().now() + wrong)
            stage.snapshot(queue)
    lines = [line for line in lines if line["event"].startswith("clock_")]
    assert [line["event"] for line in lines] == ["clock_differs", "clock_agrees"]
    assert abs(lines[0]["seconds"] - 6 * 3600) < 60
