"""What a listing that moved, or another listing than before, changes."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from tests.support.builders import MINUTE, NOON, ident, queue_run, snapshot
from worker.core.diff import diff
from worker.core.model import Review


def seen(*runs: Any, **more: Any) -> Any:
    """What is remembered after one listing."""
    return diff(snapshot(*runs, **more), (), NOON).open


def told(reviews: Any) -> Any:
    return tuple(replace(review, told_at=NOON + MINUTE, generation=1) for review in reviews)


A, B = queue_run("a"), queue_run("b")
LATER = NOON + MINUTE


def moved(*runs: Any) -> Any:
    return replace(snapshot(*runs, one_page=False), moved=True)


def test_an_absence_from_a_list_that_moved_says_nothing() -> None:
    known = seen(A, B)
    found = diff(moved(A), known, LATER)
    assert found.changed == ()
    assert found.open == known
    assert found.unsure


def test_a_list_that_moved_does_not_count_as_the_second_absence_either() -> None:
    known = diff(snapshot(A, one_page=False), seen(A, B), NOON).open
    assert [review.absent_at for review in known] == [None, NOON]
    assert diff(moved(A), known, LATER).changed == ()
    (closed,) = diff(snapshot(A, one_page=False), known, LATER).changed
    assert (closed.queue_run_id, closed.closed_at) == (B.queue_run_id, LATER)


def test_what_a_list_that_moved_shows_is_believed() -> None:
    found = diff(moved(A, B), seen(A), LATER)
    assert [review.queue_run_id for review in found.changed] == [B.queue_run_id]


def test_an_older_stay_is_closed_even_where_the_list_moved() -> None:
    back = replace(A, added_at=LATER)
    closed = [review for review in diff(moved(back), seen(A), LATER).changed if not review.is_open]
    assert [review.added_at for review in closed] == [A.added_at]


def renamed(run: Any) -> Any:
    return replace(run, queue_run_id=ident(f"other id of {run.queue_run_id}"))


def switched(*runs: Any, known: Any, **more: Any) -> Any:
    return diff(snapshot(*runs, **more), known, LATER, is_switched=True)


def test_the_other_listing_with_the_same_ids_changes_nothing() -> None:
    known = told(seen(A, B))
    assert switched(A, B, known=known).changed == ()


def test_the_other_listing_with_other_ids_tells_nothing_again() -> None:
    known = told(seen(A))
    found = switched(renamed(A), B, known=known)
    carried, new, closed = (*found.open, *(review for review in found.changed if not review.is_open))
    assert (carried.queue_run_id, carried.told_at, carried.generation) == (renamed(A).queue_run_id, NOON + MINUTE, 1)
    assert (carried.since, carried.first_seen_at) == (known[0].since, known[0].first_seen_at)
    assert (new.queue_run_id, new.told_at) == (B.queue_run_id, None)
    assert (closed.queue_run_id, closed.closed_at) == (A.queue_run_id, LATER)
    assert not found.unsure


def test_other_ids_are_recognised_in_a_listing_of_several_pages_too() -> None:
    found = switched(renamed(A), one_page=False, known=told(seen(A)))
    assert [review.queue_run_id for review in found.open] == [renamed(A).queue_run_id]


def test_without_a_switch_another_id_is_another_stay() -> None:
    found = diff(snapshot(renamed(A)), told(seen(A)), LATER)
    assert [review.told_at for review in found.open] == [None]


def test_one_run_twice_in_a_queue_stays_two_stays() -> None:
    twice = renamed(A)
    found = switched(A, twice, known=told(seen(A)))
    assert [review.told_at for review in found.open] == [NOON + MINUTE, None]


def test_runs_without_an_id_are_no_twins() -> None:
    nameless = replace(A, run_id=None)
    found = switched(replace(renamed(A), run_id=None), known=told(seen(nameless)))
    assert [review.told_at for review in found.open] == [None]


def test_an_id_that_is_remembered_is_its_own_stay() -> None:
    known = (*told(seen(A)), Review(renamed(A).queue_run_id, None, A.run_id, NOON, NOON, closed_at=NOON, told_at=None))
    found = switched(renamed(replace(A, added_at=None)), known=known)
    assert [review.told_at for review in found.open] == [None]
