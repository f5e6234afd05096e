"""What reading one list to its end gave, and the guards against lists without one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from worker.core.model import QueueRun
from worker.sources.errors import unlawful

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from worker.core.model import Id
    from worker.sources.rows import Makeable, Sighting, Wanted

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
