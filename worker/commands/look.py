"""Commands that look at the database, and `retry`, which changes one row of it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from worker import views
from worker.app import try_again
from worker.clock import SystemClock
from worker.commands.begin import DATABASE, opened, start

if TYPE_CHECKING:
    from uuid import UUID

    from worker.core.model import State


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
