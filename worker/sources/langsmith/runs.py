"""Reads the `runs` listing of a queue by offset: pages overlap, and are read again where rows may have slipped by."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from msgspec import Struct, field

from worker.sources.langsmith import wire
from worker.sources.langsmith.errors import TooLargeError, unlawful
from worker.sources.langsmith.listing import RECORD, STEPS, Leaf, Listing, PageSizes, record
from worker.sources.langsmith.rows import identity, of_runs, row_type, run_mark

if TYPE_CHECKING:
    from collections.abc import Callable

    from worker.core.model import Id
    from worker.sources.langsmith.http import Http
    from worker.sources.langsmith.listing import Former
    from worker.sources.langsmith.rows import Wanted

OVERLAP = 10
MOST_UNREADABLE = 3
"""Rows too large to be read at all in one sweep; with more of them the server is not to be believed."""

PAGES_PER_STEP_BACK = 8
"""So many pages earn one page that is read again, so that a busy queue costs an eighth more at most."""


class _Page(Struct, frozen=True):
    """What one page showed: the ids of queue runs, where it ended, and whether it was the last."""

    shown: frozenset[bytes] = frozenset()
    end: int = 0
    is_last: bool = False


class Sweep(Struct):
    """One reading of one list from its beginning to its end.

    The next page begins at `offset`; its first `overlap` rows should be known from the pages before. `linked` are the
    runs of those: nothing between them can have slipped by. `ahead` is a page that was read too far ahead.
    """

    wanted: Wanted
    listing: Listing
    offset: int = 0
    overlap: int = 0
    linked: set[bytes] = field(default_factory=set)
    ahead: _Page = field(default_factory=_Page)
    unreadable: int = 0
    steps_back: int = 0
    is_done: bool = False


class Runs:
    """The `runs` listing. Thread-safe for different queues."""

    def __init__(
        self,
        http: Http,
        *,
        progress: Callable[[Id, int], None],
        steps: tuple[int, ...] = STEPS,
    ) -> None:
        """`progress` is called with the queue's id and the number of runs read so far; `steps` are sizes of pages."""
        self._http = http
        self._progress = progress
        self._limits = PageSizes(http.most_bytes, steps)

    def read(self, wanted: Wanted, former: Former) -> Listing:
        """Read the whole list, or raise SourceError."""
        sweep = Sweep(wanted, Listing(f"reading the runs of queue {wanted.queue_id}", former))
        while not sweep.is_done:
            self._advance(sweep)
            if not sweep.is_done:
                self._progress(wanted.queue_id, len(sweep.listing.marks))
        return sweep.listing

    def _advance(self, sweep: Sweep) -> None:
        """Read one page, and decide where the next one begins."""
        limit = self._limits.of(sweep.wanted.queue_id)
        try:
            page = self._page(sweep, limit)
        except TooLargeError:
            self._shrink(sweep)
        else:
            sweep.is_done = not _go_on(sweep, page, limit)

    def _page(self, sweep: Sweep, limit: int) -> _Page:
        """Take in what one page shows."""
        listing, known = sweep.listing, sweep.listing.former.by_digest
        path = f"/api/v1/annotation-queues/{sweep.wanted.queue_id}/runs"
        params: dict[str, str | int] = {"status": sweep.wanted.status, "limit": limit, "offset": sweep.offset}
        with self._http.get(path, params, what=listing.what, known=known) as answer:
            listing.headers = answer.headers
            mark = answer.mark
            rows = None if answer.is_known else self._decoded(sweep, answer.body)
            # A large body must not outlive the context in which it may be one of few.
            del answer
        if rows is None:
            listing.add(leaf := known[mark])
        else:
            leaf = _take(sweep, rows, mark)
        size = len(leaf.ids) if rows is None else rows.size
        return _Page(frozenset(leaf.ids), sweep.offset + size, is_last=size < limit)

    def _decoded(self, sweep: Sweep, body: bytearray) -> wire.Page[wire.BriefRow]:
        self._limits.read(sweep.wanted.queue_id, len(body))
        try:
            return wire.page(body, row_type(sweep.wanted.show))
        except wire.UnlawfulError as error:
            raise unlawful(sweep.listing.what, str(error)) from None

    def _shrink(self, sweep: Sweep) -> None:
        """Ask for fewer rows; a single one that is too large by itself is passed over."""
        if self._limits.shrink(sweep.wanted.queue_id):
            return
        sweep.unreadable += 1
        if sweep.unreadable > MOST_UNREADABLE:
            raise unlawful(sweep.listing.what, "single runs are too large to be read")
        sweep.listing.unusable += 1
        sweep.listing.obscure += 1
        sweep.offset += 1
        # Nothing links the next page to a row that could not be read.
        sweep.overlap = 0


def _take(sweep: Sweep, page: wire.Page[wire.BriefRow], mark: bytes) -> Leaf:
    """Take in the rows of a page of which something may be new."""
    listing, records, strays = sweep.listing, bytearray(), []
    former = listing.former
    for row in page.rows:
        look = run_mark(row)
        # A row that looks as before has the same record: its id is part of the look.
        if (at := former.by_mark.get(look)) is not None:
            records += former.record(at)
            continue
        queue_run_id = identity(row.queue_run_id)
        if queue_run_id is None:
            strays.append(identity(row.id))
            continue
        records += record(queue_run_id, look)
        # Not made yet: pages overlap, and the last look at a run counts.
        listing.found[queue_run_id] = partial(of_runs, row, sweep.wanted, queue_run_id)
    unusable = page.size - len(records) // RECORD.size
    leaf = Leaf(b"" if unusable else mark, records=bytes(records))
    listing.add(leaf, unusable, [stray for stray in strays if stray is not None])
    return leaf


def _go_on(sweep: Sweep, page: _Page, limit: int) -> bool:
    """Decide where the next page begins; False where there is none.

    As long as a page shows a row of the pages before, nothing between can have slipped by.
    """
    is_torn = sweep.overlap > 0 and sweep.linked.isdisjoint(page.shown)
    if is_torn and _may_step_back(sweep):
        sweep.ahead = page
        sweep.steps_back += 1
        # So that the page ends behind the beginning of the one that was read too far ahead, and overlaps it.
        sweep.offset = max(sweep.offset - limit + sweep.overlap, 0)
        return True
    sweep.listing.moved |= is_torn and sweep.offset > 0
    last = _joined(page, sweep.ahead)
    sweep.linked |= last.shown
    sweep.ahead = _Page()
    sweep.overlap = min(OVERLAP, limit // 2)
    sweep.offset = last.end - sweep.overlap
    return not last.is_last


def _may_step_back(sweep: Sweep) -> bool:
    """Rows went while we read, and others may have slipped by unread: that part is read again, within bounds."""
    return sweep.offset > 0 and sweep.steps_back <= sweep.listing.pages // PAGES_PER_STEP_BACK


def _joined(page: _Page, ahead: _Page) -> _Page:
    """A page together with the one that was read too far ahead, where the two now meet."""
    if ahead.shown.isdisjoint(page.shown):
        return page
    return _Page(page.shown | ahead.shown, max(page.end, ahead.end), is_last=page.is_last or ahead.is_last)
