"""What comes next for a run that waits, and why."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.support.builders import HOUR, NOON, review, rules_with
from worker.core.model import Kind
from worker.core.status.upcoming import Upcoming, upcoming
from worker.settings.advice import ADVICE

POLICY = rules_with(channel="C1", escalate_after=8 * HOUR).policy


def coming(**more: Any) -> Upcoming:
    return upcoming(POLICY, review("a", since=NOON, **more), NOON + HOUR, ADVICE)


@pytest.mark.parametrize(
    ("told", "kind", "after"),
    [
        pytest.param(None, Kind.ANNOUNCEMENT, HOUR, id="not announced: now"),
        pytest.param(timedelta(0), Kind.REMINDER, 4 * HOUR, id="announced"),
        pytest.param(4 * HOUR, Kind.ESCALATION, 8 * HOUR, id="reminded"),
        pytest.param(8 * HOUR, Kind.REMINDER, 32 * HOUR, id="escalated"),
    ],
)
def test_the_next_step_has_a_time_and_a_reason(told: timedelta | None, kind: Kind, after: timedelta) -> None:
    found = coming(told_at=None if told is None else NOON + told)
    assert (found.kind, found.due_at) == (kind, NOON + after)
    assert found.why


@pytest.mark.parametrize(
    ("review_is", "why"),
    [
        pytest.param({"closed_at": NOON}, "it does not wait any more", id="closed"),
        pytest.param({"absent_at": NOON}, "the last listing did not show it: it may be reviewed", id="absent"),
        pytest.param({"reserved": True, "told_at": NOON}, "it is reserved", id="reserved"),
    ],
)
def test_nothing_comes_for_a_reason(review_is: dict[str, Any], why: str) -> None:
    assert coming(**review_is) == Upcoming(None, None, why)


def test_where_the_settings_ask_for_nothing_more_nothing_comes() -> None:
    once = rules_with(stale_after=None).policy
    found = upcoming(once, review("a", told_at=NOON), NOON, ADVICE)
    assert found == Upcoming(None, None, "the settings ask for nothing more")


def test_of_steps_that_come_together_the_highest_comes() -> None:
    both = rules_with(remind_every=None, escalate_after=4 * HOUR).policy
    assert upcoming(both, review("a", since=NOON, told_at=NOON), NOON, ADVICE).kind is Kind.ESCALATION
