"""JSON for programs: one vocabulary, that of docs/json.md."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING

from worker.cli import command_line

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "json.md").read_text()


def cells(title: str) -> list[tuple[set[str], set[str]]]:
    """The words in the first and in the second cell of each row below a heading."""
    section = PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    rows = (line.split("|") for line in section.splitlines() if line.startswith("| `"))
    return [(set(re.findall(r"`(\w+)`", row[1])), set(re.findall(r"`(\w+)`", row[2]))) for row in rows]


def keys_of_the_code() -> Iterator[str]:
    """The keys in what makes JSON: the functions that are called so, and what is printed at once."""
    for path in (ROOT / "worker" / "commands").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            is_json = isinstance(node, ast.FunctionDef) and ("json" in node.name or path.name == "config.py")
            if is_json or (isinstance(node, ast.Call) and ast.unparse(node.func).endswith("print_json")):
                made = (each for each in ast.walk(node) if isinstance(each, ast.Dict))
                yield from (key.value for one in made for key in one.keys if isinstance(key, ast.Constant))


def test_the_keys_of_the_code_are_those_of_the_page() -> None:
    documented = {word for words, _ in cells("What the keys mean") for word in words}
    assert set(map(str, keys_of_the_code())) == documented


def test_every_command_with_json_is_on_the_page() -> None:
    documented = {word for words, _ in cells("What each command prints") for word in words}
    commands = command_line().commands.items()
    assert {name for name, each in commands if any("--json" in option.opts for option in each.params)} == documented
