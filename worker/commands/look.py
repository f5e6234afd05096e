"""The commands that look at the database, and `retry`, which changes one row of it."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from worker import views
from worker.app import last_polls, try_again
from worker.clock import SystemClock
from worker.commands.begin import DATABASE, opened, start
from worker.core.model import State
from worker.core.overview import LATE_AFTER

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from worker.core.model import Polled
    from worker.settings import Settings
    from worker.stores.sql import SqlStore


def status(*, as_json: bool) -> bool:
    """Show how each queue stands; whether all is well."""
    settings = start(DATABASE)
    with opened(settings) as store:
        now = store.now(SystemClock())
        on_duty = store.on_duty()
        found = [
            replace(_status(settings, store, polled, now), worker=on_duty.get(str(polled.queue.queue_id)))
            for polled in last_polls(store)
        ]
        dead = sum(backlog.count for backlog in store.backlog() if backlog.state is State.DEAD)
    well = not dead and not any(one.late for one in found)
    if as_json:
        views.print_json({"queues": [views.status_json(one, now) for one in found], "dead": dead, "ok": well})
    else:
        views.print_status(found, now, dead=dead)
    return well


def deliveries(*, state: State | None, limit: int, as_json: bool) -> None:
    """Show the outbox."""
    settings = start(DATABASE)
    with opened(settings) as store:
        found, now = store.deliveries(state, limit), store.now(SystemClock())
    if as_json:
        views.print_json([views.delivery_json(delivery) for delivery in found])
    else:
        views.print_deliveries(found, now)


def retry(key: UUID) -> bool:
    """Put a delivery back to pending, and let paused destinations be tried at once."""
    settings = start(DATABASE)
    with opened(settings) as store:
        now = store.now(SystemClock())
        try_again(store, now)
        return store.retry(key, now)


def why(queue_run_id: UUID, *, as_json: bool) -> bool:
    """Tell the story of a run; False where it was never seen."""
    settings = start(DATABASE)
    with opened(settings) as store:
        now = store.now(SystemClock())
        stories = store.stories(queue_run_id)
    if as_json:
        views.print_json([views.story_json(story) for story in stories])
    else:
        sys.stdout.writelines(f"{line}\n" for story in stories for line in views.story_lines(story, now))
    return bool(stories)


def _status(settings: Settings, store: SqlStore, polled: Polled, now: datetime) -> views.QueueStatus:
    rules = settings.for_queue(polled.queue.queue_id, polled.queue.name)
    stale_before = None if rules.stale_after is None else now - rules.stale_after
    late = polled.completed_at is None or now - polled.completed_at > rules.poll_interval * LATE_AFTER
    return views.QueueStatus(polled, store.standing(polled.queue.queue_id, stale_before), late=late)
