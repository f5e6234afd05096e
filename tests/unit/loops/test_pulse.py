from __future__ import annotations

from tests.support.builders import MINUTE
from tests.support.clock import FakeClock
from worker.loops.housekeep import Pulse


def test_a_loop_that_gives_no_sign_of_life_hangs() -> None:
    clock = FakeClock()
    pulse = Pulse(clock)
    pulse.expect("deliver", 3 * MINUTE)
    pulse.expect("watch", MINUTE)
    clock.advance(2 * MINUTE)
    assert pulse.hanging() == ("watch",)
    pulse.beat("watch")
    clock.advance(2 * MINUTE)
    assert pulse.hanging() == ("deliver", "watch")


def test_a_sign_from_a_loop_that_nobody_expects_counts_for_nothing() -> None:
    clock = FakeClock()
    pulse = Pulse(clock)
    pulse.beat("polls")
    clock.advance(60 * MINUTE)
    assert pulse.hanging() == ()


def test_a_wall_clock_that_is_set_does_not_matter() -> None:
    clock = FakeClock()
    pulse = Pulse(clock)
    pulse.expect("deliver", MINUTE)
    clock.set_wall(clock.now() + 60 * MINUTE)
    assert pulse.hanging() == ()
