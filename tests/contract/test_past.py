"""What is read of the time that has passed, on both databases."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from tests.support.acting import an_act, do
from tests.support.builders import CHANNEL, DAY, HOUR, MINUTE, NOON, review
from tests.support.outbox import QUEUE, owe, post, write
from tests.support.past import write_hours
from worker.core.actions import Act
from worker.core.history import Hour, hour_of
from worker.stores.past import recall_past

if TYPE_CHECKING:
    from worker.core.store_roles import Store
    from worker.stores.sql import SqlStore


def test_the_past_is_what_was_open_then_and_came_since(sql_store: Store) -> None:
    store = cast("SqlStore", sql_store)
    old = review("old", closed_at=NOON - DAY)
    left = review("left", closed_at=NOON + HOUR)
    write(store, old, left, review("a"))
    owe(store, review("a"))
    post(store)
    do(store, an_act(Act.CLAIM), NOON + MINUTE)
    do(store, an_act(Act.GIVE_BACK, name="unknown"), NOON + MINUTE)
    seen = hour_of(NOON)
    write_hours(store, QUEUE, {seen: Hour(waiting=1), seen + 3 * HOUR: Hour(waiting=1)})
    past = store.search(lambda connection: recall_past(connection, NOON, NOON, NOON + DAY))
    assert {one.queue_run_id for one in past.reviews[QUEUE.queue_id]} == {left.queue_run_id, review("a").queue_run_id}
    assert [polled.queue for polled in past.polls] == [QUEUE]
    assert past.sent == {QUEUE.queue_id: 1}
    assert [record.action.act for record in past.records] == [Act.CLAIM]
    assert past.outages == {}
    assert past.gaps == {QUEUE.queue_id: [(seen + HOUR, seen + 3 * HOUR)]}


def test_a_message_that_was_posted_late_shows_that_nothing_got_through(sql_store: Store) -> None:
    store = cast("SqlStore", sql_store)
    write(store, review("a"))
    owe(store, review("a"))
    post(store, at=NOON + HOUR)
    past = store.search(lambda connection: recall_past(connection, NOON, NOON, NOON + DAY))
    assert past.outages == {CHANNEL: [(NOON, NOON + HOUR)]}
