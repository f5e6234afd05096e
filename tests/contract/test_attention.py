"""Messages that runs enter by an edit, and the hours of several queues, on every store."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.builders import HOUR, MINUTE, queue
from tests.support.office import FRIDAY, MONDAY, OTHER, SATURDAY, SUPPORT, a_worker, at, office
from tests.support.whole_worker import Worker, rules_by
from tests.unit.core.hours import EVERY_DAY, row
from worker.core.model import Kind
from worker.core.ports import Outcome, StoreError, Trouble

if TYPE_CHECKING:
    from worker.core.store_roles import Store


class TestWindows:
    def test_a_message_deleted_by_hand_while_runs_enter_it_by_edit(self, store: Store) -> None:
        worker = a_worker(store=store, announce_every=HOUR)
        worker.show(1)
        worker.tick()
        worker.notifier.delete(worker.only().receipt)  # type: ignore[arg-type]
        worker.show(1, 2)
        worker.wait(HOUR, 10 * MINUTE)
        assert worker.posted() == [(FRIDAY, "announcement", 1), (FRIDAY + HOUR, "announcement", 1)]
        assert [line.facts.name for line in worker.notifier.board[-1].lines] == ["2"]

    def test_restart_between_the_edit_and_its_record(self, store: Store) -> None:
        worker = a_worker(store=store, announce_every=HOUR)
        worker.show(1)
        worker.tick()
        worker.show(1, 2)
        worker.store.losing = "settle_edit"
        with pytest.raises(StoreError):
            worker.wait(MINUTE)
        worker.store.losing = ""
        worker.restart()
        worker.wait(10 * MINUTE)
        assert [message.total for message in worker.notifier.board] == [2]
        assert worker.only().edit_at is None

    def test_announce_every_lowered_while_runs_wait(self, store: Store) -> None:
        worker = a_worker(store=store, announce_every=3 * HOUR)
        worker.show(1)
        worker.tick()
        worker.show(1, 2)
        worker.wait(90 * MINUTE, 10 * MINUTE)
        worker.rules[SUPPORT] = rules_by(office(), announce_every=HOUR)
        worker.wait(90 * MINUTE, 10 * MINUTE)
        assert worker.posted() == [(FRIDAY, "announcement", 1), (FRIDAY + 100 * MINUTE, "announcement", 1)]

    def test_two_workers_one_posts_the_other_edits(self, store: Store) -> None:
        one = a_worker(store=store, announce_every=HOUR)
        other = Worker(one.rules, start=FRIDAY, kept=store, notifier=one.notifier, source=one.source)
        one.show(1)
        one.tick()
        other.show(1, 2)
        other.wait(MINUTE)
        assert [message.total for message in one.notifier.board] == [2]
        other.until(FRIDAY + HOUR, 10 * MINUTE)
        one.wait(HOUR, HOUR)
        assert [message.total for message in one.notifier.board] == [2, 1]
        assert [review.told_at is not None for review in (one.review(1), one.review(2))] == [True, True]

    def test_a_run_that_enters_an_escalation_is_new_there(self, store: Store) -> None:
        worker = a_worker(store=store, announce_every=4 * HOUR, stale_after=None, escalate_after=HOUR)
        worker.show(1)
        worker.tick()
        worker.wait(59 * MINUTE)
        worker.rules[SUPPORT] = rules_by(office(), announce_every=0 * HOUR, stale_after=None, escalate_after=HOUR)
        worker.show(1, 2)
        worker.wait(MINUTE)
        worker.rules[SUPPORT] = rules_by(office(), announce_every=4 * HOUR, stale_after=None, escalate_after=HOUR)
        worker.show(1, 2, 3)
        worker.wait(MINUTE)
        last = worker.notifier.board[-1]
        assert (last.kind, last.standing.escalated, last.standing.new) == (Kind.ESCALATION, 1, 2)

    def test_a_run_that_the_last_of_several_pages_lacks_is_left_out_and_enters_once_it_is_listed_again(
        self, store: Store
    ) -> None:
        worker = a_worker(store=store, announce_every=HOUR)
        worker.source.more["one_page"] = False
        worker.show(1, 2)
        worker.notifier.fail("send", Outcome.RETRY)
        worker.tick()
        both = worker.held()
        worker.show(2)
        worker.wait(MINUTE)
        assert [[line.facts.name for line in message.lines] for message in worker.notifier.board] == [["2"]]
        worker.source.show(queue(SUPPORT), *both)
        worker.wait(MINUTE)
        assert [message.total for message in worker.notifier.board] == [2]
        worker.wait(HOUR, 10 * MINUTE)
        assert [[line.facts.name for line in message.lines] for message in worker.notifier.board[1:]] == [["1"]]

    def test_what_was_seen_at_night_and_comes_back_waits_for_the_end_of_a_later_window(self, store: Store) -> None:
        worker = a_worker(store=store, announce_every=4 * HOUR)
        worker.until(at(3, 6, "20:00"), HOUR)
        worker.show(1)
        worker.wait(HOUR)
        (run,) = worker.held()
        worker.show()
        worker.until(MONDAY + HOUR, HOUR)
        worker.show(2)
        worker.wait(10 * MINUTE)
        worker.source.show(queue(SUPPORT), run, *worker.held())
        worker.wait(10 * MINUTE)
        assert [message.total for message in worker.notifier.board] == [2]


class TestSeveralQueues:
    def two(self, store: Store) -> Worker:
        rules = {
            SUPPORT: rules_by(office(), stale_after=None),
            OTHER: rules_by(office(row(EVERY_DAY, "8:00", "20:00")), stale_after=None),
        }
        return Worker(rules, start=SATURDAY, kept=store)

    def test_two_queues_with_two_calendars_in_one_channel(self, store: Store) -> None:
        worker = self.two(store)
        worker.show(1, of=SUPPORT)
        worker.show(2, of=OTHER)
        worker.until(MONDAY + HOUR, 30 * MINUTE)
        assert [(when, message.queue and message.queue.name) for when, message in worker.posts] == [
            (at(3, 8, "7:00"), OTHER),
            (MONDAY, SUPPORT),
        ]

    def test_what_is_held_for_one_queue_does_not_go_out_with_the_baseline_of_another(self, store: Store) -> None:
        worker = self.two(store)
        worker.clock.set_wall(at(3, 6, "16:29"))
        worker.show(1, of=SUPPORT)
        worker.poll(queue(SUPPORT))
        worker.source.fail(trouble=Trouble.THROTTLED, retry_after=0 * HOUR, times=2)
        for _ in range(2):
            worker.poll(queue(OTHER))
            worker.clock.advance(MINUTE)
        worker.send()
        worker.show(2, of=OTHER)
        worker.poll(queue(OTHER))
        worker.store.polled(worker.poll.known.polled())
        worker.send()
        assert [message.queue and message.queue.name for _, message in worker.posts] == [OTHER]
        worker.until(MONDAY, HOUR)
        assert [(when, message.queue and message.queue.name) for when, message in worker.posts[1:]] == [
            (MONDAY, SUPPORT)
        ]

    def test_a_merged_baseline_shows_what_becomes_of_each_queue(self, store: Store) -> None:
        worker = self.two(store)
        worker.clock.set_wall(FRIDAY)
        worker.show(1, 2, of=SUPPORT)
        worker.show(3, of=OTHER)
        worker.tick()
        (message,) = worker.notifier.board
        assert [(line.queue.name, line.waiting) for line in message.queue_lines] == [(OTHER, 1), (SUPPORT, 2)]
        worker.show(1, of=SUPPORT)
        worker.show(of=OTHER)
        worker.wait(2 * MINUTE)
        (message,) = worker.notifier.board
        assert [(line.queue.name, line.waiting) for line in message.queue_lines] == [(OTHER, 0), (SUPPORT, 1)]
        worker.show(1, 4, of=SUPPORT)
        worker.wait(MINUTE)
        assert worker.posted()[1:] == [(FRIDAY + 3 * MINUTE, "announcement", 1)]
