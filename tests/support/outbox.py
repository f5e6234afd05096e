"""Short ways to owe, claim and settle, for the tests of the outbox."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from tests.support.builders import CHANNEL, DAY, LEASE, NOON, deciding, ident, notice, queue, receipt
from worker.core.model import Kind, RemindIn
from worker.core.owed import State

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime, timedelta

    from worker.core.model import Queue, Review, ReviewKey
    from worker.core.owed import Claim, Delivery, Destination
    from worker.core.store_roles import Store

QUEUE = queue()


def owe(
    store: Store,
    *reviews: Review,
    name: str = "notice",
    kind: Kind = Kind.ANNOUNCEMENT,
    channel: Destination | str = CHANNEL,
    mention: Sequence[str] = (),
    remind_in: RemindIn = RemindIn.CHANNEL,
    of: Queue = QUEUE,
    at: datetime = NOON,
) -> None:
    """Write reviews and owe one notice about them."""
    told = notice(*reviews, name=name, kind=kind, channel=channel, mention=mention, remind_in=remind_in)
    store.update(of, [], deciding(*reviews, notices=[told]), at)


def write(store: Store, *reviews: Review, at: datetime = NOON, of: Queue = QUEUE) -> None:
    """Write reviews and owe nothing."""
    store.update(of, [], deciding(*reviews), at)


def take(store: Store, at: datetime = NOON, *, lease: timedelta = LEASE, skip: Collection[Destination] = ()) -> Claim:
    """Claim what must be there."""
    claim = store.claim(at, lease, skip)
    assert claim is not None
    return claim


def take_edit(store: Store, at: datetime = NOON, *, lease: timedelta = LEASE) -> Claim:
    """Claim an edit that must be owed."""
    claim = store.claim_edit(at, lease)
    assert claim is not None
    return claim


def posted(
    delivery: Delivery, at: datetime = NOON, *, ts: str = "1.1", edit_for: timedelta | None = 7 * DAY
) -> Delivery:
    """What a delivery becomes by a post that succeeded."""
    return replace(
        delivery,
        state=State.SENT,
        attempts=delivery.attempts + 1,
        receipt=receipt(ts, channel=delivery.destination),
        settled_at=at,
        edit_until=None if edit_for is None else at + edit_for,
    )


def post(
    store: Store,
    at: datetime = NOON,
    *,
    ts: str = "1.1",
    edit_for: timedelta | None = 7 * DAY,
    shown: Sequence[ReviewKey] | None = None,
    left_out: Collection[ReviewKey] = (),
) -> Claim:
    """Claim what is due and settle it as sent, listing everything that is not left out."""
    claim = take(store, at)
    listed = [each.key for each in claim.reviews if each.key not in left_out] if shown is None else shown
    after = posted(claim.delivery, at, ts=ts, edit_for=edit_for)
    assert store.settle(after, claim.delivery, shown=listed, left_out=left_out)
    return claim


def put_back(store: Store, claim: Claim, due_at: datetime, *, state: State = State.PENDING, **news: object) -> None:
    """Settle a claim as one that was surely not posted and has to be treated again later."""
    usual = {"attempts": claim.delivery.attempts + 1, "attempted_at": None}
    after = replace(claim.delivery, state=state, due_at=due_at, **{**usual, **news})  # type: ignore[arg-type]
    assert store.settle(after, claim.delivery)


def row(store: Store, name: str = "notice") -> Delivery:
    """A delivery as the outbox has it."""
    return next(each for each in store.deliveries(limit=1000) if each.key == ident(name))
