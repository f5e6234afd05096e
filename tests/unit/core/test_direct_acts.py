"""What acts of people mean for direct messages: who has a run, who does not want it, what is put off or muted."""

from __future__ import annotations

from msgspec.structs import replace

from tests.support.builders import DAY, HOUR, MINUTE, NOON, queue, review
from tests.support.desk import Office
from tests.support.people import ADA, ASSIGNED, person, who
from worker.core.audience import listed_id
from worker.core.model import Acts, Kind

TRIO = tuple(person(name) for name in ("Ada", "Ben", "Eve"))


def a_run(name: str = "a", *assigned: str, acts: Acts = Acts()) -> object:  # noqa: B008  a frozen value
    waits = review(name, who=who(*assigned or ("ada",)))
    return replace(waits, acts=acts)


def called(world: Office) -> list[tuple[str, list[str]]]:
    return [(post.reader, post.names()) for post in world.posts]


def test_a_run_that_somebody_has_is_no_ones_reminder_until_the_claim_is_over() -> None:
    world = Office(TRIO)
    world.put(a_run("a", "ada", "ben"))  # type: ignore[arg-type]
    world.look()
    claimed = Acts("U0EVE", "Eve", NOON + 6 * HOUR, acted_at=NOON)
    world.change(a_run("a", "ada", "ben"), acts=claimed)  # type: ignore[arg-type]
    world.look(5 * HOUR)
    assert len(world.posts) == 2
    assert world.next_due_at == NOON + 6 * HOUR
    world.look(HOUR)
    assert called(world)[2:] == [("U0ADA", ["a"]), ("U0BEN", ["a"])]


def test_who_has_a_run_need_not_hear_that_it_is_new() -> None:
    world = Office(TRIO)
    world.put(a_run("a", "ada", "ben", acts=Acts("U0ADA", "Ada", NOON + DAY)))  # type: ignore[arg-type]
    world.look()
    assert called(world) == [("U0BEN", ["a"])]


def test_a_run_that_is_not_ones_own_is_the_turn_of_the_others_alone() -> None:
    world = Office(TRIO)
    for name, not_mine in (("a", "U0ADA"), ("b", listed_id("ada@example.com"))):
        world.put(a_run(name, "ada", "ben", acts=Acts(not_mine=(not_mine,))))  # type: ignore[arg-type]
    world.look()
    assert called(world) == [("U0BEN", ["a", "b"])]


def test_a_run_that_is_snoozed_is_silent_until_then_and_is_called_for_once() -> None:
    world = Office(TRIO)
    world.put(a_run(acts=Acts(snoozed_until=NOON + 2 * HOUR)))  # type: ignore[arg-type]
    assert world.look() == []
    assert world.next_due_at == NOON + 2 * HOUR
    assert world.look(2 * HOUR - MINUTE) == []
    assert [post.names(Kind.ANNOUNCEMENT) for post in world.look(MINUTE)] == [["a"]]
    assert world.look(HOUR) == []


def test_a_queue_that_is_muted_calls_no_one_is_shown_by_edits_and_leads_to_one_message() -> None:
    other = queue("Billing", assigned=(ADA,))
    world = Office(TRIO, (ASSIGNED, other))
    world.put(a_run("z"), of=other)  # type: ignore[arg-type]
    world.look()
    world.muted[ASSIGNED.queue_id] = NOON + 3 * HOUR
    world.put(a_run("a"))  # type: ignore[arg-type]
    assert world.look(MINUTE) == []
    assert len(world.posts[0].shown) == 1
    assert world.look(2 * HOUR) == []
    assert world.next_due_at is not None
    assert world.next_due_at <= NOON + 3 * HOUR
    # With what is soon due of the other queue.
    assert [post.names() for post in world.look(HOUR - MINUTE)] == [["a", "z"]]
