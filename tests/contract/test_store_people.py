"""What every store promises of the directory of reviewers, and of those who are forgotten."""

from __future__ import annotations

import shutil
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from tests.support.builders import DAY, HOUR, MINUTE, NOON, deciding, queue, review
from worker.core.audience import Problem, listed_id
from worker.core.directory import Account, Card, answered, due, listed
from worker.core.model import Access, Polled, Reviewer, Who
from worker.stores.opening import open_store

if TYPE_CHECKING:
    from pathlib import Path

    from worker.core.model import Queue
    from worker.core.store_roles import Store

ADA = Reviewer("ada", "Ada Lovelace", "ada@example.com")
BOB = Reviewer("bob", "Bob", "bob@example.com")
ROBOT = Reviewer("robot", "Nightly job")
QUEUE = replace(queue(), access=Access.ASSIGNED, assigned=(ADA, BOB))


def met(store: Store, *reviewers: Reviewer) -> dict[str, Card]:
    store.introduce(reviewers, NOON)
    return {card.reviewer_id: card for card in store.cards()}


def polled(store: Store, of: Queue = QUEUE) -> tuple[Reviewer, ...]:
    """What is kept of a queue's reviewers after a poll."""
    store.update(of, [], deciding(), NOON)
    store.polled([Polled(of, completed_at=NOON)])
    (kept,) = store.polls()
    return kept.queue.assigned


class TestACard:
    def test_is_made_of_who_has_none_and_due_at_once(self, store: Store) -> None:
        cards = met(store, ADA, ROBOT)
        assert cards["ada"] == Card("ada", "Ada Lovelace", "ada@example.com", ask_at=NOON)
        assert due(cards.values(), {}, NOON) == [cards["ada"], cards["robot"]]
        assert store.introduce([ADA, ROBOT], NOON + MINUTE) == 0

    def test_keeps_the_answer_for_a_day(self, store: Store) -> None:
        card = met(store, ADA)["ada"]
        assert store.answer(answered(card, Account("U0ADA"), NOON))
        (kept,) = store.cards()
        assert (kept.user, kept.problem, kept.asked_at, kept.ask_at) == ("U0ADA", Problem.NONE, NOON, NOON + DAY)
        assert due([kept], {}, NOON + DAY - MINUTE) == []
        assert due([kept], {}, NOON + DAY) == [kept]

    def test_keeps_a_failure_for_a_day_as_well(self, store: Store) -> None:
        card = met(store, ADA)["ada"]
        assert store.answer(answered(card, None, NOON))
        (kept,) = store.cards()
        assert (kept.user, kept.problem, kept.ask_at) == ("", Problem.UNKNOWN, NOON + DAY)

    def test_of_another_e_mail_is_looked_up_again(self, store: Store) -> None:
        card = met(store, ADA)["ada"]
        store.answer(answered(card, Account("U0ADA"), NOON))
        again = met(store, replace(ADA, email="Lovelace@Example.com"))["ada"]
        assert (again.email, again.user, again.asked_at) == ("lovelace@example.com", "", None)
        assert not store.answer(answered(card, Account("U0ADA"), NOON + MINUTE)), "an answer about the former one"

    def test_of_the_same_e_mail_in_another_case_is_the_same(self, store: Store) -> None:
        card = met(store, ADA)["ada"]
        store.answer(answered(card, Account("U0ADA"), NOON))
        assert store.introduce([replace(ADA, email=" ADA@Example.COM")], NOON) == 0

    def test_takes_a_new_name_over_and_keeps_what_is_left_out(self, store: Store) -> None:
        met(store, ADA)
        assert met(store, Reviewer("ada", "Countess"))["ada"].email == "ada@example.com"
        assert met(store, Reviewer("ada"))["ada"].name == "Countess"

    def test_shows_why_a_user_is_not_reached(self, store: Store) -> None:
        for card in met(store, ADA, replace(ADA, reviewer_id="second"), BOB).values():
            store.answer(answered(card, Account("U0ADA" if card.email == ADA.email else "U0BOB"), NOON))
        assert store.refuse("U0ADA", Problem.REFUSED, NOON + HOUR)
        assert not store.refuse("U0NOBODY", Problem.REFUSED, NOON)
        problems = {card.reviewer_id: (card.problem, card.ask_at) for card in store.cards()}
        later = NOON + HOUR + DAY
        assert problems == {
            "ada": (Problem.REFUSED, later),
            "second": (Problem.REFUSED, later),
            "bob": (Problem.NONE, NOON + DAY),
        }

    def test_without_a_user_is_no_card_of_the_empty_user(self, store: Store) -> None:
        met(store, ADA)
        assert not store.refuse("", Problem.REFUSED, NOON)


def test_strangers_are_whom_open_reviews_name_and_no_card(store: Store) -> None:
    met(store, ADA)
    runs = [
        review("a", who=Who(("ada", "cy"), ("dan",), ("eve",))),
        review("b", who=Who(("frank",)), closed_at=NOON),
        review("c"),
    ]
    store.update(QUEUE, [], deciding(*runs), NOON)
    assert set(store.strangers()) == {"cy", "dan", "eve"}


class TestWhoIsForgotten:
    def test_leaves_the_id_alone(self, store: Store) -> None:
        store.answer(answered(met(store, ADA, BOB)["ada"], Account("U0ADA"), NOON))
        assert store.forget("Ada@Example.com", NOON + HOUR) == 1
        forgotten, bob = store.cards()
        assert forgotten == Card("ada", problem=Problem.FORGOTTEN, asked_at=NOON + HOUR)
        assert forgotten.is_forgotten
        assert bob.email == "bob@example.com"
        assert due(store.cards(), {}, NOON + DAY * 9) == [bob]

    def test_is_named_by_no_queue(self, store: Store) -> None:
        assert polled(store) == (ADA, BOB)
        assert store.forget("ada@example.com", NOON) == 1
        (kept,) = store.polls()
        assert kept.queue.assigned == (Reviewer("ada"), BOB)
        assert kept.queue.access is Access.ASSIGNED

    def test_does_not_come_back_with_the_next_poll(self, store: Store) -> None:
        polled(store)
        store.forget("ada@example.com", NOON)
        assert polled(store) == (Reviewer("ada"), BOB)
        assert polled(store, replace(QUEUE, name="Renamed")) == (Reviewer("ada"), BOB)
        assert store.introduce([ADA], NOON) == 0

    def test_is_not_named_by_a_queue_that_is_new(self, store: Store) -> None:
        met(store, ADA)
        store.forget("ada@example.com", NOON)
        assert polled(store) == (Reviewer("ada"), BOB)

    def test_gets_no_answer_that_was_under_way(self, store: Store) -> None:
        card = met(store, ADA)["ada"]
        store.forget("ada@example.com", NOON)
        assert not store.answer(answered(card, Account("U0ADA"), NOON))
        assert store.cards()[0].user == ""

    def test_of_the_settings_is_gone_with_the_id(self, store: Store) -> None:
        store.introduce(listed(["Ada@Example.com"]), NOON)
        assert [card.reviewer_id for card in store.cards()] == [listed_id("ada@example.com")]
        assert store.forget("ada@example.com", NOON) == 1
        assert store.cards() == []

    def test_can_be_known_again(self, store: Store) -> None:
        met(store, ADA, BOB)
        store.forget("ada@example.com", NOON)
        store.readmit(["ada", "bob", "nobody"])
        assert [card.reviewer_id for card in store.cards()] == ["bob"]
        assert store.introduce([ADA], NOON) == 1

    def test_was_never_known(self, store: Store) -> None:
        met(store, ADA)
        assert store.forget("nobody@example.com", NOON) == 0


def test_nothing_of_who_is_forgotten_is_left_in_a_file(sqlite_template: Path, tmp_path: Path) -> None:
    """Not even among the bytes that no table shows."""
    url = f"sqlite:///{shutil.copy(sqlite_template, tmp_path / 'worker.db')}"
    with closing(open_store(url, migrate=False)) as store:
        polled(store)
        store.answer(answered(met(store, ADA)["ada"], Account("U0ADALOVELACE"), NOON))
        store.maintain()
        assert b"ada@example.com" in b"".join(path.read_bytes() for path in tmp_path.iterdir())
        store.forget("ada@example.com", NOON)
        store.maintain()
    left = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert not [word for word in (b"ada@example.com", b"Lovelace", b"U0ADALOVELACE") if word in left]


@pytest.mark.parametrize("name", ["\udce9\0", "日本語", "'; DROP TABLE people; --"])
def test_hostile_names_are_kept_as_far_as_the_database_can(sql_store: Store, name: str) -> None:
    sql_store.introduce([Reviewer("ada", name, "ada@example.com")], NOON)
    assert len(sql_store.cards()) == 1
