"""A ladder at one instant says of all runs together what it says of each, and asks the calendar once for all."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.support.builders import DAY, HOUR, MINUTE, ident
from tests.support.given import a_review
from tests.support.office import FRIDAY, MONDAY, office
from tests.support.whole_worker import rules_by
from worker.core.calendar import ALWAYS_OPEN, Calendar
from worker.core.instants import microseconds
from worker.core.model import Acts, Entry, Window
from worker.core.moment import Moment, decides_at, dues_together, dues_without

if TYPE_CHECKING:
    from datetime import datetime

    from worker.core.model import Review
    from worker.core.policy import EscalationPolicy, Step

CLOSES = FRIDAY + 4.5 * HOUR
EDGES = [FRIDAY, FRIDAY - 4 * HOUR, CLOSES, MONDAY, CLOSES - DAY, CLOSES - 4 * HOUR, MONDAY + 4 * HOUR, MONDAY - HOUR]
instants = st.one_of(
    st.sampled_from(EDGES),
    st.builds(lambda edge, minutes: edge + minutes * MINUTE, st.sampled_from(EDGES), st.integers(-600, 600)),
)
calendars = st.sampled_from([office(), ALWAYS_OPEN])
waits = st.sampled_from([timedelta(0), HOUR, 4 * HOUR, 8.5 * HOUR, 17 * HOUR])


def a_ladder(calendar: Calendar, stale: timedelta, every: timedelta, escalate: timedelta) -> EscalationPolicy:
    return rules_by(calendar, stale_after=stale, remind_every=every or None, escalate_after=stale + escalate).policy


@st.composite
def reviews(draw: st.DrawFn) -> list[Review]:
    """Reviews, several of which the same notice has spoken of."""
    told = draw(st.lists(instants, min_size=1, max_size=3))
    found = []
    for number in range(draw(st.integers(1, 6))):
        told_at, since = draw(st.sampled_from([None, *told])), draw(instants)
        told_at = None if told_at is None else max(told_at, since)
        found.append(a_review(number, since, told_at=told_at, reserved=draw(st.booleans())))
    return found


ladders = st.builds(a_ladder, calendars, waits, waits, waits)


def is_due(step: Step, review: Review, now: datetime) -> bool:
    """Whether a step is due for one review, by the calendar alone."""
    due_at, ready = step.due_at(review), step.ready_until(now)
    return due_at is not None and ready is not None and due_at <= ready


@given(ladders, reviews(), instants)
def test_what_is_due_is_the_highest_step_that_is_due_for_the_run(
    policy: EscalationPolicy, waiting: list[Review], now: datetime
) -> None:
    moment = Moment.of(policy, now)
    for review in waiting:
        due = [step for step in policy.steps_for(review) if is_due(step, review, now)]
        if review.told_at is None and policy.steps[0].ready_until(now) is not None and policy.steps[0] not in due:
            # A date that is still to come makes nobody wait for the announcement.
            due.insert(0, policy.steps[0])
        assert moment.due(review) is (due[-1] if due else None)


@given(ladders, reviews(), instants)
def test_since_when_each_run_waits_for_each_step_is_what_the_step_says_of_it(
    policy: EscalationPolicy, waiting: list[Review], now: datetime
) -> None:
    found: list[list[int]] = [[] for _ in range(2 * len(policy.steps))]
    for review in waiting:
        for number, step in enumerate(policy.steps_for(review)):
            if (counting := step.counts_from(review)) is not None:
                again, since = counting
                found[2 * number + again].append(microseconds(since))
    # The last are of runs that people have taken or put off.
    assert Moment.of(policy, now).dues(waiting) == [*found, []]


class Asked(Calendar):
    """Notes which instants it was asked about."""

    def cut_offs(self, at: datetime, age: timedelta) -> tuple[datetime, datetime]:
        ASKED.append(at)
        return super().cut_offs(at, age)


ASKED: list[datetime] = []


def test_the_calendar_is_asked_once_for_all_that_one_notice_has_spoken_of() -> None:
    hours = Asked(office().zone, office().years, office().hours)
    policy = rules_by(hours, stale_after=HOUR, remind_every=4 * HOUR).policy
    waiting = [a_review(number, FRIDAY - 3 * HOUR + number * MINUTE, told_at=FRIDAY) for number in range(100)]
    ASKED.clear()
    for minute in (1, 2):
        Moment.of(policy, FRIDAY + minute * MINUTE).dues(waiting)
    assert ASKED == [FRIDAY], "by later decisions neither"


def test_what_somebody_has_put_off_comes_back_at_the_end_of_a_mute() -> None:
    policy = rules_by(ALWAYS_OPEN).policy
    put_off = replace(a_review(1, FRIDAY), acts=Acts(snoozed_until=FRIDAY + HOUR, acted_at=FRIDAY))
    dues = dues_together(Moment.of(policy, FRIDAY).dues([put_off]), ())
    assert decides_at(dues, policy, None, FRIDAY) == FRIDAY + HOUR
    over = FRIDAY + 2 * HOUR
    assert decides_at(dues, policy, None, over, FRIDAY + 3 * HOUR) == FRIDAY + 3 * HOUR


def test_dues_of_some_runs_are_put_among_those_of_the_others() -> None:
    assert [list(some) for some in dues_together([[3, 1], [5]], [[2], None])] == [[1, 2, 3], [5]]
    assert [list(some) for some in dues_together([[3, 1], []], ())] == [[1, 3], []]


def test_dues_are_taken_away_where_they_are_all_there() -> None:
    assert list(dues_without([1, 3, 3, 5], [3, 5]) or ()) == [1, 3]
    assert [dues_without([1, 3, 5], [other]) for other in (2, 6)] == [None, None]
    assert dues_without([], [1]) is None
    before_1970 = dues_together([[-1, -2]], ())[0]
    assert list(dues_without(before_1970, [-2]) or ()) == [-1]


def decided_at(review: Review, *, muted_until: datetime | None = None, window: Window | None = None) -> datetime | None:
    """When the next decision on one run is made, in a queue that reminds after 4 hours and escalates after 8."""
    policy = rules_by(ALWAYS_OPEN, announce_every=HOUR, escalate_after=8 * HOUR).policy
    dues = dues_together(Moment.of(policy, FRIDAY).dues([review]), ())
    return decides_at(dues, policy, window, FRIDAY, muted_until)


def test_a_mute_puts_a_reminder_off_and_no_escalation() -> None:
    announced = a_review(1, FRIDAY)
    assert decided_at(announced) == FRIDAY + 4 * HOUR
    assert decided_at(announced, muted_until=FRIDAY + 3 * HOUR) == FRIDAY + 4 * HOUR
    assert decided_at(announced, muted_until=FRIDAY + 5 * HOUR) == FRIDAY + 5 * HOUR
    assert decided_at(announced, muted_until=FRIDAY + DAY) == FRIDAY + 8 * HOUR


def test_a_mute_puts_an_announcement_off_until_its_end() -> None:
    new = a_review(1, FRIDAY, told_at=None)
    assert decided_at(new) == FRIDAY
    assert decided_at(new, muted_until=FRIDAY + HOUR) == FRIDAY + HOUR
    assert decided_at(new, muted_until=FRIDAY) == FRIDAY


@pytest.mark.parametrize(
    ("entry", "hours"), [(Entry.NEVER, 0.5), (Entry.BY_EDIT, 0.5), (Entry.VOID, 0), (Entry.MERGE, 0), (Entry.UNSURE, 0)]
)
def test_new_runs_wait_for_the_end_of_a_window_whose_message_is_up(entry: Entry, hours: float) -> None:
    window = Window(FRIDAY - 0.5 * HOUR, ident("host"), entry)
    assert decided_at(a_review(1, FRIDAY, told_at=None), window=window) == FRIDAY + hours * HOUR


def test_outside_hours_new_runs_wait_for_the_opening_whatever_window_is_open() -> None:
    policy = rules_by(office(), announce_every=4 * HOUR).policy
    dues = dues_together(Moment.of(policy, MONDAY - HOUR).dues([a_review(1, MONDAY - HOUR, told_at=None)]), ())
    window = Window(CLOSES - HOUR, ident("host"), Entry.BY_EDIT)
    assert decides_at(dues, policy, window, MONDAY - HOUR) == MONDAY


def test_a_repeat_counts_from_the_notice_before() -> None:
    reminded = a_review(1, FRIDAY - 5 * HOUR, told_at=FRIDAY - HOUR)
    policy = rules_by(ALWAYS_OPEN, remind_every=DAY).policy
    dues = dues_together(Moment.of(policy, FRIDAY).dues([reminded]), ())
    assert decides_at(dues, policy, None, FRIDAY) == FRIDAY + 23 * HOUR


def test_where_nothing_more_comes_no_decision_is_due() -> None:
    policy = rules_by(ALWAYS_OPEN, stale_after=None).policy
    dues = dues_together(Moment.of(policy, FRIDAY).dues([a_review(1, FRIDAY)]), ())
    assert decides_at(dues, policy, None, FRIDAY) is None
