"""Messages that are late again and again are an incident that says what is in the way."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from tests.support.builders import SECOND
from tests.support.clock import FakeClock
from tests.unit.loops.stage import Stage
from worker.core.delivery import withdrawn
from worker.core.overview import Area
from worker.core.ports import DeliveryError, Outcome
from worker.loops.deliver import Deliver
from worker.loops.incidents import Board, Ops
from worker.loops.pauses import LATE_FOR, Lateness

if TYPE_CHECKING:
    from worker.core.overview import Reason

LATE = DeliveryError("Slack was not asked: looking up the name took 11 s", Outcome.RETRY, code="too_late")
GONE = DeliveryError("Slack did not answer: cannot connect", Outcome.RETRY, code="connect")


class Place:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.board = Board(self.clock)
        self.lateness = Lateness(self.board, self.clock, "Slack")

    def fail(self, error: DeliveryError, *, after: timedelta = LATE_FOR) -> tuple[Reason, ...]:
        self.clock.advance(after)
        self.lateness.failed(error)
        return self.board.standing


def test_three_in_a_row_over_two_minutes_are_an_incident_with_the_cause() -> None:
    place = Place()
    assert place.fail(LATE) == ()
    assert place.fail(LATE) == ()
    (reason,) = place.fail(LATE)
    assert (reason.kind, reason.area) == ("posts_late", Area.NOTIFIER)
    assert "looking up the name took 11 s" in reason.text
    assert "name server" in reason.fix


def test_many_in_a_moment_are_none() -> None:
    place = Place()
    assert all(place.fail(GONE, after=SECOND) == () for _ in range(100))


def test_the_words_change_with_the_trouble_alone() -> None:
    place = Place()
    for _ in range(3):
        (*_, reason) = place.fail(GONE) or [None]
    other_seconds = DeliveryError("Slack did not answer: after 12 s", Outcome.RETRY, code="connect")
    assert place.fail(other_seconds) == (reason,)
    (changed,) = place.fail(LATE)
    assert "looking up the name" in changed.text


def test_a_service_that_asks_for_patience_answers() -> None:
    place = Place()
    throttled = DeliveryError("slow", Outcome.THROTTLED, code="ratelimited")
    assert all(place.fail(throttled) == () for _ in range(9))


def test_one_that_gets_through_ends_it() -> None:
    place = Place()
    for _ in range(3):
        place.fail(GONE)
    place.lateness.over()
    assert place.board.standing == ()
    assert place.fail(GONE) == ()


class Late(Stage):
    """A stage whose parts announce on a board."""

    def restart(self) -> None:
        super().restart()
        self.board = Board(self.clock)
        ops = Ops(store=self.store, notes=self.store, clock=self.clock, channel=None)
        world = {"store": self.store, "polls": self.store, "notifier": self.notifier, "clock": self.clock}
        self.deliver = Deliver(
            **world, channels=self.store, budgets=self.store, rules=self.rules_of, ops=ops, incidents=self.board
        )

    def go_on(self, minutes: int) -> list[str]:
        for _ in range(minutes * 12):
            self.clock.advance(5 * SECOND)
            self.deliver.wake()
            self.deliver.run(lambda: False)
        return [reason.kind for reason in self.board.standing]


@pytest.fixture
def late() -> Late:
    return Late()


def test_a_probe_that_gets_through_does_not_hide_that_no_message_does(late: Late) -> None:
    late.owe("run")
    late.notifier.fail("send", Outcome.RETRY, code="too_late", times=9)
    assert late.go_on(1) == []
    assert late.go_on(4) == ["posts_late"]
    assert late.notifier.probes
    assert late.go_on(30) == []
    assert len(late.notifier.board) == 1


def test_what_is_owed_no_more_is_not_late(late: Late) -> None:
    owed = late.owe("run")
    late.notifier.fail("send", Outcome.RETRY, code="connect", times=99)
    late.notifier.fail("probe", Outcome.RETRY, code="connect", times=9)
    assert late.go_on(30) == ["posts_late"]
    claim = late.store.claim(late.clock.now() + timedelta(hours=1), timedelta(0))
    assert claim.delivery.key == owed.key
    late.store.settle(withdrawn(claim.delivery, late.clock.now()), claim.delivery)
    assert late.go_on(30) == []
