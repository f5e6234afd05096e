"""`docs/operations.md` says how long things wait, with the figures of the code."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from worker import service
from worker.core import delivery, directory, leases, owed
from worker.loops import deliver, details, direct, incidents, pauses, people, poll, roster
from worker.notifiers.slack import notifier
from worker.settings.model import PerQueue
from worker.sources.langsmith import counts, queues

MODULES: dict[str, Any] = {
    module.__name__.rpartition(".")[2]: module
    for module in (
        *(delivery, deliver, directory, owed, incidents, details, pauses, people, poll, roster, service, leases),
        *(queues, counts, direct, notifier),
    )
}
DOCS = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()
UNITS = {"s": 1, "min": 60, "h": 3600, "day": 86_400}
OWN_FIGURES = {"delivery.START": delivery.START + notifier.PACE}
"""What a row says is this, not the constant that it names alone."""


def rows() -> list[tuple[str, str, str]]:
    table = DOCS.partition("## How long things wait\n")[2].partition("\n## ")[0]
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table.splitlines() if line[:2] == "| "]
    return [(what, wait, where.strip("`| ")) for what, wait, where in cells[2:]]


def figures(wait: str) -> set[timedelta]:
    numbers = re.findall(r"([\d.]+|\ba) (s|min|h|day)\b", wait)
    return {timedelta(seconds=float(number.replace("a", "1")) * UNITS[unit]) for number, unit in numbers}


NAMED = [row for row in rows() if row[2]]


@pytest.mark.parametrize(("wait", "where"), [row[1:] for row in NAMED], ids=[row[0] for row in NAMED])
def test_the_figure_is_that_of_the_code(wait: str, where: str) -> None:
    if where == "WORKER_POLL_INTERVAL":
        assert PerQueue.model_fields["poll_interval"].default in figures(wait)
        return
    module, _, name = where.partition(".")
    assert OWN_FIGURES.get(where, getattr(MODULES[module], name)) in figures(wait)


@pytest.mark.parametrize(
    "module", [delivery, directory, owed, pauses, people, poll, roster, leases, notifier], ids=lambda m: m.__name__
)
def test_every_wait_of_the_code_stands_there(module: Any) -> None:
    inner = {
        "delivery.SHORTEST_WISH",
        "people.MEMBERS_SOON",
        "people.READ_EVERY",
        "people._MINUTE",
        "pauses.PROVE_EVERY",
        "pauses.ASK_AGAIN",
        "pauses.LATE_FOR",
        "roster.COMPARE_EVERY",
        "roster.COMPARE_AGAIN_AFTER",
        "leases.RENEW",
        "leases.SOON",
        "notifier.SLACK_AHEAD",
    }
    short = module.__name__.rpartition(".")[2]
    own = {name for name, value in vars(module).items() if name.isupper() and isinstance(value, timedelta)}
    source = Path(str(module.__file__)).read_text()
    waits = {f"{short}.{name}" for name in own if re.search(rf"(?m)^{name} = ", source)} - inner
    named = {where for _, _, where in NAMED}
    same = {"roster.REFUSED_EVERY"}
    assert waits <= named | same
