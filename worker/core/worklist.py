"""Worklists: what one person has to review, or what waits in one queue, as it is shown to somebody who asks. Pure."""

from __future__ import annotations

import dataclasses
from datetime import UTC
from functools import reduce
from heapq import nsmallest
from typing import TYPE_CHECKING
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from worker.core.actions import acts_at
from worker.core.message import Message, line_of
from worker.core.model import LISTED, NO_ACTS, Kind
from worker.core.owed import Destination

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from worker.core.audience import Person, Persons
    from worker.core.letter import QueueShown
    from worker.core.message import Line
    from worker.core.model import Acts, Queue, Review, Show

_NOWHERE = Destination("nowhere", "")
_NO_KEY = UUID(int=0)


class Shelf(Struct, frozen=True):
    """One queue with the runs that wait in it, in any order, and how these are shown.

    Of a queue without people `reviews` need only be those that somebody has taken; `waiting` counts all.
    `muted_until` is when its last mute ends. `failing_since` says that polls of it have failed since then.
    """

    queue: Queue
    view: QueueShown
    reviews: Sequence[Review]
    waiting: int
    muted_until: datetime | None = None
    failing_since: datetime | None = None


class Worklist(Struct, frozen=True):
    """What somebody asked for, at one moment.

    `message` has the lines and the counts of runs. Of the runs `overdue` are late, `yours` are taken by the one who
    asks, and `snoozed` are put off. `nobodys` are the queues that have no people, with how many runs wait there.
    `is_known` says whether the one who asks is one of the people of any queue, and `has_people` whether there are any.
    `muted_until` is that of the one queue that was asked for. What is shown may be out of date since `failing_since`.
    """

    message: Message
    overdue: int = 0
    yours: int = 0
    snoozed: int = 0
    nobodys: tuple[tuple[Queue, int], ...] = ()
    is_known: bool = True
    has_people: bool = True
    muted_until: datetime | None = None
    failing_since: datetime | None = None

    @property
    def queue(self) -> Queue | None:
        """The queue that was asked for; None where somebody asked for what is their own."""
        return self.message.queue


class _Found(Struct, frozen=True):
    """A run to show, and what people have said of it."""

    shelf: Shelf
    review: Review
    acts: Acts
    is_yours: bool

    @classmethod
    def of(cls, shelf: Shelf, review: Review, ids: Collection[str], now: datetime) -> _Found:
        acts = acts_at(review.acts, now) if review.acts is not NO_ACTS else NO_ACTS
        return cls(shelf, review, acts, acts.is_claimed and acts.claimed_by in ids)

    @property
    def order(self) -> tuple[int, datetime, str]:
        """First what is to be done now, then what another has, then what is put off; the oldest first of each."""
        is_others = (self.review.reserved or self.acts.is_claimed) and not self.is_yours
        rank = 2 if self.acts.snoozed_until is not None else int(is_others)
        return rank, self.review.since, str(self.review.queue_run_id)

    def is_overdue(self, now: datetime) -> bool:
        stale_at = self.shelf.view.stale_at(self.review)
        return stale_at is not None and stale_at <= now

    def line(self, now: datetime, reader: Person | None) -> Line:
        """The run as it is shown; of those whose turn it is, the others than the reader are named."""
        view = self.shelf.view
        of = self.shelf.queue.reviewers_per_run
        line = line_of(self.review, of, view.stale_at(self.review), now, None, view.turns)
        others = tuple(name for name in line.waiting_for if reader is None or name != reader.name)
        return dataclasses.replace(line, waiting_for=others)


def worklist_of(user: str, persons: Persons, shelves: Sequence[Shelf], now: datetime) -> Worklist:
    """What is the turn of a user of the notifier, or taken by this one, in all queues."""
    person = persons.with_user(user)
    ids = {user} if person is None else person.every_id | {user}
    everything = (_Found.of(shelf, review, ids, now) for shelf in shelves for review in shelf.reviews)
    found = [each for each in everything if each.is_yours or _is_turn_of(person, each)]
    peopled = [shelf for shelf in shelves if not shelf.view.turns.is_nobodys]
    return replace(
        _worklist(found, shelves, now, person),
        nobodys=tuple(
            (shelf.queue, shelf.waiting) for shelf in shelves if shelf.view.turns.is_nobodys and shelf.waiting
        ),
        is_known=person is not None and any(shelf.view.turns.is_reviewer(person) for shelf in peopled),
        has_people=bool(peopled),
    )


def worklist_in(shelf: Shelf, user: str, persons: Persons, now: datetime) -> Worklist:
    """What waits in one queue, for each reviewer alike, as it is shown to a user."""
    person = persons.with_user(user)
    ids = {user} if person is None else person.every_id | {user}
    found = [_Found.of(shelf, review, ids, now) for review in shelf.reviews]
    muted_until = shelf.muted_until if shelf.muted_until is not None and shelf.muted_until > now else None
    shown = _worklist(found, [shelf], now, None)
    return replace(shown, message=replace(shown.message, queue=shelf.queue), muted_until=muted_until)


def _is_turn_of(person: Person | None, found: _Found) -> bool:
    return person is not None and found.shelf.view.turns.is_of(person, found.review)


def _worklist(found: Sequence[_Found], shelves: Sequence[Shelf], now: datetime, reader: Person | None) -> Worklist:
    # There may be thousands, of which only the first few are made into lines.
    listed = nsmallest(LISTED, found, key=lambda each: each.order)
    several = len({each.shelf.queue.queue_id for each in found}) > 1
    lines = [(each.line(now, reader), each.shelf.queue if several else None) for each in listed]
    failing = [shelf.failing_since for shelf in shelves if shelf.failing_since is not None]
    return Worklist(
        message=Message(
            key=_NO_KEY,
            kind=Kind.DIRECT,
            destination=_NOWHERE,
            as_of=now,
            lines=tuple(dataclasses.replace(line, queue=queue) for line, queue in lines),
            total=len(found),
            waiting=len(found),
            show=_shown(listed),
            zone=shelves[0].view.zone if shelves else UTC,
        ),
        overdue=sum(each.is_overdue(now) for each in found),
        yours=sum(each.is_yours for each in found),
        snoozed=sum(each.acts.snoozed_until is not None for each in found),
        failing_since=min(failing, default=None),
    )


def _shown(listed: Sequence[_Found]) -> frozenset[Show]:
    # What one queue may not show is not shown beside another either.
    shown = [each.shelf.view.show for each in listed]
    return reduce(frozenset.intersection, shown) if shown else frozenset()
