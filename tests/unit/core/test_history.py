"""What the hours of a queue hold, and what they say together."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.support.builders import DAY, HOUR, MINUTE, NOON, SECOND, review
from worker.core.calendar import Calendar
from worker.core.history import (
    BLIND_AFTER,
    EMPTY_HOUR,
    PLAINLY,
    Cell,
    Hour,
    Measure,
    Waits,
    bucket_of,
    by_day,
    by_week,
    hour_of,
    learned_hours,
    marks,
    tallied,
    total,
    with_change,
)
from worker.core.model import Fate, Memory, QueueTotals, Review

NIGHT = timedelta(0), timedelta(hours=9)
WORKING = Calendar(UTC, (2026, 2026), hours=(((9 * HOUR, 17 * HOUR),),) * 5 + ((),) * 2)
KNOWN = NOON - MINUTE
"""When the poll before was complete."""


def tally(*written: Review, before: tuple[Review, ...] = (), measure: Measure = PLAINLY, **more: object) -> Hour:
    """What the hour of a poll at noon gains."""
    completed_at = more.get("completed_at", KNOWN)
    memory = Memory(baselined=True, reviews=before, completed_at=completed_at)  # type: ignore[arg-type]
    return tallied(written, memory, measure, waiting=7, now=NOON, ahead=timedelta(0)).hours.get(NOON, EMPTY_HOUR)


def closed(before: Review, **news: object) -> Review:
    return replace(before, closed_at=NOON, **news)


def waits(*each: timedelta) -> Waits:
    return sum((Waits({bucket_of(one): 1}) for one in each), Waits())


class TestWaits:
    @given(st.lists(st.integers(1, 10**7), min_size=1, max_size=40), st.floats(0, 1))
    def test_say_a_quantile_to_a_tenth(self, seconds: list[int], share: float) -> None:
        found = waits(*(timedelta(seconds=each) for each in seconds)).quantile(share)
        assert found is not None
        ordered = sorted(seconds)
        rank = share * len(ordered)
        # Between two neighbours either is right.
        low, high = ordered[max(int(rank - 1e-9), 0)], ordered[min(int(rank), len(ordered) - 1)]
        assert low * 0.9 <= found.total_seconds() <= high * 1.1

    def test_of_nothing_are_no_quantile(self) -> None:
        assert Waits().quantile(0.5) is None

    def test_of_less_than_a_second_are_counted(self) -> None:
        assert waits(timedelta(0), timedelta(seconds=-5), timedelta(milliseconds=400)).counts == {0: 3}

    def test_of_one_are_its_length(self) -> None:
        found = waits(timedelta(hours=5)).quantile(0.95)
        assert found is not None
        assert abs(found - timedelta(hours=5)) < timedelta(minutes=15)


class TestAPoll:
    def test_that_changes_nothing_adds_nothing(self) -> None:
        assert tally() == EMPTY_HOUR

    def test_counts_what_is_new(self) -> None:
        assert tally(review("a"), review("b")) == Hour(came=2, waiting=7)

    def test_counts_what_is_new_when_its_wait_began(self) -> None:
        run = review("a", added_at=NOON - 3 * HOUR, first_seen_at=NOON)
        memory = Memory(baselined=True, reviews=(), completed_at=NOON - 5 * HOUR)
        found = tallied([run], memory, PLAINLY, waiting=1, now=NOON, ahead=timedelta(0)).hours
        assert found == {NOON: Hour(waiting=1), NOON - 3 * HOUR: Hour(came=1)}

    def test_counts_what_has_an_old_date_after_the_last_listing_which_did_not_show_it(self) -> None:
        run = review("a", added_at=NOON - 30 * DAY, first_seen_at=NOON)
        assert tally(run, completed_at=NOON) == Hour(came=1, waiting=7)

    def test_counts_nothing_that_was_there_at_the_first_sight(self) -> None:
        memory = Memory(baselined=False, reviews=())
        found = tallied([review("a")], memory, PLAINLY, waiting=1, now=NOON, ahead=timedelta(0)).hours
        assert found == {NOON: Hour(waiting=1)}

    def test_counts_what_came_while_the_first_sight_is_held(self) -> None:
        memory = Memory(baselined=False, reviews=(review("old"),), completed_at=KNOWN)
        found = tallied([review("a")], memory, PLAINLY, waiting=1, now=NOON, ahead=timedelta(0)).hours
        assert found[NOON].came == 1

    def test_measures_what_left(self) -> None:
        before = review("a", added_at=NOON - 2 * HOUR)
        left = waits(2 * HOUR)
        expected = Hour(unknown=1, waiting=7, first=left, last=left, first_wall=left, last_wall=left)
        assert tally(closed(before), before=(before,)) == expected

    def test_measures_in_open_time_beside_the_time_that_passes(self) -> None:
        # From Friday 16:00 to Monday 12:00: four hours that count.
        before = review("a", added_at=NOON - 2 * DAY - 20 * HOUR)
        found = tally(closed(before), before=(before,), measure=Measure(WORKING, 4 * HOUR))
        assert (found.first, found.first_wall, found.late) == (waits(4 * HOUR), waits(2 * DAY + 20 * HOUR), 1)
        assert tally(closed(before), before=(before,), measure=Measure(WORKING, 5 * HOUR)).late == 0

    def test_measures_the_first_of_several_reviews_by_itself(self) -> None:
        before = review("a", added_at=NOON - HOUR)
        once = replace(before, done=1)
        found = tally(once, before=(before,))
        assert (found.first, found.last, found.left) == (waits(HOUR), Waits(), 0)
        assert tally(replace(once, done=2), before=(once,)).first == Waits()
        ended = tally(closed(once), before=(once,))
        assert (ended.first, ended.last, ended.unknown) == (Waits(), waits(HOUR), 1)

    def test_after_a_gap_does_not_know_how_long_what_left_had_waited(self) -> None:
        before = review("a", added_at=NOON - 9 * DAY)
        found = tally(closed(before), before=(before,), completed_at=NOON - BLIND_AFTER - SECOND)
        assert found == Hour(unknown=1, waiting=7)

    def test_takes_back_that_a_stay_ended_which_goes_on(self) -> None:
        before = review("a", added_at=NOON - 2 * HOUR, closed_at=NOON - HOUR, fate=Fate.REVIEWED)
        memory = Memory(baselined=True, reviews=(before,), completed_at=KNOWN)
        again = replace(before, closed_at=None, fate=None)
        found = tallied([again], memory, PLAINLY, waiting=1, now=NOON, ahead=timedelta(0)).hours
        assert found[NOON - HOUR].reviewed == -1
        assert with_change(Hour(reviewed=1, first=waits(HOUR), last=waits(HOUR)), found[NOON - HOUR]) == EMPTY_HOUR

    def test_takes_a_run_by_another_id_for_the_same_stay(self) -> None:
        before = review("a", first_seen_at=NOON - DAY, added_at=NOON - DAY)
        twin = replace(before, queue_run_id=review("b").queue_run_id)
        assert tally(twin, closed(before), before=(before,)) == Hour(waiting=7)

    def test_counts_what_is_back_as_left_and_come(self) -> None:
        before = review("a", added_at=NOON - DAY, first_seen_at=NOON - DAY)
        found = tally(review("a", added_at=NOON, back=True), closed(before), before=(before,))
        assert (found.came, found.unknown) == (1, 1)


class TestAFate:
    BEFORE = review("a", added_at=NOON - HOUR, closed_at=NOON)

    def corrected(self, before: Review, fate: Fate) -> Hour:
        return learned_hours([before], {before.queue_run_id: fate}, PLAINLY)[NOON]

    def test_moves_a_run_to_where_it_belongs(self) -> None:
        assert self.corrected(self.BEFORE, Fate.REVIEWED) == Hour(unknown=-1, reviewed=1)
        assert self.corrected(self.BEFORE, Fate.UNKNOWN) == EMPTY_HOUR

    def test_of_one_that_was_removed_takes_its_wait_away(self) -> None:
        left = waits(HOUR)
        hour = Hour(unknown=1, first=left, last=left, first_wall=left, last_wall=left)
        assert with_change(hour, self.corrected(self.BEFORE, Fate.REMOVED)) == Hour(removed=1)

    def test_of_one_that_was_reviewed_once_leaves_that(self) -> None:
        left = waits(HOUR)
        hour = Hour(unknown=1, first=left, last=left, first_wall=left, last_wall=left)
        before = replace(self.BEFORE, done=1)
        after = with_change(hour, self.corrected(before, Fate.REMOVED))
        assert after == Hour(removed=1, first=left, first_wall=left)


class TestHours:
    HOURS = {  # noqa: RUF012  it is only read
        NOON: Hour(came=3, reviewed=2, waiting=5, overdue=1),
        NOON + HOUR: Hour(came=1),
        NOON + 2 * HOUR: Hour(came=4, reviewed=6, waiting=0, overdue=0),
    }

    def test_sum_up_to_one(self) -> None:
        assert total(self.HOURS.values()) == Hour(came=8, reviewed=8, waiting=0, overdue=0)

    def test_of_which_the_last_was_not_seen_keep_the_last_look(self) -> None:
        assert total([*self.HOURS.values(), Hour(came=1)]).waiting == 0

    def test_make_days_of_a_zone(self) -> None:
        far = ZoneInfo("Pacific/Kiritimati")  # 14 hours ahead
        hours = {NOON - 3 * HOUR: Hour(came=1, waiting=1), NOON: Hour(came=2, waiting=2)}
        assert by_day(hours, far) == {date(2026, 3, 2): hours[NOON - 3 * HOUR], date(2026, 3, 3): hours[NOON]}

    def test_make_a_week_that_knows_its_gaps(self) -> None:
        week = by_week(self.HOURS, UTC)
        assert week[0][12:15] == (Cell(3, 2, 1), Cell(1, 0, 0), Cell(4, 6, 1))
        assert week[6][0] == Cell()

    @pytest.mark.parametrize("at", [NOON, NOON + 59 * MINUTE, (NOON + MINUTE).astimezone(ZoneInfo("Asia/Kolkata"))])
    def test_begin_at_full_hours_of_utc(self, at: datetime) -> None:
        assert hour_of(at) == NOON

    def test_say_which_share_was_late(self) -> None:
        assert Hour(late=1, first=waits(HOUR, HOUR, DAY, DAY)).overdue_share == 0.25
        assert EMPTY_HOUR.overdue_share is None


class TestMarks:
    NOW = QueueTotals(waiting=5, stale=2)

    def test_the_first_poll_of_an_hour_says_what_waited_when_the_last_one_ended(self) -> None:
        mark = Hour(waiting=5, overdue=2)
        assert marks(NOON + MINUTE, NOON - MINUTE, self.NOW) == {NOON: mark, NOON - HOUR: mark}

    @pytest.mark.parametrize("before", [None, NOON - HOUR - MINUTE, NOON + SECOND])
    def test_of_an_hour_without_a_poll_it_says_nothing(self, before: datetime | None) -> None:
        assert marks(NOON + MINUTE, before, self.NOW) == {NOON: Hour(waiting=5, overdue=2)}


class TestFilters:
    BEFORE = review("a", added_at=NOON - HOUR)

    def changed(self, news: Review, before: Review) -> dict[datetime, Hour]:
        memory = Memory(baselined=True, reviews=(before,), completed_at=KNOWN)
        return dict(tallied([news], memory, PLAINLY, waiting=7, now=NOON, ahead=timedelta(0)).hours)

    def test_a_run_that_is_left_out_from_now_on_never_came(self) -> None:
        hidden = replace(self.BEFORE, left_out="only.tags")
        assert self.changed(hidden, self.BEFORE)[NOON - HOUR].came == -1
        assert self.changed(self.BEFORE, hidden)[NOON - HOUR].came == 1

    def test_a_run_that_was_left_out_and_has_gone_counts_for_nothing(self) -> None:
        hidden = replace(self.BEFORE, left_out="only.tags")
        assert self.changed(closed(hidden), hidden).keys() == {NOON}
        assert learned_hours([closed(hidden)], {hidden.queue_run_id: Fate.REVIEWED}, PLAINLY) == {}

    def test_a_review_that_was_closed_before_and_still_is_changes_nothing(self) -> None:
        gone = closed(self.BEFORE)
        assert self.changed(replace(gone, fate=Fate.REVIEWED), gone).keys() == {NOON}


def test_a_removed_stay_that_goes_on_was_not_removed() -> None:
    before = review("a", added_at=NOON - 2 * HOUR, closed_at=NOON - HOUR, fate=Fate.REMOVED)
    memory = Memory(baselined=True, reviews=(before,), completed_at=KNOWN)
    again = replace(before, closed_at=None, fate=None)
    found = tallied([again], memory, PLAINLY, waiting=1, now=NOON, ahead=timedelta(0)).hours
    assert found[NOON - HOUR] == Hour(removed=-1)
