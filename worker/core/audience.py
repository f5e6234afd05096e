"""The people whose turn a run is, and how they are reached. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from datetime import datetime

TURN = "turn"
"""In a list of people to mention: those whose turn a run is."""


class Audience(StrEnum):
    """Audience turn the runs of a queue are, where no list of e-mails says so."""

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
    BOT = "bot"  # read by nobody
    GUEST = "guest"  # a guest of the workspace, whom mentions reach in their channels alone
    REFUSED = "refused"  # direct messages to this person are refused
    NO_SCOPE = "no_scope"  # the app may not look people up


_MENTIONED = frozenset({Problem.NONE, Problem.GUEST, Problem.REFUSED})
"""With these a person still is a member whom a mention in a channel reaches."""


@dataclass(frozen=True, slots=True)
class Person:
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


def listed_id(email: str) -> str:
    """The reviewer id that stands for an e-mail of the settings, of which no identity is known."""
    return f"mailto:{email_key(email)}"
