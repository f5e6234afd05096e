"""What this worker has to do at present: everything where it is alone, its share where there are several."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING
from uuid import uuid4

import structlog

from worker.core.cooldown import Cooldown
from worker.core.ports import Relieved
from worker.core.shift import TTL

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from datetime import datetime
    from uuid import UUID

    from worker.core.model import Duty, Id, Task
    from worker.core.ports import Clock
    from worker.core.roles import Duties

log = structlog.get_logger(__name__)


class Alone:
    """The Shift of a worker beside which there is none."""

    is_shared = False

    def __init__(self) -> None:
        self.worker_id = uuid4()
        """What tells this process from every other."""

    def of(self, queue_id: Id) -> Duty | None:  # noqa: ARG002  the port's signature
        """See `Shift.of`."""
        return None

    def has(self, task: Task) -> bool:  # noqa: ARG002  the port's signature
        """See `Shift.has`."""
        return True

    def among(self, queue_ids: Collection[Id]) -> set[Id]:
        """See `Shift.among`."""
        return set(queue_ids)

    def renew(self, queue_ids: Collection[Id]) -> None:
        """See `Shift.renew`."""

    def leave(self) -> None:
        """See `Shift.leave`."""


class Shared:
    """The Shift of one of several workers.

    What was ours counts for as long as the lease lasts, by the monotonic clock from before it was renewed: a process
    that stood still does nothing more in the belief that it still were.
    """

    is_shared = True

    def __init__(
        self, name: str, *, worker_id: UUID, duties: Duties, clock: Clock, follow: Callable[[datetime], None]
    ) -> None:
        """`name` and `worker_id` are the worker's own; `follow` is told the database's time at each renewal."""
        self._name = name
        self.worker_id = worker_id
        self._duties = duties
        self._clock = clock
        self._follow = follow
        self._turning = threading.Lock()
        self._has_left = False
        self._asked: frozenset[Id] = frozenset()
        self._again = Cooldown()
        self._workers = 0
        self._ours: tuple[Mapping[str, Duty], float] = ({}, 0.0)
        """What we have, and until when; one value, so that every thread sees both alike."""

    def of(self, queue_id: Id) -> Duty:
        """See `Shift.of`."""
        duty = self._held().get(str(queue_id))
        if duty is None:
            raise Relieved
        return duty

    def has(self, task: Task) -> bool:
        """See `Shift.has`."""
        return str(task) in self._held()

    def among(self, queue_ids: Collection[Id]) -> set[Id]:
        """See `Shift.among`."""
        held = self._held()
        return {queue_id for queue_id in queue_ids if str(queue_id) in held}

    def renew(self, queue_ids: Collection[Id]) -> None:
        """See `Shift.renew`."""
        with self._turning:
            if not self._has_left:
                self._renew(queue_ids)

    def _renew(self, queue_ids: Collection[Id]) -> None:
        asked = frozenset(queue_ids)
        began = self._clock.monotonic()
        if not self._again.is_over(began) and asked == self._asked:
            return
        before, until = self._ours
        if before and began >= until:
            log.warning("shift_lapsed", worker=self._name, queues=len(before))
        turn = self._duties.turn(asked)
        self._follow(turn.now)
        self._ours = (turn.duties, began + TTL.total_seconds())
        self._again = Cooldown.of(turn.again_in, began)
        if (before.keys(), self._asked, self._workers) != (turn.duties.keys(), asked, turn.workers):
            ours = self.among(asked)
            tasks = sorted(turn.duties.keys() - {str(queue_id) for queue_id in ours})
            log.info(
                "shift_changed",
                worker=self._name,
                queues=len(ours),
                of=len(asked),
                tasks=tasks,
                workers=turn.workers,
            )
        self._asked, self._workers = asked, turn.workers

    def leave(self) -> None:
        """See `Shift.leave`."""
        self._ours = ({}, 0.0)
        with self._turning:
            self._has_left = True
            self._ours = ({}, 0.0)
            self._duties.leave()

    def _held(self) -> Mapping[str, Duty]:
        held, until = self._ours
        return held if self._clock.monotonic() < until else {}


ALONE = Alone()
