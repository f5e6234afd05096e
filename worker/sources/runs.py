"""Reads the `runs` listing of a queue by offset: pages overlap, and are read again where rows may have slipped by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from worker.sources.errors import TooLargeError, unlawful
from worker.sources.limits import Limits
from worker.sources.listing import Listing
from worker.sources.rows import of_runs
from worker.sources.wire import Row, UnlawfulError, page

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from worker.sources.http import Http
    from worker.sources.rows import Wanted
    from worker.sources.wire import Page

OVERLAP = 10
MOST_UNREADABLE = 3
"""Rows too large to be read at all in one sweep; with more of them the server is not to be believed."""

PAGES_PER_STEP_BACK = 8
"""So many pages earn one page that is read again, so that a busy queue costs an eighth more at most."""


@dataclass(slots=True)
class Sweep:
    """One reading of one list from its beginning to its end."""

    wanted: Wanted
    listing: Listing
    offset: int = 0
    unreadable: int = 0
    steps_back: int = 0


class Runs:
    """The `runs` listing. Thread-safe for different queues."""

    def __init__(self, http: Http, *, progress: Callable[[UUID, int], None]) -> None:
        """`progress` is called with the queue's id and the number of runs read so far."""
        self._http = http
        self._progress = progress
        self._limits = Limits(http.most_bytes)

    def read(self, wanted: Wanted) -> Listing:
        """Read the whole list, or raise SourceError."""
        sweep = Sweep(wanted, Listing(f"reading the runs of queue {wanted.queue_id}"))
        while self._advance(sweep):
            self._progress(wanted.queue_id, len(sweep.listing.runs))
        return sweep.listing

    def _advance(self, sweep: Sweep) -> bool:
        """Read one page; whether there are more."""
        limit = self._limits.of(sweep.wanted.queue_id)
        try:
            found = self._page(sweep, limit)
        except TooLargeError:
            self._shrink(sweep)
            return True
        known = sweep.listing.add((of_runs(row, sweep.wanted) for row in found.rows), found.size)
        overlap = min(OVERLAP, limit // 2)
        if overlap and sweep.offset and not known and _step_back(sweep, limit - overlap):
            return True
        sweep.offset += found.size - overlap
        return found.size >= limit

    def _page(self, sweep: Sweep, limit: int) -> Page[Row]:
        wanted, what = sweep.wanted, sweep.listing.what
        path = f"/api/v1/annotation-queues/{wanted.queue_id}/runs"
        params: dict[str, str | int] = {"status": wanted.status, "limit": limit, "offset": sweep.offset}
        with self._http.get(path, params, what=what) as answer:
            sweep.listing.headers = answer.headers
            self._limits.read(wanted.queue_id, len(answer.body))
            try:
                return page(answer.body, Row)
            except UnlawfulError as error:
                raise unlawful(what, str(error)) from None

    def _shrink(self, sweep: Sweep) -> None:
        """Ask for fewer rows; a single one that is too large by itself is passed over."""
        if self._limits.shrink(sweep.wanted.queue_id):
            return
        sweep.unreadable += 1
        if sweep.unreadable > MOST_UNREADABLE:
            raise unlawful(sweep.listing.what, "single runs are too large to be read")
        sweep.listing.unusable += 1
        sweep.offset += 1


def _step_back(sweep: Sweep, by: int) -> bool:
    """Rows went while we read, and others may have slipped by unread: read that part again, within bounds.

    As long as a page shows a row of the page before, nothing between the two can have slipped by.
    """
    if sweep.steps_back > sweep.listing.pages // PAGES_PER_STEP_BACK:
        sweep.listing.moved = True
        return False
    sweep.steps_back += 1
    sweep.offset = max(sweep.offset - by, 0)
    return True
