"""What took time to make is kept, so that making things never takes more than its share."""

from __future__ import annotations

from datetime import timedelta
from itertools import cycle

import pytest

from tests.support.clock import FakeClock
from worker.web.cache import FRESH_SECONDS, STALE_SECONDS, Cache, NotKeptError


class Kitchen:
    """Makes values that take time, and counts how much."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.cache = Cache(self.clock)
        self.spent = 0.0
        self.made = 0

    def get(self, key: str, seconds: float = 0.0) -> int:
        return self.cache.get(key, lambda: self._make(seconds))

    def _make(self, seconds: float) -> int:
        self.clock.advance(timedelta(seconds=seconds))
        self.spent += seconds
        self.made += 1
        return self.made

    def wait(self, seconds: float) -> None:
        self.clock.advance(timedelta(seconds=seconds))


def test_what_is_made_at_once_is_kept_for_a_second() -> None:
    kitchen = Kitchen()
    assert [kitchen.get("a"), kitchen.get("a"), kitchen.get("b")] == [1, 1, 2]
    kitchen.wait(1)
    assert kitchen.get("a") == 3


def test_however_many_things_are_asked_for_making_them_takes_a_twentieth_of_the_time() -> None:
    kitchen = Kitchen()
    began = kitchen.clock.monotonic()
    for key in cycle("abcd"):
        kitchen.get(key, 0.5)
        kitchen.wait(0.05)
        if (took := kitchen.clock.monotonic() - began) > 600:
            break
    assert kitchen.spent / took < 0.06


def test_what_nobody_asks_for_any_more_does_not_make_the_rest_older() -> None:
    kitchen = Kitchen()
    kitchen.get("slow", 1)
    kitchen.wait(300)
    first = kitchen.get("quick", 0.01)
    kitchen.wait(1)
    assert kitchen.get("quick", 0.01) == first + 1


def test_what_cannot_be_made_is_tried_again() -> None:
    kitchen = Kitchen()

    def fail() -> int:
        raise ValueError("not now")

    for _ in range(2):
        try:
            kitchen.cache.get("a", fail)
        except ValueError:
            kitchen.made += 1
    assert kitchen.made == 2


def test_only_so_much_is_kept() -> None:
    kitchen = Kitchen()
    for number in range(1000):
        kitchen.get(str(number))
    assert kitchen.get("999") == 1000
    assert kitchen.get("0") == 1001


def test_what_is_out_of_date_is_given_for_a_moment_and_wanted_anew_once() -> None:
    kitchen = Kitchen()
    with pytest.raises(NotKeptError):
        kitchen.cache.kept("a")
    kitchen.get("a")
    assert kitchen.cache.kept("a") == (1, False)
    kitchen.wait(FRESH_SECONDS)
    assert [kitchen.cache.kept("a") for _ in range(2)] == [(1, True), (1, False)]
    kitchen.get("a")
    assert kitchen.cache.kept("a") == (2, False)
    kitchen.wait(FRESH_SECONDS)
    assert kitchen.cache.kept("a") == (2, True)
    # Whoever was to make it again did not: it is not given for ever.
    kitchen.wait(STALE_SECONDS)
    with pytest.raises(NotKeptError):
        kitchen.cache.kept("a")


def test_what_takes_long_to_make_is_given_for_longer_meanwhile() -> None:
    kitchen = Kitchen()
    kitchen.get("slow", 4)
    kitchen.wait(80 + 3 * STALE_SECONDS)
    assert kitchen.cache.kept("slow") == (1, True)
    kitchen.wait(STALE_SECONDS)
    with pytest.raises(NotKeptError):
        kitchen.cache.kept("slow")
