"""The limit: what polling costs in one straight line, with nothing that makes a service of it.

No digests to send, no back-off, no paging that moves, no bad rows, no time-outs: whoever is as cheap wastes nothing.
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import httpx
import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.contender import Task

PAGE = 100
SCHEMA = """
CREATE TABLE reviews (queue_id TEXT, queue_run_id TEXT, added_at TEXT, name TEXT, closed INTEGER DEFAULT 0,
                      PRIMARY KEY (queue_run_id, queue_id, added_at)) WITHOUT ROWID;
CREATE INDEX waiting ON reviews (queue_id) WHERE NOT closed;
"""


class Row(msgspec.Struct):
    """The fields that are needed."""

    queue_run_id: str
    added_at: str
    name: str
    run_type: str
    tags: list[str]


class Item(msgspec.Struct):
    """The same of a row by cursor, which has no name."""

    queue_run_id: str = msgspec.field(name="id")
    run_id: str
    project_id: str
    added_at: str
    effective_added_at: str
    reserved_by: list[str]
    completed_by: list[str]
    name: str = ""


class Items(msgspec.Struct):
    """A page by cursor."""

    items: list[Item]
    next_cursor: str | None


decode_runs = msgspec.json.Decoder(list[Row]).decode
decode_items = msgspec.json.Decoder(Items).decode


def prepare(task: Task) -> Callable[[], int]:
    """One call polls every queue once; how many runs came or went."""
    client = httpx.Client(base_url=task.url, headers={"X-API-Key": "reference"})
    database = sqlite3.connect(task.database)
    database.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;" + SCHEMA)
    listing = _items if task.api == "items" else _runs

    def poll(queue_id: str) -> int:
        rows = listing(client, queue_id)
        listed = {(row.queue_run_id, row.added_at) for row in rows}
        waiting = "SELECT queue_run_id, added_at FROM reviews WHERE queue_id = ? AND NOT closed"
        known = set(database.execute(waiting, [queue_id]))
        new = [(queue_id, row.queue_run_id, row.added_at, row.name) for row in rows if key(row) not in known]
        gone = [(run, added_at) for run, added_at in known - listed]
        if new or gone:
            add = "INSERT INTO reviews (queue_id, queue_run_id, added_at, name) VALUES (?, ?, ?, ?)"
            database.executemany(add, new)
            database.executemany("UPDATE reviews SET closed = 1 WHERE queue_run_id = ? AND added_at = ?", gone)
            database.commit()
        return len(new) + len(gone)

    def key(row: Row | Item) -> tuple[str, str]:
        return row.queue_run_id, row.added_at

    return lambda: sum(poll(queue_id) for queue_id in task.queue_ids)


def _runs(client: httpx.Client, queue_id: str) -> list[Row]:
    rows: list[Row] = []
    while len(rows) % PAGE == 0:
        query: dict[str, str | int] = {"status": "needs_my_review", "limit": PAGE, "offset": len(rows)}
        found = decode_runs(client.get(f"/api/v1/annotation-queues/{queue_id}/runs", params=query).content)
        rows += found
        if not found:
            break
    return rows


def _items(client: httpx.Client, queue_id: str) -> list[Item]:
    rows: list[Item] = []
    query: dict[str, str | int] = {"status": "needs_my_review", "page_size": PAGE}
    while True:
        found = decode_items(client.get(f"/api/v1/platform/annotation-queues/{queue_id}/items", params=query).content)
        rows += found.items
        if not found.next_cursor:
            return rows
        query["cursor"] = found.next_cursor
