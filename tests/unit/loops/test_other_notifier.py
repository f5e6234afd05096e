"""A destination of another notifier, which an earlier configuration may have owed something, is held and reported."""

from __future__ import annotations

import pytest

from tests.support.builders import CHANNEL, SECOND, delivery
from tests.unit.loops.stage import OPS_CHANNEL, Stage
from worker.core.model import Kind
from worker.core.owed import Destination, State
from worker.core.text import unmarked

FOREIGN = Destination("mail", CHANNEL.place)


def test_it_is_not_posted_to_while_the_notifiers_own_are() -> None:
    stage = Stage()
    stage.owe("a", notice_name="foreign", channel=FOREIGN)
    stage.owe("b", notice_name="own")
    stage.run()
    stage.run(SECOND)
    assert [message.destination for message in stage.notifier.attempts] == [CHANNEL, OPS_CHANNEL]
    foreign, own = stage.notices()
    assert (foreign.state, foreign.attempted_at, own.state) == (State.HELD, None, State.SENT)
    assert foreign.last_error == "mail:C0SUPPORT is no destination of Slack"
    assert [(pause.destination, pause.reason) for pause in stage.store.pauses()] == [(FOREIGN, "other_notifier")]
    (report,) = stage.reports()
    assert unmarked(report).startswith("Posting to C0SUPPORT fails: mail:C0SUPPORT is no destination of Slack.")


@pytest.mark.parametrize("kind", [Kind.ANNOUNCEMENT, Kind.OPS])
def test_it_is_not_looked_into_for_a_lost_answer(kind: Kind) -> None:
    stage = Stage()
    lost = delivery("lost", kind=kind, channel=FOREIGN, state=State.UNKNOWN, attempts=1, attempted_at=stage.now)
    stage.store.owe(lost)
    stage.run()
    assert stage.notifier.looks == []
