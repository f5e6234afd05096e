"""The next notice about a run that waits, and the reason for it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from worker.core.model import Kind

if TYPE_CHECKING:
    from datetime import datetime

    from worker.core.advice import Advice
    from worker.core.model import Review
    from worker.core.policy import EscalationPolicy


@dataclass(frozen=True, slots=True)
class Upcoming:
    """The next notice about a run: when it is due (None: never), of which kind, and why."""

    due_at: datetime | None
    kind: Kind | None
    why: str


def upcoming(policy: EscalationPolicy, review: Review, now: datetime, advice: Advice) -> Upcoming:
    """The notice that becomes due next, should the run go on waiting and the settings stay as they are."""
    if review.closed_at is not None:
        return Upcoming(None, None, "it does not wait any more")
    if review.absent_at is not None:
        return Upcoming(None, None, "the last listing did not show it: it may be reviewed")
    if (coming := policy.next_step(review)) is None:
        spared = review.reserved and policy.spare_reserved and len(policy.steps) > 1
        return Upcoming(None, None, "it is reserved" if spared else "the settings ask for nothing more")
    step, due_at = coming
    again = review.told_at is not None and review.told_at >= step.first_at(review)
    why = _why(step.kind, advice, again=again)
    return Upcoming(max(due_at, now), step.kind, why)


def _why(kind: Kind, advice: Advice, *, again: bool) -> str:
    if kind is Kind.ANNOUNCEMENT:
        return "it was not announced so far"
    if kind is Kind.ESCALATION:
        return f"it waits for {advice.escalate_after} then"
    return f"{advice.remind_every} after the last notice" if again else f"it waits for {advice.stale_after} then"
