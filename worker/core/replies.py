"""Replies: what a person is shown alone who has just acted, or could not. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.core.actions import ON_QUEUES, Act, Acted, Refusal, why_refused
from worker.core.model import Fate, shortened
from worker.core.text import day_time_in, flat

if TYPE_CHECKING:
    from datetime import datetime, tzinfo

    from worker.core.model import Id, Queue

_NAME = 80

NOT_TAKEN = "Nothing was done: the database does not answer at present. Please try again in a minute."
NOT_HERE = "Nothing was done: only members of this workspace can act here."
GUESTS = "Nothing was done: guests cannot act here."
NOT_PEOPLE = "Nothing was done: only people can act here."
NOT_SEEN = (
    "Nothing was done: it cannot be found out at present whether you are a member here. Please try again in a minute."
)
NO_CONTROL = "Nothing was done: this button is not known any more. A newer message has one that works."

_CLOSED = {
    Fate.REVIEWED: "it has been reviewed already",
    Fate.REMOVED: "it was removed from the queue",
}


def reply_to(act: Act, acted: Acted, queue: Queue, queue_run_id: Id | None, zone: tzinfo) -> str:
    """What came of an act, to the person who did it."""
    name = _queue_name(queue) if act in ON_QUEUES else _run_name(acted, queue_run_id)
    if acted.refusal is not None:
        return f"{name}: nothing was done, {_why(acted)}."
    return f"{name}: {_done(act, acted, zone)}"


def _why(acted: Acted) -> str:
    review = acted.subject.review
    if acted.refusal is Refusal.CLOSED and review is not None and review.fate in _CLOSED:
        return _CLOSED[review.fate]
    return flat(why_refused(acted), 2 * _NAME)


def _done(act: Act, acted: Acted, zone: tzinfo) -> str:
    acts = acted.subject.review.acts if acted.subject.review is not None else None
    if act is Act.CLAIM and acts is not None:
        return f"you have it until {_moment(acts.claimed_until, zone)}, without reminders; escalations still come."
    if act is Act.GIVE_BACK:
        return "given back; nobody has it now."
    if act is Act.SNOOZE and acts is not None:
        return f"snoozed until {_moment(acts.snoozed_until, zone)}; nothing is posted about it before."
    if act is Act.NOT_MINE:
        return "noted that it is not yours; you are not notified of it any more."
    if act is Act.MUTE:
        until = _moment(acted.subject.muted_until, zone)
        return f"muted until {until}. Messages are still edited, and escalations still come."
    return "not muted any more."


def _queue_name(queue: Queue) -> str:
    return flat(queue.name, _NAME) or "The queue"


def _run_name(acted: Acted, queue_run_id: Id | None) -> str:
    review = acted.subject.review
    name = flat(review.facts.name, _NAME) if review is not None else ""
    known = shortened(review.run_id) if review is not None and review.run_id else shortened(queue_run_id or "")
    return name or f"Run {flat(known, _NAME)}".strip()


def _moment(at: datetime | None, zone: tzinfo) -> str:
    return "" if at is None else day_time_in(at, zone)
