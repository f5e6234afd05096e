"""Reads the `items` listing of a queue by cursor, conversations included; names are looked up apart."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from msgspec import structs

from worker.core.diff import digest
from worker.sources.errors import TooLargeError, unlawful
from worker.sources.limits import Limits
from worker.sources.links import run_url
from worker.sources.listing import Listing
from worker.sources.rows import CONVERSATION, Sighting, of_items, trace
from worker.sources.values import identity
from worker.sources.wire import ItemRow, UnlawfulError, envelope

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from worker.core.model import Facts, Id
    from worker.sources.directory import Directory
    from worker.sources.http import Http
    from worker.sources.listing import Reading
    from worker.sources.names import Names
    from worker.sources.rows import Trace, Wanted
    from worker.sources.wire import Page


class Items:
    """The `items` listing. Thread-safe for different queues."""

    def __init__(self, http: Http, names: Names, directory: Directory, *, progress: Callable[[Id, int], None]) -> None:
        """`progress` is called with the queue's id and the number of items read so far."""
        self._http = http
        self._names = names
        self._directory = directory
        self._progress = progress
        self._limits = Limits(http.most_bytes)
        self._traces: dict[tuple[Id, str], dict[Id, Trace]] = {}

    def read(self, wanted: Wanted, _before: Reading | None = None) -> Listing:
        """Read the whole list, or raise SourceError. It shows no more than who waits: see `facts`."""
        listing = Listing(f"reading the items of queue {wanted.queue_id}", overlaps=False)
        traces: dict[Id, Trace] = {}
        cursors = {""}
        cursor = ""
        while cursor := self._advance(listing, wanted, cursor, traces):
            if cursor in cursors:
                raise unlawful(listing.what, "the list has no end: a cursor came twice")
            cursors.add(cursor)
            self._progress(wanted.queue_id, len(listing.found))
        self._traces[wanted.queue_id, wanted.status] = traces
        self._link(listing, traces, wanted)
        return listing

    def facts(self, queue_run_ids: Collection[Id], wanted: Wanted) -> dict[Id, Facts]:
        """What may be shown of runs of the last reading, as far as it can be had now. Never raises."""
        traces = self._traces.get((wanted.queue_id, wanted.status), {})
        sought = {one: traces[one] for one in queue_run_ids if one in traces}
        found = self._names.of(sought, wanted)
        return {one: structs.replace(known, url=_url(traces[one], wanted)) for one, known in found.items()}

    def ask_for_a_name(self, wanted: Wanted) -> bool:
        """Look one run of the last reading up, to see whether that works; False where there is none.

        Raises SourceError.
        """
        traces = self._traces.get((wanted.queue_id, wanted.status), {})
        trace = next(iter(traces.values()), None)
        if trace is not None:
            self._names.ask(trace, wanted)
        return trace is not None

    def _link(self, listing: Listing, traces: Mapping[Id, Trace], wanted: Wanted) -> None:
        """Add links, once everything is read: nothing of this may cost the listing."""
        queue = self._directory.queue(wanted.queue_id)
        there = replace(wanted, tenant_id=self._directory.tenant_id(wanted.queue_id))
        for run in listing.runs():
            key = run.queue_run_id
            url = _url(traces[key], there) if key in traces else queue.url
            listing.found[key] = structs.replace(run, facts=structs.replace(run.facts, url=url))

    def _advance(self, listing: Listing, wanted: Wanted, cursor: str, traces: dict[Id, Trace]) -> str:
        """Read one page; the cursor of the next, or ''."""
        while True:
            try:
                found, following = self._page(listing, wanted, cursor)
                break
            except TooLargeError:
                if not self._limits.shrink(wanted.queue_id):
                    raise
        runs, strays = [], []
        for row in found.rows:
            run = of_items(row, wanted)
            if run is not None:
                runs.append(Sighting(run.queue_run_id, digest([run]), run))
                _note(row, run.queue_run_id, listing, traces)
            elif (stray := identity(row.run_id)) is not None:
                strays.append(stray)
        listing.add(runs, found.size, strays)
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


def _note(row: ItemRow, queue_run_id: Id, listing: Listing, traces: dict[Id, Trace]) -> None:
    """Keep what a row says beside the run itself."""
    if row.item_type == CONVERSATION:
        listing.conversations.add(queue_run_id)
    if (at := trace(row)) is not None:
        traces[queue_run_id] = at


def _url(at: Trace, wanted: Wanted) -> str:
    return run_url(wanted.web, tenant_id=wanted.tenant_id, project_id=at.project_id, run_id=at.run_id)
