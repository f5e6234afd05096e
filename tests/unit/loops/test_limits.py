"""A notifier is asked for nothing that it cannot do, and goes at its own pace."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from tests.support.builders import DAY, HOUR, MINUTE, SECOND, queue, rules_with
from tests.support.fake_notifier import FakeNotifier
from tests.unit.loops.stage import Stage
from worker.core.delivery import OnUnknown
from worker.core.model import RemindIn
from worker.core.owed import State
from worker.core.ports import Outcome

if TYPE_CHECKING:
    from worker.core.ports import Limits


class Limited(FakeNotifier):
    """The fake with other limits."""

    def __init__(self, **limits: object) -> None:
        super().__init__()
        self._limits = replace(super().limits, **limits)  # type: ignore[arg-type]

    @property
    def limits(self) -> Limits:
        return self._limits


def test_a_destination_is_posted_to_at_the_pace_of_the_notifier() -> None:
    stage = Stage(notifier=Limited(pace=MINUTE))
    for name in ("one", "two"):
        stage.owe(name, notice_name=name, of=queue(name))
    stage.run()
    stage.run(59 * SECOND)
    assert len(stage.notifier.attempts) == 1
    stage.run(SECOND)
    assert len(stage.notifier.attempts) == 2


def test_a_message_is_edited_again_at_the_pace_of_the_notifier() -> None:
    stage = Stage(notifier=Limited(edit_every=HOUR))
    stage.owe("a", "b", "c")
    stage.run()
    for name, wait in (("a", 0 * SECOND), ("b", HOUR - SECOND), ("c", 0 * SECOND)):
        stage.clock.advance(wait)
        stage.close(name)
        stage.edit.step()
    assert len(stage.notifier.edits) == 1
    stage.clock.advance(SECOND)
    stage.edit.step()
    assert [message.waiting for message, _ in stage.notifier.edits] == [2, 0]


def test_a_message_that_cannot_be_edited_is_owed_no_edit() -> None:
    stage = Stage(notifier=Limited(can_edit=False))
    stage.owe("a", "b")
    stage.run()
    stage.close("a")
    stage.run(DAY)
    assert stage.only().edit_until is None
    assert not stage.edit.step()
    assert stage.notifier.edits == []


def test_where_nothing_can_be_looked_up_a_lost_answer_is_treated_as_the_settings_say() -> None:
    for on_unknown, state, posts in ((OnUnknown.RESEND, State.SENT, 2), (OnUnknown.HOLD, State.HELD, 1)):
        stage = Stage(rules=rules_with(on_unknown=on_unknown), notifier=Limited(can_find=False, name="the printer"))
        stage.notifier.fail("send", Outcome.UNKNOWN, committed=True)
        stage.owe("a")
        stage.run()
        stage.run(MINUTE)
        assert (stage.only().state, len(stage.notifier.board)) == (state, posts)
        assert stage.notifier.looks == []
    assert "the printer cannot be searched" in stage.only().last_error


def test_where_there_are_no_threads_a_reminder_stands_in_the_channel() -> None:
    stage = Stage(notifier=Limited(can_thread=False))
    stage.owe("a", notice_name="first")
    stage.run()
    stage.owe("a", notice_name="second", remind_in=RemindIn.THREAD)
    stage.run(MINUTE)
    assert [message.root for message in stage.notifier.board] == [None, None]
