"""What polling and comparing costs, against the limit and against what one would write in an afternoon."""

from __future__ import annotations

from collections import defaultdict
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.children import contender
from benchmarks.figures import Figure, ratio

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from benchmarks.children import Cost, Server
    from benchmarks.scale import Scale

PHASES = ("first sight", "unchanged", "changed")
RESENT = "unchanged, in other bytes"
"""As where each answer holds links that are signed anew."""

PAGE = 100
ITEMS = ("reference", "ours")
OURS = ("first sight", "unchanged", RESENT, "changed")


def many_queues(scale: Scale, server: Server, directory: Path) -> Iterator[Figure]:
    """(a) Many queues of large runs, 1 % of which change, by the worker, the reference and the naive script."""
    server.tell("reset", queues=scale.queues, row=scale.row, last=scale.runs)
    names = ("reference", "ours", "naive")
    costs = _measure(scale, server, directory, names, queues=scale.queues, changed=max(scale.runs // 100, 1))
    yield from _costs("a", costs, names)
    for phase in PHASES:
        ours = _cpu(costs, "ours", phase)
        limit, naive = _cpu(costs, "reference", phase), _cpu(costs, "naive", phase)
        yield Figure("a", f"{phase}: worker / reference", ratio(ours, limit), "times", most=1)
        yield Figure("a", f"{phase}: naive / worker", ratio(naive, ours), "times", least=8)
    yield _resent("a", costs, most=0.75)


def one_large_queue(scale: Scale, server: Server, directory: Path) -> Iterator[Figure]:
    """(c) One queue of very many small runs, 0.1 % of which change."""
    server.tell("reset", queues=1, row=scale.large_row, last=scale.large_runs)
    names = ("reference", "ours")
    costs = _measure(scale, server, directory, names, queues=1, changed=max(scale.large_runs // 1000, 1))
    yield from _costs("c", costs, names)
    for phase in PHASES:
        compared = ratio(_cpu(costs, "ours", phase), _cpu(costs, "reference", phase))
        most = {"unchanged": 1.3, "changed": 1.0}.get(phase)
        yield Figure("c", f"{phase}: worker / reference", compared, "times", most=most)
    yield _resent("c", costs, most=1.0)


def many_queues_of_items(scale: Scale, server: Server, directory: Path) -> Iterator[Figure]:
    """(i) As (a), by the listing that stays: the worker against the reference."""
    server.tell("reset", queues=scale.queues, last=scale.runs)
    changed = max(scale.runs // 100, 1)
    names = (*ITEMS, "naive")
    costs = _measure(scale, server, directory, names, queues=scale.queues, changed=changed, api="items")
    yield from _items_compared("i", costs, dict(zip(PHASES, (1.5, 0.3, 1.2), strict=True)))
    yield from _costs("i", costs, ("naive",))
    for phase, least in zip(PHASES, (8, 40, 8), strict=True):
        compared = ratio(_cpu(costs, "naive", phase), _cpu(costs, "ours", phase))
        yield Figure("i", f"{phase}: naive / worker", compared, "times", least=least)


def requests_of_items(scale: Scale, server: Server, directory: Path) -> Iterator[Figure]:
    """(i) How often LangSmith is asked by the first polls: at a first sight, and after a restart.

    The list of queues, which is read before them, is not counted.
    """
    server.tell("reset", queues=scale.queues, last=scale.runs)
    pages = scale.queues * -(-scale.runs // PAGE)
    for phase, most in (("first sight", 1.2 * pages), ("restart", pages)):
        with contender("ours", server, directory / "asked.db", queues=scale.queues, api="items") as one:
            before = server.tell("set")["asked"]["ours"]
            one.cycle()
        yield Figure("i", f"{phase}: requests", server.tell("set")["asked"]["ours"] - before, "", most=most)


def one_large_queue_of_items(scale: Scale, server: Server, directory: Path) -> Iterator[Figure]:
    """(j) As (c), by the listing that stays."""
    server.tell("reset", queues=1, last=scale.large_runs)
    changed = max(scale.large_runs // 1000, 1)
    costs = _measure(scale, server, directory, ITEMS, queues=1, changed=changed, api="items")
    yield from _items_compared("j", costs, dict(zip(PHASES, (None, 0.3, 0.5), strict=True)))
    for phase in ("first sight", "changed"):
        ours, limit = ([cost.rss for cost in costs[name, phase]] for name in ("ours", "reference"))
        yield Figure("j", f"{phase}: peak of memory, worker / reference", ratio(ours, limit), "times", most=1.2)


def _items_compared(
    case: str, costs: Mapping[tuple[str, str], Sequence[Cost]], most: Mapping[str, float | None]
) -> Iterator[Figure]:
    yield from _costs(case, costs, ITEMS)
    for phase in PHASES:
        compared = ratio(_cpu(costs, "ours", phase), _cpu(costs, "reference", phase))
        yield Figure(case, f"{phase}: worker / reference", compared, "times", most=most[phase])


def _measure(  # noqa: PLR0913  (what is measured, all by name)
    scale: Scale,
    server: Server,
    directory: Path,
    names: Iterable[str],
    *,
    queues: int,
    changed: int,
    api: str = "runs",
) -> Mapping[tuple[str, str], Sequence[Cost]]:
    """The costs by contender and phase, one a repeat, side by side."""
    costs: defaultdict[tuple[str, str], list[Cost]] = defaultdict(list)
    last = server.tell("set")["last"]
    for repeat in range(scale.repeats):
        for name in names:
            server.tell("set", first=0, last=last, edition=0)
            database = directory / f"{name}-{queues}-{repeat}.db"
            with contender(name, server, database, queues=queues, api=api) as one:
                for phase in OURS if (name, api) == ("ours", "runs") else PHASES:
                    if phase == "changed":
                        server.tell("set", first=changed, last=last + changed)
                    if phase == RESENT:
                        server.tell("set", edition=repeat + 1)
                    costs[name, phase].append(one.cycle())
    return costs


def _resent(case: str, costs: Mapping[tuple[str, str], Sequence[Cost]], most: float) -> Figure:
    compared = ratio(_cpu(costs, "ours", RESENT), _cpu(costs, "reference", "unchanged"))
    return Figure(case, f"{RESENT}: worker / reference", compared, "times", most=most)


def _costs(case: str, costs: Mapping[tuple[str, str], Sequence[Cost]], names: Iterable[str]) -> Iterator[Figure]:
    for name in names:
        for phase in PHASES:
            yield Figure(case, f"{phase}: {name}", median(_cpu(costs, name, phase)), "CPU s")
        yield Figure(case, f"peak of memory: {name}", max(cost.rss for cost in costs[name, PHASES[-1]]), "MB")


def _cpu(costs: Mapping[tuple[str, str], Sequence[Cost]], name: str, phase: str) -> list[float]:
    return [cost.cpu for cost in costs[name, phase]]
