"""What every store keeps of the past: written by polls and by what is learned of runs, in hours."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa
from msgspec.structs import replace

from tests.support.builders import DAY, HOUR, MINUTE, NOON, deciding, ident, queue, queue_run, review, rules_with
from tests.support.clock import FakeClock
from tests.support.fake_source import FakeSource
from tests.support.past import write_hours
from worker.core.history import Hour, Waits, bucket_of
from worker.core.model import Fate, Polled
from worker.loops.poll import Poll
from worker.stores.schema import HISTORY

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from worker.core.history import Hours
    from worker.core.model import Queue
    from worker.core.store_roles import Store
    from worker.stores.sql import SqlStore

QUEUE, OTHER = queue(), queue("Billing QA")
RULES = rules_with(stale_after=HOUR)


def of(store: Store, one: Queue = QUEUE) -> Hours:
    """All hours of a queue."""
    return store.hours(NOON - 900 * DAY, NOON + 900 * DAY).get(one.queue_id, {})


def mark(store: Store, at: datetime, one: Queue = QUEUE) -> None:
    """Note a complete poll."""
    store.polled([Polled(one, completed_at=at)], lambda _, end: end - HOUR)


class Stage:
    """A queue that is polled by the real loop, on a store of any kind."""

    def __init__(self, store: Store) -> None:
        self.store, self.clock, self.source = store, FakeClock(), FakeSource()
        self.loop = Poll(
            source=self.source,
            store=store,
            clock=self.clock,
            rules=lambda _: RULES,
            owed=lambda: None,
            jitter=lambda: 0.0,
        )

    def poll(self, *names: str, after: timedelta = MINUTE, **left: Fate) -> None:
        """Let the queue hold these runs a while later, and look."""
        self.clock.advance(after)
        now = self.clock.now()
        known = {run.queue_run_id: run for run in self.source.held(QUEUE)} if self.source.listed else {}
        runs = [known.get(ident(name), queue_run(name, added_at=now)) for name in names]
        self.source.fates_of |= {ident(name): fate for name, fate in left.items()}
        self.source.show(QUEUE, *runs)
        self.loop(QUEUE)
        self.store.polled(self.loop.known.polled(), lambda _, end: RULES.stale_before(end))


def test_of_a_queue_that_was_never_seen_is_nothing(store: Store) -> None:
    assert store.hours(NOON - DAY, NOON + DAY) == {}
    assert store.hours(NOON - DAY, NOON + DAY, QUEUE.queue_id) == {}


def test_a_day_of_polls_is_told_by_its_hours(store: Store) -> None:
    stage = Stage(store)
    stage.poll("old")
    stage.poll("old", "a", "b")
    stage.poll("old", "b", after=30 * MINUTE, a=Fate.REVIEWED)
    stage.poll("b", "c", after=HOUR, old=Fate.REMOVED)
    stage.poll("b", "c", after=HOUR)
    stage.poll("c", after=4 * HOUR)
    half = Waits({bucket_of(30 * MINUTE): 1})
    long = Waits({bucket_of(6 * HOUR + 30 * MINUTE): 1})
    assert of(store) == {
        NOON: Hour(came=2, reviewed=1, waiting=2, overdue=0, first=half, last=half, first_wall=half, last_wall=half),
        NOON + HOUR: Hour(came=1, removed=1, waiting=2, overdue=1),
        NOON + 2 * HOUR: Hour(waiting=2, overdue=1),
        # Nothing is known of the three hours in between.
        NOON + 6 * HOUR: Hour(
            unknown=1, waiting=1, overdue=1, late=1, first=long, last=long, first_wall=long, last_wall=long
        ),
    }


def test_a_fate_that_is_learned_later_corrects_the_hour_in_which_the_run_left(store: Store) -> None:
    stage = Stage(store)
    stage.poll()
    stage.poll("a")
    stage.poll(after=10 * MINUTE)
    assert (of(store)[NOON].unknown, of(store)[NOON].last.count) == (1, 1)
    store.learn(QUEUE.queue_id, {ident("a"): Fate.REMOVED}, NOON + DAY, RULES.measure)
    assert of(store) == {NOON: Hour(came=1, removed=1, waiting=0, overdue=0)}


def test_an_hour_is_seen_where_a_complete_poll_was_noted_in_it(store: Store) -> None:
    store.update(QUEUE, [], deciding(review("a"), review("b", added_at=NOON - DAY)), NOON)
    mark(store, NOON + MINUTE)
    mark(store, NOON + HOUR)
    mark(store, NOON + 3 * HOUR)
    assert {start: (hour.waiting, hour.overdue) for start, hour in of(store).items()} == {
        NOON: (2, 2),
        NOON + HOUR: (2, 2),
        NOON + 3 * HOUR: (2, 2),
    }


def test_a_poll_that_fails_marks_no_hour(store: Store) -> None:
    mark(store, NOON)
    store.polled([Polled(QUEUE, completed_at=NOON, failing_since=NOON + HOUR, error="down", trouble="unreachable")])
    store.polled([Polled(OTHER, failing_since=NOON + HOUR, error="down", trouble="unreachable")])
    assert set(of(store)) == {NOON}
    assert of(store, OTHER) == {}


def test_hours_are_asked_for_by_queue_and_time(store: Store) -> None:
    hours = {NOON + number * HOUR: Hour(came=number + 1) for number in range(-13, 13)}
    write_hours(store, QUEUE, hours)
    write_hours(store, OTHER, {NOON: Hour(came=1)})
    found = store.hours(NOON - 13 * HOUR + MINUTE, NOON + HOUR)
    assert list(found[QUEUE.queue_id]) == [NOON + number * HOUR for number in range(-13, 1)]
    assert set(found) == {QUEUE.queue_id, OTHER.queue_id}
    assert store.hours(NOON, NOON + HOUR, OTHER.queue_id) == {OTHER.queue_id: {NOON: Hour(came=1)}}


def test_every_value_of_an_hour_comes_back(store: Store) -> None:
    one, two, three, four = (Waits({number: 300, number + 90: 1}) for number in range(1, 5))
    hours = {
        NOON: Hour(1, 2, 3, 4, 5, 6, 7, one, two, three, four),
        NOON + HOUR: Hour(waiting=0, overdue=0),
        NOON + 2 * HOUR: Hour(waiting=100_000, first=one, last=one, first_wall=two, last_wall=two),
    }
    write_hours(store, QUEUE, hours)
    assert of(store) == hours


def test_what_adds_up_over_many_polls_is_their_sum(store: Store) -> None:
    for waiting in (1, 2, 3):
        write_hours(store, QUEUE, {NOON: Hour(came=2, waiting=waiting), NOON - DAY: Hour(came=1)})
    assert of(store) == {NOON - DAY: Hour(came=3), NOON: Hour(came=6, waiting=3)}


def test_days_that_are_too_old_are_forgotten(store: Store) -> None:
    write_hours(store, QUEUE, {NOON - 400 * DAY: Hour(came=1), NOON - 395 * DAY: Hour(came=2)})
    store.prune(settled_before=NOON, closed_before=NOON, hours_before=NOON - 396 * DAY)
    assert set(of(store)) == {NOON - 395 * DAY}


def test_a_day_that_a_newer_program_wrote_is_left_alone_and_not_read(sql_store: SqlStore) -> None:
    newer = b"\x02new"
    write_hours(sql_store, QUEUE, {NOON: Hour(came=1), NOON + DAY: Hour(came=1)})
    database = sql_store._database  # noqa: SLF001  nobody else writes such a row
    database.write(lambda connection: connection.execute(sa.update(HISTORY).values(hours=newer)))
    write_hours(sql_store, QUEUE, {NOON: Hour(came=5), NOON + 2 * DAY: Hour(came=2)})
    assert of(sql_store) == {NOON + 2 * DAY: Hour(came=2)}
    rows = database.read(lambda connection: connection.execute(sa.select(HISTORY.c.hours)).scalars().all())
    assert sorted(map(bytes, rows))[-2:] == [newer, newer]
    assert sql_store.newer_days() == 2


def test_a_stay_that_goes_on_takes_its_end_back(store: Store) -> None:
    stage = Stage(store)
    stage.poll()
    stage.poll("a")
    was = of(store)
    run = stage.source.held(QUEUE)[0]
    stage.poll(after=10 * MINUTE, a=Fate.REVIEWED)
    assert of(store)[NOON].reviewed == 1
    stage.source.show(QUEUE, replace(run))
    stage.clock.advance(MINUTE)
    stage.loop(QUEUE)
    assert of(store) == was
