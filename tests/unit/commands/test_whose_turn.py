"""`runs` says to whom a run is assigned, and whose turn it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.builders import NOON, review
from tests.support.people import PAIR, person, who
from worker.commands.runs import Waiting, print_waiting, waiting_json
from worker.core.audience import NO_PERSONS, Audience, Persons, Turns
from worker.core.status.upcoming import Upcoming

if TYPE_CHECKING:
    from worker.core.audience import WhoseTurn

KNOWN = Persons(tuple(person(name) for name in ("Ada", "Ben")))
NOTHING = Upcoming(None, None, "the settings ask for nothing more")


def waiting(*assigned: str, whose: WhoseTurn = Audience.ASSIGNED, persons: Persons = KNOWN, **more: Any) -> Waiting:
    run = review("checkout-agent", who=who(*assigned, **more), done=len(more.get("done", ())))
    return Waiting(PAIR, run, NOTHING, None, Turns(PAIR, whose, persons))


@pytest.mark.parametrize(
    ("each", "assigned_to", "whose_turn"),
    [
        pytest.param(waiting("ada", "ben", done=("ada",)), ["Ada", "Ben"], ["Ben"], id="one of two has completed it"),
        pytest.param(
            waiting(), [], ["Ada", "Ben"], id="it is assigned to no one, so it is the turn of the queue's reviewers"
        ),
        pytest.param(waiting("zoe", whose=Audience.NOBODY, persons=NO_PERSONS), ["zoe"], [], id="no one is known"),
    ],
)
def test_the_json_names_who_is_assigned_and_whose_turn_it_is(
    each: Waiting, assigned_to: list[str], whose_turn: list[str]
) -> None:
    found = waiting_json(each, NOON)
    assert (found["assigned_to"], found["whose_turn"]) == (assigned_to, whose_turn)


def test_the_table_has_a_column_for_it_where_any_run_is_anybodys(capsys: pytest.CaptureFixture[str]) -> None:
    print_waiting([waiting("ben"), waiting(whose=Audience.NOBODY)], NOON)
    shown = capsys.readouterr().out
    assert "Whose turn" in shown
    assert "Ben" in shown
    print_waiting([waiting(whose=Audience.NOBODY)], NOON)
    assert "Whose turn" not in capsys.readouterr().out
