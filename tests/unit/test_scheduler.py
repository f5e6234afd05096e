"""The ticker keeps its jobs when the wall clock is set, and its threads never keep a process alive."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta

import pytest

from tests.fakes import FakeClock
from worker.clock import SystemClock
from worker.scheduler import DaemonPool, Ticker

HOUR = timedelta(hours=1)


def next_runs(ticker: Ticker) -> dict[str, datetime]:
    return {job.id: job.next_run_time for job in ticker._scheduler.get_jobs()}  # noqa: SLF001 - nothing else tells it


@pytest.mark.parametrize("hours", [pytest.param(-3, id="back"), pytest.param(5, id="forward")])
def test_jobs_follow_a_clock_that_was_set(hours: int) -> None:
    clock = FakeClock()
    ticker = Ticker(clock, {"polls": 1})
    ticker.every(HOUR, lambda: None, name="job", pool="polls", after=HOUR / 2)
    clock.set_wall(clock.now() + hours * HOUR)
    ticker.mind_the_clock()
    assert next_runs(ticker) == {"job": clock.now() + HOUR / 2}


def test_a_clock_that_is_slewed_a_little_moves_nothing() -> None:
    clock = FakeClock()
    ticker = Ticker(clock, {"polls": 1})
    ticker.every(HOUR, lambda: None, name="job", pool="polls", after=HOUR)
    before = next_runs(ticker)
    clock.set_wall(clock.now() + timedelta(seconds=2))
    ticker.mind_the_clock()
    clock.advance(HOUR / 2)
    ticker.mind_the_clock()
    assert next_runs(ticker) == before


def test_a_job_of_the_same_name_is_replaced_and_an_unknown_one_may_be_cancelled() -> None:
    clock = FakeClock()
    clock.set_wall(SystemClock().now())
    ticker = Ticker(clock, {"polls": 1})
    ticker.start()
    ticker.every(HOUR, lambda: None, name="job", pool="polls", after=HOUR)
    ticker.every(HOUR, lambda: None, name="job", pool="polls", after=2 * HOUR)
    ticker.cancel("another")
    assert next_runs(ticker) == {"job": clock.now() + 2 * HOUR}
    ticker.cancel("job")
    assert not next_runs(ticker)
    ticker.stop()


def test_the_first_run_comes_at_once_in_a_daemon_thread() -> None:
    ran: list[threading.Thread] = []
    done = threading.Event()

    def job() -> None:
        ran.append(threading.current_thread())
        done.set()

    ticker = Ticker(SystemClock(), {"polls": 1})
    ticker.every(HOUR, job, name="job", pool="polls")
    ticker.start()
    assert done.wait(10)
    ticker.stop()
    assert ran[0].daemon


def test_what_a_call_raises_reaches_who_waits_and_the_thread_goes_on() -> None:
    pool = DaemonPool("test", 1)
    failed = pool.submit(int, "no number")
    with pytest.raises(ValueError, match="no number"):
        failed.result(10)
    assert pool.submit(int, "7").result(10) == 7
