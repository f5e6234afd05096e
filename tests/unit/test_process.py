"""The stop: a signal may come at any instant, also within the wait for it."""

from __future__ import annotations

import itertools
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from worker.process import Stop

if TYPE_CHECKING:
    from collections.abc import Iterator

TIMES = 3_000
"""An event whose lock the handler waits for is caught by less than a hundred of them."""


@contextmanager
def alarms(stop: Stop) -> Iterator[None]:
    """Set `stop` whenever the alarm rings."""
    before = signal.signal(signal.SIGALRM, lambda _number, _frame: stop.set())
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.timeout(120, method="thread")  # the other method is a signal, and what hangs here would not hear it
def test_a_signal_within_a_wait_is_heard() -> None:
    delays = itertools.cycle(microseconds / 1e6 for microseconds in range(1, 40))
    for delay in itertools.islice(delays, TIMES):
        stop = Stop()
        with alarms(stop):
            signal.setitimer(signal.ITIMER_REAL, delay)
            while not stop.is_set():
                stop.wait(0.00001)


def test_whoever_waits_is_told_whether_the_end_was_asked_for() -> None:
    stop = Stop()
    assert (stop.wait(0), stop.is_set()) == (False, False)
    stop.set()
    assert (stop.wait(60), stop.wait(60), stop.is_set()) == (True, True, True)
