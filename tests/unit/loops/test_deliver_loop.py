"""The delivery loop: one claim at a time, each outcome with its treatment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs

from tests.support.builders import (
    CHANNEL,
    DAY,
    HOUR,
    LEADS,
    MINUTE,
    NOON,
    SECOND,
    ident,
    notice,
    queue,
    review,
    rules_with,
    to,
)
from tests.support.clock import FakeClock
from tests.support.fake_notifier import FakeNotifier
from tests.support.memory_store import MemoryStore
from tests.support.people import PAIR, person, rules_of_people, who
from tests.unit.loops.stage import OPS_CHANNEL, RULES, Stage
from worker.core.audience import Problem
from worker.core.calendar import Calendar
from worker.core.delivery import LEASE, START, OnUnknown
from worker.core.model import Kind, RemindIn
from worker.core.owed import EVERYWHERE, NEVER, State
from worker.core.ports import DeliveryError, Outcome, StoreError, always
from worker.core.text import marked_place
from worker.loops.incidents import MOST_A_DAY, Ops
from worker.loops.pauses import LOST_EVERYWHERE

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

    from worker.core.message import Message
    from worker.core.owed import Receipt

TICK = SECOND
SERVICE_TROUBLE = [Outcome.RETRY, Outcome.THROTTLED, Outcome.UNKNOWN]


def listed(message: Message) -> list[str]:
    return [line.facts.name for line in message.lines]


class Choosy(FakeNotifier):
    """Refuses some channels until it is told not to."""

    def __init__(self, refused: set[str]) -> None:
        super().__init__()
        self.refused = refused

    def send(self, message: Message, in_time: Callable[[], bool] = always) -> Receipt:
        if message.destination in self.refused:
            self.attempts.append(message)
            raise DeliveryError("not in the channel", Outcome.DESTINATION, code="not_in_channel")
        return super().send(message, in_time)


class TestAPost:
    """What is owed is posted once."""

    def test_is_made_and_settled(self) -> None:
        stage = Stage()
        stage.owe("a", "b")
        assert stage.run() == 1
        (message,) = stage.notifier.board
        assert (message.key, message.destination, listed(message)) == (ident("notice"), CHANNEL, ["b", "a"])
        sent = stage.only()
        assert (sent.state, sent.attempts, sent.settled_at) == (State.SENT, 1, NOON)
        assert sent.edit_until == NOON + 7 * DAY
        assert sent.digest == stage.notifier.fingerprint(message)

    def test_counts_all_that_waits_in_the_queue(self) -> None:
        stage = Stage()
        stage.owe("a", "b")
        stage.write(review("z", reserved=True, since=NOON - 5 * HOUR))
        stage.run()
        totals = stage.notifier.board[0].standing.queue
        assert (totals.waiting, totals.stale, totals.reserved) == (3, 1, 1)
        assert totals.oldest_since == NOON - 5 * HOUR

    def test_mentions_nobody_more_often_than_the_budget_of_a_day(self) -> None:
        stage = Stage(mentions_a_day=2)
        for number in range(3):
            stage.owe(f"run {number}", notice_name=f"notice {number}", mention=("U1",))
            stage.run_for(MINUTE, SECOND)
        assert [message.mention for message in stage.notifier.board] == [("U1",), ("U1",), ()]
        stage.clock.advance(DAY)
        stage.owe("run 4", notice_name="notice 4", mention=("U1",))
        stage.run()
        assert stage.notifier.board[-1].mention == ("U1",)

    def test_mentions_those_whose_turn_its_runs_are_beside_fixed_ones(self) -> None:
        stage = Stage(rules=rules_of_people(person("Ada"), person("Ben")))
        stage.owe("a", "b", mention=("turn", "S0ONCALL"), of=PAIR)
        stage.write(review("a", who=who(done=("ada",)), done=1), of=PAIR)
        stage.write(review("b", closed_at=NOON), of=PAIR)
        stage.run()
        assert [message.mention for message in stage.notifier.board] == [("U0BEN", "S0ONCALL")]

    def test_mentions_no_one_who_is_not_looked_up_yet(self) -> None:
        stage = Stage(rules=rules_of_people())
        stage.owe("a", mention=("turn",), of=PAIR)
        stage.run()
        assert [message.mention for message in stage.notifier.board] == [()]

    def test_goes_out_with_names_and_without_mentions_while_look_ups_are_throttled(self) -> None:
        stage = Stage(rules=rules_of_people(person("Ben", user="", problem=Problem.NOT_ASKED)))
        stage.owe("a", mention=("turn",), of=PAIR)
        stage.write(review("a", who=who(done=("ada",)), done=1), of=PAIR)
        stage.run()
        (message,) = stage.notifier.board
        assert (message.mention, [line.waiting_for for line in message.lines]) == ((), [("Ben",)])

    def test_names_whom_its_runs_wait_for(self) -> None:
        stage = Stage(rules=rules_of_people())
        stage.write(review("a", who=who(done=("ada",)), done=1), notices=(notice(review("a")),), of=PAIR)
        stage.run()
        assert stage.notifier.board[0].lines[0].waiting_for == ("Ben",)

    def test_mentions_each_person_by_the_budget_of_the_persons_day(self) -> None:
        berlin = Calendar(ZoneInfo("Europe/Berlin"), (2026, 2026))
        stage = Stage(mentions_a_day=1, calendars={"U1": berlin})
        stage.clock.advance(9.5 * HOUR)
        for number in range(2):
            stage.owe(f"run {number}", notice_name=f"notice {number}", mention=("U1", "U2"))
            stage.run_for(HOUR, HOUR)
        # At 23:30 it is a new day in Berlin, and the same one in UTC.
        assert [message.mention for message in stage.notifier.board] == [("U1", "U2"), ("U1",)]

    def test_is_not_made_again(self) -> None:
        stage = Stage()
        stage.owe()
        stage.run_for(HOUR, MINUTE)
        assert len(stage.notifier.attempts) == 1

    def test_leaves_out_what_was_reviewed_meanwhile(self) -> None:
        stage = Stage()
        stage.owe("a", "b")
        stage.close("a")
        stage.run()
        assert [listed(message) for message in stage.notifier.board] == [["b"]]
        (story,) = stage.store.stories(ident("a"))
        assert [told.left_out for told in story.notices] == [True]

    def test_of_nothing_but_reviewed_runs_is_withdrawn(self) -> None:
        stage = Stage()
        stage.owe("a")
        stage.close("a")
        stage.run()
        assert (stage.states(), stage.notifier.attempts) == ([State.WITHDRAWN], [])

    def test_speaks_of_runs_that_were_put_back_meanwhile_once(self) -> None:
        stage = Stage()
        stage.owe("a")
        stage.write(review("a", closed_at=stage.now))
        again = review("a", added_at=NOON + HOUR, back=True)
        stage.write(again)
        stage.run()
        assert stage.states() == [State.WITHDRAWN]

    def test_for_the_operators_speaks_of_no_run(self) -> None:
        stage = Stage()
        stage.owe()
        stage.notifier.fail("send", Outcome.DESTINATION)
        stage.run()
        (report,) = stage.notifier.board
        assert (report.kind, report.destination, report.total) == (Kind.OPS, OPS_CHANNEL, 0)
        assert "Posting to" in report.text

    def test_is_not_kept_true_where_that_is_not_wanted(self) -> None:
        stage = Stage(rules=rules_with(edit_for=None))
        stage.owe()
        stage.run()
        assert stage.only().edit_until is None


class TestPacing:
    """One message a second and channel."""

    def test_spaces_messages_of_one_channel(self) -> None:
        stage = Stage()
        stage.owe("a", notice_name="one")
        stage.owe("b", notice_name="two", kind=Kind.REMINDER)
        assert stage.run() == 1
        assert stage.deliver.paced_for == SECOND
        assert stage.run(0.9 * SECOND) == 0
        assert stage.run(0.1 * SECOND) == 1
        assert not Stage().deliver.paced_for

    def test_lets_other_channels_go_at_once(self) -> None:
        stage = Stage()
        stage.owe("a", notice_name="one")
        stage.owe("b", notice_name="two", channel=LEADS)
        assert stage.run() == 2

    def test_counts_from_the_end_of_a_post(self) -> None:
        stage = Stage()
        real = stage.notifier.send

        def slowly(message: Message, *_: object) -> Receipt:
            stage.clock.advance(5 * SECOND)
            return real(message)

        stage.notifier.send = slowly
        stage.owe("a", notice_name="one")
        stage.owe("b", notice_name="two", kind=Kind.REMINDER)
        stage.run()
        assert stage.deliver.paced_for == SECOND
        assert stage.run(0.9 * SECOND) == 0
        assert stage.run(0.1 * SECOND) == 1

    def test_spares_no_look_up(self) -> None:
        stage = Stage()
        stage.owe("a", notice_name="one")
        stage.notifier.fail("send", Outcome.UNKNOWN, committed=True)
        stage.run()
        stage.clock.advance(4.5 * SECOND)
        stage.owe("b", notice_name="two", kind=Kind.REMINDER)
        stage.run()
        stage.run(0.5 * SECOND)
        assert len(stage.notifier.looks) == 1

    def test_does_not_wait_for_an_hour_when_the_wall_clock_is_set_back(self) -> None:
        stage = Stage()
        stage.owe("a", notice_name="one")
        stage.run()
        stage.clock.set_wall(NOON - HOUR)
        stage.owe("b", notice_name="two")
        assert stage.run(SECOND) == 1


class TestLostAnswersInARow:
    """Each holds back its own channel; look-ups go on, and what they find ends the wait."""

    def test_of_messages_that_were_posted_hold_a_channel_for_seconds(self) -> None:
        stage = Stage()
        for number in range(8):
            stage.owe(f"run {number}", notice_name=f"notice {number}", of=queue(f"queue {number}"))
        stage.notifier.fail("send", Outcome.UNKNOWN, committed=True, times=8)
        stage.run_for(45 * SECOND, TICK)
        assert stage.states() == [State.SENT] * 8
        assert len(stage.notifier.board) == 8

    def test_hold_no_other_channel(self) -> None:
        stage = Stage()
        stage.notifier.send = Losing(stage.notifier.send, {CHANNEL})
        stage.owe("a", notice_name="one")
        stage.run_for(5 * MINUTE, TICK)
        stage.owe("b", notice_name="two", channel=LEADS)
        stage.run(TICK)
        assert [message.destination for message in stage.notifier.board] == [LEADS]

    def test_in_one_channel_are_tried_less_and_less_often(self) -> None:
        stage = Stage()
        losing = stage.notifier.send = Losing(stage.notifier.send, {CHANNEL})
        stage.owe("a", notice_name="one")
        stage.owe("b", notice_name="two", kind=Kind.REMINDER)
        stage.run_for(HOUR, TICK)
        assert losing.lost < 30

    def test_in_many_channels_are_the_trouble_of_the_service(self) -> None:
        stage = Stage()
        channels = [to(f"C{number}") for number in range(20)]
        losing = stage.notifier.send = Losing(stage.notifier.send, set(channels))
        for channel in channels:
            stage.owe(channel.place, notice_name=channel.place, channel=channel)
        stage.run()
        assert losing.lost == LOST_EVERYWHERE

    def test_are_looked_up_while_slack_wants_a_rest_of_posts(self) -> None:
        stage = Stage()
        stage.notifier.fail("send", Outcome.UNKNOWN, committed=True)
        stage.notifier.fail("send", Outcome.THROTTLED, retry_after=10 * MINUTE)
        stage.owe("a", notice_name="one")
        stage.owe("b", notice_name="two", channel=LEADS)
        stage.run_for(10 * SECOND, TICK)
        assert (stage.states(), len(stage.notifier.attempts)) == ([State.SENT, State.PENDING], 2)
        stage.run_for(9 * MINUTE, TICK)
        assert len(stage.notifier.attempts) == 2

    def test_are_not_looked_up_with_a_token_that_is_refused(self) -> None:
        stage = Stage()
        stage.notifier.fail("send", Outcome.UNKNOWN, committed=True)
        stage.notifier.fail("send", Outcome.TOKEN)
        stage.owe("a", notice_name="one")
        stage.owe("b", notice_name="two", channel=LEADS)
        stage.run_for(30 * SECOND, TICK)
        assert stage.notifier.looks == []

    def test_are_looked_up_less_often_while_look_ups_fail(self) -> None:
        stage = Stage()
        stage.notifier.fail("send", Outcome.UNKNOWN, committed=True)
        stage.notifier.fail("find", Outcome.RETRY, times=10_000)
        stage.owe("a")
        stage.run_for(HOUR, TICK)
        assert len(stage.notifier.looks) < 80


class Losing:
    """Posts that never arrive in some channels, and whose answers are lost."""

    def __init__(self, real: Callable[..., Receipt], channels: set[str]) -> None:
        self.real = real
        self.channels = channels
        self.lost = 0

    def __call__(self, message: Message, in_time: Callable[[], bool] = always) -> Receipt:
        if message.destination in self.channels:
            self.lost += 1
            raise DeliveryError("internal error", Outcome.UNKNOWN)
        return self.real(message, in_time)


class FailingStore(MemoryStore):
    """A database that is gone at one call, before or after it has done it, and for a while after."""

    call = ""
    is_done = False
    is_gone = False

    def _reach(self, call: str, do: Callable[[], Any]) -> Any:
        if call == self.call:
            self.call = ""
            self.is_gone = True
            if self.is_done:
                do()
        if self.is_gone:
            raise StoreError("the database has gone")
        return do()

    def claim(self, *args: Any, **more: Any) -> Any:
        return self._reach("claim", lambda: super(FailingStore, self).claim(*args, **more))

    def settle(self, *args: Any, **more: Any) -> Any:
        return self._reach("settle", lambda: super(FailingStore, self).settle(*args, **more))

    def unclaim(self, *args: Any) -> Any:
        return self._reach("unclaim", lambda: super(FailingStore, self).unclaim(*args))


@pytest.mark.parametrize("is_done", [False, True], ids=["not done", "done"])
@pytest.mark.parametrize("call", ["claim", "settle"])
class TestADatabaseThatFails:
    """What it cuts off is gone on with as soon as it works, not when the lease is over."""

    def cut_off(self, call: str, *, is_done: bool) -> Stage:
        stage = Stage(store=FailingStore())
        stage.owe("a")
        stage.store.call, stage.store.is_done = call, is_done
        for _ in range(3):
            with pytest.raises(StoreError):
                stage.run(SECOND)
        stage.store.is_gone = False
        return stage

    def test_keeps_nobody_waiting(self, call: str, *, is_done: bool) -> None:
        stage = self.cut_off(call, is_done=is_done)
        with capture_logs() as lines:
            stage.run(SECOND)
        assert stage.states() == [State.SENT]
        assert (len(stage.notifier.board), stage.notifier.looks) == (1, [])
        assert [line["event"] for line in lines] == ["delivery_sent"]

    def test_takes_nothing_from_whoever_went_on_meanwhile(self, call: str, *, is_done: bool) -> None:
        stage = self.cut_off(call, is_done=is_done)
        stage.clock.advance(LEASE)
        other = Stage(clock=stage.clock, store=stage.store, notifier=stage.notifier)
        other.run()
        stage.run()
        other.run_for(20 * SECOND, TICK)
        assert stage.states() == [State.SENT]
        assert len(stage.notifier.board) == 1

    def test_in_a_look_up_looks_again(self, call: str, *, is_done: bool) -> None:
        stage = Stage(store=FailingStore())
        stage.owe("a")
        stage.notifier.fail("send", Outcome.UNKNOWN, committed=True)
        stage.run()
        stage.store.call, stage.store.is_done = call, is_done
        with pytest.raises(StoreError):
            stage.run(5 * SECOND)
        stage.store.is_gone = False
        stage.run(SECOND)
        assert (stage.states(), len(stage.notifier.board)) == ([State.SENT], 1)


class TestALostAnswer:
    """It is looked for twice before anything is sent again."""

    def test_that_is_found_counts_as_sent(self) -> None:
        stage = Stage()
        stage.owe("a")
        stage.notifier.fail("send", Outcome.UNKNOWN, committed=True)
        stage.run()
        assert stage.only().state is State.UNKNOWN
        stage.run_for(MINUTE, TICK)
        assert (stage.only().state, len(stage.notifier.board), len(stage.notifier.looks)) == (State.SENT, 1, 1)
        assert stage.only().receipt is not None

    def test_that_is_found_at_the_second_look_counts_as_sent(self) -> None:
        stage = Stage()
        stage.owe("a")
        stage.notifier.fail("send", Outcome.UNKNOWN, committed=True, after_looks=1)
        stage.run_for(MINUTE, TICK)
        assert (stage.only().state, len(stage.notifier.board), len(stage.notifier.looks)) == (State.SENT, 1, 2)

    def test_that_is_absent_twice_is_sent_again_under_the_same_key(self) -> None:
        stage = Stage()
        stage.owe("a")
        stage.notifier.fail("send", Outcome.UNKNOWN)
        stage.run_for(MINUTE, TICK)
        assert (stage.only().state, stage.only().attempts) == (State.SENT, 2)
        assert [message.key for message in stage.notifier.attempts] == [ident("notice")] * 2
        assert len(stage.notifier.looks) == 2

    def test_is_looked_for_some_seconds_apart(self) -> None:
        stage = Stage()
        stage.owe("a")
        stage.notifier.fail("send", Outcome.UNKNOWN)
        stage.run()
        assert stage.run(4 * SECOND) == 0
        assert stage.run(SECOND) == 1
        assert stage.run(4 * SECOND) == 0
        assert len(stage.notifier.looks) == 1

    def test_that_is_absent_twice_is_withdrawn_where_all_was_reviewed_meanwhile(self) -> None:
        stage = Stage()
        stage.owe("a")
        stage.notifier.fail("send", Outcome.UNKNOWN)
        stage.run()
        stage.close("a")
        stage.run_for(MINUTE, TICK)
        assert (stage.only().state, len(stage.notifier.attempts)) == (State.WITHDRAWN, 1)

    def test_that_is_found_is_made_true_where_runs_were_reviewed_meanwhile(self) -> None:
        stage = Stage()
        stage.owe("a", "b")
        stage.notifier.fail("send", Outcome.UNKNOWN, committed=True)
        stage.run()
        stage.clock.advance(SECOND)
        stage.close("a")
        stage.run_for(3 * MINUTE, TICK)
        assert stage.edit.step()
        (message,) = stage.notifier.board
        assert (message.total, message.waiting) == (2, 1)

    def test_that_is_found_shows_a_run_whose_end_a_poll_was_just_writing(self) -> None:
        stage = Stage()
        stage.owe("a", "b")
        stage.notifier.fail("send", Outcome.UNKNOWN, committed=True)
        stage.run()
        stage.write(review("a", closed_at=stage.now - SECOND))
        stage.run_for(3 * MINUTE, TICK)
        assert stage.edit.step()
        (message,) = stage.notifier.board
        assert (message.total, message.waiting) == (2, 1)

    def test_that_is_found_does_not_show_a_run_that_had_left_long_before(self) -> None:
        stage = Stage()
        stage.owe("a", "b", "c")
        stage.close("a")
        stage.clock.advance(HOUR)
        stage.notifier.fail("send", Outcome.UNKNOWN, committed=True)
        stage.run()
        stage.close("b")
        stage.run_for(3 * MINUTE, TICK)
        assert stage.edit.step()
        (message,) = stage.notifier.board
        assert (message.total, message.waiting) == (2, 1)

    def test_is_looked_for_since_the_first_attempt_that_may_be_posted(self) -> None:
        stage = Stage()
        stage.owe("a")
        stage.notifier.fail("send", Outcome.UNKNOWN, committed=True, after_looks=3)
        stage.notifier.fail("send", Outcome.RETRY, times=8)
        stage.notifier.fail("send", Outcome.UNKNOWN)
        stage.run_for(4 * HOUR, TICK)
        assert (stage.only().state, len(stage.notifier.board)) == (State.SENT, 1)

    def test_takes_no_other_notice_in(self) -> None:
        stage = Stage()
        stage.owe("a", notice_name="one")
        stage.notifier.fail("send", Outcome.UNKNOWN, committed=True, after_looks=2)
        stage.notifier.fail("send", Outcome.UNKNOWN)
        stage.run()
        stage.run(5 * SECOND)
        stage.clock.advance(5 * SECOND)
        stage.deliver.step()
        assert stage.only().state is State.PENDING
        stage.owe("b", notice_name="two")
        stage.run_for(MINUTE, TICK)
        assert [listed(message) for message in stage.notifier.board] == [["a"], ["b"]]

    @pytest.mark.parametrize("outcome", [Outcome.RETRY, Outcome.THROTTLED, Outcome.UNKNOWN])
    def test_whose_look_up_fails_is_looked_for_later(self, outcome: Outcome) -> None:
        stage = Stage()
        stage.owe("a")
        stage.notifier.fail("send", Outcome.UNKNOWN, committed=True)
        stage.notifier.fail("find", outcome, times=3)
        stage.run_for(MINUTE, TICK)
        assert (stage.only().state, len(stage.notifier.attempts)) == (State.SENT, 1)


class TestACrash:
    """A claim whose process is gone comes back when its lease has lapsed."""

    def crashed(self, *, posted: bool) -> Stage:
        stage = Stage()
        stage.owe("a")
        claim = stage.store.claim(stage.now, LEASE)
        if posted:
            stage.owe("elsewhere", notice_name="elsewhere", channel=LEADS)
            other = stage.store.claim(stage.now, LEASE)
            message = replace(self.message_of(stage), key=claim.delivery.key, destination=CHANNEL)
            stage.notifier.send(message)
            stage.store.settle(replace(other.delivery, state=State.WITHDRAWN), other.delivery)
        stage.restart()
        return stage

    def message_of(self, stage: Stage) -> Message:
        other = Stage(clock=stage.clock)
        other.owe("a")
        other.run()
        return other.notifier.board[0]

    def test_before_the_post_loses_nothing(self) -> None:
        stage = self.crashed(posted=False)
        assert stage.run(LEASE - SECOND) == 0
        stage.run_for(MINUTE, TICK)
        assert (len(stage.notifier.board), len(stage.notifier.looks)) == (1, 2)

    def test_after_the_post_repeats_nothing(self) -> None:
        stage = self.crashed(posted=True)
        stage.run_for(5 * MINUTE, TICK)
        assert (len(stage.notifier.board), len(stage.notifier.looks)) == (1, 1)
        assert stage.notices()[0].state is State.SENT

    def test_within_a_look_up_looks_again(self) -> None:
        stage = Stage()
        stage.owe("a")
        stage.notifier.fail("send", Outcome.UNKNOWN, committed=True)
        stage.run()
        stage.clock.advance(5 * SECOND)
        stage.store.claim(stage.now, LEASE)
        stage.restart()
        stage.run_for(5 * MINUTE, TICK)
        assert (len(stage.notifier.board), stage.only().state) == (1, State.SENT)

    def test_that_was_none_but_a_long_sleep_settles_nothing_twice(self) -> None:
        stage = Stage()
        stage.owe("a")
        slow = stage.store.claim(stage.now, LEASE)
        stage.clock.advance(LEASE)
        other = stage.store.claim(stage.now, LEASE)
        assert other.delivery.state is State.UNKNOWN
        assert stage.store.settle(replace(slow.delivery, state=State.SENT), slow.delivery) is False


class SlowStore(MemoryStore):
    """A claim after which the process stands still for so long."""

    def __init__(self, clock: FakeClock, still: timedelta) -> None:
        super().__init__()
        self.clock = clock
        self.still = still

    def claim(self, *args: Any, **more: Any) -> Any:
        claim = super().claim(*args, **more)
        self.clock.advance(self.still)
        self.still *= 0
        return claim


class TestAProcessThatStoodStillAfterItsClaim:
    """It must not send what another may have looked for in vain, and sent."""

    def stood_still(self, still: timedelta) -> Stage:
        clock = FakeClock()
        stage = Stage(clock=clock, store=SlowStore(clock, still))
        stage.owe("a")
        stage.deliver.step()
        return stage

    def test_gives_the_claim_back_where_it_is_still_its_own(self) -> None:
        stage = self.stood_still(LEASE - SECOND)
        assert (stage.only().state, stage.only().attempted_at, stage.notifier.attempts) == (State.PENDING, None, [])
        stage.run(2 * SECOND)
        assert stage.only().state is State.SENT

    def test_sends_nothing_and_writes_nothing_where_it_is_another_s(self) -> None:
        stage = Stage()
        stage.owe("a")
        real = stage.store.claim

        def taken_over(*args: Any, **more: Any) -> Any:
            stage.store.claim = real
            claim = real(*args, **more)
            stage.clock.advance(LEASE)
            stage.store.claim(stage.now, LEASE)
            return claim

        stage.store.claim = taken_over
        with capture_logs() as lines:
            stage.deliver.step()
        assert ([line["event"] for line in lines], stage.notifier.attempts) == (["delivery_lease_lost"], [])

    def test_sends_where_it_stood_still_for_a_moment_only(self) -> None:
        assert self.stood_still(START - SECOND).only().state is State.SENT

    def test_gives_the_claim_back_where_it_begins_later_than_others_count_on(self) -> None:
        assert self.stood_still(START).only().state is State.PENDING

    def test_sends_nothing_where_the_wall_clock_stood_still_too(self) -> None:
        """As in a machine that was suspended with all its clocks but the monotonic one, or set back meanwhile."""
        stage = Stage()
        stage.owe("a")
        real = stage.store.claim

        def slowly(*args: Any, **more: Any) -> Any:
            claim, wall = real(*args, **more), stage.clock.now()
            stage.clock.advance(START)
            stage.clock.set_wall(wall)
            return claim

        stage.store.claim = slowly
        stage.deliver.step()
        assert (stage.only().state, stage.only().attempted_at, stage.notifier.attempts) == (State.PENDING, None, [])


class TestABlindLookUp:
    """Where nobody can look, the setting decides."""

    def blind(self, *, resend: bool) -> Stage:
        stage = Stage(rules=rules_with(on_unknown=OnUnknown.RESEND if resend else OnUnknown.HOLD))
        stage.owe("a")
        stage.notifier.fail("send", Outcome.UNKNOWN, times=9, committed=True)
        stage.notifier.fail("find", Outcome.BLIND, code="missing_scope", times=9)
        stage.run_for(HOUR, TICK)
        return stage

    def test_sends_again_but_not_for_ever(self) -> None:
        stage = self.blind(resend=True)
        assert (len(stage.notifier.attempts), stage.only().state, stage.only().due_at) == (3, State.HELD, NEVER)

    def test_holds_for_an_operator(self) -> None:
        stage = self.blind(resend=False)
        assert (len(stage.notifier.attempts), stage.only().state, stage.only().due_at) == (1, State.HELD, NEVER)
        assert "review-notifier retry" in stage.only().last_error

    def test_leaves_other_notices_alone(self) -> None:
        stage = self.blind(resend=False)
        stage.notifier._failures["send"].clear()  # noqa: SLF001
        stage.owe("b", notice_name="two")
        stage.run()
        assert stage.states() == [State.HELD, State.SENT]

    def test_that_is_held_is_sent_when_an_operator_says_so(self) -> None:
        stage = self.blind(resend=False)
        stage.notifier._failures["send"].clear()  # noqa: SLF001
        assert stage.store.retry(stage.only().key, stage.now)
        stage.run_for(MINUTE, TICK)
        assert stage.only().state is State.SENT

    def test_that_is_held_and_reviewed_meanwhile_is_withdrawn_when_an_operator_says_so(self) -> None:
        stage = self.blind(resend=False)
        stage.close("a")
        stage.store.retry(stage.only().key, stage.now)
        stage.run_for(MINUTE, TICK)
        assert (stage.only().state, len(stage.notifier.attempts)) == (State.WITHDRAWN, 1)


class TestARefusedMessage:
    """Tried once more with less, then dead, and the operators are told."""

    def test_is_sent_as_plain_text(self) -> None:
        stage = Stage()
        stage.owe()
        stage.notifier.fail("send", Outcome.MESSAGE, code="invalid_blocks")
        stage.run_for(5 * SECOND, TICK)
        assert [message.plain for message in stage.notifier.attempts] == [False, True]
        assert stage.only().state is State.SENT

    def test_is_dead_when_it_is_refused_as_plain_text_too(self) -> None:
        stage = Stage()
        stage.owe()
        stage.notifier.fail("send", Outcome.MESSAGE, code="msg_too_long", times=2)
        stage.run_for(HOUR, MINUTE)
        assert (stage.only().state, len(stage.notifier.attempts)) == (State.DEAD, 3)
        (report,) = stage.reports()
        assert f"review-notifier retry {stage.only().key}" in report

    def test_that_is_dead_is_sent_when_an_operator_says_so(self) -> None:
        stage = Stage()
        stage.owe()
        stage.notifier.fail("send", Outcome.MESSAGE, times=2)
        stage.run_for(MINUTE, TICK)
        stage.store.retry(stage.only().key, stage.now)
        stage.run()
        assert stage.only().state is State.SENT

    @pytest.mark.parametrize("remind_in", [RemindIn.THREAD, RemindIn.BOTH])
    def test_leaves_a_thread_that_is_gone(self, remind_in: RemindIn) -> None:
        stage = Stage()
        stage.owe("a")
        stage.run()
        stage.owe("a", notice_name="reminder", kind=Kind.REMINDER, remind_in=remind_in)
        stage.notifier.fail("send", Outcome.MESSAGE, code="thread_not_found")
        stage.run_for(10 * SECOND, TICK)
        first, second, third = stage.notifier.attempts
        assert (first.root, third.root, third.plain) == (None, None, False)
        assert second.root is not None
        assert second.broadcast is (remind_in is RemindIn.BOTH)
        assert stage.states() == [State.SENT, State.SENT]


class TestADestinationThatRefuses:
    """It is held with all that it is owed, others go on, and it is tried again slowly."""

    def held(self) -> Stage:
        stage = Stage(notifier=Choosy({CHANNEL}))
        stage.owe("a", notice_name="one")
        stage.run()
        return stage

    def test_is_held(self) -> None:
        stage = self.held()
        (pause,) = stage.store.pauses()
        assert (pause.destination, pause.until, pause.reason) == (CHANNEL, NOON + MINUTE, "not_in_channel")
        assert stage.only().state is State.HELD

    def test_lets_others_go_on(self) -> None:
        stage = self.held()
        stage.owe("b", notice_name="two", channel=LEADS)
        stage.run(SECOND)
        assert LEADS in {message.destination for message in stage.notifier.board}

    def test_is_told_of_the_next_day_where_too_much_was_told(self) -> None:
        stage = Stage(notifier=Choosy({CHANNEL}))
        speaker = Ops(store=stage.store, notes=stage.store, clock=stage.clock, channel=OPS_CHANNEL)
        for number in range(MOST_A_DAY):
            speaker.report(str(number), name=str(number))
        stage.owe("a", notice_name="one")
        stage.run_for(2 * DAY, MINUTE)
        told = [message.text for message in stage.notifier.board if message.destination == OPS_CHANNEL]
        assert [text for text in told if text.startswith(f"Posting to {marked_place(CHANNEL.place)} fails")] == told[
            MOST_A_DAY:
        ]
        assert len(told) == MOST_A_DAY + 1

    def test_is_tried_again_slowly(self) -> None:
        stage = self.held()
        stage.run_for(DAY, 10 * SECOND)
        tries = [message for message in stage.notifier.attempts if message.destination == CHANNEL]
        assert 25 < len(tries) < 35

    def test_is_told_to_the_operators_once_and_once_when_it_works_again(self) -> None:
        stage = self.held()
        stage.run_for(HOUR, 10 * SECOND)
        stage.notifier.refused.clear()
        stage.run_for(HOUR, 10 * SECOND)
        failing, working = stage.reports()
        assert "not in the channel" in failing
        assert "works again" in working
        assert stage.store.pauses() == []

    def test_is_owed_the_newest_state_in_few_messages(self) -> None:
        stage = self.held()
        for number in range(200):
            stage.owe(f"run {number}", notice_name=f"notice {number}")
            stage.run(5 * MINUTE)
        stage.notifier.refused.clear()
        stage.run_for(HOUR, MINUTE)
        posted = [message for message in stage.notifier.board if message.destination == CHANNEL]
        assert (len(posted), sum(message.total for message in posted)) == (1, 201)

    def test_stays_held_over_a_restart(self) -> None:
        stage = self.held()
        stage.notifier.refused.clear()
        stage.restart()
        assert stage.run(59 * SECOND) == 0
        assert stage.only().state is State.HELD
        stage.run(SECOND)
        assert stage.only().state is State.SENT


class TestATokenThatIsRefused:
    """Nothing is sent, nothing is lost, and the token is asked for slowly."""

    def refused(self, *, sends: int = 1, probes: int = 0) -> Stage:
        stage = Stage()
        stage.owe("a")
        stage.notifier.fail("send", Outcome.TOKEN, code="token_revoked", times=sends)
        stage.notifier.fail("probe", Outcome.TOKEN, code="token_revoked", times=probes)
        stage.run()
        return stage

    def test_holds_everything(self) -> None:
        stage = self.refused()
        stage.owe("b", notice_name="two", channel=LEADS)
        stage.run(59 * SECOND)
        assert (len(stage.notifier.attempts), stage.notifier.probes) == (1, 0)
        assert [pause.destination for pause in stage.store.pauses()] == [EVERYWHERE]

    def test_is_probed_slowly(self) -> None:
        stage = self.refused(probes=100)
        stage.run_for(DAY, 10 * SECOND)
        assert len(stage.notifier.attempts) == 1
        assert 25 < stage.notifier.probes < 35

    def test_that_works_again_sends_what_is_owed(self) -> None:
        stage = self.refused(probes=3)
        stage.run_for(HOUR, TICK)
        assert stage.only().state is State.SENT
        assert stage.store.pauses() == []
        assert len(stage.reports()) == 2

    def test_is_tried_by_a_post_where_the_server_knows_no_probe(self) -> None:
        stage = self.refused()
        stage.notifier.fail("probe", Outcome.NOT_ASKED, times=100)
        stage.run_for(HOUR, 10 * SECOND)
        assert stage.only().state is State.SENT

    def test_that_a_probe_likes_and_a_post_does_not_is_one_trouble(self) -> None:
        stage = self.refused(sends=6)
        stage.run_for(2 * HOUR, 10 * SECOND)
        assert len(stage.notifier.attempts) <= 7 + 2
        assert len(stage.reports()) == 2
        assert stage.only().state is State.SENT

    def test_that_is_probed_while_the_network_is_down_stays_held(self) -> None:
        stage = self.refused()
        stage.notifier.fail("probe", Outcome.RETRY, times=3)
        stage.run(MINUTE)
        assert [pause.destination for pause in stage.store.pauses()] == [EVERYWHERE]
        stage.run_for(MINUTE, TICK)
        assert stage.only().state is State.SENT

    def test_is_noticed_while_there_is_nothing_to_post(self) -> None:
        stage = Stage()
        stage.run_for(HOUR / 2, 10 * SECOND)
        assert (stage.notifier.probes, stage.store.pauses()) == (1, [])
        stage.notifier.fail("probe", Outcome.TOKEN, code="token_revoked", times=100)
        stage.run_for(HOUR * 3 / 4, 10 * SECOND)
        assert [pause.destination for pause in stage.store.pauses()] == [EVERYWHERE]

    def test_is_not_asked_for_where_a_post_has_shown_it(self) -> None:
        stage = Stage()
        stage.owe("a")
        stage.run(MINUTE)
        assert (stage.notifier.probes, len(stage.notifier.attempts)) == (0, 1)

    @pytest.mark.parametrize(
        ("outcome", "code"), [(Outcome.NOT_ASKED, ""), (Outcome.UNKNOWN, "http_500"), (Outcome.RETRY, "")]
    )
    def test_is_good_where_only_the_probe_fails(self, outcome: Outcome, code: str) -> None:
        stage = Stage()
        stage.notifier.fail("probe", outcome, code=code)
        stage.run(MINUTE)
        stage.owe("a")
        stage.run(MINUTE)
        assert (stage.only().state, stage.notifier.probes) == (State.SENT, 1)

    def test_is_good_again_where_nothing_is_left_to_try_it_with(self) -> None:
        stage = self.refused()
        stage.close("a")
        stage.run(MINUTE)
        stage.run(SECOND)
        assert stage.store.pauses() == []
        assert stage.only().state is State.WITHDRAWN

    def test_in_a_look_up_holds_everything_too(self) -> None:
        stage = Stage()
        stage.owe("a")
        stage.notifier.fail("send", Outcome.UNKNOWN, committed=True)
        stage.notifier.fail("find", Outcome.TOKEN)
        stage.run_for(30 * SECOND, TICK)
        assert [pause.destination for pause in stage.store.pauses()] == [EVERYWHERE]
        stage.run_for(2 * MINUTE, TICK)
        assert (stage.only().state, len(stage.notifier.board)) == (State.SENT, 1 + len(stage.reports()))


class TestAServiceInTrouble:
    """One failure holds all back for a while, longer each time."""

    def test_that_throttles_is_left_alone_as_long_as_it_wishes(self) -> None:
        stage = Stage()
        stage.owe("a", notice_name="one")
        stage.owe("b", notice_name="two", channel=LEADS)
        stage.notifier.fail("send", Outcome.THROTTLED, retry_after=30 * SECOND)
        assert stage.run() == 1
        assert stage.run(29 * SECOND) == 0
        stage.run(SECOND)
        assert len(stage.notifier.board) == 2

    @pytest.mark.parametrize(("outcome", "told"), [(Outcome.THROTTLED, [30 * SECOND]), (Outcome.RETRY, [])])
    def test_that_throttles_is_left_alone_by_other_workers_too(self, outcome: Outcome, told: list[timedelta]) -> None:
        rests: list[timedelta] = []
        stage = Stage()
        stage.store.rest = lambda now, until: rests.append(until - now)
        stage.owe("a")
        stage.notifier.fail("send", outcome, retry_after=30 * SECOND)
        stage.run()
        assert rests == told

    def test_does_not_stay_quiet_because_the_wall_clock_was_set_back(self) -> None:
        stage = Stage()
        stage.notifier.fail("send", Outcome.THROTTLED, retry_after=30 * SECOND)
        stage.owe("a", notice_name="one")
        stage.run()
        stage.clock.set_wall(NOON - 5 * HOUR)
        stage.owe("b", notice_name="two", channel=LEADS)
        stage.run(30 * SECOND)
        assert [message.destination for message in stage.notifier.board] == [LEADS]

    @pytest.mark.parametrize("outcome", SERVICE_TROUBLE)
    def test_is_not_tried_with_every_notice(self, outcome: Outcome) -> None:
        stage = Stage()
        stage.notifier.fail("send", outcome, times=10_000)
        stage.notifier.fail("find", Outcome.RETRY, times=10_000)
        for number in range(24 * 4):
            stage.owe(f"run {number}", notice_name=f"notice {number}", channel=f"C{number}")
            stage.run_for(15 * MINUTE, MINUTE)
        assert len(stage.notifier.attempts) < 350

    def test_that_is_down_altogether_is_asked_before_anything_is_sent(self) -> None:
        stage = Stage()
        for call in ("send", "find", "probe"):
            stage.notifier.fail(call, Outcome.UNKNOWN if call == "send" else Outcome.RETRY, times=10_000)
        for number in range(24 * 4):
            stage.owe(f"run {number}", notice_name=f"notice {number}")
            stage.run_for(15 * MINUTE, MINUTE)
        assert len(stage.notifier.attempts) == 1
        stage.notifier._failures.update(send=[], find=[], probe=[])  # noqa: SLF001
        stage.run_for(10 * MINUTE, TICK)
        assert sum(message.total for message in stage.notifier.board) == 24 * 4
        assert len(stage.notifier.board) == 2

    def test_that_answers_all_but_posts_is_owed_the_newest_state_in_few_messages(self) -> None:
        stage = Stage()
        stage.notifier.fail("send", Outcome.UNKNOWN, times=10_000)
        for number in range(120):
            stage.owe(f"run {number}", notice_name=f"notice {number}")
            stage.run_for(MINUTE, 5 * SECOND)
        stage.notifier._failures.update(send=[])  # noqa: SLF001
        stage.run_for(10 * MINUTE, TICK)
        assert sum(message.total for message in stage.notifier.board) == 120
        assert len(stage.notifier.board) <= 15

    def test_that_fails_with_one_message_only_posts_the_others(self) -> None:
        stage = Stage()
        real = stage.notifier.send

        def poisoned(message: Message, *_: object) -> Receipt:
            if message.key == ident("poison"):
                raise DeliveryError("internal error", Outcome.UNKNOWN)
            return real(message)

        stage.notifier.send = poisoned
        stage.owe("p", notice_name="poison")
        stage.run_for(MINUTE, TICK)
        for number in range(5):
            stage.owe(f"run {number}", notice_name=f"notice {number}")
            stage.run_for(MINUTE, TICK)
        assert len(stage.notifier.board) == 5

    def test_is_not_asked_again_once_it_answers(self) -> None:
        stage = Stage()
        stage.owe("a")
        stage.notifier.fail("send", Outcome.UNKNOWN, committed=True)
        stage.run_for(HOUR, TICK)
        assert stage.notifier.probes == 1

    def test_that_works_again_starts_with_short_waits(self) -> None:
        stage = Stage()
        stage.notifier.fail("send", Outcome.RETRY, times=6)
        stage.owe("a", notice_name="one")
        stage.run_for(10 * MINUTE, TICK)
        assert stage.only().state is State.SENT
        stage.notifier.fail("send", Outcome.RETRY)
        stage.owe("b", notice_name="two")
        stage.run()
        stage.run(2 * SECOND)
        assert stage.states() == [State.SENT, State.SENT]

    def test_that_cannot_be_read_does_not_hold_back_posts(self) -> None:
        stage = Stage()
        stage.notifier.fail("send", Outcome.UNKNOWN)
        stage.notifier.fail("find", Outcome.RETRY, times=10_000)
        stage.owe("a", notice_name="one")
        stage.run_for(MINUTE, TICK)
        stage.owe("b", notice_name="two")
        stage.run_for(5 * SECOND, TICK)
        assert stage.states() == [State.UNKNOWN, State.SENT]

    def test_that_throttles_look_ups_does_not_hold_back_posts(self) -> None:
        stage = Stage()
        stage.notifier.fail("send", Outcome.UNKNOWN)
        stage.notifier.fail("find", Outcome.THROTTLED, retry_after=HOUR)
        stage.owe("a", notice_name="one")
        stage.run_for(10 * SECOND, TICK)
        stage.owe("b", notice_name="two")
        stage.run(SECOND)
        assert stage.states() == [State.UNKNOWN, State.SENT]

    def test_that_throttles_look_ups_is_not_asked_for_another_meanwhile(self) -> None:
        stage = Stage()
        for number, channel in enumerate((CHANNEL, LEADS)):
            stage.notifier.fail("send", Outcome.UNKNOWN, committed=True)
            stage.owe(f"run {number}", notice_name=f"notice {number}", channel=channel)
            stage.run(2 * SECOND)
        stage.notifier.fail("find", Outcome.THROTTLED, retry_after=MINUTE)
        claims = [stage.run(SECOND) for _ in range(60)]
        assert (sum(claims), len(stage.notifier.looks)) == (1, 1)
        stage.run_for(10 * SECOND, TICK)
        assert stage.states() == [State.SENT, State.SENT]
        assert (len(stage.notifier.looks), len(stage.notifier.attempts)) == (3, 2)


class TestRest:
    """An outbox in which nothing is due is left alone."""

    def test_until_something_is_due_or_five_seconds_at_most(self) -> None:
        stage = Stage()
        stage.run()
        stage.owe()
        assert stage.deliver.step() is False
        stage.clock.advance(5 * SECOND)
        assert stage.deliver.step() is True

    def test_is_ended_by_a_nudge(self) -> None:
        stage = Stage()
        stage.run()
        stage.owe()
        stage.deliver.wake()
        assert stage.deliver.step() is True

    def test_ends_when_the_next_is_due(self) -> None:
        stage = Stage()
        stage.owe()
        stage.notifier.fail("send", Outcome.RETRY)
        stage.run()
        stage.clock.advance(2 * SECOND)
        assert stage.deliver.step() is True

    def test_stops_between_two_steps_when_told_to(self) -> None:
        stage = Stage()
        stage.owe("a", notice_name="one")
        stage.owe("b", notice_name="two", channel=LEADS)
        assert stage.deliver.run(lambda: bool(stage.notifier.attempts)) == 1


def test_what_did_not_end_well_is_known_until_it_does() -> None:
    stage = Stage()
    delivery = stage.owe()
    stage.notifier.fail("send", Outcome.RETRY)
    stage.run()
    assert stage.deliver.unsettled == {delivery.key}
    stage.run_for(MINUTE, TICK)
    assert stage.deliver.unsettled == set()


def test_each_queue_has_its_own_rules() -> None:
    stage = Stage()
    seen: list[object] = []
    stage.rules_of = lambda of: seen.append(of) or RULES  # type: ignore[method-assign]
    stage.restart()
    stage.owe(of=queue("Other"))
    stage.run()
    assert set(seen) == {queue("Other")}
