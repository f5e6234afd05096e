"""A source in one file: a dictionary of queues with their runs, whose ids are no UUIDs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.core.model import Facts, Fate, Field, Queue, QueueRun, Show, Snapshot
from worker.core.ports import SourceError, Trouble

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from worker.core.model import Id
    from worker.core.ports import Clock


class ToySource:
    """Serves `shelves`: by each queue the runs that wait there, which are called as their ids are."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.shelves: dict[Id, list[Id]] = {}

    def snapshot(self, queue_id: Id, fields: frozenset[Field], concluded: object = None) -> Snapshot:  # noqa: ARG002
        if queue_id not in self.shelves:
            raise SourceError(f"there is no shelf {queue_id}", Trouble.MISSING)
        runs = [
            QueueRun(one, run_id=None, added_at=None, facts=Facts(name=str(one)) if Show.NAME in fields else Facts())
            for one in self.shelves[queue_id]
        ]
        return Snapshot(Queue(queue_id, f"Shelf {queue_id}"), runs, taken_at=self._clock.now())

    def queues(self) -> Sequence[Queue]:
        return [Queue(queue_id, f"Shelf {queue_id}") for queue_id in self.shelves]

    def fates(self, queue_id: Id, queue_run_ids: Collection[Id]) -> Mapping[Id, Fate]:  # noqa: ARG002
        return dict.fromkeys(queue_run_ids, Fate.REVIEWED)
