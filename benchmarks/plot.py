"""Draws what polls cost as horizontal bars, in SVG."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib as mpl
from matplotlib.figure import Figure as Canvas

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from matplotlib.axes import Axes

    from benchmarks.figures import Figure

COLOURS = {"reference": "#8a8f98", "ours": "#2f6fed", "naive": "#d9822b"}
WORDS = {"reference": "reference", "ours": "worker", "naive": "naive script"}
TITLES = {"a": "(a) many queues of large runs", "c": "(c) one queue of very many runs"}
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
