"""Worklists: what one person has to review, or what waits in one queue, as it is shown to somebody who asks. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC
from functools import reduce
from typing import TYPE_CHECKING
from uuid import UUID

from worker.core.actions import acts_at
from worker.core.message import Message, line_of
from worker.core.model import LISTED, Kind
from worker.core.owed import Destination

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from worker.core.audience import Person, Persons
    from worker.core.letter import QueueShown
    from worker.core.message import Line
    from worker.core.model import Queue, Review, Show

_NOWHERE = Destination("nowhere", "")
_NO_KEY = UUID(int=0)


@dataclass(frozen=True, slots=True)
class Shelf:
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


@dataclass(frozen=True, slots=True)
class Worklist:
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


@dataclass(frozen=True, slots=True)
class _Found:
    """A run to show, and where it stands."""

    shelf: Shelf
    review: Review
    line: Line
    is_yours: bool

    @property
    def order(self) -> tuple[int, datetime, str]:
        """First what is to be done now, then what another has, then what is put off; the oldest first of each."""
        is_others = (self.line.reserved or bool(self.line.claimed_by)) and not self.is_yours
        rank = 2 if self.line.snoozed_until is not None else int(is_others)
        return rank, self.review.since, str(self.review.queue_run_id)


def worklist_of(user: str, persons: Persons, shelves: Sequence[Shelf], now: datetime) -> Worklist:
    """What is the turn of a user of the notifier, or taken by this one, in all queues."""
    person = persons.with_user(user)
    ids = {user} if person is None else person.every_id | {user}
    found = [
        _without(person, _found(shelf, review, ids, now))
        for shelf in shelves
        for review in shelf.reviews
        if _is_claimed_by(ids, review, now) or (person is not None and shelf.view.turns.is_of(person, review))
    ]
    peopled = [shelf for shelf in shelves if not shelf.view.turns.is_nobodys]
    return replace(
        _worklist(found, shelves, now),
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
    found = [_found(shelf, review, ids, now) for review in shelf.reviews]
    muted_until = shelf.muted_until if shelf.muted_until is not None and shelf.muted_until > now else None
    shown = _worklist(found, [shelf], now)
    return replace(shown, message=replace(shown.message, queue=shelf.queue), muted_until=muted_until)


def _without(person: Person | None, found: _Found) -> _Found:
    """The same, which names of those whose turn it is the others alone."""
    if person is None or person.name not in found.line.waiting_for:
        return found
    others = tuple(name for name in found.line.waiting_for if name != person.name)
    return replace(found, line=replace(found.line, waiting_for=others))


def _is_claimed_by(ids: Iterable[str], review: Review, now: datetime) -> bool:
    acts = acts_at(review.acts, now)
    return acts.is_claimed and acts.claimed_by in ids


def _found(shelf: Shelf, review: Review, ids: Iterable[str], now: datetime) -> _Found:
    view = shelf.view
    line = line_of(review, shelf.queue.reviewers_per_run, view.stale_at(review), now, None, view.turns)
    return _Found(shelf, review, line, _is_claimed_by(ids, review, now))


def _worklist(found: Sequence[_Found], shelves: Sequence[Shelf], now: datetime) -> Worklist:
    ordered = sorted(found, key=lambda each: each.order)
    listed = ordered[:LISTED]
    several = len({each.shelf.queue.queue_id for each in ordered}) > 1
    failing = [shelf.failing_since for shelf in shelves if shelf.failing_since is not None]
    return Worklist(
        message=Message(
            key=_NO_KEY,
            kind=Kind.DIRECT,
            destination=_NOWHERE,
            as_of=now,
            lines=tuple(replace(each.line, queue=each.shelf.queue if several else None) for each in listed),
            total=len(ordered),
            waiting=len(ordered),
            show=_shown(listed),
            zone=shelves[0].view.zone if shelves else UTC,
        ),
        overdue=sum(each.line.overdue for each in ordered),
        yours=sum(each.is_yours for each in ordered),
        snoozed=sum(each.line.snoozed_until is not None for each in ordered),
        failing_since=min(failing, default=None),
    )


def _shown(listed: Sequence[_Found]) -> frozenset[Show]:
    # What one queue may not show is not shown beside another either.
    shown = [each.shelf.view.show for each in listed]
    return reduce(frozenset.intersection, shown) if shown else frozenset()
