"""Shows where the time of the worker's own polls goes: `python -m benchmarks.profiling --help`."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from pyinstrument import Profiler

from benchmarks import ours
from benchmarks.children import serving
from benchmarks.contender import Task
from benchmarks.scale import FULL, QUICK

PHASES = ("first sight", "unchanged", "changed")
INTERVAL = 0.0005
QUEUES = 40


def main() -> None:
    """Profile each phase of the polls, and print where it spends its time."""
    given = _arguments()
    scale = QUICK if given.quick else FULL
    queues, row, runs = (1, scale.large_row, scale.large_runs) if given.one else (QUEUES, scale.row, scale.runs)
    with serving() as server, tempfile.TemporaryDirectory() as directory:
        server.tell("reset", queues=queues, row=row, last=runs)
        poll = ours.prepare(Task(server.url, f"{directory}/profiled.db", queues, given.listing))
        for phase in PHASES:
            if phase == "changed":
                server.tell("set", first=runs // 100, last=runs + runs // 100)
            profiler = Profiler(interval=INTERVAL)
            with profiler:
                poll()
            sys.stdout.write(f"\n{phase}\n{profiler.output_text(unicode=True, show_all=given.all)}")
            if given.html:
                given.html.mkdir(exist_ok=True)
                profiler.write_html(given.html / f"{phase.replace(' ', '-')}.html")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.profiling", description="Profile the worker's polls.")
    parser.add_argument("--one", action="store_true", help="one queue of very many runs, instead of many of large runs")
    parser.add_argument("--listing", choices=("items", "runs"), default="items", help="the listing that is read")
    parser.add_argument("--quick", action="store_true", help="small sizes")
    parser.add_argument("--all", action="store_true", help="show what the libraries do within too")
    parser.add_argument("--html", type=Path, metavar="FOLDER", help="write pages to look into there too")
    return parser.parse_args()


if __name__ == "__main__":
    main()
