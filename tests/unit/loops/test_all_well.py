"""One line a day that all is well."""

from __future__ import annotations

from structlog.testing import capture_logs

from tests.support.builders import DAY, HOUR, NOON
from tests.support.clock import FakeClock
from tests.support.overviews import overview, view
from worker.loops.housekeep import AllWell


def test_a_day_without_a_problem_is_one_line_with_its_counts() -> None:
    clock = FakeClock()
    well = AllWell(clock)
    with capture_logs() as lines:
        for posted in range(1, 51):
            clock.advance(HOUR)
            well(overview(view(waiting=3)), posted)
    line = {"event": "all_well", "log_level": "info", "queues": 1, "waiting": 3, "messages": 24}
    assert lines == [line, line]


def test_while_something_is_wrong_nothing_is_said() -> None:
    clock = FakeClock()
    well = AllWell(clock)
    clock.advance(2 * DAY)
    with capture_logs() as lines:
        well(overview(view(completed_at=NOON - DAY)), 1)
        assert lines == []
        well(overview(view()), 1)
    assert [line["event"] for line in lines] == ["all_well"]
