"""What people should see of a claimed delivery."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from tests.support.builders import CHANNEL, HOUR, NOON, delivery, ident, queue, review
from tests.support.given import QUEUE, a_review, at
from worker.core.audience import Audience, Turns
from worker.core.message import (
    EXPIRES_WITHIN,
    Line,
    Message,
    Shares,
    compose_edit,
    compose_post,
    fingerprint,
    totals_of,
)
from worker.core.model import LISTED, Access, Facts, Fate, Kind, QueueTotals, RemindIn, Reviewer, Show, Who
from worker.core.owed import NEVER, Claim, QueueShare, Receipt

if TYPE_CHECKING:
    from datetime import datetime

    from worker.core.model import Review
    from worker.core.owed import Delivery

SHOWN = frozenset({Show.NAME, Show.AGE})
ROOT = Receipt(CHANNEL.place, "1.0")


def a_delivery(**more: Any) -> Delivery:
    return delivery(**{"kind": Kind.REMINDER, "of": QUEUE, "mention": ("S0ONCALL00",)} | more)


def test_a_post_tells_of_what_is_still_owed_as_of_now() -> None:
    waiting, left = replace(a_review(1), run_id=None), a_review(2, closed_at=at(1))
    message = compose_post(Claim(a_delivery(), (waiting, left)), [waiting], SHOWN, at(2))
    assert message == Message(
        key=ident("notice"),
        kind=Kind.REMINDER,
        destination=CHANNEL,
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
    message = compose_edit(Claim(a_delivery(), (review,), total=1), SHOWN, NOON)
    plain = {"facts": review.facts, "run_id": review.run_id, "since": NOON, "of": 2}
    assert message.lines == (Line(**plain | expected),)


def test_a_line_without_a_queue_needs_one_reviewer() -> None:
    message = compose_edit(Claim(replace(a_delivery(), queue=None), (a_review(),)), SHOWN, NOON)
    assert message.lines[0].of == 1


def test_an_edit_shows_what_it_lists_and_counts_all_as_of_now() -> None:
    sent = a_delivery(settled_at=at(2), plain=True)
    successor = Receipt(CHANNEL, "9.9")
    claim = Claim(sent, (a_review(),), total=12, waiting=7, root=ROOT, successor=successor)
    message = compose_edit(claim, SHOWN, at(3), totals=QueueTotals(waiting=9))
    assert message == Message(
        key=ident("notice"),
        kind=Kind.REMINDER,
        destination=CHANNEL,
        as_of=at(3),
        queue=QUEUE,
        lines=message.lines,
        total=12,
        waiting=7,
        mention=("S0ONCALL00",),
        plain=True,
        successor=successor,
        show=SHOWN,
        standing=Shares(queue=QueueTotals(waiting=9)),
        is_edit=True,
    )
    assert len(message.lines) == 1


def stale_at(review: Review) -> datetime:
    return review.since + 4 * HOUR


MIXED = tuple(a_review(number, since=at(hours)) for number, hours in enumerate((-9, -5, -3.5, -3, -1, 0)))
PURPOSES = {MIXED[0].key: Kind.ESCALATION, MIXED[4].key: Kind.ANNOUNCEMENT, MIXED[5].key: Kind.BASELINE}


def mixed(kind: Kind = Kind.REMINDER) -> Claim:
    """Escalated, stale, twice taken along before it is stale, twice new."""
    purposes = {review.key: PURPOSES.get(review.key, Kind.REMINDER) for review in MIXED}
    return Claim(a_delivery(kind=kind), MIXED, total=6, waiting=6, purposes=purposes)


def test_a_post_says_of_each_run_why_it_is_there_and_when_it_is_due() -> None:
    message = compose_post(mixed(), MIXED, SHOWN, NOON, stale_at=stale_at)
    assert [(line.purpose, line.overdue, line.due_at) for line in message.lines] == [
        (Kind.ESCALATION, True, None),
        (Kind.REMINDER, True, None),
        (Kind.REMINDER, False, at(0.5)),
        (Kind.REMINDER, False, at(1)),
        (Kind.ANNOUNCEMENT, False, at(3)),
        (Kind.BASELINE, False, at(4)),
    ]


@pytest.mark.parametrize("kind", [Kind.REMINDER, Kind.ANNOUNCEMENT, Kind.ESCALATION])
def test_a_post_counts_its_runs_by_why_they_are_there(kind: Kind) -> None:
    message = compose_post(mixed(kind), MIXED, SHOWN, NOON, stale_at=stale_at)
    assert message.standing == Shares(new=2, escalated=1, overdue=2, along=2, along_by=at(1))


def test_a_post_counts_only_what_is_still_owed() -> None:
    message = compose_post(mixed(), MIXED[1:3], SHOWN, NOON, stale_at=stale_at)
    assert message.standing == Shares(overdue=1, along=1, along_by=at(0.5))


def test_runs_that_are_all_there_for_the_kind_of_the_message_say_no_purpose() -> None:
    claim = Claim(a_delivery(kind=Kind.ANNOUNCEMENT), MIXED, total=6)
    message = compose_post(claim, MIXED, SHOWN, NOON)
    assert {line.purpose for line in message.lines} == {None}
    assert message.standing == Shares(new=6)


def test_an_edit_counts_the_purposes_of_runs_that_it_does_not_list() -> None:
    claim = replace(mixed(), reviews=MIXED[:3], total=8)
    standing = compose_edit(claim, SHOWN, NOON, stale_at=stale_at).standing
    assert (standing.new, standing.escalated) == (2, 1)
    assert (standing.overdue, standing.along) == (0, 0), "of what is not listed it is not known when it is due"


@pytest.mark.parametrize(
    ("stale", "changes"),
    [
        pytest.param(at(5), {"due_at": at(5)}, id="will be stale"),
        pytest.param(at(1), {"overdue": True}, id="is stale from this instant on"),
        pytest.param(None, {}, id="never becomes stale"),
        pytest.param(NEVER, {}, id="becomes stale after the calendar's end"),
    ],
)
def test_a_line_says_that_a_run(stale: datetime | None, changes: dict[str, Any]) -> None:
    message = compose_post(Claim(a_delivery()), [a_review()], SHOWN, at(1), stale_at=lambda _: stale)
    assert message.lines[0] == dataclasses.replace(Line(a_review().facts, a_review().run_id, NOON, of=2), **changes)


def test_a_run_that_left_is_neither_due_nor_overdue() -> None:
    claim = Claim(a_delivery(), (a_review(closed_at=NOON),), total=1)
    assert not compose_edit(claim, SHOWN, at(9), stale_at=stale_at).lines[0].overdue
    assert compose_edit(claim, SHOWN, NOON, stale_at=stale_at).lines[0].due_at is None


def test_totals_count_the_open_reviews_of_a_queue() -> None:
    reviews = [*MIXED, a_review(9, since=at(-99), closed_at=NOON), a_review(8, since=at(-5), reserved=True)]
    expected = QueueTotals(waiting=7, stale=3, reserved=1, oldest_since=at(-9))
    assert totals_of(reviews, at(-4)) == expected
    assert totals_of(reviews, None) == replace(expected, stale=0)
    assert totals_of([], NOON) == QueueTotals()


def test_a_fingerprint_does_not_change_with_what_else_waits_in_the_queue() -> None:
    one, other = (
        compose_edit(mixed(), SHOWN, at(hours), totals=QueueTotals(waiting=count)) for hours, count in ((1, 6), (2, 9))
    )
    assert fingerprint(one) == fingerprint(other)


def test_a_fingerprint_does_not_change_with_the_reviewers_of_the_queue_and_what_they_disagree_on() -> None:
    message = compose_post(mixed(), MIXED, SHOWN, NOON)
    of = replace(QUEUE, access=Access.ASSIGNED, assigned=(Reviewer("ada"),), disagreed=3)
    assert fingerprint(replace(message, queue=of)) == fingerprint(replace(message, queue=QUEUE))


def test_a_line_says_that_reviewers_disagree_while_that_is_so() -> None:
    disputed = review("a", done=2, who=Who(disagreed=True))
    settled = review("b", done=2, who=Who(disagreed=True), closed_at=NOON)
    claim = Claim(delivery(of=QUEUE), (disputed, settled), total=2, waiting=1)
    lines = compose_edit(claim, SHOWN, NOON).lines
    assert [line.disagreed for line in lines] == [True, False]


@pytest.mark.parametrize(
    "changes",
    [
        {"waiting": 5},
        {"total": 7},
        {"show": frozenset({Show.NAME})},
        {"successor": ROOT},
        {"plain": True},
        {"queue": replace(QUEUE, name="renamed")},
        {"lines": (Line(Facts(name="\ud800"), None, NOON),)},
        {"queue_lines": (QueueShare(QUEUE, 1, 2),)},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_a_fingerprint_changes_with(changes: dict[str, Any]) -> None:
    message = compose_post(mixed(), MIXED, SHOWN, NOON)
    assert fingerprint(replace(message, **changes)) != fingerprint(message)


def test_a_line_says_whose_turn_its_run_is_where_that_is_asked_for() -> None:
    ada, ben = Reviewer("ada", "Ada"), Reviewer("ben", "Ben")
    of = queue(reviewers_per_run=2, assigned=(ada, ben))
    one = review(done=1, reserved=True, who=Who(reserved_by=("ben",), completed_by=("ada",)))
    claim = Claim(delivery(of=of), (one,), total=1, waiting=1)
    (line,) = compose_post(claim, (one,), frozenset(), NOON, turns=Turns(of, Audience.ASSIGNED)).lines
    assert (line.waiting_for, line.reserved_by) == (("Ben",), ("Ben",))
    (line,) = compose_edit(claim, frozenset(), NOON, turns=Turns(of, Audience.ASSIGNED)).lines
    assert (line.waiting_for, line.reserved_by) == (("Ben",), ("Ben",))
    (line,) = compose_post(claim, (one,), frozenset(), NOON).lines
    assert (line.waiting_for, line.reserved_by) == ((), ())


class TestWhatExpires:
    """A run of which the trace expires soon says so, as does the count of its queue."""

    @pytest.mark.parametrize(
        ("expires_at", "shown"),
        [(None, None), (NOON + EXPIRES_WITHIN, NOON + EXPIRES_WITHIN), (NOON + EXPIRES_WITHIN + HOUR, None)],
    )
    def test_is_in_its_line(self, expires_at: datetime | None, shown: datetime | None) -> None:
        message = compose_post(Claim(a_delivery()), (a_review(expires_at=expires_at),), SHOWN, NOON)
        assert message.lines[0].expires_at == shown

    def test_is_said_no_more_of_what_has_left(self) -> None:
        left = a_review(expires_at=NOON, closed_at=NOON)
        assert compose_edit(Claim(a_delivery(), (left,), total=1), SHOWN, NOON).lines[0].expires_at is None

    def test_makes_another_message_and_none_where_nothing_does(self) -> None:
        owed = [a_review(), a_review(expires_at=NOON + HOUR)]
        plain, expiring = (compose_post(Claim(a_delivery()), (each,), SHOWN, NOON) for each in owed)
        assert fingerprint(plain) != fingerprint(expiring)

    def test_is_counted(self) -> None:
        reviews = [a_review(expires_at=at) for at in (NOON + HOUR, NOON + 3 * HOUR, None)]
        counted = totals_of(reviews, None, NOON + 2 * HOUR)
        assert (counted.expiring, counted.expires_at) == (1, NOON + HOUR)
