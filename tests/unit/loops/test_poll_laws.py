"""Laws of the poll loop: failed polls change nothing, and what is skipped would have changed nothing."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from tests.support.builders import DAY, HOUR, MINUTE, NOON, queue, queue_run, rules_with
from tests.support.clock import FakeClock
from tests.support.fake_source import FakeSource
from tests.support.memory_store import MemoryStore
from worker.core.ports import Trouble
from worker.loops.poll import Poll

if TYPE_CHECKING:
    from worker.core.model import QueueRun, Review
    from worker.core.owed import Delivery

QUEUE = queue()
RULES = rules_with(escalate_after=2 * DAY, show=frozenset())
NAMES = ("a", "b", "c")

runs = st.builds(
    queue_run,
    name=st.sampled_from(NAMES),
    added_at=st.sampled_from([None, NOON - 5 * HOUR, NOON - HOUR, NOON]),
    effective_added_at=st.sampled_from([None, None, NOON - HOUR]),
    reserved=st.booleans(),
    done=st.integers(0, 1),
)
listings = st.lists(runs, max_size=3, unique_by=lambda run: run.queue_run_id)
polls = st.lists(
    st.tuples(st.sampled_from([MINUTE, HOUR, 5 * HOUR, 30 * HOUR]), listings, st.booleans(), st.integers(1, 3)),
    min_size=1,
    max_size=8,
)


class World:
    """One queue and all that polls it."""

    def __init__(self) -> None:
        self.clock, self.store, self.source = FakeClock(NOON), MemoryStore(), FakeSource()
        self.poll = Poll(
            source=self.source,
            store=self.store,
            clock=self.clock,
            rules=lambda _queue: RULES,
            owed=lambda: None,
            jitter=lambda: 0.5,
        )

    def see(self, runs: list[QueueRun], *, one_page: bool) -> bool:
        self.source.show(QUEUE, *runs, one_page=one_page)
        return self.poll(QUEUE)

    def fail(self) -> None:
        """Fail once, and be asked for the shortest pause, so that the next poll is not skipped."""
        self.source.fail(trouble=Trouble.THROTTLED, retry_after=timedelta(0))
        assert self.poll(QUEUE) is False

    def memory(self) -> tuple[list[Delivery], list[Review]]:
        ids = {queue_run(name).queue_run_id for name in NAMES}
        told = [story.review for run in sorted(ids) for story in self.store.stories(run)]
        return list(self.store.deliveries()), told


@given(polls, st.sets(st.integers(0, 8)))
def test_polls_that_fail_in_between_change_nothing(
    events: list[tuple[timedelta, list[QueueRun], bool, int]], failing: set[int]
) -> None:
    one, other = World(), World()
    for number, (wait, listed, one_page, times) in enumerate(events):
        for world in (one, other):
            world.clock.advance(wait / 2)
        if number in failing:
            other.fail()
        for world in (one, other):
            world.clock.advance(wait / 2)
            assert [world.see(listed, one_page=one_page) for _ in range(times)] == [True] * times
    assert one.memory() == other.memory()


@given(polls)
def test_a_poll_that_skips_the_database_would_have_changed_nothing(
    events: list[tuple[timedelta, list[QueueRun], bool, int]],
) -> None:
    skipping, thorough = World(), World()
    for wait, listed, one_page, times in events:
        for _ in range(times):
            for world in (skipping, thorough):
                world.clock.advance(wait)
            thorough.poll.forget(QUEUE.queue_id)
            skipping.see(listed, one_page=one_page)
            thorough.see(listed, one_page=one_page)
    assert skipping.memory()[0] == thorough.memory()[0]
