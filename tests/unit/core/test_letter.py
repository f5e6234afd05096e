"""Direct messages as their reader sees them: which queues the headline names, and why an owner hears of a run."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from tests.support.builders import HOUR, NOON, queue, review
from tests.support.people import ADA, ASSIGNED, BEN, EVE, person, who
from worker.core.audience import Audience, Persons, Problem, Turns
from worker.core.letter import Letter, QueueShown
from worker.core.model import Kind
from worker.core.owed import Claim, Delivery, Destination

if TYPE_CHECKING:
    from worker.core.audience import Person
    from worker.core.message import Message
    from worker.core.model import Queue, Review

BILLING = queue("Billing", assigned=(ADA, BEN, EVE))
PEOPLE = (person("Ada"), person("Ben"), person("Eve"))
LEAD, LATE = "U0LEAD", Kind.REMINDER


def shown(of: Queue, persons: tuple[Person, ...] = PEOPLE) -> QueueShown:
    turns = Turns(of, Audience.ASSIGNED, Persons(persons), LEAD)
    return QueueShown(turns, frozenset(), lambda one: one.since + 4 * HOUR, UTC)


def written(*runs: tuple[Review, Queue, Kind], reader: str = "U0ADA", persons: tuple[Person, ...] = PEOPLE) -> Letter:
    """The letter to a reader about these runs, each of a queue and there for a reason."""
    destination = Destination("slack", reader.removeprefix("owner:"))
    delivery = Delivery(queue().queue_id, Kind.DIRECT, destination, NOON, NOON, reader=reader)  # type: ignore[arg-type]
    claim = Claim(
        delivery,
        reviews=tuple(one for one, _, _ in runs),
        purposes={one.key: kind for one, _, kind in runs},
        queues={one.key: of for one, of, _ in runs},
    )
    return Letter(claim, {of.queue_id: shown(of, persons) for _, of, _ in runs}, NOON)


def composed(*runs: tuple[Review, Queue, Kind], **more: Any) -> Message:
    """The message as it should look now."""
    return written(*runs, **more).edit()


def run(name: str, *assigned: str, hours: float = 0, **more: object) -> Review:
    since = NOON - HOUR * hours
    return review(name, added_at=since, first_seen_at=since, who=who(*assigned), **more)


def test_a_headline_names_the_queue_of_the_new_runs_alone() -> None:
    told = composed((run("a", hours=5), ASSIGNED, Kind.REMINDER), (run("b"), BILLING, Kind.ANNOUNCEMENT))
    assert (told.standing.new, told.standing.places) == (1, (BILLING,))


def test_a_headline_names_the_queue_of_the_overdue_runs_where_none_is_new() -> None:
    told = composed((run("a", hours=5), ASSIGNED, Kind.REMINDER), (run("b", hours=3), BILLING, Kind.REMINDER))
    assert (told.standing.overdue, told.standing.places) == (1, (ASSIGNED,))


def test_a_headline_that_counts_all_runs_names_all_queues() -> None:
    runs = (run("a"), ASSIGNED, Kind.ANNOUNCEMENT), (run("b", "ben"), BILLING, Kind.ANNOUNCEMENT)
    assert composed(*runs).standing.places == (ASSIGNED, BILLING)
    assert composed(*runs, reader=f"owner:{LEAD}").standing.places == (ASSIGNED, BILLING)


@pytest.mark.parametrize(
    ("needed", "assigned", "unheard"),
    [
        (1, (), {"Eve": Problem.UNKNOWN, "Ada": Problem.NONE, "Ben": Problem.NONE}),
        (3, (), {"Eve": Problem.UNKNOWN}),
        (1, ("ada",), {"Ada": Problem.NONE}),
        (1, ("ada", "eve"), {"Eve": Problem.UNKNOWN}),
    ],
)
def test_an_owner_is_given_the_reason_of_each_person_whom_it_holds_for(
    needed: int, assigned: tuple[str, ...], unheard: dict[str, Problem]
) -> None:
    persons = (*PEOPLE[:2], person("Eve", user="", problem=Problem.UNKNOWN))
    of = queue("Billing", assigned=(ADA, BEN, EVE), reviewers_per_run=needed)
    told = composed((run("a", *assigned), of, Kind.ANNOUNCEMENT), reader=f"owner:{LEAD}", persons=persons)
    assert dict(told.lines[0].unheard) == unheard


def test_a_letter_shrinks_to_the_runs_that_are_still_the_readers() -> None:
    mine, other, gone = run("a"), run("b", "ben"), run("c", closed_at=NOON)
    letter = written((mine, ASSIGNED, LATE), (other, ASSIGNED, LATE), (gone, ASSIGNED, LATE))
    assert letter.split() == ((mine,), (other, gone))
    posted = letter.post([mine])
    assert (posted.total, posted.waiting, posted.is_edit, posted.queue) == (1, 1, False, ASSIGNED)


def test_what_is_owed_about_a_queue_without_people_goes_out_as_it_was_decided() -> None:
    letter = written((one := run("a", "ben"), ASSIGNED, LATE))
    view = replace(letter.views[ASSIGNED.queue_id], turns=Turns(ASSIGNED, Audience.NOBODY))
    assert replace(letter, views={ASSIGNED.queue_id: view}).split() == ((one,), ())
