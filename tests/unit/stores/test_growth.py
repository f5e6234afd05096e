"""Years of work in seconds: the file stays as large as what is kept."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from msgspec.structs import replace

from tests.support.builders import DAY, LEASE, NOON, deciding, notice, queue, review
from tests.support.outbox import posted
from worker.stores.opening import open_store

if TYPE_CHECKING:
    from pathlib import Path

    from worker.stores.sql import SqlStore

QUEUE = queue()
KEPT = 5 * DAY


def live_through(store: SqlStore, day: int) -> None:
    """A day on which runs arrive, are told of, and are reviewed; and its housekeeping."""
    now = NOON + day * DAY
    runs = [review(day * 1000 + number, added_at=now, first_seen_at=now) for number in range(60)]
    told = notice(*runs, name=f"day {day}")
    store.update(QUEUE, [run.queue_run_id for run in runs], deciding(*runs, notices=[told]), now)
    claim = store.claim(now, LEASE)
    assert claim
    store.settle(posted(claim.delivery, now, edit_for=DAY), claim.delivery, shown=[runs[0].key])
    store.update(QUEUE, [], deciding(*(replace(run, closed_at=now) for run in runs)), now)
    store.prune(settled_before=now - KEPT, closed_before=now - KEPT)
    store.maintain()


def size(directory: Path) -> int:
    return sum(file.stat().st_size for file in directory.iterdir())


def test_files_stop_growing_when_as_much_is_forgotten_as_comes(tmp_path: Path) -> None:
    sizes = []
    with closing(open_store(f"sqlite:///{tmp_path}/worker.db", migrate=True)) as store:
        for day in range(40):
            live_through(store, day)
            sizes.append(size(tmp_path))
        assert len(store.deliveries()) < 10
    assert max(sizes[20:]) <= 1.1 * max(sizes[8:20])
