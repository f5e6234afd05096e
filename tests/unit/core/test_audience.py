"""Whose turn a run is, said of each kind of queue and of people."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from tests.support.builders import queue, review
from tests.support.people import ADA, ASSIGNED, BEN, EVE, PAIR, person, who
from worker.core.audience import TURN, Audience, Person, Persons, Problem, Turns, listed_id
from worker.core.model import Access, Acts, Fate, Reviewer, Who

if TYPE_CHECKING:
    from worker.core.audience import WhoseTurn
    from worker.core.model import Queue

OPEN = queue(access=Access.ANY, assigned=(ADA, BEN, EVE))
TRIO = replace(ASSIGNED, reviewers_per_run=2)
THEIRS, NOBODY = Audience.ASSIGNED, Audience.NOBODY


def names(turns: Turns, *args: object, **more: object) -> list[str]:
    """The names of those whose turn a run is."""
    return [one.name or one.reviewer_ids[0] for one in turns.of(review(*args, **more))]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("of", "whose", "run", "expected"),
    [
        pytest.param(OPEN, NOBODY, who("ada"), [], id="a queue without people is nobody's turn"),
        pytest.param(OPEN, THEIRS, who(), ["Ada", "Ben", "Eve"], id="an open queue's turn is its reviewers'"),
        pytest.param(ASSIGNED, THEIRS, who(), ["Ada", "Ben", "Eve"], id="an assigned queue's turn is the same"),
        pytest.param(queue(), THEIRS, who(), [], id="a queue without reviewers is nobody's turn"),
        pytest.param(ASSIGNED, THEIRS, who("ben"), ["Ben"], id="a run that names someone is that person's"),
        pytest.param(queue(), THEIRS, who("zoe"), ["zoe"], id="a run may name someone whom the queue does not"),
        pytest.param(TRIO, THEIRS, who(done=("ada",)), ["Ben", "Eve"], id="who has completed a run is out"),
        pytest.param(ASSIGNED, THEIRS, who(done=("ada",)), ["Ben", "Eve"], id="however few reviews the queue asks for"),
        pytest.param(ASSIGNED, THEIRS, who("ada", "ben", done=("ada",)), ["Ben"], id="of two named one is left"),
        pytest.param(ASSIGNED, THEIRS, who("ada", done=("ada",)), [], id="who has completed it all is nobody's turn"),
        pytest.param(TRIO, THEIRS, Who(completed_by=("ada", "eve"), disagreed=True), [], id="disagreed is nobody's"),
        pytest.param(TRIO, THEIRS, who("ada", "ben", done=("ada",)), ["Ben"], id="of two that are named one is done"),
        pytest.param(
            OPEN, ("ben@example.com",), who("ada"), ["Ben"], id="e-mails of the settings win over what a run names"
        ),
        pytest.param(
            TRIO, ("ben@example.com", "zoe@example.com"), who(done=("ben",)), [listed_id("zoe@example.com")],
            id="an e-mail of the settings is known by the identity that has it",
        ),
    ],
)  # fmt: skip
def test_turn(of: Queue, whose: WhoseTurn, run: Who, expected: list[str]) -> None:
    assert names(Turns(of, whose), who=run) == expected


def test_some_runs_name_people_and_others_do_not() -> None:
    turns = Turns(ASSIGNED, THEIRS)
    assert names(turns, who=who("ben")) == ["Ben"]
    assert names(turns) == ["Ada", "Ben", "Eve"]


def test_a_run_that_is_listed_waits_for_someone_however_many_reviews_it_counts() -> None:
    assert names(Turns(TRIO, THEIRS), done=2) == ["Ada", "Ben", "Eve"]


def test_no_one_but_the_called_finish_a_run_that_counts_more_reviews_than_it_needs() -> None:
    assert not Turns(ASSIGNED, THEIRS).can_finish(review(done=1), 0)
    assert Turns(ASSIGNED, THEIRS).can_finish(review(done=1), 1)


def test_a_run_that_has_left_is_nobodys_turn() -> None:
    closed = {"closed_at": review().since, "fate": Fate.REVIEWED}
    assert names(Turns(ASSIGNED, THEIRS), who=who("ada"), **closed) == []


def test_two_identities_of_one_user_are_one_person() -> None:
    both = person("Ada", "ada", "ada-2")
    turns = Turns(TRIO, THEIRS, Persons((both,)))
    assert names(turns, who=who("ada-2", "ada")) == ["Ada"]
    assert names(turns, who=who("ada", done=("ada-2",))) == []


def test_the_same_e_mail_in_another_case_is_the_same_person() -> None:
    turns = Turns(OPEN, ("ada@example.com",), Persons((person("Ada", email="Ada@Example.COM"),)))
    assert turns.of(review())[0].user == "U0ADA"
    assert names(turns, who=who(done=("ada",))) == []


def test_an_e_mail_of_the_settings_that_no_one_has_completed_is_still_owed() -> None:
    assert names(Turns(TRIO, ("ada@example.com", "ben@example.com")), who=who(done=("eve",))) == ["Ada", "Ben"]


@pytest.mark.parametrize(
    ("problem", "given_up", "reached"),
    [
        pytest.param(Problem.NONE, False, True, id="a user is reached"),
        pytest.param(Problem.NOT_ASKED, False, True, id="one who is not looked up yet may be reached"),
        pytest.param(Problem.NOT_ASKED, True, False, id="one who was sought in vain for long is not"),
        pytest.param(Problem.NO_EMAIL, False, False, id="a service account without e-mail is not reached"),
        pytest.param(Problem.UNKNOWN, False, False, id="an e-mail without a user is not reached"),
        pytest.param(Problem.LEFT, False, False, id="one who has left the workspace is not reached"),
        pytest.param(Problem.GUEST, False, False, id="a guest is not reached"),
        pytest.param(Problem.REFUSED, False, False, id="one who refuses direct messages is not reached"),
        pytest.param(Problem.NO_SCOPE, False, False, id="without the scopes no one is reached"),
    ],
)
def test_reach(problem: Problem, *, given_up: bool, reached: bool) -> None:
    one = person("Ada", problem=problem)
    known = Persons((one,), frozenset({"ada"}) if given_up else frozenset())
    turns = Turns(ASSIGNED, THEIRS, known)
    assert turns.is_direct(review(who=who("ada"))) is reached


def test_an_owner_hears_of_those_who_are_not_reached() -> None:
    known = Persons((person("Ada", problem=Problem.LEFT),))
    assert Turns(ASSIGNED, THEIRS, known, owner="U0LEAD").is_direct(review(who=who("ada")))
    assert not Turns(ASSIGNED, THEIRS, known, owner="U0LEAD").is_direct(review(who=who("ada", done=("ada",))))


def test_one_who_wants_no_messages_is_not_reached() -> None:
    known = Persons((person("Ada", is_notified=False),))
    assert not Turns(ASSIGNED, THEIRS, known).is_direct(review(who=who("ada")))


def test_a_run_of_one_who_wants_no_messages_is_the_channels_whoever_owns_the_queue() -> None:
    known = Persons((person("Ada", is_notified=False),))
    assert not Turns(ASSIGNED, THEIRS, known, owner="U0LEAD").is_direct(review(who=who("ada")))


def test_an_owner_who_refuses_hears_of_nothing() -> None:
    known = Persons((person("Ada", problem=Problem.LEFT), person("Lead", user="U0LEAD", problem=Problem.REFUSED)))
    assert not Turns(ASSIGNED, THEIRS, known, owner="U0LEAD").is_direct(review(who=who("ada")))


def test_who_has_completed_is_known_by_any_identity() -> None:
    ada = person("Ada", "ada", "ada-2")
    turns = Turns(TRIO, THEIRS, Persons((ada,)))
    assert turns.has_completed(ada, review(who=who(done=("ada-2",))))
    assert not turns.has_completed(ada, review(who=who(done=("ben",))))


def test_names_are_those_that_say_more_than_the_queue() -> None:
    turns = Turns(TRIO, THEIRS)
    assert turns.waiting_for(review()) == ()
    assert turns.waiting_for(review(who=who(done=("ada",)), done=1)) == ("Ben", "Eve")
    assert turns.waiting_for(review(who=who("ben"))) == ("Ben",)
    assert turns.reserved_by(review(who=who(reserved=("eve",)), reserved=True)) == ("Eve",)
    assert Turns(TRIO).reserved_by(review(who=who(reserved=("eve",)), reserved=True)) == ()


def test_the_same_people_are_equal_and_others_are_not() -> None:
    assert Turns(TRIO, THEIRS) == Turns(TRIO, THEIRS)
    assert Turns(TRIO, THEIRS) != Turns(replace(TRIO, assigned=(ADA,)), THEIRS)
    assert Persons((person("Ada"),)) != Persons((person("Ada", problem=Problem.LEFT),))


LEAD = "U0LEAD"


def passed(mention: tuple[str, ...], called: tuple[str, ...], *persons: Person, of: Queue = ASSIGNED) -> list[str]:
    """The runs of which an owner hears when a message was to mention these, and calls those."""
    turns = Turns(of, THEIRS, Persons(persons), LEAD)
    runs = [review("ada's", who=who("ada")), review("ben's", who=who("ben")), review("any", who=who())]
    keys = turns.passed_on(mention, runs, called)
    return [run.facts.name for run in runs if run.key in keys]


def test_an_owner_hears_of_the_runs_for_which_a_mention_did_not_call_somebody() -> None:
    ada, ben = person("Ada"), person("Ben")
    assert passed(("S1",), ("S1",), ada, ben) == []
    assert passed(("S1", "U1"), ("S1",), ada, ben) == ["ada's", "ben's", "any"]
    assert passed((TURN,), ("U0ADA", "U0BEN"), ada, ben) == []
    assert passed((TURN,), ("U0ADA",), ada, ben) == ["ben's"]
    assert passed((TURN,), ("U0ADA",), ada, ben, of=TRIO) == ["ben's"], "Eve may still be found"
    assert passed((TURN,), ("U0ADA",), ada, ben, person("Eve"), of=TRIO) == ["ben's", "any"]


def test_an_owner_does_not_hear_for_those_who_want_no_messages_or_may_still_be_found() -> None:
    silent = person("Ben", is_notified=False)
    assert passed((TURN,), (), silent, person("Ada", problem=Problem.NOT_ASKED)) == []


def test_without_an_owner_nothing_is_passed_on() -> None:
    assert Turns(ASSIGNED, THEIRS, Persons(())).passed_on(("U1",), [review()], ()) == ()


def test_an_identity_that_is_not_known_is_the_person_with_its_e_mail() -> None:
    ada = person("Ada", "another id")
    persons = Persons((ada,))
    assert persons.person("ada", ASSIGNED) is ada
    assert persons.person("ada") == Person(("ada",))
    assert persons.person("ben", ASSIGNED) == Person(("ben",), "Ben", "ben@example.com")
    assert persons.person(listed_id("zoe@example.com"), ASSIGNED).email == "zoe@example.com"
    nameless = queue(assigned=(Reviewer("bot", "Bot"),))
    assert persons.person("bot", nameless) == Person(("bot",), "Bot")


def test_whoever_does_not_take_a_turn_has_none() -> None:
    known = Persons((person("Ada"), person("Ben"), person("Eve")))
    run = replace(review(), acts=Acts(not_mine=("U0ADA", "eve")))
    assert [one.name for one in Turns(ASSIGNED, THEIRS, known).of(run)] == ["Ben"]


def test_reviews_that_are_done_count_for_finishing_a_run() -> None:
    turns = Turns(replace(ASSIGNED, reviewers_per_run=3), THEIRS)
    assert [turns.can_finish(review(done=1), called) for called in (1, 2)] == [False, True]
    assert not turns.can_finish(review(who=who("ada")), 3)


def test_reviewers_with_one_user_are_one_person() -> None:
    twins = person("Ada"), person("Ada L.", "ben", email="ada@home.example", user="U0ADA")
    assert len(Turns(PAIR, THEIRS, Persons(twins)).of(review())) == 1
