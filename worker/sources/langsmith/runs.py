"""Reads the `runs` listing of a queue by offset: pages overlap, and are read again where rows may have slipped by."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from worker.sources.langsmith import wire
from worker.sources.langsmith.errors import TooLargeError, unlawful
from worker.sources.langsmith.listing import MOST_HELD, STEPS, Held, Limits, Listing, Reading, Room, Step
from worker.sources.langsmith.rows import identity, row_type, sighted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from worker.core.model import Id
    from worker.sources.langsmith.http import Answer, Http, Packed
    from worker.sources.langsmith.rows import Wanted

OVERLAP = 10
MOST_UNREADABLE = 3
"""Rows too large to be read at all in one sweep; with more of them the server is not to be believed."""

PAGES_PER_STEP_BACK = 8
"""So many pages earn one page that is read again, so that a busy queue costs an eighth more at most."""


@dataclass(frozen=True, slots=True)
class Page:
    """What one page showed: which queue runs, where it ended, and whether it was the last."""

    shown: frozenset[Id] = frozenset()
    end: int = 0
    is_last: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """A page that was asked for with a `limit`, and the mark by which it is known again; b"" where it is large."""

    page: wire.Page[wire.BriefRow]
    limit: int
    mark: bytes


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
    linked: set[Id] = field(default_factory=set)
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
        progress: Callable[[Id, int], None],
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

    def read(self, wanted: Wanted, before: Reading | None = None) -> Listing:
        """Read the whole list, or raise SourceError. Where all pages come as `before`, the listing says only that."""
        sweep = _begun(wanted)
        if before is not None and before.wanted == wanted:
            with Held(self._room) as held:
                if self._follow(sweep, before, held):
                    return _as_before(sweep.listing, before)
        while not sweep.is_done:
            self._advance(sweep)
        sweep.listing.reading = _reading(sweep)
        return sweep.listing

    def _follow(self, sweep: Sweep, before: Reading, held: Held) -> bool:
        """Read on as long as pages are what they were. False, with `sweep` as far as it came, where one is not."""
        is_too_large, other = False, None
        for step in before.steps:
            if self._limits.of(sweep.wanted.queue_id) != step.limit:
                break
            try:
                other = self._compare(sweep, step, held)
            except TooLargeError:
                is_too_large = True
            if is_too_large or other is not None:
                break
            if step is not before.steps[-1]:
                self._progress(sweep.wanted.queue_id, step.runs)
        else:
            return True
        self._reread(sweep, before, held)
        if is_too_large:
            self._shrink(sweep)
        if other is not None:
            self._take(sweep, other)
            if not sweep.is_done:
                self._progress(sweep.wanted.queue_id, len(sweep.listing.found))
        return False

    def _compare(self, sweep: Sweep, step: Step, held: Held) -> Found | None:
        """Ask for a page again: None where it came as before, and is held; else what it shows."""
        with self._ask(sweep, step.offset, step.limit, known=step.mark) as answer:
            if not answer.is_known:
                return Found(self._decoded(sweep, answer.body), step.limit, answer.mark)
            packed = answer.packed
        if packed is None or held.add(packed):
            return None
        return Found(self._unpacked(sweep, packed), step.limit, step.mark)

    def _advance(self, sweep: Sweep) -> None:
        """Read one page."""
        limit = self._limits.of(sweep.wanted.queue_id)
        try:
            with self._ask(sweep, sweep.offset, limit) as answer:
                found = Found(self._decoded(sweep, answer.body), limit, answer.mark)
            # A large body must not outlive the context in which it may be one of few.
            del answer
        except TooLargeError:
            self._shrink(sweep)
        else:
            self._take(sweep, found)
        if not sweep.is_done:
            self._progress(sweep.wanted.queue_id, len(sweep.listing.found))

    def _reread(self, sweep: Sweep, before: Reading, held: Held) -> None:
        """Take in the pages that are held."""
        for step, packed in zip(before.steps, held.pages, strict=False):
            self._take(sweep, Found(self._unpacked(sweep, packed), step.limit, step.mark))

    def _take(self, sweep: Sweep, found: Found) -> None:
        """Take in what one page shows, and decide where the next one begins."""
        page, limit = found.page, found.limit
        seen = [(row, sighted(row, sweep.wanted)) for row in page.rows]
        runs = [run for _, run in seen if run is not None]
        strays = [stray for row, run in seen if run is None and (stray := identity(row.id)) is not None]
        sweep.listing.add(runs, page.size, strays)
        if found.mark:
            sweep.steps.append(Step(sweep.offset, limit, found.mark, len(sweep.listing.found)))
        shown = frozenset(run.queue_run_id for run in runs)
        sweep.is_done = not _go_on(sweep, Page(shown, sweep.offset + page.size, is_last=page.size < limit), limit)

    @contextlib.contextmanager
    def _ask(self, sweep: Sweep, offset: int, limit: int, known: bytes = b"") -> Iterator[Answer]:
        path = f"/api/v1/annotation-queues/{sweep.wanted.queue_id}/runs"
        params: dict[str, str | int] = {"status": sweep.wanted.status, "limit": limit, "offset": offset}
        with self._http.get(path, params, what=sweep.listing.what, known=known) as answer:
            sweep.listing.headers = answer.headers
            yield answer

    def _decoded(self, sweep: Sweep, body: bytearray) -> wire.Page[wire.BriefRow]:
        """What a page shows that has just been asked for."""
        self._limits.read(sweep.wanted.queue_id, len(body))
        return _page(sweep, body)

    def _unpacked(self, sweep: Sweep, packed: Packed) -> wire.Page[wire.BriefRow]:
        """What a page shows that was held."""
        with self._http.unpacked(packed, what=sweep.listing.what) as body:
            return _page(sweep, body)

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
        sweep.overlap = 0


def _page(sweep: Sweep, body: bytearray) -> wire.Page[wire.BriefRow]:
    try:
        return wire.page(body, row_type(sweep.wanted.show))
    except wire.UnlawfulError as error:
        raise unlawful(sweep.listing.what, str(error)) from None


def _begun(wanted: Wanted) -> Sweep:
    return Sweep(wanted, Listing(f"reading the runs of queue {wanted.queue_id}"))


def _as_before(listing: Listing, before: Reading) -> Listing:
    """A listing of which nothing was unpacked."""
    listing.pages, listing.sealed = len(before.steps), before.fingerprint
    listing.reading, listing.is_as_before = before, True
    return listing


def _reading(sweep: Sweep) -> Reading | None:
    """How the pages came; None where the next reading cannot be compared with them."""
    if not sweep.is_plain or len(sweep.steps) != sweep.listing.pages:
        return None
    return Reading(sweep.wanted, tuple(sweep.steps), sweep.listing.fingerprint)


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
