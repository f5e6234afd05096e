"""What people read keeps to plain words: the style page of CONTRIBUTING, as far as a machine can hold it."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
AVOIDED = ("anew", "mend", "mended", "owed", "remedy", "seldom", "stand", "stands", "told", "whoever")
AVOIDED_WORD = re.compile(rf"\b({'|'.join(AVOIDED)})\b", re.IGNORECASE)
TEXTS = [
    *(ROOT / name for name in ("README.md", ".env.example", "worker.toml.example", "CHANGELOG.md")),
    *(path for path in sorted((ROOT / "docs").rglob("*.md")) if path.name != "architecture.md"),
    *(path for path in sorted((ROOT / "deploy").rglob("*")) if path.is_file()),
]
HELP = ("cli.py", "setting_up.py")
"""Modules whose docstrings are the help of commands."""

PROGRAM = sorted((ROOT / "worker").rglob("*.py"))


def said(text: str) -> list[str]:
    """The words to avoid in a text, without what is code there and without names of symbols."""
    prose = re.sub(r"```.*?```|`[^`]*`|\]\([^)]*\)", "", text, flags=re.DOTALL)
    return [
        f"{found[0]}: …{prose[max(found.start() - 40, 0) : found.end() + 20]}…"
        for found in AVOIDED_WORD.finditer(prose)
    ]


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_documents_keep_to_plain_words(path: Path) -> None:
    assert said(path.read_text()) == []


def test_messages_and_help_keep_to_plain_words() -> None:
    """Every text with a blank in it that is no docstring is read by somebody, and so is help."""
    found = []
    for path in PROGRAM:
        if not AVOIDED_WORD.search(source := path.read_text()):
            continue
        tree = ast.parse(source)
        docstrings = {
            id(node.body[0].value)
            for node in ast.walk(tree)
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
            and node.body
            and isinstance(node.body[0], ast.Expr)
        }
        if path.name in HELP:
            docstrings = set()
        bare = set() if path.name in HELP else {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        texts = (
            node.value
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings | bare
        )
        found += [f"{path.name}: {each}" for text in texts if " " in text.strip() for each in said(text)]
    assert found == []


def test_the_style_page_lists_the_same_words() -> None:
    (line,) = (
        line for line in (ROOT / "CONTRIBUTING.md").read_text().split("\n\n") if line.startswith("Words to avoid")
    )
    assert sorted(re.findall(r"`([^`]+)`", line.partition(":")[2])) == sorted(AVOIDED)
