"""A cooldown: each id is a sentence of what it promises."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.support.builders import HOUR, MINUTE, SECOND
from worker.core.cooldown import Cooldown

AT = 1000.0


def test_nothing_is_waited_for_at_the_start() -> None:
    assert Cooldown().is_over(0.0)
    assert Cooldown().left(0.0) == timedelta(0)


def test_it_lasts_as_long_as_it_was_set_and_is_over_to_the_moment() -> None:
    wait = Cooldown.of(MINUTE, AT)
    assert not wait.is_over(AT + 59.9)
    assert wait.left(AT + 59) == SECOND
    assert wait.is_over(AT + 60)
    assert wait.left(AT + 61) == timedelta(0)


def test_it_is_over_exactly_where_nothing_is_left() -> None:
    """A rest of less than a microsecond is none: who sleeps for what is left must not be sent to sleep again."""
    wait = Cooldown.of(SECOND, AT)
    almost = AT + 1 - 1e-9
    assert almost < wait.until
    assert wait.left(almost) == timedelta(0)
    assert wait.is_over(almost)


def test_each_failure_in_a_row_doubles_it_up_to_the_longest() -> None:
    waits, wait = [], Cooldown()
    for _ in range(4):
        wait = wait.backed_off(AT, first=MINUTE, longest=3 * MINUTE)
        waits.append(wait.left(AT))
    assert waits == [MINUTE, 2 * MINUTE, 3 * MINUTE, 3 * MINUTE]
    assert wait.failures == 4


def test_only_a_share_of_the_back_off_is_waited_for_where_that_is_asked() -> None:
    assert Cooldown().backed_off(AT, first=MINUTE, longest=HOUR, share=0.5).left(AT) == MINUTE / 2


@pytest.mark.parametrize(
    ("wish", "wait"),
    [
        pytest.param(7 * SECOND, 7 * SECOND, id="a server's wish is followed, and no share of it"),
        pytest.param(SECOND / 1000, SECOND, id="a wish of nearly nothing is a second"),
        pytest.param(24 * HOUR, HOUR, id="a wish of a day is an hour"),
    ],
)
def test_a_wish(wish: timedelta, wait: timedelta) -> None:
    cooldown = Cooldown().backed_off(AT, first=MINUTE, longest=MINUTE, wish=wish, share=0.5)
    assert (cooldown.left(AT), cooldown.failures) == (wait, 1)


def test_a_failure_can_be_given_its_wait() -> None:
    assert Cooldown(AT, failures=2).failed(MINUTE, AT) == Cooldown(AT + 60, failures=3)


def test_of_two_the_larger_one_lasts_longer() -> None:
    assert max(Cooldown(), Cooldown.of(HOUR, AT), Cooldown.of(MINUTE, AT)) == Cooldown.of(HOUR, AT)
