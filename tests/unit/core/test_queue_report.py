"""What is reported of a queue, from its hours and from what waits now."""

from __future__ import annotations

import dataclasses
from datetime import UTC, date
from zoneinfo import ZoneInfo

import pytest
from msgspec.structs import replace

from tests.support.builders import DAY, HOUR, MINUTE, NOON, queue
from worker.core.calendar import ALWAYS_OPEN, Calendar
from worker.core.history import EMPTY_HOUR, Hour, Waits, bucket_of
from worker.core.model import QueueTotals
from worker.core.queue_report import (
    Period,
    QueueReport,
    due_period,
    last_days,
    posted_text,
    report_key,
    report_title,
    sentences,
)

AUCKLAND, BERLIN = ZoneInfo("Pacific/Auckland"), ZoneInfo("Europe/Berlin")
WORKING = Calendar(UTC, (2026, 2026), hours=(((9 * HOUR, 17 * HOUR),),) * 5 + ((),) * 2)
TODAY = last_days(1, NOON, UTC)
BEGIN = TODAY.begin
WAITED = sum((Waits({bucket_of(MINUTE * each): 1}) for each in (20, 40, 40, 600)), Waits())


def report(
    *hours: Hour, now: QueueTotals | None = None, calendar: Calendar = ALWAYS_OPEN, name: str = "Support QA"
) -> QueueReport:
    """The report of a day: hour by hour from its begin, then hours in which a poll was complete and nothing came."""
    quiet = [Hour(waiting=0)] * (24 - len(hours))
    known = {BEGIN + HOUR * number: hour for number, hour in enumerate([*hours, *quiet])}
    return QueueReport.of(queue(name), TODAY, known, now or QueueTotals(), calendar)


def said(*hours: Hour, now: QueueTotals | None = None, calendar: Calendar = ALWAYS_OPEN) -> list[str]:
    return list(sentences(report(*hours, now=now, calendar=calendar)))


@pytest.mark.parametrize(
    ("hour", "sentence"),
    [
        (Hour(waiting=0), "0 runs came, 0 were reviewed."),
        (Hour(came=1, reviewed=1, waiting=0), "1 run came, 1 was reviewed."),
        (Hour(came=9, reviewed=2, removed=3, waiting=4), "9 runs came, 2 were reviewed, 3 removed unreviewed."),
        (Hour(came=9, unknown=5, waiting=4), "9 runs came, 0 were reviewed, 5 left, reviewed or removed."),
    ],
)
def test_what_came_and_left_is_one_sentence(hour: Hour, sentence: str) -> None:
    assert said(hour)[0] == sentence


def test_without_a_review_there_is_no_sentence_on_waits() -> None:
    assert said(Hour(waiting=0)) == ["0 runs came, 0 were reviewed.", "None waits now."]


def test_waits_are_said_with_the_share_that_was_overdue_by_then() -> None:
    (_, plain, _) = said(Hour(first=WAITED, waiting=0))
    assert plain.startswith("The first review came after 38 min for half of them, within 10 h")
    assert plain.endswith(" for 95 of 100. 0% were overdue by then.")
    (_, late, _) = said(Hour(first=WAITED, late=1, waiting=0), calendar=WORKING)
    assert late.endswith(" for 95 of 100 (open time). 25% were overdue by then.")


@pytest.mark.parametrize(
    ("now", "sentence"),
    [
        (QueueTotals(waiting=1), "1 waits now."),
        (QueueTotals(waiting=3, stale=2), "3 wait now, 2 overdue."),
        (QueueTotals(waiting=1, oldest_since=NOON - DAY), "1 waits now, the oldest since Sun 1 Mar 12:00."),
    ],
)
def test_what_waits_now_is_one_sentence(now: QueueTotals, sentence: str) -> None:
    assert said(now=now) == ["0 runs came, 0 were reviewed.", sentence]


def test_hours_without_a_complete_poll_are_no_quiet_hours() -> None:
    assert said(EMPTY_HOUR)[-1].startswith("In 1 of the 24 hours no poll was complete: ")
    some = said(EMPTY_HOUR, EMPTY_HOUR)
    assert some[-1] == "In 2 of the 24 hours no poll was complete: what came and left then may be missing."
    assert said(*[EMPTY_HOUR] * 24)[-1] == "In 24 of the 24 hours no poll was complete: nothing is known."


def test_the_message_has_the_hour_in_which_most_came() -> None:
    quiet, busy = Hour(came=1, waiting=1), Hour(came=3, waiting=3)
    lines = posted_text(report(quiet, busy, busy)).split("\n")
    assert lines == [
        "Support QA: Sun 1 Mar to Mon 2 Mar",
        "7 runs came, 0 were reviewed.",
        "None waits now.",
        "Most came on Sun from 14:00 to 15:00: 3.",
    ]
    assert posted_text(report(quiet)).endswith("None waits now.")


def test_the_busiest_hour_ends_a_day_at_midnight() -> None:
    last = [Hour(waiting=0)] * 10 + [Hour(came=2, waiting=2)]
    assert posted_text(report(*last)).endswith("Most came on Sun from 23:00 to 00:00: 2.")


def test_a_queue_without_a_name_is_called_by_its_id() -> None:
    found = report(name="\u202e\n")
    assert report_title(found) == f"{found.queue.queue_id}: Sun 1 Mar to Mon 2 Mar"


def test_a_period_has_whole_hours_and_days_as_people_count_them() -> None:
    week = last_days(7, NOON + MINUTE, BERLIN)
    assert (week.end, week.days, week.day) == (NOON + HOUR, 7, date(2026, 3, 2))
    assert replace(week, begin=week.end - HOUR).days == 1
    # The night on which clocks are put forward.
    assert last_days(1, NOON.replace(day=29), BERLIN).days == 1


def test_every_day_is_there_and_those_without_a_poll_hold_nothing() -> None:
    week = last_days(7, NOON, UTC)
    found = QueueReport.of(queue(), week, {NOON: Hour(came=2, waiting=1)}, QueueTotals(), ALWAYS_OPEN)
    assert [day for day, _ in found.days] == [date(2026, 2, 23 + number) for number in range(6)] + [
        date(2026, 3, 1),
        date(2026, 3, 2),
    ]
    assert [hour.came for _, hour in found.days] == [0] * 7 + [2]
    assert (found.seen, found.hours, found.is_open_time) == (1, 168, False)


def test_hours_outside_the_period_do_not_count() -> None:
    known = {TODAY.begin - HOUR: Hour(came=1, waiting=1), TODAY.end: Hour(came=1, waiting=1)}
    assert QueueReport.of(queue(), TODAY, known, QueueTotals(), ALWAYS_OPEN).sum == EMPTY_HOUR


def test_a_report_is_due_at_its_time_for_the_time_since_the_one_before() -> None:
    times = tuple((9 * HOUR,) if day < 5 else () for day in range(7))
    due_at, period = due_period(WORKING, times, NOON)
    assert due_at == NOON.replace(hour=9)
    assert (period.begin, period.end) == (NOON.replace(month=2, day=27, hour=9), due_at)
    assert due_period(WORKING, times, due_at)[0] == due_at


def test_one_report_has_one_key_whoever_asks_for_it() -> None:
    key = report_key(queue().queue_id, TODAY)
    assert key == report_key(queue().queue_id, replace(TODAY, begin=TODAY.begin + HOUR))
    assert key != report_key(queue().queue_id, last_days(7, NOON, UTC))
    assert key != report_key(queue().queue_id, last_days(1, NOON + DAY, UTC))
    assert key != report_key(queue("Search").queue_id, TODAY)


def test_days_and_hours_are_those_of_the_queues_zone() -> None:
    day = last_days(1, NOON, AUCKLAND)
    now = QueueTotals(waiting=1, oldest_since=NOON)
    found = QueueReport.of(queue(), day, {NOON: Hour(came=2, waiting=1)}, now, ALWAYS_OPEN)
    assert report_title(found) == "Support QA: Mon 2 Mar to Tue 3 Mar"
    assert [(day, hour.came) for day, hour in found.days] == [(date(2026, 3, 2), 0), (date(2026, 3, 3), 2)]
    assert found.week[1][1].came == 2
    assert "the oldest since Tue 3 Mar 01:00." in posted_text(found)
    assert due_period(dataclasses.replace(WORKING, zone=AUCKLAND), ((9 * HOUR,),) * 7, NOON)[1].zone is AUCKLAND


def test_a_period_that_ends_at_midnight_has_no_part_of_the_next_day() -> None:
    day = last_days(1, NOON.replace(hour=23), UTC)
    found = QueueReport.of(queue(), day, {}, QueueTotals(), ALWAYS_OPEN)
    assert report_title(found) == "Support QA: Mon 2 Mar to Mon 2 Mar"
    assert [day for day, _ in found.days] == [date(2026, 3, 2)]


def test_of_hours_in_which_as_many_came_the_first_of_the_week_is_named() -> None:
    week = last_days(7, NOON, UTC)
    busy = Hour(came=3, waiting=3)
    known = dict.fromkeys([NOON - 3 * DAY - 5 * HOUR, NOON - 4 * DAY + HOUR, NOON - 4 * DAY + 3 * HOUR], busy)
    found = QueueReport.of(queue(), week, known, QueueTotals(), ALWAYS_OPEN)
    assert posted_text(found).endswith("Most came on Thu from 13:00 to 14:00: 3.")


def test_of_many_waits_one_that_was_long_is_not_within_95_of_100() -> None:
    many = Waits({bucket_of(20 * MINUTE): 39, bucket_of(DAY): 1})
    (_, sentence, _) = said(Hour(first=many, waiting=0))
    assert sentence.startswith("The first review came after 19 min for half of them, within 20 min for 95 of 100.")


def test_a_report_of_a_part_of_a_day_names_its_hours() -> None:
    morning = Period(NOON - 3 * HOUR, NOON, BERLIN)
    found = QueueReport.of(queue(), morning, {}, QueueTotals(), ALWAYS_OPEN)
    assert report_title(found) == "Support QA: Mon 2 Mar 10:00 to Mon 2 Mar 13:00"
