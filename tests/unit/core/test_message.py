"""What people should see of a claimed delivery."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from msgspec import structs

from tests.support.builders import CHANNEL, HOUR, NOON, delivery, ident
from tests.support.given import QUEUE, a_review, at
from worker.core.message import Line, Message, compose_edit, compose_post
from worker.core.model import LISTED, Facts, Fate, Kind, RemindIn, Show
from worker.core.owed import Claim, Receipt

if TYPE_CHECKING:
    from worker.core.owed import Delivery

SHOWN = frozenset({Show.NAME, Show.AGE})
ROOT = Receipt(CHANNEL, "1.0")


def a_delivery(**more: Any) -> Delivery:
    return delivery(**{"kind": Kind.REMINDER, "of": QUEUE, "mention": ("S0ONCALL00",)} | more)


def test_a_post_tells_of_what_is_still_owed_as_of_now() -> None:
    waiting, left = structs.replace(a_review(1), run_id=None), a_review(2, closed_at=at(1))
    message = compose_post(Claim(a_delivery(), (waiting, left)), [waiting], SHOWN, at(2))
    assert message == Message(
        key=ident("notice"),
        kind=Kind.REMINDER,
        channel=CHANNEL,
        as_of=at(2),
        queue=QUEUE,
        lines=(Line(facts=Facts(name="1", run_type="chain"), run_id=None, since=NOON, of=2),),
        total=1,
        waiting=1,
        mention=("S0ONCALL00",),
        show=SHOWN,
    )


def test_a_post_lists_the_first_ten_and_counts_all() -> None:
    reviews = [a_review(number) for number in range(LISTED + 3)]
    message = compose_post(Claim(a_delivery(), tuple(reviews)), reviews, SHOWN, NOON)
    assert [line.run_id for line in message.lines] == [review.run_id for review in reviews[:LISTED]]
    assert (message.total, message.waiting) == (LISTED + 3, LISTED + 3)


def test_a_post_whose_answer_was_lost_counts_what_has_left_since() -> None:
    reviews = [a_review(1), a_review(2, closed_at=at(1))]
    message = compose_post(Claim(a_delivery(), tuple(reviews)), reviews, SHOWN, NOON)
    assert (message.total, message.waiting) == (2, 1)


def test_a_report_of_the_workers_own_has_a_text_and_no_queue() -> None:
    report = a_delivery(kind=Kind.OPS, of=None, mention=(), text="trouble", plain=True)
    message = compose_post(Claim(report), (), SHOWN, NOON)
    assert (message.text, message.queue, message.lines, message.plain) == ("trouble", None, (), True)


@pytest.mark.parametrize(
    ("remind_in", "root", "expected"),
    [
        pytest.param(RemindIn.CHANNEL, ROOT, (None, False), id="in the channel whatever could be answered"),
        pytest.param(RemindIn.THREAD, ROOT, (ROOT, False), id="in the thread alone"),
        pytest.param(RemindIn.BOTH, ROOT, (ROOT, True), id="in both"),
        pytest.param(RemindIn.THREAD, None, (None, False), id="in the channel where nothing can be answered"),
        pytest.param(RemindIn.BOTH, None, (None, False), id="once in the channel where nothing can be answered"),
    ],
)
def test_where_a_reminder_goes(
    remind_in: RemindIn, root: Receipt | None, expected: tuple[Receipt | None, bool]
) -> None:
    claim = Claim(a_delivery(remind_in=remind_in), (a_review(),), root=root)
    message = compose_post(claim, claim.reviews, SHOWN, NOON)
    assert (message.root, message.broadcast) == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param({}, {}, id="waits"),
        pytest.param({"reserved": True}, {"reserved": True}, id="is reserved"),
        pytest.param({"back": True}, {"back": True}, id="is back in the queue"),
        pytest.param({"done": 1}, {"done": 1}, id="was completed by one of two"),
        pytest.param({"closed_at": at(1), "fate": Fate.REVIEWED}, {"fate": Fate.REVIEWED}, id="was reviewed"),
        pytest.param({"closed_at": at(1), "fate": Fate.REMOVED}, {"fate": Fate.REMOVED}, id="was removed"),
        pytest.param({"closed_at": at(1)}, {"fate": Fate.UNKNOWN}, id="waits no longer, nobody knows why"),
        pytest.param(
            {"closed_at": at(1), "reserved": True},
            {"fate": Fate.UNKNOWN},
            id="is reserved by nobody once it has left",
        ),
        pytest.param({"absent_at": at(1)}, {}, id="still waits after one absence"),
        pytest.param({"facts": Facts(name="n"), "since": at(-3)}, {"facts": Facts(name="n"), "since": at(-3)}, id="is"),
    ],
)
def test_a_line_tells_how_a_run(given: dict[str, Any], expected: dict[str, Any]) -> None:
    review = a_review(**given)
    message = compose_edit(Claim(a_delivery(), (review,), total=1), SHOWN)
    plain = {"facts": review.facts, "run_id": review.run_id, "since": NOON, "of": 2}
    assert message.lines == (Line(**plain | expected),)


def test_a_line_without_a_queue_needs_one_reviewer() -> None:
    message = compose_edit(Claim(replace(a_delivery(), queue=None), (a_review(),)), SHOWN)
    assert message.lines[0].of == 1


def test_an_edit_shows_what_it_lists_and_counts_all_as_of_the_post() -> None:
    successor = Receipt(CHANNEL, "9.9")
    claim = Claim(
        a_delivery(settled_at=at(2), plain=True), (a_review(),), total=12, waiting=7, root=ROOT, successor=successor
    )
    message = compose_edit(claim, SHOWN)
    assert message == Message(
        key=ident("notice"),
        kind=Kind.REMINDER,
        channel=CHANNEL,
        as_of=at(2),
        queue=QUEUE,
        lines=message.lines,
        total=12,
        waiting=7,
        mention=("S0ONCALL00",),
        plain=True,
        successor=successor,
        show=SHOWN,
    )
    assert len(message.lines) == 1


def test_an_edit_of_what_was_never_settled_is_as_of_its_beginning() -> None:
    assert compose_edit(Claim(a_delivery(created_at=NOON - HOUR)), SHOWN).as_of == NOON - HOUR
