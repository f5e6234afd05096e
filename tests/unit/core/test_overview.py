from __future__ import annotations

import pytest

from tests.support.builders import HOUR, MINUTE, NOON, SECOND, pause
from tests.support.overviews import overview, view
from worker.core.overview import NAMED, Asked
from worker.core.owed import EVERYWHERE
from worker.core.status.reasons import Check, readiness


def failing(*checks: Check) -> dict[str, str]:
    return {check.name: check.text for check in checks if not check.ok}


def test_a_worker_that_polls_is_ready() -> None:
    assert failing(*readiness(overview(view()))) == {}


def test_a_queue_is_late_after_three_intervals_and_not_before() -> None:
    assert not view(completed_at=NOON - 3 * MINUTE).is_late(NOON)
    assert view(completed_at=NOON - 3 * MINUTE - SECOND).is_late(NOON)


def test_a_late_queue_is_named_with_its_time_and_error() -> None:
    late = view(completed_at=NOON - HOUR, failing_since=NOON - HOUR, error="HTTP 502")
    assert failing(*readiness(overview(late, view("Other")))) == {
        "queues": "Support QA: last complete poll 2026-03-02 11:00:00 UTC (HTTP 502)"
    }


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        pytest.param(overview(started_at=NOON), "no queue is polled yet", id="no queue"),
        pytest.param(
            overview(started_at=NOON, unlisted_since=NOON, unlisted="HTTP 401"),
            "no queue is polled yet (HTTP 401)",
            id="no queue, for a reason",
        ),
        pytest.param(
            overview(unlisted="HTTP 401"),
            "no queue has been polled since the start at 2026-03-01 12:00:00 UTC (HTTP 401)",
            id="no queue for long",
        ),
        pytest.param(
            overview(view(completed_at=None)), "Support QA: last complete poll never", id="first poll awaited"
        ),
        pytest.param(
            overview(view(), unknown=frozenset({"Ghost"})), "Ghost: no queue has this name", id="unknown name"
        ),
        pytest.param(
            overview(view(), unlisted_since=NOON - HOUR),
            "listing the queues has failed since 2026-03-02 11:00 UTC, so new ones go unnoticed",
            id="list unread",
        ),
    ],
)
def test_a_worker_that_misses_a_queue_is_not_ready(seen: object, said: str) -> None:
    assert failing(*readiness(seen)) == {"queues": said}  # type: ignore[arg-type]


def test_the_database_speaks_through_the_look_and_through_the_polls() -> None:
    by_look = overview(view(), store_error="disk full")
    by_poll = overview(view(trouble="store", failing_since=NOON, error="database is locked"))
    assert failing(*readiness(by_look)) == {"database": "disk full"}
    assert failing(*readiness(by_poll)) == {"database": "database is locked"}


def test_a_refused_token_is_not_ready_nor_is_a_refused_channel() -> None:
    everywhere = overview(view(), pauses=[pause(EVERYWHERE, reason="invalid_auth", error="")], asked=Asked())
    one = overview(view(), pauses=[pause("C0SUPPORT", error="invite the app")])
    assert failing(*readiness(everywhere)) == {
        "slack": "has refused the token since 2026-03-02 12:00 UTC (invalid_auth)"
    }
    assert failing(*readiness(one)) == {
        "slack": "has refused channel C0SUPPORT since 2026-03-02 12:00 UTC (invite the app)"
    }


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        pytest.param(Asked(), "not asked yet", id="not asked"),
        pytest.param(Asked(error="time-out"), "has not answered yet (time-out)", id="asked in vain"),
    ],
)
def test_nobody_says_that_the_token_is_good_before_slack_has(asked: Asked, said: str) -> None:
    assert failing(*readiness(overview(view(), asked=asked))) == {"slack": said}


def test_many_late_queues_are_counted_not_listed() -> None:
    late = [view(f"q{number}", completed_at=None) for number in range(NAMED + 30)]
    text = failing(*readiness(overview(*late)))["queues"]
    assert text.count("last complete poll") == NAMED
    assert text.endswith("; and 30 more")


def test_a_ready_worker_says_of_each_condition_that_it_holds() -> None:
    assert readiness(overview(view("A"), view("B"))) == (
        Check("database", ok=True, text="answers"),
        Check("queues", ok=True, text="2 polled within 3 intervals"),
        Check("slack", ok=True, text="took the token at 2026-03-02 12:00:00 UTC"),
        Check("deliveries", ok=True, text="none is dead or held"),
    )


def test_what_does_not_hold_is_false_for_programs_too() -> None:
    ill = overview(store_error="disk full", pauses=[pause(EVERYWHERE)])
    late = overview(view(completed_at=None))
    assert [check.ok for check in readiness(ill)] == [False, False, False, True]
    assert [check.ok for check in readiness(late)] == [True, False, True, True]


def test_as_many_late_queues_as_are_named_leave_no_others_to_count() -> None:
    late = [view(f"q{number}", completed_at=None) for number in range(NAMED)]
    text = failing(*readiness(overview(*late)))["queues"]
    assert text.split("; ") == [f"q{number}: last complete poll never" for number in range(NAMED)]


def test_what_waits_is_counted_over_all_queues() -> None:
    assert overview(view("Support QA", waiting=3), view("RAG bot", waiting=4)).waiting == 7
