"""The first sight of a queue is decided on in one pass, as any other listing would be."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.support.builders import HOUR, NOON
from tests.support.given import QUEUE, a_listing, a_policy, a_review, a_run, at
from tests.support.office import MONDAY, SATURDAY, office
from tests.unit.core.test_laws import any_runs, policies
from worker.core.first_sight import is_first_sight, plan_first_sight
from worker.core.model import Memory, Snapshot
from worker.core.plan import Plan, plan
from worker.core.remade import Remade

if TYPE_CHECKING:
    from datetime import datetime

    from worker.core.model import QueueRun
    from worker.core.policy import EscalationPolicy

UNSEEN = Memory(baselined=False, reviews=(), revision=3)
runs_of_a_queue = st.lists(any_runs, min_size=1, max_size=6, unique_by=lambda run: run.queue_run_id)


def kept(decided: Plan) -> Plan:
    """The plan with all its reviews at once."""
    return replace(decided, reviews=tuple(decided.reviews))


@given(runs_of_a_queue, policies, st.sampled_from([at(0), at(3), at(40)]), st.sampled_from([-5, 0, 5]))
def test_it_is_decided_on_as_any_other_listing(
    runs: list[QueueRun], policy: EscalationPolicy, now: datetime, ahead: int
) -> None:
    snapshot = Snapshot(QUEUE, tuple(runs), now, listing="items", strays=frozenset({"one"}), ahead=ahead * HOUR)
    assert is_first_sight(snapshot, UNSEEN, policy, now)
    whole = plan(snapshot, UNSEEN, policy, now)
    assert plan_first_sight(snapshot, UNSEEN, policy, now) == whole
    again = replace(snapshot, runs=Remade(len(runs), lambda: iter(runs)))
    assert kept(plan_first_sight(again, UNSEEN, policy, now)) == whole


def test_reviews_of_very_many_runs_are_made_again_too() -> None:
    runs = [a_run(number) for number in range(3)]
    snapshot = replace(a_listing(), runs=Remade(3, lambda: iter(runs)))
    decided = plan_first_sight(snapshot, UNSEEN, a_policy(), NOON)
    assert isinstance(decided.reviews, Remade)
    assert (len(decided.reviews), [*decided.reviews]) == (3, [*decided.reviews])


@pytest.mark.parametrize(
    ("snapshot", "memory"),
    [
        pytest.param(a_listing(), UNSEEN, id="of an empty queue"),
        pytest.param(a_listing(a_run()), replace(UNSEEN, baselined=True), id="of a queue that was seen before"),
        pytest.param(a_listing(a_run()), replace(UNSEEN, reviews=(a_review(),)), id="after one that was held"),
    ],
)
def test_it_is_none(snapshot: Snapshot, memory: Memory) -> None:
    assert not is_first_sight(snapshot, memory, a_policy(), NOON)


def test_one_that_may_not_be_spoken_of_yet_is_none() -> None:
    by_hours = replace(a_policy(), calendar=office())
    assert not is_first_sight(a_listing(a_run()), UNSEEN, by_hours, SATURDAY)
    assert is_first_sight(a_listing(a_run()), UNSEEN, by_hours, MONDAY)


def test_what_is_made_again_can_be_looked_for() -> None:
    runs = Remade(3, lambda: iter((1, 2, 3)))
    assert (2 in runs, 4 in runs) == (True, False)
