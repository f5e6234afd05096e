"""Runs that are made from their rows only where a listing is another: an unchanged one needs none."""

from __future__ import annotations

from functools import partial
from itertools import combinations
from typing import Any
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from worker.core.diff import digest
from worker.core.model import QueueRun, Show
from worker.sources.langsmith.listing import Listing
from worker.sources.langsmith.rows import Sighting, Wanted, of_runs, row_type, sighted
from worker.sources.langsmith.wire import Row

WANTED = Wanted(UUID(int=1), "needs_my_review", frozenset(Show))
DATES = st.sampled_from([None, "2026-03-01T08:00:00Z", "2026-03-01T09:00:00", 7])
ROWS = st.builds(
    Row,
    queue_run_id=st.sampled_from([str(UUID(int=1)), str(UUID(int=2)), None]),
    added_at=DATES,
    effective_added_at=DATES,
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

    listing.add([Sighting(UUID(int=one), 0, partial(make, one)) for one in numbers], len(numbers))
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


def made(sighting: Sighting) -> QueueRun:
    return sighting.run if isinstance(sighting.run, QueueRun) else sighting.run()


@given(ROWS, ROWS)
def test_rows_of_one_mark_are_runs_of_one_digest(one: Row, other: Row) -> None:
    sights = [sighted(row, WANTED) for row in (one, other)]
    runs = [of_runs(row, WANTED) for row in (one, other)]
    assert [sight and made(sight) for sight in sights] == runs
    first, second = sights
    if first is not None and second is not None and first.mark == second.mark:
        assert digest([made(first)]) == digest([made(second)])


@given(ROWS, st.data())
def test_what_the_digest_tells_apart_the_mark_does_too(one: Row, data: Any) -> None:
    other = data.draw(ROWS)
    sights = [sighted(row, WANTED) for row in (one, other)]
    if None not in sights and digest([made(sights[0])]) != digest([made(sights[1])]):  # type: ignore[arg-type]
        assert sights[0].mark != sights[1].mark  # type: ignore[union-attr]


def test_long_texts_are_not_kept_where_nobody_shows_them() -> None:
    assert "inputs_preview" not in row_type(frozenset({Show.NAME, Show.COST})).__struct_fields__
    assert "inputs_preview" in row_type(frozenset({Show.OUTPUTS_PREVIEW})).__struct_fields__


def listed(*rows: Row) -> Listing:
    listing = Listing("the list")
    listing.add([sighting for row in rows if (sighting := sighted(row, WANTED))], len(rows))
    return listing


def test_a_queue_in_which_two_runs_exchange_who_is_reserved_has_changed() -> None:
    ids = [str(UUID(int=number)) for number in range(1, 40)]
    same = [
        listed(Row(queue_run_id=one, reserved_by=["a"]), Row(queue_run_id=other)).fingerprint
        == listed(Row(queue_run_id=one), Row(queue_run_id=other, reserved_by=["a"])).fingerprint
        for one, other in combinations(ids, 2)
    ]
    assert not any(same)
