"""What every store promises to who never heard the answer to its claim: nothing waits until a lease is over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.builders import HOUR, LEASE, NOON, SECOND, review
from tests.support.outbox import owe, post, put_back, row, take, take_edit, write
from worker.core.owed import State

if TYPE_CHECKING:
    from worker.core.store_roles import Store

LATER = NOON + HOUR


def test_what_was_never_tried_is_pending_again(store: Store) -> None:
    owe(store, review("a"))
    take(store)
    assert store.unclaim(NOON, LEASE) == 1
    assert (row(store).state, row(store).lease_until, row(store).attempted_at) == (State.PENDING, None, None)
    assert take(store).delivery.attempted_at == NOON


def test_what_is_in_doubt_is_looked_up(store: Store) -> None:
    owe(store, review("a"))
    put_back(store, take(store), NOON, state=State.UNKNOWN, attempted_at=NOON, looks=1)
    take(store, LATER)
    assert store.unclaim(LATER, LEASE) == 1
    assert (row(store).attempted_at, row(store).looks, row(store).due_at) == (NOON, 1, LATER)
    assert take(store, LATER).delivery.state is State.UNKNOWN


def test_an_edit_is_free_again(store: Store) -> None:
    owe(store, review("a"))
    post(store)
    write(store, review("a", closed_at=LATER), at=LATER)
    take_edit(store, LATER)
    assert store.unclaim(LATER, LEASE) == 1
    assert take_edit(store, LATER).delivery.edit_at == LATER


def test_what_others_have_claimed_is_left_alone(store: Store) -> None:
    owe(store, review("a"))
    take(store, NOON)
    before = store.deliveries()
    assert store.unclaim(NOON + SECOND, LEASE) == 0
    assert store.deliveries() == before
