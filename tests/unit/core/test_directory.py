"""The directory: whom look-ups and settings make one person of, and who is looked up next."""

from __future__ import annotations

import pytest

from tests.support.builders import DAY, HOUR, MINUTE, NOON
from worker.core.audience import Person, Problem, listed_id
from worker.core.directory import (
    GIVE_UP,
    Account,
    Card,
    Correction,
    answered,
    due,
    introduced,
    listed,
    people_of,
    persons_of,
    unmet,
)
from worker.core.model import Reviewer

ADA = Card("ada", "Ada", "ada@example.com", "U0ADA", Problem.NONE, NOON, NOON + DAY)
NEW = Card("new", "New", "new@example.com", ask_at=NOON)


def person(*cards: Card, **corrections: Correction) -> Person:
    """The one person behind some cards; corrections are by the first part of an e-mail."""
    (found,) = people_of(cards, {f"{name}@example.com": each for name, each in corrections.items()})
    return found


def test_a_person_is_found_by_identity_and_by_e_mail() -> None:
    found = person(ADA)
    assert found.reviewer_ids == ("ada", listed_id("ada@example.com"))
    assert (found.name, found.email, found.user, found.problem) == ("Ada", "ada@example.com", "U0ADA", Problem.NONE)
    assert found.can_be_messaged
    assert found.can_be_mentioned


def test_two_identities_with_one_user_are_one_person() -> None:
    other = Card("ada-at-home", "Ada L.", "ada@home.example", "U0ADA", Problem.NONE, NOON + HOUR, NOON + DAY)
    found = person(ADA, other)
    assert {"ada", "ada-at-home"} < set(found.reviewer_ids)
    assert {listed_id("ada@home.example"), listed_id("ada@example.com")} < set(found.reviewer_ids)
    assert (found.name, found.email) == ("Ada L.", "ada@home.example")


def test_an_e_mail_of_the_settings_joins_the_identity_that_has_it() -> None:
    (of_settings,) = introduced({}, listed(["ADA@Example.com"]), NOON)
    assert person(of_settings, ADA).user == "U0ADA"
    assert person(of_settings, ADA).name == "Ada"
    unasked = Card("ada", "Ada", "ada@example.com", ask_at=NOON)
    assert len(people_of([of_settings, unasked], {})) == 1


def test_people_without_an_e_mail_stay_apart() -> None:
    robots = [Card(name, problem=Problem.NO_EMAIL, asked_at=NOON) for name in ("one", "two")]
    found = people_of(robots, {})
    assert [each.reviewer_ids for each in found] == [("one",), ("two",)]
    assert not any(each.can_be_messaged or each.can_be_mentioned for each in found)


def test_a_correction_wins_over_the_look_up() -> None:
    found = person(ADA, ada=Correction("U0OTHER", "berlin"))
    assert (found.user, found.calendar, found.problem) == ("U0OTHER", "berlin", Problem.NONE)
    lost = Card("lost", "Lost", "lost@example.com", "", Problem.UNKNOWN, NOON, NOON + DAY)
    assert person(lost, lost=Correction("U0LOST")).can_be_messaged
    checked = Card("lost", "Lost", "lost@example.com", "U0LOST", Problem.LEFT, NOON, NOON + DAY)
    assert person(checked, lost=Correction("U0LOST")).problem is Problem.LEFT, "once it was looked up"


def test_a_person_may_want_no_notice() -> None:
    found = person(ADA, ada=Correction(is_notified=False))
    assert not found.can_be_messaged
    assert not found.can_be_mentioned


@pytest.mark.parametrize(
    ("problem", "messaged", "mentioned"),
    [
        (Problem.GUEST, False, True),
        (Problem.REFUSED, False, True),
        (Problem.LEFT, False, False),
        (Problem.BOT, False, False),
    ],
)
def test_a_problem_keeps_messages_away_and_some_mentions(
    problem: Problem,
    messaged: bool,  # noqa: FBT001 - a table's column
    mentioned: bool,  # noqa: FBT001
) -> None:
    found = person(answered(ADA, Account("U0ADA", problem=problem), NOON))
    assert (found.can_be_messaged, found.can_be_mentioned) == (messaged, mentioned)


def test_those_never_looked_up_come_first() -> None:
    asked = Card("asked", email="asked@example.com", asked_at=NOON, ask_at=NOON)
    assert due([asked, NEW, ADA], {}, NOON + HOUR) == [NEW, asked]


def test_a_new_correction_is_looked_up_at_once() -> None:
    corrections = {"ada@example.com": Correction("U0OTHER")}
    assert due([ADA], corrections, NOON) == [ADA]
    assert due([answered(ADA, None, NOON)], {}, NOON) == []
    assert due([answered(ADA, Account("U0OTHER"), NOON)], corrections, NOON) == []


def test_the_same_reviewer_of_two_queues_has_one_card() -> None:
    first, second = Reviewer("ada", "Ada", "ada@example.com"), Reviewer("ada", "Ada", "ADA@example.com")
    assert len(introduced({}, [first, second], NOON)) == 1


def test_a_listing_that_shows_no_name_or_e_mail_takes_none_away() -> None:
    bare = Reviewer("ada")
    assert introduced({"ada": ADA}, [bare], NOON) == []
    (moved,) = introduced({"ada": ADA}, [Reviewer("ada", email="ADA@home.example")], NOON)
    assert moved == Card("ada", "Ada", "ada@home.example", ask_at=NOON)
    (renamed,) = introduced({"ada": ADA}, [Reviewer("ada", "Ada L.")], NOON)
    assert (renamed.name, renamed.user) == ("Ada L.", "U0ADA")


def test_a_forgotten_one_is_not_introduced_again() -> None:
    forgotten = Card("ada", problem=Problem.FORGOTTEN)
    assert introduced({"ada": forgotten}, [Reviewer("ada", "Ada", "ada@example.com")], NOON) == []


def test_a_reviewer_who_is_named_twice_is_introduced_once() -> None:
    (card,) = introduced({}, [Reviewer("ada"), Reviewer("ada", "Ada", "ada@example.com")], NOON)
    assert (card.name, card.email) == ("Ada", "ada@example.com")


def test_unmet_are_identities_without_an_e_mail_and_e_mails_without_an_identity() -> None:
    (of_settings,) = introduced({}, listed(["ben@example.com"]), NOON)
    cards = [ADA, of_settings, Card("eve"), Card("gone", problem=Problem.FORGOTTEN)]
    assert unmet(cards, ["ada@example.com", "ben@example.com"]) == {"eve", "ben@example.com"}


def test_who_was_not_looked_up_for_long_is_given_up() -> None:
    never, asked = Card("never"), Card("asked", problem=Problem.UNKNOWN, asked_at=NOON, ask_at=NOON)
    persons = persons_of([NEW, never, asked], {}, NOON + GIVE_UP)
    assert persons.given_up == {"new"}
    assert persons_of([NEW], {}, NOON + GIVE_UP - MINUTE).given_up == set()
    assert {each.reviewer_ids[-1] for each in persons.everyone} == {"asked", "never", "new"}


def test_a_new_reviewer_is_looked_up_at_once_and_an_answer_lasts_a_while() -> None:
    (card,) = introduced({}, [Reviewer("ada", "Ada", "Ada@example.com")], NOON)
    assert card == Card("ada", "Ada", "ada@example.com", ask_at=NOON)
    assert due([card], {}, NOON) == [card]
    found = answered(card, Account("U0ADA"), NOON, again=HOUR)
    assert found == Card("ada", "Ada", "ada@example.com", "U0ADA", Problem.NONE, NOON, NOON + HOUR)
    assert answered(found, None, NOON, again=HOUR).user == ""


def test_of_several_identities_the_one_that_has_a_user_and_was_looked_up_last_knows_best() -> None:
    old = Card("a", "Old", "ada@example.com", "U0ADA", Problem.NONE, NOON, NOON + DAY)
    new = Card("b", "", "ada@example.com", "U0ADA", Problem.LEFT, NOON + HOUR, NOON + DAY)
    lost = Card("c", "Lost", "ada@example.com", "", Problem.UNKNOWN, NOON + DAY, NOON + DAY)
    found = person(old, new, lost)
    assert (found.problem, found.asked_at, found.name) == (Problem.LEFT, NOON + HOUR, "Old")
    assert person(Card("nobody")).name == person(Card("nobody")).email == ""
