"""Reads the `runs` listing of a queue by offset: pages overlap, and shrink where they are too large."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from worker.sources.errors import TooLargeError, unlawful
from worker.sources.listing import Listing
from worker.sources.rows import queue_run
from worker.sources.wire import Page, Row, UnlawfulError, page

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from worker.core.model import Show
    from worker.sources.http import Http

LIMITS = (100, 25, 5, 1)
OVERLAP = 10
MOST_UNREADABLE = 3
"""Rows too large to be read at all in one sweep; with more of them the server is not to be believed."""

MOST_STANDSTILLS = 3
"""Full pages in a row without anything new: the server does not look at `offset`."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which list is read, and what of its rows is wanted."""

    queue_id: UUID
    status: str
    show: frozenset[Show]
    tenant_id: UUID | None


@dataclass(slots=True)
class Sweep:
    """One reading of one list from its beginning to its end."""

    wanted: Wanted
    listing: Listing = field(default_factory=Listing)
    offset: int = 0
    unreadable: int = 0
    standstills: int = 0
    steps_back: int = 0

    @property
    def what(self) -> str:
        """What is being read, for errors."""
        return f"reading the runs of queue {self.wanted.queue_id}"


class Runs:
    """The `runs` listing. Thread-safe for different queues."""

    def __init__(self, http: Http, *, web: str, progress: Callable[[UUID, int], None]) -> None:
        """`progress` is called with the queue's id and the number of runs read so far."""
        self._http = http
        self._web = web
        self._progress = progress
        self._limits: dict[UUID, int] = {}

    def read(self, wanted: Wanted) -> Listing:
        """Read the whole list, or raise SourceError."""
        sweep = Sweep(wanted)
        while self._advance(sweep):
            self._progress(wanted.queue_id, len(sweep.listing.runs))
        return sweep.listing

    def _advance(self, sweep: Sweep) -> bool:
        """Read one page; whether there are more."""
        limit = self._limits.get(sweep.wanted.queue_id, LIMITS[0])
        try:
            found, spare = self._page(sweep, limit)
        except TooLargeError:
            return self._shrink(sweep, limit)
        runs = [
            queue_run(row, show=sweep.wanted.show, web=self._web, tenant_id=sweep.wanted.tenant_id)
            for row in found.rows
        ]
        usable = [run for run in runs if run is not None]
        sweep.listing.unusable += found.size - len(usable)
        known = sweep.listing.add(usable)
        return self._go_on(sweep, limit, found.size, known, spare=spare)

    def _page(self, sweep: Sweep, limit: int) -> tuple[Page[Row], bool]:
        """One page, and whether it was so small that a larger one may be asked for."""
        wanted = sweep.wanted
        path = f"/api/v1/annotation-queues/{wanted.queue_id}/runs"
        params: dict[str, str | int] = {"status": wanted.status, "limit": limit, "offset": sweep.offset}
        with self._http.get(path, params, what=sweep.what) as answer:
            try:
                return page(answer.body, Row), len(answer.body) * 10 < self._http.most_bytes
            except UnlawfulError as error:
                raise unlawful(sweep.what, str(error)) from None

    def _shrink(self, sweep: Sweep, limit: int) -> bool:
        """Ask for fewer rows; a single one that is too large by itself is passed over."""
        smaller = next((size for size in LIMITS if size < limit), None)
        if smaller is not None:
            self._limits[sweep.wanted.queue_id] = smaller
            return True
        sweep.unreadable += 1
        if sweep.unreadable > MOST_UNREADABLE:
            raise unlawful(sweep.what, "single runs are too large to be read")
        sweep.listing.unusable += 1
        sweep.offset += 1
        return True

    def _go_on(self, sweep: Sweep, limit: int, size: int, known: int, *, spare: bool) -> bool:
        """Where the next page begins; False where this was the last."""
        overlap = min(OVERLAP, limit // 2)
        if sweep.offset and not known and overlap and self._step_back(sweep, limit - overlap):
            return True
        if size < limit:
            return False
        sweep.standstills = sweep.standstills + 1 if known >= size else 0
        if sweep.standstills >= MOST_STANDSTILLS:
            raise unlawful(sweep.what, "every page shows the same runs, so the server does not look at offset")
        sweep.offset += size - overlap
        if spare and limit < LIMITS[0]:
            self._limits[sweep.wanted.queue_id] = LIMITS[LIMITS.index(limit) - 1]
        return True

    def _step_back(self, sweep: Sweep, by: int) -> bool:
        """Rows went while we read and may have been passed over: read that part again, within bounds."""
        if sweep.steps_back > sweep.listing.pages // 8:
            sweep.listing.moved = True
            return False
        sweep.steps_back += 1
        sweep.offset = max(sweep.offset - by, 0)
        return True
