"""What reading one list to its end gave, and the guards against lists without one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from worker.sources.errors import unlawful

if TYPE_CHECKING:
    from collections.abc import Iterable
    from uuid import UUID

    from worker.core.model import QueueRun

MOST_RUNS = 500_000
"""More than anybody reviews; a server that goes on for longer is taken to have no end."""


@dataclass(slots=True)
class Listing:
    """The runs read so far, each once, the last answer about it counting.

    `moved` tells that rows may have been passed over, because the list moved while it was read.
    """

    runs: dict[UUID, QueueRun] = field(default_factory=dict)
    pages: int = 0
    unusable: int = 0
    moved: bool = False

    def add(self, found: Iterable[QueueRun]) -> int:
        """Take in one page; how many of it were known already.

        Raises SourceError where the list has no end.
        """
        known = 0
        for run in found:
            known += run.queue_run_id in self.runs
            self.runs[run.queue_run_id] = run
        self.pages += 1
        if len(self.runs) > MOST_RUNS:
            raise unlawful("reading the queue", f"it has more than {MOST_RUNS} runs", remedy="archive or split it")
        return known

    def merge(self, other: Listing) -> None:
        """Take in another listing of the same queue; what was read first stays."""
        self.runs = other.runs | self.runs
        self.pages += other.pages
        self.unusable += other.unusable
        self.moved = self.moved or other.moved
