"""The ticker keeps its jobs when the wall clock is set, and its threads never keep a process alive."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from tests.support.builders import HOUR, MINUTE
from tests.support.clock import FakeClock
from worker.clock import SystemClock
from worker.scheduler import DaemonPool, Ticker

if TYPE_CHECKING:
    from collections.abc import Iterator


def next_runs(ticker: Ticker) -> dict[str, datetime]:
    return {job.id: job.next_run_time for job in ticker._scheduler.get_jobs()}  # noqa: SLF001 - nothing else tells it


def run_as_scheduler_does(ticker: Ticker, clock: FakeClock) -> list[datetime]:
    """What the scheduler's thread does with its one job when it wakes up; the times at which that was due."""
    (job,) = ticker._scheduler.get_jobs()  # noqa: SLF001 - nothing else turns it
    due: list[datetime] = job._get_run_times(clock.now())  # noqa: SLF001 - the same
    job.modify(next_run_time=job.trigger.get_next_fire_time(due[-1], clock.now()))
    return due


@pytest.mark.parametrize("hours", [pytest.param(-3, id="back"), pytest.param(5, id="forward")])
def test_jobs_follow_a_clock_that_was_set(hours: int) -> None:
    clock = FakeClock()
    ticker = Ticker(clock, {"polls": 1})
    ticker.every(HOUR, lambda: None, name="job", pool="polls", after=HOUR / 2)
    clock.set_wall(clock.now() + hours * HOUR)
    ticker.mind_the_clock()
    assert next_runs(ticker) == {"job": clock.now() + HOUR / 2}


def test_a_job_that_ran_before_the_jump_was_noticed_is_not_moved_again() -> None:
    """Forward, the scheduler itself finds everything due at once, up to a second before the clock is minded."""
    clock = FakeClock()
    ticker = Ticker(clock, {"polls": 1})
    ticker.every(MINUTE, lambda: None, name="job", pool="polls")
    clock.set_wall(clock.now() + 3 * HOUR)
    run_as_scheduler_does(ticker, clock)
    clock.advance(MINUTE / 3)
    ticker.mind_the_clock()
    assert next_runs(ticker)["job"] == clock.now() + MINUTE * 2 / 3


def test_years_that_were_missed_are_leapt_over_in_step() -> None:
    clock = FakeClock()
    ticker = Ticker(clock, {"polls": 1})
    first = clock.now()
    ticker.every(MINUTE, lambda: None, name="job", pool="polls")
    clock.set_wall(first + timedelta(days=20_000, seconds=7))
    assert run_as_scheduler_does(ticker, clock) == [first]
    assert next_runs(ticker) == {"job": clock.now() + timedelta(seconds=53)}


@pytest.mark.parametrize("day", [datetime(2026, 3, 29, 0, 30, tzinfo=UTC), datetime(2026, 10, 25, 0, 30, tzinfo=UTC)])
def test_daylight_saving_makes_no_difference(day: datetime, in_berlin: None) -> None:
    del in_berlin
    clock = FakeClock(day)
    ticker = Ticker(clock, {"polls": 1})
    ticker.every(HOUR, lambda: None, name="job", pool="polls")
    (job,) = ticker._scheduler.get_jobs()  # noqa: SLF001 - the scheduler's thread in slow motion
    runs = [day]
    for _ in range(3):
        clock.advance(HOUR)
        ticker.mind_the_clock()
        runs.append(job.trigger.get_next_fire_time(runs[-1], runs[-1]))
    assert runs == [day + number * HOUR for number in range(4)]


@pytest.fixture
def in_berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine whose local time jumps."""
    with monkeypatch.context() as surroundings:
        surroundings.setenv("TZ", "Europe/Berlin")
        time.tzset()
        yield
    time.tzset()


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
    assert done.wait(60)
    ticker.stop()
    assert ran[0].daemon


def test_a_pool_has_as_many_threads_as_were_needed_at_once() -> None:
    pool, met = DaemonPool("few", 3), threading.Barrier(3)
    for _ in range(5):
        pool.submit(int, "7").result(10)
    waits = [pool.submit(met.wait, 10) for _ in range(2)]
    assert {each.name for each in threading.enumerate() if each.name.startswith("few-")} == {"few-0", "few-1"}
    met.wait(60)
    assert all(each.result(10) is not None for each in waits)
    beyond = [pool.submit(threading.get_ident) for _ in range(20)]
    assert len({each.result(10) for each in beyond}) <= 3


def test_what_a_call_raises_reaches_who_waits_and_the_thread_goes_on() -> None:
    pool = DaemonPool("test", 1)
    failed = pool.submit(int, "no number")
    with pytest.raises(ValueError, match="no number"):
        failed.result(10)
    assert pool.submit(int, "7").result(10) == 7
