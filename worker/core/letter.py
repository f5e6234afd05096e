"""Direct messages as their reader should see them: the runs that are the reader's turn, of all queues. Pure."""

from __future__ import annotations

import dataclasses
from datetime import UTC
from functools import reduce
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from worker.core.audience import Problem
from worker.core.direct import OWNER
from worker.core.message import Message, Shares, line_of
from worker.core.model import FIRST_SIGHT, LISTED, Kind
from worker.core.policy import is_worn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime, tzinfo

    from worker.core.audience import Person, Turns
    from worker.core.message import Line
    from worker.core.model import Id, Queue, Review, Show
    from worker.core.owed import Claim


class QueueShown(Struct, frozen=True):
    """What a message shows of the runs of one queue, and whose turn they are.

    After so many `reminders` in its channel the owner hears of a run instead (None: there is no owner).
    """

    turns: Turns
    show: frozenset[Show]
    stale_at: Callable[[Review], datetime | None]
    zone: tzinfo
    reminders: int | None = None
    is_direct: bool = True


class Letter(Struct, frozen=True):
    """A claimed direct message, with what holds for each queue of its runs, as everything is at `now`."""

    claim: Claim
    views: Mapping[Id, QueueShown]
    now: datetime

    @property
    def is_for_owner(self) -> bool:
        """Whether its reader is an owner, who hears of what no one else could be sent."""
        return self.claim.delivery.reader.startswith(OWNER)

    def person(self, turns: Turns) -> Person | None:
        """The reader, as far as known."""
        return turns.persons.with_user(self.claim.delivery.destination.place)

    def concerns(self, review: Review) -> bool:
        """Whether a run is still a matter of the reader's."""
        if not review.is_open:
            return False
        turns = self._view(review).turns
        # A queue that has no people any more: what is owed already goes out as it was decided.
        if turns.is_nobodys:
            return True
        if self.is_for_owner:
            return bool(turns.of(review)) or self._is_passed(review) or self._is_worn(review)
        person = self.person(turns)
        return person is not None and person.can_be_messaged and turns.is_of(person, review)

    def _is_passed(self, review: Review) -> bool:
        """Whether the owner hears of a run because an escalation could not mention anybody."""
        return self.is_for_owner and self._purpose(review) is Kind.ESCALATION

    def _is_worn(self, review: Review) -> bool:
        """Whether the owner hears of a run because its channel was reminded of it often enough."""
        return self.is_for_owner and is_worn(review, self._view(review).reminders)

    def split(self) -> tuple[tuple[Review, ...], tuple[Review, ...]]:
        """The runs that are still the reader's, and the others."""
        mine = [self.concerns(review) for review in self.claim.reviews]
        both = list(zip(self.claim.reviews, mine, strict=True))
        return tuple(one for one, is_mine in both if is_mine), tuple(one for one, is_mine in both if not is_mine)

    def post(self, owed: Sequence[Review]) -> Message:
        """The message to post about the runs that are still the reader's, oldest first."""
        return self._message(owed, is_edit=False)

    def edit(self) -> Message:
        """The message as it should look now."""
        # Stable: those that wait come oldest first, then the others as the claim has them.
        reviews = sorted(self.claim.reviews, key=lambda review: not self.concerns(review))
        return self._message(reviews, is_edit=True)

    def _view(self, review: Review) -> QueueShown:
        return self.views[self.claim.queues[review.key].queue_id]

    def _message(self, reviews: Sequence[Review], *, is_edit: bool) -> Message:
        delivery = self.claim.delivery
        queues = self._queues(reviews)
        several = len(queues) > 1
        concerned = [review for review in reviews if self.concerns(review)]
        # What one queue may not show is not shown beside another either.
        shown = [self.views[queue.queue_id].show for queue in queues]
        return Message(
            key=delivery.key,
            kind=delivery.kind,
            destination=delivery.destination,
            as_of=self.now,
            queue=None if several or not queues else queues[0],
            lines=tuple(self._line(review, several=several) for review in reviews[:LISTED]),
            total=len(reviews),
            waiting=len(concerned),
            plain=delivery.plain,
            show=reduce(frozenset.intersection, shown) if shown else frozenset(),
            standing=replace(self._standing(concerned), places=self._queues(self._headed(reviews, concerned))),
            zone=self.views[queues[0].queue_id].zone if queues else UTC,
            is_edit=is_edit,
            is_for_owner=self.is_for_owner,
        )

    def _standing(self, concerned: Sequence[Review]) -> Shares:
        purposes = [self._purpose(review) for review in concerned]
        due = [self._view(review).stale_at(review) for review in concerned]
        along = [
            at
            for at, purpose in zip(due, purposes, strict=True)
            if at is not None and at > self.now and purpose is Kind.REMINDER
        ]
        return Shares(
            new=sum(purpose in FIRST_SIGHT for purpose in purposes),
            overdue=sum(at is not None and at <= self.now for at in due),
            along=len(along),
            along_by=max(along, default=None),
        )

    def _headed(self, reviews: Sequence[Review], concerned: Sequence[Review]) -> Sequence[Review]:
        """The runs that the headline counts: while all wait for a person, the new ones, or else the overdue ones."""
        if self.is_for_owner or len(concerned) < len(reviews):
            return reviews
        new = [review for review in reviews if self._purpose(review) in FIRST_SIGHT]
        due = ((review, self._view(review).stale_at(review)) for review in reviews)
        return new or [review for review, at in due if at is not None and at <= self.now] or reviews

    def _queues(self, reviews: Iterable[Review]) -> tuple[Queue, ...]:
        """The queues of these runs, each once."""
        queues = (self.claim.queues[review.key] for review in reviews)
        return tuple({queue.queue_id: queue for queue in queues}.values())

    def _purpose(self, review: Review) -> Kind:
        return self.claim.purposes.get(review.key, Kind.ANNOUNCEMENT)

    def _line(self, review: Review, *, several: bool) -> Line:
        view, queue = self._view(review), self.claim.queues[review.key]
        purposes = {self._purpose(each) for each in self.claim.reviews}
        is_passed = self._is_passed(review)
        # What all runs are there for, the headline says already.
        purpose = self._purpose(review) if len(purposes) > 1 or is_passed else None
        line = line_of(review, queue.reviewers_per_run, view.stale_at(review), self.now, purpose, view.turns)
        person = None if self.is_for_owner else self.person(view.turns)
        is_done = person is not None and review.is_open and view.turns.has_completed(person, review)
        return dataclasses.replace(
            line,
            queue=queue if several else None,
            is_done=is_done,
            is_others=review.is_open and not is_done and not self.concerns(review),
            waiting_for=self._waiting_for(review, view.turns, line, person),
            reminded=review.reminded if self._is_worn(review) else 0,
            unheard=_unheard(review, view.turns) if self.is_for_owner and view.is_direct and not is_passed else (),
        )

    def _waiting_for(self, review: Review, turns: Turns, line: Line, person: Person | None) -> tuple[str, ...]:
        """To an owner, everyone whose turn it is; to a person, the others."""
        if self.is_for_owner:
            return tuple(each.name for each in turns.of(review) if each.name)
        others = {each.name for each in turns.of(review) if person is None or each.reviewer_ids != person.reviewer_ids}
        return tuple(name for name in line.waiting_for if name in others)


def _unheard(review: Review, turns: Turns) -> tuple[tuple[str, Problem], ...]:
    """Whom no message reaches, and why; besides, where enough others are reached, these: they were called enough."""
    persons = turns.of(review)
    unreached = tuple(person for person in persons if not turns.persons.may_be_reached(person) and person.is_notified)
    reached = tuple(person for person in persons if turns.persons.may_be_reached(person))
    is_enough = not unreached or turns.can_finish(review, len(reached))
    problems = tuple((person.name, person.problem) for person in unreached)
    return problems + tuple((person.name, Problem.NONE) for person in reached if is_enough)
