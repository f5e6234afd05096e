"""How the key stands."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from tests.fakes import FakeClock
from worker.core.ports import SourceError, Trouble
from worker.sources.standing import Standing

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
        standing.refused(A, REFUSED)
        assert admitted(standing) is None


def test_a_success_in_between_shows_that_the_key_is_good(standing: Any) -> None:
    standing.refused(A, REFUSED)
    standing.accepted()
    standing.refused(B, REFUSED)
    assert admitted(standing) is None


def test_a_bad_key_asks_once_in_five_minutes_for_all_queues(standing: Any, clock: FakeClock) -> None:
    standing.refused(A, REFUSED)
    standing.refused(B, REFUSED)
    asked = 0
    for _ in range(60):
        for queue in (A, B, C):
            if admitted(standing) is None:
                asked += 1
                standing.refused(queue, REFUSED)
        clock.advance(timedelta(seconds=30))
    assert asked == 5


def test_those_that_wait_are_told_for_how_long(standing: Any, clock: FakeClock) -> None:
    standing.refused(A, REFUSED)
    standing.refused(B, REFUSED)
    clock.advance(timedelta(seconds=100))
    assert admitted(standing) == ("the key is wrong", Trouble.REFUSED, timedelta(seconds=200))


def test_a_good_answer_lets_everybody_through(standing: Any, clock: FakeClock) -> None:
    standing.refused(A, REFUSED)
    standing.refused(B, REFUSED)
    clock.advance(timedelta(seconds=301))
    assert admitted(standing) is None
    assert admitted(standing) is not None
    standing.accepted()
    assert admitted(standing) is None
    standing.refused(A, REFUSED)
    assert admitted(standing) is None
