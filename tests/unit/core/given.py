"""Short ways to say what is given: a listed run, a remembered review, a listing. Times are hours on one day."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from tests.support.builders import rules_with
from worker.core.model import Memory, Queue, QueueRun, Review, Snapshot
from worker.core.plan import Plan, plan

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from worker.core.model import ReviewKey
    from worker.core.policy import EscalationPolicy

QUEUE = Queue(UUID(int=1), "Support QA", "https://smith.example/q", reviewers_per_run=2)
CHANNEL = "C0SUPPORT00"
LEADS = "C0LEADS0000"
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def at(hours: float) -> datetime:
    """So many hours after noon."""
    return NOON + timedelta(hours=hours)


def run_id(number: int) -> UUID:
    return UUID(int=100 + number)


def a_run(number: int = 1, added_at: datetime | None = NOON, **more: Any) -> QueueRun:
    return QueueRun(run_id(number), UUID(int=900 + number), added_at, **more)


def a_review(number: int = 1, added_at: datetime | None = NOON, **more: Any) -> Review:
    """One that was seen when it was added, and told of at once."""
    since = added_at or NOON
    given = {
        "run_id": UUID(int=900 + number),
        "since": since,
        "first_seen_at": since,
        "told_at": more.get("since", since),
        "generation": 1,
    } | more
    return Review(run_id(number), added_at, **given)


def a_listing(*runs: QueueRun, **more: Any) -> Snapshot:
    return Snapshot(QUEUE, runs, taken_at=NOON, **more)


def a_policy(**more: Any) -> EscalationPolicy:
    """The defaults of the settings."""
    return rules_with(**{"channel": CHANNEL} | more).policy


def remember(reviews: Iterable[Review], written: Iterable[Review]) -> tuple[Review, ...]:
    """What a store would hold after a plan was written."""
    held: dict[ReviewKey, Review] = {review.key: review for review in reviews}
    return tuple((held | {review.key: review for review in written}).values())


def replan(
    reviews: Sequence[Review], snapshot: Snapshot, policy: EscalationPolicy, now: datetime
) -> tuple[Plan, Memory]:
    """Plan, and what is remembered after it."""
    decided = plan(snapshot, Memory(baselined=True, reviews=reviews), policy, now)
    return decided, Memory(baselined=True, reviews=remember(reviews, decided.reviews))
