"""Draws what polls cost as horizontal bars, and when people got messages as marks in a week, in SVG."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import matplotlib as mpl
from matplotlib.dates import DateFormatter, DayLocator, date2num
from matplotlib.figure import Figure as Canvas

from benchmarks.team import TEAM, ZONE, berlin

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from matplotlib.axes import Axes

    from benchmarks.figures import Figure
    from benchmarks.flight import Post

COLOURS = {"reference": "#8a8f98", "ours": "#2f6fed", "naive": "#d9822b"}
WORDS = {"reference": "reference", "ours": "worker", "naive": "naive script"}
TITLES = {
    "i": "(i) many queues, by items",
    "j": "(j) one queue of very many runs, by items",
    "a": "(a) many queues of large runs",
    "c": "(c) one queue of very many runs",
}
# Letters stay letters, and the same figures give the same file.
STYLE = {"svg.fonttype": "none", "svg.hashsalt": "benchmarks", "font.size": 9, "font.family": "sans-serif"}


def draw(figures: Iterable[Figure], file: Path) -> None:
    """Draw the CPU seconds of each phase and contender, each case in a scale of its own; nothing without any."""
    costs = [figure for figure in figures if figure.unit == "CPU s"]
    drawn = {case: [cost for cost in costs if cost.case == case] for case in TITLES}
    panels = {TITLES[case]: found for case, found in drawn.items() if found}
    if not panels:
        return
    with mpl.rc_context(STYLE):
        canvas = Canvas(figsize=(8, 0.8 + 0.32 * sum(map(len, panels.values()))), layout="constrained")
        ratios = [len(found) for found in panels.values()]
        axes = canvas.subplots(len(panels), squeeze=False, height_ratios=ratios)[:, 0]
        for one, (title, found) in zip(axes, panels.items(), strict=True):
            _bars(one, title, found)
        canvas.savefig(file, format="svg", metadata={"Date": None})


def _bars(axes: Axes, title: str, costs: Sequence[Figure]) -> None:
    phases = dict.fromkeys(cost.name.partition(": ")[0] for cost in costs)
    ordered = [cost for phase in phases for cost in costs if cost.name.startswith(f"{phase}: ")]
    who = [cost.name.partition(": ")[2] for cost in ordered]
    labels = [f"{cost.name.partition(': ')[0]}, {WORDS[one]}" for cost, one in zip(ordered, who, strict=True)]
    bars = axes.barh(labels, [cost.value for cost in ordered], color=[COLOURS[one] for one in who])
    axes.bar_label(bars, fmt="%.3g s", padding=4)
    axes.invert_yaxis()
    axes.margins(x=0.1)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title(f"{title}: CPU seconds a cycle", loc="left", fontweight="bold")


def draw_month(posts: Mapping[str, Sequence[Post]], file: Path) -> None:
    """Draw every post of the week of Easter, a row a policy; a mark is red that mentions somebody."""
    begin, end = berlin(3, 24), berlin(3, 31)
    with mpl.rc_context(STYLE):
        canvas = Canvas(figsize=(8, 0.9 + 0.45 * len(posts)), layout="constrained")
        axes = canvas.subplots()
        for opens, closes in _openings(begin, end):
            axes.axvspan(opens, closes, color="#e8f0e4", linewidth=0)
        for row, found in enumerate(posts.values()):
            shown = [post for post in found if begin <= post.at < end]
            for colour, marked in (
                (COLOURS["ours"], [post.at for post in shown if not post.mentions]),
                ("#c0392b", [post.at for post in shown if post.mentions]),
            ):
                _strokes(axes, marked, row, colour)
        axes.set_yticks(range(len(posts)), list(posts))
        axes.invert_yaxis()
        axes.set_xlim(begin, end)
        axes.xaxis.set_major_locator(DayLocator(tz=ZONE))
        axes.xaxis.set_major_formatter(DateFormatter("%-d.%-m.", tz=ZONE))
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_title("every post of five queues in the week of Easter", loc="left", fontweight="bold")
        canvas.savefig(file, format="svg", metadata={"Date": None})


def _strokes(axes: Axes, at: Sequence[datetime], row: int, colour: str) -> None:
    """One broken line for all of them: a line each would make the file ten times as large."""
    x = [x for instant in at for x in (date2num(instant), date2num(instant), math.nan)]
    axes.plot(x, [row - 0.35, row + 0.35, math.nan] * len(at), color=colour, linewidth=0.6)


def _openings(begin: datetime, end: datetime) -> Iterable[tuple[datetime, datetime]]:
    at: datetime | None = begin
    while at and (at := TEAM.next_opening(at)) and at < end and (closes := TEAM.next_closing(at)):
        yield at, closes
