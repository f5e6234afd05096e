"""Files, functions and diffs that CONTRIBUTING and the architecture's walks name stand in the code."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text()
DIFFS = re.findall(r"```diff\n(.*?)```", CONTRIBUTING, re.DOTALL)
PATHS = sorted(set(re.findall(r"`((?:worker|tests|docs|migrations)/[\w./]*)`", CONTRIBUTING)))
WALKS = [
    re.findall(r"(?m)^(\d+)\. `(worker/[\w/]+\.py): ([\w.]+)` (.+)$", walk)
    for walk in re.split("A delivery's key|A press in Slack", ARCHITECTURE.split("## Three walks")[1].split("\n## ")[0])
]


@cache
def symbols(file: str) -> set[str]:
    """The functions of a module, and the methods of its classes as `Class.method`."""
    found = set()
    for node in ast.parse((ROOT / file).read_text()).body:
        inner = node.body if isinstance(node, ast.ClassDef) else []
        owner = f"{node.name}." if isinstance(node, ast.ClassDef) else ""
        found |= {f"{owner}{each.name}" for each in inner or [node] if isinstance(each, ast.FunctionDef)}
    return found


def kept_lines(diff: str) -> list[tuple[str, str]]:
    """The lines of a diff that its file has today, each with the file."""
    file, kept = "", []
    for line in diff.splitlines():
        if line.startswith("--- "):
            file = line.removeprefix("--- ")
        elif not line.startswith("+"):
            kept.append((file, line[1:]))
    return kept


def test_each_walk_has_twelve_lines() -> None:
    assert [[int(step) for step, *_ in walk] for walk in WALKS] == [list(range(1, 13))] * 3


@pytest.mark.parametrize(("file", "function"), [(file, function) for walk in WALKS for _, file, function, _ in walk])
def test_a_walk_names_what_is_there(file: str, function: str) -> None:
    assert function in symbols(file)


def test_a_notifier_a_source_a_setting_and_a_rung_each_have_their_diff() -> None:
    assert len(DIFFS) == 4
    assert all(sum(line.startswith("+") for line in diff.splitlines()) in {1, 2, 3} for diff in DIFFS)


@pytest.mark.parametrize(("file", "line"), [kept for diff in DIFFS for kept in kept_lines(diff)])
def test_a_diff_fits_the_code(file: str, line: str) -> None:
    assert line in (ROOT / file).read_text().splitlines()


@pytest.mark.parametrize("path", PATHS)
def test_a_file_that_contributing_names_exists(path: str) -> None:
    assert (ROOT / path).exists()


@pytest.mark.parametrize("word", ["Notifier", "Source"])
def test_a_port_is_where_contributing_says(word: str) -> None:
    assert f"`{word}`" in CONTRIBUTING
    assert f"\nclass {word}(Protocol):" in (ROOT / "worker/core/ports.py").read_text()


def test_each_decision_has_a_number_of_its_own() -> None:
    decisions = sorted((ROOT / "docs" / "adr").glob("*.md"))
    titles = [file.read_text().splitlines()[0] for file in decisions]
    assert [int(file.name[:4]) for file in decisions] == list(range(1, len(decisions) + 1))
    assert [title.split(".")[0] for title in titles] == [f"# {number}" for number in range(1, len(decisions) + 1)]
