from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from tests.support.builders import DAY, NOON, deciding, delivery, queue, review
from tests.support.clock import FakeClock
from tests.support.memory_store import MemoryStore
from worker.core.model import Kind
from worker.core.owed import State
from worker.core.ports import StoreError
from worker.loops.housekeep import Housekeep


class Kept(MemoryStore):
    def __init__(self) -> None:
        super().__init__()
        self.maintained = 0

    def maintain(self) -> None:
        self.maintained += 1


def housekeep(store: MemoryStore) -> Housekeep:
    return Housekeep(store=store, history=store, clock=FakeClock(NOON), keep_deliveries=30 * DAY, keep_reviews=90 * DAY)


def test_each_kind_of_memory_is_kept_as_long_as_set_and_no_longer() -> None:
    store = Kept()
    for name, days in (("old", 31), ("young", 29)):
        settled = NOON - days * DAY
        store.owe(delivery(name, kind=Kind.OPS, state=State.SENT, settled_at=settled))
    closed = [review(name, closed_at=NOON - days * DAY) for name, days in (("gone", 91), ("tombstone", 89))]
    store.update(queue(), set(), deciding(*closed), NOON)
    assert housekeep(store)() == 2
    assert [each.key for each in store.deliveries()] == [delivery("young").key]
    assert store.stories(review("gone").queue_run_id) == []
    assert len(store.stories(review("tombstone").queue_run_id)) == 1
    assert store.maintained == 1


def test_days_that_a_newer_program_wrote_are_said_once() -> None:
    class Newer(Kept):
        def newer_days(self) -> int:
            return 3

    keep = housekeep(Newer())
    with capture_logs() as logs:
        keep()
        keep()
    assert [(line["event"], line["days"]) for line in logs if line["event"] != "pruned"] == [("history_is_newer", 3)]


def test_what_is_owed_stays_however_old() -> None:
    store = Kept()
    store.owe(delivery("owed", kind=Kind.OPS, created_at=NOON - 365 * DAY))
    assert housekeep(store)() == 0
    assert len(store.deliveries()) == 1


def test_a_database_that_fails_is_left_to_the_next_hour() -> None:
    class Down(Kept):
        def prune(self, **_: object) -> int:
            raise StoreError("locked")

    with pytest.raises(StoreError, match="locked"):
        housekeep(Down())()
