"""The `config` command: the settings in force, and where each comes from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from worker.commands import tables
from worker.commands.startup import DATABASE, start
from worker.settings.origins import DEFAULT, NOT_SET, in_force

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from worker.settings.origins import AllInForce, InForce, QueueInForce

COLUMNS = ("Setting", "Value", "From")


def config(*, as_json: bool) -> None:
    """Show every setting. Raises ConfigError where one is wrong."""
    start(DATABASE)
    found = in_force()
    if as_json:
        tables.print_json(config_json(found))
        return
    tables.print_table(COLUMNS, rows(found), empty="")


def rows(found: AllInForce) -> Iterator[tuple[str, str, str]]:
    """The table for people."""
    yield from _rows((each.name, each) for each in (*found.worker, *found.tables))
    common = next((queue for queue in found.queues if not queue.queue), None)
    others = [queue for queue in found.queues if queue.queue]
    for queue in ([] if common is None else [common]) + others:
        yield "", "", ""
        title = f"Queue {queue.queue}" if queue.queue else "Every queue" + (" that is not named" if others else "")
        yield title, "", ""
        yield from _rows((f"  {each.key}", each) for each in queue.settings)


def _rows(settings: Iterable[tuple[str, InForce]]) -> Iterator[tuple[str, str, str]]:
    for name, each in settings:
        yield name, each.value, "" if each.value == NOT_SET and each.origin == DEFAULT else each.origin


def config_json(found: AllInForce) -> dict[str, Any]:
    """The same for programs: of every queue all that holds for it."""
    return {
        "settings": {each.name: _value(each) for each in (*found.worker, *found.tables)},
        "queues": [_queue(queue) for queue in found.queues],
    }


def _queue(queue: QueueInForce) -> dict[str, Any]:
    return {"queue": queue.queue or None, "settings": {each.key: _value(each) for each in queue.settings}}


def _value(each: InForce) -> dict[str, Any]:
    return {"value": None if each.value == NOT_SET else each.value, "from": each.origin}
