"""`--json` of every command that has it: an object at the top, and keys of one vocabulary."""

from __future__ import annotations

import json
import re
import tempfile
from typing import TYPE_CHECKING, Any

from tests.support import forks
from tests.unit.test_json_documented import cells

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from uuid import UUID

    from tests.system.process import Bench
    from worker.demo.langsmith.server import SimulatedLangSmith

INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
INSTANTS = re.compile(r".+_(at|until|from|since)|at|since|begin|end|next_opening|next_closing")
NAMED = {"settings", "week"}
"""Keys of objects whose own keys are names of settings or days."""

ALL_IN_ONE = """
import contextlib
import io
import json
import sys

from worker.cli import command_line

shown = {}
for command in sys.argv[1:]:
    words = [command, *(["checkout"] if command == "why" else []), "--json"]
    with contextlib.redirect_stdout(io.StringIO()) as said, contextlib.suppress(SystemExit):
        command_line().main(words, standalone_mode=False)
    shown[command] = json.loads(said.getvalue())
sys.stdout.write(json.dumps(shown))
"""
"""Runs the commands that are named with `--json`, and prints what each prints, as one object."""


def pairs(value: Any) -> Iterator[tuple[str, Any]]:
    """Every key with its value, however deep."""
    if isinstance(value, list):
        for each in value:
            yield from pairs(each)
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key, inner
            yield from pairs(list(inner.values()) if key in NAMED else inner)


def test_every_command_prints_an_object_in_one_vocabulary(
    bench: Bench, langsmith: SimulatedLangSmith, queue: UUID
) -> None:
    langsmith.add_run(queue, name="checkout")
    bench.environment |= {"WORKER_POLL_INTERVAL": "60s", "WORKER_ZONE": "UTC", "WORKER_HOLIDAYS": "FR"}
    assert bench.run("poll").returncode == 0
    assert bench.run("snooze", "checkout", "--until", "1h").returncode == 0
    vocabulary = {word for words, _ in cells("What the keys mean") for word in words}
    tops = {command: top for commands, top in cells("What each command prints") for command in commands}
    for command, found in shown_by_each(bench, sorted(tops)).items():
        assert isinstance(found, dict), command
        assert tops[command] - {"value", "from"} == {*found}, command
        for key, value in pairs(found):
            assert key in vocabulary, (command, key)
            is_instant = INSTANTS.fullmatch(key) and isinstance(value, str)
            assert not is_instant or INSTANT.fullmatch(value), (command, key, value)


def shown_by_each(bench: Bench, commands: Sequence[str]) -> dict[str, Any]:
    """What each command prints, all of them in one process: most of the time that each takes is its start."""
    with tempfile.TemporaryFile("w+") as out:
        process = forks.Process(
            commands,
            script=ALL_IN_ONE,
            streams=[0, out.fileno(), 2],
            cwd=bench.directory,
            env=bench.env({}),
        )
        assert process.wait(60) == 0
        out.seek(0)
        return dict(json.load(out))
