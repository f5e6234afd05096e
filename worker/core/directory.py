"""The directory: which user of the notifier stands for a reviewer, since when, and when that is asked again. Pure."""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from worker.core.audience import Person, Persons, Problem, email_key, listed_id
from worker.core.model import Reviewer

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from datetime import datetime

LOOKED_UP_FOR = timedelta(days=1)
"""The time after which a reviewer is looked up again, whatever the last look-up gave."""

GIVE_UP = timedelta(minutes=15)
"""The time after which a reviewer who could not be looked up yet counts as one whom no message reaches."""


class Card(Struct, frozen=True):
    """What is known of one reviewer: an identity of the source, or an e-mail of the settings (see `listed_id`).

    `user` is the notifier's id, '' where none is known. `asked_at` is the last look-up (None: there was none), `ask_at`
    the next. A forgotten one keeps its id alone, so that the source does not bring its name and e-mail back.
    """

    reviewer_id: str
    name: str = ""
    email: str = ""
    user: str = ""
    problem: Problem = Problem.NOT_ASKED
    asked_at: datetime | None = None
    ask_at: datetime | None = None

    @property
    def is_forgotten(self) -> bool:
        """Whether nothing may be kept of this reviewer."""
        return self.problem is Problem.FORGOTTEN


class Correction(Struct, frozen=True):
    """The word of the settings on one person, which wins over every look-up."""

    user: str = ""
    calendar: str = ""
    is_notified: bool = True


class Account(Struct, frozen=True):
    """A user of the notifier. `problem` says why no message reaches this one, NONE where one does."""

    user: str
    name: str = ""
    problem: Problem = Problem.NONE


NO_CORRECTION = Correction()


def introduced(cards: Mapping[str, Card], reviewers: Iterable[Reviewer], now: datetime) -> Sequence[Card]:
    """The cards to write so that these reviewers are known as the source names them now.

    One whose e-mail is another one than before is looked up at once; a forgotten one stays forgotten.
    """
    written: dict[str, Card] = {}
    for reviewer in reviewers:
        card = written.get(reviewer.reviewer_id) or cards.get(reviewer.reviewer_id)
        after = _met(card, replace(reviewer, email=email_key(reviewer.email)), now)
        if after != card:
            written[reviewer.reviewer_id] = after
    return list(written.values())


def _met(card: Card | None, reviewer: Reviewer, now: datetime) -> Card:
    if card is None:
        return Card(reviewer.reviewer_id, reviewer.name, reviewer.email, ask_at=now)
    if card.is_forgotten:
        return card
    # An empty name or e-mail says only that this listing does not show it.
    if reviewer.email and reviewer.email != card.email:
        return Card(card.reviewer_id, reviewer.name or card.name, reviewer.email, ask_at=now)
    return replace(card, name=reviewer.name or card.name)


def due(cards: Iterable[Card], corrections: Mapping[str, Correction], now: datetime) -> list[Card]:
    """The cards to look up now, those never looked up first; one whose correction is new is due at once."""
    found = [card for card in cards if not card.is_forgotten and _is_due(card, corrections, now)]
    return sorted(found, key=lambda card: (card.asked_at is not None, card.ask_at or now, card.reviewer_id))


def _is_due(card: Card, corrections: Mapping[str, Correction], now: datetime) -> bool:
    corrected = corrections.get(card.email, NO_CORRECTION).user
    is_new = bool(corrected) and corrected != card.user
    return is_new or card.ask_at is None or card.ask_at <= now


def answered(
    card: Card,
    account: Account | None,
    now: datetime,
    *,
    without: Problem = Problem.UNKNOWN,
    again: timedelta = LOOKED_UP_FOR,
) -> Card:
    """The card after a look-up; `without` is the problem where no account was found."""
    user = account.user if account else ""
    problem = account.problem if account else without
    return replace(card, user=user, problem=problem, asked_at=now, ask_at=now + again)


def unmet(cards: Iterable[Card], emails: Collection[str]) -> set[str]:
    """The identities of which no e-mail is known, and those of the e-mails that no identity has."""
    known = [card for card in cards if not card.is_forgotten]
    met = {card.email for card in known if card.reviewer_id != listed_id(card.email)}
    return {card.reviewer_id for card in known if not card.email} | {email for email in emails if email not in met}


def people_of(cards: Iterable[Card], corrections: Mapping[str, Correction]) -> tuple[Person, ...]:
    """The people behind the cards, in the order of their e-mails: those who share a user or an e-mail are one."""
    groups: dict[str, list[Card]] = defaultdict(list)
    # An e-mail of the settings and an identity that has it are joined even while only one of them has been looked up.
    users = {card.email: card.user for card in cards if card.email and card.user}
    for card in cards:
        user = corrections.get(card.email, NO_CORRECTION).user or card.user or users.get(card.email, "")
        groups[user or card.email or card.reviewer_id].append(card)
    people = [_person(group, corrections) for group in groups.values()]
    return tuple(sorted(people, key=lambda person: (person.email, person.reviewer_ids)))


def persons_of(cards: Collection[Card], corrections: Mapping[str, Correction], now: datetime) -> Persons:
    """Everyone who is known now; who has been due for long without a look-up is given up."""
    given_up = (card.reviewer_id for card in cards if card.asked_at is None and _has_waited(card, now))
    return Persons(people_of(cards, corrections), frozenset(given_up))


def _has_waited(card: Card, now: datetime) -> bool:
    return card.ask_at is not None and card.ask_at <= now - GIVE_UP


def _person(cards: Sequence[Card], corrections: Mapping[str, Correction]) -> Person:
    # The one that was looked up last knows best.
    best = max(cards, key=lambda card: (bool(card.user), str(card.asked_at or ""), bool(card.name), card.reviewer_id))
    corrected = next((corrections[card.email] for card in cards if card.email in corrections), NO_CORRECTION)
    user = corrected.user or best.user
    problem = best.problem
    if corrected.user and corrected.user != best.user:
        problem = Problem.NONE  # taken at its word until it has been looked up
    emails = dict.fromkeys(card.email for card in sorted(cards, key=lambda card: card is not best) if card.email)
    ids = {card.reviewer_id for card in cards} | {listed_id(email) for email in emails}
    return Person(
        reviewer_ids=tuple(sorted(ids)),
        name=best.name or next((card.name for card in cards if card.name), ""),
        email=next(iter(emails), ""),
        user=user,
        calendar=corrected.calendar,
        is_notified=corrected.is_notified,
        problem=problem,
        asked_at=best.asked_at,
    )


def listed(emails: Collection[str]) -> list[Reviewer]:
    """The reviewers that e-mails of the settings stand for."""
    return [Reviewer(listed_id(email), email=email_key(email)) for email in emails]
