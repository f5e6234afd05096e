"""LangSmith as the Source: complete snapshots of annotation queues over its HTTP API, read-only."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from worker.core.model import Snapshot
from worker.sources.directory import Directory
from worker.sources.http import DEADLINE_SECONDS, MOST_BYTES, Http
from worker.sources.listing import Listing
from worker.sources.runs import Runs, Wanted
from worker.sources.values import identity

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from uuid import UUID

    from worker.core.model import Left, Queue, Show
    from worker.core.ports import Clock

log = structlog.get_logger(__name__)

NEEDS_MY_REVIEW = "needs_my_review"
AUTO = "auto"


class LangSmith:
    """One client for all queues. Thread-safe: different queues may be read at the same time.

    Raises nothing but SourceError. Nothing is tried twice: the next poll is the only retry.
    """

    def __init__(  # noqa: PLR0913  (plain values from the settings, all by name)
        self,
        *,
        root: str,
        key: str,
        clock: Clock,
        workspace_id: str = "",
        web_url: str = "",
        statuses: tuple[str, ...] = (NEEDS_MY_REVIEW,),
        api: str = AUTO,
        recall: Callable[[str], str | None] = lambda _name: None,
        remember: Callable[[str, str], None] = lambda _name, _value: None,
        requests_per_second: float = 20.0,
        deadline_seconds: float = DEADLINE_SECONDS,
        most_bytes: int = MOST_BYTES,
        progress: Callable[[UUID, int], None] = lambda _queue_id, _runs: None,
    ) -> None:
        """`root` is the API root without `/api/v1`; `web_url` the root of links, '' for none. `api` is `runs`, `items` or
        `auto`; what `auto` finds out is kept over restarts by `recall` and `remember`.
        `progress` is called with a queue's id and the runs read so far, after every page but the last.
        """
        self._api = api
        self._recall = recall
        self._remember = remember
        web = web_url.rstrip("/")
        self._clock = clock
        self._statuses = statuses
        self._http = Http(
            root=root,
            key=key,
            workspace_id=workspace_id,
            requests_per_second=requests_per_second,
            clock=clock,
            deadline_seconds=deadline_seconds,
            most_bytes=most_bytes,
        )
        self._directory = Directory(self._http, clock=clock, web=web, workspace_id=identity(workspace_id))
        self._runs = Runs(self._http, web=web, progress=progress)

    def snapshot(self, queue_id: UUID, *, show: frozenset[Show]) -> Snapshot:
        """Read one queue completely, or raise: half a listing is no listing."""
        taken_at = self._clock.now()
        listing = Listing()
        for status in self._statuses:
            listing.merge(self._runs.read(Wanted(queue_id, status, show, self._directory.tenant_id(queue_id))))
        queue = self._directory.queue(queue_id)
        if listing.unusable:
            log.warning("rows_unusable", queue=queue.name, rows=listing.unusable)
        return Snapshot(
            queue=queue,
            runs=tuple(listing.runs.values()),
            taken_at=taken_at,
            one_page=listing.pages == 1,
            unusable=listing.unusable,
        )

    def queues(self) -> Sequence[Queue]:
        """Every queue that the key can see."""
        return self._directory.queues()

    def how_left(self, queue_id: UUID, queue_run_ids: Collection[UUID]) -> Mapping[UUID, Left]:  # noqa: ARG002
        """How runs that left did so: this listing cannot tell."""
        return {}

    def close(self) -> None:
        """Break off whatever is under way, at once."""
        self._http.close()
