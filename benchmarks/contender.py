"""One contender in a process of its own: polls once for each line on stdin and prints what that cost.

`python -m benchmarks.contender reference '{"url": …, "database": …, "queues": 200}'`
"""

from __future__ import annotations

import json
import resource
import sys
import time
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from benchmarks.pages import queue_id


@dataclass(frozen=True, slots=True)
class Task:
    """What is to be polled, and where to remember it."""

    url: str
    database: str
    queues: int
    api: str = "runs"

    @property
    def queue_ids(self) -> list[str]:
        """The queues to poll."""
        return [str(queue_id(number)) for number in range(self.queues)]


def cpu() -> float:
    """Seconds of processor time that this process has used."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def peak() -> float:
    """The most memory so far in MB; unlike getrusage's, without what the parent held when it started us."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


def main() -> None:
    """Say that it is ready, and answer each line on stdin with one cycle."""
    poll = import_module(f"benchmarks.{sys.argv[1]}").prepare(Task(**json.loads(sys.argv[2])))
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for _ in sys.stdin:
        cpu_before, before = cpu(), time.perf_counter()
        changed = poll()
        cost = {"cpu": cpu() - cpu_before, "wall": time.perf_counter() - before, "changed": changed}
        sys.stdout.write(json.dumps(cost | {"rss": peak()}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
