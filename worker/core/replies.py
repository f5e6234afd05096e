"""What came of an act, in words: to the person who acted, or could not, and at the command line. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.core.actions import ON_QUEUES, Act, Acted, Refusal, why_refused
from worker.core.model import Fate, shortened
from worker.core.text import day_time_in, flat, plain

if TYPE_CHECKING:
    from datetime import datetime, tzinfo

    from worker.core.actions import Acted
    from worker.core.model import Id, Queue


def refused_text(name: str, acted: Acted) -> str:
    """Why nothing was done with the run or the queue of this name."""
    return f"{plain(name)}: {plain(why_refused(acted))}"


def done_text(act: Act, name: str, acted: Acted, until: datetime | None, zone: tzinfo) -> str:
    """What was done with the run or the queue of this name; `until` is what was asked for."""
    return f"{plain(name)}: {_done(act, acted, until, zone)}"


def _done(act: Act, acted: Acted, until: datetime | None, zone: tzinfo) -> str:
    run = acted.subject.review
    match act:
        case Act.CLAIM if run is not None:
            who, until = plain(run.acts.claimed_name), run.acts.claimed_until
            return f"{who} has it until {_moment(until, zone)}, without reminders; escalations still come"
        case Act.GIVE_BACK:
            return "nobody has it now"
        case Act.NOT_MINE:
            return "it is not your turn any more"
        case Act.SNOOZE:
            return f"snoozed until {_moment(until, zone)}"
        case Act.MUTE:
            return f"muted until {_moment(until, zone)}; messages are still edited, and escalations still come"
        case _:
            return "not muted any more"


def _moment(at: datetime | None, zone: tzinfo) -> str:
    return "" if at is None else day_time_in(at, zone)


_NAME = 80

NOT_TAKEN = "Nothing was done: the database does not answer at present. Please try again in a minute."
NOT_HERE = "Nothing was done: only members of this workspace can act here."
GUESTS = "Nothing was done: guests cannot act here."
NOT_PEOPLE = "Nothing was done: only people can act here."
NOT_SEEN = "Nothing was done: your membership here cannot be checked at present. Please try again in a minute."
NO_CONTROL = "Nothing was done: this button is not known any more. A newer message has one that works."

_CLOSED = {
    Fate.REVIEWED: "it has been reviewed already",
    Fate.REMOVED: "it was removed from the queue",
}


def reply_text(act: Act, acted: Acted, queue: Queue, queue_run_id: Id | None, zone: tzinfo) -> str:
    """What came of an act, to the person who did it."""
    name = _queue_name(queue) if act in ON_QUEUES else _run_name(acted, queue_run_id)
    review = acted.subject.review
    if acted.refusal is Refusal.CLOSED and review is not None and review.fate in _CLOSED:
        return f"{name}: {_CLOSED[review.fate]}."
    if acted.refusal is not None:
        return f"{refused_text(name, acted)}."
    if act is Act.CLAIM and review is not None and review.acts.claimed_until is not None:
        until = day_time_in(review.acts.claimed_until, zone)
        return f"{name}: you have it until {until}, without reminders; escalations still come."
    until_at = (
        acted.subject.muted_until if act is Act.MUTE else (review.acts.snoozed_until if review is not None else None)
    )
    return f"{done_text(act, name, acted, until_at, zone)}."


def _queue_name(queue: Queue) -> str:
    return flat(queue.name, _NAME) or "The queue"


def _run_name(acted: Acted, queue_run_id: Id | None) -> str:
    review = acted.subject.review
    name = flat(review.facts.name, _NAME) if review is not None else ""
    known = shortened(review.run_id) if review is not None and review.run_id else shortened(queue_run_id or "")
    return name or f"Run {flat(known, _NAME)}".strip()
