"""When something is posted: the hard cases, each a sentence."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from tests.support.builders import CHANNEL, DAY, HOUR, LEADS, MINUTE, SECOND, pause, queue
from tests.support.office import FRIDAY, MONDAY, SATURDAY, SUPPORT, a_worker, at, kinds, office
from tests.support.whole_worker import Worker, rules_by
from tests.unit.core.hours import EASTER, EVERY_DAY, row
from worker.core.calendar import ALWAYS_OPEN
from worker.core.model import Kind
from worker.core.owed import EVERYWHERE, State
from worker.core.ports import Outcome, Trouble
from worker.notifiers.words import headline, note

if TYPE_CHECKING:
    from worker.core.calendar import Calendar
    from worker.core.owed import Delivery


class TestNewRunsOutsideHours:
    @pytest.mark.parametrize(
        ("arrives", "opens"),
        [
            pytest.param(at(3, 27, "17:00"), at(3, 30, "7:00"), id="clocks go forward while a run is held"),
            pytest.param(at(10, 23, "16:00"), at(10, 26, "8:00"), id="clocks go back while a run is held"),
        ],
    )
    def test_are_announced_at_the_opening(self, arrives: datetime, opens: datetime) -> None:
        worker = a_worker(arrives)
        worker.show(1)
        worker.until(opens + MINUTE, 30 * MINUTE)
        assert worker.posted() == [(opens, "announcement", 1)]

    def test_first_start_on_saturday_night_one_message_on_monday(self) -> None:
        worker = a_worker(SATURDAY, baselined=False)
        worker.show(1, 2)
        worker.wait(HOUR, 10 * MINUTE)
        worker.show(1, 2, 3)
        worker.until(MONDAY + HOUR, 10 * MINUTE)
        assert worker.posted() == [(MONDAY, "baseline", 3)]

    def test_one_that_leaves_and_comes_back_at_a_first_start_on_saturday_is_announced_once(self) -> None:
        worker = a_worker(SATURDAY, baselined=False)
        worker.show(1)
        worker.wait(MINUTE)
        (run,) = worker.held()
        worker.show()
        worker.wait(MINUTE)
        worker.source.show(queue(SUPPORT), run)
        worker.until(MONDAY - HOUR, HOUR)
        worker.wait(2 * HOUR)
        assert worker.poll.known.polled()[0].error == ""
        assert worker.posted() == [(MONDAY, "announcement", 1)]

    def test_everything_reviewed_while_held_silence_and_the_earlier_message_says_so(self) -> None:
        worker = a_worker()
        worker.show(1)
        worker.until(at(3, 6, "17:00"))
        worker.show(1, 2)
        worker.wait(HOUR)
        worker.show()
        worker.until(MONDAY + HOUR, 10 * MINUTE)
        assert worker.posted() == [(FRIDAY + MINUTE, "announcement", 1)]
        (message,) = worker.notifier.board
        assert (message.total, message.waiting) == (1, 0)

    def test_langsmith_down_at_the_opening_nothing_stale_is_posted(self) -> None:
        worker = a_worker(at(3, 6, "16:29"))
        worker.show(1, 2)
        worker.notifier.fail("send", Outcome.RETRY, retry_after=HOUR)
        worker.tick()
        worker.until(MONDAY - MINUTE, HOUR)
        worker.show(2)
        worker.source.fail(trouble=Trouble.UNREACHABLE, times=3)
        worker.until(MONDAY + 2 * MINUTE, 20 * SECOND)
        assert worker.posts == []
        worker.wait(HOUR)
        assert [(kind, total) for _, kind, total in worker.posted()] == [("announcement", 1)]

    def test_langsmith_down_for_hours_after_the_opening_few_lines_and_few_claims(self) -> None:
        worker = a_worker(at(3, 6, "16:29"))
        worker.show(1)
        worker.notifier.fail("send", Outcome.RETRY, retry_after=HOUR)
        worker.tick()
        worker.until(MONDAY - MINUTE, HOUR)
        worker.source.fail(trouble=Trouble.UNREACHABLE, times=1000)
        with capture_logs() as lines:
            worker.wait(2 * HOUR, 5 * SECOND)
        waits = [line["log_level"] for line in lines if line["event"] == "delivery_waits"]
        assert set(waits) == {"debug"}
        assert len(waits) < 150

    def test_an_opening_of_one_minute(self) -> None:
        calendar = office(row(range(1), "9:00", "9:01"))
        worker = a_worker(calendar=calendar, stale_after=30 * SECOND)
        worker.show(1, 2)
        worker.until(at(3, 17), 20 * MINUTE)
        assert worker.posted() == [(MONDAY, "announcement", 2), (MONDAY + 7 * DAY, "reminder", 2)]

    def test_a_queue_whose_calendar_is_closed_all_week(self) -> None:
        week = frozenset(date(2026, 3, day) for day in range(9, 14))
        worker = a_worker(calendar=office(closed=week), stale_after=2 * HOUR, escalate_after=DAY)
        worker.until(at(3, 6, "17:00"), HOUR)
        worker.show(1)
        worker.until(at(3, 14), HOUR)
        assert worker.posts == []
        worker.until(MONDAY + 7 * DAY, HOUR)
        assert worker.posted() == [(MONDAY + 7 * DAY, "announcement", 1)]


def test_a_run_that_came_between_two_attempts_to_post_its_host_enters_it_as_soon_as_it_is_posted() -> None:
    worker = a_worker(announce_every=4 * HOUR)
    worker.notifier.fail("send", Outcome.UNKNOWN, times=4)
    worker.show(1)
    worker.tick()
    while worker.only().state is not State.PENDING:
        worker.wait(SECOND, SECOND)
    worker.show(1, 2)
    worker.poll(queue(SUPPORT))
    worker.wait(5 * MINUTE)
    assert [message.total for message in worker.notifier.board] == [2]


def test_a_baseline_says_which_of_its_runs_have_come_since() -> None:
    worker = a_worker(baselined=False, announce_every=4 * HOUR)
    worker.show(1)
    worker.tick()
    assert note(worker.notifier.board[0]).startswith("These were waiting when this queue was first polled.")
    worker.show(1, 2)
    worker.tick()
    (message,) = worker.notifier.board
    assert headline(message) == "2 runs are waiting in Support QA"
    assert note(message) == "1 run came since this queue was first polled, the others were waiting then."


class TestTheLadder:
    def test_a_holiday_begins_while_a_run_is_stale_its_age_stands_still(self) -> None:
        worker = a_worker(
            at(4, 2, "10:30"),
            office(holidays=EASTER),
            stale_after=4 * HOUR,
            remind_every=4 * HOUR,
            escalate_after=8 * HOUR,
        )
        worker.show(1)
        worker.tick()
        worker.until(at(4, 7, "11:00"), 30 * MINUTE)
        assert worker.posted() == [
            (at(4, 2, "10:30"), "announcement", 1),
            (at(4, 2, "14:30"), "reminder", 1),
            (at(4, 7, "10:00"), "escalation", 1),
        ]

    def test_outage_over_several_openings_one_notice_the_highest(self) -> None:
        worker = a_worker(stale_after=2 * HOUR, remind_every=4 * HOUR, escalate_after=DAY)
        worker.show(1)
        worker.tick()
        worker.clock.advance(5 * DAY)  # no poll is complete
        worker.wait(10 * MINUTE)
        assert kinds(worker) == ["announcement", "escalation"]

    def test_outage_of_slack_over_several_openings_one_notice_the_highest(self) -> None:
        worker = a_worker(stale_after=2 * HOUR, remind_every=4 * HOUR, escalate_after=9 * HOUR)
        worker.show(1)
        worker.notifier.fail("send", Outcome.RETRY, retry_after=HOUR, times=10_000)
        worker.wait(4 * DAY, 30 * MINUTE)
        worker.notifier.heal()
        worker.wait(2 * HOUR)
        assert kinds(worker) == ["escalation"]

    @pytest.mark.parametrize(
        ("calendar", "settings"),
        [
            pytest.param(office(row(EVERY_DAY, "0:00", "12:00")), {}, id="calendar changed while runs wait"),
            pytest.param(office(zone="Asia/Kathmandu"), {}, id="zone changed while runs wait"),
            pytest.param(office(), {"stale_after": HOUR}, id="ladder shortened while runs wait"),
            pytest.param(office(), {"stale_after": None, "escalate_after": HOUR}, id="ladder changed while runs wait"),
        ],
    )
    def test_what_was_announced_is_not_announced_again_at_most_one_notice_becomes_due(
        self, calendar: Calendar, settings: Any
    ) -> None:
        worker = a_worker(stale_after=4 * HOUR, remind_every=None, escalate_after=9 * DAY)
        worker.show(1, 2)
        worker.wait(3 * HOUR)
        worker.rules[SUPPORT] = rules_by(calendar, remind_every=None, **{"stale_after": 4 * HOUR, **settings})
        worker.wait(3 * DAY, 10 * MINUTE)
        assert kinds(worker)[0] == "announcement"
        assert "announcement" not in kinds(worker)[1:]
        assert len(kinds(worker)) <= 2

    def test_escalate_outside_hours_at_any_time(self) -> None:
        worker = a_worker(escalate_after=DAY, escalate_to=LEADS, escalate_outside_hours=True, stale_after=None)
        worker.show(1)
        worker.tick()
        worker.wait(DAY + HOUR, 10 * MINUTE)
        assert [(when - FRIDAY, kind) for when, kind, _ in worker.posted()] == [
            (0 * HOUR, "announcement"),
            (DAY, "escalation"),
        ]


class TestTimesForReminders:
    MORNINGS = ((HOUR * 9,),) * 5 + ((),) * 2

    def test_remind_at_waits_and_shares_the_message(self) -> None:
        worker = a_worker(stale_after=2 * HOUR, escalate_after=4 * HOUR, remind_at=self.MORNINGS)
        worker.show(1)
        worker.wait(2 * HOUR)
        worker.show(1, 2)
        worker.until(MONDAY - MINUTE, 10 * MINUTE)
        before = len(worker.posts)
        worker.until(MONDAY + HOUR)
        assert [each for each in worker.posted()[before:] if each[0] >= MONDAY] == [(MONDAY, "escalation", 2)]

    @pytest.mark.parametrize("calendar", [office(), office(row(EVERY_DAY, "0:00", "23:59"))], ids=["office", "all day"])
    def test_repeats_once_a_day_come_daily_at_that_time(self, calendar: Calendar) -> None:
        worker = a_worker(at(3, 9, "9:00"), calendar, stale_after=2 * HOUR, remind_every=DAY, remind_at=self.MORNINGS)
        worker.rules[SUPPORT] = rules_by(
            calendar, stale_after=2 * HOUR, remind_every=calendar.usual_day, remind_at=self.MORNINGS
        )
        worker.show(1)
        for number in range(2, 14):  # whatever else happens
            worker.wait(8 * HOUR, 30 * MINUTE)
            worker.show(1, *range(100, 100 + number % 2))
        assert worker.called(1, Kind.REMINDER) == [at(3, day, "8:00") for day in (10, 11, 12, 13)]

    def test_joining_within_a_quarter(self) -> None:
        worker = a_worker(at(3, 9, "9:00"), stale_after=4 * HOUR)
        for number in range(1, 5):
            worker.show(*range(1, number + 1))
            worker.wait(20 * MINUTE)
        worker.show(1, 2, 3, 4, 5)
        worker.until(at(3, 9, "16:00"))
        reminders = [(when, total) for when, kind, total in worker.posted() if kind == "reminder"]
        assert reminders == [(at(3, 9, "13:00"), 4), (at(3, 9, "14:20"), 1)]

    @pytest.mark.parametrize(
        ("apart", "messages"),
        [
            pytest.param(90 * MINUTE, [2], id="within a quarter of it they are one message"),
            pytest.param(150 * MINUTE, [1, 1], id="later they are two"),
        ],
    )
    @pytest.mark.parametrize(
        ("settings", "kind", "hours"),
        [
            pytest.param({"remind_every": 8 * HOUR}, "reminder", (5, 12), id="repeats of reminders"),
            pytest.param({"escalate_after": 8 * HOUR}, "escalation", (5, 12), id="first escalations"),
            pytest.param(
                {"escalate_after": 4 * HOUR, "escalate_every": 8 * HOUR},
                "escalation",
                (8, 15),
                id="repeats of escalations",
            ),
        ],
    )
    def test_what_comes_apart_by(
        self, settings: dict[str, Any], kind: str, hours: tuple[int, int], apart: timedelta, messages: list[int]
    ) -> None:
        begin = at(3, 9, "9:00")
        ladder: dict[str, Any] = {"stale_after": HOUR, "remind_every": None, **settings}
        worker = a_worker(begin, ALWAYS_OPEN, **ladder)
        worker.show(1)
        worker.wait(apart)
        worker.show(1, 2)
        worker.until(begin + hours[1] * HOUR)
        found = [total for when, of, total in worker.posted() if of == kind and when >= begin + hours[0] * HOUR]
        assert found == messages


def test_what_entered_by_an_edit_before_the_closing_is_announced_at_the_opening_though_nothing_else_happens() -> None:
    worker = a_worker(at(3, 6, "16:00"), announce_every=4 * HOUR)
    worker.show(1)
    worker.tick()
    worker.show(1, 2)
    worker.tick()
    worker.until(MONDAY + HOUR, 10 * MINUTE)
    assert worker.posted()[1:] == [(MONDAY, "announcement", 1)]


class TestAnEditThatWasOwedAtTheClosing:
    CLOSES = at(3, 6, "16:30")

    def a_run_enters(self) -> Worker:
        """The second run came a minute before the closing, and Slack took the edit that shows it not in time."""
        worker = a_worker(self.CLOSES - 10 * MINUTE, announce_every=4 * HOUR)
        worker.show(1)
        worker.tick()
        worker.until(self.CLOSES - 2 * MINUTE)
        worker.notifier.fail("edit", Outcome.RETRY, retry_after=10 * MINUTE)
        worker.show(1, 2)
        worker.until(self.CLOSES + HOUR)
        assert worker.notifier.edits
        return worker

    def test_shows_no_new_run_before_the_opening(self) -> None:
        worker = self.a_run_enters()
        worker.until(MONDAY - MINUTE, 10 * MINUTE)
        assert [message.total for message in worker.notifier.board] == [1]
        worker.wait(2 * MINUTE)
        assert worker.posted()[1:] == [(MONDAY, "announcement", 1)]
        assert [message.total for message in worker.notifier.board] == [2, 1]

    @pytest.mark.parametrize("what", ["enters", "leaves"])
    def test_shows_no_new_run_that_came_while_another_edit_was_made(self, what: str) -> None:
        worker = a_worker(self.CLOSES - 10 * MINUTE, announce_every=4 * HOUR)
        worker.show(1)
        worker.tick()
        worker.until(self.CLOSES - MINUTE)

        def meanwhile() -> None:
            worker.notifier.meanwhile = None
            worker.clock.advance(SECOND)
            worker.show(*((1, 2, 3) if what == "enters" else (2, 3)))
            worker.poll(queue(SUPPORT))
            worker.clock.advance(MINUTE - SECOND)

        worker.notifier.meanwhile = meanwhile
        worker.show(1, 2)
        worker.tick()
        assert worker.clock.now() == self.CLOSES
        worker.until(self.CLOSES + HOUR)
        # What has left is ticked off at once, whatever has entered with it.
        assert [message.total for message in worker.notifier.board] == [2 if what == "enters" else 3]

    def test_goes_where_a_run_was_reviewed_meanwhile(self) -> None:
        worker = self.a_run_enters()
        worker.show(2)
        worker.wait(MINUTE)
        assert [(message.total, message.waiting) for message in worker.notifier.board] == [(2, 1)]


class TestNeverIntoTheNight:
    def held_over_night(self) -> tuple[Worker, Delivery]:
        worker = a_worker(at(3, 6, "16:29"))
        worker.store.pause(pause(EVERYWHERE, since=worker.clock.now(), until=at(3, 6, "18:00")))
        worker.show(1)
        worker.tick()
        return worker, worker.only()

    def test_a_pause_that_ends(self) -> None:
        worker, _ = self.held_over_night()
        worker.until(MONDAY - MINUTE, 10 * MINUTE)
        worker.wait(HOUR)
        assert worker.posted() == [(MONDAY, "announcement", 1)]

    def test_resume(self) -> None:
        worker, _ = self.held_over_night()
        worker.until(at(3, 6, "17:00"))
        worker.store.resume(EVERYWHERE)
        worker.store.resume(CHANNEL)
        worker.until(MONDAY + HOUR, 10 * MINUTE)
        assert worker.posted() == [(MONDAY, "announcement", 1)]

    def test_what_waits_for_a_poll_of_a_queue_that_is_polled_no_more_is_withdrawn_in_the_end(self) -> None:
        worker, _ = self.held_over_night()
        worker.deliver._may_poll = lambda _queue_id: False  # noqa: SLF001
        for minutes in (-30, 0, 30, 59):
            worker.clock.advance(MONDAY + minutes * MINUTE - worker.clock.now())
            worker.send()
            assert worker.only().state is State.PENDING
        worker.clock.advance(2 * MINUTE)
        worker.send()
        assert (worker.only().state, worker.posts) == (State.WITHDRAWN, [])
        assert "not polled any more" in worker.only().last_error
        # Nobody has heard of it: should the queue be polled again, it is new.
        worker.deliver._may_poll = lambda _queue_id: True  # noqa: SLF001
        worker.wait(2 * MINUTE)
        assert [kind for _, kind, _ in worker.posted()] == ["announcement"]

    def test_retry(self) -> None:
        worker = a_worker(at(3, 6, "16:20"))
        worker.notifier.fail("send", Outcome.MESSAGE, times=2)
        worker.show(1)
        worker.wait(5 * MINUTE)
        assert worker.only().state is State.DEAD
        worker.until(at(3, 6, "17:00"))
        assert worker.store.retry(worker.only().key, worker.clock.now())
        worker.until(MONDAY + HOUR, 10 * MINUTE)
        assert worker.posted() == [(MONDAY, "announcement", 1)]
