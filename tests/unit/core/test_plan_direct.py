"""What the channel hears of a queue whose people are notified directly."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from tests.support.builders import HOUR, LEADS, MINUTE, NOON, queue_run, snapshot
from tests.support.office import MONDAY, SATURDAY, office
from tests.support.people import ASSIGNED, person, rules_of_people, who
from worker.core.audience import Persons, Problem, Reach
from worker.core.model import Difference, Facts, Kind, Memory
from worker.core.plan import plan, plan_difference, undescribed, widened

if TYPE_CHECKING:
    from datetime import datetime

    from worker.core.model import QueueRun, Review
    from worker.core.plan import Plan

ADA, LEFT = person("Ada"), person("Ada", problem=Problem.LEFT)


class Channel:
    """A queue with a baseline behind it, and what its polls decide."""

    def __init__(self, *persons: Any, **settings: Any) -> None:
        self.rules = rules_of_people(*persons, **({"tell": Reach.DIRECT} | settings))
        self.reviews: dict[Any, Review] = {}
        self.decided: Plan | None = None

    def known(self, *persons: Any) -> None:
        self.rules = replace(self.rules, persons=Persons(persons))

    def poll(self, *runs: QueueRun, at: datetime = NOON) -> list[tuple[Kind, int]]:
        """The notices of a poll, with the number of their runs."""
        memory = Memory(True, tuple(self.reviews.values()))
        policy = self.rules.policy_for(ASSIGNED)
        self.decided = plan(snapshot(*runs, of=ASSIGNED), memory, policy, at)
        self.reviews |= {one.key: one for one in self.decided.reviews}
        return [(notice.kind, len(notice.reviews)) for notice in self.decided.notices]

    def poll_decided(self) -> Plan:
        """The decision of the last poll."""
        assert self.decided is not None
        return self.decided


ONE = queue_run("a", who=who("ada"))
FREE = queue_run("b", who=who("ada", done=("ada",)), done=1)


def test_a_run_that_is_the_turn_of_somebody_is_no_news_to_the_channel() -> None:
    assert Channel(ADA).poll(ONE) == []


def test_a_run_of_which_people_are_notified_directly_is_described_before() -> None:
    channel = Channel(ADA)
    bare = queue_run("a", who=who("ada"), facts=Facts())
    channel.poll(bare)
    assert undescribed(channel.poll_decided()) == {bare.queue_run_id}
    channel.poll(replace(bare, reserved=True), at=NOON + MINUTE)
    assert undescribed(channel.poll_decided()) == {bare.queue_run_id}
    channel.poll(replace(bare, facts=Facts(name="Refund flow")), at=NOON + 2 * MINUTE)
    assert undescribed(channel.poll_decided()) == set()


def test_a_run_that_is_nobodys_turn_is_announced_in_the_channel() -> None:
    assert Channel(ADA).poll(ONE, FREE) == [(Kind.ANNOUNCEMENT, 1)]


def test_with_both_everything_is_announced_in_the_channel() -> None:
    assert Channel(ADA, tell=Reach.BOTH).poll(ONE) == [(Kind.ANNOUNCEMENT, 1)]


def test_escalations_go_to_their_place_all_the_same() -> None:
    channel = Channel(ADA, stale_after=HOUR, escalate_after=4 * HOUR, escalate_to=LEADS)
    assert channel.poll(ONE) == []
    assert channel.poll(ONE, at=NOON + 2 * HOUR) == []
    assert channel.poll(ONE, at=NOON + 4 * HOUR) == [(Kind.ESCALATION, 1)]


def test_a_run_that_has_become_nobodys_turn_is_new_to_the_channel_once() -> None:
    channel = Channel(ADA)
    channel.poll(ONE)
    done = replace(ONE, who=who("ada", done=("ada",)), done=1)
    assert channel.poll(done, at=NOON + MINUTE) == [(Kind.ANNOUNCEMENT, 1)]
    assert channel.poll(done, at=NOON + 2 * MINUTE) == []


def test_a_run_whose_person_is_not_reached_any_more_is_new_to_the_channel_once() -> None:
    channel = Channel(ADA)
    channel.poll(ONE)
    channel.known(LEFT)
    assert channel.poll(ONE, at=NOON + MINUTE) == [(Kind.ANNOUNCEMENT, 1)]
    channel.known(ADA)
    assert channel.poll(ONE, at=NOON + 2 * MINUTE) == []
    channel.known(LEFT)
    assert channel.poll(ONE, at=NOON + 3 * MINUTE) == []


def test_a_run_whose_person_is_not_reached_is_the_owners_where_there_is_one() -> None:
    assert Channel(LEFT, owner="U0LEAD").poll(ONE) == []


def test_back_in_the_channel_nothing_is_announced_again() -> None:
    channel = Channel(ADA)
    channel.poll(ONE)
    channel.rules = rules_of_people(ADA, tell=Reach.CHANNEL)
    assert channel.poll(ONE, at=NOON + MINUTE) == []
    assert channel.poll(ONE, at=NOON + 4 * HOUR) == [(Kind.REMINDER, 1)]


def test_what_the_channel_has_announced_is_reminded_of_directly() -> None:
    channel = Channel(ADA, tell=Reach.CHANNEL)
    assert channel.poll(ONE) == [(Kind.ANNOUNCEMENT, 1)]
    channel.rules = rules_of_people(ADA, tell=Reach.DIRECT)
    assert channel.poll(ONE, at=NOON + 4 * HOUR) == []


def test_a_difference_is_decided_on_alike_while_the_people_are_the_same() -> None:
    channel = Channel(ADA)
    channel.poll(ONE)
    assert channel.decided is not None
    new = queue_run("c", who=who("ada"))
    found = widened(Difference(ASSIGNED, (new,), NOON, count=2), channel.decided.remainder)
    memory = Memory(True, ())
    policy = channel.rules.policy_for(ASSIGNED)
    decided = plan_difference(found, memory, channel.decided.remainder, policy, NOON)
    assert decided is not None
    assert [(one.told_at, one.generation) for one in decided.reviews] == [(NOON, 0)]
    channel.known(LEFT)
    policy = channel.rules.policy_for(ASSIGNED)
    assert plan_difference(found, memory, channel.decided.remainder, policy, NOON) is None


def test_a_first_sight_that_is_held_is_the_channels_at_the_opening() -> None:
    rules = rules_of_people(ADA, tell=Reach.DIRECT)
    policy = replace(rules.policy_for(ASSIGNED), calendar=office())
    policy = replace(policy, steps=tuple(dataclasses.replace(step, calendar=office()) for step in policy.steps))
    one = queue_run("a", who=who("ada"), added_at=SATURDAY)
    held = plan(snapshot(one, of=ASSIGNED), Memory(False, ()), policy, SATURDAY)
    assert (held.notices, held.is_baselined, held.remainder.due_at) == ((), False, MONDAY)
    opened = plan(snapshot(one, of=ASSIGNED), Memory(False, tuple(held.reviews)), policy, MONDAY)
    assert [notice.kind for notice in opened.notices] == [Kind.BASELINE]
    assert opened.remainder.turns == policy.turns
