"""Acts of people on runs and queues: what each changes, why one is refused, and how they end by themselves. Pure.

An act makes no post: it changes what is remembered, and the messages about it are edited. The source's word wins: a run
that is reserved or reviewed there ends a claim (see `core.diff`).
"""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from worker.core.model import NO_ACTS, Acts, Review

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from datetime import datetime

    from worker.core.calendar import Calendar
    from worker.core.model import Id, Queue


class Act(StrEnum):
    """What a person can do."""

    CLAIM = "claim"
    GIVE_BACK = "give_back"
    SNOOZE = "snooze"
    NOT_MINE = "not_mine"
    MUTE = "mute"
    UNMUTE = "unmute"


ON_QUEUES = frozenset({Act.MUTE, Act.UNMUTE})
"""The acts on a whole queue; the others are on one run."""

WITH_END = frozenset({Act.CLAIM, Act.SNOOZE, Act.MUTE})
"""The acts that end by themselves."""


class MayAct(StrEnum):
    """Who may act, by the settings."""

    ANYONE = "anyone"
    REVIEWERS = "reviewers"


class Refusal(StrEnum):
    """The reason why an act changes nothing."""

    TAKEN = "taken"  # another has it
    RESERVED = "reserved"  # opened at the source, whose word wins
    CLOSED = "closed"  # it waits no longer
    UNKNOWN = "unknown"  # never seen, or forgotten since
    NOT_A_REVIEWER = "not_a_reviewer"  # only reviewers may act
    NOT_CLAIMED = "not_claimed"
    NOT_MUTED = "not_muted"
    PAST = "past"  # it would have ended already
    REPEATED = "repeated"  # the same press came twice


class Actor(Struct, frozen=True):
    """The person who acts: the `who` that claims are kept by, and the name to show. An operator is no one of these.

    `who` is the notifier's id of a user, or what `listed_id` makes of an e-mail; `also` are other ids of the person,
    under which this one may have acted before.
    """

    who: str = ""
    name: str = ""
    email: str = ""
    also: tuple[str, ...] = ()

    def is_(self, who: str) -> bool:
        """Whether it is the person with an id."""
        return bool(who) and who in {self.who, *self.also}

    @property
    def is_operator(self) -> bool:
        """Whether it is somebody at the command line who gives no name, and may take back what anybody did."""
        return not self.who


OPERATOR = Actor()


class Action(Struct, frozen=True):
    """One act of a person, on a run (its newest stay) or on a queue.

    `until` is when it ends by itself. `through` is where it came from; `envelope_id` is the same where that sends one
    press twice ('' where nothing can).
    """

    act: Act
    actor: Actor
    queue_id: Id
    queue_run_id: Id | None = None
    until: datetime | None = None
    through: str = ""
    envelope_id: str = ""


class Subject(Struct, frozen=True):
    """What an act is on, as it is remembered. `queue` and `review` are None where there is none."""

    queue: Queue | None = None
    review: Review | None = None
    muted_until: datetime | None = None


class Acted(Struct, frozen=True):
    """What came of an act. `holder` is the name of the one who has the run, where that is why it was refused."""

    subject: Subject
    refusal: Refusal | None = None
    holder: str = ""


class Record(Struct, frozen=True):
    """One act in the audit, refused ones too. `name` is that of the run."""

    at: datetime
    action: Action
    queue: str = ""
    name: str = ""
    refusal: Refusal | None = None


def apply(action: Action, subject: Subject, now: datetime, *, may_act: bool = True) -> Acted:
    """Decide what an act changes, and whether it is refused; `may_act` says whether the settings let this person."""
    on_queue = action.act in ON_QUEUES
    if subject.queue is None or (not on_queue and subject.review is None):
        return Acted(subject, Refusal.UNKNOWN)
    if not may_act:
        return Acted(subject, Refusal.NOT_A_REVIEWER)
    if action.act in WITH_END and (action.until is None or action.until <= now):
        return Acted(subject, Refusal.PAST)
    if on_queue or subject.review is None:
        return _on_queue(action, subject, now)
    return _on_run(action, subject, subject.review, now)


REFUSALS = {
    Refusal.TAKEN: "somebody has it already",
    Refusal.RESERVED: "somebody has opened it for review already, which spares it from reminders",
    Refusal.CLOSED: "it is no longer waiting",
    Refusal.UNKNOWN: "it is unknown, or forgotten",
    Refusal.NOT_A_REVIEWER: "only reviewers may do so here",
    Refusal.NOT_CLAIMED: "nobody has taken it",
    Refusal.NOT_MUTED: "it is not muted",
    Refusal.PAST: "that time has passed already",
    Refusal.REPEATED: "it was done already",
}
"""Why an act was refused, in words."""


def why_refused(acted: Acted) -> str:
    """Why an act was refused, with the name of the one who has the run, raw; empty where it was not."""
    if acted.refusal is Refusal.TAKEN and acted.holder:
        return f"{acted.holder} has it already"
    return "" if acted.refusal is None else REFUSALS[acted.refusal]


MORNING = timedelta(hours=9)
"""When a day begins where no calendar says so."""


def after_today(calendar: Calendar, now: datetime) -> datetime:
    """The next opening after today: until then people put off what they do not want to see today."""
    ends = calendar.day_ends(now)
    return calendar.next_opening(ends) or ends + MORNING


def on_monday(calendar: Calendar, now: datetime) -> datetime:
    """The first opening from the next Monday on, which is never today."""
    begins = calendar.day_ends(now)
    while begins.astimezone(calendar.zone).weekday() != 0:
        begins = calendar.day_ends(begins)
    return calendar.next_opening(begins) or begins + MORNING


def _on_queue(action: Action, subject: Subject, now: datetime) -> Acted:
    if action.act is Act.MUTE:
        return Acted(replace(subject, muted_until=action.until))
    if subject.muted_until is None or subject.muted_until <= now:
        return Acted(subject, Refusal.NOT_MUTED)
    return Acted(replace(subject, muted_until=None))


def _on_run(action: Action, subject: Subject, review: Review, now: datetime) -> Acted:
    if not review.is_open:
        return Acted(subject, Refusal.CLOSED)
    # What has ended and is not written down as such yet, because no poll has come since.
    acts = acts_at(review.acts, now)
    is_others = acts.is_claimed and not action.actor.is_(acts.claimed_by)
    match action.act:
        case Act.CLAIM if is_others:
            return Acted(subject, Refusal.TAKEN, acts.claimed_name)
        case Act.CLAIM if review.reserved:
            return Acted(subject, Refusal.RESERVED)
        case Act.GIVE_BACK if not acts.is_claimed:
            return Acted(subject, Refusal.NOT_CLAIMED)
        case Act.GIVE_BACK if is_others and not action.actor.is_operator:
            return Acted(subject, Refusal.TAKEN, acts.claimed_name)
    after = replace(_after(action, acts), acted_at=now)
    return Acted(replace(subject, review=replace(review, acts=after)))


def _after(action: Action, acts: Acts) -> Acts:
    actor = action.actor
    match action.act:
        case Act.CLAIM:
            # Who takes a run, takes the turn back.
            others = tuple(one for one in acts.not_mine if not actor.is_(one))
            news = {"claimed_by": actor.who, "claimed_name": actor.name, "claimed_until": action.until}
            return replace(acts, **news, lapsed=False, not_mine=others)
        case Act.GIVE_BACK:
            return unclaimed(acts)
        case Act.SNOOZE:
            return replace(acts, snoozed_until=action.until)
        case _:
            kept = unclaimed(acts) if acts.is_claimed and actor.is_(acts.claimed_by) else acts
            return replace(kept, not_mine=tuple(dict.fromkeys((*acts.not_mine, actor.who))))


def unclaimed(acts: Acts) -> Acts:
    """The same without a claim, as if there had been none."""
    return _plain(replace(acts, claimed_by="", claimed_name="", claimed_until=None, lapsed=False))


def acts_at(acts: Acts, now: datetime) -> Acts:
    """The same without what has ended by now: of a claim only who had it is left."""
    if acts.is_claimed and acts.claimed_until is not None and acts.claimed_until <= now:
        acts = replace(acts, lapsed=True)
    if acts.snoozed_until is not None and acts.snoozed_until <= now:
        acts = replace(acts, snoozed_until=None)
    return acts


def ends_of(acts: Acts) -> Iterable[datetime]:
    """When something of it ends, so that messages have to show it."""
    claimed_until = acts.claimed_until if acts.is_claimed else None
    return (at for at in (claimed_until, acts.snoozed_until) if at is not None)


def with_ends(waiting: Iterable[Review], now: datetime) -> dict[int, Review]:
    """The reviews of which an act has ended by now, as they are from then on, by the `id()` of the object given."""
    # Most have no acts, which costs no more than to see that.
    acted = [review for review in waiting if review.acts is not NO_ACTS]
    return {
        id(review): replace(review, acts=_plain(after))
        for review in acted
        if (after := acts_at(review.acts, now)) != review.acts
    }


def without_person(acts: Acts, ids: Collection[str]) -> Acts:
    """The same with nothing of a person who is to be forgotten."""
    left = unclaimed(acts) if acts.claimed_by in ids else acts
    return _plain(replace(left, not_mine=tuple(one for one in acts.not_mine if one not in ids)))


def _plain(acts: Acts) -> Acts:
    """The value that stands for none, where nothing is left but when."""
    return NO_ACTS if acts == Acts(acted_at=acts.acted_at) else acts
