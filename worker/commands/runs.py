"""The commands about single runs: `runs` lists those that wait, `why` shows the whole story of one."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from datetime import UTC
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import UUID

from msgspec import structs

from worker.app import last_polls
from worker.clock import SystemClock
from worker.commands import tables
from worker.commands.setup import DATABASE, opened, start
from worker.commands.tables import age_text, delivery_json, print_table, stamp
from worker.commands.upcoming import circumstances_of
from worker.core.actions import REFUSALS, acts_at
from worker.core.audience import NO_PERSONS
from worker.core.directory import persons_of
from worker.core.model import Fate, Kind, shortened
from worker.core.outbox import ready_at
from worker.core.owed import State
from worker.core.policy import age_of
from worker.core.request import matching, similar
from worker.core.status.upcoming import upcoming
from worker.core.text import day_time_in, plain
from worker.rules import corrections, rules_for
from worker.settings.names import ADVICE
from worker.stores import acts, reviews

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime, tzinfo

    from worker.core.actions import Record
    from worker.core.audience import Person, Turns
    from worker.core.model import Id, Polled, Queue, Review
    from worker.core.owed import Delivery, Story, StoryNotice
    from worker.core.status.upcoming import Upcoming
    from worker.rules import RulesOf
    from worker.settings import Settings
    from worker.stores.sql import SqlStore

_MOST = 50
"""The number of runs with one name that are listed."""

_ID = re.compile(r"[0-9a-fA-F]{8}-?(?:[0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}")
_POST = re.compile(r"/archives/([A-Z0-9]+)/p(\d{10})(\d{6})")


def runs(wanted: str | None, *, as_json: bool) -> bool:
    """List the runs that wait, in one queue or in all; False for a queue that is not polled."""
    settings = start(DATABASE)
    with opened(settings) as store:
        now = store.now(SystemClock())
        rules = _rules(store, settings, now)
        polls = {each.queue: each for each in last_polls(store)}
        polled = list(polls)
        queues = polled if wanted is None else matching(polled, wanted)
        found = [waiting for queue in queues for waiting in _waiting(store, polls[queue], rules, now)]
    if wanted is not None and not queues:
        sys.stderr.write(f"review-notifier: {not_polled(wanted, polled)}\n")
        return False
    if as_json:
        tables.print_json([waiting_json(each, now) for each in found])
    else:
        print_waiting(found, now)
    return True


def why(what: str, *, as_json: bool) -> bool:
    """Show the story of a run, or list the runs that `what` may mean; False where there is none."""
    settings = start(DATABASE)
    with opened(settings) as store:
        now = store.now(SystemClock())
        rules = _rules(store, settings, now)
        runs_meant = meant(store, what.strip())
        found = [each for queue_run_id in runs_meant for each in store.stories(queue_run_id)]
        acted = {run: store.search(partial(acts.records_of, queue_run_id=run)) for run in runs_meant[:1]}
        polls = {each.queue.queue_id: each for each in store.polls()} if found else {}
        stories = [(each, _upcoming(store, polls[each.queue.queue_id], rules, each.review, now)) for each in found]
    if as_json:
        tables.print_json([story_json(each, coming, _of_stay(each, acted)) for each, coming in stories])
    elif len(runs_meant) > 1:
        print_meant(found, now)
    else:
        tables.say(
            *(line for each, coming in stories for line in story_lines(each, coming, now, _of_stay(each, acted)))
        )
    return bool(found)


def _rules(store: SqlStore, settings: Settings, now: datetime) -> RulesOf:
    """The rules of queues, with everyone who is known."""
    persons = persons_of(store.cards(), corrections(settings), now)
    return rules_for(settings, SystemClock(), lambda: persons)


def _of_stay(story: Story, acted: Mapping[Id, Sequence[Record]]) -> list[Record]:
    """The acts on one stay of a run: from when it was first seen until it closed."""
    review = story.review
    mine = (each for each in acted.get(review.queue_run_id, ()) if each.action.queue_id == story.queue.queue_id)
    closed_at = review.closed_at
    return [each for each in mine if review.first_seen_at <= each.at and (closed_at is None or each.at <= closed_at)]


def _waiting(store: SqlStore, polled: Polled, rules: RulesOf, now: datetime) -> Iterator[Waiting]:
    """The runs of a queue that wait, oldest first."""
    given = circumstances_of(store, polled, rules(polled.queue).policy_for(polled.queue), now)
    heard_at = store.search(partial(reviews.heard_at, queue_id=polled.queue.queue_id))
    for review in store.search(partial(reviews.open_reviews, queue_id=polled.queue.queue_id)):
        # What people are notified of directly counts as said in the channel, which has said nothing.
        is_said = review.generation > 0 or not given.policy.is_direct(review)
        instants = [at for at in (review.told_at if is_said else None, heard_at.get(review.key)) if at is not None]
        coming = upcoming(given, review, now, ADVICE)
        turns = rules(polled.queue).turns(polled.queue)
        # What has ended and no poll has written down yet.
        review = structs.replace(review, acts=acts_at(review.acts, now))  # noqa: PLW2901
        yield Waiting(polled.queue, review, coming, max(instants, default=None), turns, given.policy.calendar.zone)


def _upcoming(store: SqlStore, polled: Polled, rules: RulesOf, review: Review, now: datetime) -> Upcoming:
    return upcoming(
        circumstances_of(store, polled, rules(polled.queue).policy_for(polled.queue), now), review, now, ADVICE
    )


def meant(store: SqlStore, what: str) -> Sequence[Id]:
    """The queue runs that a link to a post, ids, or a part of a name may mean."""
    if post := _POST.search(what):
        return store.search(partial(reviews.by_post, channel=post[1], ts=f"{post[2]}.{post[3]}"))
    if ids := [UUID(found) for found in _ID.findall(what)]:
        return store.search(partial(reviews.by_ids, ids=ids))
    return store.search(partial(reviews.by_part, part=what, most=_MOST)) if what else []


def not_polled(wanted: str, polled: Sequence[Queue]) -> str:
    """That no queue has this name or id, and which may be meant."""
    near = similar(polled, wanted)
    meant = f" (did you mean {' or '.join(repr(plain(queue.name)) for queue in near)}?)" if near else ""
    names = ", ".join(plain(queue.name) for queue in polled) or "none"
    return f"no queue {plain(wanted)!r} is polled{meant}; these are: {names}"


def print_meant(found: Sequence[Story], now: datetime) -> None:
    """Several runs of which one is to be named."""
    latest = {each.review.queue_run_id: each for each in found}
    print_stories(list(latest.values()), now)
    if len(latest) >= _MOST:
        tables.say(f"Only the newest {_MOST} are listed.")
    tables.say("", "Several runs are meant: give the queue run's id of one.")


@dataclass(frozen=True, slots=True)
class Waiting:
    """One run that waits, its next notice, when somebody was last notified of it, and whose turn it is."""

    queue: Queue
    review: Review
    upcoming: Upcoming
    told_at: datetime | None = None
    turns: Turns | None = None
    zone: tzinfo = UTC

    @property
    def whose_turn(self) -> list[str]:
        """Those whose turn it is, by their names, or else by their ids."""
        return [] if self.turns is None else [_name_or_id(person) for person in self.turns.of(self.review)]

    @property
    def assigned_to(self) -> list[str]:
        """Those to whom the source has assigned it, likewise, whether or not the settings name any people."""
        persons = NO_PERSONS if self.turns is None else self.turns.persons
        return [_name_or_id(persons.person(one, self.queue)) for one in self.review.who.assigned_to]


def print_waiting(found: Sequence[Waiting], now: datetime) -> None:
    """`runs` for people."""
    columns = ["Queue", "Queue run", "Name", "Age", "Last notified", "Next due", "Why"]
    rows = [_waiting_row(each, now) for each in found]
    acts = [_acts(each) for each in found]
    if any(acts):
        columns.append("Acts")
        rows = [[*row, said] for row, said in zip(rows, acts, strict=True)]
    whose = [", ".join(each.whose_turn or each.assigned_to) for each in found]
    if any(whose):
        columns.insert(3, "Whose turn")
        rows = [[*row[:3], names, *row[3:]] for row, names in zip(rows, whose, strict=True)]
    print_table(columns, rows, empty="Nothing waits.")


def _acts(each: Waiting) -> str:
    """Who has a run, or had it, and until when it is snoozed."""
    acts, zone = each.review.acts, each.zone
    has = f" until {day_time_in(acts.claimed_until, zone)}" if acts.is_claimed and acts.claimed_until else ""
    claimed = f"{acts.claimed_name} {'has' if acts.is_claimed else 'had'} it{has}" if acts.claimed_by else ""
    snoozed = f"snoozed until {day_time_in(acts.snoozed_until, zone)}" if acts.snoozed_until is not None else ""
    return ", ".join(part for part in (claimed, snoozed) if part)


def _waiting_row(each: Waiting, now: datetime) -> list[str]:
    review, told_at = each.review, each.told_at
    return [
        each.queue.name,
        str(review.queue_run_id),
        name_of(review),
        age_text(age_of(review, now)),
        "never" if told_at is None else f"{age_text(now - told_at)} ago",
        _when(each.upcoming, now),
        each.upcoming.why,
    ]


def _when(upcoming: Upcoming, now: datetime) -> str:
    if upcoming.due_at is None:
        return "nothing"
    when = "at the next poll" if upcoming.due_at <= now else f"in {age_text(upcoming.due_at - now)}"
    return f"{upcoming.kind} {when}"


def waiting_json(each: Waiting, now: datetime) -> dict[str, Any]:
    """One run of `runs --json`."""
    review = each.review
    return {
        "queue_run_id": str(review.queue_run_id),
        "run_id": str(review.run_id) if review.run_id else None,
        "queue_id": str(each.queue.queue_id),
        "queue": each.queue.name,
        "name": review.facts.name or None,
        "since": stamp(review.since),
        "age_seconds": int(age_of(review, now).total_seconds()),
        "reserved": review.reserved,
        "disagreed": review.who.disagreed,
        "assigned_to": each.assigned_to,
        "whose_turn": each.whose_turn,
        **acts_json(review),
        "last_notified_at": stamp(each.told_at),
        "next": upcoming_json(each.upcoming),
    }


def _name_or_id(person: Person) -> str:
    return person.name or person.user or person.reviewer_ids[0]


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
    """One act in the story of a run."""
    return {
        "at": stamp(record.at),
        "act": record.action.act.value,
        "who": record.action.actor.name or record.action.actor.who or None,
        "until": stamp(record.action.until),
        "through": record.action.through,
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
    yield review.first_seen_at, f"first seen; waits since {_moment(review.since)}{back}"
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
        of_kind = (
            "" if notice.purpose in {None, delivery.kind} else f", in which it stands as {_PURPOSES[notice.purpose]}"
        )
        yield delivery.created_at, f"{name} for {plain(delivery.destination.place)} is owed{of_kind}"
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
        fate = f"{fate} without this run: it was reviewed, taken or put off before"
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
    yield f"{_when(upcoming, now)}: {upcoming.why}"


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
        "name": review.facts.name or None,
        "queue_id": str(story.queue.queue_id),
        "queue": story.queue.name,
        "added_at": stamp(review.added_at),
        "first_seen_at": stamp(review.first_seen_at),
        "since": stamp(review.since),
        "back": review.back,
        "closed_at": stamp(review.closed_at),
        "left": review.fate.value if review.fate else None,
        "notices": [_notice_json(each, review) for each in story.notices],
        "acts": [act_json(each) for each in acted],
        **acts_json(review),
        "next": upcoming_json(upcoming),
    }


def _notice_json(notice: StoryNotice, review: Review) -> dict[str, Any]:
    entered = entered_by_edit(notice, review)
    purpose = notice.purpose or (Kind.ANNOUNCEMENT if entered else notice.delivery.kind)
    about = {"left_out": notice.left_out, "purpose": purpose.value, "entered_by_edit": entered}
    return delivery_json(notice.delivery) | about
