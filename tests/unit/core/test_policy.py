"""The ladder: each id is a sentence of the specification."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.builders import CHANNEL, DAY, HOUR, LEADS, MINUTE, NOON, SECOND
from tests.support.given import a_policy, a_review, at
from worker.core.model import Kind, RemindIn
from worker.core.moment import Moment
from worker.core.policy import MOST_INSTANTS, EscalationPolicy, Step, age_of

if TYPE_CHECKING:
    from worker.core.model import Review

AT_ONCE = timedelta(0)


def escalating(**more: Any) -> EscalationPolicy:
    return a_policy(escalate_after=2 * DAY, escalate_to=LEADS, escalate_mention=("S0ONCALL00",), **more)


def spoken_of(told: timedelta | None) -> Review:
    """One that has been spoken of up to an age."""
    return a_review(told_at=None if told is None else NOON + told)


@pytest.mark.parametrize(
    ("told", "age", "deserves"),
    [
        pytest.param(None, AT_ONCE, Kind.ANNOUNCEMENT, id="a new run is announced at once"),
        pytest.param(AT_ONCE, AT_ONCE, None, id="and then let be"),
        pytest.param(AT_ONCE, 4 * HOUR - SECOND, None, id="until it is nearly stale"),
        pytest.param(AT_ONCE, 4 * HOUR, Kind.REMINDER, id="a stale run is reminded of"),
        pytest.param(None, 4 * HOUR, Kind.REMINDER, id="a run first seen stale is reminded of"),
        pytest.param(4 * HOUR, 5 * HOUR, None, id="a reminded run is let be"),
        pytest.param(4 * HOUR, 28 * HOUR - SECOND, None, id="until a day later"),
        pytest.param(4 * HOUR, 28 * HOUR, Kind.REMINDER, id="then it is reminded of again"),
        pytest.param(28 * HOUR, 2 * DAY, Kind.ESCALATION, id="an old run is escalated"),
        pytest.param(None, 30 * DAY, Kind.ESCALATION, id="after an outage only the highest is told"),
        pytest.param(2 * DAY, 2 * DAY + HOUR, None, id="an escalated run is let be"),
        pytest.param(2 * DAY, 3 * DAY, Kind.REMINDER, id="until it is reminded of again"),
        pytest.param(3 * DAY, 3 * DAY + HOUR, None, id="and is never escalated twice"),
    ],
)
def test_what_a_run_deserves(told: timedelta | None, age: timedelta, deserves: Kind | None) -> None:
    step = Moment.of(escalating(), NOON + age).due(spoken_of(told))
    assert (step and step.kind) == deserves


@pytest.mark.parametrize(
    ("given", "more", "deserves"),
    [
        pytest.param({"reserved": True, "told_at": None}, {}, Kind.ANNOUNCEMENT, id="a reserved run is announced"),
        pytest.param({"reserved": True}, {}, None, id="a reserved run is not reminded of"),
        pytest.param({"reserved": False}, {}, Kind.ESCALATION, id="a released one is, with the highest that is due"),
        pytest.param({"reserved": True}, {"remind_reserved": True}, Kind.ESCALATION, id="nor spared if told otherwise"),
        pytest.param({"absent_at": NOON}, {}, None, id="a run that was absent once is let be"),
        pytest.param({"absent_at": NOON, "told_at": None}, {}, None, id="and not even announced"),
    ],
)
def test_who_is_spared(given: dict[str, Any], more: dict[str, Any], deserves: Kind | None) -> None:
    step = Moment.of(escalating(**more), NOON + 3 * DAY).due(a_review(**given))
    assert (step and step.kind) == deserves


@pytest.mark.parametrize(
    ("told", "due_at"),
    [
        pytest.param(None, AT_ONCE, id="an announcement is due at once"),
        pytest.param(AT_ONCE, 4 * HOUR, id="then the reminder"),
        pytest.param(4 * HOUR, 28 * HOUR, id="then the next reminder"),
        pytest.param(28 * HOUR, 2 * DAY, id="or the escalation where that comes first"),
        pytest.param(2 * DAY, 3 * DAY, id="then reminders for ever"),
    ],
)
def test_when_the_next_step_comes(told: timedelta | None, due_at: timedelta) -> None:
    assert escalating().next_due_at(spoken_of(told)) == NOON + due_at


@pytest.mark.parametrize(
    ("policy", "given"),
    [
        pytest.param(a_policy(stale_after=None), {}, id="a run that is announced, where nothing ever is stale"),
        pytest.param(a_policy(remind_every=None), {"told_at": at(4)}, id="a reminded run, where that is done once"),
        pytest.param(a_policy(), {"reserved": True}, id="a reserved run"),
        pytest.param(a_policy(), {"absent_at": NOON, "told_at": None}, id="a run that was absent once"),
        pytest.param(a_policy(), {"since": datetime(9999, 12, 31, 23, tzinfo=UTC)}, id="beyond the calendar"),
    ],
)
def test_no_step_comes_for(policy: EscalationPolicy, given: dict[str, Any]) -> None:
    assert policy.next_due_at(a_review(**given)) is None


class TestTheLadderIsEditedWhileRunsWait:
    """Progress is an instant, so each new ladder is climbed from there."""

    @pytest.mark.parametrize(
        ("told", "more", "age", "deserves"),
        [
            pytest.param(AT_ONCE, {"stale_after": 2 * HOUR}, 3 * HOUR, Kind.REMINDER, id="stale sooner: due at once"),
            pytest.param(4 * HOUR, {"stale_after": 8 * HOUR}, 5 * HOUR, None, id="stale later: not yet"),
            pytest.param(4 * HOUR, {"stale_after": 8 * HOUR}, 8 * HOUR, Kind.REMINDER, id="stale later: once more"),
            pytest.param(4 * HOUR, {"remind_every": HOUR}, 5 * HOUR, Kind.REMINDER, id="repeated more often"),
            pytest.param(4 * HOUR, {"remind_every": None}, 9 * DAY, None, id="repeated no more"),
            pytest.param(4 * HOUR, {"escalate_after": 5 * HOUR}, 5 * HOUR, Kind.ESCALATION, id="a new step above"),
            pytest.param(6 * HOUR, {"escalate_after": 5 * HOUR}, 7 * HOUR, None, id="a new step below what was told"),
            pytest.param(4 * HOUR, {"stale_after": None}, 9 * DAY, None, id="no reminders any more"),
        ],
    )
    def test_and(self, told: timedelta, more: dict[str, Any], age: timedelta, deserves: Kind | None) -> None:
        step = Moment.of(a_policy(**more), NOON + age).due(spoken_of(told))
        assert (step and step.kind) == deserves


@pytest.mark.parametrize(
    ("told", "age", "joins"),
    [
        pytest.param(4 * HOUR, 22 * HOUR, True, id="three quarters of the way to its next reminder"),
        pytest.param(4 * HOUR, 22 * HOUR - SECOND, False, id="not before"),
        pytest.param(AT_ONCE, 3 * HOUR, True, id="three quarters of the way to its first reminder"),
        pytest.param(AT_ONCE, 3 * HOUR - SECOND, False, id="not before that either"),
        pytest.param(None, 3 * HOUR, True, id="also where it was not announced"),
    ],
)
def test_when_a_run_joins_others(told: timedelta | None, age: timedelta, joins: bool) -> None:  # noqa: FBT001
    policy = a_policy()
    assert Moment.of(policy, NOON + age).joins(policy.steps[1], spoken_of(told)) is joins


def test_a_step_that_is_not_repeated_is_joined_once() -> None:
    policy = a_policy(remind_every=None)
    assert Moment.of(policy, NOON + 9 * DAY).joins(policy.steps[1], spoken_of(4 * HOUR)) is False


def test_one_that_joins_is_spoken_of_up_to_when_it_would_have_been_due() -> None:
    policy = a_policy()
    assert Moment.of(policy, NOON + 3 * HOUR).told_at(policy.steps[1], spoken_of(AT_ONCE)) == NOON + 4 * HOUR


class TestLadder:
    """What the settings mean."""

    def test_announces_in_the_queues_channel(self) -> None:
        policy = a_policy(stale_after=None)
        assert policy == EscalationPolicy((Step(Kind.ANNOUNCEMENT, AT_ONCE, CHANNEL),), spare_reserved=True)
        assert policy.destination == CHANNEL

    def test_reminds_where_and_as_often_as_told(self) -> None:
        policy = a_policy(remind_in=RemindIn.BOTH, remind_reserved=True)
        assert policy.steps[1] == Step(Kind.REMINDER, 4 * HOUR, CHANNEL, every=DAY, remind_in=RemindIn.BOTH)
        assert policy.spare_reserved is False

    def test_escalates_to_others_and_mentions_them(self) -> None:
        step = Step(Kind.ESCALATION, 2 * DAY, LEADS, mention=("S0ONCALL00",))
        assert escalating().steps[2] == step

    def test_escalates_in_the_queues_channel_where_no_other_is_named(self) -> None:
        policy = a_policy(stale_after=None, escalate_after=DAY)
        assert policy.steps[1] == Step(Kind.ESCALATION, DAY, CHANNEL)

    def test_an_escalation_before_the_reminder_is_told_first_and_the_reminder_after_it(self) -> None:
        policy = a_policy(escalate_after=HOUR)
        first = Moment.of(policy, at(1)).due(a_review())
        second = Moment.of(policy, at(4)).due(a_review(told_at=at(1)))
        assert [first and first.kind, second and second.kind] == [Kind.ESCALATION, Kind.REMINDER]


def test_age_is_how_long_a_run_has_waited() -> None:
    assert age_of(a_review(), NOON + MINUTE) == MINUTE


def test_a_clock_that_was_set_back_makes_nobody_younger_than_nothing() -> None:
    assert age_of(a_review(), at(-8)) == AT_ONCE


def test_a_baseline_leaves_what_has_just_reached_the_age_of_an_escalation_to_the_next_poll() -> None:
    policy, review = a_policy(escalate_after=DAY, escalate_to=LEADS), a_review(told_at=None)
    before = [policy.spoken_at_baseline(review, at(24) - wait) for wait in (SECOND, 0 * SECOND)]
    assert before == [at(24) - SECOND, review.since]


def test_a_run_announced_by_a_clock_that_was_set_back_is_not_announced_again() -> None:
    assert Moment.of(a_policy(), NOON).due(a_review(told_at=at(-1))) is None


def test_a_step_says_the_same_of_more_instants_than_it_keeps() -> None:
    step = Step(Kind.REMINDER, HOUR, CHANNEL)
    asked = [NOON + MINUTE * number for number in range(MOST_INSTANTS + 2)]
    assert [step.cut_offs(each) for each in asked] == [(each - HOUR, each - HOUR) for each in asked]
    assert step.cut_offs(NOON) == (NOON - HOUR, NOON - HOUR)
