from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, Any
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from worker.core.diff import digest
from worker.core.model import QueueRun, Show
from worker.sources.deferred import InOrder, Runs, Sighting
from worker.sources.listing import Listing
from worker.sources.rows import Wanted, of_runs, row_type, sighted
from worker.sources.wire import Row

if TYPE_CHECKING:
    from tests.langsmith_stage import Stage

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


def run(number: int) -> QueueRun:
    return QueueRun(UUID(int=number), None, None)


def collected(*numbers: int) -> tuple[Runs, list[int]]:
    """Some runs, and which of them have been made so far."""
    runs, made = Runs(), []

    def make(number: int) -> QueueRun:
        made.append(number)
        return run(number)

    for number in numbers:
        runs.sight(Sighting(UUID(int=number), 0, lambda number=number: make(number)))
    return runs, made


def test_a_run_is_made_when_it_is_looked_at_and_once() -> None:
    runs, made = collected(1, 2, 3)
    listed = InOrder(runs)
    assert (len(runs), len(listed), list(runs)) == (3, 3, [UUID(int=1), UUID(int=2), UUID(int=3)])
    assert made == []
    assert runs[UUID(int=2)] == run(2)
    assert made == [2]
    assert list(listed) == [run(1), run(2), run(3)] == list(listed)
    assert listed[0] == run(1)
    assert listed[1:] == (run(2), run(3))
    assert made == [2, 1, 3]


def test_of_two_listings_the_first_counts() -> None:
    first, made = collected(1, 2)
    second, made_of_second = collected(2, 3)
    first.adopt(second)
    assert list(first.values()) == [run(1), run(2), run(3)]
    assert (made, made_of_second) == ([1, 2], [3])


def test_a_run_can_be_replaced_and_removed() -> None:
    runs, made = collected(1, 2)
    runs[UUID(int=1)] = run(7)
    del runs[UUID(int=2)]
    assert dict(runs) == {UUID(int=1): run(7)}
    assert made == []


@given(ROWS, ROWS)
def test_rows_of_one_mark_are_runs_of_one_digest(one: Row, other: Row) -> None:
    sights = [sighted(row, WANTED) for row in (one, other)]
    runs = [of_runs(row, WANTED) for row in (one, other)]
    assert [sight and sight.make() for sight in sights] == runs
    first, second = sights
    if first is not None and second is not None and first.mark == second.mark:
        assert digest([first.make()]) == digest([second.make()])


@given(ROWS, st.data())
def test_what_the_digest_tells_apart_the_mark_does_too(one: Row, data: Any) -> None:
    other = data.draw(ROWS)
    sights = [sighted(row, WANTED) for row in (one, other)]
    if None not in sights and digest([sights[0].make()]) != digest([sights[1].make()]):  # type: ignore[union-attr]
        assert sights[0].mark != sights[1].mark  # type: ignore[union-attr]


def test_long_texts_are_not_kept_where_nobody_shows_them() -> None:
    assert "inputs_preview" not in row_type(frozenset({Show.NAME, Show.COST})).__struct_fields__
    assert "inputs_preview" in row_type(frozenset({Show.OUTPUTS_PREVIEW})).__struct_fields__


def test_an_unchanged_queue_has_one_fingerprint_and_a_changed_one_another(stage: Stage) -> None:
    queue = stage.langsmith.add_queue("Support QA")
    seen = []
    for change in (stage.langsmith.add_run, lambda _: None, stage.langsmith.add_run):
        change(queue)
        seen.append(stage.snapshot(queue).fingerprint)
    assert seen[0] == seen[1] != seen[2]


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
