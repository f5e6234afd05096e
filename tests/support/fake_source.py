"""A Source whose queues are lists in memory, and which fails as it is told."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, overload

from tests.support.builders import NOON
from worker.core.model import Difference, Field, Snapshot, Unchanged
from worker.core.ports import SourceError, Trouble

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from uuid import UUID

    from worker.core.model import Facts, Fate, Queue, QueueRun, Traits
    from worker.core.ports import Unseen


@dataclass(frozen=True)
class Mark:
    """A listing to compare later ones with: its runs, and what else was said of it."""

    runs: Mapping[UUID, QueueRun]
    more: Mapping[str, Any]

    def difference(self, before: Mark, queue: Queue, **more: Any) -> Difference:
        """What is other than before."""
        runs = tuple(run for key, run in self.runs.items() if before.runs.get(key) != run)
        gone = tuple(key for key in before.runs if key not in self.runs)
        more = {name: value for name, value in more.items() if name != "revealed"}
        return Difference(queue, runs, NOON, gone=gone, count=len(self.runs), **more)


class FakeSource:
    """`left` is what `fates` answers, `known` what `facts`, `unseen` what `blindness` does.

    `more` is set on every snapshot; `traits_of` are what filters may ask for, and `sifted` records what they did.
    `listed`, `asked`, `described` and `looked` record the calls of `snapshot`,
    `fates`, `facts` and `blindness`; `given` records what snapshots were given as `concluded`.
    """

    def __init__(self) -> None:
        self.listed: list[UUID] = []
        self.asked: list[set[UUID]] = []
        self.given: list[object] = []
        self.sifted: list[set[UUID]] = []
        self.traits_of: dict[UUID, Traits] = {}
        self.described: list[set[UUID]] = []
        self.looked: list[UUID] = []
        self.unseen: dict[UUID, Unseen] = {}
        self.known: dict[UUID, Facts] = {}
        self.more: dict[str, Any] = {}
        self.ahead = timedelta(0)
        self.fates_of: dict[UUID, Fate] = {}
        self._queues: dict[UUID, tuple[Queue, tuple[QueueRun, ...], bool]] = {}
        self._failures: dict[str, list[SourceError]] = {
            "snapshot": [],
            "queues": [],
            "fates": [],
            "facts": [],
            "blindness": [],
            "traits": [],
        }

    def show(self, queue: Queue, *runs: QueueRun, one_page: bool = True) -> None:
        """Let a queue hold these runs from now on."""
        self._queues[queue.queue_id] = queue, runs, one_page

    def held(self, queue: Queue) -> tuple[QueueRun, ...]:
        """What a queue holds."""
        return self._queues[queue.queue_id][1]

    def hide(self, queue: Queue) -> None:
        """Let a queue be gone."""
        del self._queues[queue.queue_id]

    def fail(
        self,
        call: str = "snapshot",
        trouble: Trouble = Trouble.UNREACHABLE,
        *,
        retry_after: timedelta | None = None,
        times: int = 1,
        error: type[SourceError] = SourceError,
    ) -> None:
        """Let the next `times` calls of `snapshot`, `queues`, `fates` or `facts` fail."""
        self._failures[call] += [error(f"told to be {trouble}", trouble, retry_after=retry_after)] * times

    @overload
    def snapshot(self, queue_id: UUID, fields: frozenset[Field], concluded: None = None) -> Snapshot: ...
    @overload
    def snapshot(
        self, queue_id: UUID, fields: frozenset[Field], concluded: object
    ) -> Snapshot | Unchanged | Difference: ...
    def snapshot(
        self,
        queue_id: UUID,
        fields: frozenset[Field],  # noqa: ARG002
        concluded: object = None,
    ) -> Snapshot | Unchanged | Difference:
        self.listed.append(queue_id)
        self.given.append(concluded)
        self._raise("snapshot")
        if queue_id not in self._queues:
            raise SourceError(f"there is no queue {queue_id}", Trouble.MISSING)
        queue, runs, one_page = self._queues[queue_id]
        mark = Mark({run.queue_run_id: run for run in runs}, {"one_page": one_page, **self.more})
        if mark == concluded:
            bare = self.more.get("bare", False)
            return Unchanged(queue, NOON, bare=bare, ahead=self.ahead, concluded=mark)
        more = {"ahead": self.ahead, "concluded": mark, "one_page": one_page, **self.more}
        if isinstance(concluded, Mark):
            return mark.difference(concluded, queue, **more)
        return Snapshot(queue, runs, taken_at=NOON, **more)

    def queues(self) -> Sequence[Queue]:
        self._raise("queues")
        return [queue for queue, _, _ in self._queues.values()]

    def fates(self, queue_id: UUID, queue_run_ids: Collection[UUID]) -> Mapping[UUID, Fate]:
        assert queue_id in self._queues
        self.asked.append(set(queue_run_ids))
        self._raise("fates")
        return {run: how for run, how in self.fates_of.items() if run in queue_run_ids}

    def facts(
        self,
        queue_id: UUID,
        queue_run_ids: Collection[UUID],
        *,
        show: frozenset[Field],  # noqa: ARG002
    ) -> Mapping[UUID, Facts]:
        assert queue_id in self._queues
        self.described.append(set(queue_run_ids))
        self._raise("facts")
        return {run: known for run, known in self.known.items() if run in queue_run_ids}

    def traits(
        self,
        queue_id: UUID,
        queue_run_ids: Collection[UUID],
        *,
        fields: frozenset[Field],  # noqa: ARG002
    ) -> Mapping[UUID, Traits]:
        assert queue_id in self._queues
        self.sifted.append(set(queue_run_ids))
        self._raise("traits")
        return {run: traits for run, traits in self.traits_of.items() if run in queue_run_ids}

    def blindness(self, queue_id: UUID) -> Unseen | None:
        self.looked.append(queue_id)
        self._raise("blindness")
        return self.unseen.get(queue_id)

    def _raise(self, call: str) -> None:
        if self._failures[call]:
            raise self._failures[call].pop(0)
