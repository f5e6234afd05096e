"""What the figures of a policy count, on a past of a few runs."""

from __future__ import annotations

from datetime import UTC, date, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from tests.support.builders import CHANNEL, DAY, HOUR, LEADS, MINUTE, NOON, ident, queue, review, to
from worker.core.audience import Audience, Problem
from worker.core.calendar import ALWAYS_OPEN, Calendar
from worker.core.directory import Card
from worker.core.history import EMPTY_HOUR, Hour
from worker.core.model import Kind, Polled, Reviewer, Who
from worker.core.owed import NEVER
from worker.core.simulation import (
    Delay,
    Past,
    Posting,
    Ruled,
    gaps_of,
    measure,
    outages_of,
    past_from,
    quantile,
    with_everyone,
    working_days,
)

if TYPE_CHECKING:
    from datetime import datetime

    from worker.core.model import Review
    from worker.core.simulation import Figures

AUCKLAND = ZoneInfo("Pacific/Auckland")
SUPPORT, SEARCH = queue(), queue("Search")
END = NOON + 2 * DAY
WORKING = Calendar(UTC, (2026, 2026), hours=(((9 * HOUR, 17 * HOUR),),) * 5 + ((),) * 2)
RULED = Ruled(ALWAYS_OPEN, lambda review: review.since + 4 * HOUR)


def came(name: str, at: datetime, **more: Any) -> Review:
    return review(name, added_at=at, first_seen_at=at, **more)


def past(*of: Review, baselined_at: datetime | None = NOON - 30 * DAY, **more: Any) -> Past:
    return Past(NOON - DAY, NOON, END, [Polled(SUPPORT, baselined_at)], {SUPPORT.queue_id: of}, **more)


def posting(at: datetime, *about: Review, kind: Kind = Kind.ANNOUNCEMENT, **more: Any) -> Posting:
    given = {"destination": CHANNEL, "mention": ()} | more
    return Posting(at, kind, runs={(SUPPORT.queue_id, one.key): kind for one in about}, **given)


def figures(of: Past, *postings: Posting, entered: Any = (), days: int = 2, ruled: Ruled = RULED) -> Figures:
    queue_id = SUPPORT.queue_id
    return measure(of, postings, dict(entered), {queue_id: ruled}, {queue_id: days}, UTC)


def test_posts_are_counted_from_the_begin_and_by_day() -> None:
    run = came("run", NOON)
    early, *counted = [posting(NOON + hours * HOUR, run) for hours in (-1, 0, 2, 30)]
    (found,) = figures(past(run), early, *counted).queues
    assert (found.queue, found.posts, found.most, found.days, found.a_day) == (SUPPORT, 3, 2, 2, 1.5)
    assert figures(past(run), *counted, days=0).queues[0].a_day == 0
    nothing = figures(past())
    assert (nothing.queues[0].most, nothing.most_calls, nothing.direct, nothing.calls) == (0, 0, 0, {})


def test_a_day_is_one_of_the_zone() -> None:
    run, midnight = came("run", NOON), NOON + 23 * HOUR  # in Auckland
    mine = [posting(at, run, mention=("U1",)) for at in (midnight - MINUTE, midnight)]
    ruled, days = {SUPPORT.queue_id: RULED}, {SUPPORT.queue_id: 2}
    found = measure(past(run), mine, {}, ruled, days, AUCKLAND)
    assert (found.queues[0].most, found.most_calls) == (1, 1)
    assert measure(past(run), mine, {}, ruled, days, UTC).queues[0].most == 2


def test_calls_are_mentions_and_direct_messages_and_these_are_no_posts() -> None:
    run = came("run", NOON)
    direct = posting(NOON + HOUR, run, kind=Kind.DIRECT, destination=to("U1"), mention=("U7",))
    escalation = posting(NOON + 2 * HOUR, run, kind=Kind.ESCALATION, destination=LEADS, mention=("U1", "S2"))
    found = figures(past(run), direct, escalation, posting(NOON + 3 * HOUR, run))
    assert (found.calls, found.most_calls, found.direct) == ({"U1": 2, "S2": 1}, 2, 1)
    assert found.queues[0].posts == 2
    assert (found.calls_a_day(3, 2), found.calls_a_day(0, 2), found.calls_a_day(3, 0)) == (0.5, 0, 0)


def test_a_run_is_shown_by_an_edit_before_a_message_is_posted_for_it() -> None:
    run = came("run", NOON)
    about = SUPPORT.queue_id, run.key
    (found,) = figures(past(run), posting(NOON + HOUR, run), posting(NOON + 2 * HOUR, run)).queues
    assert (found.shown.p50, found.called.p50) == (HOUR, HOUR)
    (found,) = figures(past(run), posting(NOON + HOUR, run), entered={about: NOON + MINUTE}.items()).queues
    assert (found.shown.p95, found.called.p95) == (MINUTE, HOUR)
    (found,) = figures(past(run), posting(NOON + HOUR, run), entered={about: NOON + 2 * HOUR}.items()).queues
    assert found.shown == Delay(HOUR, HOUR)


def test_delays_count_open_time_and_time_by_the_clock() -> None:
    run = came("run", NOON + 4 * HOUR)
    open_time = Ruled(WORKING, RULED.stale_at)
    (found,) = figures(past(run), posting(NOON + 22 * HOUR, run), ruled=open_time).queues
    assert (found.called.p50, found.called_wall.p50) == (2 * HOUR, 18 * HOUR)
    assert figures(past(run)).queues[0].called == Delay()


def test_delays_are_said_for_half_of_the_runs_and_for_95_of_100() -> None:
    runs = [came(str(number), NOON) for number in range(40)]
    found = figures(past(*runs), *(posting(NOON + MINUTE * number, one) for number, one in enumerate(runs)))
    assert found.queues[0].called == Delay(20 * MINUTE, 38 * MINUTE)


def test_what_was_there_at_the_begin_or_at_a_first_sight_did_not_come() -> None:
    old, seen, new = came("old", NOON - HOUR), came("seen", NOON + HOUR), came("new", NOON + 2 * HOUR)
    assert figures(past(old, seen, new)).queues[0].came == 2
    assert figures(past(old, seen, new, baselined_at=NOON + HOUR)).queues[0].came == 1
    assert figures(past(old, seen, new, baselined_at=None)).queues[0].came == 2


def test_overdue_is_what_became_stale_while_it_waited_and_was_counted() -> None:
    def overdue(at: datetime, **more: Any) -> int:
        return figures(past(came("run", at, **more))).queues[0].overdue

    assert overdue(NOON) == 1
    assert overdue(NOON, closed_at=NOON + 4 * HOUR) == 0
    assert overdue(NOON - 4 * HOUR) == 1
    assert overdue(NOON - 5 * HOUR) == 0
    assert overdue(END - 4 * HOUR) == 0
    assert figures(past(came("one", NOON), came("two", NOON))).queues[0].overdue == 2
    never = Ruled(ALWAYS_OPEN, lambda _: None)
    assert figures(past(came("run", NOON)), ruled=never).queues[0].overdue == 0


def test_all_queues_together_have_the_sums_and_the_delays_of_all_runs() -> None:
    one, other = came("one", NOON), came("other", NOON)
    of = Past(
        NOON,
        NOON,
        END,
        [Polled(SUPPORT, NOON - DAY), Polled(SEARCH, NOON - DAY)],
        {SUPPORT.queue_id: (one,), SEARCH.queue_id: (other,)},
    )
    there = Posting(NOON + 3 * HOUR, Kind.ANNOUNCEMENT, LEADS, (), {(SEARCH.queue_id, other.key): Kind.ANNOUNCEMENT})
    ruled = {SUPPORT.queue_id: RULED, SEARCH.queue_id: RULED}
    found = measure(of, [posting(NOON + HOUR, one), there], {}, ruled, dict.fromkeys(ruled, 2), UTC)
    assert found.every is not None
    assert (found.every.queue, found.every.came, found.every.overdue) == (SUPPORT, 2, 2)
    assert (found.every.posts, found.every.days, found.every.most) == (2, 4, 1)
    called = Delay(3 * HOUR, 3 * HOUR)
    assert (found.every.called, found.every.called_wall) == (called, called)
    assert (found.every.shown, found.every.shown_wall) == (called, called)
    assert measure(of, [], {}, {}, {}, UTC).every is None


def test_a_quantile_is_one_of_the_values() -> None:
    values = [HOUR * number for number in range(10)]
    assert [quantile(values, share) for share in (0, 0.5, 0.95, 1)] == [0 * HOUR, 5 * HOUR, 9 * HOUR, 9 * HOUR]
    assert quantile([], 0.5) is None


def test_a_gap_is_a_time_without_a_complete_poll_between_two_that_had_one() -> None:
    seen = Hour(waiting=1)
    hours = {NOON + HOUR * number: seen for number in (0, 1, 4)} | {NOON + 2 * HOUR: EMPTY_HOUR}
    assert gaps_of(hours) == [(NOON + 2 * HOUR, NOON + 4 * HOUR)]


def test_working_days_are_those_of_the_first_calendar_with_hours_else_monday_to_friday() -> None:
    friday = NOON + 4 * DAY
    long_weekend = working_days([ALWAYS_OPEN], friday, friday + 4 * DAY)
    assert long_weekend == [date(2026, 3, day) for day in (6, 9, 10)]
    assert working_days([ALWAYS_OPEN, WORKING], friday, friday + 4 * DAY) == long_weekend
    # The first day is over before it begins to count, the last before its hours.
    evening = friday + timedelta(hours=6)
    assert working_days([WORKING], evening, friday + 4 * DAY - 4 * HOUR) == [date(2026, 3, 9)]


def test_all_is_remembered_since_the_first_queue_was_polled_as_far_as_reviews_are_kept() -> None:
    polls = [Polled(SUPPORT, NOON), Polled(SEARCH, NOON - DAY), Polled(queue("New"))]
    assert past_from(polls, NOON - 2 * DAY) == NOON - DAY
    assert past_from(polls, NOON - HOUR) == NOON - HOUR
    assert past_from([Polled(SUPPORT)], NOON) is None


def test_somebody_who_was_not_looked_up_so_far_counts_as_found() -> None:
    ada, eve = Reviewer("ada", "Ada", "Ada@example.com"), Reviewer("eve", "Eve")
    named = review("run", who=Who(assigned_to=("stranger", "left")))
    of = Past(
        NOON,
        NOON,
        END,
        [Polled(queue(assigned=(ada, eve)), NOON)],
        {ident("queue"): (named,)},
        cards=[Card("left", problem=Problem.LEFT), Card("eve", email="eve@example.com")],
    )
    everyone = with_everyone(of, [("zoe@example.com",), Audience.ASSIGNED])
    found = {card.reviewer_id: card for card in everyone}
    email = "ada@example.com"
    assert found["ada"] == Card("ada", "Ada", email, email, Problem.NONE, NOON, NEVER)
    assert found["stranger"] == Card("stranger", "", "", "stranger", Problem.NONE, NOON, NEVER)
    assert found["left"].problem is Problem.LEFT
    assert {card.user for card in found.values() if card.problem is Problem.NONE} == {
        "ada@example.com",
        "eve@example.com",
        "zoe@example.com",
        "stranger",
    }


def test_an_outage_of_a_destination_ends_with_the_first_post_that_was_late() -> None:
    posted = [
        (CHANNEL, NOON + HOUR, NOON + 3 * HOUR),
        (CHANNEL, NOON, NOON + MINUTE),
        (CHANNEL, NOON + 2 * HOUR, NOON + 3 * HOUR + MINUTE),
        (LEADS, NOON, NOON + 5 * MINUTE),
    ]
    assert outages_of(posted) == {CHANNEL: [(NOON + HOUR, NOON + 3 * HOUR)]}


def test_an_outage_begins_after_the_last_post() -> None:
    posted = [(CHANNEL, NOON, NOON + HOUR), (CHANNEL, NOON, NOON + 2 * HOUR)]
    assert outages_of(posted) == {CHANNEL: [(NOON, NOON + HOUR), (NOON + HOUR, NOON + 2 * HOUR)]}
