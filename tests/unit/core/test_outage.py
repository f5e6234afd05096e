from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.builders import DAY, HOUR, MINUTE, NOON, SECOND
from tests.support.overviews import overview, view
from worker.core.incidents import Group, Incident, LastSeen, Outage, moved_by, outage_to_report, seen_now

if TYPE_CHECKING:
    from datetime import datetime


def told(before: LastSeen, *seen: object, incidents: tuple[Incident, ...] = ()) -> Outage | None:
    """What is told after looks one after the other."""
    sight = before
    for each in seen:
        sight = seen_now(sight, each, incidents)  # type: ignore[arg-type]
        outage = outage_to_report(sight, each)  # type: ignore[arg-type]
        if outage:
            return outage
    return None


def polled(at: datetime, **more: int) -> object:
    return overview(view(completed_at=at, **more), taken_at=at)


def test_while_no_queue_was_ever_polled_what_was_seen_last_counts_on() -> None:
    before = LastSeen(NOON, new=2, gone=1)
    assert seen_now(before, overview(view(completed_at=None), taken_at=NOON + HOUR), ()) == before


def test_a_gap_between_two_complete_polls_is_told_with_what_was_found() -> None:
    before = LastSeen(NOON, new=2, gone=1)
    assert told(before, polled(NOON + HOUR, new=5, gone=1)) == Outage(NOON, NOON + HOUR, 3, 0)


@pytest.mark.parametrize("gap", [MINUTE, 15 * MINUTE], ids=["a minute", "a quarter of an hour"])
def test_a_restart_is_no_outage(gap: object) -> None:
    assert told(LastSeen(NOON), polled(NOON + gap)) is None  # type: ignore[operator]


def test_the_first_start_ever_is_no_outage() -> None:
    assert told(LastSeen(None), polled(NOON)) is None


def test_a_queue_that_is_polled_once_a_day_makes_no_outage() -> None:
    seen = overview(view(completed_at=NOON + DAY, interval=DAY), taken_at=NOON + DAY)
    assert told(LastSeen(NOON), seen) is None


def test_what_was_found_waits_for_every_queue_that_can_be_polled() -> None:
    late = NOON + HOUR
    half = overview(view("A", completed_at=late, new=1), view("B", completed_at=None), taken_at=late)
    whole = overview(view("A", completed_at=late, new=1), view("B", completed_at=late + SECOND, new=4), taken_at=late)
    assert told(LastSeen(NOON), half) is None
    assert told(LastSeen(NOON), half, whole) == Outage(NOON, late, 5, 0)


def test_it_does_not_wait_for_a_queue_that_fails() -> None:
    late = NOON + HOUR
    seen = overview(
        view("A", completed_at=late, new=1), view("B", completed_at=None, failing_since=late), taken_at=late
    )
    assert told(LastSeen(NOON), seen) == Outage(NOON, late, 1, 0)


def test_a_gap_that_people_were_told_the_reason_of_is_not_told_again() -> None:
    known = Incident(Group.QUEUE, "x", "A", NOON + MINUTE)
    assert told(LastSeen(NOON), polled(NOON + HOUR), incidents=(known,)) is None


def test_a_trouble_that_began_long_after_the_gap_does_not_explain_it() -> None:
    later = Incident(Group.QUEUE, "x", "A", NOON + 3 * HOUR)
    assert told(LastSeen(NOON), polled(NOON + 4 * HOUR), incidents=(later,)) is not None


def test_a_clock_that_is_set_back_is_no_outage() -> None:
    assert told(LastSeen(NOON), polled(NOON - 3 * HOUR)) is None


def test_an_hour_of_steady_polls_after_a_start_is_no_outage() -> None:
    seen = [polled(NOON + number * MINUTE) for number in range(60)]
    assert told(LastSeen(NOON), *seen) is None


def test_an_outage_is_measured_from_the_last_poll_that_was_seen() -> None:
    seen = [polled(NOON + number * MINUTE, new=number) for number in range(3)]
    assert told(LastSeen(NOON), *seen, polled(NOON + HOUR, new=9)) == Outage(NOON + 2 * MINUTE, NOON + HOUR, 7, 0)


def test_a_trouble_that_began_a_quarter_of_an_hour_into_the_gap_still_explains_it() -> None:
    known = Incident(Group.QUEUE, "x", "A", NOON + 15 * MINUTE)
    assert told(LastSeen(NOON), polled(NOON + HOUR), incidents=(known,)) is None


def test_the_end_of_an_outage_is_a_poll_after_it_also_where_a_queue_was_polled_last_before_it() -> None:
    late = NOON + HOUR
    seen = overview(view("A", completed_at=late), view("B", completed_at=NOON, failing_since=late), taken_at=late)
    assert told(LastSeen(NOON), seen) == Outage(NOON, late, 0, 0)


def test_a_clock_that_was_set_forward_by_hours_is_no_outage() -> None:
    sight = moved_by(LastSeen(NOON, new=2, gone=1), 3 * HOUR)
    assert sight == LastSeen(NOON + 3 * HOUR, new=2, gone=1)
    assert told(sight, polled(NOON + 3 * HOUR + MINUTE)) is None


def test_what_was_never_seen_has_no_time_to_set() -> None:
    assert moved_by(LastSeen(None), HOUR) == LastSeen(None)
