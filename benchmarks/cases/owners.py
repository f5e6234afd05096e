"""The page for owners beside a worker at work: how soon it begins to answer, and whether polls are later by it."""

from __future__ import annotations

import itertools
import socket
import threading
import time
from http.client import HTTPConnection
from typing import TYPE_CHECKING

from benchmarks.cases.services import configured, wait_for
from benchmarks.children import service
from benchmarks.figures import Figure, percentile
from benchmarks.pages import queue_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from benchmarks.children import Server
    from benchmarks.scale import Scale

A_SECOND = 20
"""Requests a second, begun at their times whether or not those before have been answered."""

SMALL = 3000
POLL_EVERY = 2
OTHERS = 5
"""Queues beside the large one, whose polls might be late."""


def owners(scale: Scale, server: Server, directory: Path) -> Iterator[Figure]:
    """(p) One queue of 10,000 waiting runs and five small ones, read by many owners at once."""
    server.tell("reset", queues=1 + OTHERS, row=SMALL, last=20)
    server.tell("fill", queue=0, runs=scale.owned_runs)
    place, port = configured(directory / "owners", 1 + OTHERS), _free_port()
    settings = {
        "WORKER_HTTP_ADDRESS": f"127.0.0.1:{port}",
        "WORKER_POLL_INTERVAL": f"{POLL_EVERY}s",
        "WORKER_LANGSMITH_API": "items",
        "WORKER_REQUESTS_PER_SECOND": "1000",
    }
    with service(server, place, **settings) as running:
        wait_for(lambda: server.tell("set")["posts"] > OTHERS)
        calm = _polls_while(server, lambda: time.sleep(scale.owned_for))
        memory = running.memory()
        # Before it nothing of the page is imported, nor any statement made.
        yield Figure("p", "the very first page, first byte", _first_byte(port, "/") * 1000, "ms")
        waited: list[float] = []
        busy = _polls_while(server, lambda: waited.extend(_asked(port, scale.owned_for)))
        yield Figure("p", "page, first byte, median", percentile(waited, 0.5) * 1000, "ms")
        yield Figure("p", "page, first byte, p95", percentile(waited, 0.95) * 1000, "ms", most=200)
        yield Figure("p", "page, requests that failed", sum(each == float("inf") for each in waited), "", most=0)
        yield Figure("p", "requests for listings with readers, against none", busy / calm, "times", least=0.95)
        yield Figure("p", "memory that the page takes", running.memory() - memory, "MB")


def _polls_while(server: Server, work: Callable[[], None]) -> float:
    """How many listings a second are asked for while something is done."""
    before, began = _listings(server), time.perf_counter()
    work()
    return (_listings(server) - before) / (time.perf_counter() - began)


def _listings(server: Server) -> int:
    return sum(server.tell("set")["by_second"].values())


def _asked(port: int, seconds: float) -> list[float]:
    """How long each of many requests waited for its first byte; infinite where it failed."""
    large = f"/queues/{queue_id(0)}"
    paths = itertools.cycle(("/", large, f"{large}?offset=5000", "/api/front"))
    waited: list[float] = []
    threads, began = [], time.perf_counter()
    for number in range(int(seconds * A_SECOND)):
        time.sleep(max(0.0, began + number / A_SECOND - time.perf_counter()))
        threads.append(
            threading.Thread(target=lambda path: waited.append(_first_byte(port, path)), args=(next(paths),))
        )
        threads[-1].start()
    for thread in threads:
        thread.join()
    return waited


def _first_byte(port: int, path: str) -> float:
    began = time.perf_counter()
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        took = time.perf_counter() - began
        answer.read()
    except OSError:
        return float("inf")
    finally:
        connection.close()
    return took if answer.status == 200 else float("inf")  # noqa: PLR2004


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])
