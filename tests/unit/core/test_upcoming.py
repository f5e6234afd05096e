"""What comes next for a run that waits, and why."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest
from msgspec.structs import replace

from tests.support.builders import DAY, HOUR, MINUTE, NOON, delivery, ident, review, rules_with
from tests.support.people import PAIR, person, rules_of_people, who
from worker.core.audience import Problem
from worker.core.calendar import Calendar
from worker.core.model import Acts, Entry, Kind, Window
from worker.core.owed import State
from worker.core.policy import ladder
from worker.core.status.upcoming import Circumstances, Held, Upcoming, count_held, upcoming
from worker.settings.names import ADVICE

if TYPE_CHECKING:
    from worker.core.policy import EscalationPolicy

POLICY = rules_with(channel="C1", escalate_after=8 * HOUR).policy


def coming(**more: Any) -> Upcoming:
    return upcoming(Circumstances(POLICY), review("a", since=NOON, **more), NOON + HOUR, ADVICE)


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
        pytest.param({"closed_at": NOON}, "it is no longer waiting", id="closed"),
        pytest.param({"absent_at": NOON}, "the last listing did not show it: it may be reviewed", id="absent"),
        pytest.param({"reserved": True, "told_at": NOON}, "it is reserved", id="reserved"),
    ],
)
def test_nothing_comes_for_a_reason(review_is: dict[str, Any], why: str) -> None:
    assert coming(**review_is) == Upcoming(None, None, why)


def test_where_the_settings_ask_for_nothing_more_nothing_comes() -> None:
    once = rules_with(stale_after=None).policy
    found = upcoming(Circumstances(once), review("a", told_at=NOON), NOON, ADVICE)
    assert found == Upcoming(None, None, "the settings ask for nothing more")


def test_of_steps_that_come_together_the_highest_comes() -> None:
    both = rules_with(remind_every=None, escalate_after=4 * HOUR).policy
    assert upcoming(Circumstances(both), review("a", since=NOON, told_at=NOON), NOON, ADVICE).kind is Kind.ESCALATION


OFFICE = Calendar(ZoneInfo("Europe/Berlin"), (2026, 2027), hours=(((9 * HOUR, 17.5 * HOUR),),) * 5 + ((), ()))
FRIDAY_NIGHT = datetime(2026, 11, 27, 21, tzinfo=UTC)
MONDAY_MORNING = datetime(2026, 11, 30, 8, tzinfo=UTC)
HELD_WHY = "held from Fri 27 Nov 22:00 until Mon 30 Nov 09:00 (Europe/Berlin)"


def office(**more: Any) -> EscalationPolicy:
    return ladder(rules_with(announce_every=HOUR, **more).settings, OFFICE)


def came(at: datetime, **more: Any) -> Any:
    return review("a", added_at=at, since=at, first_seen_at=at, **more)


@pytest.mark.parametrize(("is_baselined", "kind"), [(True, Kind.ANNOUNCEMENT), (False, Kind.BASELINE)])
def test_what_came_outside_hours_is_held_until_the_opening(*, is_baselined: bool, kind: Kind) -> None:
    window = Window(FRIDAY_NIGHT - 5 * HOUR, ident("host"), Entry.BY_EDIT)
    given = Circumstances(office(), window, is_baselined)
    found = upcoming(given, came(FRIDAY_NIGHT), FRIDAY_NIGHT + DAY, ADVICE)
    assert found == Upcoming(MONDAY_MORNING, kind, HELD_WHY, FRIDAY_NIGHT, MONDAY_MORNING)


def test_who_is_notified_directly_and_from_when_is_said_in_place_of_a_notice() -> None:
    turns = rules_of_people(person("Ada"), person("Ben", user="", problem=Problem.UNKNOWN), owner="U0LEAD").turns(PAIR)
    given = Circumstances(replace(office(stale_after=None), turns=turns))

    def why(at: datetime, *assigned: str) -> str:
        return upcoming(given, came(FRIDAY_NIGHT, who=who(*assigned)), at, ADVICE).why

    assert why(MONDAY_MORNING, "ada", "ben") == "direct messages go to Ada"
    assert why(FRIDAY_NIGHT, "ada").startswith("direct messages go to Ada, not before Mon")
    assert why(MONDAY_MORNING, "ben").startswith("a direct message goes to the owner")


def test_what_a_message_shows_already_is_not_held_but_announced_at_the_opening() -> None:
    afternoon = FRIDAY_NIGHT - 5 * HOUR  # 17:00 in Berlin
    window = Window(afternoon, ident("host"), Entry.BY_EDIT)
    given, run = Circumstances(office(), window), came(afternoon + 20 * MINUTE)
    for now in (FRIDAY_NIGHT, afternoon + 25 * MINUTE):
        found = upcoming(given, run, now, ADVICE)
        assert (found.due_at, found.held_until) == (MONDAY_MORNING, None)
        assert found.why == "shown by an edit, announced at Mon 30 Nov 09:00 (Europe/Berlin)"
    assert upcoming(given, run, MONDAY_MORNING + MINUTE, ADVICE).due_at == MONDAY_MORNING + MINUTE
    assert count_held(given, [run], [], FRIDAY_NIGHT) == Held()


def test_what_cannot_be_shown_by_an_edit_waits_for_the_end_of_the_window() -> None:
    given = Circumstances(office(), Window(NOON, ident("host"), Entry.NEVER))
    found = upcoming(given, came(NOON + MINUTE), NOON + 2 * MINUTE, ADVICE)
    assert (found.kind, found.due_at) == (Kind.ANNOUNCEMENT, NOON + HOUR)
    assert found.why == "announced at Mon 2 Mar 14:00 (Europe/Berlin), after the last announcement"


@pytest.mark.parametrize("entry", [Entry.VOID, Entry.MERGE])
def test_no_window_keeps_back_what_nobody_was_called_for(entry: Entry) -> None:
    given = Circumstances(office(), Window(NOON, ident("host"), entry))
    found = upcoming(given, came(NOON + MINUTE), NOON + 2 * MINUTE, ADVICE)
    assert (found.due_at, found.why) == (NOON + 2 * MINUTE, "it was not announced so far")


def test_a_reminder_that_comes_before_the_window_ends_comes_next() -> None:
    policy = ladder(rules_with(announce_every=8 * HOUR, stale_after=HOUR).settings)
    given = Circumstances(policy, Window(NOON, ident("host"), Entry.BY_EDIT))
    found = upcoming(given, came(NOON + MINUTE), NOON + 2 * MINUTE, ADVICE)
    assert (found.kind, found.due_at) == (Kind.REMINDER, NOON + MINUTE + HOUR)


def test_an_escalation_at_any_time_is_not_held() -> None:
    policy = office(escalate_after=HOUR, escalate_outside_hours=True)
    run = came(FRIDAY_NIGHT - 6 * HOUR, told_at=FRIDAY_NIGHT - 6 * HOUR)
    found = upcoming(Circumstances(policy), run, FRIDAY_NIGHT, ADVICE)
    assert (found.kind, found.due_at, found.held_until) == (Kind.ESCALATION, FRIDAY_NIGHT, None)


def test_the_held_of_a_queue_are_its_runs_and_its_deliveries() -> None:
    runs = [came(FRIDAY_NIGHT), came(FRIDAY_NIGHT - 6 * HOUR, told_at=FRIDAY_NIGHT - 6 * HOUR)]
    owed = [
        delivery("waits", held_until=MONDAY_MORNING),
        delivery("not held"),
        delivery("for its channel", state=State.HELD, held_until=MONDAY_MORNING),
    ]
    assert count_held(Circumstances(office()), runs, owed, FRIDAY_NIGHT + HOUR) == Held(1, 1, MONDAY_MORNING)
    assert count_held(Circumstances(office()), runs, owed, MONDAY_MORNING) == Held()


def test_what_was_due_before_it_was_known_is_held_since_it_is_known() -> None:
    run = review("a", added_at=FRIDAY_NIGHT - 3 * DAY, first_seen_at=FRIDAY_NIGHT)
    found = upcoming(Circumstances(office()), run, FRIDAY_NIGHT + HOUR, ADVICE)
    assert (found.held_from, found.held_until) == (FRIDAY_NIGHT, MONDAY_MORNING)


def test_before_the_baseline_nothing_else_comes() -> None:
    policy = office(escalate_after=HOUR, escalate_outside_hours=True)
    run = review("a", added_at=FRIDAY_NIGHT - 3 * DAY, first_seen_at=FRIDAY_NIGHT)
    given = Circumstances(policy, is_baselined=False)
    found = upcoming(given, run, FRIDAY_NIGHT + HOUR, ADVICE)
    assert (found.kind, found.held_until) == (Kind.BASELINE, MONDAY_MORNING)
    assert count_held(given, [run], [], FRIDAY_NIGHT + HOUR) == Held(1, 0, MONDAY_MORNING)


def test_within_hours_the_end_of_the_window_comes_first() -> None:
    given = Circumstances(office(), Window(NOON, ident("host"), Entry.BY_EDIT))
    assert upcoming(given, came(NOON + MINUTE), NOON + 2 * MINUTE, ADVICE).due_at == NOON + HOUR


def test_the_end_of_quiet_is_an_opening_too() -> None:
    quiet = (((13.25 * HOUR, 13.5 * HOUR), (14 * HOUR, 14.25 * HOUR)),) * 7  # 12:15 to 12:30, 13:00 to 13:15 in UTC
    policy = ladder(rules_with(announce_every=2 * HOUR).settings, dataclasses.replace(OFFICE, quiet=quiet))
    given = Circumstances(policy, Window(NOON, ident("host"), Entry.BY_EDIT))
    assert upcoming(given, came(NOON + MINUTE), NOON + 2 * MINUTE, ADVICE).due_at == NOON + HOUR / 2


def muted(until: datetime, **more: Any) -> Upcoming:
    given = Circumstances(POLICY, muted_until=until)
    return upcoming(given, review("a", since=NOON, **more), NOON + HOUR, ADVICE)


def test_a_mute_holds_what_comes_before_its_end_and_no_escalation() -> None:
    soon, late = NOON + 2 * HOUR, NOON + 6 * HOUR
    assert muted(soon) == Upcoming(soon, Kind.ANNOUNCEMENT, "the queue is muted until Mon 2 Mar 14:00 (UTC)")
    why = "the queue is muted until Mon 2 Mar 18:00 (UTC)"
    assert muted(late) == muted(late, told_at=NOON) == Upcoming(late, Kind.REMINDER, why)
    assert muted(NOON + 20 * HOUR, told_at=NOON).kind is Kind.ESCALATION
    over = muted(NOON + 2 * HOUR, told_at=NOON)
    assert (over.due_at, over.why) == (NOON + 4 * HOUR, "by then it has waited for WORKER_STALE_AFTER")
    assert muted(NOON + HOUR) == coming()


@pytest.mark.parametrize(
    ("acts", "until", "why"),
    [
        (Acts(snoozed_until=NOON + 6 * HOUR), 6 * HOUR, "it is snoozed until Mon 2 Mar 18:00 (UTC)"),
        (Acts("U1", "Ada", NOON + 5 * HOUR), 5 * HOUR, "Ada has it until Mon 2 Mar 17:00 (UTC)"),
        (Acts(snoozed_until=NOON + HOUR), 4 * HOUR, "by then it has waited for WORKER_STALE_AFTER"),
    ],
)
def test_who_has_taken_a_run_or_put_it_off_is_the_reason_why_a_reminder_waits(
    acts: Acts, until: timedelta, why: str
) -> None:
    run = replace(review("a", since=NOON, told_at=NOON), acts=acts)
    found = upcoming(Circumstances(POLICY), run, NOON + HOUR, ADVICE)
    assert (found.kind, found.due_at, found.why) == (Kind.REMINDER, NOON + until, why)


def test_after_so_many_reminders_only_the_owner_hears_of_a_run() -> None:
    worn = replace(POLICY, reminders=2, steps=POLICY.steps[:2])
    run = review("a", since=NOON, told_at=NOON + 4 * HOUR, reminded=2)
    why = "its channel was reminded of it 2 times: from now on only the owner is"
    assert upcoming(Circumstances(worn), run, NOON + 5 * HOUR, ADVICE) == Upcoming(None, None, why)
