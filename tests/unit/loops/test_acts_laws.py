"""Whatever people do: nothing is announced twice, no escalation is late, what ends leads to one message."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.acting import ADA, BEN, an_act, do
from tests.support.builders import DAY, HOUR, MINUTE
from tests.support.office import FRIDAY, MONDAY, a_worker, office
from worker.core.actions import Act
from worker.core.calendar import ALWAYS_OPEN
from worker.core.model import Kind

if TYPE_CHECKING:
    from datetime import timedelta

    from tests.support.whole_worker import Worker
    from worker.core.calendar import Calendar

STALE, EVERY, ESCALATE = 2 * HOUR, 6 * HOUR, 5 * HOUR
TICK = 15 * MINUTE
NAMES = ("a", "b", "c")


@dataclass(frozen=True)
class Step:
    """What happens, then how long nothing does."""

    act: Act | None
    name: str
    by: int
    lasts: timedelta
    waits: timedelta


STEPS = st.builds(
    Step,
    act=st.sampled_from([None, *Act]),
    name=st.sampled_from(NAMES),
    by=st.integers(0, 1),
    lasts=st.sampled_from([TICK, HOUR, 3 * HOUR, 7 * HOUR, 3 * DAY]),
    waits=st.sampled_from([0 * HOUR, TICK, HOUR, 4 * HOUR]),
)
CLAIMS = (Act.CLAIM, Act.GIVE_BACK, Act.NOT_MINE)
HISTORIES = st.lists(STEPS, min_size=1, max_size=8)
CALENDARS = st.sampled_from([ALWAYS_OPEN, office()])


def a_history(steps: list[Step], calendar: Calendar, *, only: tuple[Act, ...] = tuple(Act)) -> Worker:
    """A worker that has seen all of it, and then a weekend and a day."""
    ladder = {"stale_after": STALE, "remind_every": EVERY, "escalate_after": ESCALATE, "announce_every": HOUR}
    worker = a_worker(calendar=calendar, **ladder)  # type: ignore[arg-type]
    there: set[str] = set()
    for step in steps:
        now = worker.clock.now()
        if step.act is None:
            there ^= {step.name}
            worker.show(*sorted(there))
        elif step.act in only:
            do(worker.kept, an_act(step.act, (ADA, BEN)[step.by], step.name, until=now + step.lasts), now)
        worker.tick()
        worker.wait(step.waits, TICK)
    worker.until(max(worker.clock.now(), MONDAY) + 4 * DAY, 2 * HOUR)
    return worker


@settings(max_examples=25)
@given(HISTORIES, CALENDARS)
def test_no_stay_is_announced_twice_and_no_message_repeats_within_its_time(
    steps: list[Step], calendar: Calendar
) -> None:
    worker = a_history(steps, calendar)
    announced = Counter(
        key
        for _, _, plan in worker.store.plans
        for notice in plan.notices
        for key, why in zip(notice.reviews, notice.purposes, strict=True)
        if why is Kind.ANNOUNCEMENT
    )
    assert set(announced.values()) <= {1}
    # What was missed meanwhile does not come one by one: a poll leads to one message a place.
    assert all(len(plan.notices) <= 1 for _, _, plan in worker.store.plans)
    for name in NAMES:
        reminded = worker.called(name, Kind.REMINDER)
        assert all(later - sooner >= EVERY / 2 for sooner, later in pairwise(reminded))


@settings(max_examples=25)
@given(HISTORIES, CALENDARS)
def test_an_escalation_is_never_later_for_a_claim(steps: list[Step], calendar: Calendar) -> None:
    claimed, plain = (a_history(steps, calendar, only=only) for only in (CLAIMS, ()))
    for name in NAMES:
        late = zip(claimed.called(name, Kind.ESCALATION), plain.called(name, Kind.ESCALATION), strict=True)
        assert all(at <= otherwise for at, otherwise in late)


@settings(max_examples=25)
@given(HISTORIES, CALENDARS, st.sampled_from([Act.SNOOZE, Act.MUTE]))
def test_what_ends_leads_to_at_most_one_message(steps: list[Step], calendar: Calendar, act: Act) -> None:
    worker = a_history(steps, calendar)
    worker.show("a", "b", "c")
    worker.tick()
    # Until all of that is posted: a channel gets one message a second.
    worker.wait(2 * MINUTE)
    until = worker.clock.now() + 7 * HOUR
    for name in NAMES if act is Act.SNOOZE else ("a",):
        do(worker.kept, an_act(act, ADA, name, until=until), worker.clock.now())
    before = len(worker.posts)
    worker.until(until - MINUTE, TICK)
    escalated = [message for _, message in worker.posts[before:] if message.kind is Kind.ESCALATION]
    assert len(worker.posts) - before == (len(escalated) if act is Act.MUTE else 0)
    before = len(worker.posts)
    worker.until(calendar.opens(until) + TICK, TICK)
    assert len(worker.posts) - before <= 1


def test_the_histories_reach_what_the_laws_are_about() -> None:
    steps = [Step(None, "a", 0, HOUR, HOUR), Step(Act.CLAIM, "a", 0, 3 * DAY, 4 * HOUR)]
    worker = a_history(steps, ALWAYS_OPEN)
    assert worker.called("a", Kind.ESCALATION) == [FRIDAY + ESCALATE]
    assert worker.called("a", Kind.REMINDER) != []
