"""How much of the work is whose, and when a lease is renewed."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.builders import SECOND
from tests.support.given import at
from worker.core.leases import LINKS, RENEW, SOON, TTL, Living, Task, assignment_name, tasks_for

ELDEST, MIDDLE, YOUNGEST = (UUID(int=number) for number in (3, 1, 2))


def living(**leases: float) -> Living:
    """The workers by name, eldest first, each with the seconds that its lease still lasts."""
    named = {"eldest": ELDEST, "middle": MIDDLE, "youngest": YOUNGEST}
    return Living(at(0), {named[name]: at(0) + left * SECOND for name, left in leases.items()})


@pytest.mark.parametrize(
    ("count", "shares"),
    [(0, [0, 0, 0]), (1, [1, 0, 0]), (2, [1, 1, 0]), (3, [1, 1, 1]), (7, [3, 2, 2]), (8, [3, 3, 2])],
)
def test_parts_are_even_and_the_eldest_take_what_is_left_over(count: int, shares: list[int]) -> None:
    workers = living(eldest=9, middle=9, youngest=9)
    assert [workers.share(worker, count) for worker in (ELDEST, MIDDLE, YOUNGEST)] == shares


@given(st.integers(1, 20), st.integers(0, 500))
def test_parts_are_the_whole_and_differ_by_one_at_most(workers: int, count: int) -> None:
    crew = Living(at(0), {UUID(int=number): at(0) + TTL for number in range(workers)})
    shares = [crew.share(worker, count) for worker in crew.until]
    assert sum(shares) == count
    assert max(shares) - min(shares) <= 1


def test_a_lease_is_renewed_at_a_third_of_it() -> None:
    assert living(eldest=10).again_in(ELDEST) == RENEW == TTL / 3


def test_what_a_dead_worker_had_is_looked_for_when_its_lease_ends() -> None:
    assert living(eldest=10, middle=2).again_in(ELDEST) == 2 * SECOND


def test_our_own_lease_is_nothing_to_wait_for() -> None:
    assert living(eldest=2, middle=10).again_in(ELDEST) == RENEW


@pytest.mark.parametrize("left", [0.0, 0.2, -5.0])
def test_nobody_looks_more_often_than_each_second(left: float) -> None:
    assert living(eldest=10, middle=left).again_in(ELDEST) == SOON


IDS = st.uuids() | st.text(st.characters(exclude_categories=["Cs"])) | st.sampled_from([*map(str, Task), str(ELDEST)])


@given(one=IDS, other=IDS)
def test_a_queue_shares_its_assignment_with_no_task_and_no_other_queue(one: UUID | str, other: UUID | str) -> None:
    assert assignment_name(one) not in {str(task) for task in Task}
    assert (assignment_name(one) == assignment_name(other)) is (one == other)


def test_a_queue_with_a_uuid_is_called_as_older_workers_call_it() -> None:
    assert assignment_name(ELDEST) == "00000000-0000-0000-0000-000000000003"


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_the_name_of_an_assignment_is_text_that_every_database_keeps(queue_id: str) -> None:
    assert assignment_name(queue_id).isascii()
    assert assignment_name(queue_id).isprintable()


LINK, SPARE = map(str, LINKS)


@pytest.mark.parametrize(
    ("held", "free", "workers", "links"),
    [
        pytest.param([], [LINK, SPARE], 1, {LINK, SPARE}, id="alone: both, which is one connection"),
        pytest.param([], [LINK, SPARE], 2, {LINK}, id="the first of two"),
        pytest.param([], [SPARE], 2, {SPARE}, id="the second of two"),
        pytest.param([LINK, SPARE], [], 2, {LINK}, id="one gives back"),
        pytest.param([SPARE], [LINK], 2, {SPARE}, id="what another had is for a third"),
    ],
)
def test_a_worker_has_one_link_while_others_live(
    held: list[str], free: list[str], workers: int, links: set[str]
) -> None:
    assert tasks_for(held, free, workers) & {LINK, SPARE} == links
    assert tasks_for(held, free, workers) >= {str(task) for task in Task} - {LINK, SPARE}
