"""The `demo` command as a newcomer runs it: the whole story once, and an end that leaves nothing behind."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.system.process import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENCE = 400.0
"""Seconds for a story that takes forty: on a machine with much else to do each message comes later."""

REPOSITORY = Path(__file__).resolve().parents[2]
ONCE = (
    ("#support-reviews", "baseline", 1),
    ("#support-reviews", "announcement", 3),
    ("#support-reviews", "reminder", 1),
    ("#rag-quality", "baseline", 1),
    ("#rag-quality", "announcement", 1),
    ("#rag-quality", "reminder", 1),
    ("#claims-desk", "baseline", 1),
    ("#review-leads", "escalation", 2),
    ("Cleo Haddad", "direct", 1),
)
FOREIGN = {
    "LANGSMITH_ENDPOINT": "https://langsmith.invalid",
    "LANGSMITH_API_KEY": "lsv2_pt_the-users-own",
    "SLACK_BASE_URL": "https://slack.invalid/api/",
    "SLACK_BOT_TOKEN": "xoxp-the-users-own",
    "WORKER_QUEUES": "the user's queue",
    "WORKER_STALE_AFTER": "nonsense",
    "HTTP_PROXY": "http://127.0.0.1:9",
}
"""Settings of the user's own, which must not reach the demo's worker."""


@contextmanager
def demo(directory: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """`review-notifier demo` in an empty folder, with a folder for temporary files of its own."""
    temporary = directory / "tmp"
    temporary.mkdir()
    popen = subprocess.Popen(
        [sys.executable, "-m", "worker", "demo", *arguments],
        cwd=directory,
        env={
            "PYTHONPATH": str(REPOSITORY),
            "PYTHONUTF8": "1",
            "HOME": str(directory),
            "TMPDIR": str(temporary),
            **FOREIGN,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield popen
    finally:
        if popen.poll() is None:
            popen.terminate()
        popen.communicate(timeout=PATIENCE)


def told(output: str, kind: str, place: str) -> int:
    """How many messages of a kind the terminal showed for a channel or a person."""
    return len(re.findall(rf"^╭─ {place} · {kind}\b", output, re.MULTILINE))


def workers(temporary: Path) -> list[str]:
    """Processes that work in the demo's folder."""
    return [str(cwd) for cwd in Path("/proc").glob("[0-9]*/cwd") if _works_in(cwd, temporary)]


def _works_in(cwd: Path, folder: Path) -> bool:
    try:
        return cwd.readlink().is_relative_to(folder)
    except OSError:
        return False


@pytest.mark.long(39)
def test_the_fast_demo_shows_every_kind_of_message_once(tmp_path: Path) -> None:
    with demo(tmp_path, "--fast") as running:
        output, _ = running.communicate(timeout=PATIENCE)
    assert running.returncode == 0, output
    assert [(place, kind, told(output, kind, place)) for place, kind, _ in ONCE] == list(ONCE)
    assert sum(times for *_, times in ONCE) == output.count("\n╭─ ")
    assert len(re.findall(r"│ [#\w -]+ +│ \w+ +│ +(\d) │ +\1 │ ✓ │", output)) == len(ONCE)
    for seen in (
        "reserved",
        "<script>alert(1)</script>",
        "@review-on-call",
        "3 of 4 left to review",
        "All 2 reviewed",
        "1 of 2 left",
        "1 run is back in Support assistant",
        "3 runs are waiting in Claims desk",
        "waiting for",
        "edited Cleo Haddad: Nothing left for you to review in Safety board",
        "edited #claims-desk: 4 runs are waiting in Claims desk",
        "LangSmith answered 503",
        "Polls Support assistant again",
        "Does not know whether a reminder of",
    ):
        assert seen in output, seen
    assert not list((tmp_path / "tmp").iterdir())


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_the_demo_with_its_page_ends_cleanly(tmp_path: Path, end: signal.Signals) -> None:
    with demo(tmp_path) as running:
        address = _address(running)
        assert "LangSmith Review Notifier" in httpx.get(address).text
        with httpx.stream("GET", f"{address}/events", timeout=PATIENCE) as events:
            state = next(line for line in events.iter_lines() if "runs are waiting in Support assistant" in line)
        assert state.startswith("data: {")
        assert workers(tmp_path / "tmp")
        running.send_signal(end)
        output, _ = running.communicate(timeout=PATIENCE)
    assert running.returncode == 0, output
    assert "nothing stays behind" in output
    assert not workers(tmp_path / "tmp")
    assert not list((tmp_path / "tmp").iterdir())


def test_a_taken_port_is_named_with_its_fix(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with demo(tmp_path, "--port", str(port)) as running:
            output, _ = running.communicate(timeout=PATIENCE)
    assert running.returncode == 78
    assert f"Port {port} cannot be used" in output
    assert "--port" in output
    assert "Traceback" not in output


def test_a_worker_that_dies_ends_the_demo_with_a_word(tmp_path: Path) -> None:
    with demo(tmp_path) as running:
        _address(running)
        temporary = tmp_path / "tmp"
        process = wait_for(lambda: workers(temporary), "the worker")[0]
        os.kill(int(Path(process).parts[2]), signal.SIGKILL)
        output, _ = running.communicate(timeout=PATIENCE)
    assert running.returncode == 1, output
    assert "The worker ended by itself, with status -9" in output
    assert not list(temporary.iterdir())


def test_a_demo_that_is_killed_takes_its_worker_along(tmp_path: Path) -> None:
    temporary = tmp_path / "tmp"
    with demo(tmp_path) as running:
        _address(running)
        wait_for(lambda: workers(temporary), "the worker")
        running.kill()
        wait_for(lambda: not workers(temporary), "the end of the worker")


STARTER = """
import os, sys, time
from pathlib import Path
from tests.support import forks
here = Path(sys.argv[1])
env = {"PYTHONPATH": os.environ["PYTHONPATH"], "HOME": str(here), "TMPDIR": str(here), "PATH": os.defpath}
if __name__ == "__main__":
    with open(os.devnull, "r+") as nowhere:
        started = forks.Process(["demo"], streams=[nowhere.fileno()] * 3, cwd=here, env=env)
    time.sleep(60)
"""


def test_what_a_test_run_that_is_killed_has_forked_ends_too(tmp_path: Path) -> None:
    starter = tmp_path / "starter.py"
    starter.write_text(STARTER)
    command = [sys.executable, str(starter), str(tmp_path)]
    with subprocess.Popen(command, cwd=REPOSITORY, env={"PYTHONPATH": str(REPOSITORY)}) as running:
        # The demo itself, and its worker in a folder below.
        wait_for(lambda: len(workers(tmp_path)) > 1, "the demo and its worker")
        running.kill()
    wait_for(lambda: not workers(tmp_path), "the end of both")


def _address(running: subprocess.Popen[str]) -> str:
    assert running.stdout is not None
    found = (re.search(r"http://127\.0\.0\.1:\d+", line) for line in running.stdout)
    return next(match[0] for match in found if match)
