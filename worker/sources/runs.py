"""Reads the `runs` listing of a queue by offset: pages overlap, and are read again where rows may have slipped by."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from worker.sources import wire
from worker.sources.errors import TooLargeError, unlawful
from worker.sources.limits import STEPS, Limits
from worker.sources.listing import Listing
from worker.sources.rows import row_type, sighted

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from worker.sources.http import Http
    from worker.sources.rows import Wanted

OVERLAP = 10
MOST_UNREADABLE = 3
"""Rows too large to be read at all in one sweep; with more of them the server is not to be believed."""

PAGES_PER_STEP_BACK = 8
"""So many pages earn one page that is read again, so that a busy queue costs an eighth more at most."""


@dataclass(frozen=True, slots=True)
class Page:
    """What one page showed: which queue runs, where it ended, and whether it was the last."""

    shown: frozenset[UUID] = frozenset()
    end: int = 0
    is_last: bool = False


@dataclass(slots=True)
class Sweep:
    """One reading of one list from its beginning to its end.

    The next page begins at `offset`; its first `overlap` rows should be known from the pages before. `linked` are the
    runs of those: nothing between them can have slipped by. `ahead` is a page that was read too far ahead.
    """

    wanted: Wanted
    listing: Listing
    offset: int = 0
    overlap: int = 0
    linked: set[UUID] = field(default_factory=set)
    ahead: Page = field(default_factory=Page)
    unreadable: int = 0
    steps_back: int = 0


class Runs:
    """The `runs` listing. Thread-safe for different queues."""

    def __init__(self, http: Http, *, progress: Callable[[UUID, int], None], steps: tuple[int, ...] = STEPS) -> None:
        """`progress` is called with the queue's id and the number of runs read so far; `steps` are sizes of pages."""
        self._http = http
        self._progress = progress
        self._limits = Limits(http.most_bytes, steps)

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
        runs = [run for row in found.rows if (run := sighted(row, sweep.wanted)) is not None]
        sweep.listing.add(runs, found.size)
        shown = frozenset(run.queue_run_id for run in runs)
        return _go_on(sweep, Page(shown, sweep.offset + found.size, is_last=found.size < limit), limit)

    def _page(self, sweep: Sweep, limit: int) -> wire.Page[wire.BriefRow]:
        wanted, what = sweep.wanted, sweep.listing.what
        path = f"/api/v1/annotation-queues/{wanted.queue_id}/runs"
        params: dict[str, str | int] = {"status": wanted.status, "limit": limit, "offset": sweep.offset}
        with self._http.get(path, params, what=what) as answer:
            sweep.listing.headers = answer.headers
            self._limits.read(wanted.queue_id, len(answer.body))
            try:
                return wire.page(answer.body, row_type(wanted.show))
            except wire.UnlawfulError as error:
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
        sweep.overlap = 0


def _go_on(sweep: Sweep, page: Page, limit: int) -> bool:
    """Decide where the next page begins; False where there is none.

    As long as a page shows a row of the pages before, nothing between can have slipped by.
    """
    is_torn = sweep.overlap > 0 and sweep.linked.isdisjoint(page.shown)
    if is_torn and _may_step_back(sweep):
        sweep.ahead = page
        sweep.steps_back += 1
        sweep.offset = max(sweep.offset - limit + sweep.overlap, 0)
        return True
    sweep.listing.moved |= is_torn and sweep.offset > 0
    last = _joined(page, sweep.ahead)
    sweep.linked |= last.shown
    sweep.ahead = Page()
    sweep.overlap = min(OVERLAP, limit // 2)
    sweep.offset = last.end - sweep.overlap
    return not last.is_last


def _may_step_back(sweep: Sweep) -> bool:
    """Rows went while we read, and others may have slipped by unread: that part is read again, within bounds."""
    return sweep.offset > 0 and sweep.steps_back <= sweep.listing.pages // PAGES_PER_STEP_BACK


def _joined(page: Page, ahead: Page) -> Page:
    """A page together with the one that was read too far ahead, where the two now meet."""
    if ahead.shown.isdisjoint(page.shown):
        return page
    return Page(page.shown | ahead.shown, max(page.end, ahead.end), is_last=page.is_last or ahead.is_last)
