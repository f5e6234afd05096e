"""What every store promises of runs without a name: which messages lack one, and what happens once it is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.builders import HOUR, MINUTE, NOON, ident, queue, review
from tests.support.outbox import QUEUE, owe, post, put_back, row, take, take_edit, write
from worker.core.model import LISTED, Facts
from worker.core.owed import State

if TYPE_CHECKING:
    from datetime import timedelta

    from worker.core.model import Review
    from worker.core.store_roles import Store

LATER = NOON + HOUR
BARE = Facts(url="there")
KNOWN = Facts(name="answer", run_type="llm", url="there")


def bare(name: str | int, since: timedelta = 0 * HOUR, **more: object) -> Review:
    """A run of which nothing is known but its link."""
    return review(name, facts=BARE, since=NOON + since, **more)  # type: ignore[arg-type]


def lacking(store: Store, most: int = 100) -> list[object]:
    return list(store.undescribed(QUEUE.queue_id, LATER, most))


class TestWhatLacksAName:
    def test_is_what_a_message_lists(self, store: Store) -> None:
        owe(store, bare("a"), review("named"), bare("counted"))
        post(store, shown=[bare("a").key, review("named").key])
        assert store.undescribed(QUEUE.queue_id, LATER, 9) == {ident("a"): BARE}

    def test_is_what_a_message_will_list(self, store: Store) -> None:
        many = [bare(str(n), n * MINUTE) for n in range(LISTED + 3)]
        owe(store, bare("gone", -HOUR, closed_at=NOON), review("named", since=NOON - HOUR), *many)
        assert lacking(store) == [one.queue_run_id for one in many[: LISTED - 1]]
        put_back(store, take(store), LATER, state=State.HELD)
        assert len(lacking(store)) == LISTED - 1

    def test_is_nothing_that_no_message_speaks_of(self, store: Store) -> None:
        write(store, bare("a"))
        assert lacking(store) == []

    def test_is_nothing_that_has_left_or_is_of_another_queue(self, store: Store) -> None:
        owe(store, bare("a", closed_at=NOON))
        owe(store, bare("b"), of=queue("Other"), name="other")
        assert lacking(store) == []

    def test_is_nothing_of_a_message_that_is_not_kept_true(self, store: Store) -> None:
        owe(store, bare("a"))
        post(store, edit_for=MINUTE)
        assert lacking(store) == []

    def test_is_nothing_of_what_was_given_up(self, store: Store) -> None:
        owe(store, bare("a"))
        put_back(store, take(store), NOON, state=State.DEAD, settled_at=NOON)
        assert lacking(store) == []

    def test_comes_oldest_first_and_not_all_at_once(self, store: Store) -> None:
        owe(store, bare("new", MINUTE), bare("old"))
        assert lacking(store, 1) == [ident("old")]


class TestALearnedName:
    def test_is_kept_and_owes_an_edit(self, store: Store) -> None:
        owe(store, bare("a"))
        post(store)
        store.describe(QUEUE.queue_id, {ident("a"): KNOWN}, LATER)
        assert lacking(store) == []
        (shown,) = take_edit(store, LATER).reviews
        assert shown.facts == KNOWN

    def test_is_in_a_post_that_was_not_made_yet(self, store: Store) -> None:
        owe(store, bare("a"))
        store.describe(QUEUE.queue_id, {ident("a"): KNOWN}, NOON)
        assert [each.facts for each in take(store).reviews] == [KNOWN]

    @pytest.mark.parametrize("facts", [BARE, None])
    def test_owes_nothing_where_it_is_no_news(self, store: Store, facts: Facts | None) -> None:
        owe(store, bare("a"))
        post(store)
        store.describe(QUEUE.queue_id, {} if facts is None else {ident("a"): facts}, LATER)
        assert row(store).edit_at is None

    def test_is_nothing_to_a_queue_or_a_run_that_was_never_seen(self, store: Store) -> None:
        store.describe(ident("nowhere"), {ident("a"): KNOWN}, NOON)
        write(store, bare("a"))
        store.describe(QUEUE.queue_id, {ident("b"): KNOWN}, NOON)
        assert store.stories(ident("b")) == []
