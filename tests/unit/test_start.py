"""What a command begins with."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from pathlib import Path

import pytest

import worker
from tests.support import forks
from worker.commands.exits import reported

PROGRAM = """
import sys
from worker.__main__ import _import_lean
_import_lean()
import worker.commands.exits
print(*{name.partition('.')[0] for name in sys.modules}, *sys.modules)
import asyncio.taskgroups, multiprocessing.pool, rich.console, greenlet
from concurrent.futures.process import ProcessPoolExecutor
from worker.net import route
assert route.certifi.where()  # of the real one, though what stood for it was imported
"""
DIRECT = """
import sys
from worker.__main__ import main
try:
    main()
finally:
    assert "typer" not in sys.modules
"""
PARSED = """
from worker.cli import command_line
command_line()()
"""
NEEDLESS = {
    *(
        "alembic",
        "anyio",
        "argparse",
        "asyncio",
        "certifi",
        "click",
        "greenlet",
        "holidays",
        "idna",
        "multiprocessing",
        "prometheus_client",
        "psycopg",
        "pygments",
        "rich",
        "slack_sdk",
        "starlette",
        "typer",
        "uvicorn",
        "websockets",
    ),
    *("asyncpg", "http.server", "sqlalchemy.dialects.postgresql", "worker.cli", "worker.loops.preview"),
    *("worker.commands.socket_mode", "worker.loops.hear", "worker.notifiers.slack.socket_inbox"),
}


def test_garbage_is_collected_again_once_a_command_begins() -> None:
    gc.disable()
    try:
        with reported():
            assert gc.isenabled()
    finally:
        gc.unfreeze()
        gc.enable()


def test_the_service_is_imported_without_what_it_does_not_use_and_others_can_import_that_later() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert NEEDLESS & {*done.stdout.split()} == set()


@pytest.mark.parametrize("command", ["run", "poll"])
def test_the_work_ends_as_the_command_line_would_end_it(command: str, tmp_path: Path) -> None:
    """Without options the arguments are not parsed."""
    env = {"PYTHONPATH": str(Path(worker.__file__).parents[1])}
    begun = [sys.executable, "-c", DIRECT, command]
    direct = subprocess.run(begun, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    said = tmp_path / "said"
    with said.open("w") as errors, open(os.devnull, "r+") as nothing:  # noqa: PTH123 - no path, but a device
        streams = [nothing.fileno(), nothing.fileno(), errors.fileno()]
        parsed = forks.Process([command], script=PARSED, streams=streams, cwd=tmp_path, env=env)
        assert direct.returncode == parsed.wait(60) == 78
    assert direct.stderr == said.read_text()
    assert "LANGSMITH_API_KEY" in direct.stderr


def test_an_interrupted_command_has_the_status_of_the_shell() -> None:
    with pytest.raises(SystemExit) as ended, reported():
        raise KeyboardInterrupt
    gc.unfreeze()
    assert ended.value.code == 130


@pytest.mark.parametrize(
    "wanted", ["import asyncio.events", "from asyncio import Lock", "import click", "import rich.console"]
)
def test_a_library_that_comes_to_need_what_is_left_out_gets_it(wanted: str) -> None:
    program = f"""
import worker.__main__ as program, sys
work = program.import_module
def changed(name):
    if name == "worker.commands.work":
        exec({wanted!r})
    return work(name)
program.import_module = changed
program._import_lean()
import worker.commands.work
{wanted}
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_slack_sdk_comes_with_the_first_call_and_without_asyncio() -> None:
    program = """
from worker.__main__ import _import_lean
_import_lean()
import sys
from worker.core.ports import DeliveryError
from worker.notifiers.slack.notifier import Slack
slack = Slack(token="xoxb-1", base_url="http://127.0.0.1:9/api/")
assert "slack_sdk" not in sys.modules
try:
    slack.identity()
except DeliveryError:
    assert "slack_sdk" in sys.modules
    assert "asyncio" not in sys.modules
else:
    raise AssertionError
"""
    subprocess.run([sys.executable, "-c", program], check=True)
