"""What is allowed and yet probably not meant: lines for `check`. Pure."""

from __future__ import annotations

from datetime import timedelta
from itertools import chain
from typing import TYPE_CHECKING

from worker.settings.ids import queue_id
from worker.settings.showing import masked, secrets

if TYPE_CHECKING:
    from collections.abc import Iterator

    from worker.settings.model import Settings
    from worker.settings.queues import QueueSettings

SHORT_MEMORY = timedelta(days=1)


def findings(settings: Settings) -> tuple[str, ...]:
    """A line on each thing to look at, with the remedy; the worker runs all the same."""
    queues = [*settings.queues, *([settings.defaults] if settings.all_queues else [])]
    per_queue = chain.from_iterable(_of_queue(queue) for queue in queues)
    lines = [*settings.unknown_names(), *settings.shadowed, *_of_all(settings), *per_queue]
    return tuple(dict.fromkeys(masked(line, secrets(settings)) for line in lines))


def _of_all(settings: Settings) -> Iterator[str]:
    workspace = settings.langsmith_workspace_id
    if workspace is not None and queue_id(workspace) is None:
        yield f"LANGSMITH_WORKSPACE_ID does not look like an id (8-4-4-4-12 hex digits); copy it again"
    if settings.keep_reviews < SHORT_MEMORY:
        yield "WORKER_KEEP_REVIEWS is shorter than 1d: a run that was not listed for longer is new again; keep some days"
    if settings.keep_deliveries < SHORT_MEMORY:
        yield "WORKER_KEEP_DELIVERIES is shorter than 1d: `why` and `deliveries` soon know nothing; keep some days"


def _of_queue(queue: QueueSettings) -> Iterator[str]:
    whose = f"queue {queue.queue!r}" if queue.queue else "every other queue"
    if queue.escalate_after is None and queue.escalate_mention:
        yield f"{whose}: escalate_mention has no effect without escalate_after; set it, such as 1d"
    if queue.escalate_after is None and queue.escalate_to != queue.channel:
        yield f"{whose}: escalate_to has no effect without escalate_after; set it, such as 1d"
    if queue.escalate_after and queue.stale_after and queue.escalate_after < queue.stale_after:
        yield f"{whose}: escalate_after is shorter than stale_after: that comes before any reminder; set it longer"
    if queue.stale_after and queue.stale_after < queue.poll_interval:
        yield f"{whose}: stale_after is shorter than poll_interval: set it longer, or poll more often"
