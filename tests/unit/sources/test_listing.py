"""How a listing is known again: by records of its rows, of which nothing else is kept."""

from __future__ import annotations

from functools import partial
from itertools import combinations
from typing import Any
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from worker.core.diff import digest
from worker.core.model import QueueRun, Show
from worker.sources.langsmith.listing import MANY, Former, Leaf, Listing, record
from worker.sources.langsmith.rows import Wanted, of_runs, row_type, run_mark
from worker.sources.langsmith.wire import Row

WANTED = Wanted(UUID(int=1), "needs_my_review", frozenset(Show))
DATES = st.sampled_from([None, "2026-03-01T08:00:00Z", "2026-03-01T09:00:00", 7])
ROWS = st.builds(
    Row,
    queue_run_id=st.sampled_from([str(UUID(int=1)), str(UUID(int=2))]),
    added_at=DATES,
    effective_added_at=DATES,
    assigned_to=st.sampled_from([None, [], ["a"], ["b", "a"]]),
    reserved_by=st.sampled_from([None, [], ["a"], ["a", "b"]]),
    completed_by=st.sampled_from([None, [], ["a"], ["a", "b"]]),
    name=st.text(max_size=3),
)


def collected(*numbers: int) -> tuple[Listing, list[int]]:
    """A listing, and which of its runs have been made so far."""
    listing, made = Listing("the list"), []

    def make(number: int) -> QueueRun:
        made.append(number)
        return run(number)

    listing.add(Leaf(records=b"".join(record(UUID(int=one), one) for one in numbers)))
    listing.found = {UUID(int=one): partial(make, one) for one in numbers}
    return listing, made


def run(number: int) -> QueueRun:
    return QueueRun(UUID(int=number), None, None)


def test_a_run_is_made_when_it_is_asked_for_and_once() -> None:
    listing, made = collected(1, 2, 3)
    assert (listing.first, len(listing.found), made) == (UUID(int=1), 3, [])
    assert listing.runs() == listing.runs() == (run(1), run(2), run(3))
    assert made == [1, 2, 3]


def test_of_two_listings_the_first_counts() -> None:
    first, made = collected(1, 2)
    second, made_of_second = collected(2, 3)
    first.merge(second)
    assert first.runs() == (run(1), run(2), run(3))
    assert (made, made_of_second) == ([1, 2], [3])


def of(row: Row) -> QueueRun:
    return of_runs(row, WANTED, UUID(row.queue_run_id))


@given(ROWS, ROWS)
def test_rows_of_one_mark_are_runs_of_one_digest(one: Row, other: Row) -> None:
    if run_mark(one) == run_mark(other):
        assert digest([of(one)]) == digest([of(other)])


@given(ROWS, ROWS)
def test_what_the_digest_tells_apart_the_mark_does_too(one: Row, other: Row) -> None:
    if digest([of(one)]) != digest([of(other)]):
        assert run_mark(one) != run_mark(other)


def test_links_that_are_signed_at_each_answer_make_no_other_mark() -> None:
    once, again = (Row(queue_run_id=str(UUID(int=1)), app_path=f"/o/x?signature={number}") for number in range(2))
    assert run_mark(once) == run_mark(again)


def test_long_texts_are_not_kept_where_nobody_shows_them() -> None:
    assert "inputs_preview" not in row_type(frozenset({Show.NAME, Show.COST})).__struct_fields__
    assert "inputs_preview" in row_type(frozenset({Show.OUTPUTS_PREVIEW})).__struct_fields__


def read(*rows: tuple[int, int], former: Any = ()) -> Listing:
    """A listing of rows by the number of their run and their mark, a page each."""
    listing = Listing("the list", Former(former))
    for number, mark in rows:
        listing.add(Leaf(records=record(UUID(int=number), mark)))
        if mark not in listing.former.marks:
            listing.found[UUID(int=number)] = run(number)
    return listing


def changed(former: Any, *rows: tuple[int, int]) -> Any:
    """Which runs are found and which are gone, by number, and whether the next reading may be compared."""
    listing = read(*rows, former=former)
    gone, leaves = listing.change()
    return {one.int for one in listing.found if isinstance(one, UUID)}, {one.int for one in gone}, leaves is not None


def test_what_is_new_altered_and_gone_is_found() -> None:
    _, leaves = read((1, 11), (2, 12), (3, 13)).change()
    assert changed(leaves, (1, 11), (2, 12), (3, 13)) == (set(), set(), True)
    assert changed(leaves, (3, 13), (2, 99), (4, 14)) == ({2, 4}, {1}, True)


def test_a_run_that_is_shown_in_two_ways_is_compared_with_nothing() -> None:
    _, leaves = read((1, 11), (2, 12)).change()
    assert leaves is not None
    assert read((1, 11), (1, 12)).change()[1] is None
    assert changed(leaves, (1, 11), (1, 99), (2, 12)) == ({1}, set(), False)
    assert changed(leaves, (1, 98), (1, 99), (2, 12)) == ({1}, set(), False)


def test_runs_that_exchange_how_they_look_have_changed() -> None:
    ids = [str(UUID(int=number)) for number in range(1, 40)]
    for one, other in combinations(ids, 2):
        before = {run_mark(Row(queue_run_id=one, reserved_by=["a"])), run_mark(Row(queue_run_id=other))}
        after = {run_mark(Row(queue_run_id=one)), run_mark(Row(queue_run_id=other, reserved_by=["a"]))}
        assert before.isdisjoint(after)


def test_very_many_runs_are_made_again_whenever_they_are_needed() -> None:
    listing = Listing("the list", make=lambda kept: run(UUID(bytes=kept[:16]).int))
    listing.found = {UUID(int=1): run(1)}
    numbers = [*range(1, MANY + 2), 1]
    listing.add(Leaf(records=b"".join(record(UUID(int=number), number) for number in numbers)))
    runs = listing.runs()
    assert (listing.is_large, listing.found) == (True, {})
    assert len(runs) == MANY + 1
    assert [*runs] == [*runs] == [run(number) for number in numbers[:-1]]


def test_what_is_new_among_very_many_is_found_as_usual() -> None:
    leaves = [Leaf(records=b"".join(record(UUID(int=number), number) for number in range(1, MANY + 2)))]
    listing = Listing("the list", Former(leaves), make=lambda _: run(0))
    listing.add(leaves[0])
    listing.found = {UUID(int=MANY + 9): run(MANY + 9)}
    listing.add(Leaf(records=record(UUID(int=MANY + 9), 0)))
    assert (listing.is_large, listing.runs()) == (False, (run(MANY + 9),))
