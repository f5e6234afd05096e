"""What came of an act, in words."""

from __future__ import annotations

from datetime import UTC

import pytest
from msgspec.structs import replace

from tests.support.builders import DAY, NOON, ident, queue, review
from worker.core.actions import Act, Acted, Refusal, Subject
from worker.core.model import Acts, Facts, Fate, Review
from worker.core.replies import done_text, refused_text, reply_text

SNOOZED = replace(review("a"), acts=Acts(snoozed_until=NOON + DAY))
TAKEN = replace(review("a"), acts=Acts("U1", "Ada\n\u202e", NOON + DAY))


def closed(fate: Fate) -> Review:
    return review("a", closed_at=NOON, fate=fate)


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


@pytest.mark.parametrize(
    ("act", "acted", "words"),
    [
        (Act.CLAIM, Acted(Subject(review=TAKEN)), "a: you have it until Tue 3 Mar 12:00 (UTC), without reminders; "),
        (Act.SNOOZE, Acted(Subject(review=SNOOZED)), "a: snoozed until Tue 3 Mar 12:00 (UTC)."),
        (Act.NOT_MINE, Acted(Subject(review=review("a"))), "a: it is not your turn any more."),
        (Act.MUTE, Acted(Subject(muted_until=NOON + DAY)), "Support QA: muted until Tue 3 Mar 12:00 (UTC); "),
        (Act.UNMUTE, Acted(Subject()), "Support QA: not muted any more."),
        (Act.CLAIM, Acted(Subject(review=closed(Fate.REVIEWED)), Refusal.CLOSED), "a: it has been reviewed already."),
        (Act.CLAIM, Acted(Subject(review=closed(Fate.REMOVED)), Refusal.CLOSED), "a: it was removed from the queue."),
        (Act.CLAIM, Acted(Subject(review=closed(Fate.UNKNOWN)), Refusal.CLOSED), "a: it is no longer waiting."),
        (Act.CLAIM, Acted(Subject(review=review("a")), Refusal.TAKEN, "Ben"), "a: Ben has it already."),
    ],
)
def test_a_person_is_shown_what_came_of_an_act(act: Act, acted: Acted, words: str) -> None:
    assert reply_text(act, acted, queue(), ident("a"), UTC).startswith(words)


def test_a_run_that_is_not_known_by_any_id_is_called_run() -> None:
    assert reply_text(Act.SNOOZE, Acted(Subject(), Refusal.UNKNOWN), queue(), None, UTC).startswith("Run: ")


def test_a_run_without_a_name_is_called_by_the_beginning_of_its_id() -> None:
    nameless = replace(review("a"), facts=Facts())
    unknown = replace(nameless, run_id=None)
    for known, run_id in ((nameless, nameless.run_id), (unknown, ident("b")), (None, ident("b"))):
        text = reply_text(Act.GIVE_BACK, Acted(Subject(review=known), Refusal.REPEATED), queue(), ident("b"), UTC)
        assert text.startswith(f"Run {str(run_id)[:8]}: ")


def test_a_queue_without_a_name_is_called_the_queue() -> None:
    assert reply_text(Act.UNMUTE, Acted(Subject()), queue("\u202e"), None, UTC) == "The queue: not muted any more."
