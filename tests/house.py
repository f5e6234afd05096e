"""Measures the house: how large its rooms are, who opens whom, and which words it uses. `python -m tests.house`."""

from __future__ import annotations

import ast
import re
import statistics
from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
ROOT = Path(__file__).parent.parent
WORKER = ROOT / "worker"
VENDOR_FREE = ("core", "loops", "stores", "net")
VENDORS = re.compile(r"(?i:slack|langsmith)|\b(?:WORKER|LANGSMITH|SLACK)_[A-Z]")
TOLD = re.compile(r"\b(?:un)?t(?:ells?|old|elling)\b|_told\b|\btold_(?!at\b)", re.IGNORECASE)
# On a line of its own, or two blanks behind the code. Reading tokens would find the same, and take a second.
COMMENT = re.compile(r"(?:^ *|  )# (?!noqa|type:|fmt:|pragma).+$", re.MULTILINE)
HAND_MADE_WAIT = re.compile(r"monotonic\(\) \+")

OLD_WORDS = (
    *("left", "parting", "patience", "pulse", "shift", "duty", "duties", "turn", "standing", "shallow", "notes"),
    *("moving", "place", "view", "views", "live", "look", "watch"),
)
"""Names that no file has: each has a better word in the glossary."""


@dataclass(frozen=True)
class Room:
    """One file of the worker."""

    path: Path

    @property
    def name(self) -> str:
        """The module's dotted name."""
        parts = self.path.relative_to(ROOT).with_suffix("").parts
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    @cached_property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def lines(self) -> int:
        return len(self.text.splitlines())

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    @property
    def preamble(self) -> int:
        """Lines of the docstring and the imports, with the blank ones between them."""
        end = 0
        for node in self.tree.body:
            is_docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
            is_import = isinstance(node, ast.Import | ast.ImportFrom) or (
                isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
            )
            if not (is_docstring or is_import):
                break
            end = node.end_lineno or end
        return end

    @cached_property
    def public_names(self) -> set[str]:
        """What is defined at the top and is not private."""
        found = set()
        for node in self.tree.body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                found.add(node.name)
            elif isinstance(node, ast.Assign | ast.AnnAssign):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                found |= {target.id for target in targets if isinstance(target, ast.Name)}
        return {name for name in found if not name.startswith("_")} - {"log"}

    @cached_property
    def functions(self) -> list[int]:
        """How many lines the body of each function has, its docstring left out."""
        return [
            _body_lines(node)
            for node in ast.walk(self.tree)
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        ]

    @cached_property
    def comments(self) -> int:
        """Lines with a comment that speaks to a reader, not to a tool."""
        return len(COMMENT.findall(self.text))

    def imports(self, *, types: bool = False) -> set[str]:
        """The names that are imported at the top, with those for types alone where they are asked for."""
        nodes: list[ast.stmt] = []
        for node in self.tree.body:
            if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
                nodes += node.body if types else []
            else:
                nodes.append(node)
        found: set[str] = set()
        for node in nodes:
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
        return found


def _body_lines(node: ast.FunctionDef) -> int:
    body = node.body
    if isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant) and len(body) > 1:
        body = body[1:]
    return (body[-1].end_lineno or 0) - body[0].lineno + 1


class House:
    """Every room of the worker."""

    def __init__(self) -> None:
        self.rooms = {room.name: room for room in map(Room, sorted(WORKER.rglob("*.py")))}

    @cached_property
    def filled(self) -> list[Room]:
        """The rooms but for those that only make a folder a package."""
        return [room for room in self.rooms.values() if room.lines > 5]

    def within(self, folder: str, *, deep: bool = True) -> list[Room]:
        """The rooms in a folder below `worker/`."""
        under = WORKER / folder
        return [room for room in self.filled if (under in room.path.parents if deep else room.path.parent == under)]

    def median_lines(self) -> float:
        return statistics.median(room.lines for room in self.filled)

    def preamble_share(self) -> float:
        """The share of all lines that are docstrings of files and imports."""
        return sum(room.preamble for room in self.filled) / sum(room.lines for room in self.filled)

    def comment_share(self) -> float:
        """How many comments there are in a hundred lines."""
        return 100 * sum(room.comments for room in self.filled) / sum(room.lines for room in self.filled)

    def function_lines(self) -> tuple[float, float]:
        """The median and the ninetieth percentile."""
        every = [lines for room in self.filled for lines in room.functions]
        return statistics.median(every), statistics.quantiles(every, n=10)[-1]

    def opens(self, room: Room, *, types: bool = False) -> set[str]:
        """The other rooms that one imports."""
        return (room.imports(types=types) & self.rooms.keys()) - {room.name}

    def with_one_importer(self) -> list[str]:
        """Rooms that one other room alone imports."""
        importers: defaultdict[str, set[str]] = defaultdict(set)
        for room in self.filled:
            for name in self.opens(room, types=True):
                importers[name].add(room.name)
        return sorted(room.name for room in self.filled if len(importers[room.name]) == 1)

    def circles(self) -> list[list[str]]:
        """Rooms that import each other in a circle when they are loaded."""
        found, state, path = [], dict.fromkeys(self.rooms, 0), []

        def visit(name: str) -> None:
            state[name] = 1
            path.append(name)
            for other in sorted(self.opens(self.rooms[name])):
                if state[other] == 1:
                    found.append(path[path.index(other) :])
                elif state[other] == 0:
                    visit(other)
            path.pop()
            state[name] = 2

        for name in self.rooms:
            if state[name] == 0:
                visit(name)
        return found

    def two_homes(self) -> dict[str, list[str]]:
        """Public names that more than one room defines."""
        homes: defaultdict[str, list[str]] = defaultdict(list)
        for room in self.filled:
            for name in room.public_names:
                homes[name].append(room.name)
        return {name: rooms for name, rooms in sorted(homes.items()) if len(rooms) > 1}

    def old_names(self) -> list[str]:
        """Rooms that are called by a word that the glossary has replaced."""
        return [room.name for room in self.filled if set(room.path.stem.split("_")) & set(OLD_WORDS)]

    def vendors_in_the_middle(self) -> list[str]:
        """Lines of the vendor-free folders that name a vendor or a variable of the environment."""
        return [
            f"{room.path.relative_to(ROOT)}:{number}: {line.strip()}"
            for folder in VENDOR_FREE
            for room in self.within(folder)
            for number, line in enumerate(room.text.splitlines(), 1)
            if VENDORS.search(line)
        ]

    def lines_of(self, module: str, class_name: str) -> int:
        """How long a class is."""
        body = self.rooms[module].tree.body
        node = next(each for each in body if isinstance(each, ast.ClassDef) and each.name == class_name)
        return (node.end_lineno or 0) - node.lineno + 1

    def importers_of(self, package: str) -> list[str]:
        """Rooms that import a package from outside."""
        return [
            room.name for room in self.filled if any(name.split(".")[0] == package for name in room.imports(types=True))
        ]

    def count(self, pattern: re.Pattern[str]) -> int:
        """How often a pattern occurs in the worker."""
        return sum(len(pattern.findall(room.text)) for room in self.filled)


def main() -> None:
    """Print every figure."""
    house = House()
    median, p90 = house.function_lines()
    sizes = sorted(((room.lines, room.name) for room in house.filled), reverse=True)
    figures = {
        "files": len(house.filled),
        "lines": sum(room.lines for room in house.filled),
        "median lines of a file": house.median_lines(),
        "largest file": f"{sizes[0][0]} ({sizes[0][1]})",
        "preambles, % of all lines": round(100 * house.preamble_share(), 1),
        "comments in 100 lines": round(house.comment_share(), 1),
        "functions, median / p90": f"{median:.0f} / {p90:.0f}",
        "files with one importer": len(house.with_one_importer()),
        "circles": len(house.circles()),
        "public names with two homes": len(house.two_homes()),
        "files called by an old word": len(house.old_names()),
        "vendors in core, loops, stores, net": len(house.vendors_in_the_middle()),
        "tell, told": house.count(TOLD),
        "lines of the class Poll": house.lines_of("worker.loops.poll", "Poll"),
        "hand-made waits": house.count(HAND_MADE_WAIT),
        "files that import httpx": len(house.importers_of("httpx")),
        "files by folder": {
            folder.name: len(house.within(folder.name))
            for folder in sorted(WORKER.iterdir())
            if folder.is_dir() and house.within(folder.name)
        },
        "modules at the top": len([room for room in house.filled if room.path.parent == WORKER]),
    }
    for name, figure in figures.items():
        print(f"{name}: {figure}")  # noqa: T201


if __name__ == "__main__":
    main()
