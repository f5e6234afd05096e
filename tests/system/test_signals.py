"""What signals do to a worker, as a service and in a terminal that is closed."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.system.conftest import CHANNEL, LEADS
from tests.system.process import PATIENCE, Bench, wait_for
from tests.system.watched import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from uuid import UUID

    from worker.demo.langsmith.server import SimulatedLangSmith
    from worker.demo.slack.server import SimulatedSlack

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
    _, said = program.communicate(timeout=PATIENCE)
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


def test_settings_are_read_again_and_a_bad_file_changes_nothing(
    bench: Bench, langsmith: SimulatedLangSmith, slack: SimulatedSlack, queue: UUID
) -> None:
    """After a signal, and where the file has changed: in the same process, and with nothing posted again."""
    langsmith.add_run(queue, name="first")
    file = bench.directory / "worker.toml"
    pages = free_port()
    with bench.service(WORKER_HTTP_ADDRESS=f"127.0.0.1:{pages}") as service, httpx.Client(trust_env=False) as client:
        wait_for(lambda: len(slack.messages(CHANNEL)) == 1, "the baseline")
        service.popen.send_signal(signal.SIGUSR1)
        service.popen.send_signal(signal.SIGHUP)
        wait_for(lambda: service.logged("settings_unchanged"), "a look that finds nothing")
        assert [line["signal"] for line in service.logged("signal_ignored")] == ["SIGUSR1"]
        file.write_text("[defaults]\nremind_every = 'often'\n")
        wait_for(lambda: service.logged("settings_refused"), "a refusal")
        assert not service.logged("reloaded")
        file.write_text(f"[[queues]]\nqueue = '{queue}'\nchannel = '{LEADS}'\n")
        wait_for(lambda: service.logged("reloaded"), "another policy")
        assert client.get(f"http://127.0.0.1:{pages}/livez").status_code == 200
        langsmith.add_run(queue, name="second")
        wait_for(lambda: len(slack.messages(LEADS)) == 1, "a message where the new settings want it")
        assert "second" in slack.messages(LEADS)[0]["text"]
        assert service.stop() == 0
    assert (len(slack.messages(CHANNEL)), len(slack.messages(LEADS))) == (1, 1)
    assert len(service.logged("started")) == 1
