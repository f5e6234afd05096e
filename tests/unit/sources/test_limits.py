"""How many rows are asked for at once."""

from __future__ import annotations

from uuid import UUID

from worker.sources.langsmith.listing import PageSizes

QUEUE, OTHER = UUID(int=1), UUID(int=2)


def test_pages_shrink_step_by_step_and_only_for_their_queue() -> None:
    limits = PageSizes(most_bytes=1000)
    seen = [limits.of(QUEUE)]
    while limits.shrink(QUEUE):
        seen.append(limits.of(QUEUE))
    assert seen == [100, 25, 5, 1]
    assert limits.of(QUEUE) == 1
    assert limits.of(OTHER) == 100


def test_pages_grow_again_where_the_larger_one_surely_fits() -> None:
    limits = PageSizes(most_bytes=1000)
    limits.shrink(QUEUE)
    limits.read(QUEUE, 125)
    assert limits.of(QUEUE) == 25
    limits.read(QUEUE, 124)
    assert limits.of(QUEUE) == 100
    limits.read(QUEUE, 1)
    assert limits.of(QUEUE) == 100
