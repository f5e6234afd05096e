"""Short ways for people to act, for the tests of acts."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from tests.support.builders import DAY, NOON, ident
from tests.support.outbox import QUEUE
from worker.core.actions import Act, Acted, Action, Actor, Subject, apply
from worker.core.audience import listed_id

if TYPE_CHECKING:
    from datetime import datetime

    from worker.core.model import Review
    from worker.core.store_roles import Store

ADA = Actor(listed_id("ada@example.com"), "Ada", "ada@example.com")
BEN = Actor("U0BEN000001", "Ben")


def an_act(
    act: Act,
    by: Actor = ADA,
    name: str | int | None = "a",
    *,
    until: datetime | None = NOON + DAY,
    envelope: str = "",
) -> Action:
    """One act on a run of the usual queue, by its name, or on the queue itself."""
    run = None if name is None or act in {Act.MUTE, Act.UNMUTE} else ident(name)
    return Action(act, by, QUEUE.queue_id, run, until, "shell", envelope)


def after(review: Review, *actions: Action, now: datetime = NOON) -> Review:
    """A review after acts, none of which is refused."""
    subject = Subject(QUEUE, review)
    for action in actions:
        acted = apply(action, subject, now)
        assert acted.refusal is None
        subject = acted.subject
    assert subject.review is not None
    return subject.review


def do(store: Store, action: Action, now: datetime = NOON, *, may_act: bool = True) -> Acted:
    """Act, as the store lets people."""
    return store.act(action, partial(apply, action, now=now, may_act=may_act), now)
