"""Messages: a claimed delivery as people should see it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from worker.core.model import LISTED, Facts, Fate, RemindIn, Show

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    from worker.core.model import Id, Kind, Queue, Review
    from worker.core.owed import Claim, Receipt


@dataclass(frozen=True, slots=True)
class Line:
    """One run in a message. `fate` is None while it waits; `done` of `of` reviewers have completed it."""

    facts: Facts
    run_id: Id | None
    since: datetime
    reserved: bool = False
    back: bool = False
    fate: Fate | None = None
    done: int = 0
    of: int = 1


@dataclass(frozen=True, slots=True)
class Message:
    """Everything that a notifier needs to show one delivery; `lines` are the oldest of `total` runs.

    Ages are those at `as_of`. `waiting` counts those of `total` that still wait. `root` is the message to answer in
    its thread;
    `broadcast` shows the answer in the channel too. `successor` makes it one line that points to a newer reminder.
    """

    key: UUID
    kind: Kind
    channel: str
    as_of: datetime
    queue: Queue | None = None
    lines: tuple[Line, ...] = ()
    total: int = 0
    waiting: int = 0
    mention: tuple[str, ...] = ()
    text: str = ""
    plain: bool = False
    root: Receipt | None = None
    broadcast: bool = False
    successor: Receipt | None = None
    show: frozenset[Show] = frozenset({Show.NAME, Show.TYPE, Show.AGE, Show.TAGS})


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
    """The message as it should look now."""
    delivery = claim.delivery
    return Message(
        key=delivery.key,
        kind=delivery.kind,
        channel=delivery.channel,
        # Ages stay those of the post: an edit shows what people did, and is not made for time alone.
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
        fate=None if review.is_open else review.fate or Fate.UNKNOWN,
        done=review.done,
        of=of,
    )
