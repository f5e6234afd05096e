"""What reading one list to its end gives, the guards against lists without one, and the listing `items`, by cursor."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Self

from msgspec import structs

from worker.core.diff import digest
from worker.core.model import QueueRun
from worker.sources.langsmith.errors import TooLargeError, unlawful
from worker.sources.langsmith.rows import CONVERSATION, Sighting, identity, of_items, run_url, trace
from worker.sources.langsmith.wire import ItemRow, UnlawfulError, envelope

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from types import TracebackType

    from worker.core.model import Facts, Id
    from worker.sources.langsmith.http import Http, Packed
    from worker.sources.langsmith.names import Names
    from worker.sources.langsmith.queues import Directory
    from worker.sources.langsmith.rows import Makeable, Trace, Wanted
    from worker.sources.langsmith.wire import Page

MOST_RUNS = 500_000
"""More than anybody reviews; a server that goes on for longer is taken to have no end."""

FULL = 100
"""Rows that a page has at most."""

MOST_REPEATED = 3 * FULL
"""So many rows in a row may be known ones; an empty page that is not the last counts as a full one."""


@dataclass(frozen=True, slots=True)
class Step:
    """A page of a reading: where it began, how it came, and how many runs were known after it."""

    offset: int
    limit: int
    mark: bytes
    runs: int


@dataclass(frozen=True, slots=True)
class Reading:
    """How the pages of a complete reading came: where they come so again, nothing needs to be unpacked."""

    wanted: Wanted
    steps: tuple[Step, ...]
    fingerprint: int


@dataclass(slots=True)
class Listing:
    """The runs read so far, each once, the last answer about it counting.

    `overlaps` tells that a page may begin with rows of the page before. `unusable` counts rows without an id of their
    own: `strays` are the runs that such rows name all the same, `obscure` counts those that do not. `conversations`
    are the queue runs that are none of a run. `moved` tells that rows may have been passed over, because the list moved
    while it was read. `headers` are those of the last page. `marks` condense what each run looks like; `sealed` is the
    fingerprint of a list that was merged, or whose pages came as at an earlier `reading`: then nothing else is known.
    """

    what: str
    overlaps: bool = True
    found: dict[Id, Makeable] = field(default_factory=dict)
    marks: dict[Id, int] = field(default_factory=dict)
    pages: int = 0
    unusable: int = 0
    obscure: int = 0
    strays: set[Id] = field(default_factory=set)
    conversations: set[Id] = field(default_factory=set)
    moved: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)
    repeated: int = 0
    sealed: int | None = None
    reading: Reading | None = None
    is_as_before: bool = False

    @property
    def fingerprint(self) -> int:
        """Whatever the order of its runs; equal where no run looks different. Only good within one process."""
        if self.sealed is not None:
            return self.sealed
        return hash((frozenset(self.marks.values()), self.unusable, frozenset(self.strays)))

    @property
    def first(self) -> Id | None:
        """The id of the run that was seen first; None where there is none."""
        return next(iter(self.found), None)

    def runs(self) -> tuple[QueueRun, ...]:
        """Make the runs, in the order of their first sight."""
        made: list[QueueRun] = []
        for queue_run_id, found in self.found.items():
            # In place: a row is let go as soon as its run is made, for there may be very many of them.
            self.found[queue_run_id] = run = found if isinstance(found, QueueRun) else found()
            made.append(run)
        return tuple(made)

    def add(self, found: Collection[Sighting], size: int, strays: Collection[Id] = ()) -> None:
        """Take in what is usable of one page of `size` rows; `strays` are the runs that other rows of it name.

        Raises SourceError where the list has no end.
        """
        before = len(self.found)
        for sighting in found:
            self.found[sighting.queue_run_id] = sighting.run
            self.marks[sighting.queue_run_id] = sighting.mark
        self.pages += 1
        self.unusable += size - len(found)
        self.obscure += size - len(found) - len(strays)
        self.strays |= set(strays)
        # Rows, not pages: where pages overlap, one of a single row is mostly read for the second time.
        told_nothing = size if size and self.overlaps else FULL
        self.repeated = 0 if len(self.found) > before else self.repeated + told_nothing
        if len(self.found) > MOST_RUNS or self.repeated > MOST_REPEATED:
            raise unlawful(self.what, "the list has no end: pages repeat, or it has more runs than anybody reviews")

    def merge(self, other: Listing) -> None:
        """Take in another listing of the same queue; what was read first stays."""
        self.sealed = hash((self.fingerprint, other.fingerprint))
        self.found |= {key: run for key, run in other.found.items() if key not in self.found}
        self.pages += other.pages
        self.unusable += other.unusable
        self.obscure += other.obscure
        self.strays |= other.strays
        self.conversations |= other.conversations
        self.moved = self.moved or other.moved
        self.headers = other.headers
        self.reading = None


STEPS = (100, 25, 5, 1)


MOST_HELD = 64 * 1024 * 1024
"""Bytes of packed pages that are held at once, of all lists that are being read together."""


class Limits:
    """The number of rows a page, remembered for each queue: fewer after one over the cap, more after small ones."""

    def __init__(self, most_bytes: int, steps: tuple[int, ...] = STEPS) -> None:
        """A page of more than `most_bytes` cannot be read; `steps` are the numbers of rows, the largest first."""
        self._most_bytes = most_bytes
        self._steps = steps
        self._of: dict[Id, int] = {}

    def of(self, queue_id: Id) -> int:
        """Rows to ask for."""
        return self._of.get(queue_id, self._steps[0])

    def shrink(self, queue_id: Id) -> bool:
        """After a page that was too large; False where it was a single row already."""
        step = self._steps.index(self.of(queue_id))
        if step + 1 == len(self._steps):
            return False
        self._of[queue_id] = self._steps[step + 1]
        return True

    def read(self, queue_id: Id, body: int) -> None:
        """After a page of `body` bytes: where the next larger page would surely fit, it is tried again."""
        step = self._steps.index(self.of(queue_id))
        if step and body * (self._steps[step - 1] // self._steps[step]) * 2 < self._most_bytes:
            self._of[queue_id] = self._steps[step - 1]


class Room:
    """Memory for pages that are held. Thread-safe."""

    def __init__(self, most: int = MOST_HELD) -> None:
        self._left = most
        self._lock = threading.Lock()

    def take(self, size: int) -> bool:
        """Take so many bytes; False where there are not as many."""
        with self._lock:
            if size > self._left:
                return False
            self._left -= size
            return True

    def give_back(self, size: int) -> None:
        """Return what was taken."""
        with self._lock:
            self._left += size


class Held:
    """The pages of one reading that came as before, for as long as this context lasts."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._taken = 0
        self.pages: list[Packed] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.pages = []
        self._room.give_back(self._taken)
        self._taken = 0

    def add(self, page: Packed) -> bool:
        """Hold one more; False where there is no room."""
        if not self._room.take(len(page.raw)):
            return False
        self._taken += len(page.raw)
        self.pages.append(page)
        return True


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
