"""Runs that filters leave out, on every store and through the whole worker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from tests.support.builders import HOUR, ident, queue, queue_run
from tests.support.office import SUPPORT, a_worker, office
from tests.support.whole_worker import rules_by
from worker.core.filters import Conditions, Order
from worker.core.model import Traits

if TYPE_CHECKING:
    from tests.support.whole_worker import Worker
    from worker.core.store_roles import Store

PROD = Conditions(tags=("prod",))


def show(worker: Worker, **runs: Traits) -> None:
    now = worker.clock.now()
    listed = [replace(queue_run(name, added_at=now), traits=known) for name, known in runs.items()]
    worker.source.show(queue(SUPPORT), *listed)


def names(worker: Worker) -> list[list[str]]:
    return [[line.facts.name for line in message.lines] for message in worker.notifier.board]


def test_what_is_left_out_is_counted_and_in_no_message(store: Store) -> None:
    worker = a_worker(store=store, only=PROD)
    show(worker, one=Traits(tags=("prod",)), two=Traits(tags=("test",)), three=Traits())
    worker.tick()
    assert [sorted(each) for each in names(worker)] == [["one", "three"]]
    standing = store.standing(ident(SUPPORT), None)
    assert (standing.waiting, standing.left_out) == (2, 1)
    assert worker.review("two").left_out == "only.tags"
    assert worker.review("two").traits == Traits(tags=("test",))


def test_a_filter_that_changes_announces_what_becomes_visible_once(store: Store) -> None:
    worker = a_worker(store=store, only=PROD)
    show(worker, one=Traits(tags=("prod",)), two=Traits(tags=("test",)))
    worker.tick()
    worker.rules[SUPPORT] = rules_by(office(), stale_after=None)
    worker.wait(3 * HOUR, HOUR)
    assert names(worker) == [["one"], ["two"]]
    worker.rules[SUPPORT] = rules_by(office(), stale_after=None, only=PROD)
    worker.wait(3 * HOUR, HOUR)
    assert len(names(worker)) == 2
    assert store.standing(ident(SUPPORT), None).left_out == 1


def test_messages_list_by_the_order_of_their_queue(store: Store) -> None:
    worker = a_worker(store=store, order=(Order.FEEDBACK, Order.AGE))
    scores: dict[str, Any] = {"good": 0.9, "bad": 0.1, "worse": -3.0}
    show(worker, unscored=Traits(scores=()), **{name: Traits(scores=(("s", score),)) for name, score in scores.items()})
    worker.tick()
    assert names(worker) == [["worse", "bad", "good", "unscored"]]


def test_what_a_bare_listing_lacks_is_asked_for_before_anything_is_said(store: Store) -> None:
    worker = a_worker(store=store, only=PROD)
    worker.source.more["bare"] = True
    worker.source.traits_of = {ident("one"): Traits(tags=("prod",)), ident("two"): Traits(tags=("test",))}
    show(worker, one=Traits(), two=Traits(), three=Traits())
    worker.tick()
    assert [sorted(each) for each in names(worker)] == [["one", "three"]]
    assert worker.source.sifted == [{ident("one"), ident("two"), ident("three")}]
    worker.wait(2 * HOUR, HOUR)
    # Only what is still unknown is asked for again, and only where a whole listing is decided on.
    assert all(asked == {ident("three")} for asked in worker.source.sifted[1:])


def test_a_look_up_that_fails_hides_nothing(store: Store) -> None:
    worker = a_worker(store=store, only=PROD)
    worker.source.more["bare"] = True
    worker.source.fail("traits")
    show(worker, one=Traits())
    worker.tick()
    assert names(worker) == [["one"]]
