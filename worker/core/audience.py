"""The people whose turn a run is, and how they are reached. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias

from msgspec import Struct

from worker.core.model import NO_ONE

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from datetime import datetime

    from worker.core.model import Queue, Review, ReviewKey, Who

TURN = "turn"
"""In a list of people to mention: those whose turn a run is."""


class Audience(StrEnum):
    """Whose turn the runs of a queue are, where no list of e-mails says so."""

    ASSIGNED = "assigned"
    NOBODY = "nobody"


WhoseTurn: TypeAlias = "Audience | tuple[str, ...]"
"""What `people` of a queue says: one of these words, or e-mails as `email_key` gives them."""


class Reach(StrEnum):
    """Where people are notified of the runs that are their turn."""

    CHANNEL = "channel"
    DIRECT = "direct"
    BOTH = "both"


class Problem(StrEnum):
    """The reason why a reviewer gets no direct message; NONE where there is none."""

    NONE = ""
    NOT_ASKED = "not_asked"  # not looked up yet
    NO_EMAIL = "no_email"  # the source names no e-mail: often a service account
    UNKNOWN = "unknown"  # no user has this e-mail
    LEFT = "left"  # deactivated, or removed from the workspace
    BOT = "bot"  # not read by a person
    GUEST = "guest"  # a guest of the workspace, whom mentions reach in their channels alone
    REFUSED = "refused"  # direct messages to this person are refused
    NO_SCOPE = "no_scope"  # the app may not look people up
    FORGOTTEN = "forgotten"  # by order: nothing of this person is kept


_MENTIONED = frozenset({Problem.NONE, Problem.GUEST, Problem.REFUSED})
"""With these a person still is a member whom a mention in a channel reaches."""


class Person(Struct, frozen=True):
    """One person: all identities that share a user of the notifier, or one identity that has none.

    `reviewer_ids` are the source's identities; an e-mail of the settings of which no identity is known has the one that
    `listed_id` gives. `user` is the notifier's id, '' where none is known. `calendar` is the name of the person's own,
    '' for that of each queue. `is_notified` is False where the settings want neither a message nor a mention for this
    person.
    """

    reviewer_ids: tuple[str, ...]
    name: str = ""
    email: str = ""
    user: str = ""
    calendar: str = ""
    is_notified: bool = True
    problem: Problem = Problem.NOT_ASKED
    asked_at: datetime | None = None

    @property
    def every_id(self) -> frozenset[str]:
        """The ids under which this person may have acted: by the user, an identity, or the e-mail."""
        known = (self.user, *self.reviewer_ids, listed_id(self.email) if self.email else "")
        return frozenset(one for one in known if one)

    @property
    def can_be_messaged(self) -> bool:
        """Whether a direct message reaches this person, as far as we know."""
        return bool(self.user) and self.is_notified and self.problem is Problem.NONE

    @property
    def can_be_mentioned(self) -> bool:
        """Whether a mention in a channel reaches this person, as far as we know."""
        return bool(self.user) and self.is_notified and self.problem in _MENTIONED


def email_key(email: str) -> str:
    """The form of an e-mail that is equal for two spellings of the same one."""
    return email.strip().casefold()


_LISTED = "mailto:"


def listed_id(email: str) -> str:
    """The reviewer id that stands for an e-mail of the settings, of which no identity is known."""
    return f"{_LISTED}{email_key(email)}"


def is_listed(reviewer_id: str) -> bool:
    """Whether an id stands for an e-mail of the settings."""
    return reviewer_id.startswith(_LISTED)


@dataclass(frozen=True, slots=True)
class Persons:
    """Every person who is known at one moment.

    `given_up` are the ids of reviewers who could not be looked up for so long that they count as people whom no
    message reaches.
    """

    everyone: tuple[Person, ...] = ()
    given_up: frozenset[str] = frozenset()
    _by_id: Mapping[str, Person] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Find each person by every id, and by the e-mail as well."""
        by_email = {listed_id(person.email): person for person in self.everyone if person.email}
        by_id = {one: person for person in self.everyone for one in person.reviewer_ids}
        # The only way to give a frozen value what follows from its fields.
        object.__setattr__(self, "_by_id", by_email | by_id)

    def person(self, reviewer_id: str, queue: Queue | None = None) -> Person:
        """The person with an id; as much as the queue says where no one is known by it."""
        if (found := self._by_id.get(reviewer_id)) is not None:
            return found
        assigned = queue.assigned if queue is not None else ()
        one = next((each for each in assigned if reviewer_id in {each.reviewer_id, listed_id(each.email)}), None)
        if one is None:
            return Person((reviewer_id,), email=reviewer_id.removeprefix(_LISTED) if is_listed(reviewer_id) else "")
        same = self._by_id.get(listed_id(one.email)) if one.email else None
        return same or Person((reviewer_id,), one.name, one.email)

    def with_user(self, user: str) -> Person | None:
        """The person whom the notifier knows by this id; None where that is no one, or a group."""
        return next((person for person in self.everyone if person.user == user), None)

    def may_be_reached(self, person: Person) -> bool:
        """Whether a direct message reaches a person, or may do so once the person is looked up."""
        if person.can_be_messaged:
            return True
        is_awaited = person.is_notified and person.problem is Problem.NOT_ASKED
        return is_awaited and self.given_up.isdisjoint(person.reviewer_ids)


NO_PERSONS = Persons()


@dataclass(frozen=True, slots=True)
class Turns:
    """Whose turn the runs of one queue are, by its `people` setting. `owner` hears of what no one else can be sent."""

    queue: Queue
    whose: WhoseTurn = Audience.NOBODY
    persons: Persons = NO_PERSONS
    owner: str = ""
    # Most runs of a queue name the same people, who are asked about several times at each decision.
    _found: dict[tuple[Who, tuple[str, ...]], tuple[tuple[Person, ...], bool]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def of(self, review: Review) -> tuple[Person, ...]:
        """The people whose turn a run is, each once."""
        return self._turn(review)[0]

    def _turn(self, review: Review) -> tuple[tuple[Person, ...], bool]:
        """The people whose turn a run is, and whether someone is notified of it directly."""
        if self.is_nobodys or not review.is_open or review.left_out:
            return (), False
        sought = review.who, review.acts.not_mine
        if (found := self._found.get(sought)) is None:
            # All have completed a run on which they disagree; any other that is listed waits for someone, however many
            # reviews the queue asks for: of that number the source may say nothing, or no more than the default.
            persons = () if review.who.disagreed else tuple(self._owing(*sought))
            found = self._found[sought] = persons, self._are_notified(persons)
        return found

    @property
    def is_nobodys(self) -> bool:
        """Whether the queue has no people."""
        return self.whose is Audience.NOBODY

    def is_of(self, person: Person, review: Review) -> bool:
        """Whether a run is the turn of one person."""
        return not {one for each in self.of(review) for one in each.reviewer_ids}.isdisjoint(person.reviewer_ids)

    def has_completed(self, person: Person, review: Review) -> bool:
        """Whether a person has completed a run, whatever its other reviewers still owe."""
        return any(_is_one(person, each) for each in self._persons(review.who.completed_by))

    def is_direct(self, review: Review) -> bool:
        """Whether someone is notified of a run directly, so that its queue's channel need not be."""
        return self._turn(review)[1]

    def _are_notified(self, persons: Sequence[Person]) -> bool:
        if any(self.persons.may_be_reached(each) for each in persons):
            return True
        # Who wants no messages is none of the owner's business: the channel hears of the run.
        return any(each.is_notified for each in persons) and self.has_owner

    def can_finish(self, review: Review, called: int) -> bool:
        """Whether so many of those whose turn a run is finish it without the rest: never where it is assigned."""
        return not review.who.assigned_to and called >= max(1, self.queue.reviewers_per_run - review.done)

    def passed_on(
        self, mention: Sequence[str], reviews: Iterable[Review], called: Collection[str]
    ) -> tuple[ReviewKey, ...]:
        """The runs of which the owner has to hear: a message was to mention people for them, and calls others alone."""
        if not self.has_owner:
            return ()
        is_missed = any(one != TURN and one not in called for one in mention)
        by_turn = TURN in mention
        return tuple(each.key for each in reviews if is_missed or (by_turn and self._is_missed(each, called)))

    def _is_missed(self, review: Review, called: Collection[str]) -> bool:
        """Whether mentions that call these users leave out people whose turn a run is, and without whom it waits on."""
        persons = [person for person in self.of(review) if person.is_notified]
        # Who is still to be looked up may hear of it yet.
        reached = [one for one in persons if one.user in called or one.problem is Problem.NOT_ASKED]
        return len(reached) < len(persons) and not self.can_finish(review, len(reached))

    @property
    def has_owner(self) -> bool:
        """Whether an owner hears of what no one else can be sent."""
        known = self.persons.with_user(self.owner) if self.owner else None
        return bool(self.owner) and (known is None or self.persons.may_be_reached(known))

    def named(self, reviewer_ids: Iterable[str]) -> tuple[str, ...]:
        """The names of reviewers, as far as they are known, raw."""
        return tuple(person.name for person in self._persons(reviewer_ids) if person.name)

    def waiting_for(self, review: Review) -> tuple[str, ...]:
        """The names of those whose turn a run is, where that says more than the queue does."""
        is_plain = not review.who.assigned_to and not review.done
        return () if is_plain else tuple(person.name for person in self.of(review) if person.name)

    def reserved_by(self, review: Review) -> tuple[str, ...]:
        """The names of those who have reserved a run."""
        return () if self.is_nobodys else self.named(review.who.reserved_by)

    def is_reviewer(self, person: Person, review: Review | None = None) -> bool:
        """Whether a person is one of those whose turn runs of the queue are, or this run is or was."""
        listed = map(listed_id, self.whose) if isinstance(self.whose, tuple) else ()
        who = review.who if review is not None else NO_ONE
        named = (*who.assigned_to, *who.reserved_by, *who.completed_by)
        ids = (*listed, *(each.reviewer_id for each in self.queue.assigned), *named)
        return any(_is_one(person, each) for each in self._persons(ids))

    def _owing(self, who: Who, not_mine: Sequence[str]) -> Iterable[Person]:
        done = self._persons(who.completed_by)
        owing = (one for one in self._persons(self._ids(who)) if not any(_is_one(one, each) for each in done))
        return (one for one in owing if not not_mine or one.every_id.isdisjoint(not_mine))

    def _ids(self, who: Who) -> Iterable[str]:
        if isinstance(self.whose, tuple):
            return (listed_id(email) for email in self.whose)
        return who.assigned_to or (each.reviewer_id for each in self.queue.assigned)

    def _persons(self, reviewer_ids: Iterable[str]) -> list[Person]:
        """The people with these ids, each once."""
        found: list[Person] = []
        for reviewer_id in reviewer_ids:
            person = self.persons.person(reviewer_id, self.queue)
            if not any(_is_one(person, each) for each in found):
                found.append(person)
        return found


def _is_one(person: Person, other: Person) -> bool:
    """Whether both are the same: by an identity, by the user, or by the e-mail."""
    if not set(person.reviewer_ids).isdisjoint(other.reviewer_ids):
        return True
    is_same_user = bool(person.user) and person.user == other.user
    return is_same_user or (bool(person.email) and email_key(person.email) == email_key(other.email))
