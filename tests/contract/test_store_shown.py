"""What the page reads from the tables itself, on both databases."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from msgspec.structs import replace

from tests.support.builders import HOUR, MINUTE, NOON, deciding, ident, notice, queue, review
from tests.support.people import who
from worker.core.model import Acts
from worker.stores import outbox, reviews

if TYPE_CHECKING:
    from worker.stores.sql import SqlStore

OTHER = queue("Other")
HERE = queue().queue_id


def test_runs_that_wait_come_oldest_first_and_in_pages(sql_store: SqlStore) -> None:
    waiting = [review(number, since=NOON - number * MINUTE) for number in range(5)]
    gone = review("gone", closed_at=NOON)
    sql_store.update(queue(), (), deciding(*waiting, gone), NOON)
    sql_store.update(OTHER, (), deciding(review("other", since=NOON - HOUR)), NOON)
    pages = [
        sql_store.search(partial(reviews.oldest_reviews, queue_id=HERE, most=2, past=past)) for past in (0, 2, 4, 6)
    ]
    found = [[each.queue_run_id for each in page] for page in pages]
    assert found == [[ident(4), ident(3)], [ident(2), ident(1)], [ident(0)], []]


def test_runs_are_counted_by_whose_turn_they_are(sql_store: SqlStore) -> None:
    for_ada = [review(number, who=who("ada")) for number in range(3)]
    claimed = replace(review("claimed", who=who("ada")), acts=Acts(claimed_by="U0ADA", claimed_name="Ada"))
    others = [review("nobodys"), review("done", done=1), review("gone", closed_at=NOON)]
    sql_store.update(queue(), (), deciding(*for_ada, claimed, *others), NOON)
    sql_store.update(OTHER, (), deciding(review("other")), NOON)
    found = sql_store.search(partial(reviews.counts_by_who, queue_id=HERE))
    counted = {(one.who.assigned_to, one.acts.claimed_by, one.done): many for one, many in found}
    assert counted == {(("ada",), "", 0): 3, (("ada",), "U0ADA", 0): 1, ((), "", 0): 1, ((), "", 1): 1}
    assert all(one.is_open for one, _ in found)


def test_the_last_messages_of_a_queue_are_its_own(sql_store: SqlStore) -> None:
    one, other = review("one"), review("other")
    for number in range(3):
        named = notice(one, name=f"notice {number}")
        sql_store.update(queue(), (), deciding(one, notices=[named]), NOON)
    sql_store.update(OTHER, (), deciding(other, notices=[notice(other, name="elsewhere")]), NOON)
    found = sql_store.search(partial(outbox.newest_of, queue_id=HERE, most=2))
    assert [each.key for each in found] == [ident("notice 2"), ident("notice 1")]


def test_what_a_filter_leaves_out_waits_for_nobody(sql_store: SqlStore) -> None:
    left_out = replace(review("left out", who=who("ada")), left_out="skip.tags")
    sql_store.update(queue(), (), deciding(review("shown", who=who("ada")), left_out), NOON)
    (listed,) = sql_store.search(partial(reviews.oldest_reviews, queue_id=HERE, most=10))
    counts = [many for _, many in sql_store.search(partial(reviews.counts_by_who, queue_id=HERE))]
    assert (listed.queue_run_id, counts) == (ident("shown"), [1])
