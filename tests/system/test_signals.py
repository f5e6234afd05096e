"""What signals do to a worker, as a service and in a terminal that is closed."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.system.process import Bench, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

WAITS = """
import os, signal, sys
if "blocked" in sys.argv:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
if "nohup" in sys.argv:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
if "terminal" in sys.argv:
    import fcntl, termios
    os.setsid()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
from worker import process
process.catch_signals(service=True)
print("ready", flush=True)
stopped = process.STOP.wait(60)
os.write(2, " ".join(["stopped" if stopped else "waited", *process.STOP.noted()]).encode())
"""
"""A program that does nothing but wait for its end, with the worker's handlers."""


@contextmanager
def waiting(*how: str, stdin: int = subprocess.DEVNULL) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", WAITS, *how], stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as program:
        try:
            assert program.stdout
            assert program.stdout.readline() == "ready\n"
            yield program
        finally:
            program.kill()


def outcome(program: subprocess.Popen[str]) -> tuple[int, str]:
    _, said = program.communicate(timeout=20)
    return program.returncode, said


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_what_asks_for_the_end_is_a_clean_stop(number: signal.Signals) -> None:
    with waiting() as program:
        program.send_signal(number)
        assert outcome(program) == (0, "stopped")


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2])
def test_a_service_notes_what_asks_for_no_end(number: signal.Signals) -> None:
    with waiting() as program:
        for each in (signal.SIGTTOU, signal.SIGPIPE, number):
            program.send_signal(each)
        program.send_signal(signal.SIGTERM)
        assert outcome(program) == (0, f"stopped {number.name}")


def test_a_stop_that_whoever_started_it_had_blocked_is_heard() -> None:
    with waiting("blocked") as program:
        program.send_signal(signal.SIGTERM)
        assert outcome(program) == (0, "stopped")


def test_a_terminal_that_is_closed_ends_it() -> None:
    ours, theirs = pty.openpty()
    with waiting("terminal", stdin=theirs) as program:
        os.close(theirs)
        os.close(ours)
        assert outcome(program) == (0, "stopped")


def test_a_terminal_that_is_closed_leaves_alone_what_was_started_with_nohup() -> None:
    ours, theirs = pty.openpty()
    with waiting("terminal", "nohup", stdin=theirs) as program:
        os.close(theirs)
        os.close(ours)
        program.send_signal(signal.SIGUSR1)
        program.send_signal(signal.SIGTERM)
        assert outcome(program) == (0, "stopped SIGUSR1")


def test_a_reload_that_there_is_not_leaves_one_line_in_the_log(bench: Bench) -> None:
    with bench.service() as service:
        wait_for(lambda: service.logged("started"), "a start")
        service.popen.send_signal(signal.SIGHUP)
        wait_for(lambda: service.logged("signal_ignored"), "a line about the signal")
        assert [line["signal"] for line in service.logged("signal_ignored")] == ["SIGHUP"]
        assert service.stop() == 0
