"""Laws of calendars, tried beside an oracle that looks at each minute's time on the clock."""

from __future__ import annotations

from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.core.hours import CALENDARS, MINUTE, Given
from worker.core.owed import NEVER

if TYPE_CHECKING:
    from datetime import datetime

    from worker.core.calendar import Times

pytestmark = pytest.mark.together  # each calendar's minutes are counted once

ZERO = timedelta(0)
MICROSECOND = timedelta(microseconds=1)

every_calendar = st.sampled_from(CALENDARS)


def spans(most: timedelta) -> st.SearchStrategy[timedelta]:
    """Of one draw, where hypothesis' own takes three."""
    return st.integers(0, most // MICROSECOND).map(lambda number: MICROSECOND * number)


fractions = st.one_of(st.just(ZERO), spans(MINUTE - MICROSECOND))


@cache
def instants(of: Given) -> st.SearchStrategy[datetime]:
    """Many of them at an opening or a closing, where mistakes are made."""
    edge = st.sampled_from(of.edges)
    number = st.one_of(st.integers(0, of.minutes - 1), edge, edge.map(_before))
    return st.builds(lambda number, more: of.first + MINUTE * number + more, number, fractions)


def _before(number: int) -> int:
    return number - 1


def ages() -> st.SearchStrategy[timedelta]:
    """Whole hours among them: then something comes exactly at closing."""
    hours = st.integers(0, 80).map(lambda number: timedelta(minutes=30 * number))
    return st.one_of(hours, spans(timedelta(days=6)))


@pytest.mark.parametrize("of", CALENDARS, ids=lambda of: of.name)
def test_every_minute_is_open_and_may_be_posted_in_where_the_clock_says_so(of: Given) -> None:
    calendar = of.calendar
    every = [of.first + MINUTE * number for number in range(of.minutes)]
    assert [calendar.is_open(at) for at in every] == list(of.is_open)
    assert [calendar.may_post(at) for at in every] == list(of.may_post)


@pytest.mark.parametrize("of", CALENDARS, ids=lambda of: of.name)
def test_openings_closings_and_the_next_post_are_where_the_minutes_say(of: Given) -> None:
    calendar = of.calendar
    opening = closing = posting = None
    for number in range(of.minutes - 1, 0, -1):
        at = of.first + MINUTE * number
        posting = at if of.may_post[number] else posting
        if opening:
            assert calendar.next_opening(at) == opening
        if closing:
            assert calendar.next_closing(at) == closing
        if posting:
            assert calendar.opens(at) == posting
        if of.is_open[number] and not of.is_open[number - 1]:
            opening = at
        if not of.is_open[number] and of.is_open[number - 1]:
            closing = at
    assert opening
    assert closing


@given(st.data())
def test_an_age_is_what_the_open_minutes_add_up_to(data: st.DataObject) -> None:
    of = data.draw(every_calendar)
    since, at = data.draw(instants(of)), data.draw(instants(of))
    assert of.calendar.age(since, at) == of.age(since, at)


@given(st.data(), ages())
def test_later_is_when_the_open_minutes_add_up_to_the_age(data: st.DataObject, age: timedelta) -> None:
    of = data.draw(every_calendar)
    since = data.draw(instants(of))
    expected = of.later(since, age)
    found = of.calendar.later(since, age)
    assert found == expected if expected else found >= of.last


@given(st.data(), ages())
def test_later_and_age_are_inverses(data: st.DataObject, age: timedelta) -> None:
    of = data.draw(every_calendar)
    since = data.draw(instants(of))
    later = of.calendar.later(since, age)
    assert of.calendar.age(since, later) == age
    assert of.calendar.is_open(later)
    at = data.draw(instants(of))
    if at >= since and of.calendar.is_open(at):
        assert of.calendar.later(since, of.calendar.age(since, at)) == at


@given(st.data(), ages())
def test_what_waits_since_the_cut_off_or_before_is_so_old_and_nothing_else_is(
    data: st.DataObject, age: timedelta
) -> None:
    of = data.draw(every_calendar)
    at, since = data.draw(instants(of)), data.draw(instants(of))
    cut_off = of.calendar.cut_off(at, age)
    assert (since <= cut_off) == (of.calendar.age(since, at) >= age) or (not age and since > at)
    if age:
        assert of.calendar.age(cut_off, at) == age
        assert of.calendar.age(cut_off + MICROSECOND, at) < age


@given(st.data(), ages().filter(bool))
def test_between_the_cut_offs_all_is_exactly_so_old(data: st.DataObject, age: timedelta) -> None:
    of = data.draw(every_calendar)
    at, since = data.draw(instants(of)), data.draw(instants(of))
    first, last = of.calendar.cut_offs(at, age)
    assert last == of.calendar.cut_off(at, age)
    assert of.calendar.age(first, at) == of.calendar.age(last, at) == age
    assert of.calendar.age(first - MICROSECOND, at) > age
    assert (first <= since <= last) == (of.calendar.age(since, at) == age)


@given(st.data(), ages())
def test_time_runs_one_way(data: st.DataObject, age: timedelta) -> None:
    of = data.draw(every_calendar)
    since, one, other = (data.draw(instants(of)) for _ in range(3))
    first, second = sorted((one, other))
    calendar = of.calendar
    assert calendar.age(since, first) <= calendar.age(since, second)
    assert calendar.age(first, since) >= calendar.age(second, since)
    assert calendar.later(first, age) <= calendar.later(second, age)
    assert calendar.later(since, age) <= calendar.later(since, age + MICROSECOND)
    assert calendar.opens(first) <= calendar.opens(second)
    assert ZERO <= calendar.age(first, second) <= second - first


@given(st.data())
def test_what_may_be_posted_is_posted_in_open_time_and_at_once(data: st.DataObject) -> None:
    of = data.draw(every_calendar)
    at = data.draw(instants(of))
    opens = of.calendar.opens(at)
    assert of.calendar.may_post(opens)
    assert of.calendar.is_open(opens)
    assert (opens == at) == of.calendar.may_post(at)


@st.composite
def weekly_times(draw: st.DrawFn) -> Times:
    """Some of them in the small hours, when clocks are changed."""
    minutes = st.one_of(st.integers(0, 1439), st.integers(90, 180))
    of_a_day = st.lists(minutes, max_size=3, unique=True).map(
        lambda found: tuple(MINUTE * one for one in sorted(found))
    )
    return tuple(draw(st.lists(of_a_day, min_size=7, max_size=7)))


@given(st.data(), weekly_times())
def test_the_next_time_is_the_minute_in_which_the_clock_reaches_it_first(data: st.DataObject, times: Times) -> None:
    of = data.draw(every_calendar)
    at = data.draw(instants(of))
    expected = of.next_time(times, at)
    found = of.calendar.next_time(times, at)
    assert found == expected if expected else found >= of.last


@given(st.data())
def test_posting_begins_again_after_an_instant_and_not_before_that(data: st.DataObject) -> None:
    of = data.draw(every_calendar)
    at, between = data.draw(instants(of)), data.draw(instants(of))
    again = of.calendar.posting_again(at)
    assert again > at
    if again < NEVER:
        assert of.calendar.posting_since(again) == again
        assert of.calendar.may_post(again)
    if at <= between < again:
        assert of.calendar.posting_since(between) == of.calendar.posting_since(at)


@pytest.mark.parametrize("of", CALENDARS, ids=lambda of: of.name)
def test_what_holds_an_instant_or_was_the_last_before_it_began_where_the_minutes_say(of: Given) -> None:
    began = None
    for number in range(1, of.minutes):
        at = of.first + MINUTE * number
        if of.may_post[number] and not of.may_post[number - 1]:
            began = at
        if began:
            assert of.calendar.posting_since(at) == began
            assert of.calendar.posting_since(at + MINUTE - MICROSECOND) == began


@given(st.data(), weekly_times())
def test_the_last_time_is_the_latest_minute_in_which_the_clock_reached_one_first(
    data: st.DataObject, times: Times
) -> None:
    of = data.draw(every_calendar)
    at = data.draw(instants(of))
    found = of.calendar.last_time(times, at)
    expected = of.last_time(times, at)
    assert found == expected if expected else found < of.first + MINUTE


@given(st.data(), weekly_times())
def test_no_time_comes_between_the_last_and_the_next(data: st.DataObject, times: Times) -> None:
    of = data.draw(every_calendar)
    at = data.draw(instants(of))
    last, following = of.calendar.last_time(times, at), of.calendar.next_time(times, at + MICROSECOND)
    assert last <= at < following
    if any(times):
        assert of.calendar.next_time(times, last + MICROSECOND) == following
        assert of.calendar.last_time(times, following) == following
