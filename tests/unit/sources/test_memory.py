"""What the worker holds in memory at most while it reads, measured in a process of its own."""

from __future__ import annotations

import gzip
import re
import subprocess
import sys
from typing import TYPE_CHECKING
from uuid import UUID

import pytest

from tests.support.raw_server import http, raw_server
from worker.demo.langsmith.faults import bomb

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.raw_server import Connection

PAGES = {3: 280, 10: 910}
"""How many runs make so many pages of a hundred that overlap by ten."""

PAYLOAD = "x" * 200_000

# The high-water mark of this very process: what getrusage tells is inherited from the process that started it.
READ = """
import re, sys
from pathlib import Path
from uuid import UUID
from worker.clock import SystemClock
from worker.core.ports import SourceError
from worker.sources.langsmith.source import LangSmith

source = LangSmith(root=sys.argv[1], key="k", clock=SystemClock(), api="runs", requests_per_second=1000)
for number in range(1, int(sys.argv[2]) + 1):
    try:
        print(len(source.snapshot(UUID(int=number), frozenset()).runs))
    except SourceError as error:
        print(error.trouble)
print(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])
"""


def measure(answer: Callable[[Connection], None], queues: int = 1) -> tuple[list[str], float]:
    """Read queues one after the other; what came out, and the most megabytes that it took."""
    with raw_server(answer) as root:
        done = subprocess.run(
            [sys.executable, "-c", READ, root, str(queues)], capture_output=True, text=True, check=True, timeout=90
        )
    *found, kilobytes = done.stdout.split()
    return found[-queues:], int(kilobytes) / 1024


def page(connection: Connection, strange: str, runs: int) -> None:
    """A page of whole runs of 200 KB."""
    begin, limit = (int(re.search(rf"{name}=(\d+)".encode(), connection.request)[1]) for name in ("offset", "limit"))
    row = f'{{"queue_run_id":"%s","name":"run","inputs":{{"question":"{PAYLOAD}"}},"extra":{strange}}}'
    rows = [row % UUID(int=number + 1) for number in range(begin, min(begin + limit, runs))]
    connection.send(http(f"[{','.join(rows)}]".encode()))


@pytest.mark.parametrize(("pages", "strange"), [(10, "null"), (3, "NaN")], ids=["lawful", "not quite lawful"])
def test_large_pages_fit_into_200_megabytes(pages: int, strange: str) -> None:
    def answer(connection: Connection) -> None:
        if b"/runs" in connection.request.split(b"\r\n")[0]:
            page(connection, strange, PAGES[pages])
        else:
            connection.send(http(b"{}", status="404 Not Found"))

    found, megabytes = measure(answer)
    assert found == [str(PAGES[pages])]
    assert megabytes < 200


def test_bombs_fit_into_300_megabytes() -> None:
    """One unpacks to a gigabyte; the other stays below the cap, and would be eight million objects once decoded."""
    many = gzip.compress(b"[" + b"{}," * 8_000_000 + b"{}]", 1)
    bombs = [http(packed, "Content-Encoding: gzip") for packed in (bomb(), many)]

    def answer(connection: Connection) -> None:
        number = UUID(re.search(rb"annotation-queues/([0-9a-f-]+)", connection.request)[1].decode()).int
        connection.send(bombs[number - 1])

    found, megabytes = measure(answer, queues=len(bombs))
    assert found == ["unlawful"] * 2
    assert megabytes < 300
