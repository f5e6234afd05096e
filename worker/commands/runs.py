"""The commands about single runs: `runs` lists what waits, `why` tells a run's whole story."""

from __future__ import annotations

import re
import sys
from functools import partial
from typing import TYPE_CHECKING
from uuid import UUID

from worker import story, views
from worker.app import last_polls, rules_of
from worker.clock import SystemClock
from worker.commands.begin import DATABASE, opened, start
from worker.core.status.upcoming import upcoming
from worker.plain import plain
from worker.stores import searching

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from worker.core.model import Queue, Review, Story
    from worker.core.status.upcoming import Upcoming
    from worker.settings import Settings
    from worker.stores.sql import SqlStore

MOST = 50
"""So many runs of a name are listed."""

_ID = re.compile(r"[0-9a-fA-F]{8}-?(?:[0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}")
_POST = re.compile(r"/archives/([A-Z0-9]+)/p(\d{10})(\d{6})")


def runs(wanted: str | None, *, as_json: bool) -> bool:
    """List what waits, in one queue or in all; False for a queue that is not polled."""
    settings = start(DATABASE)
    with opened(settings) as store:
        now = store.now(SystemClock())
        polled = [each.queue for each in last_polls(store)]
        queues = polled if wanted is None else _matching(polled, wanted)
        found = [
            story.Waiting(queue, review, _next(settings, queue, review, now))
            for queue in queues
            for review in store.search(partial(searching.waiting, queue_id=queue.queue_id))
        ]
    if wanted is not None and not queues:
        names = ", ".join(plain(queue.name) for queue in polled) or "none"
        sys.stderr.write(f"review-notifier: no queue {plain(wanted)!r} is polled; these are: {names}\n")
        return False
    if as_json:
        views.print_json([story.waiting_json(each, now) for each in found])
    else:
        story.print_waiting(found, now)
    return True


def why(what: str, *, as_json: bool) -> bool:
    """Show the story of a run, or list those that are meant; False where there is none."""
    settings = start(DATABASE)
    with opened(settings) as store:
        now = store.now(SystemClock())
        meant = _meant(store, what.strip())
        found = [each for queue_run_id in meant for each in store.stories(queue_run_id)]
    told = [(each, _next(settings, each.queue, each.review, now)) for each in found]
    if as_json:
        views.print_json([story.story_json(each, coming) for each, coming in told])
    elif len(meant) > 1:
        _print_list(found, now)
    else:
        views.say(*(line for each, coming in told for line in story.story_lines(each, coming, now)))
    return bool(found)


def _meant(store: SqlStore, what: str) -> Sequence[UUID]:
    """The queue runs that are meant: by a link to a post, by ids, or by a part of a name."""
    if post := _POST.search(what):
        return store.search(partial(searching.by_post, channel=post[1], ts=f"{post[2]}.{post[3]}"))
    if ids := [UUID(found) for found in _ID.findall(what)]:
        return store.search(partial(searching.by_ids, ids=ids))
    return store.search(partial(searching.by_part, part=what, most=MOST)) if what else []


def _matching(queues: Sequence[Queue], wanted: str) -> list[Queue]:
    """The queue of this id or name, else those whose name is the same but for case and blanks."""
    exact = [queue for queue in queues if wanted.lower() == str(queue.queue_id) or wanted == queue.name]
    return exact or [queue for queue in queues if _folded(queue.name) == _folded(wanted)]


def _folded(name: str) -> str:
    return " ".join(name.casefold().split())


def _next(settings: Settings, queue: Queue, review: Review, now: datetime) -> Upcoming:
    return upcoming(rules_of(settings.for_queue(queue.queue_id, queue.name)).policy, review, now)


def _print_list(found: Sequence[Story], now: datetime) -> None:
    latest = {each.review.queue_run_id: each for each in found}
    story.print_stories(list(latest.values()), now)
    if len(latest) >= MOST:
        views.say(f"Only the newest {MOST} are listed.")
    views.say("", "Several runs are meant: give the queue run's id of one.")
