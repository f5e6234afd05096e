"""The builders by number, for tests in which instants are hours from noon."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from tests.support.builders import NOON, queue, queue_run, review, rules_with, snapshot
from worker.core.model import Memory
from worker.core.plan import Plan, plan

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from worker.core.model import QueueRun, Review, ReviewKey, Snapshot
    from worker.core.policy import EscalationPolicy

QUEUE = queue(url="https://smith.example/q", reviewers_per_run=2)


def at(hours: float) -> datetime:
    """So many hours after noon."""
    return NOON + timedelta(hours=hours)


def a_run(number: int = 1, added_at: datetime | None = NOON, **more: Any) -> QueueRun:
    return queue_run(number, added_at=added_at, **more)


def a_review(number: int = 1, added_at: datetime | None = NOON, **more: Any) -> Review:
    """One that was seen when it was added, and announced at once."""
    seen_at = added_at or NOON
    announced = {"first_seen_at": seen_at, "told_at": more.get("since", seen_at), "generation": 1}
    return review(number, added_at=added_at, **announced | more)


def a_listing(*runs: QueueRun, **more: Any) -> Snapshot:
    return snapshot(*runs, of=QUEUE, **more)


def a_policy(**more: Any) -> EscalationPolicy:
    """The defaults of the settings."""
    return rules_with(**more).policy


def remember(reviews: Iterable[Review], written: Iterable[Review]) -> tuple[Review, ...]:
    """The reviews that a store would hold after a plan was written."""
    held: dict[ReviewKey, Review] = {review.key: review for review in reviews}
    return tuple((held | {review.key: review for review in written}).values())


def replan(
    reviews: Sequence[Review], snapshot: Snapshot, policy: EscalationPolicy, now: datetime
) -> tuple[Plan, Memory]:
    """Plan, and what is remembered after it."""
    decided = plan(snapshot, Memory(baselined=True, reviews=reviews), policy, now)
    return decided, Memory(baselined=True, reviews=remember(reviews, decided.reviews))


def notified_age(review: Review) -> timedelta | None:
    """Up to which age a review has been spoken of; None: never."""
    return None if review.told_at is None else max(review.told_at - review.since, timedelta(0))
