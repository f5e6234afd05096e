"""The ticker: APScheduler with threads that never keep the process alive, and a check of the clock."""

from __future__ import annotations

import queue
import threading
from concurrent.futures import Future
from contextlib import suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import structlog
from apscheduler.executors.pool import BasePoolExecutor
from apscheduler.jobstores.base import JobLookupError
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.interval import IntervalTrigger

if TYPE_CHECKING:
    from collections.abc import Callable

    from worker.core.ports import Clock

log = structlog.get_logger(__name__)

JUMP = timedelta(seconds=5)
"""A wall clock that differs from the monotonic one by more than this since the last look has been set."""


class DaemonPool:
    """A few threads that end with the process, wherever they hang: a poll may be abandoned at any instant.

    There are as many as were ever needed at once: each holds memory of its own.
    """

    def __init__(self, name: str, size: int) -> None:
        """Start nothing yet, and at most `size` threads."""
        self._name = name
        self._size = size
        self._calls: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._idle = threading.Semaphore(0)
        self._missing = iter(range(size))
        self._starting = threading.Lock()

    def submit(self, call: Callable[..., Any], *args: Any, **kwargs: Any) -> Future[Any]:  # noqa: ANN401 - as in Executor
        """Run `call` in one of the threads."""
        future: Future[Any] = Future()

        def run() -> None:
            try:
                future.set_result(call(*args, **kwargs))
            except BaseException as error:  # noqa: BLE001 - the future raises it in the thread that waits
                future.set_exception(error)

        self._calls.put(run)
        if not self._idle.acquire(blocking=False):
            self._start_thread()
        return future

    def _start_thread(self) -> None:
        with self._starting:
            number = next(self._missing, None)
        if number is not None:
            threading.Thread(target=self._work, name=f"{self._name}-{number}", daemon=True).start()

    def shutdown(self, wait: bool = True) -> None:  # noqa: ARG002, FBT001, FBT002 - as in Executor
        """Let each thread end once it has nothing to do: they are daemons, and are not waited for."""
        for _ in range(self._size):
            self._calls.put(None)

    def _work(self) -> None:
        while True:
            try:
                call = self._calls.get_nowait()
            except queue.Empty:
                self._idle.release()
                call = self._calls.get()
            if call is None:
                return
            call()


class DaemonPoolExecutor(BasePoolExecutor):  # type: ignore[misc]  # APScheduler ships no types
    """APScheduler's pool executor over a DaemonPool."""

    def __init__(self, name: str, size: int) -> None:
        """Start at most `size` threads, named after `name`."""
        super().__init__(DaemonPool(name, size))


class Steady(IntervalTrigger):  # type: ignore[misc]  # APScheduler ships no types
    """An interval trigger that skips missed times in one step, and stays in phase."""

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime:
        """The time of the next run, later than `now`."""
        # APScheduler alone would count through every missed time, such as each second of a year.
        following: datetime = super().get_next_fire_time(previous_fire_time, now)
        missed = (now - following) // self.interval + 1 if following <= now else 0
        return following + missed * timedelta(seconds=self.interval_length)


class Ticker:
    """Interval jobs by name. A job never runs twice at once, missed ticks become one, none is dropped as late."""

    def __init__(self, clock: Clock, pools: dict[str, int]) -> None:
        """`pools` maps the name of a pool of threads to its size."""
        self._clock = clock
        self._scheduler = BackgroundScheduler(
            executors={name: DaemonPoolExecutor(name, size) for name, size in pools.items()},
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
            timezone="UTC",
        )
        self._offset = self._measure()

    def start(self) -> None:
        """Begin to tick."""
        self._scheduler.start()

    def stop(self) -> None:
        """Start no more jobs; running ones are not waited for."""
        self._scheduler.shutdown(wait=False)

    def every(
        self, interval: timedelta, call: Callable[[], object], *, name: str, pool: str, after: timedelta = timedelta(0)
    ) -> None:
        """Run `call` each `interval`, for the first time `after` from now. A job of the same name is replaced."""
        first = self._clock.now() + after
        trigger = Steady(seconds=interval.total_seconds(), start_date=first, timezone="UTC")
        self._scheduler.add_job(
            call, trigger, id=name, name=name, executor=pool, next_run_time=first, replace_existing=True
        )

    def hurry(self, name: str) -> None:
        """Run a job as soon as a thread is free; not where it runs already, or there is none of that name."""
        with suppress(JobLookupError):
            self._scheduler.modify_job(name, next_run_time=self._clock.now())

    def cancel(self, name: str) -> None:
        """Stop running the job."""
        try:
            self._scheduler.remove_job(name)
        except JobLookupError:
            log.debug("job_unknown", job=name)

    def mind_the_clock(self) -> None:
        """Re-schedule every job when the wall clock has been set."""
        # APScheduler would wait for the old time to come.
        offset = self._measure()
        jump = timedelta(seconds=offset - self._offset)
        self._offset = offset
        if abs(jump) < JUMP:
            return
        log.warning("clock_jumped", seconds=round(jump.total_seconds()))
        for job in self._scheduler.get_jobs():
            job.modify(next_run_time=_follow(job.next_run_time, job.trigger.interval, jump, self._clock.now()))

    def _measure(self) -> float:
        return self._clock.now().timestamp() - self._clock.monotonic()


def _follow(due: datetime, interval: timedelta, jump: timedelta, now: datetime) -> datetime:
    """The next time of a job by the clock that was set, at most one interval from `now`."""
    # Set forward, the scheduler may have run the job since: then its time is right already.
    moved = due if now <= due <= now + interval else due + jump
    return min(max(moved, now), now + interval)
