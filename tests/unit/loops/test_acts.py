"""Acts of people, in a worker that polls, posts and edits: what they hold, how they end, and what messages show."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import pytest

from tests.support.acting import ADA, an_act, do
from tests.support.builders import DAY, HOUR, MINUTE, SECOND, queue, queue_run
from tests.support.office import FRIDAY, MONDAY, SUPPORT, a_worker, at, kinds, office
from tests.support.whole_worker import rules_by
from worker.core.actions import Act, Refusal
from worker.core.model import Kind

if TYPE_CHECKING:
    from datetime import datetime

    from tests.support.whole_worker import Worker
    from worker.core.message import Line

LADDER = {"stale_after": 2 * HOUR, "remind_every": DAY, "escalate_after": None, "announce_every": 0 * HOUR}


def act(worker: Worker, act: Act, name: str | None = "a", *, until: datetime | None = None) -> Refusal | None:
    now = worker.clock.now()
    return do(worker.kept, an_act(act, ADA, name, until=until or now + DAY), now).refusal


def line(worker: Worker, place: int = -1) -> Line:
    """The first line of a message, as it stands in the channel."""
    return worker.notifier.board[place].lines[0]


def an_announced_run(**settings: object) -> Worker:
    worker = a_worker(**{**LADDER, **settings})  # type: ignore[arg-type]
    worker.show("a")
    worker.tick()
    return worker


class TestAClaim:
    def test_is_shown_within_two_seconds_also_right_after_another_edit(self) -> None:
        worker = an_announced_run()
        act(worker, Act.CLAIM)
        worker.send()
        assert line(worker).claimed_by == "Ada"
        worker.clock.advance(2 * SECOND)
        act(worker, Act.GIVE_BACK)
        worker.send()
        assert line(worker).claimed_by == ""
        assert kinds(worker) == ["announcement"]

    def test_is_shown_at_once_outside_hours_too(self) -> None:
        worker = an_announced_run()
        worker.until(at(3, 6, "22:00"), HOUR)
        act(worker, Act.CLAIM, until=MONDAY + DAY)
        worker.send()
        assert line(worker).claimed_by == "Ada"

    def test_that_lapses_shows_who_had_it_and_leads_to_one_reminder(self) -> None:
        worker = an_announced_run()
        act(worker, Act.CLAIM, until=FRIDAY + 3 * HOUR)
        worker.wait(3 * HOUR - MINUTE)
        assert kinds(worker) == ["announcement"]
        worker.wait(2 * MINUTE)
        assert kinds(worker) == ["announcement", "reminder"]
        assert (line(worker, 0).claimed_by, line(worker, 0).had_by) == ("", "Ada")
        worker.wait(HOUR)
        assert kinds(worker) == ["announcement", "reminder"]

    def test_that_comes_while_a_reminder_waits_withdraws_it(self) -> None:
        worker = an_announced_run()
        worker.wait(2 * HOUR - MINUTE)
        worker.clock.advance(2 * MINUTE)
        worker.poll(queue(SUPPORT))
        act(worker, Act.CLAIM, until=MONDAY)
        worker.send()
        assert kinds(worker) == ["announcement"]
        assert worker.deliveries()[-1].last_error.startswith("every run was taken")

    @pytest.mark.parametrize("act_first", [Act.CLAIM, Act.SNOOZE])
    def test_that_has_withdrawn_a_reminder_leads_to_it_at_its_end(self, act_first: Act) -> None:
        worker = an_announced_run()
        worker.wait(2 * HOUR - MINUTE)
        worker.clock.advance(2 * MINUTE)
        worker.poll(queue(SUPPORT))
        act(worker, act_first, until=worker.clock.now() + 30 * MINUTE)
        worker.send()
        assert (kinds(worker), worker.review("a").reminded) == (["announcement"], 0)
        worker.wait(29 * MINUTE)
        assert kinds(worker) == ["announcement"]
        worker.wait(2 * MINUTE)
        assert (kinds(worker), worker.review("a").reminded) == (["announcement", "reminder"], 1)

    def test_ends_where_the_run_is_reserved_at_the_source(self) -> None:
        worker = an_announced_run()
        act(worker, Act.CLAIM)
        worker.source.show(queue(SUPPORT), queue_run("a", added_at=worker.held()[0].added_at, reserved=True))
        worker.tick()
        worker.wait(MINUTE)
        assert (line(worker).claimed_by, line(worker).had_by, line(worker).reserved) == ("", "", True)


class TestASnooze:
    @pytest.mark.parametrize(
        ("until", "ends_at"),
        [
            pytest.param(FRIDAY + 3 * HOUR, FRIDAY + 3 * HOUR, id="a snooze that ends within hours"),
            pytest.param(at(3, 6, "22:00"), MONDAY, id="a snooze that ends outside hours"),
            pytest.param(at(3, 7, "12:00"), MONDAY, id="a snooze that ends on a weekend"),
        ],
    )
    def test_is_silence_until_then_and_then_one_message(self, until: datetime, ends_at: datetime) -> None:
        worker = an_announced_run()
        act(worker, Act.SNOOZE, until=until)
        worker.until(ends_at - MINUTE, 5 * MINUTE)
        assert kinds(worker) == ["announcement"]
        worker.wait(2 * MINUTE)
        worker.wait(3 * HOUR, 10 * MINUTE)
        assert kinds(worker) == ["announcement", "reminder"]

    def test_a_snooze_that_ends_on_a_new_holiday_waits_for_the_next_opening(self) -> None:
        worker = an_announced_run()
        act(worker, Act.SNOOZE, until=MONDAY)
        worker.rules[SUPPORT] = rules_by(office(closed={date(2026, 3, 9)}), **LADDER)
        worker.restart()
        worker.until(MONDAY + DAY - MINUTE, 30 * MINUTE)
        assert kinds(worker) == ["announcement"]
        worker.wait(2 * MINUTE)
        assert kinds(worker) == ["announcement", "reminder"]

    def test_a_snooze_that_ends_after_the_queue_was_muted_leads_to_one_message_at_the_end_of_the_mute(self) -> None:
        worker = an_announced_run()
        act(worker, Act.SNOOZE, until=FRIDAY + HOUR)
        act(worker, Act.MUTE, None, until=FRIDAY + 3 * HOUR)
        worker.wait(3 * HOUR - MINUTE)
        assert kinds(worker) == ["announcement"]
        worker.wait(2 * MINUTE)
        worker.wait(HOUR)
        assert kinds(worker) == ["announcement", "reminder"]


class TestAMute:
    def test_holds_posts_while_edits_go_on_and_leads_to_one_message(self) -> None:
        worker = an_announced_run()
        act(worker, Act.MUTE, None, until=FRIDAY + 3 * HOUR)
        worker.wait(HOUR)
        worker.show("b", "c")
        worker.wait(HOUR + 30 * MINUTE)
        assert kinds(worker) == ["announcement"]
        # What is new has entered the message that is up, and what was reviewed is struck out there.
        assert [each.fate is not None for each in worker.notifier.board[0].lines] == [False, False, True]
        worker.wait(31 * MINUTE)
        assert [(message.kind, message.total) for _, message in worker.posts[1:]] == [(Kind.REMINDER, 2)]

    def test_lets_what_is_new_enter_the_message_that_is_up(self) -> None:
        worker = an_announced_run(announce_every=HOUR)
        act(worker, Act.MUTE, None, until=FRIDAY + 8 * HOUR)
        worker.show("a", "b")
        worker.tick()
        assert len(worker.notifier.board[0].lines) == 2

    def test_is_broken_through_by_an_escalation(self) -> None:
        worker = an_announced_run(escalate_after=3 * HOUR)
        act(worker, Act.MUTE, None, until=MONDAY)
        worker.wait(3 * HOUR + MINUTE)
        assert kinds(worker) == ["announcement", "escalation"]

    def test_that_is_taken_back_lets_go_of_what_it_held_at_the_next_poll(self) -> None:
        worker = an_announced_run()
        act(worker, Act.MUTE, None, until=MONDAY)
        worker.wait(3 * HOUR)
        assert kinds(worker) == ["announcement"]
        act(worker, Act.UNMUTE, None)
        worker.wait(2 * MINUTE)
        assert kinds(worker) == ["announcement", "reminder"]

    def test_holds_what_was_owed_before_it(self) -> None:
        worker = a_worker(**LADDER)
        worker.show("a")
        worker.poll(queue(SUPPORT))
        act(worker, Act.MUTE, None, until=FRIDAY + HOUR)
        worker.send()
        assert kinds(worker) == []
        worker.show("a", "b")
        worker.wait(HOUR)
        assert [(message.kind, message.total) for _, message in worker.posts] == [(Kind.ANNOUNCEMENT, 2)]

    def test_that_ends_leads_to_one_message_also_of_what_was_owed_before_it(self) -> None:
        worker = a_worker(**LADDER)
        worker.show("a")
        worker.wait(2 * HOUR - MINUTE)
        worker.show("a", "b")
        worker.poll(queue(SUPPORT))
        act(worker, Act.MUTE, None, until=FRIDAY + 3 * HOUR)
        worker.wait(3 * HOUR - (worker.clock.now() - FRIDAY) - MINUTE)
        assert kinds(worker) == ["announcement"]
        worker.wait(2 * MINUTE)
        worker.wait(30 * MINUTE)
        assert [(message.kind, message.total) for _, message in worker.posts[1:]] == [(Kind.ANNOUNCEMENT, 2)]


def test_a_kill_between_the_write_and_the_edit_loses_neither() -> None:
    worker = an_announced_run()
    act(worker, Act.CLAIM)
    worker.restart()
    worker.send()
    assert line(worker).claimed_by == "Ada"


def test_a_press_for_a_run_that_was_re_added_is_on_the_new_stay() -> None:
    worker = an_announced_run()
    worker.show()
    worker.tick()
    worker.wait(HOUR)
    worker.show("a")
    worker.tick()
    assert act(worker, Act.CLAIM) is None
    worker.send()
    assert (line(worker, 0).fate is not None, line(worker, 0).claimed_by, line(worker).claimed_by) == (True, "", "Ada")
