"""The budget of requests."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.support.clock import FakeClock
from worker.sources.langsmith.http import Budget


def make(per_second: Any) -> Any:
    clock = FakeClock()
    waits = []

    def wait(seconds: Any) -> None:
        waits.append(seconds)
        clock.advance(timedelta(seconds=seconds))

    return clock, waits, Budget(per_second=per_second, clock=clock, wait=wait)


def test_requests_are_spread_without_bursts() -> None:
    clock, waits, budget = make(20)
    for _ in range(41):
        budget.turn()
    assert clock.monotonic() == 2.0 or abs(clock.monotonic() - 2.0) < 1e-3
    assert max(waits) < 0.051


def test_a_slow_caller_never_waits() -> None:
    clock, waits, budget = make(20)
    for _ in range(10):
        budget.turn()
        clock.advance(timedelta(seconds=1))
    assert waits == []


def test_idle_time_is_not_saved_up() -> None:
    clock, waits, budget = make(10)
    clock.advance(timedelta(hours=1))
    for _ in range(3):
        budget.turn()
    assert len(waits) == 2


@given(st.lists(st.integers(1, 30), min_size=2, max_size=8))
def test_turns_are_given_in_the_order_of_asking(sizes: Any) -> None:
    """Queues that each ask for one turn after the other all advance alike, whatever they have still to read."""
    clock = FakeClock()
    granted = []
    budget = Budget(per_second=10, clock=clock, wait=granted.append)
    left = dict(enumerate(sizes))
    done = Counter()
    while any(left.values()):
        for queue in [queue for queue, pages in left.items() if pages]:
            budget.turn()
            left[queue] -= 1
            done[queue] += 1
            waiting = [done[other] for other, pages in left.items() if pages]
            assert max(done.values()) - min(waiting, default=max(done.values())) <= 1
    assert granted == sorted(granted)
    assert len(granted) == sum(sizes) - 1
