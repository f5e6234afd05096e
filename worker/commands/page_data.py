"""Reads what the page shows, by the same rules as `status`, `runs`, `deliveries` and `people`."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from worker.clock import SystemClock
from worker.commands.page_flow import days_of, flow_of, since_when
from worker.commands.page_runs import ladder_in_words, run_row
from worker.commands.people import reached
from worker.commands.status import hours_text, read_status
from worker.commands.upcoming import circumstances_of
from worker.core.audience import NO_PERSONS
from worker.core.directory import persons_of
from worker.core.outbox import ready_at
from worker.core.owed import NEVER, State
from worker.core.status.upcoming import upcoming
from worker.core.text import day_time_in, web_address
from worker.rules import corrections, rules_for, wants_people
from worker.settings.names import ADVICE, DATABASE_SETTING
from worker.stores import opening, outbox, reviews
from worker.version import release
from worker.web.cache import Cache
from worker.web.shown import (
    Front,
    MessageRow,
    PauseRow,
    PersonRow,
    ProcessRow,
    QueuePage,
    QueueRow,
    ReasonRow,
    RunRow,
    TurnRow,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from worker.commands.people import Reached
    from worker.commands.status import Status
    from worker.core.audience import Person, Persons, Turns
    from worker.core.history import Hours
    from worker.core.model import Id, Polled
    from worker.core.overview import Process, Reason
    from worker.core.owed import Delivery, Pause, Receipt
    from worker.settings import Settings
    from worker.stores.sql import SqlStore

RUNS_A_PAGE = 100
_MESSAGES = 20
"""Messages that are shown: of each state that needs something still, and of the last ones."""

_PAST_SECONDS = 20.0
"""The time for which the last days are not read again."""

_PATIENCE = timedelta(seconds=3)
"""The time for which the database may not answer; then the page says so."""

_UNSETTLED = (State.DEAD, State.HELD, State.UNKNOWN, State.PENDING)
"""The states of what is not delivered, the most urgent first."""


class PageReader:
    """Reads from the database of a process by connections of its own. For one thread at a time."""

    def __init__(self, settings: Settings, link: Callable[[Receipt], str]) -> None:
        """Opens nothing yet. `link` gives the address of a posted message, '' where none is known."""
        self._settings = settings
        self._link = link
        self._store: SqlStore | None = None
        self._kept = Cache(SystemClock(), _PAST_SECONDS)
        self._persons: Persons = NO_PERSONS
        self._rules = rules_for(settings, SystemClock(), lambda: self._persons)
        # Whoever reads without a token need not be one of us.
        self._shows_emails = settings.http_token is not None

    def front(self) -> Front:
        """See `Reading.front`."""
        store = self._opened()
        now = store.now(SystemClock())
        found = self._status(store, now)
        return Front(
            taken_at=now,
            version=release(),
            running=bool(found.services),
            services=[_process(each) for each in found.services],
            ok=not found.reasons,
            reasons=[_reason(each) for each in found.reasons],
            queues=[self._queue(store, found, number) for number in range(len(found.standings))],
            pauses=[_pause(each) for each in found.overview.pauses],
            undelivered=[self._message(each, now) for each in _unsettled(store)],
            messages=[self._message(each, now) for each in store.deliveries(State.SENT, _MESSAGES)],
            people=[self._person(each) for each in reached(store, self._settings, now)],
            has_people=wants_people(self._settings),
        )

    def queue(self, queue_id: str, offset: int) -> QueuePage | None:
        """See `Reading.queue`."""
        store = self._opened()
        now = store.now(SystemClock())
        found = self._status(store, now)
        polls = [each.polled for each in found.overview.queues]
        number = next((n for n, each in enumerate(polls) if str(each.queue.queue_id) == queue_id), None)
        if number is None:
            return None
        wanted = polls[number].queue.queue_id
        posted = store.search(partial(outbox.newest_of, queue_id=wanted, most=_MESSAGES))
        past = self._past(store, now).get(wanted, {})
        return QueuePage(
            taken_at=now,
            queue=self._queue(store, found, number),
            flow=flow_of(past, found.calendars[number].zone, now),
            runs=self._runs(store, polls[number], offset, now),
            offset=offset,
            limit=RUNS_A_PAGE,
            messages=[self._message(each, now) for each in posted],
        )

    def close(self) -> None:
        """Close the connections."""
        if self._store is not None:
            self._store.close()

    def _opened(self) -> SqlStore:
        if self._store is None:
            url = self._settings.database_url
            self._store = opening.open_beside(url, patience=_PATIENCE, setting=DATABASE_SETTING)
        return self._store

    def _status(self, store: SqlStore, now: datetime) -> Status:
        self._persons = persons_of(store.cards(), corrections(self._settings), now)
        return read_status(self._settings, store, now, self._rules)

    def _queue(self, store: SqlStore, found: Status, number: int) -> QueueRow:
        shown, standing, held = found.overview.queues[number], found.standings[number], found.held[number]
        polled, acted, calendar = shown.polled, found.acts[number], found.calendars[number]
        now, oldest = found.overview.taken_at, standing.oldest_since
        turns = self._rules(polled.queue).turns(polled.queue)
        waits_for, nobodys = self._turns(store, turns)
        return QueueRow(
            queue_id=str(polled.queue.queue_id),
            name=polled.queue.name,
            url=web_address(polled.queue.url),
            waiting=standing.waiting,
            overdue=standing.stale,
            left_out=standing.left_out,
            expiring=standing.expiring,
            expires_at=standing.expires_at,
            reserved=standing.reserved,
            oldest_since=oldest,
            oldest_age_seconds=None if oldest is None else max(int((now - oldest).total_seconds()), 0),
            disagreed=polled.queue.disagreed,
            last_complete_poll_at=polled.completed_at,
            late=shown.is_late(now),
            failing_since=polled.failing_since,
            error=polled.error or None,
            undelivered=standing.undelivered,
            dead=standing.dead,
            worker=found.workers[number],
            open=calendar.is_open(now),
            hours=hours_text(calendar, now),
            held_until=held.until,
            held_runs=held.runs,
            held_messages=held.deliveries,
            claimed=acted.claimed,
            snoozed=acted.snoozed,
            muted_until=acted.muted_until,
            turns=waits_for,
            nobodys=nobodys,
            days=days_of(self._past(store, now).get(polled.queue.queue_id, {}), calendar.zone, now),
        )

    def _past(self, store: SqlStore, now: datetime) -> Mapping[Id, Hours]:
        """The last days of every queue, by the hour."""
        return self._kept.get("past", lambda: store.hours(since_when(now), now))

    def _turns(self, store: SqlStore, turns: Turns) -> tuple[list[TurnRow], int]:
        """How many runs wait for each person, most first, and for nobody in particular."""
        if turns.is_nobodys:
            return [], 0
        found: Counter[Person] = Counter()
        nobodys = 0
        for review, many in store.search(partial(reviews.counts_by_who, queue_id=turns.queue.queue_id)):
            persons = turns.of(review)
            found.update(dict.fromkeys(persons, many))
            nobodys += 0 if persons else many
        return [
            TurnRow(each.name, each.user, self._email(each.email), many) for each, many in found.most_common()
        ], nobodys

    def _email(self, email: str) -> str | None:
        return email if email and self._shows_emails else None

    def _runs(self, store: SqlStore, polled: Polled, offset: int, now: datetime) -> list[RunRow]:
        """The runs of a queue that wait, oldest first, from the `offset` on."""
        rules, queue = self._rules(polled.queue), polled.queue
        given = circumstances_of(store, polled, rules.policy_for(queue), now)
        turns, before, advice = rules.turns(queue), rules.stale_before(now), ladder_in_words(rules.settings)
        find = partial(reviews.oldest_reviews, queue_id=queue.queue_id, most=RUNS_A_PAGE, past=offset)
        return [
            run_row(
                each, turns, upcoming(given, each, now, advice), show=rules.settings.show, stale_before=before, now=now
            )
            for each in store.search(find)
        ]

    def _message(self, delivery: Delivery, now: datetime) -> MessageRow:
        queue, receipt = delivery.queue, delivery.receipt
        is_live = delivery.settled_at is None and delivery.due_at < NEVER
        return MessageRow(
            key=str(delivery.key),
            state=delivery.state.value,
            kind=delivery.kind.value,
            queue_id=str(queue.queue_id) if queue else None,
            queue=queue.name if queue else None,
            channel=delivery.destination.place,
            created_at=delivery.created_at,
            settled_at=delivery.settled_at,
            edited_at=delivery.edited_at,
            attempts=delivery.attempts,
            next_attempt_at=ready_at(delivery) if is_live else None,
            url=web_address(self._link(receipt)) if receipt else "",
            why=self._why(delivery, now),
        )

    def _why(self, delivery: Delivery, now: datetime) -> str:
        """Why a delivery is not posted; empty where it is, or is about to be."""
        if delivery.settled_at is not None and delivery.state is not State.DEAD:
            return ""
        if delivery.state is State.PENDING and delivery.held_until is not None and delivery.held_until > now:
            calendar = self._rules(delivery.queue).policy.calendar_of(delivery.kind)
            return f"held until {day_time_in(delivery.held_until, calendar.zone)}"
        return delivery.last_error

    def _person(self, reached: Reached) -> PersonRow:
        person = reached.person
        return PersonRow(
            name=person.name,
            email=self._email(person.email),
            slack=person.user,
            turns=reached.turns,
            called_today=reached.called,
            budget_left=reached.left,
            why_unresolved=reached.why or None,
        )


def _unsettled(store: SqlStore) -> list[Delivery]:
    """What is not delivered, the most urgent state first, at most a few of each."""
    return [each for state in _UNSETTLED for each in store.deliveries(state, _MESSAGES)]


def _process(process: Process) -> ProcessRow:
    return ProcessRow(process.pid, process.host, process.started_at, process.version)


def _reason(reason: Reason) -> ReasonRow:
    area = ADVICE.area(reason.area)
    return ReasonRow(reason.kind, area, reason.subject or None, reason.text, reason.fix, reason.since)


def _pause(pause: Pause) -> PauseRow:
    return PauseRow(pause.destination.place, pause.since, pause.until, pause.error or pause.reason)
