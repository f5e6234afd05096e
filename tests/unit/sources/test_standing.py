"""How the key stands."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from tests.support.clock import FakeClock
from worker.core.ports import SourceError, Trouble
from worker.sources.langsmith.errors import Standing

A, B, C = (UUID(int=n) for n in range(1, 4))
REFUSED = SourceError("the key is wrong", Trouble.REFUSED)


@pytest.fixture
def clock() -> Any:
    return FakeClock()


@pytest.fixture
def standing(clock: FakeClock) -> Any:
    return Standing(clock)


def admitted(standing: Any) -> Any:
    try:
        standing.admit()
    except SourceError as error:
        return str(error), error.trouble, error.retry_after
    return None


def test_one_refused_queue_does_not_stop_the_others(standing: Any) -> None:
    for _ in range(5):
        standing.failed(A, REFUSED)
        assert admitted(standing) is None


def test_a_success_in_between_shows_that_the_key_is_good(standing: Any) -> None:
    standing.failed(A, REFUSED)
    standing.accepted()
    standing.failed(B, REFUSED)
    assert admitted(standing) is None


def test_a_bad_key_asks_once_in_five_minutes_for_all_queues(standing: Any, clock: FakeClock) -> None:
    standing.failed(A, REFUSED)
    standing.failed(B, REFUSED)
    asked = 0
    for _ in range(60):
        for queue in (A, B, C):
            if admitted(standing) is None:
                asked += 1
                standing.failed(queue, REFUSED)
        clock.advance(timedelta(seconds=30))
    assert asked == 5


def test_those_that_wait_are_told_for_how_long(standing: Any, clock: FakeClock) -> None:
    standing.failed(A, REFUSED)
    standing.failed(B, REFUSED)
    clock.advance(timedelta(seconds=100))
    assert admitted(standing) == ("the key is wrong", Trouble.REFUSED, timedelta(seconds=200))


def test_a_good_answer_lets_everybody_through(standing: Any, clock: FakeClock) -> None:
    standing.failed(A, REFUSED)
    standing.failed(B, REFUSED)
    clock.advance(timedelta(seconds=301))
    assert admitted(standing) is None
    assert admitted(standing) is not None
    standing.accepted()
    assert admitted(standing) is None
    standing.failed(A, REFUSED)
    assert admitted(standing) is None


def throttled(seconds: int | None = None) -> SourceError:
    wish = None if seconds is None else timedelta(seconds=seconds)
    return SourceError("too many requests", Trouble.THROTTLED, retry_after=wish)


@pytest.mark.parametrize(
    ("wish", "pause"), [(None, 60), (17, 17), (0, 1), (10**9, 3600)], ids=["none", "some", "nonsense", "absurd"]
)
def test_a_throttled_key_asks_once_in_the_time_that_the_server_wants(
    standing: Any, clock: FakeClock, wish: int | None, pause: int
) -> None:
    standing.failed(A, throttled(wish))
    standing.failed(B, throttled(wish))
    assert admitted(standing) == ("too many requests", Trouble.THROTTLED, timedelta(seconds=pause))
    clock.advance(timedelta(seconds=pause))
    assert [admitted(standing) is None for _ in range(3)] == [True, False, False]


def test_the_longest_wish_counts(standing: Any, clock: FakeClock) -> None:
    standing.failed(A, throttled(100))
    standing.failed(B, throttled(200))
    standing.failed(C, throttled(5))
    clock.advance(timedelta(seconds=199))
    assert admitted(standing) is not None


@pytest.mark.parametrize("trouble", [Trouble.UNREACHABLE, Trouble.MISSING, Trouble.UNLAWFUL])
def test_other_troubles_are_not_the_keys(standing: Any, trouble: Any) -> None:
    for queue in (A, B, C):
        standing.failed(queue, SourceError("down", trouble))
    assert admitted(standing) is None
