"""What becomes of a delivery after each step."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from tests.support.builders import CHANNEL, DAY, HOUR, MINUTE, NOON, SECOND, delivery
from worker.core import delivery as step
from worker.core.model import Kind, RemindIn
from worker.core.owed import NEVER, Pause, Receipt, State
from worker.core.ports import DeliveryError, Outcome

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from worker.core.owed import Delivery

RECEIPT = Receipt(CHANNEL.place, "1.0")
LATER = NOON + 10 * SECOND
SURELY_UNPOSTED = (Outcome.RETRY, Outcome.THROTTLED, Outcome.MESSAGE, Outcome.EDIT, Outcome.DESTINATION, Outcome.TOKEN)


def a_delivery(**more: Any) -> Delivery:
    return delivery(**{"kind": Kind.REMINDER} | more)


def an_attempt(**more: Any) -> Delivery:
    return a_delivery(**{"attempts": 1, "attempted_at": NOON} | more)


def error(outcome: Outcome, *, retry_after: timedelta | None = None) -> DeliveryError:
    return DeliveryError("it said no", outcome, code="no", retry_after=retry_after)


@pytest.mark.parametrize(
    ("failures", "wait"),
    [
        pytest.param(0, 2 * SECOND, id="before any"),
        pytest.param(1, 2 * SECOND, id="after the first"),
        pytest.param(2, 4 * SECOND, id="twice as long after the second"),
        pytest.param(9, 512 * SECOND, id="and so on"),
        pytest.param(10, 15 * MINUTE, id="up to a quarter of an hour"),
        pytest.param(10_000, 15 * MINUTE, id="for ever"),
    ],
)
def test_how_long_to_wait(failures: int, wait: timedelta) -> None:
    assert step.backoff(failures) == wait


def test_a_wait_starts_where_it_is_told_to() -> None:
    waits = [step.backoff(failures, first=MINUTE, longest=HOUR) for failures in range(1, 9)]
    assert waits == [MINUTE, 2 * MINUTE, 4 * MINUTE, 8 * MINUTE, 16 * MINUTE, 32 * MINUTE, HOUR, HOUR]


def test_a_month_of_failures_of_a_queue_that_is_polled_daily_is_no_overflow() -> None:
    assert step.backoff(40, first=DAY, longest=DAY) == DAY


def test_the_shortest_wait_reaches_the_longest() -> None:
    assert step.backoff(100, first=SECOND, longest=HOUR) == HOUR


@pytest.mark.parametrize(
    ("wish", "granted"),
    [
        pytest.param(None, None, id="none"),
        pytest.param(30 * SECOND, 30 * SECOND, id="as it is"),
        pytest.param(timedelta(0), SECOND, id="at least a second"),
        pytest.param(-DAY, SECOND, id="not backwards"),
        pytest.param(HOUR, HOUR, id="up to an hour"),
        pytest.param(365 * DAY, HOUR, id="never longer"),
    ],
)
def test_which_wish_is_granted(wish: timedelta | None, granted: timedelta | None) -> None:
    assert step.clamp_wish(wish) == granted


@pytest.mark.parametrize(
    ("left", "enough"),
    [
        pytest.param(90 * SECOND, True, id="a claim just made"),
        pytest.param(81 * SECOND, True, id="one made less than 10 s ago"),
        pytest.param(80 * SECOND, False, id="one made 10 s ago"),
        pytest.param(-SECOND, False, id="one that has lapsed"),
    ],
)
def test_whether_there_is_time_to_send(left: timedelta, enough: bool) -> None:  # noqa: FBT001
    assert step.has_time(a_delivery(lease_until=NOON + left), NOON) is enough


def test_there_is_no_time_to_send_without_a_claim() -> None:
    assert step.has_time(a_delivery(), NOON) is False


class TestReleased:
    """A claim that is given back before anything was sent."""

    def test_is_as_if_never_made(self) -> None:
        claimed = a_delivery(attempted_at=NOON)
        assert step.released(claimed, LATER, claimed_at=NOON) == a_delivery(due_at=LATER + 2 * SECOND)

    def test_stays_in_doubt_for_an_earlier_attempt(self) -> None:
        claimed = a_delivery(attempted_at=NOON)
        assert step.released(claimed, LATER, claimed_at=LATER).attempted_at == NOON


class TestBegin:
    """An attempt starts."""

    def test_counts_and_forgets_what_was_looked_for_before(self) -> None:
        begun = step.begin(a_delivery(attempts=2, looks=1), LATER)
        assert begun == a_delivery(attempts=3, attempted_at=LATER)

    def test_keeps_when_the_first_began_that_may_be_posted(self) -> None:
        assert step.begin(an_attempt(), LATER).attempted_at == NOON


class TestSent:
    """It is posted."""

    def test_and_kept_true_for_a_while(self) -> None:
        attempt = an_attempt(last_error="no")
        assert step.sent(attempt, RECEIPT, "d", LATER, DAY) == replace(
            attempt,
            state=State.SENT,
            receipt=RECEIPT,
            digest="d",
            settled_at=LATER,
            edit_until=LATER + DAY,
            last_error="",
        )

    def test_and_let_be(self) -> None:
        assert step.sent(an_attempt(), RECEIPT, "d", LATER, None).edit_until is None


def test_withdrawn_says_why() -> None:
    after = step.withdrawn(a_delivery(), LATER)
    assert (after.state, after.settled_at, after.last_error) == (State.WITHDRAWN, LATER, step.REVIEWED_MEANWHILE)


class TestRefused:
    """A send that failed."""

    @pytest.mark.parametrize("outcome", Outcome)
    def test_keeps_what_was_said(self, outcome: Outcome) -> None:
        assert step.refused(an_attempt(), error(outcome), LATER, began_at=NOON).last_error == "it said no"

    @pytest.mark.parametrize(
        ("outcome", "state", "due_at"),
        [
            pytest.param(Outcome.UNKNOWN, State.UNKNOWN, LATER + 5 * SECOND, id="a lost answer is looked up soon"),
            pytest.param(Outcome.BLIND, State.UNKNOWN, LATER + 5 * SECOND, id="what nobody can see is unknown"),
            pytest.param(Outcome.RETRY, State.PENDING, LATER + 2 * SECOND, id="what was not sent is sent later"),
            pytest.param(Outcome.THROTTLED, State.PENDING, LATER + 2 * SECOND, id="what was throttled is sent later"),
            pytest.param(Outcome.DESTINATION, State.HELD, LATER, id="what the channel refuses is held"),
            pytest.param(Outcome.TOKEN, State.PENDING, LATER, id="what the token may not waits as it is"),
        ],
    )
    def test_goes(self, outcome: Outcome, state: State, due_at: datetime) -> None:
        after = step.refused(an_attempt(), error(outcome), LATER, began_at=NOON)
        assert (after.state, after.due_at) == (state, due_at)

    @pytest.mark.parametrize("outcome", [Outcome.RETRY, Outcome.THROTTLED])
    def test_is_sent_again_when_the_service_wishes(self, outcome: Outcome) -> None:
        wish = error(outcome, retry_after=30 * SECOND)
        assert step.refused(an_attempt(), wish, LATER, began_at=NOON).due_at == LATER + 30 * SECOND

    def test_is_sent_again_later_each_time(self) -> None:
        dues = [
            step.refused(an_attempt(attempts=attempts), error(Outcome.RETRY), LATER, began_at=NOON).due_at
            for attempts in range(1, 12)
        ]
        assert all(one <= other for one, other in pairwise(dues))
        assert dues[-1] == LATER + 15 * MINUTE

    @pytest.mark.parametrize("outcome", SURELY_UNPOSTED)
    def test_is_as_if_never_attempted_where_it_is_surely_not_posted(self, outcome: Outcome) -> None:
        assert step.refused(an_attempt(), error(outcome), LATER, began_at=NOON).attempted_at is None

    @pytest.mark.parametrize("outcome", SURELY_UNPOSTED)
    def test_is_still_in_doubt_for_the_sake_of_an_earlier_attempt(self, outcome: Outcome) -> None:
        again = step.begin(an_attempt(), LATER)
        assert step.refused(again, error(outcome), LATER, began_at=LATER).attempted_at == NOON

    @pytest.mark.parametrize("outcome", [Outcome.UNKNOWN, Outcome.BLIND])
    def test_may_be_posted_since_it_was_attempted(self, outcome: Outcome) -> None:
        assert step.refused(an_attempt(), error(outcome), LATER, began_at=NOON).attempted_at == NOON


class TestARefusedMessage:
    """Tried once more with less: outside its thread, then as plain text; then it is dead."""

    @pytest.mark.parametrize("outcome", [Outcome.MESSAGE, Outcome.EDIT])
    @pytest.mark.parametrize("remind_in", [RemindIn.THREAD, RemindIn.BOTH])
    def test_leaves_its_thread_first(self, outcome: Outcome, remind_in: RemindIn) -> None:
        after = step.refused(an_attempt(remind_in=remind_in), error(outcome), LATER, began_at=NOON)
        assert (after.state, after.due_at, after.remind_in, after.plain) == (
            State.PENDING,
            LATER,
            RemindIn.CHANNEL,
            False,
        )

    @pytest.mark.parametrize("outcome", [Outcome.MESSAGE, Outcome.EDIT])
    def test_becomes_plain_next(self, outcome: Outcome) -> None:
        after = step.refused(an_attempt(), error(outcome), LATER, began_at=NOON)
        assert (after.state, after.due_at, after.plain, after.settled_at) == (State.PENDING, LATER, True, None)

    def test_is_dead_then(self) -> None:
        after = step.refused(an_attempt(plain=True), error(Outcome.MESSAGE), LATER, began_at=NOON)
        assert (after.state, after.settled_at) == (State.DEAD, LATER)


class TestALookUp:
    """Whether an attempt whose answer was lost was posted after all."""

    def test_that_finds_nothing_is_made_again(self) -> None:
        after = step.not_found(an_attempt(state=State.UNKNOWN), LATER)
        assert after == an_attempt(state=State.UNKNOWN, looks=1, due_at=LATER + 5 * SECOND)

    def test_that_finds_nothing_twice_sends_again(self) -> None:
        after = step.not_found(an_attempt(state=State.UNKNOWN, looks=1), LATER)
        assert after == an_attempt(state=State.PENDING, looks=0, due_at=LATER)

    def test_that_finds_nothing_of_one_attempt_after_the_other_leaves_the_service_alone_for_minutes(self) -> None:
        after = step.not_found(an_attempt(state=State.UNKNOWN, looks=1, attempts=20), LATER)
        assert after.due_at == LATER + 5 * MINUTE - 2 * 5 * SECOND

    def test_of_a_delivery_that_crashed_before_it_could_say_when_leaves_it_in_doubt(self) -> None:
        after = step.not_found(a_delivery(state=State.UNKNOWN, looks=1), LATER)
        assert after.attempted_at == NOON

    @pytest.mark.parametrize("outcome", [Outcome.RETRY, Outcome.THROTTLED, Outcome.UNKNOWN, Outcome.TOKEN])
    def test_that_fails_is_made_later(self, outcome: Outcome) -> None:
        after = step.look_failed(an_attempt(state=State.UNKNOWN, looks=1), error(outcome), LATER)
        assert after == an_attempt(state=State.UNKNOWN, looks=1, due_at=LATER + 4 * SECOND, last_error="it said no")

    def test_that_is_throttled_is_made_when_the_service_wishes(self) -> None:
        wish = error(Outcome.THROTTLED, retry_after=MINUTE)
        assert step.look_failed(an_attempt(state=State.UNKNOWN), wish, LATER).due_at == LATER + MINUTE


@pytest.mark.parametrize(
    ("after", "state"),
    [
        pytest.param(lambda row: step.released(row, LATER, claimed_at=NOON), State.PENDING, id="given back"),
        *(
            pytest.param(
                lambda row, outcome=outcome: step.refused(row, error(outcome), LATER, began_at=NOON),
                State.PENDING,
                id=f"refused: {outcome}",
            )
            for outcome in (Outcome.RETRY, Outcome.THROTTLED, Outcome.TOKEN, Outcome.MESSAGE)
        ),
        pytest.param(
            lambda row: step.refused(
                replace(row, remind_in=RemindIn.THREAD), error(Outcome.MESSAGE), LATER, began_at=NOON
            ),
            State.PENDING,
            id="refused in its thread",
        ),
        pytest.param(lambda row: step.not_found(row, LATER), State.UNKNOWN, id="not found once"),
        pytest.param(
            lambda row: step.look_failed(row, error(Outcome.RETRY), LATER), State.UNKNOWN, id="not to be looked up"
        ),
    ],
)
def test_no_step_leaves_a_claimed_row_as_being_sent(after: Callable[[Delivery], Delivery], state: State) -> None:
    assert after(an_attempt(state=State.SENDING)).state is state


class TestAnAttemptThatNobodyCanLookUp:
    """The setting decides."""

    @pytest.mark.parametrize("attempts", [1, 2])
    def test_is_sent_again(self, attempts: int) -> None:
        after = step.unseen(
            an_attempt(state=State.UNKNOWN, attempts=attempts), error(Outcome.BLIND), LATER, resend=True
        )
        assert (after.state, after.due_at, after.last_error) == (State.PENDING, LATER, "it said no")

    @pytest.mark.parametrize(
        ("attempts", "resend"),
        [pytest.param(3, True, id="after the third attempt"), pytest.param(1, False, id="where it is to be held")],
    )
    def test_is_left_to_a_person(self, attempts: int, resend: bool) -> None:  # noqa: FBT001
        unknown = an_attempt(state=State.UNKNOWN, attempts=attempts)
        after = step.unseen(unknown, error(Outcome.BLIND), LATER, resend=resend)
        assert (after.state, after.due_at) == (State.HELD, NEVER)
        assert "it said no" in after.last_error
        assert f"review-notifier retry {unknown.key}" in after.last_error

    def test_that_crashed_before_it_could_say_when_stays_in_doubt(self) -> None:
        after = step.unseen(a_delivery(state=State.UNKNOWN), error(Outcome.BLIND), LATER, resend=True)
        assert after.attempted_at == NOON


class TestAnEdit:
    """Keeps a message true; a notice is never given up for it."""

    def test_shows_the_newest_state(self) -> None:
        owed = an_attempt(edit_at=NOON, digest="old", edits=1)
        assert step.edited(owed, "new", LATER, MINUTE) == replace(
            owed, edit_at=None, edited_at=LATER, edit_held_until=LATER + MINUTE, edits=2, digest="new"
        )

    @pytest.mark.parametrize("outcome", [Outcome.RETRY, Outcome.THROTTLED, Outcome.UNKNOWN, Outcome.TOKEN])
    def test_is_made_later(self, outcome: Outcome) -> None:
        owed = an_attempt(edit_at=NOON, edit_until=NOON + DAY, digest="old")
        after = step.unedited(owed, error(outcome), LATER)
        assert after == replace(owed, edit_at=LATER + MINUTE, digest="", last_error="it said no")

    def test_is_made_when_the_service_wishes(self) -> None:
        wish = error(Outcome.THROTTLED, retry_after=5 * SECOND)
        assert step.unedited(an_attempt(), wish, LATER).edit_at == LATER + 5 * SECOND

    @pytest.mark.parametrize("outcome", [Outcome.EDIT, Outcome.MESSAGE, Outcome.DESTINATION, Outcome.BLIND])
    def test_is_given_up(self, outcome: Outcome) -> None:
        owed = an_attempt(edit_at=NOON, edit_until=NOON + DAY)
        after = step.unedited(owed, error(outcome), LATER)
        assert after == replace(owed, edit_at=None, edit_until=None, last_error="it said no")


class TestAPause:
    """A destination that refuses is left alone, longer with every try in a row."""

    def test_begins_with_a_minute(self) -> None:
        pause = step.paused(CHANNEL, error(Outcome.DESTINATION), NOON, None)
        assert pause == Pause(CHANNEL, NOON, NOON + MINUTE, "no", failures=1, error="it said no")

    def test_grows_and_remembers_when_it_began(self) -> None:
        former = Pause(CHANNEL, since=NOON - HOUR, until=NOON, reason="other", failures=3)
        pause = step.paused(CHANNEL, error(Outcome.DESTINATION), NOON, former)
        assert pause == Pause(CHANNEL, NOON - HOUR, NOON + 8 * MINUTE, "no", failures=4, error="it said no")

    def test_is_never_longer_than_an_hour(self) -> None:
        former = Pause(CHANNEL, since=NOON, until=NOON, reason="no", failures=99)
        assert step.paused(CHANNEL, error(Outcome.TOKEN), NOON, former).until == NOON + HOUR

    def test_is_as_long_as_the_service_wishes(self) -> None:
        wish = error(Outcome.DESTINATION, retry_after=5 * MINUTE)
        assert step.paused(CHANNEL, wish, NOON, None).until == NOON + 5 * MINUTE


def test_a_lease_outlives_a_request_twice_over_and_looks_are_apart() -> None:
    assert (step.LEASE, step.LOOK_AGAIN, step.LOOKS) == (90 * SECOND, 5 * SECOND, 2)
