"""The assignments of a worker whose database does not answer for a while."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest
from structlog.testing import capture_logs

from tests.support.builders import NOON, ident
from tests.support.clock import FakeClock
from worker.core.leases import RENEW, TTL, Assignment, Renewal, Task, assignment_name
from worker.core.ports import StoreError
from worker.loops.assignments import Shared

if TYPE_CHECKING:
    from collections.abc import Collection

    from worker.core.model import Id


class Database:
    """Gives everything that is asked for, unless it is down."""

    is_down = False

    def renew(self, queue_ids: Collection[Id]) -> Renewal:
        if self.is_down:
            raise StoreError("no answer")
        names = [*(assignment_name(queue_id) for queue_id in queue_ids), str(Task.REPORTS)]
        return Renewal({name: Assignment(name, ident(1), 1) for name in names}, NOON, workers=1, again_in=RENEW)


def test_that_the_lease_has_lapsed_is_said_once_and_once_that_it_is_renewed() -> None:
    clock, database = FakeClock(), Database()
    ours = Shared("host:1", worker_id=ident(1), store=cast("Any", database), clock=clock, follow=lambda _: None)
    ours.renew(["q"])
    database.is_down = True
    with capture_logs() as lines:
        for _ in range(4):
            clock.advance(TTL / 2)
            with pytest.raises(StoreError):
                ours.renew(["q"])
        database.is_down = False
        ours.renew(["q"])
    events = [(line["event"], line.get("queues"), line.get("after")) for line in lines]
    assert events == [("assignments_lapsed", 1, None), ("assignments_renewed", None, TTL.total_seconds())]
