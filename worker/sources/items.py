"""Reads the `items` listing of a queue by cursor, conversations included; names are looked up afterwards."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from msgspec import structs

from worker.core.diff import digest
from worker.sources.deferred import Sighting
from worker.sources.errors import TooLargeError, unlawful
from worker.sources.limits import Limits
from worker.sources.links import run_url
from worker.sources.listing import Listing
from worker.sources.rows import of_items, trace
from worker.sources.wire import ItemRow, UnlawfulError, envelope

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from worker.core.model import QueueRun
    from worker.sources.directory import Directory
    from worker.sources.http import Http
    from worker.sources.names import Names
    from worker.sources.rows import Trace, Wanted
    from worker.sources.wire import Page


class Items:
    """The `items` listing. Thread-safe for different queues."""

    def __init__(
        self, http: Http, names: Names, directory: Directory, *, progress: Callable[[UUID, int], None]
    ) -> None:
        """`progress` is called with the queue's id and the number of items read so far."""
        self._http = http
        self._names = names
        self._directory = directory
        self._progress = progress
        self._limits = Limits(http.most_bytes)

    def read(self, wanted: Wanted) -> Listing:
        """Read the whole list, or raise SourceError. A name that cannot be looked up is left out."""
        listing = Listing(f"reading the items of queue {wanted.queue_id}")
        traces: dict[UUID, Trace] = {}
        cursor = ""
        while cursor := self._advance(listing, wanted, cursor, traces):
            self._progress(wanted.queue_id, len(listing.runs))
        self._complete(listing, traces, wanted)
        return listing

    def _complete(self, listing: Listing, traces: dict[UUID, Trace], wanted: Wanted) -> None:
        """Add names and links, once everything is read: nothing of this may cost the listing."""
        queue = self._directory.queue(wanted.queue_id)
        tenant_id = self._directory.tenant_id(wanted.queue_id)
        found = self._names.of(listing.runs, traces, wanted)
        for key, run in listing.runs.items():
            at = traces.get(key)
            url = (
                queue.url
                if at is None
                else run_url(wanted.web, tenant_id=tenant_id, project_id=at.project_id, run_id=at.run_id)
            )
            listing.runs[key] = structs.replace(run, facts=structs.replace(found.get(key, run.facts), url=url))

    def _advance(self, listing: Listing, wanted: Wanted, cursor: str, traces: dict[UUID, Trace]) -> str:
        """Read one page; the cursor of the next, or ''."""
        while True:
            try:
                found, following = self._page(listing, wanted, cursor)
                break
            except TooLargeError:
                if not self._limits.shrink(wanted.queue_id):
                    raise
        runs = []
        for row in found.rows:
            if (run := of_items(row, wanted)) is not None:
                runs.append(Sighting(run.queue_run_id, digest([run]), partial(_itself, run)))
                if (at := trace(row)) is not None:
                    traces[run.queue_run_id] = at
        listing.add(runs, found.size)
        return following

    def _page(self, listing: Listing, wanted: Wanted, cursor: str) -> tuple[Page[ItemRow], str]:
        path = f"/api/v1/platform/annotation-queues/{wanted.queue_id}/items"
        params: dict[str, str | int] = {"status": wanted.status, "page_size": self._limits.of(wanted.queue_id)}
        with self._http.get(path, params | ({"cursor": cursor} if cursor else {}), what=listing.what) as answer:
            listing.headers = answer.headers
            self._limits.read(wanted.queue_id, len(answer.body))
            try:
                return envelope(answer.body, ItemRow)
            except UnlawfulError as error:
                raise unlawful(listing.what, str(error)) from None


def _itself(run: QueueRun) -> QueueRun:
    return run
