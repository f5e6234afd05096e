"""Laws of the core, whatever happens: runs appear, vanish, return, age; polls fail; dates move; ladders are edited."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from itertools import pairwise, permutations, product
from math import perm
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.support.builders import CHANNEL, HOUR, LEADS
from tests.support.given import QUEUE, a_policy, a_run, at, notified_age, remember
from worker.core.diff import digest
from worker.core.model import Kind, Memory, QueueRun, Review, ReviewKey, Snapshot
from worker.core.plan import Plan, plan
from worker.core.policy import JOINING, EscalationPolicy, age_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from worker.core.owed import Notice

Event = tuple[float, Snapshot, EscalationPolicy]
"""Hours to wait, what is listed then, and by which ladder."""

FIRST_SIGHT = {Kind.BASELINE, Kind.ANNOUNCEMENT}

# Each choice is made by one draw from all that is possible, since drawing costs more than what is tried with it. As
# often as any other together, there is nothing: no such rung, no such date.
DURATIONS = [None] * 4 + [HOUR, 2 * HOUR, 4 * HOUR, 24 * HOUR]
LADDERS = [*product(DURATIONS, DURATIONS, DURATIONS, ["", LEADS], [False, True])]
PAST = [at(hours) for hours in (-30, -3, -1, 0)]
"""Dates before anybody looked, so that none is in the future of any poll."""
ADDED = [None] * 3 + PAST + [at(hours) for hours in (5, 20, 50)]
EFFECTIVE = [None] * 3 + PAST + [at(hours) for hours in (6, 60)]

Look = tuple[datetime | None, datetime | None, bool]
"""The dates of a listed run, and whether it is reserved."""
ANY: Sequence[Look] = [*product(ADDED, EFFECTIVE, [False, True])]
STEADY: Sequence[Look] = [(at(-1), None, False)]
ORDERS = [each for length in range(5) for each in [*permutations(range(1, 5), length)] * (24 // perm(4, length))]
"""Which of four runs are listed, in any order; each length is as likely."""


@cache
def a_ladder(chosen: tuple[timedelta | None, timedelta | None, timedelta | None, str, bool]) -> EscalationPolicy:
    stale_after, remind_every, escalate_after, escalate_to, remind_reserved = chosen
    return a_policy(
        channel=CHANNEL,
        stale_after=stale_after,
        remind_every=remind_every,
        escalate_after=escalate_after,
        escalate_to=escalate_to,
        remind_reserved=remind_reserved,
    )


@cache
def a_listed_run(number: int, look: Look) -> QueueRun:
    added_at, effective, reserved = look
    return a_run(number, added_at=added_at, effective_added_at=effective, reserved=reserved)


policies = st.sampled_from(LADDERS).map(a_ladder)
any_runs = st.builds(a_listed_run, st.integers(1, 4), st.sampled_from(ANY))
orders = st.sampled_from(ORDERS)
ways = st.sampled_from([{}, {}, {"one_page": False}, {"one_page": False, "moved": True}, {"unusable": 1}])


@st.composite
def listings(draw: st.DrawFn, looks: st.SearchStrategy[Look]) -> Snapshot:
    """Complete listings, each run once, in any order."""
    runs = tuple(a_listed_run(number, draw(looks)) for number in draw(orders))
    return Snapshot(QUEUE, runs, at(0), **draw(ways))


@dataclass
class History:
    """One queue's polls, one after the other."""

    reviews: tuple[Review, ...] = ()
    baselined: bool = False
    told: list[tuple[datetime, Notice]] = field(default_factory=list)

    def poll(self, snapshot: Snapshot, policy: EscalationPolicy, now: datetime) -> Plan:
        """A complete poll, written as a store would."""
        decided = self.preview(snapshot, policy, now)
        self.reviews, self.baselined = remember(self.reviews, decided.reviews), True
        self.told += [(now, notice) for notice in decided.notices]
        return decided

    def preview(self, snapshot: Snapshot, policy: EscalationPolicy, now: datetime) -> Plan:
        """What a poll would decide."""
        listed = {run.queue_run_id for run in snapshot.runs}
        recalled = tuple(review for review in self.reviews if review.is_open or review.queue_run_id in listed)
        return plan(snapshot, Memory(self.baselined, recalled), policy, now)


waits = st.sampled_from([0.5, 1.0, 3.0, 10.0, 25.0])


def histories(looks: Sequence[Look], ladders: int) -> st.SearchStrategy[Sequence[Event]]:
    """Polls one after the other, between which the ladder may be edited."""
    edits = st.lists(policies, min_size=1, max_size=ladders)
    seen = st.lists(st.tuples(waits, listings(st.sampled_from(looks))), min_size=1, max_size=8)
    return st.builds(_history, edits, seen)


def _history(edited: Sequence[EscalationPolicy], polls: Sequence[tuple[float, Snapshot]]) -> Sequence[Event]:
    return [
        (wait, snapshot, edited[number * len(edited) // len(polls)]) for number, (wait, snapshot) in enumerate(polls)
    ]


polls = histories(ANY, ladders=2)
steady_polls = histories(STEADY, ladders=1)


def play(events: Iterable[Event]) -> tuple[History, datetime]:
    history, now = History(), at(0)
    for wait, snapshot, policy in events:
        now += wait * HOUR
        history.poll(snapshot, policy, now)
    return history, now


def decided(one: Plan) -> tuple[frozenset[Review], frozenset[Notice], datetime | None]:
    return frozenset(one.reviews), frozenset(one.notices), one.next_due_at


@given(polls)
def test_nothing_is_told_by_planning_twice(events: Sequence[Event]) -> None:
    history, now = play(events)
    _, snapshot, policy = events[-1]
    if len(events) == 1:  # what the baseline leaves to the next poll
        history.poll(snapshot, policy, now)
    assert history.preview(snapshot, policy, now).notices == ()


@given(polls)
def test_planning_again_settles_absences_and_then_changes_nothing(
    events: Sequence[Event],
) -> None:
    history, now = play(events)
    _, snapshot, policy = events[-1]
    if len(events) == 1:  # what the baseline leaves to the next poll
        history.poll(snapshot, policy, now)
    again = history.poll(snapshot, policy, now)
    assert all(not review.is_open for review in again.reviews)
    assert (history.poll(snapshot, policy, now).reviews, again.notices) == ((), ())


@given(polls)
def test_no_stay_is_announced_twice(events: Sequence[Event]) -> None:
    history, _ = play(events)
    spoken = (each for _, notice in history.told for each in zip(notice.reviews, notice.purposes, strict=True))
    announced = Counter(key for key, purpose in spoken if purpose in FIRST_SIGHT)
    assert set(announced.values()) <= {1}


@given(polls, policies)
def test_another_ladder_announces_nothing_again(events: Sequence[Event], other: EscalationPolicy) -> None:
    """At most one notice a run becomes due, and it is no first sight."""
    history, now = play(events)
    _, snapshot, policy = events[-1]
    history.poll(snapshot, policy, now)
    decided = history.poll(snapshot, other, now)
    assert not any(notice.kind in FIRST_SIGHT for notice in decided.notices)
    notified = Counter(key for notice in decided.notices for key in notice.reviews)
    assert set(notified.values()) <= {1}
    assert history.poll(snapshot, other, now).notices == ()


@given(polls)
def test_no_stay_is_told_of_twice_in_one_poll(events: Sequence[Event]) -> None:
    history, _ = play(events)
    told = Counter((when, key) for when, notice in history.told for key in notice.reviews)
    assert set(told.values()) <= {1}


@given(polls)
def test_every_notice_has_a_key_of_its_own(events: Sequence[Event]) -> None:
    history, _ = play(events)
    keys = [notice.key for _, notice in history.told]
    assert len(set(keys)) == len(keys)


@given(polls)
def test_what_was_told_exceeds_the_age_by_no_more_than_a_run_may_join_early(events: Sequence[Event]) -> None:
    history, now = play(events)
    early = max(step.after for _, _, policy in events for step in policy.steps) * JOINING
    assert all(
        told <= age_of(each, now) + early for each in history.reviews if (told := notified_age(each)) is not None
    )


@given(polls)
def test_every_listed_run_has_been_told_of(events: Sequence[Event]) -> None:
    history, _ = play(events)
    listed = {run.queue_run_id for run in events[-1][1].runs}
    waiting = {review.queue_run_id for review in history.reviews if review.is_open and review.told_at is not None}
    assert listed <= waiting


@given(polls, st.randoms(use_true_random=False))
def test_the_order_of_a_listing_does_not_matter(
    events: Sequence[Event],
    random,  # noqa: ANN001
) -> None:
    history, now = play(events[:-1])
    _, snapshot, policy = events[-1]
    runs, reviews = list(snapshot.runs), list(history.reviews)
    one = history.preview(snapshot, policy, now)
    random.shuffle(runs)
    random.shuffle(reviews)
    history.reviews = tuple(reviews)
    other = history.preview(replace(snapshot, runs=tuple(runs)), policy, now)
    assert decided(one) == decided(other)
    assert digest(runs) == digest(snapshot.runs)


@given(polls, st.floats(0, 1))
def test_an_unchanged_listing_changes_nothing_before_the_next_due_time(events: Sequence[Event], share: float) -> None:
    events = [(wait, without_future(snapshot), policy) for wait, snapshot, policy in events]
    history, now = play(events)
    _, snapshot, policy = events[-1]
    settled = history.poll(snapshot, policy, now)
    if settled.next_due_at == now:
        return
    until = settled.next_due_at or now + timedelta(days=900)
    early = now + (until - now) * share
    if early < until:
        assert decided(history.preview(snapshot, policy, early)) == (frozenset(), frozenset(), settled.next_due_at)


def without_future(snapshot: Snapshot) -> Snapshot:
    """The dates that are none in the future of the first poll."""
    known = [
        replace(
            run,
            added_at=run.added_at if run.added_at and run.added_at <= at(0) else None,
            effective_added_at=run.effective_added_at
            if run.effective_added_at and run.effective_added_at <= at(0)
            else None,
        )
        for run in snapshot.runs
    ]
    return replace(snapshot, runs=tuple(known))


@given(polls, st.sampled_from([1.0, 3.0, 24.0, 24.0 * 365]))
def test_a_clock_that_is_set_back_and_right_again_tells_nobody(events: Sequence[Event], back: float) -> None:
    history, now = play(events)
    _, snapshot, policy = events[-1]
    history.poll(snapshot, policy, now)
    wrong = history.poll(snapshot, policy, now - back * HOUR)
    right = history.poll(snapshot, policy, now)
    assert (wrong.notices, right.notices) == ((), ())


@given(polls, st.sampled_from([-50, -5, -0.2, 0.2, 5, 50]))
def test_a_clock_that_is_wrong_by_what_the_source_tells_decides_as_the_right_one(
    events: Sequence[Event], ahead: float
) -> None:
    history, now = play(events[:-1])
    _, snapshot, policy = events[-1]
    right = history.preview(snapshot, policy, now)
    wrong = history.preview(replace(snapshot, ahead=ahead * HOUR), policy, now + ahead * HOUR)
    assert (wrong.notices, wrong.next_due_at) == (right.notices, right.next_due_at)
    assert [as_told(review) for review in wrong.reviews] == [as_told(review) for review in right.reviews]


def as_told(review: Review) -> Review:
    """A review without the instants that are by our clock."""
    return replace(review, closed_at=review.closed_at and at(0), absent_at=review.absent_at and at(0))


@given(polls)
def test_nothing_is_closed_by_a_list_that_moved_but_stays_that_ended(
    events: Sequence[Event],
) -> None:
    history, now = play(events[:-1])
    _, snapshot, policy = events[-1]
    listed = {run.queue_run_id for run in snapshot.runs}
    moved = replace(snapshot, one_page=False, moved=True)
    closed = [review for review in history.preview(moved, policy, now).reviews if not review.is_open]
    assert {review.queue_run_id for review in closed} <= listed


@given(steady_polls)
def test_with_steady_dates_each_rung_is_told_once_and_repeats_keep_their_distance(events: Sequence[Event]) -> None:
    history, _ = play(events)
    every = {step.kind: step.every for step in events[0][2].steps}
    for (kind, _), times in tellings(history).items():
        repeat = every.get(kind)
        assert all(repeat is not None and later - earlier >= repeat * 0.75 for earlier, later in pairwise(times))


def tellings(history: History) -> dict[tuple[Kind, ReviewKey], Sequence[datetime]]:
    """When each stay was told of, by kind."""
    times: dict[tuple[Kind, ReviewKey], list[datetime]] = {}
    for when, notice in history.told:
        for key, purpose in zip(notice.reviews, notice.purposes, strict=True):
            times.setdefault((purpose, key), []).append(when)
    return times
