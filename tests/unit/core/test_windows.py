"""New runs within a window, and until when a claimed delivery is held."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from tests.support.builders import HOUR, MINUTE, NOON, delivery, ident
from tests.support.given import QUEUE, a_listing, a_review, a_run, at
from tests.support.office import FRIDAY, MONDAY, office
from tests.support.whole_worker import rules_by
from worker.core.delivery import POLL_FIRST, POLL_FIRST_AT_MOST, held
from worker.core.model import Difference, Entry, Kind, Memory, Window
from worker.core.moment import Moment
from worker.core.outbox import entry_of, held_until
from worker.core.owed import NEVER, Claim, State
from worker.core.plan import plan, plan_difference, widened


@pytest.mark.parametrize(
    ("host", "entry"),
    [
        pytest.param({}, Entry.MERGE, id="it waits"),
        pytest.param({"attempted_at": NOON}, Entry.UNSURE, id="it waits, and may be posted already"),
        pytest.param({"plain": True}, Entry.UNSURE, id="it was refused, and waits to go as text alone"),
        pytest.param({"state": State.HELD, "plain": True}, Entry.UNSURE, id="a pause holds it after it was refused"),
        pytest.param({"state": State.HELD, "due_at": NEVER}, Entry.NEVER, id="a person decides about it"),
        pytest.param({"state": State.SENDING}, Entry.UNSURE, id="it is being posted"),
        pytest.param({"state": State.UNKNOWN}, Entry.UNSURE, id="it may be posted"),
        pytest.param({"state": State.WITHDRAWN}, Entry.VOID, id="it was withdrawn"),
        pytest.param({"state": State.DEAD}, Entry.VOID, id="it is dead"),
        pytest.param({"state": State.SENT, "edit_until": at(1)}, Entry.BY_EDIT, id="it is up"),
        pytest.param({"state": State.SENT, "edit_until": NOON}, Entry.NEVER, id="it is kept true no longer"),
        pytest.param({"state": State.SENT}, Entry.NEVER, id="its edits are given up"),
    ],
)
def test_how_a_run_enters_a_message_when(host: dict[str, Any], entry: Entry) -> None:
    assert entry_of(delivery(**host), NOON) is entry


@pytest.mark.parametrize(
    ("entry", "hours", "announced", "entered"),
    [
        pytest.param(Entry.BY_EDIT, 0.5, 0, 1, id="it enters while the window is open"),
        pytest.param(Entry.BY_EDIT, 1, 1, 0, id="it is announced when the window is over"),
        pytest.param(Entry.UNSURE, 0.5, 0, 0, id="it waits while the message may be on its way"),
        pytest.param(Entry.NEVER, 0.5, 0, 0, id="it waits for the end where the message cannot be edited"),
        pytest.param(Entry.MERGE, 0.5, 1, 0, id="it is announced where that goes out with the other"),
        pytest.param(Entry.VOID, 0.5, 1, 0, id="it is announced where nothing came of the other"),
    ],
)
def test_what_becomes_of_a_new_run(entry: Entry, hours: float, announced: int, entered: int) -> None:
    memory = Memory(baselined=True, reviews=(a_review(1),), window=Window(NOON, ident("host"), entry))
    policy = rules_by(announce_every=HOUR).policy
    decided = plan(a_listing(a_run(1), a_run(2, at(hours))), memory, policy, at(hours))
    assert (len(decided.notices), len(decided.entered)) == (announced, entered)


def test_a_first_sight_outside_hours_is_held_and_seen_again() -> None:
    decided = plan(a_listing(a_run(1, MONDAY - HOUR)), Memory(False, ()), rules_by(office()).policy, MONDAY - HOUR)
    assert (decided.notices, decided.is_baselined, decided.held_until) == ((), False, MONDAY)


def test_a_night_ends_a_window_for_what_came_in_it() -> None:
    night = a_review(2, FRIDAY + 5 * HOUR, told_at=None)
    window = Window(FRIDAY + 3 * HOUR, ident("host"), Entry.BY_EDIT)
    memory = Memory(baselined=True, reviews=(night,), window=window)
    policy = rules_by(office(), announce_every=4 * HOUR, stale_after=None).policy
    assert len(plan(a_listing(a_run(2, FRIDAY + 5 * HOUR)), memory, policy, MONDAY).notices) == 1


class TestUntilWhenAClaimIsHeld:
    @pytest.mark.parametrize(
        ("created_at", "polled_at", "now", "until"),
        [
            pytest.param(FRIDAY, FRIDAY, MONDAY - HOUR, MONDAY, id="outside hours until the opening"),
            pytest.param(FRIDAY, None, FRIDAY, None, id="within the hours in which it was owed not at all"),
            pytest.param(FRIDAY, FRIDAY, MONDAY, MONDAY + POLL_FIRST, id="after an opening for a poll"),
            pytest.param(FRIDAY, MONDAY, MONDAY + MINUTE, None, id="after that poll no more"),
            pytest.param(
                FRIDAY, None, MONDAY + HOUR, MONDAY + HOUR + POLL_FIRST_AT_MOST, id="ever longer where none comes"
            ),
        ],
    )
    def test_is(self, created_at: Any, polled_at: Any, now: Any, until: Any) -> None:
        assert held_until(Claim(delivery(created_at=created_at), (), polled_at=polled_at), office(), now) == until

    def test_what_a_look_at_inboxes_decided_at_an_opening_waits_for_a_poll_too(self) -> None:
        claim = Claim(delivery(kind=Kind.DIRECT, created_at=MONDAY), (), polled_at=FRIDAY)
        assert held_until(claim, office(), MONDAY) == MONDAY + POLL_FIRST
        assert held_until(replace(claim, polled_at=MONDAY), office(), MONDAY) is None
        assert held_until(replace(claim, polled_at=None), office(), MONDAY) is None

    def test_gives_the_claim_back_unposted(self) -> None:
        claimed = delivery(state=State.SENDING, attempted_at=NOON)
        after = held(claimed, at(1), claimed_at=NOON)
        assert (after.state, after.attempted_at, after.due_at, after.held_until) == (State.PENDING, None, NOON, at(1))


class TestADifference:
    """Deciding on what is other than at the last decision alone."""

    def decide(self, *runs: Any, memory: Memory, hours: float = 0.5) -> Any:
        policy = rules_by(announce_every=HOUR).policy
        before = plan(a_listing(a_run(1)), Memory(True, (a_review(1),)), policy, NOON)
        difference = widened(Difference(QUEUE, runs, NOON, count=2), before.remainder)
        return plan_difference(difference, memory, before.remainder, policy, at(hours))

    def test_announces_what_is_new(self) -> None:
        assert len(self.decide(a_run(2, at(0.5)), memory=Memory(True, ())).notices) == 1

    def test_is_not_enough_before_the_first_sight(self) -> None:
        assert self.decide(a_run(2), memory=Memory(False, ())) is None

    def test_is_not_enough_where_others_may_join(self) -> None:
        assert self.decide(a_run(1), memory=Memory(True, (a_review(1),)), hours=4) is None

    def test_is_not_enough_where_memory_is_another(self) -> None:
        assert self.decide(a_run(3), memory=Memory(True, (a_review(3, at(-1)),))) is None


def test_a_reminder_waits_for_its_time_and_comes_daily_then() -> None:
    policy = rules_by(remind_at=((9 * HOUR,),) * 7).policy
    first, repeat = a_review(1), a_review(2, told_at=at(21))
    assert policy.stale_at(first) == at(4)
    assert [policy.next_due_at(each) for each in (first, repeat)] == [at(21), at(45)]
    assert not Moment.of(policy, at(21)).joins(policy.steps[0], first)
