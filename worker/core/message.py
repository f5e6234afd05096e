"""A claimed delivery as the message that people should see. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.core.model import LISTED, Left, Line, Message, RemindIn

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from worker.core.model import Claim, Queue, Review, Show


def compose_post(claim: Claim, owed: Sequence[Review], show: frozenset[Show], now: datetime) -> Message:
    """The message to post about the runs that are still owed, oldest first."""
    delivery = claim.delivery
    return Message(
        key=delivery.key,
        kind=delivery.kind,
        channel=delivery.channel,
        as_of=now,
        queue=delivery.queue,
        lines=_lines(owed[:LISTED], delivery.queue),
        total=len(owed),
        waiting=sum(review.is_open for review in owed),
        mention=delivery.mention,
        text=delivery.text,
        plain=delivery.plain,
        root=claim.root if delivery.remind_in is not RemindIn.CHANNEL else None,
        broadcast=delivery.remind_in is RemindIn.BOTH and claim.root is not None,
        show=show,
    )


def compose_edit(claim: Claim, show: frozenset[Show]) -> Message:
    """The message as it should look now; ages stay those of the post, for an edit tells what people did."""
    delivery = claim.delivery
    return Message(
        key=delivery.key,
        kind=delivery.kind,
        channel=delivery.channel,
        as_of=delivery.settled_at or delivery.created_at,
        queue=delivery.queue,
        lines=_lines(claim.reviews, delivery.queue),
        total=claim.total,
        waiting=claim.waiting,
        mention=delivery.mention,
        plain=delivery.plain,
        successor=claim.successor,
        show=show,
    )


def _lines(reviews: Sequence[Review], queue: Queue | None) -> tuple[Line, ...]:
    of = queue.reviewers_per_run if queue else 1
    return tuple(_line(review, of) for review in reviews)


def _line(review: Review, of: int) -> Line:
    return Line(
        facts=review.facts,
        run_id=review.run_id,
        since=review.since,
        reserved=review.reserved and review.is_open,
        back=review.back,
        left=None if review.is_open else review.left or Left.UNKNOWN,
        done=review.done,
        of=of,
    )
