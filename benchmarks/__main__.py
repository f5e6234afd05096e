"""Runs the measurements and tells their results: `python -m benchmarks --help`."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from benchmarks.cases import history, hours, kept, owners, plans, polls, posts, services, workers
from benchmarks.children import serving
from benchmarks.plot import draw
from benchmarks.scale import FULL, QUICK

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.figures import Figure
    from benchmarks.scale import Scale

CASES = {
    "i": (polls.many_queues_of_items, polls.requests_of_items),
    "j": (polls.one_large_queue_of_items,),
    "a": (polls.many_queues,),
    "c": (polls.one_large_queue,),
    "e": (posts.posts, services.arrival, services.saturated),
    "s": (services.start, services.idle),
    "b": (services.steady,),
    "k": (kept.kept,),
    "d": (history.behind,),
    "f": (workers.several,),
    "h": (hours.ages,),
    "l": (plans.plans,),
    "p": (owners.owners,),
}
MARKS = {True: "[green]reached[/]", False: "[red]missed[/]", None: ""}


def main() -> None:
    """Measure, print a table, write the results and draw them."""
    given = _arguments()
    around = surroundings()
    figures = [figure for case in given.cases for figure in measure(case, QUICK if given.quick else FULL)]
    show(figures)
    told = [asdict(figure) | {"met": figure.met} for figure in figures]
    given.json.write_text(json.dumps({"machine": around, "figures": told}, indent=1, ensure_ascii=False) + "\n")
    draw(figures, given.plot)


def measure(case: str, scale: Scale) -> list[Figure]:
    """Run one case in a directory of its own, against a server of its own."""
    sys.stderr.write(f"measuring ({case}) …\n")
    found: list[Figure] = []
    for run in CASES[case]:
        with serving() as server, tempfile.TemporaryDirectory() as directory:
            found += run(scale, server, Path(directory))
    return found


def show(figures: Sequence[Figure]) -> None:
    """Print the results for people."""
    table = Table("", "what", "value", "unit", "to reach", "")
    for figure in figures:
        table.add_row(figure.case, figure.name, f"{figure.value:,.3g}", figure.unit, figure.wanted, MARKS[figure.met])
    Console().print(table)


def surroundings() -> dict[str, object]:
    """What it is measured on; `load` is what others asked of the machine in the minute before."""
    return {
        "python": platform.python_version(),
        "system": platform.system(),
        "processor": platform.machine(),
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
    }


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure what the worker costs.")
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"some of {', '.join(CASES)}; all without")
    parser.add_argument("--quick", action="store_true", help="sizes that only show that everything works")
    parser.add_argument("--json", type=Path, default="bench.json", metavar="FILE", help="where the results go")
    parser.add_argument("--plot", type=Path, default="bench.svg", metavar="FILE", help="where they are drawn")
    given = parser.parse_args()
    unknown = set(given.cases) - CASES.keys()
    if unknown:
        parser.error(f"no such case: {', '.join(sorted(unknown))}")
    given.cases = given.cases or list(CASES)
    return given


if __name__ == "__main__":
    main()
