"""`status` says when what waits for a poll of a queue is given up that is polled no more."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from tests.support.builders import HOUR, MINUTE, queue, review
from tests.support.office import FRIDAY, MONDAY, office
from tests.support.outbox import owe
from tests.support.whole_worker import rules_by
from worker.commands.tables import unpolled_json
from worker.commands.upcoming import unpolled_lines, unpolled_of
from worker.core.calendar import ALWAYS_OPEN
from worker.core.model import Polled
from worker.stores.opening import migrate_database, open_store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from worker.stores.sql import SqlStore

LOST = queue("Old QA")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqlStore]:
    """One in which a queue is owed a message that was polled once."""
    url = f"sqlite:///{tmp_path}/worker.db"
    migrate_database(url)
    with closing(open_store(url, migrate=False)) as store:
        owe(store, review("a"), of=LOST, at=FRIDAY)
        yield store


@pytest.mark.parametrize("now", [MONDAY - 9 * HOUR, MONDAY + 30 * MINUTE], ids=["closed", "open"])
def test_the_hour_is_an_hour_after_the_opening(store: SqlStore, now: object) -> None:
    (found,) = unpolled_of(store, [], lambda _queue: rules_by(office()), now)  # type: ignore[arg-type]
    assert (found.deliveries, found.withdrawn_at) == (1, MONDAY + HOUR)
    at = "withdrawn at Mon 9 Mar 10:00 (Europe/Berlin) unless the queue is polled before"
    assert unpolled_lines([found])[-1].strip() == f"Old QA: 1 message waits for a poll, {at}"
    assert unpolled_json(found)["withdrawn_at"] == "2026-03-09T09:00:00Z"


def test_nothing_is_said_of_queues_that_are_polled_or_that_have_no_hours(store: SqlStore) -> None:
    assert unpolled_of(store, [Polled(LOST)], lambda _queue: rules_by(office()), MONDAY) == []
    assert unpolled_of(store, [], lambda _queue: rules_by(ALWAYS_OPEN), MONDAY) == []
    assert unpolled_lines([]) == []
