"""What commands read of a queue's last announcement, and of the purpose of a run in it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from msgspec.structs import replace

from tests.support.builders import HOUR, NOON, ident, notice, queue, review
from worker.core.model import Entry, Kind, Window
from worker.core.plan import Plan
from worker.stores import outbox

if TYPE_CHECKING:
    from worker.core.store_roles import Store
    from worker.stores.sql import SqlStore

RUNS = [review(name, told_at=NOON) for name in ("stale", "new")]
NOTICE = replace(notice(*RUNS), purposes=(Kind.REMINDER, Kind.ANNOUNCEMENT))


def announce(store: Store) -> None:
    opened = Window(NOON, NOTICE.key, Entry.MERGE)
    plan = Plan(tuple(RUNS), (NOTICE,), opened=opened)
    store.update(queue(), {run.queue_run_id for run in RUNS}, lambda _: plan, NOON)


def test_a_story_says_for_which_purpose_a_run_stands_in_a_message(store: Store) -> None:
    announce(store)
    stale, new = (store.stories(ident(name))[0].notices[0] for name in ("stale", "new"))
    assert (stale.purpose, new.purpose or new.delivery.kind) == (Kind.REMINDER, Kind.ANNOUNCEMENT)


def test_the_open_window_of_a_queue_is_read_beside_the_polls(sql_store: SqlStore) -> None:
    announce(sql_store)
    find = partial(outbox.known_window, queue_id=queue().queue_id, now=NOON + HOUR)
    assert sql_store.search(find) == Window(NOON, NOTICE.key, Entry.MERGE)


def test_a_queue_that_was_never_seen_has_no_window(sql_store: SqlStore) -> None:
    assert sql_store.search(partial(outbox.known_window, queue_id=queue().queue_id, now=NOON)) is None
