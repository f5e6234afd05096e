from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.builders import HOUR, MINUTE, NOON, SECOND
from tests.support.overviews import overview, view
from worker.core.incidents import Group, Incident, Reported, current, report
from worker.core.overview import Area, Reason

if TYPE_CHECKING:
    from datetime import timedelta

    from worker.core.overview import Overview


def names(groups: tuple[tuple[Incident, ...], ...]) -> list[list[str]]:
    return [[incident.name or incident.group for incident in group] for group in groups]


def after(seen: Overview, told: tuple[Incident, ...] = ()) -> Reported:
    return report(seen, told)


def failing(name: str, ago: timedelta, trouble: str = "unreachable") -> object:
    return view(name, failing_since=NOON - ago, trouble=trouble)


@pytest.mark.parametrize(
    ("ago", "told"),
    [
        pytest.param(15 * MINUTE - SECOND, [], id="not before 15 minutes"),
        pytest.param(15 * MINUTE, [["A"]], id="from 15 minutes on"),
    ],
)
def test_a_failing_queue_is_told(ago: timedelta, told: list[list[str]]) -> None:
    assert names(after(overview(failing("A", ago), view("B"))).begun) == told


def test_it_is_told_once() -> None:
    seen = overview(failing("A", HOUR), view("B"))
    first = after(seen)
    assert names(after(seen, first.known).begun) == []


def test_queues_that_fail_together_share_one_message() -> None:
    seen = overview(failing("A", 15 * MINUTE), failing("B", 11 * MINUTE), failing("C", 2 * MINUTE))
    assert names(after(seen).begun) == [["A", "B"]]


def test_the_end_is_told_once_for_all_that_were_told() -> None:
    told = after(overview(failing("A", HOUR), failing("B", HOUR))).known
    one_well = after(overview(view("A"), failing("B", HOUR)), told)
    assert one_well.ended == ()
    all_well = after(overview(view("A"), view("B")), one_well.known)
    assert names(all_well.ended) == [["A", "B"]]
    assert all_well.known == ()


def test_the_end_does_not_wait_for_one_that_never_gets_well() -> None:
    told = after(overview(failing("A", HOUR), failing("B", HOUR))).known
    told = after(overview(view("A"), failing("B", HOUR)), told).known
    later = after(overview(view("A"), failing("B", HOUR), taken_at=NOON + 15 * MINUTE), told)
    assert names(later.ended) == [["A"]]
    assert [incident.name for incident in later.known] == ["B"]


def test_one_that_fails_again_before_its_end_was_told_has_not_ended() -> None:
    told = after(overview(failing("A", HOUR), failing("B", HOUR))).known
    told = after(overview(view("A"), failing("B", HOUR)), told).known
    again = after(overview(failing("A", MINUTE), failing("B", HOUR), taken_at=NOON + 20 * MINUTE), told)
    assert again.ended == ()
    assert again.begun == ()


def test_a_refused_key_is_told_at_once_and_once_for_all_queues() -> None:
    seen = overview(failing("A", SECOND, "refused"), failing("B", SECOND, "refused"))
    first = after(seen)
    assert [group[0].group for group in first.begun] == [Group.KEY]
    later = after(
        overview(failing("A", SECOND, "refused"), failing("B", SECOND, "refused"), taken_at=NOON + HOUR), first.known
    )
    assert later.begun == ()


def test_a_key_that_works_again_makes_no_noise_about_queues_that_are_not_asked_yet() -> None:
    told = after(overview(failing("A", HOUR, "refused"), failing("B", HOUR, "refused"))).known
    half = after(overview(view("A"), failing("B", HOUR, "refused")), told)
    assert (half.begun, half.ended) == ((), ())
    whole = after(overview(view("A"), view("B")), half.known)
    assert names(whole.ended) == [["key"]]


def test_a_key_is_not_good_again_because_langsmith_cannot_be_reached() -> None:
    told = after(overview(failing("A", HOUR, "refused"), failing("B", HOUR, "refused"))).known
    nothing_seen = {"completed_at": NOON - 2 * HOUR}
    unreachable = [view(name, failing_since=NOON - HOUR, trouble="unreachable", **nothing_seen) for name in "AB"]
    later = after(overview(*unreachable), told)
    assert later.ended == ()
    assert names(later.begun) == [["A", "B"]], "that is a trouble of its own"
    assert names(after(overview(view("A"), view("B")), later.known).ended) == [["key"], ["A", "B"]]


def test_nothing_has_ended_because_a_start_has_not_polled_yet() -> None:
    started = overview(view("A", completed_at=None), view("B", completed_at=None))
    for trouble in ("refused", "unreachable"):
        told = after(overview(failing("A", HOUR, trouble), failing("B", HOUR, trouble))).known
        assert after(started, told) == Reported(known=told)
        assert after(overview(view("A"), view("B")), told).known == ()


def test_what_is_not_polled_any_more_has_ended() -> None:
    told = after(overview(failing("A", HOUR), view("B"))).known
    assert names(after(overview(view("B")), told).ended) == [["A"]]


def test_a_queue_that_stays_refused_after_the_key_is_good_is_a_trouble_of_its_own() -> None:
    told = after(overview(failing("A", HOUR, "refused"), failing("B", HOUR, "refused"))).known
    told = after(overview(view("A"), failing("B", HOUR, "refused")), told).known
    later = after(overview(view("A"), failing("B", HOUR, "refused"), taken_at=NOON + 16 * MINUTE), told)
    assert names(later.ended) == [["key"]]
    last = after(overview(view("A"), failing("B", HOUR, "refused"), taken_at=NOON + 17 * MINUTE), later.known)
    assert names(last.begun) == [["B"]]


def test_one_refused_queue_among_good_ones_is_about_that_queue() -> None:
    assert names(after(overview(failing("A", HOUR, "refused"), view("B"))).begun) == [["A"]]


def test_a_name_without_a_queue_is_told_at_once_and_its_end() -> None:
    first = after(overview(view(), unknown=frozenset({"Ghost"})))
    assert names(first.begun) == [["Ghost"]]
    assert names(after(overview(view()), first.known).ended) == [["Ghost"]]


def test_an_unreadable_list_of_queues_is_told_after_15_minutes() -> None:
    assert after(overview(view(), unlisted_since=NOON - 14 * MINUTE)).begun == ()
    assert names(after(overview(view(), unlisted_since=NOON - 15 * MINUTE)).begun) == [["list"]]


def test_an_incident_knows_its_queue_its_error_and_what_was_found_before() -> None:
    seen = view("A", failing_since=NOON - HOUR, error="HTTP 502", new=3, gone=2)
    assert current(overview(seen)) == [
        Incident(
            Group.QUEUE, str(seen.polled.queue.queue_id), "A", NOON - HOUR, "HTTP 502", "unreachable", new=3, gone=2
        )
    ]


def test_a_refused_key_speaks_for_all_queues_since_the_first_of_them() -> None:
    refused = [
        view("A", failing_since=NOON - MINUTE, trouble="refused", error="HTTP 401", new=3, gone=2),
        view("B", failing_since=NOON - HOUR, trouble="refused", error="HTTP 403", new=4),
    ]
    key, *each = current(overview(*refused))
    assert key == Incident(Group.KEY, "", "", NOON - HOUR, "HTTP 403", "refused", new=7, gone=2)
    assert [incident.name for incident in each] == ["A", "B"]


def test_a_trouble_without_a_queue_is_the_same_at_every_look() -> None:
    seen = overview(unknown=frozenset({"Ghost"}), unlisted_since=NOON)
    assert [incident.key for incident in current(seen)] == [(Group.NAME, "Ghost"), (Group.LIST, "")]
    assert [incident.name for incident in current(seen)] == ["Ghost", ""]


def test_troubles_of_different_kinds_are_told_apart() -> None:
    seen = overview(failing("A", HOUR), view("B"), unknown=frozenset({"Ghost"}), unlisted_since=NOON - HOUR)
    assert names(after(seen).begun) == [["Ghost"], ["list"], ["A"]]


def test_a_poll_of_another_queue_does_not_end_the_trouble_of_one_that_has_not_been_polled_yet() -> None:
    told = after(overview(failing("A", HOUR), view("B"))).known
    awaited = after(overview(view("A", completed_at=None), view("B")), told)
    assert (awaited.ended, [incident.name for incident in awaited.known]) == ((), ["A"])
    assert names(after(overview(view("A"), view("B")), awaited.known).ended) == [["A"]]


def test_a_poll_that_was_complete_when_the_trouble_began_does_not_end_it() -> None:
    told = after(overview(failing("A", HOUR))).known
    assert after(overview(view("A", completed_at=NOON - HOUR)), told).ended == ()


LATE = Reason("posts_late", Area.NOTIFIER, "posts are late", "look at the network", subject="C1", since=NOON - HOUR)


def test_what_a_part_of_the_worker_announces_is_reported_until_that_part_knows_better() -> None:
    began = after(overview(view(), announced=[LATE]))
    assert [[(each.error, each.fix) for each in group] for group in began.begun] == [[(LATE.text, LATE.fix)]]
    unknown = after(overview(view()), began.known)
    assert (unknown.ended, unknown.known) == ((), began.known)
    over = after(overview(view(), over=frozenset({(LATE.kind, LATE.subject)})), began.known)
    assert [[each.error for each in group] for group in over.ended] == [[LATE.text]]
    assert over.known == ()
