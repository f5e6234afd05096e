"""What reading one list to its end gives, how it is known again, and the guards against lists without an end.

Nothing of a page is held. Of each row a record of a few bytes is, by which the next reading knows it again.
"""

from __future__ import annotations

import struct
from array import array
from functools import cached_property, partial
from typing import TYPE_CHECKING
from uuid import UUID

from msgspec import Struct, field

from worker.core.remade import Remade
from worker.sources.langsmith.errors import unlawful

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from worker.core.model import Facts, Id, QueueRun, Who
    from worker.sources.langsmith.rows import Makeable

MOST_RUNS = 500_000
"""More than anybody reviews; a server that goes on for longer is taken to have no end."""

FULL = 100
"""Rows that a page has at most."""

MOST_REPEATED = 3 * FULL
"""So many rows in a row may be known ones; an empty page that is not the last counts as a full one."""

RECORD = struct.Struct("<16s4q16s16sq")
"""What is kept of a row: its id, its mark, both its dates, who is at it, the run and the project to look up, and when
that run began. Dates are microseconds since 1970, and -1 for none."""

_ID_ALONE = struct.Struct("<16s72x")
ID = slice(0, 16)
NOBODY = bytes(16)

MANY = 10_000
"""So many runs are not kept all at once: each takes ten times the memory of its record."""


class Leaf(Struct, frozen=True):
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
        return [row[ID] for row in each_record(self.records)]


def _marks(records: bytes) -> array[int]:
    return array("q", records)[2 :: RECORD.size // 8]


def each_record(records: bytes) -> Iterator[bytes]:
    """The records of rows, one by one."""
    return (records[at : at + RECORD.size] for at in range(0, len(records), RECORD.size))


def _made(leaves: Sequence[Leaf], make: Callable[[bytes], QueueRun], *, is_plain: bool) -> Iterator[QueueRun]:
    """The runs of all rows, each once; `is_plain` says that there are no two of one run."""
    rows = (kept for leaf in leaves for kept in each_record(leaf.records))
    if is_plain:
        return map(make, rows)
    found: dict[bytes, bytes] = {}
    for kept in rows:
        found.setdefault(kept[ID], kept)
    return map(make, found.values())


def record(queue_run_id: UUID, mark: int) -> bytes:
    """What is kept of a row that is known by its mark alone."""
    return RECORD.pack(queue_run_id.bytes, mark, 0, 0, 0, NOBODY, NOBODY, 0)


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
    def by_mark(self) -> Mapping[int, int]:
        """Where the record of a row with each mark stands."""
        return {mark: at for at, mark in enumerate(_marks(self._records))}

    @cached_property
    def by_key(self) -> Mapping[int, int]:
        """Where the record of each row stands, by the hash of its bytes."""
        found: dict[int, int] = {}
        at = 0
        for leaf in self.leaves:
            # Leaves of the other listing, which may stand beside these, have no keys.
            found.update(zip(leaf.keys, range(at, at + len(leaf.keys)), strict=True))
            at += len(leaf.records) // RECORD.size
        return found

    def record(self, at: int, count: int = 1) -> bytes:
        """The record that stands there, or so many from there on."""
        return self._records[at * RECORD.size : (at + count) * RECORD.size]

    def gone(self, marks: Collection[int]) -> list[UUID]:
        """The ids of the rows with these marks."""
        found = (place for place, mark in enumerate(_marks(self._records)) if mark in marks) if marks else ()
        at = dict.fromkeys(self.record(place)[ID] for place in found)
        return [UUID(bytes=one) for one in at]

    @cached_property
    def _records(self) -> bytes:
        return b"".join(leaf.records for leaf in self.leaves)


class Listing(Struct):
    """The rows read so far. `found` are the runs that `former` did not show as they are now, the last answer counting.

    `status` is the section that is read, '' where that does not matter. `overlaps` means that a page may begin with
    rows of the page before. `unusable` counts rows without an id of their own: `strays` are the runs that such rows
    name all the same, `obscure` counts those that do not. `conversations` are the facts of queue runs that are none of
    a run, `named` whom rows name, where they do, `disagreed` the runs on which reviewers disagree. `moved` means that
    rows may have been passed over, because the list moved while it was read. `headers` are those of the last page.
    `marks` condense what each run looks like.

    Where `make` makes a run of a record and there are MANY, none is in `found`, and each is made whenever it is needed.
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
    conversations: dict[Id, Facts] = field(default_factory=dict)
    named: dict[Id, Who] = field(default_factory=dict)
    disagreed: set[Id] = field(default_factory=set)
    make: Callable[[bytes], QueueRun] | None = None
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

    @property
    def ids(self) -> set[bytes]:
        """The ids of all rows."""
        return {one for leaf in self.leaves for (one,) in _ID_ALONE.iter_unpack(leaf.records)}

    @property
    def is_large(self) -> bool:
        """Whether there are too many runs to keep them all at once."""
        return self.make is not None and self.is_whole and len(self.marks) > MANY

    def runs(self) -> Collection[QueueRun]:
        """The runs that were found, in the order of their first sight."""
        if self.is_large and self.make is not None:
            count, rows = len(self.ids), sum(len(leaf.records) for leaf in self.leaves) // RECORD.size
            return Remade(count, partial(_made, self.leaves, self.make, is_plain=count == rows))
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
        if self.marks == self.former.marks:
            return (), tuple(self.leaves)
        gone = self.former.gone(self.former.marks - self.marks)
        left = tuple(one for one in gone if one not in self.found)
        return left, tuple(self.leaves) if len(self.ids) == len(self.marks) else None

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
        if self.is_large:
            self.found.clear()
        # Rows, not pages: where pages overlap, one of a single row is mostly read for the second time.
        said_nothing = size if size and self.overlaps else FULL
        self.repeated = 0 if len(self.marks) > before else self.repeated + said_nothing
        # A queue may grow while it is read, but not for ever: memory must not be filled by a server.
        if len(self.marks) > MOST_RUNS or self.repeated > MOST_REPEATED:
            raise unlawful(self.what, "the list has no end: pages repeat, or it has more runs than anybody reviews")

    def merge(self, other: Listing) -> None:
        """Take in another listing of the same queue; what was read first stays."""
        if other.is_large and self.make is None:
            # Its records are of another kind than ours.
            other.found = {run.queue_run_id: run for run in other.runs()}
        self.found |= {key: run for key, run in other.found.items() if key not in self.found}
        self.marks |= other.marks
        self.leaves += other.leaves
        self.pages += other.pages
        self.unusable += other.unusable
        self.obscure += other.obscure
        self.strays |= other.strays
        self.conversations |= other.conversations
        self.named |= other.named
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
