"""People whose turn runs are, and queues that are assigned to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from tests.support.builders import queue, rules_with
from worker.core.audience import Audience, Person, Persons, Problem
from worker.core.model import Access, Reviewer, Who

if TYPE_CHECKING:
    from worker.rules import QueueRules

ADA, BEN, EVE = (Reviewer(name.lower(), name, f"{name.lower()}@example.com") for name in ("Ada", "Ben", "Eve"))
ASSIGNED = queue(access=Access.ASSIGNED, assigned=(ADA, BEN, EVE))
PAIR = replace(ASSIGNED, reviewers_per_run=2, assigned=(ADA, BEN))


def person(name: str, *ids: str, **more: Any) -> Person:
    """A person who can be sent a direct message."""
    known = {"email": f"{name.lower()}@example.com", "user": f"U0{name.upper()}", "problem": Problem.NONE}
    return Person(ids or (name.lower(),), name, **(known | more))


def who(*assigned_to: str, done: tuple[str, ...] = (), reserved: tuple[str, ...] = ()) -> Who:
    """The people that a run names."""
    return Who(assigned_to, reserved, done)


def rules_of_people(*persons: Person, given_up: frozenset[str] = frozenset(), **settings: Any) -> QueueRules:
    """The rules of a queue whose runs are the turn of its reviewers, of whom these are known."""
    rules = rules_with(people=Audience.ASSIGNED, **settings)
    return replace(rules, persons=Persons(persons, given_up))
