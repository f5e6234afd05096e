"""How fast notices go out."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

from benchmarks.children import contender
from benchmarks.figures import Figure

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from benchmarks.children import Server
    from benchmarks.scale import Scale


def posts(scale: Scale, server: Server, directory: Path) -> Iterator[Figure]:
    """(e) Notices to as many channels, one after the other, each with its own commits."""
    server.tell("reset")
    costs = []
    for repeat in range(scale.repeats):
        with contender("posting", server, directory / f"posts-{repeat}.db", queues=scale.notices) as one:
            costs.append(one.cycle())
    if server.tell("set")["posts"] != scale.notices * scale.repeats:
        raise RuntimeError("not every notice was posted")
    yield Figure("e", "notices a second", median(scale.notices / cost.wall for cost in costs), "/s")
    yield Figure(
        "e",
        "CPU a message of 10 named runs, claim to receipt",
        median(cost.cpu / scale.notices * 1000 for cost in costs),
        "ms",
        most=6.8,
    )
