"""The commands about single runs: `runs` lists those that wait, `why` shows the whole story of one."""

from __future__ import annotations

import re
import sys
from datetime import UTC
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from worker.app import last_polls
from worker.clock import SystemClock
from worker.commands import tables
from worker.commands.run_story import acts_json, name_of, print_stories, story_json, story_lines, upcoming_json, when
from worker.commands.startup import DATABASE, opened, start
from worker.commands.tables import age_text, print_table, stamp
from worker.commands.upcoming import circumstances_of
from worker.core.actions import acts_at
from worker.core.audience import NO_PERSONS
from worker.core.command import matching, similar_queues
from worker.core.directory import persons_of
from worker.core.policy import age_of
from worker.core.status.upcoming import upcoming
from worker.core.text import day_time_in, plain
from worker.rules import corrections, rules_for
from worker.settings.names import ADVICE
from worker.stores import acts, reviews

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime, tzinfo

    from worker.core.actions import Record
    from worker.core.audience import Person, Turns
    from worker.core.model import Id, Polled, Queue, Review
    from worker.core.owed import Story
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
        tables.print_json({"runs": [waiting_json(each, now) for each in found]})
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
        found_json = [story_json(each, coming, _of_stay(each, acted)) for each, coming in stories]
        tables.print_json({"runs": found_json})
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
        review = replace(review, acts=acts_at(review.acts, now))  # noqa: PLW2901
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
    near = similar_queues(polled, wanted)
    meant = f" (did you mean {' or '.join(repr(plain(queue.name)) for queue in near)}?)" if near else ""
    names = ", ".join(plain(queue.name) for queue in polled) or "none"
    return f"no queue {plain(wanted)!r} is polled{meant}; these are: {names}"


def print_meant(found: Sequence[Story], now: datetime) -> None:
    """Several runs of which one is to be named."""
    latest = {each.review.queue_run_id: each for each in found}
    print_stories(list(latest.values()), now)
    if len(latest) >= _MOST:
        tables.say(f"Only the newest {_MOST} are listed.")
    tables.say("", "Several runs match: give the id of one queue run.")


class Waiting(Struct, frozen=True):
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
        when(each.upcoming, now),
        each.upcoming.why,
    ]


def waiting_json(each: Waiting, now: datetime) -> dict[str, Any]:
    """One run of `runs --json`."""
    review = each.review
    return {
        "queue_run_id": str(review.queue_run_id),
        "run_id": str(review.run_id) if review.run_id else None,
        "run": review.facts.name or None,
        **tables.queue_json(each.queue),
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
