"""What a command begins with."""

from __future__ import annotations

import gc
import subprocess
import sys

from worker.cli import reported

PROGRAM = """
import sys
from worker.__main__ import _import_lean
_import_lean()
import worker.cli, worker.commands.work
print(*{name.partition('.')[0] for name in sys.modules}, *sys.modules)
import rich.console, greenlet
"""
NEEDLESS = {
    *(
        "alembic",
        "anyio",
        "click",
        "greenlet",
        "holidays",
        "prometheus_client",
        "psycopg",
        "pygments",
        "rich",
    ),
    *("asyncpg", "sqlalchemy.dialects.postgresql"),
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
