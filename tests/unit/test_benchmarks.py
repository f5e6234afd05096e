"""What the benchmarks write into a database by themselves fits its tables."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from benchmarks.cases.kept import QUEUE, fill
from worker.core.model import Polled
from worker.stores.opening import open_store

if TYPE_CHECKING:
    from pathlib import Path


def test_sent_messages_are_put_behind_a_queue(tmp_path: Path) -> None:
    file = tmp_path / "kept.db"
    with closing(open_store(f"sqlite:///{file}", migrate=True)) as store:
        store.polled([Polled(QUEUE)])
    fill(file, 10)
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("SELECT count(*) FROM delivery_reviews").fetchone() == (10,)
