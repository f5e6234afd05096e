"""What every store promises to a process that is alone: the leases of the one before it end at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from tests.support.builders import EDIT_EVERY, HOUR, LEASE, MINUTE, NOON, SECOND, review
from tests.support.outbox import owe, post, posted, put_back, row, take, take_edit, write
from worker.core.owed import NEVER, State

if TYPE_CHECKING:
    from worker.core.store_roles import Store

START = NOON + 2 * SECOND
LOOK_AT = START + 5 * SECOND
LATER = NOON + HOUR


def test_what_was_being_sent_is_unknown_and_looked_up_when_told_to(store: Store) -> None:
    owe(store, review("a"))
    take(store)
    assert store.lapse(START, LOOK_AT) == 1
    assert (row(store).state, row(store).lease_until, row(store).due_at) == (State.UNKNOWN, None, LOOK_AT)
    assert store.claim(LOOK_AT - SECOND, LEASE) is None
    assert take(store, LOOK_AT).delivery.state is State.UNKNOWN


def test_an_attempt_keeps_its_time_and_its_count(store: Store) -> None:
    owe(store, review("a"))
    claim = take(store)
    put_back(store, claim, START, state=State.UNKNOWN, attempted_at=NOON, looks=1)
    take(store, START)
    store.lapse(START, LOOK_AT)
    assert (row(store).attempted_at, row(store).attempts, row(store).looks) == (NOON, 1, 1)


def test_the_one_before_can_settle_nothing_any_more(store: Store) -> None:
    owe(store, review("a"))
    claim = take(store)
    store.lapse(START, LOOK_AT)
    assert not store.settle(posted(claim.delivery, START), claim.delivery)


def test_an_edit_under_way_is_free_at_once_and_still_owed(store: Store) -> None:
    owe(store, review("a"))
    post(store)
    write(store, review("a", closed_at=LATER), at=LATER)
    claim = take_edit(store, LATER)
    assert store.lapse(LATER + SECOND, LATER + MINUTE) == 1
    assert not store.settle_edit(replace(claim.delivery, edit_at=None), claim.delivery)
    assert row(store).state is State.SENT
    assert take_edit(store, LATER + SECOND).delivery.key == claim.delivery.key


def test_an_edit_that_waited_for_the_lease_alone_is_due_at_once(store: Store) -> None:
    owe(store, review("a"))
    post(store)
    write(store, review("a", reserved=True), at=LATER)
    take_edit(store, LATER)
    write(store, review("a", closed_at=LATER), at=LATER)
    assert row(store).edit_at == LATER + LEASE
    store.lapse(LATER + SECOND, LATER + MINUTE)
    assert row(store).edit_at == LATER + SECOND


def test_but_not_before_the_debounce_is_over(store: Store) -> None:
    owe(store, review("a"))
    post(store)
    write(store, review("a", reserved=True), at=LATER)
    claim = take_edit(store, LATER)
    done = replace(claim.delivery, edit_at=None, edited_at=LATER, edit_held_until=LATER + EDIT_EVERY, edits=1)
    store.settle_edit(done, claim.delivery)
    write(store, review("a"), at=LATER)
    take_edit(store, LATER + EDIT_EVERY)
    write(store, review("a", closed_at=LATER), at=LATER + EDIT_EVERY)
    store.lapse(LATER + SECOND, LATER + MINUTE)
    assert row(store).edit_at == LATER + EDIT_EVERY


def test_what_nobody_has_claimed_is_left_alone(store: Store) -> None:
    owe(store, review("a"), name="sent")
    post(store)
    write(store, review("a", closed_at=LATER), at=LATER)
    owe(store, review("b"), name="held")
    put_back(store, take(store), NEVER, state=State.HELD)
    owe(store, review("c"), name="pending", channel="C0OTHER0000")
    before = store.deliveries()
    assert store.lapse(LATER, LATER + MINUTE) == 0
    assert store.deliveries() == before
