"""A standard error stream that nobody reads: its writers never wait, and what was dropped is counted."""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
from typing import TYPE_CHECKING

import pytest
import structlog

from tests.support.pipes import full_pipe
from worker import logs
from worker.process import Outlet

if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENCE = 120.0
LINE = "x" * 99 + "\n"


def read(readable: int, end: str) -> list[str]:
    """What arrives up to the line that holds `end`, without what filled the pipe."""
    found = b""
    while end.encode() not in found or not found.endswith(b"\n"):
        found += os.read(readable, 1 << 16)
    return found.decode().lstrip("-").splitlines()


@pytest.mark.timeout(PATIENCE, method="thread")
def test_whoever_writes_into_a_full_pipe_does_not_wait() -> None:
    with full_pipe() as (readable, writable):
        outlet = Outlet(writable)
        outlet.writelines(LINE for _ in range(100))
        outlet.drain(0.01)
        assert outlet.dropped == 0
        outlet.write("the last\n")
        assert read(readable, "the last") == [LINE[:-1]] * 100 + ["the last"]


@pytest.mark.timeout(PATIENCE, method="thread")
def test_what_does_not_fit_is_counted_and_announced_in_its_place() -> None:
    with full_pipe() as (readable, writable):
        outlet = Outlet(writable, most=1000)
        outlet.writelines(LINE for _ in range(30))
        assert outlet.dropped == 20
        found = read(readable, "missing")
        assert found[:10] == [LINE[:-1]] * 10
        assert found[10:] == ["review-notifier: 20 lines of the log are missing here, because it was not read"]
        outlet.write("read again\n")
        assert read(readable, "again") == ["read again"]
        assert outlet.dropped == 20


@pytest.mark.timeout(PATIENCE, method="thread")
def test_a_disk_that_is_full_and_a_reader_that_is_gone_hold_nothing_up_and_lose_nothing() -> None:
    with open(os.devnull, "wb") as file, full_pipe() as (readable, writable):  # noqa: PTH123 - no path, but a device
        number = file.fileno()
        with open("/dev/full", "wb", buffering=0) as full:  # noqa: PTH123
            os.dup2(full.fileno(), number)
        outlet = Outlet(number, retry=0.001)
        outlet.writelines(["whole\n", "lines\n"])
        outlet.drain(0.05)
        os.dup2(writable, number)  # room again
        assert read(readable, "lines") == ["whole", "lines"]


@pytest.mark.timeout(PATIENCE, method="thread")
def test_a_stream_that_another_process_made_non_blocking_gets_every_line() -> None:
    with full_pipe() as (readable, writable):
        os.set_blocking(writable, False)
        outlet = Outlet(writable, retry=0.01)
        outlet.writelines(LINE for _ in range(100))
        outlet.write("the last\n")
        assert read(readable, "the last") == [LINE[:-1]] * 100 + ["the last"]


def test_the_end_waits_until_everything_is_written() -> None:
    readable, writable = os.pipe()
    outlet = Outlet(writable)
    outlet.writelines(LINE for _ in range(500))
    outlet.write("no whole line")
    outlet.drain(PATIENCE)
    os.close(writable)
    with os.fdopen(readable) as file:
        assert file.read() == LINE * 500 + "no whole line"


def test_lines_of_several_threads_stay_whole() -> None:
    readable, writable = os.pipe()
    outlet = Outlet(writable)
    threads = [
        threading.Thread(target=outlet.writelines, args=([f"{name * 50}\n"] * 20,), daemon=True) for name in "abcd"
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    outlet.drain(PATIENCE)
    os.close(writable)
    with os.fdopen(readable) as file:
        assert sorted(file.read().splitlines()) == sorted(name * 50 for name in "abcd" * 20)


@pytest.fixture
def _as_before() -> Iterator[None]:
    root, stream = logging.getLogger(), sys.stderr
    hooks = sys.excepthook, threading.excepthook, sys.unraisablehook
    handlers, level = root.handlers[:], root.level
    yield
    sys.stderr = stream
    root.handlers[:], root.level = handlers, level
    sys.excepthook, threading.excepthook, sys.unraisablehook = hooks
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()


@pytest.mark.usefixtures("_as_before")
@pytest.mark.timeout(PATIENCE, method="thread")
def test_the_line_about_the_missing_ones_is_an_event_like_others() -> None:
    with full_pipe() as (readable, writable):
        sys.stderr = Outlet(writable, most=1000)
        logs.configure_logging(level="info", form="json", secrets=())
        for number in range(100):
            structlog.get_logger("worker.test").info("polled", number=number)
        assert logs.dropped() > 0
        *kept, last = [json.loads(line) for line in read(readable, "log_lines_dropped")]
        assert [line["number"] for line in kept] == list(range(len(kept)))
        assert (last["level"], last["lines"]) == ("warning", 100 - len(kept))
        assert last["timestamp"].endswith("Z")
