"""The worker as it runs: what it costs while nothing changes, and how soon people hear of a run."""

from __future__ import annotations

import random
import time
from statistics import median
from typing import TYPE_CHECKING, Any

from benchmarks.children import service
from benchmarks.figures import Figure, percentile
from benchmarks.pages import queue_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from benchmarks.children import Server
    from benchmarks.scale import Scale

PATIENCE = 600.0
LOOK_EVERY = 0.5
SMALL = 3000
"""Bytes of a run that holds next to nothing: its many fields alone."""

IDLE_QUEUES = 5
IDLE_FOR = 10.0
ARRIVAL_QUEUES = 20
ARRIVE_EVERY = 0.35
"""Seconds between two arrivals; a channel takes one message a second, which is not what is measured here."""


def steady(scale: Scale, server: Server, directory: Path) -> Iterator[Figure]:
    """(b) Many queues in which nothing changes, by the listing that stays: share of one core, and memory."""
    server.tell("reset", queues=scale.steady_queues, last=20)
    place = configured(directory / "steady", scale.steady_queues)
    settings = {"WORKER_POLL_INTERVAL": f"{scale.steady_interval}s", "WORKER_LANGSMITH_API": "items"}
    # A first start makes the database, and polls wait for names: neither is the steady state.
    with service(server, place, **settings):
        wait_for(lambda: server.tell("set")["posts"] >= scale.steady_queues)
    asked = _asked(server.tell("set"))
    with service(server, place, **settings) as running:
        wait_for(lambda: _asked(server.tell("set")) >= asked + scale.steady_queues)
        before, used, began = server.tell("set"), running.cpu(), time.perf_counter()
        most = 0.0
        while time.perf_counter() < began + scale.steady_for:
            time.sleep(LOOK_EVERY)
            most = max(most, running.memory())
        took, after = time.perf_counter() - began, server.tell("set")
        yield Figure("b", "share of one core", (running.cpu() - used) / took * 100, "%", most=3)
        yield Figure("b", "memory", most, "MB", most=100)
        yield Figure("b", "threads", running.threads(), "")
    yield from _polls(before, after, took)


def _asked(state: Mapping[str, Any]) -> int:
    return sum(state["asked"].values())


def _polls(before: Mapping[str, Any], after: Mapping[str, Any], took: float) -> Iterator[Figure]:
    """How evenly the polls come, and over how many connections that are new."""
    seconds = list(after["by_second"].values())[len(before["by_second"]) : -1]
    mean = sum(seconds) / len(seconds)
    # Each look of ours at the server is a connection too.
    opened = after["connections"] - before["connections"] - 1
    yield Figure("b", "polls a minute", (_asked(after) - _asked(before)) / took * 60, "")
    yield Figure("b", "busiest second, against the mean", max(seconds) / mean, "times", most=2)
    yield Figure("b", "new connections a minute", opened / took * 60, "")


def start(scale: Scale, server: Server, directory: Path) -> Iterator[Figure]:
    """(s) From the start of the process to its first request for a queue's runs, with the schema in place."""
    took, used = [], []
    place = configured(directory / "start", 1)
    for _ in range(scale.repeats + 1):
        server.tell("reset", queues=1, row=SMALL, last=3)
        began = time.perf_counter()
        with service(server, place) as running:
            wait_for(lambda: server.tell("set")["listed_at"])
            used.append(running.cpu())
        took.append(server.tell("set")["listed_at"] - began)
    # The first start makes the database.
    yield Figure("s", "start to first poll, wall", median(took[1:]), "s", most=0.4)
    yield Figure("s", "start to first poll, CPU", median(used[1:]), "CPU s")


def idle(_scale: Scale, server: Server, directory: Path) -> Iterator[Figure]:
    """(s) The memory of a worker that has polled and announced five queues, and has nothing more to do."""
    server.tell("reset", queues=IDLE_QUEUES, row=SMALL, last=3)
    place = configured(directory / "idle", IDLE_QUEUES)
    # The first start makes the database, and takes along what makes tables.
    with service(server, place):
        wait_for(lambda: server.tell("set")["posts"] >= IDLE_QUEUES)
    with service(server, place, WORKER_POLL_INTERVAL="2s") as running:
        time.sleep(IDLE_FOR)
        yield Figure("s", "idle memory with 5 queues", running.memory(), "MB", most=65)
        yield Figure("s", "threads with 5 queues", running.threads(), "")


def saturated(scale: Scale, server: Server, directory: Path) -> Iterator[Figure]:
    """(e) More polls than one worker can make: how soon every queue has its baseline, each in a channel of its own."""
    server.tell("reset", queues=scale.saturated, row=SMALL, last=20)
    place, began = configured(directory / "saturated", scale.saturated), time.perf_counter()
    with service(server, place, WORKER_POLL_INTERVAL="1s", WORKER_REQUESTS_PER_SECOND="1000"):
        wait_for(lambda: server.tell("set")["posts"] >= scale.saturated)
    took = time.perf_counter() - began
    yield Figure("e", f"{scale.saturated} baselines, posted while polls saturate the worker", took, "s", most=90)


def arrival(scale: Scale, server: Server, directory: Path) -> Iterator[Figure]:
    """(e) From a run's arrival in its queue to the message that names it."""
    server.tell("reset", queues=ARRIVAL_QUEUES, row=SMALL, last=3)
    place = configured(directory / "arrival", ARRIVAL_QUEUES)
    chance = random.Random(7)  # noqa: S311  the same arrivals in every run, no secret
    with service(server, place, WORKER_POLL_INTERVAL=f"{scale.interval}s"):
        wait_for(lambda: server.tell("set")["posts"] >= ARRIVAL_QUEUES)
        for number in range(scale.arrivals):
            server.tell("add", queue=number % ARRIVAL_QUEUES)
            time.sleep(ARRIVE_EVERY * 2 * chance.random())
        wait_for(lambda: not server.tell("set")["missing"])
        waited = server.tell("set")["waited"]
    yield Figure("e", "arrival to message, median", percentile(waited, 0.5), "s")
    yield Figure("e", "arrival to message, p95", percentile(waited, 0.95), "s", most=scale.interval + 2)


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait until something is so."""
    give_up_at = time.perf_counter() + PATIENCE
    while not condition():
        if time.perf_counter() > give_up_at:
            raise TimeoutError(f"not within {PATIENCE:g} s")
        time.sleep(LOOK_EVERY / 25)


def configured(directory: Path, queues: int) -> Path:
    """A directory with a `worker.toml` that gives each queue a channel of its own."""
    directory.mkdir()
    tables = (f'[[queues]]\nqueue = "{queue_id(number)}"\nchannel = "C{number:010}"\n' for number in range(queues))
    (directory / "worker.toml").write_text("\n".join(tables))
    return directory
