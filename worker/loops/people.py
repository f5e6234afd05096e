"""Looks reviewers up: who an identity is in the source, and which user of the notifier has its e-mail."""

from __future__ import annotations

import threading
from collections import deque
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING

import structlog
from msgspec.structs import replace

from worker.core.audience import NO_PERSONS, Audience, Problem
from worker.core.cooldown import Cooldown
from worker.core.directory import (
    LOOKED_UP_FOR,
    NO_CORRECTION,
    Account,
    Card,
    answered,
    due,
    listed,
    persons_of,
    unmet,
)
from worker.core.model import Reviewer
from worker.core.ports import DeliveryError, SourceError, StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping
    from datetime import datetime

    from worker.core.audience import Persons
    from worker.core.directory import Correction
    from worker.core.model import Id
    from worker.core.ports import Accounts, Clock, Members
    from worker.core.store_roles import People, Polls
    from worker.rules import RulesOf

log = structlog.get_logger(__name__)

MOST_A_MINUTE = 50
"""Look-ups that a notifier may be counted on to answer in a minute."""

READ_EVERY = timedelta(seconds=5)
GATHER_EVERY = timedelta(minutes=1)
MEMBERS_EVERY = timedelta(days=1)
MEMBERS_SOON = timedelta(minutes=10)
"""Sooner than each day for an identity that is new."""

SCOPE_AGAIN = timedelta(hours=1)
"""The wait before asking again for a right that is missing: somebody may have granted it."""

_LONGEST_WAIT = timedelta(minutes=5)
_MINUTE = timedelta(minutes=1)


_NO_SCOPE = "missing_scope"
_PROBLEMS = {
    _NO_SCOPE: Problem.NO_SCOPE,
    "user_disabled": Problem.LEFT,
    "user_not_found": Problem.LEFT,
    "cannot_dm_bot": Problem.BOT,
}
"""What a refused direct message says of its reader, where that is more than the refusal."""


class KnownPersons:
    """Gives everyone who is known at present, as the directory has them; read again every few seconds. Thread-safe."""

    def __init__(self, people: People, clock: Clock, corrections: Mapping[str, Correction]) -> None:
        """Read nothing yet."""
        self._people = people
        self._clock = clock
        self._corrections = corrections
        self._read = Cooldown()
        self._persons = NO_PERSONS

    def __call__(self) -> Persons:
        """Everyone who is known; as of the last reading where the database does not answer."""
        # Without a lock: two threads may read at the same time, and either value is good.
        if self._read.is_over(self._clock.monotonic()):
            self._read = Cooldown.of(READ_EVERY, self._clock.monotonic())
            with suppress(StoreError):
                self._persons = persons_of(self._people.cards(), self._corrections, self._clock.now())
        return self._persons

    def look(self) -> None:
        """Read again at the next call: somebody was just looked up."""
        self._read = Cooldown()

    def refused(self, user: str, error: DeliveryError) -> None:
        """Remember that no direct message reaches a user: others hear of what this one was to hear."""
        problem, now = _PROBLEMS.get(error.code, Problem.REFUSED), self._clock.now()
        if not self._people.refuse(user, problem, now):
            # An owner is known by the settings alone.
            card = Card(f"user:{user}", user=user, problem=problem, asked_at=now, ask_at=now + LOOKED_UP_FOR)
            self._people.introduce([Reviewer(card.reviewer_id)], now)
            self._people.answer(card)
        # Else the next look at the inboxes would owe the same person another message.
        self.look()
        log.warning("person_not_reached", user=user, error=str(error))


class LookUps:
    """Keeps the directory of reviewers: one round a call, by one thread at a time.

    Reviewers are those of the queues whose `people` setting is not nobody, and those whom their runs name. No name and
    no e-mail is logged.
    """

    def __init__(  # noqa: PLR0913  (the parts that it works with, all by name)
        self,
        *,
        directory: People,
        polls: Polls,
        clock: Clock,
        rules: RulesOf,
        queues: Callable[[], Collection[Id]],
        accounts: Accounts | None = None,
        members: Members | None = None,
        corrections: Mapping[str, Correction],
        found: Callable[[], None] = lambda: None,
    ) -> None:
        """`queues` gives the ids of those that are polled; without `accounts` nothing is looked up.

        `found` is called after each look-up.
        """
        self._people = directory
        self._polls = polls
        self._clock = clock
        self._rules = rules
        self._queues = queues
        self._accounts = accounts
        self._members = members
        self._corrections = corrections
        self._found = found
        self._lock = threading.Lock()
        self._asked: deque[float] = deque(maxlen=MOST_A_MINUTE)
        self._waits = Cooldown()
        self._gathered = Cooldown()
        self._members_again = Cooldown()
        self._members_soon = Cooldown()
        self._unmet: frozenset[str] = frozenset()
        self._next_at: datetime | None = None
        self._is_warned = False
        self.is_settled = True
        """Whether everybody who was known at the last round was asked about, or cannot be for a while."""

    def wake(self) -> None:
        """Look at the queues again at the next round: they have just been polled."""
        self._gathered, self.is_settled = Cooldown(), self._accounts is None

    def __call__(self) -> None:
        """Look up whoever is due, as far as that is possible now. Raises StoreError."""
        if self._accounts is None:
            return
        with self._lock:
            if self._gathered.is_over(self._clock.monotonic()):
                self._gather()
                self._gathered = Cooldown.of(GATHER_EVERY, self._clock.monotonic())
                # A card that was just made is due at once.
                self._next_at = self._clock.now()
            if self._next_at is not None and self._next_at <= self._clock.now():
                self._look_up(self._accounts)
            # Woken meanwhile: then the queues that were polled since are still to be looked at.
            self.is_settled = not self._gathered.is_over(self._clock.monotonic())

    def _gather(self) -> None:
        """Make cards of everybody whom the queues and their runs name."""
        polled = set(self._queues())
        queues = [each.queue for each in self._polls.polls() if each.queue.queue_id in polled]
        whose = {queue.queue_id: self._rules(queue).settings.people for queue in queues}
        if all(each is Audience.NOBODY for each in whose.values()):
            return
        now = self._clock.now()
        emails = {email for each in whose.values() if isinstance(each, tuple) for email in each}
        assigned = [one for queue in queues if whose[queue.queue_id] is not Audience.NOBODY for one in queue.assigned]
        strangers = [Reviewer(one) for one in self._people.strangers()]
        self._people.introduce([*assigned, *listed(emails), *strangers], now)
        self._meet(emails, now)

    def _meet(self, emails: Collection[str], now: datetime) -> None:
        """Ask the source for the e-mails of identities, and for the identities of e-mails, that are missing."""
        cards = self._people.cards()
        # An e-mail that the settings name may be that of somebody who was forgotten.
        wanted = {*emails, *self._corrections} if any(card.is_forgotten for card in cards) else emails
        missing = frozenset(unmet(cards, wanted))
        at = self._clock.monotonic()
        is_due = self._members_again.is_over(at) or (missing - self._unmet and self._members_soon.is_over(at))
        if self._members is None or not missing or not is_due:
            return
        self._unmet = missing
        # The next wait begins before the question: however that ends, it is not asked again with every round.
        former = self._members_again
        self._members_again = Cooldown.of(MEMBERS_EVERY, at)
        self._members_soon = Cooldown.of(MEMBERS_SOON, at)
        try:
            found = self._members.members(missing) or {}
        except SourceError as error:
            if not former.failures:
                log.info("members_not_listed", trouble=error.trouble.value)
            self._members_again = former.failed(MEMBERS_SOON, at)
            return
        by_email = [reviewer for sought, reviewer in found.items() if sought in wanted]
        by_id = [replace(reviewer, reviewer_id=sought) for sought, reviewer in found.items() if sought not in wanted]
        self._people.readmit([reviewer.reviewer_id for reviewer in by_email])
        self._people.introduce([*by_id, *by_email], now)

    def _look_up(self, accounts: Accounts) -> None:
        """Look up who is due, until all are, or no more can be asked now."""
        if not self._waits.is_over(self._clock.monotonic()):
            return
        cards = self._people.cards()
        # Somebody with several identities of one e-mail is asked about once.
        known = {card.email: card for card in cards if card.email and card.user and not self._is_due([card])}
        for card in self._is_due(cards):
            same = known.get(card.email)
            after = self._copied(card, same) if same else self._asked_about(card, accounts)
            # Whatever stopped this look-up would stop the others.
            if after is None:
                return
            self._people.answer(after)
            self._found()
            if after.user:
                known[after.email] = after
        self._next_at = min((card.ask_at for card in self._people.cards() if card.ask_at), default=None)

    def _is_due(self, cards: Iterable[Card]) -> list[Card]:
        return due(cards, self._corrections, self._clock.now())

    def _copied(self, card: Card, same: Card) -> Card:
        """The card with what was found out about another identity of the same e-mail."""
        return answered(card, Account(same.user, problem=same.problem), same.asked_at or self._clock.now())

    def _asked_about(self, card: Card, accounts: Accounts) -> Card | None:
        """The card after a look-up; None where nothing can be asked now."""
        now = self._clock.now()
        corrected = self._corrections.get(card.email, NO_CORRECTION).user
        if not card.email:
            return answered(card, None, now, without=Problem.NO_EMAIL)
        if not self._has_turn():
            return None
        try:
            found = _corrected(corrected, accounts) if corrected else _by_email(card, accounts)
        except DeliveryError as error:
            if error.code != _NO_SCOPE:
                self._failed(error)
                return None
            self._refused(error)
            # The settings are taken at their word where they cannot be checked.
            unchecked = Account(corrected) if corrected else None
            return answered(card, unchecked, now, without=Problem.NO_SCOPE, again=SCOPE_AGAIN)
        self._waits = Cooldown()
        return answered(card, found, now)

    def _has_turn(self) -> bool:
        """Take one of the look-ups of this minute, where one is left."""
        at = self._clock.monotonic()
        # Any minute counts, not each full one: the oldest of the last so many look-ups says whether there is room.
        if len(self._asked) == MOST_A_MINUTE and at - self._asked[0] < _MINUTE.total_seconds():
            self._waits = Cooldown.of(_MINUTE - timedelta(seconds=at - self._asked[0]), at)
            return False
        self._asked.append(at)
        return True

    def _failed(self, error: DeliveryError) -> None:
        at = self._clock.monotonic()
        self._waits = self._waits.backed_off(at, longest=_LONGEST_WAIT, wish=error.retry_after)
        # One line for a row of failures, whoever they are about.
        if self._waits.failures == 1:
            log.info("people_look_ups_wait", error=error.code, again_in=round(self._waits.left(at).total_seconds()))

    def _refused(self, error: DeliveryError) -> None:
        if not self._is_warned:
            self._is_warned = True
            log.warning("people_not_looked_up", error=str(error), fix="`review-notifier check` names what is missing")


def _corrected(user: str, accounts: Accounts) -> Account:
    return accounts.by_id(user) or Account(user, problem=Problem.UNKNOWN)


def _by_email(card: Card, accounts: Accounts) -> Account | None:
    found = accounts.by_email(card.email)
    if found is not None or not card.user:
        return found
    # Who has left is found by id alone.
    former = accounts.by_id(card.user)
    return former if former and former.problem is Problem.LEFT else None
