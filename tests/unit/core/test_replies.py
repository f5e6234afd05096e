"""What came of an act, in words."""

from __future__ import annotations

from datetime import UTC

import pytest
from msgspec import structs

from tests.support.builders import DAY, NOON, queue, review
from worker.core.actions import Act, Acted, Refusal, Subject
from worker.core.model import Acts
from worker.core.replies import done_text, refused_text

TAKEN = structs.replace(review("a"), acts=Acts("U1", "Ada\n\u202e", NOON + DAY))


@pytest.mark.parametrize(
    ("act", "run", "words"),
    [
        (Act.CLAIM, TAKEN, "Ada has it until Tue 3 Mar 12:00 (UTC), without reminders; escalations still come"),
        (Act.GIVE_BACK, review("a"), "nobody has it now"),
        (Act.NOT_MINE, review("a"), "it is not your turn any more"),
        (Act.SNOOZE, review("a"), "snoozed until Mon 2 Mar 12:00 (UTC)"),
        (Act.MUTE, None, "muted until Mon 2 Mar 12:00 (UTC); messages are still edited, and escalations still come"),
        (Act.UNMUTE, None, "not muted any more"),
    ],
)
def test_what_was_done_is_said_of_the_run_or_the_queue(act: Act, run: object, words: str) -> None:
    acted = Acted(Subject(queue(), run))  # type: ignore[arg-type]
    assert done_text(act, "Refund\n", acted, NOON, UTC) == f"Refund: {words}"


def test_a_refusal_names_who_has_it() -> None:
    assert refused_text("Refund", Acted(Subject(), Refusal.TAKEN, "Ben\u202e")) == "Refund: Ben has it already"
    assert refused_text("Refund", Acted(Subject(), Refusal.PAST)) == "Refund: that time has passed already"
