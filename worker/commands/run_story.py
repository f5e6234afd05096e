"""The story of one run, as `why` shows it: all that is known of each stay, in order of time, then the next notice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from worker.commands.tables import age_text, delivery_json, print_table, queue_json, stamp
from worker.core.actions import REFUSALS
from worker.core.model import Fate, Kind, shortened
from worker.core.outbox import ready_at
from worker.core.owed import State
from worker.core.text import plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from worker.core.actions import Record
    from worker.core.model import Review
    from worker.core.owed import Delivery, Story, StoryNotice
    from worker.core.status.upcoming import Upcoming


def when(upcoming: Upcoming, now: datetime) -> str:
    """The next notice, and when it comes."""
    if upcoming.due_at is None:
        return "nothing"
    when = "at the next poll" if upcoming.due_at <= now else f"in {age_text(upcoming.due_at - now)}"
    return f"{upcoming.kind} {when}"


def acts_json(review: Review) -> dict[str, Any]:
    """Who has a run or had it, and until when it is snoozed."""
    said = review.acts
    return {
        "claimed_by": said.claimed_name if said.is_claimed else None,
        "claimed_until": stamp(said.claimed_until) if said.is_claimed else None,
        "had_by": said.claimed_name if said.lapsed else None,
        "snoozed_until": stamp(said.snoozed_until),
    }


def act_json(record: Record) -> dict[str, Any]:
    """One act: when, what, who, and what came of it."""
    action, actor = record.action, record.action.actor
    return {
        "at": stamp(record.at),
        "act": action.act.value,
        "name": actor.name or None,
        "email": actor.email or None,
        "slack_id": actor.who or None,
        "until": stamp(action.until),
        "through": action.through,
        "refused": None if record.refusal is None else record.refusal.value,
    }


def upcoming_json(upcoming: Upcoming) -> dict[str, Any]:
    """The next notice, and the reason for it."""
    return {
        "due_at": stamp(upcoming.due_at),
        "kind": upcoming.kind and upcoming.kind.value,
        "why": upcoming.why,
        "held_from": stamp(upcoming.held_from),
        "held_until": stamp(upcoming.held_until),
    }


def name_of(review: Review) -> str:
    """The name of a run, else the beginning of its id, as messages show it."""
    return review.facts.name or (f"run {shortened(review.run_id)}" if review.run_id else str(review.queue_run_id))


def print_stories(found: Sequence[Story], now: datetime) -> None:
    """Several runs of which one may be meant."""
    rows = [
        (
            str(each.review.queue_run_id),
            name_of(each.review),
            each.queue.name,
            age_text(now - each.review.first_seen_at),
            _end(each.review),
        )
        for each in found
    ]
    print_table(("Queue run", "Name", "Queue", "First seen", "State"), rows, empty="")


def _end(review: Review) -> str:
    if review.closed_at is None:
        return f"waits{_how(review)}"
    left = review.fate or Fate.UNKNOWN
    return "no longer waiting" if left is Fate.UNKNOWN else left.value


def _how(review: Review) -> str:
    """What is to be said of a run that waits."""
    said = review.acts
    has_it = f", {plain(said.claimed_name)} {'has' if said.is_claimed else 'had'} it" if said.claimed_by else ""
    snoozed = f", snoozed until {_moment(said.snoozed_until)}" if said.snoozed_until is not None else ""
    disagree = ", reviewers disagree" if review.who.disagreed else ""
    return f"{', reserved' if review.reserved else ''}{disagree}{has_it}{snoozed}"


def story_lines(story: Story, upcoming: Upcoming, now: datetime, acted: Sequence[Record] = ()) -> list[str]:
    """Everything that is known of one stay of a run, in order of time, then the next notice."""
    review = story.review
    happened = sorted([*_events(story), *map(_act_event, acted)], key=lambda event: event[0])
    lines = [
        f"{name_of(review)} in {plain(story.queue.name)}",
        f"  queue run {review.queue_run_id}" + (f", run {review.run_id}" if review.run_id else ""),
        *(f"  {_moment(at)}  {what}" for at, what in happened),
    ]
    if review.closed_at is None:
        lines.append(f"  {_moment(now)}  still waiting{_how(review)}")
        lines += [f"  next: {what}" for what in _coming(story, upcoming, now)]
    return lines


def _moment(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"


def _events(story: Story) -> Iterator[tuple[datetime, str]]:
    review = story.review
    back = " (back in the queue)" if review.back else ""
    yield review.first_seen_at, f"first seen; has waited since {_moment(review.since)}{back}"
    for notice in story.notices:
        yield from _delivery_events(notice, review)
    if review.closed_at is not None:
        yield review.closed_at, f"closed: {_end(review)}"


def _act_event(record: Record) -> tuple[datetime, str]:
    action, actor = record.action, record.action.actor
    until = "" if action.until is None else f" until {_moment(action.until)}"
    who = plain(actor.name or actor.email or actor.who or "an operator")
    refused = "" if record.refusal is None else f"; refused: {REFUSALS[record.refusal]}"
    return record.at, f"{action.act.value.replace('_', ' ')}{until} by {who}, through {plain(action.through)}{refused}"


def _delivery_events(notice: StoryNotice, review: Review) -> Iterator[tuple[datetime, str]]:
    delivery = notice.delivery
    name = f"{delivery.kind.value} {str(delivery.key)[:8]}"
    if entered_by_edit(notice, review):
        yield review.first_seen_at, f"{name}, posted before, {_entry(delivery, review)}"
    else:
        of_kind = "" if notice.purpose in {None, delivery.kind} else f", in which it is {_PURPOSES[notice.purpose]}"
        yield delivery.created_at, f"{name} for {plain(delivery.destination.place)} is due{of_kind}"
        if delivery.settled_at is not None:
            yield delivery.settled_at, f"{name} {_fate(notice)}"
    if delivery.edited_at is not None and delivery.edited_at >= review.first_seen_at:
        often = "once" if delivery.edits == 1 else f"{delivery.edits} times, last now"
        yield delivery.edited_at, f"{name} edited {often}"


_PURPOSES = {
    Kind.BASELINE: "one that waited at first sight",
    Kind.ANNOUNCEMENT: "new",
    Kind.REMINDER: "overdue",
    Kind.ESCALATION: "escalated",
}
"""The reason for which a run stands in a message, in words."""


def entered_by_edit(notice: StoryNotice, review: Review) -> bool:
    """Whether a run got into a message that was posted before the run was first seen."""
    delivery = notice.delivery
    if delivery.state is not State.SENT or delivery.settled_at is None:
        return False
    return delivery.created_at < review.first_seen_at and delivery.settled_at <= review.first_seen_at


def _entry(delivery: Delivery, review: Review) -> str:
    """The way in which a message shows a run that entered it."""
    if delivery.edited_at is not None and delivery.edited_at >= review.first_seen_at:
        return "shows it as new by an edit"
    if delivery.edit_at is not None and delivery.edit_until is not None:
        return "is to show it as new by an edit"
    return "could not be edited to show it"


def _fate(notice: StoryNotice) -> str:
    delivery = notice.delivery
    fate = delivery.state.value
    if notice.left_out:
        fate = f"{fate} without this run: it was reviewed, taken, put off or not listed before"
    if delivery.receipt:
        fate += f" to {plain(delivery.receipt.channel)} as {plain(delivery.receipt.ts)}"
    return f"{fate}, {_attempts(delivery)}{_because(delivery)}"


def _attempts(delivery: Delivery) -> str:
    return f"{delivery.attempts} attempt{'' if delivery.attempts == 1 else 's'}"


def _because(delivery: Delivery) -> str:
    return f": {plain(delivery.last_error)}" if delivery.last_error else ""


def _coming(story: Story, upcoming: Upcoming, now: datetime) -> Iterable[str]:
    """The deliveries that are still owed, and the next notice."""
    for notice in story.notices:
        delivery = notice.delivery
        if delivery.settled_at is None:
            yield f"{delivery.kind.value} {str(delivery.key)[:8]} is {delivery.state.value}{_waits(delivery, now)}"
    yield f"{when(upcoming, now)}: {upcoming.why}"


def _waits(delivery: Delivery, now: datetime) -> str:
    because = _because(delivery)
    if delivery_json(delivery)["next_attempt_at"] is None:
        return f" until `review-notifier retry {str(delivery.key)[:8]}`{because}"
    ready = ready_at(delivery)
    when = "now" if ready <= now else f"in {age_text(ready - now)}"
    return f", next attempt {when}, {_attempts(delivery)}{because}"


def story_json(story: Story, upcoming: Upcoming, acted: Sequence[Record] = ()) -> dict[str, Any]:
    """One stay of `why --json`."""
    review = story.review
    return {
        "queue_run_id": str(review.queue_run_id),
        "run_id": str(review.run_id) if review.run_id else None,
        "run": review.facts.name or None,
        **queue_json(story.queue),
        "added_at": stamp(review.added_at),
        "first_seen_at": stamp(review.first_seen_at),
        "since": stamp(review.since),
        "back": review.back,
        "closed_at": stamp(review.closed_at),
        "fate": review.fate.value if review.fate else None,
        "deliveries": [_notice_json(each, review) for each in story.notices],
        "actions": [act_json(each) for each in acted],
        **acts_json(review),
        "next": upcoming_json(upcoming),
    }


def _notice_json(notice: StoryNotice, review: Review) -> dict[str, Any]:
    entered = entered_by_edit(notice, review)
    purpose = notice.purpose or (Kind.ANNOUNCEMENT if entered else notice.delivery.kind)
    about = {"was_left_out": notice.left_out, "purpose": purpose.value, "entered_by_edit": entered}
    return delivery_json(notice.delivery) | about
