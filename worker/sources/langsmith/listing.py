"""What reading one list to its end gives, the guards against lists without one, and the listing `items`, by cursor.

Nothing of a page is held. Of each row a record of a few bytes is, by which the next reading knows it again.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache, cached_property, partial
from struct import Struct
from typing import TYPE_CHECKING
from uuid import UUID

from msgspec import structs

from worker.sources.langsmith import wire
from worker.sources.langsmith.errors import TooLargeError, unlawful
from worker.sources.langsmith.rows import (
    CONVERSATION,
    DISAGREED,
    Trace,
    identity,
    item_mark,
    of_items,
    run_url,
    section_params,
    trace,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from worker.core.model import Facts, Id, QueueRun
    from worker.sources.langsmith.http import Answer, Http
    from worker.sources.langsmith.names import Names
    from worker.sources.langsmith.queues import Directory
    from worker.sources.langsmith.rows import Makeable, Wanted
    from worker.sources.langsmith.wire import ItemRow

    Note = Callable[[ItemRow, UUID, Trace | None], None]

MOST_RUNS = 500_000
"""More than anybody reviews; a server that goes on for longer is taken to have no end."""

FULL = 100
"""Rows that a page has at most."""

MOST_REPEATED = 3 * FULL
"""So many rows in a row may be known ones; an empty page that is not the last counts as a full one."""

RECORD = Struct("<16sq16s16sq")
"""What is kept of a row: its id, its mark, the run and the project to look up, and when that run began."""

ID = slice(0, 16)
NOBODY = bytes(16)


@dataclass(frozen=True, slots=True)
class Leaf:
    """A page in compact form.

    `digest` is that of its bytes, b"" where it has to be decoded whenever it comes, and `cursor` leads to the next.
    `keys` are the hashes of its rows as they came, where rows are known by them. `records` has one RECORD a row, whose
    mark condenses what is used of it. Hashes are Python's own, good within one process.
    """

    digest: bytes = b""
    cursor: str = ""
    keys: Sequence[int] = ()
    records: bytes = b""

    @property
    def ids(self) -> list[bytes]:
        """The ids of its rows."""
        return [row[ID] for row in _each(self.records)]


def _marks(records: bytes) -> array[int]:
    return array("q", records)[2 :: RECORD.size // 8]


def _each(records: bytes) -> Iterator[bytes]:
    return (records[at : at + RECORD.size] for at in range(0, len(records), RECORD.size))


def record(queue_run_id: UUID, mark: int, at: Trace | None = None) -> bytes:
    """What is kept of a row."""
    # Zero stands for "not known": nothing was traced in 1970.
    seconds = int(at.began_at.timestamp()) if at and at.began_at else 0
    run_id, project_id = (at.run_id.bytes, at.project_id.bytes) if at else (NOBODY, NOBODY)
    return RECORD.pack(queue_run_id.bytes, mark, run_id, project_id, seconds)


class Former:
    """The rows of an earlier reading, to know them again. Without `leaves` nothing is known."""

    def __init__(self, leaves: Sequence[Leaf] = ()) -> None:
        self.leaves = leaves
        self.by_digest = {leaf.digest: leaf for leaf in leaves if leaf.digest}

    @cached_property
    def marks(self) -> frozenset[int]:
        """The marks of all rows."""
        return frozenset(_marks(self._records))

    @cached_property
    def ids(self) -> frozenset[bytes]:
        """The ids of all rows."""
        return frozenset(row[ID] for row in _each(self._records))

    @cached_property
    def by_key(self) -> Mapping[int, bytes]:
        """The record of each row by the hash of its bytes."""
        # Leaves of the other listing, which may stand beside these, have no keys.
        return {key: row for leaf in self.leaves for key, row in zip(leaf.keys, _each(leaf.records), strict=False)}

    def gone(self, marks: Collection[int]) -> dict[bytes, UUID]:
        """The ids of the rows with these marks, as they are kept and as they are used."""
        rows = zip(_marks(self._records), _each(self._records), strict=True)
        return {row[ID]: UUID(bytes=row[ID]) for mark, row in rows if mark in marks} if marks else {}

    @cached_property
    def _records(self) -> bytes:
        return b"".join(leaf.records for leaf in self.leaves)


@dataclass(slots=True)
class Listing:
    """The rows read so far. `found` are the runs that `former` did not show as they are now, the last answer counting.

    `status` is the section that is read, '' where that does not matter. `overlaps` means that a page may begin with
    rows of the page before. `unusable` counts rows without an id of their own: `strays` are the runs that such rows
    name all the same, `obscure` counts those that do not. `conversations` are the queue runs that are none of a run,
    `disagreed` those on which reviewers disagree. `moved` means that rows may have been passed over, because the list
    moved while it was read. `headers` are those of the last page. `marks` condense what each run looks like.
    """

    what: str
    former: Former = field(default_factory=Former)
    status: str = ""
    overlaps: bool = True
    found: dict[Id, Makeable] = field(default_factory=dict)
    marks: set[int] = field(default_factory=set)
    leaves: list[Leaf] = field(default_factory=list)
    pages: int = 0
    unusable: int = 0
    obscure: int = 0
    strays: set[Id] = field(default_factory=set)
    conversations: set[Id] = field(default_factory=set)
    disagreed: set[Id] = field(default_factory=set)
    moved: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)
    repeated: int = 0

    @property
    def is_whole(self) -> bool:
        """Whether all runs are found, not only those that are new or other."""
        return not self.former.leaves

    @property
    def health(self) -> tuple[object, ...]:
        """What is to be known of a listing beside its runs."""
        return self.pages == 1, self.unusable, frozenset(self.strays), self.obscure > 0, self.moved

    @property
    def first(self) -> Id | None:
        """The id of the run that was seen first; None where there is none."""
        records = next((leaf.records for leaf in self.leaves if leaf.records), None)
        return None if records is None else UUID(bytes=records[ID])

    def runs(self) -> tuple[QueueRun, ...]:
        """Make the runs that were found, in the order of their first sight."""
        made: list[QueueRun] = []
        for queue_run_id, found in self.found.items():
            if callable(found):
                # In place: a row is let go as soon as its run is made, for there may be very many of them.
                self.found[queue_run_id] = found = found()  # noqa: PLW2901
            made.append(found)
        return tuple(made)

    def change(self) -> tuple[tuple[Id, ...], Sequence[Leaf] | None]:
        """The runs that `former` shows and this does not, and what the next reading may be compared with.

        That is nothing (None) where a run is shown in several ways: then its going could be missed.
        """
        gone = self.former.gone(self.former.marks - self.marks)
        fresh = {one.bytes for one in self.found if isinstance(one, UUID)}
        is_plain = len(self.marks - self.former.marks) == len(self.found)
        stay = fresh - gone.keys()
        is_plain = is_plain and not (stay and not self.former.ids.isdisjoint(stay))
        left = tuple(one for raw, one in gone.items() if raw not in fresh)
        return left, tuple(self.leaves) if is_plain else None

    def add(self, leaf: Leaf, unusable: int = 0, strays: Collection[Id] = ()) -> None:
        """Take in one page with what is usable of it; `strays` are the runs that its other rows name.

        Raises SourceError where the list has no end.
        """
        before, size = len(self.marks), len(leaf.records) // RECORD.size + unusable
        self.leaves.append(leaf)
        self.marks.update(_marks(leaf.records))
        self.pages += 1
        self.unusable += unusable
        self.obscure += unusable - len(strays)
        self.strays |= set(strays)
        # Rows, not pages: where pages overlap, one of a single row is mostly read for the second time.
        said_nothing = size if size and self.overlaps else FULL
        self.repeated = 0 if len(self.marks) > before else self.repeated + said_nothing
        # A queue may grow while it is read, but not for ever: memory must not be filled by a server.
        if len(self.marks) > MOST_RUNS or self.repeated > MOST_REPEATED:
            raise unlawful(self.what, "the list has no end: pages repeat, or it has more runs than anybody reviews")

    def merge(self, other: Listing) -> None:
        """Take in another listing of the same queue; what was read first stays."""
        self.found |= {key: run for key, run in other.found.items() if key not in self.found}
        self.marks |= other.marks
        self.leaves += other.leaves
        self.pages += other.pages
        self.unusable += other.unusable
        self.obscure += other.obscure
        self.strays |= other.strays
        self.conversations |= other.conversations
        self.disagreed |= other.disagreed
        self.moved = self.moved or other.moved
        self.headers = other.headers


STEPS = (100, 25, 5, 1)


class PageSizes:
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
        # Twice as much room as the next size needs, lest sizes go up and down at each page.
        if step and body * (self._steps[step - 1] // self._steps[step]) * 2 < self._most_bytes:
            self._of[queue_id] = self._steps[step - 1]


class Items:
    """The `items` listing. Thread-safe for different queues."""

    def __init__(self, http: Http, names: Names, directory: Directory, *, progress: Callable[[Id, int], None]) -> None:
        """`progress` is called with the queue's id and the number of items read so far."""
        self._http = http
        self._names = names
        self._directory = directory
        self._progress = progress
        self._limits = PageSizes(http.most_bytes)
        self._last: dict[tuple[Id, str], Sequence[Leaf]] = {}

    def read(self, wanted: Wanted, former: Former) -> Listing:
        """Read the whole list, or raise SourceError. It shows no more than who waits: see `facts`."""
        listing = Listing(f"reading the items of queue {wanted.queue_id}", former, wanted.status, overlaps=False)
        note = partial(self._note, listing, cache(partial(self._there, wanted)))
        cursors = {""}
        cursor = ""
        while cursor := self._advance(listing, wanted, cursor, note):
            # By every cursor, not the last alone: a server may go round in a larger circle.
            if cursor in cursors:
                raise unlawful(listing.what, "the list has no end: a cursor came twice")
            cursors.add(cursor)
            self._progress(wanted.queue_id, len(listing.marks))
        # Only once all is read: half a listing must not replace what names are looked up by.
        self._last[wanted.queue_id, wanted.status] = listing.leaves
        return listing

    def facts(self, queue_run_ids: Collection[Id], wanted: Wanted) -> dict[Id, Facts]:
        """What may be shown of runs of the last reading, as far as it can be had now. Never raises."""
        traces = {one: at for one in queue_run_ids if (at := self._trace(one, wanted)) is not None}
        found = self._names.of(traces, wanted)
        return {one: structs.replace(known, url=_url(traces[one], wanted)) for one, known in found.items()}

    def ask_for_a_name(self, wanted: Wanted) -> bool:
        """Look one run of the last reading up, to see whether that works; False where there is none.

        Raises SourceError.
        """
        leaves = self._last.get((wanted.queue_id, wanted.status), ())
        at = next(filter(None, (_traced(row) for leaf in leaves for row in _each(leaf.records))), None)
        if at is not None:
            self._names.ask(at, wanted)
        return at is not None

    def _trace(self, queue_run_id: Id, wanted: Wanted) -> Trace | None:
        """Where a run of the last reading is to be looked up."""
        if not isinstance(queue_run_id, UUID):
            return None
        for leaf in self._last.get((wanted.queue_id, wanted.status), ()):
            place = leaf.records.find(queue_run_id.bytes)
            while place % RECORD.size and place >= 0:  # the id of something else
                place = leaf.records.find(queue_run_id.bytes, place + 1)
            if place >= 0:
                return _traced(leaf.records[place : place + RECORD.size])
        return None

    def _there(self, wanted: Wanted) -> tuple[Wanted, str]:
        """What links to runs are made of, and the page of the queue."""
        queue = self._directory.queue(wanted.queue_id)
        return replace(wanted, tenant_id=self._directory.tenant_id(wanted.queue_id)), queue.url

    @staticmethod
    def _note(
        listing: Listing, there: Callable[[], tuple[Wanted, str]], row: ItemRow, queue_run_id: UUID, at: Trace | None
    ) -> None:
        """Make the run of a row that looks new, at once: a row kept takes more memory than its run."""
        wanted, queue_url = there()
        listing.found[queue_run_id] = of_items(
            row, wanted, queue_run_id, at, queue_url if at is None else _url(at, wanted)
        )
        if row.item_type == CONVERSATION:
            listing.conversations.add(queue_run_id)
        if wanted.status == DISAGREED:
            listing.disagreed.add(queue_run_id)

    def _advance(self, listing: Listing, wanted: Wanted, cursor: str, note: Note) -> str:
        """Read one page; the cursor of the next, or ''."""
        while True:
            try:
                return self._page(listing, wanted, cursor, note)
            except TooLargeError:
                # A single item has no large fields: one over the cap is no item.
                if not self._limits.shrink(wanted.queue_id):
                    raise

    def _page(self, listing: Listing, wanted: Wanted, cursor: str, note: Note) -> str:
        path = f"/api/v1/platform/annotation-queues/{wanted.queue_id}/items"
        params = section_params(wanted.status) | {"page_size": self._limits.of(wanted.queue_id)}
        params |= {"cursor": cursor} if cursor else {}
        known = listing.former.by_digest
        with self._http.get(path, params, what=listing.what, known=known) as answer:
            listing.headers = answer.headers
            if answer.is_known:
                leaf = known[answer.mark]
                listing.add(leaf)
                return leaf.cursor
            self._limits.read(wanted.queue_id, len(answer.body))
            try:
                return _take(listing, answer, note)
            except wire.UnlawfulError as error:
                raise unlawful(listing.what, str(error)) from None


def _take(listing: Listing, answer: Answer, note: Note) -> str:
    """Take in a page of which something may be new; the cursor of the next. Raises UnlawfulError."""
    rows, cursor = wire.raw_items(answer.body)
    keys = array("q", map(hash, rows))
    records = list(map(listing.former.by_key.get, keys))
    unknown = [place for place, kept in enumerate(records) if kept is None]
    strays = []
    for place, row in zip(unknown, wire.read_items([rows[place] for place in unknown]), strict=True):
        if row is None:
            continue
        records[place] = _record(row, listing, note)
        if records[place] is None and (stray := identity(row.run_id)) is not None:
            strays.append(stray)
    usable = [kept for kept in records if kept is not None]
    unusable = len(rows) - len(usable)
    if unusable:
        keys = array("q", (key for key, kept in zip(keys, records, strict=True) if kept is not None))
    # A page with a row that cannot be used is decoded whenever it comes: what that row names is not kept.
    leaf = Leaf(b"" if unusable else answer.mark, cursor, keys, b"".join(usable))
    listing.add(leaf, unusable, strays)
    return cursor


def _record(row: ItemRow, listing: Listing, note: Note) -> bytes | None:
    """What is kept of a row, which is noted where it looks new; None where it has no usable id."""
    queue_run_id = identity(row.id)
    if queue_run_id is None:
        return None
    mark, at = item_mark(row, listing.status), trace(row)
    if mark not in listing.former.marks:
        note(row, queue_run_id, at)
    return record(queue_run_id, mark, at)


def _traced(kept: bytes) -> Trace | None:
    """Where the run of a row is to be looked up, as far as that is kept."""
    _, _, run_id, project_id, seconds = RECORD.unpack(kept)
    if run_id == NOBODY:
        return None
    began_at = datetime.fromtimestamp(seconds, UTC) if seconds else None
    return Trace(UUID(bytes=run_id), UUID(bytes=project_id), began_at)


def _url(at: Trace, wanted: Wanted) -> str:
    return run_url(wanted.web, tenant_id=wanted.tenant_id, project_id=at.project_id, run_id=at.run_id)
