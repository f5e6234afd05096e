"""What a baseline leaves to the next poll survives in every store, queue by queue."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.builders import DAY, LEADS, MINUTE, NOON, queue, queue_run, rules_with
from worker.core.model import Kind, Snapshot
from worker.core.plan import plan

if TYPE_CHECKING:
    from datetime import datetime

    from worker.core.model import Queue
    from worker.core.store_roles import Store

POLICY = rules_with(stale_after=None, escalate_after=DAY, escalate_to=LEADS).policy


def poll(store: Store, of: Queue, now: datetime) -> list[Kind]:
    runs = (queue_run("old", added_at=NOON - 3 * DAY), queue_run("young", added_at=NOON - MINUTE))
    snapshot = Snapshot(of, runs, NOON)
    keys = {run.queue_run_id for run in runs}
    decided = store.update(of, keys, lambda memory: plan(snapshot, memory, POLICY, now), now)
    assert [len(notice.reviews) for notice in decided.notices if notice.kind is Kind.ESCALATION] in ([], [1])
    return [notice.kind for notice in decided.notices]


def test_what_is_past_that_age_at_first_sight_is_escalated_once(store: Store) -> None:
    one, other = queue("one"), queue("other")
    assert poll(store, one, NOON) == [Kind.BASELINE]
    assert poll(store, other, NOON) == [Kind.BASELINE]
    assert poll(store, one, NOON + MINUTE) == [Kind.ESCALATION]
    assert poll(store, one, NOON + 2 * MINUTE) == []
    assert poll(store, other, NOON + 2 * MINUTE) == [Kind.ESCALATION]
    assert poll(store, other, NOON + 3 * MINUTE) == []
