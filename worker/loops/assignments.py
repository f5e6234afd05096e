"""The assignments of this worker: everything where it is alone, its share where there are several."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING
from uuid import uuid4

import structlog

from worker.core.cooldown import Cooldown
from worker.core.leases import TTL, assignment_name
from worker.core.ports import Fenced

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from datetime import datetime
    from uuid import UUID

    from worker.core.leases import Assignment, Task
    from worker.core.model import Id
    from worker.core.ports import AssignmentStore, Clock

log = structlog.get_logger(__name__)


class Alone:
    """The Assignments of a worker that is alone."""

    is_shared = False
    workers = 1

    def __init__(self) -> None:
        self.worker_id = uuid4()
        """The id of this process, which no other one has."""

    def of(self, queue_id: Id) -> Assignment | None:  # noqa: ARG002  the port's signature
        """See `Assignments.of`."""
        return None

    def has(self, task: Task) -> bool:  # noqa: ARG002  the port's signature
        """See `Assignments.has`."""
        return True

    def among(self, queue_ids: Collection[Id]) -> set[Id]:
        """See `Assignments.among`."""
        return set(queue_ids)

    def renew(self, queue_ids: Collection[Id]) -> None:
        """See `Assignments.renew`."""

    def leave(self) -> None:
        """See `Assignments.leave`."""


class Shared:
    """The Assignments of one of several workers. They count only while its lease lasts."""

    is_shared = True

    def __init__(
        self,
        name: str,
        *,
        worker_id: UUID,
        store: AssignmentStore,
        clock: Clock,
        follow: Callable[[datetime], None],
    ) -> None:
        """`name` and `worker_id` are the worker's own; `follow` gets the database's time at each renewal."""
        self._name = name
        self.worker_id = worker_id
        self._store = store
        self._clock = clock
        self._follow = follow
        self._renewing = threading.Lock()
        self._has_left = False
        self._asked: frozenset[Id] = frozenset()
        self._again = Cooldown()
        self._workers = 0
        self._has_lapsed = False
        self._ours: tuple[Mapping[str, Assignment], float] = ({}, 0.0)
        """Our assignments and the monotonic end of the lease: one value, so that every thread sees both alike."""

    @property
    def workers(self) -> int:
        """See `Assignments.workers`."""
        return max(self._workers, 1)

    def of(self, queue_id: Id) -> Assignment:
        """See `Assignments.of`."""
        assignment = self._held().get(assignment_name(queue_id))
        if assignment is None:
            raise Fenced
        return assignment

    def has(self, task: Task) -> bool:
        """See `Assignments.has`."""
        return str(task) in self._held()

    def among(self, queue_ids: Collection[Id]) -> set[Id]:
        """See `Assignments.among`."""
        held = self._held()
        return {queue_id for queue_id in queue_ids if assignment_name(queue_id) in held}

    def renew(self, queue_ids: Collection[Id]) -> None:
        """See `Assignments.renew`."""
        with self._renewing:
            if not self._has_left:
                self._renew(queue_ids)

    def _renew(self, queue_ids: Collection[Id]) -> None:
        asked = frozenset(queue_ids)
        # From before the request: the lease begins while the database answers, and must not end later here than there.
        # Monotonic time, so that a process that stood still does nothing more in the belief that the lease lasts.
        began = self._clock.monotonic()
        if not self._again.is_over(began) and asked == self._asked:
            return
        before, until = self._ours
        # Said once: each attempt fails while the database does not answer, and what was held before stays what it was.
        if before and began >= until and not self._has_lapsed:
            lost = sum(assignment_name(queue_id) in before for queue_id in asked)
            log.warning("assignments_lapsed", worker=self._name, queues=lost)
            self._has_lapsed = True
        renewal = self._store.renew(asked)
        if self._has_lapsed:
            log.info("assignments_renewed", worker=self._name, after=round(began - until, 1))
            self._has_lapsed = False
        self._follow(renewal.now)
        self._ours = (renewal.assignments, began + TTL.total_seconds())
        self._again = Cooldown.of(renewal.again_in, began)
        if (before.keys(), self._asked, self._workers) != (renewal.assignments.keys(), asked, renewal.workers):
            ours = self.among(asked)
            tasks = sorted(renewal.assignments.keys() - {assignment_name(queue_id) for queue_id in ours})
            log.info(
                "assignments_changed",
                worker=self._name,
                queues=len(ours),
                of=len(asked),
                tasks=tasks,
                workers=renewal.workers,
            )
        self._asked, self._workers = asked, renewal.workers

    def leave(self) -> None:
        """See `Assignments.leave`."""
        # Before the lock, so that no loop begins anything; again under it, for a renewal that was just under way.
        self._ours = ({}, 0.0)
        with self._renewing:
            self._has_left = True
            self._ours = ({}, 0.0)
            self._store.leave()

    def _held(self) -> Mapping[str, Assignment]:
        held, until = self._ours
        return held if self._clock.monotonic() < until else {}


ALONE = Alone()
