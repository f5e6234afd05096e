"""The commands about people: `people` lists every reviewer, `people forget` deletes what is kept of one."""

from __future__ import annotations

import sys
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import UUID

from msgspec import Struct

from worker.app import last_polls
from worker.clock import SystemClock
from worker.commands import tables
from worker.commands.startup import DATABASE, opened, start
from worker.core.audience import Audience, Persons, Problem, Turns, email_key
from worker.core.calendar import ALWAYS_OPEN
from worker.core.directory import persons_of
from worker.core.text import plain
from worker.notifiers.slack.reach import REASONS
from worker.rules import calendars_for, corrections, rules_for, wants_people
from worker.stores import reviews

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from worker.core.audience import Person
    from worker.settings import Settings
    from worker.stores.sql import SqlStore

_NO_PEOPLE = "No queue has people: set WORKER_PEOPLE to assigned, or to e-mails"


class Reached(Struct, frozen=True):
    """One person as the command shows it: with open turns, and how often messages have called this one today."""

    person: Person
    turns: int
    called: int
    budget: int

    @property
    def left(self) -> int:
        """How many more messages of today may call this person."""
        return max(self.budget - self.called, 0)

    @property
    def why(self) -> str:
        """The reason why this person is not reached, with the fix; empty where there is none."""
        if not self.person.is_notified:
            return "tell = false under [people]"
        if self.person.problem is Problem.NONE:
            return ""
        text, fix = REASONS[self.person.problem]
        return f"{text}; {fix}"


def people(*, as_json: bool) -> None:
    """List every reviewer."""
    settings = start(DATABASE)
    with opened(settings) as store:
        found = reached(store, settings, store.now(SystemClock()))
    if as_json:
        tables.print_json({"people": [person_json(each) for each in found]})
        return
    columns = ("E-mail", "Slack", "Name", "Turn", "Called today", "Budget left", "Why not reached")
    tables.print_table(columns, [_row(each) for each in found], empty="No reviewer is known yet.")
    if not wants_people(settings):
        tables.say(_NO_PEOPLE)


def reached(store: SqlStore, settings: Settings, now: datetime) -> list[Reached]:
    """Every reviewer, with what waits for each."""
    persons = persons_of(store.cards(), corrections(settings), now)
    turns = _turns(store, settings, persons)
    called = {person: _called(store, settings, person, now) for person in persons.everyone}
    budget = settings.nag_per_person_day
    return [Reached(person, turns[person], called[person], budget) for person in persons.everyone]


def forget(whom: str) -> bool:
    """Delete what is kept of a person, by an e-mail or a Slack id; False where nothing is."""
    settings, whom = start(DATABASE), whom.strip()
    with opened(settings) as store:
        emails = [whom] if "@" in whom else sorted({each.email for each in store.cards() if each.user == whom} - {""})
        # The id last: with the e-mail goes what was done under the id, too.
        forgotten = sum(store.forget(one, store.now(SystemClock())) for one in dict.fromkeys((*emails, whom)))
        # The bytes as well: a write-ahead log keeps them until it is worked off.
        store.maintain()
    if not forgotten:
        by = "the e-mail" if "@" in whom else "the Slack id"
        listed = "`people` lists reviewers, `actions` those who acted"
        sys.stderr.write(f"review-notifier: nobody with {by} {plain(whom)!r} is known; {listed}\n")
        return False
    who = " and ".join(map(email_key, emails)) or whom
    tables.say(f"Forgotten: {plain(who)}. What is posted stays in Slack, backups keep what they have.")
    if any(_is_set(settings, email) for email in emails):
        tables.say(
            "The settings still name this e-mail: take it out of people and [people], or it becomes known again."
        )
    return True


def _is_set(settings: Settings, email: str) -> bool:
    listed = {
        one
        for queue in (*settings.queues, settings.defaults)
        if isinstance(queue.people, tuple)
        for one in queue.people
    }
    return email_key(email) in listed | settings.persons.keys()


def _turns(store: SqlStore, settings: Settings, persons: Persons) -> Mapping[Person, int]:
    """How many open runs are each person's turn, over all queues."""
    rules = rules_for(settings, SystemClock())
    found: Counter[Person] = Counter()
    for polled in last_polls(store):
        given = rules(polled.queue).settings
        if given.people is Audience.NOBODY:
            continue
        turns = Turns(polled.queue, given.people, persons, given.owner)
        for review, many in store.search(partial(reviews.counts_by_who, queue_id=polled.queue.queue_id)):
            found.update(dict.fromkeys(turns.of(review), many))
    return found


def _called(store: SqlStore, settings: Settings, person: Person, now: datetime) -> int:
    """How many messages of today, in the person's zone, have called this person."""
    calendar = calendars_for(settings, SystemClock(), lambda: Persons((person,)))(person.user) or ALWAYS_OPEN
    since = {person.user: calendar.day_began(now)}
    return store.spent(since, UUID(int=0))[person.user] if person.user else 0


def person_json(reached: Reached) -> dict[str, Any]:
    """One reviewer for programs."""
    person = reached.person
    return {
        "email": person.email or None,
        "slack_id": person.user or None,
        "name": person.name or None,
        "reviewer_ids": [one for one in person.reviewer_ids if not one.startswith("mailto:")],
        "turns": reached.turns,
        "called_today": reached.called,
        "budget_left": reached.left,
        "problem": person.problem.value or None,
        "why_unresolved": reached.why or None,
        "asked_at": tables.stamp(person.asked_at),
    }


def _row(reached: Reached) -> Sequence[str]:
    person = reached.person
    # Of an owner only the user is known.
    ids = (one for one in person.reviewer_ids if one != f"user:{person.user}")
    email = person.email or ", ".join(ids)
    return [email, person.user, person.name, str(reached.turns), str(reached.called), str(reached.left), reached.why]
