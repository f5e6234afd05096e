"""Reads the `runs` listing of a queue by offset: pages overlap, and are read again where rows may have slipped by."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from worker.sources import deferred, wire
from worker.sources.deferred import Unread
from worker.sources.errors import TooLargeError, unlawful
from worker.sources.limits import STEPS, Limits
from worker.sources.listing import Listing
from worker.sources.rows import row_type, sighted
from worker.sources.unchanged import MOST_HELD, Held, Reading, Room, Step

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from uuid import UUID

    from worker.sources.http import Answer, Http, Packed
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
    steps: list[Step] = field(default_factory=list)
    is_done: bool = False

    @property
    def is_plain(self) -> bool:
        """Whether the same pages will be asked for again, as long as nothing changes."""
        return not (self.listing.moved or self.steps_back or self.unreadable)


class Runs:
    """The `runs` listing. Thread-safe for different queues."""

    def __init__(
        self,
        http: Http,
        *,
        progress: Callable[[UUID, int], None],
        steps: tuple[int, ...] = STEPS,
        most_held: int = MOST_HELD,
    ) -> None:
        """`progress` is called with the queue's id and the number of runs read so far; `steps` are sizes of pages.

        `most_held` bytes of pages that have not changed are held at once.
        """
        self._http = http
        self._progress = progress
        self._limits = Limits(http.most_bytes, steps)
        self._room = Room(most_held)
        self._before: dict[tuple[UUID, str], Reading] = {}

    def read(self, wanted: Wanted) -> Listing:
        """Read the whole list, or raise SourceError."""
        sweep = _begun(wanted)
        before = self._before.get((wanted.queue_id, wanted.status))
        if before is not None and before.wanted == wanted:
            unchanged = self._follow(sweep, before)
            if unchanged is not None:
                return unchanged
        while not sweep.is_done:
            self._advance(sweep)
        self._remember(sweep)
        return sweep.listing

    def _follow(self, sweep: Sweep, before: Reading) -> Listing | None:
        """Read on as long as pages are what they were. None, with `sweep` as far as it came, where one is not."""
        held = Held(self._room)
        other: list[Packed] = []
        for step in before.steps:
            if self._limits.of(sweep.wanted.queue_id) != step.limit:
                break
            with self._ask(sweep, step.offset, step.limit) as answer:
                packed = answer.packed
            if packed is None or packed.mark != step.mark or not held.add(packed):
                other = [packed] if packed is not None else []
                break
            if step is not before.steps[-1]:
                self._progress(sweep.wanted.queue_id, step.runs)
        else:
            return self._unchanged(sweep.listing, before, held)
        for step, packed in zip(before.steps, (*held.pages, *other), strict=False):
            self._reread(sweep, packed, step.limit)
        return None

    def _unchanged(self, listing: Listing, before: Reading, held: Held) -> Listing:
        """What the last reading gave, for the same pages."""

        def read() -> deferred.Runs:
            again = _begun(before.wanted)
            for step, packed in zip(before.steps, held.pages, strict=True):
                self._reread(again, packed, step.limit)
            return again.listing.runs

        listing.runs = deferred.Runs(Unread(before.steps[-1].runs, before.first, read))
        listing.pages = len(before.steps)
        listing.unusable = before.unusable
        listing.sealed = before.fingerprint
        return listing

    def _remember(self, sweep: Sweep) -> None:
        """Keep what the next reading is compared with."""
        wanted, listing = sweep.wanted, sweep.listing
        if sweep.is_plain and len(sweep.steps) == listing.pages:
            reading = Reading(wanted, tuple(sweep.steps), listing.fingerprint, listing.runs.first, listing.unusable)
            self._before[wanted.queue_id, wanted.status] = reading
        else:
            self._before.pop((wanted.queue_id, wanted.status), None)

    def _advance(self, sweep: Sweep) -> None:
        """Read one page."""
        limit = self._limits.of(sweep.wanted.queue_id)
        try:
            with self._ask(sweep, sweep.offset, limit) as answer:
                found = self._page(sweep, answer.body)
        except TooLargeError:
            self._shrink(sweep)
        else:
            self._take(sweep, found, limit, answer.packed)
        if not sweep.is_done:
            self._progress(sweep.wanted.queue_id, len(sweep.listing.runs))

    def _reread(self, sweep: Sweep, packed: Packed, limit: int) -> None:
        """Take in a page that was received before."""
        try:
            with self._http.unpacked(packed, what=sweep.listing.what) as body:
                found = self._page(sweep, body)
        except TooLargeError:
            self._shrink(sweep)
        else:
            self._take(sweep, found, limit, packed)

    def _take(self, sweep: Sweep, found: wire.Page[wire.BriefRow], limit: int, packed: Packed | None) -> None:
        """Take in what one page shows, and decide where the next one begins."""
        runs = [run for row in found.rows if (run := sighted(row, sweep.wanted)) is not None]
        sweep.listing.add(runs, found.size)
        if packed is not None:
            sweep.steps.append(Step(sweep.offset, limit, packed.mark, len(sweep.listing.runs)))
        shown = frozenset(run.queue_run_id for run in runs)
        sweep.is_done = not _go_on(sweep, Page(shown, sweep.offset + found.size, is_last=found.size < limit), limit)

    @contextlib.contextmanager
    def _ask(self, sweep: Sweep, offset: int, limit: int) -> Iterator[Answer]:
        path = f"/api/v1/annotation-queues/{sweep.wanted.queue_id}/runs"
        params: dict[str, str | int] = {"status": sweep.wanted.status, "limit": limit, "offset": offset}
        with self._http.get(path, params, what=sweep.listing.what) as answer:
            sweep.listing.headers = answer.headers
            yield answer

    def _page(self, sweep: Sweep, body: bytearray) -> wire.Page[wire.BriefRow]:
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
        sweep.offset += 1
        sweep.overlap = 0


def _begun(wanted: Wanted) -> Sweep:
    return Sweep(wanted, Listing(f"reading the runs of queue {wanted.queue_id}"))


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
