"""What is allowed and yet probably not meant: lines for `check`. Pure."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from worker.settings.ids import queue_id
from worker.settings.names import some
from worker.settings.showing import masked, secrets

if TYPE_CHECKING:
    from collections.abc import Iterator

    from worker.settings.model import Settings
    from worker.settings.queues import PerQueue

SHORT_MEMORY = timedelta(days=1)


def findings(settings: Settings) -> tuple[str, ...]:
    """A line on each thing to look at, with the remedy; the worker runs all the same."""
    lines = [*settings.unknown_names(), *settings.shadowed, *_of_all(settings), *_of_queues(settings)]
    return tuple(masked(line, secrets(settings)) for line in lines)


def _of_all(settings: Settings) -> Iterator[str]:
    workspace = settings.langsmith_workspace_id
    if workspace is not None and queue_id(workspace) is None:
        yield "LANGSMITH_WORKSPACE_ID does not look like an id (8-4-4-4-12 hex digits); copy it again"
    if settings.keep_reviews < SHORT_MEMORY:
        yield "WORKER_KEEP_REVIEWS is shorter than 1d; keep some days, or a run not listed for longer is new again"
    if settings.keep_deliveries < SHORT_MEMORY:
        yield "WORKER_KEEP_DELIVERIES is shorter than 1d; keep some days, or `why` and `deliveries` soon know nothing"


def _of_queues(settings: Settings) -> Iterator[str]:
    whose: dict[str, list[str]] = {}
    for queue in [*settings.queues, *([settings.defaults] if settings.all_queues else [])]:
        for line in _of_queue(queue):
            whose.setdefault(line, []).append(repr(queue.queue) if queue.queue else "every other queue")
    for line, queues in whose.items():
        yield f"{line} (for {some(queues)})"


def _of_queue(queue: PerQueue) -> Iterator[str]:
    if queue.escalate_after is None and queue.escalate_mention:
        yield "escalate_mention has no effect without escalate_after; set it, such as 1d"
    if queue.escalate_after is None and queue.escalate_to != queue.channel:
        yield "escalate_to has no effect without escalate_after; set it, such as 1d"
    if queue.escalate_after and queue.stale_after and queue.escalate_after < queue.stale_after:
        yield "escalate_after is shorter than stale_after: no reminder comes first; set it longer"
    if queue.stale_after and queue.stale_after < queue.poll_interval:
        yield "stale_after is shorter than poll_interval; set it longer, or poll more often"
