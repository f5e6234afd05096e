"""Lets people act: finds out who they are, whether they may, and until when, then decides and writes it down."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog
from msgspec import Struct
from msgspec.structs import replace

from worker.core.actions import OPERATOR, Act, Acted, Action, Actor, MayAct, Subject, apply
from worker.core.audience import Turns, email_key, listed_id
from worker.core.model import Queue
from worker.core.overview import DONE, UNMETERED

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime, timedelta

    from worker.core.audience import Person, Persons
    from worker.core.model import Id
    from worker.core.overview import Meter
    from worker.core.store_roles import Acting, Polls
    from worker.rules import RulesOf

log = structlog.get_logger(__name__)


class Wish(Struct, frozen=True):
    """What somebody asks for, in whatever way: an act on a run, or on a queue where no run is named.

    The person is known by the `user` of the notifier or by an `email`, and shown by the `name` where no better one is
    known; one without any is an operator. `until` is needed for all that ends by itself but a claim.
    """

    act: Act
    queue_id: Id
    queue_run_id: Id | None = None
    user: str = ""
    email: str = ""
    name: str = ""
    until: datetime | None = None
    through: str = ""
    envelope_id: str = ""


class Perform:
    """Performs what people ask for. Thread-safe."""

    def __init__(  # noqa: PLR0913  (what it needs, all by name)
        self,
        *,
        acting: Acting,
        polls: Polls,
        rules: RulesOf,
        persons: Callable[[], Persons],
        claim_for: Callable[[timedelta], timedelta],
        may_act: MayAct,
        meter: Meter = UNMETERED,
    ) -> None:
        """`claim_for` gives how long a claim lasts, in open time, where a usual open day is so long.

        `may_act` says who may act; `meter` counts what was done and what was refused.
        """
        self._meter = meter
        self._acting = acting
        self._polls = polls
        self._rules = rules
        self._persons = persons
        self._claim_for = claim_for
        self._may_act = may_act

    def __call__(self, wish: Wish, now: datetime) -> Acted:
        """Do it, or refuse it; either is in the audit. Raises StoreError, after which nothing was done."""
        person = self._person(wish)
        queue = self.queue(wish.queue_id)
        until = wish.until
        if wish.act is Act.CLAIM and until is None:
            calendar = self._rules(queue).calendar
            until = calendar.later(now, self._claim_for(calendar.usual_day))
        action = Action(
            act=wish.act,
            actor=_actor(wish, person),
            queue_id=wish.queue_id,
            queue_run_id=wish.queue_run_id,
            until=until,
            through=wish.through,
            envelope_id=wish.envelope_id,
        )

        def decide(subject: Subject) -> Acted:
            return apply(action, subject, now, may_act=self._may(person, subject, is_operator=action.actor.is_operator))

        acted = self._acting.act(action, decide, now)
        refusal = acted.refusal and acted.refusal.value
        self._meter.acted(action.act, refusal or DONE)
        # Who it was stands in the audit alone, from which people can be forgotten.
        log.info("acted", act=action.act.value, queue=queue.name, through=action.through, refusal=refusal)
        return acted

    def queue(self, queue_id: Id) -> Queue:
        """A queue as it is known; by its id alone where it is not. Raises StoreError."""
        known = (each.queue for each in self._polls.polls() if each.queue.queue_id == queue_id)
        return next(known, Queue(queue_id, str(queue_id)))

    def _person(self, wish: Wish) -> Person | None:
        persons = self._persons()
        if wish.user:
            return persons.with_user(wish.user)
        return persons.person(listed_id(wish.email)) if wish.email else None

    def _may(self, person: Person | None, subject: Subject, *, is_operator: bool) -> bool:
        """Whether the settings let a person act; an operator always may."""
        if self._may_act is MayAct.ANYONE or subject.queue is None or is_operator:
            return True
        if person is None:
            return False
        turns = Turns(subject.queue, self._rules(subject.queue).settings.people, self._persons())
        return turns.is_reviewer(person, subject.review)


def _actor(wish: Wish, person: Person | None) -> Actor:
    """The one who acts, by the id that is the same whichever way the person takes."""
    if not wish.user and not wish.email:
        return OPERATOR
    email = email_key(wish.email) or (person.email if person is not None else "")
    known = Actor(
        who=wish.user or (person.user if person is not None else "") or listed_id(email),
        name=(person.name if person is not None else "") or wish.name or email.partition("@")[0] or "somebody",
        email=email,
    )
    also = frozenset() if person is None else person.every_id
    return replace(known, also=tuple(sorted(also | ({listed_id(email)} if email else set()))))
