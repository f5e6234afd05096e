"""The edit loop: posted messages are kept true, never in the way of a post."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.builders import CHANNEL, DAY, HOUR, MINUTE, NOON, SECOND, ident, review, rules_with
from tests.support.memory_store import MemoryStore
from tests.unit.loops.stage import RULES, Stage
from worker.core.delivery import LEASE
from worker.core.message import compose_edit
from worker.core.model import Kind
from worker.core.overview import NullMeter
from worker.core.owed import State
from worker.core.ports import DeliveryError, Outcome, StoreError
from worker.notifiers.slack.notifier import EDIT_BURST, EDIT_EVERY, EDIT_PACE

if TYPE_CHECKING:
    from worker.core.message import Message
    from worker.core.owed import Delivery


@dataclass
class Meter(NullMeter):
    """Notes what it is told."""

    edits: list[str] = field(default_factory=list)
    throttles: int = 0

    def edited(self, outcome: str) -> None:
        self.edits.append(outcome)

    def throttled(self) -> None:
        self.throttles += 1


def posted(*names: str, stage: Stage | None = None) -> Stage:
    """A message about these runs has been posted a minute ago."""
    stage = stage or Stage()
    stage.owe(*names)
    stage.run()
    stage.clock.advance(MINUTE)
    return stage


def shown(stage: Stage) -> Message:
    """The first message as people see it."""
    return stage.notifier.board[0]


def metered(stage: Stage) -> Meter:
    meter = Meter()
    stage.edit._meter = meter  # type: ignore[assignment]  # noqa: SLF001
    return meter


def run(stage: Stage) -> int:
    """Make every edit that may be made now."""
    made = 0
    while stage.edit.step():
        made += 1
        stage.clock.advance(2 * SECOND)
    return made


def owed(stage: Stage, name: str = "notice") -> Delivery:
    return next(each for each in stage.store.deliveries() if each.key == ident(name))


class GoneOnce(MemoryStore):
    """A database that fails at one call, when it has done it."""

    call = ""

    def _reach(self, call: str) -> None:
        if call == self.call:
            self.call = ""
            raise StoreError("the database has gone")

    def claim_edit(self, *args: Any) -> Any:
        claim = super().claim_edit(*args)
        self._reach("claim")
        return claim

    def settle_edit(self, after: Delivery, claimed: Delivery) -> bool:
        self._reach("settle")
        return super().settle_edit(after, claimed)


@pytest.mark.parametrize("call", ["claim", "settle"])
def test_an_edit_that_the_database_cuts_off_waits_for_no_lease(call: str) -> None:
    stage = posted("a", stage=Stage(store=GoneOnce()))
    stage.close("a")
    stage.store.call = call
    with pytest.raises(StoreError):
        stage.edit.step()
    stage.clock.advance(2 * SECOND)
    stage.edit.step()
    assert (len(stage.notifier.edits), owed(stage).edits, owed(stage).edit_at) == (1, 1, None)


class TestAMessage:
    """Is edited as its runs change."""

    def test_shows_which_and_how_many_are_left(self) -> None:
        stage = posted("a", "b", "c")
        stage.close("b")
        assert run(stage) == 1
        message = shown(stage)
        assert (message.total, message.waiting) == (3, 2)
        assert {line.facts.name for line in message.lines if line.fate} == {"b"}

    def test_shows_that_all_are_reviewed(self) -> None:
        stage = posted("a")
        stage.close("a")
        run(stage)
        assert shown(stage).waiting == 0

    def test_shows_that_a_run_is_reserved(self) -> None:
        stage = posted("a")
        stage.write(review("a", reserved=True))
        run(stage)
        assert shown(stage).lines[0].reserved

    def test_shows_that_a_run_waits_again(self) -> None:
        stage = posted("a")
        stage.close("a")
        run(stage)
        stage.clock.advance(EDIT_EVERY)
        stage.write(review("a"))
        run(stage)
        assert shown(stage).waiting == 1

    def test_shows_ages_as_of_the_edit(self) -> None:
        stage = posted("a")
        stage.close("a")
        stage.clock.advance(HOUR)
        run(stage)
        assert shown(stage).as_of >= NOON + HOUR

    def test_counts_what_else_waits_in_the_queue(self) -> None:
        stage = posted("a", "b")
        stage.write(review("c", reserved=True))
        stage.close("a")
        run(stage)
        totals = shown(stage).standing.queue
        assert (totals.waiting, totals.reserved) == (2, 1)

    def test_counts_its_edits(self) -> None:
        stage = posted("a")
        stage.close("a")
        run(stage)
        sent = owed(stage)
        assert (sent.state, sent.edits, sent.edit_at) == (State.SENT, 1, None)
        assert sent.digest == stage.notifier.fingerprint(shown(stage))

    def test_is_not_edited_where_nothing_shows(self) -> None:
        stage = posted("a")
        meter = metered(stage)
        stage.write(review("a", told_at=NOON + HOUR, generation=2))
        run(stage)
        assert (stage.notifier.edits, meter.edits) == ([], ["unneeded"])
        assert run(stage) == 0

    def test_keeps_its_key(self) -> None:
        stage = posted("a")
        stage.close("a")
        run(stage)
        assert shown(stage).key == ident("notice")

    def test_that_was_posted_as_plain_text_stays_so(self) -> None:
        stage = Stage()
        stage.notifier.fail("send", Outcome.MESSAGE)
        stage.owe("a")
        stage.run()
        stage.run(SECOND)
        stage.clock.advance(MINUTE)
        stage.close("a")
        run(stage)
        assert shown(stage).plain


class TestDebouncing:
    """At most one edit in 30 s a message; the last state always arrives."""

    def test_spaces_the_edits_of_one_message(self) -> None:
        stage = posted("a", "b", "c")
        stage.close("a")
        assert run(stage) == 1
        stage.close("b")
        stage.close("c")
        assert run(stage) == 0
        stage.clock.advance(EDIT_EVERY)
        assert run(stage) == 1
        assert (shown(stage).waiting, len(stage.notifier.edits)) == (0, 2)

    def test_spaces_the_edits_of_all_but_for_a_few_after_a_pause(self) -> None:
        names = [str(number) for number in range(EDIT_BURST + 2)]
        stage = posted("a")
        for name in names:
            stage.owe(name, notice_name=name)
            stage.run(MINUTE)
        stage.close(*names)
        assert [stage.edit.step() for _ in range(EDIT_BURST + 1)] == [True] * EDIT_BURST + [False]
        assert timedelta(0) < stage.edit.paced_for <= EDIT_PACE
        for _ in range(2):
            stage.clock.advance(EDIT_PACE)
            assert (stage.edit.step(), stage.edit.step()) == (True, False)

    def test_makes_a_change_during_an_edit_arrive(self) -> None:
        stage = posted("a", "b")
        stage.close("a")
        real = stage.notifier.edit

        def meanwhile(*args: object) -> None:
            real(*args)
            stage.notifier.edit = real
            stage.close("b")

        stage.notifier.edit = meanwhile
        run(stage)
        assert shown(stage).waiting == 1
        stage.clock.advance(LEASE)
        run(stage)
        assert shown(stage).waiting == 0

    def test_makes_a_change_during_the_post_arrive(self) -> None:
        stage = Stage()
        stage.owe("a", "b")
        real = stage.notifier.send

        def meanwhile(message: Message, *_: object) -> object:
            receipt = real(message)
            stage.close("b")
            return receipt

        stage.notifier.send = meanwhile
        stage.run()
        stage.clock.advance(LEASE)
        run(stage)
        assert (shown(stage).total, shown(stage).waiting) == (2, 1)


class TestHowLong:
    """For as long as is wanted."""

    def test_no_edit_is_made_after_that(self) -> None:
        stage = posted("a")
        stage.clock.advance(7 * DAY)
        stage.close("a")
        assert run(stage) == 0

    def test_no_edit_is_made_where_none_is_wanted(self) -> None:
        stage = posted("a", stage=Stage(rules=rules_with(edit_for=None)))
        stage.close("a")
        assert run(stage) == 0

    def test_no_edit_is_made_where_none_was_wanted_though_a_run_left_during_the_post(self) -> None:
        stage = Stage(rules=rules_with(edit_for=None))
        stage.owe("a", "b")
        real = stage.notifier.send

        def meanwhile(message: Message, *_: object) -> object:
            receipt = real(message)
            stage.close("b")
            return receipt

        stage.notifier.send = meanwhile
        stage.run()
        stage.clock.advance(LEASE)
        assert run(stage) == 0


class TestAnEditThatFails:
    """Is made later or given up; the notice never is."""

    @pytest.mark.parametrize("outcome", [Outcome.RETRY, Outcome.THROTTLED, Outcome.UNKNOWN, Outcome.TOKEN])
    def test_is_made_later(self, outcome: Outcome) -> None:
        stage = posted("a")
        meter = metered(stage)
        stage.close("a")
        stage.notifier.fail("edit", outcome)
        run(stage)
        assert shown(stage).waiting == 1
        stage.clock.advance(MINUTE)
        run(stage)
        assert (shown(stage).waiting, meter.edits) == (0, ["failed", "made"])
        assert meter.throttles == (outcome is Outcome.THROTTLED)

    @pytest.mark.parametrize("outcome", [Outcome.RETRY, Outcome.THROTTLED, Outcome.UNKNOWN, Outcome.TOKEN])
    def test_holds_the_others_back(self, outcome: Outcome) -> None:
        stage = posted("a")
        stage.owe("b", notice_name="two")
        stage.run(MINUTE)
        stage.close("a", "b")
        stage.notifier.fail("edit", outcome, times=2)
        run(stage)
        stage.clock.advance(30 * SECOND)
        assert run(stage) == 0
        assert len(stage.notifier.edits) == 1

    def test_that_is_throttled_is_made_when_the_service_wishes(self) -> None:
        stage = posted("a")
        stage.close("a")
        stage.notifier.fail("edit", Outcome.THROTTLED, retry_after=5 * SECOND)
        run(stage)
        stage.clock.advance(3 * SECOND)
        assert run(stage) == 1

    def test_that_was_made_after_all_is_undone_when_its_run_waits_again(self) -> None:
        stage = posted("a")
        stage.close("a")
        real = stage.notifier.edit

        def lost(*args: object) -> None:
            real(*args)
            stage.notifier.edit = real
            raise DeliveryError("no answer", Outcome.RETRY)

        stage.notifier.edit = lost
        run(stage)
        stage.write(review("a"))
        stage.clock.advance(MINUTE)
        run(stage)
        assert shown(stage).waiting == 1

    @pytest.mark.parametrize("outcome", [Outcome.EDIT, Outcome.MESSAGE, Outcome.DESTINATION])
    def test_is_given_up_with_all_later_ones(self, outcome: Outcome) -> None:
        stage = posted("a", "b")
        meter = metered(stage)
        stage.close("a")
        stage.notifier.fail("edit", outcome)
        run(stage)
        stage.close("b")
        stage.clock.advance(HOUR)
        assert run(stage) == 0
        assert (meter.edits, owed(stage).state) == (["given_up"], State.SENT)

    def test_of_a_deleted_message_does_not_hold_the_others_back(self) -> None:
        stage = posted("a")
        stage.owe("b", notice_name="two")
        stage.run(MINUTE)
        receipt = owed(stage).receipt
        assert receipt is not None
        stage.notifier.delete(receipt)
        stage.close("a", "b")
        assert run(stage) == 2
        assert shown(stage).waiting == 0

    def test_does_not_hold_posts_back(self) -> None:
        stage = posted("a")
        stage.close("a")
        stage.notifier.fail("edit", Outcome.TOKEN)
        run(stage)
        stage.owe("b", notice_name="two")
        assert stage.run() == 1

    def test_and_whose_process_is_gone_is_made_when_the_lease_has_lapsed(self) -> None:
        stage = posted("a")
        stage.close("a")
        stage.store.claim_edit(stage.now, LEASE)
        stage.restart()
        stage.clock.advance(LEASE - SECOND)
        assert run(stage) == 0
        stage.clock.advance(SECOND)
        assert run(stage) == 1


class TestANewerReminder:
    """The former one collapses to a line that points to it."""

    def reminded(self, *former: str, newer: tuple[str, ...]) -> Stage:
        stage = Stage()
        stage.owe(*former, notice_name="one", kind=Kind.REMINDER)
        stage.run()
        stage.clock.advance(DAY)
        stage.owe(*newer, notice_name="two", kind=Kind.REMINDER)
        stage.run()
        return stage

    def test_is_pointed_to(self) -> None:
        stage = self.reminded("a", newer=("a", "b"))
        run(stage)
        assert shown(stage).successor == owed(stage, "two").receipt
        assert shown(stage).destination == CHANNEL

    def test_that_does_not_speak_of_everything_is_not_pointed_to(self) -> None:
        stage = self.reminded("a", "b", newer=("b",))
        run(stage)
        assert shown(stage).successor is None


def test_an_edit_that_was_made_by_a_process_that_is_gone_is_undone_when_its_run_waits_again() -> None:
    stage = posted("a")
    stage.close("a")
    claim = stage.store.claim_edit(stage.now, LEASE)
    stage.notifier.edit(compose_edit(claim, RULES.settings.show, stage.now), claim.delivery.receipt)
    stage.restart()
    stage.write(review("a"))
    stage.clock.advance(LEASE)
    run(stage)
    assert shown(stage).waiting == 1
