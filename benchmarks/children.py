"""The processes of a measurement: the server, the contenders, the worker itself. All of them end with the block."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from worker.demo import leash

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

TICK = os.sysconf("SC_CLK_TCK")
ROOT = Path(__file__).parent.parent


@dataclass(frozen=True, slots=True)
class Cost:
    """What one cycle cost: seconds of processor and of waiting, and the peak of memory so far in MB."""

    cpu: float
    wall: float
    rss: float
    changed: int = 0


@dataclass(frozen=True, slots=True)
class Server:
    """A simulated LangSmith and Slack; `tell` alters it and says what it has seen."""

    url: str

    def tell(self, what: str, **values: int) -> Mapping[str, Any]:
        """Use one of its controls."""
        told: Mapping[str, Any] = httpx.get(f"{self.url}/_bench/{what}", params=values, timeout=60).json()
        return told


@contextmanager
def serving() -> Iterator[Server]:
    """A server that knows no queue yet."""
    with _running(sys.executable, "-m", "benchmarks.server") as process:
        yield Server(_line(process).strip())


class Contender:
    """Polls when it is asked to."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def cycle(self) -> Cost:
        """Poll every queue once."""
        assert self._process.stdin is not None  # noqa: S101  for the type checker: it was opened as a pipe
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return Cost(**json.loads(_line(self._process)))


@contextmanager
def contender(name: str, server: Server, database: Path, *, queues: int, api: str = "runs") -> Iterator[Contender]:
    """One of the contenders with an empty memory, which reads the queues by one of the listings."""
    task = {"url": server.url, "database": str(database), "queues": queues, "api": api}
    with _running(sys.executable, "-m", "benchmarks.contender", name, json.dumps(task)) as process:
        _line(process)
        yield Contender(process)


@dataclass(frozen=True, slots=True)
class Service:
    """A running `review-notifier run`."""

    pid: int

    def cpu(self) -> float:
        """Seconds of processor time so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICK

    def threads(self) -> int:
        """How many threads there are."""
        return len(list(Path(f"/proc/{self.pid}/task").iterdir()))

    def memory(self) -> float:
        """Resident megabytes at present."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


@contextmanager
def service(server: Server, directory: Path, **settings: str) -> Iterator[Service]:
    """The worker as it is installed, polling and posting to the server."""
    environment = {
        "PATH": os.defpath,
        "PYTHONPATH": str(ROOT),
        "LANGSMITH_API_KEY": "lsv2_sk_bench",
        "LANGSMITH_ENDPOINT": server.url,
        "SLACK_BOT_TOKEN": "xoxb-bench",
        "SLACK_BASE_URL": f"{server.url}/api/",
        "WORKER_QUEUES": "all",
        "WORKER_CHANNEL": "C0BENCH0000",
        "WORKER_LOG_LEVEL": "warning",
    }
    with _running(*leash.command("worker", "run"), cwd=directory, env=environment | settings) as process:
        yield Service(process.pid)


@contextmanager
def _running(*arguments: str, **how: Any) -> Iterator[subprocess.Popen[str]]:  # noqa: ANN401  whatever Popen takes
    process = subprocess.Popen(  # noqa: S603  our own programs
        arguments,
        **{"cwd": ROOT, **how},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.terminate()


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None  # noqa: S101  for the type checker: it was opened as a pipe
    line = process.stdout.readline()
    if not line:
        raise RuntimeError(f"{process.args!r} ended: what it said is above")
    return line
