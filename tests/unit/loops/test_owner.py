"""What a channel leaves to the owner: reminders beyond the budget of a run, and mentions beyond that of a day."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from tests.support.builders import CHANNEL, DAY, HOUR, MINUTE, SECOND, review, rules_with, to
from tests.support.people import PAIR, person, rules_of_people
from tests.support.whole_worker import Worker, rules_by
from tests.unit.loops.stage import Stage
from worker.core.audience import Persons
from worker.core.calendar import ALWAYS_OPEN
from worker.core.direct import DirectPlan
from worker.core.direct_inbox import Allowance
from worker.core.model import Kind
from worker.loops.direct import Direct

if TYPE_CHECKING:
    from worker.core.message import Message
    from worker.core.model import Queue

OWNER = to("U0LEAD")


class TestReminders:
    @pytest.mark.parametrize(
        ("owner", "per_run", "reminders", "to_owner"),
        [
            pytest.param("U0LEAD", 3, 3, 2, id="after so many only the owner hears, once a day"),
            pytest.param("", 3, 5, 0, id="without an owner they go on"),
            pytest.param("U0LEAD", 0, 0, 5, id="where none is wanted the owner hears at once"),
        ],
    )
    def test_of_one_run_end_where_there_is_an_owner(
        self, owner: str, per_run: int, reminders: int, to_owner: int
    ) -> None:
        rules = replace(rules_by(ALWAYS_OPEN, stale_after=HOUR, remind_every=DAY, owner=owner), reminders=per_run)
        worker = Worker({"Support QA": rules})
        direct = inboxes(worker)
        worker.show("a")
        for _ in range(12 * 6):
            worker.wait(2 * HOUR, HOUR)
            direct()
            worker.send()
        kinds = [(message.kind, message.destination) for _, message in worker.posts]
        assert kinds.count((Kind.REMINDER, CHANNEL)) == reminders
        assert kinds.count((Kind.DIRECT, OWNER)) == to_owner


class TestMentions:
    def test_beyond_the_budget_of_a_day_are_passed_to_the_owner_in_one_message(self) -> None:
        stage = Stage(rules=rules_with(owner="U0LEAD", stale_after=None), mentions_a_day=1)
        direct = inboxes(stage)
        for name in "abc":
            stage.owe(name, notice_name=name, kind=Kind.ESCALATION, mention=("U1", "S0ONCALL"))
            stage.run_for(MINUTE, 10 * SECOND)
            direct()
            stage.run(2 * SECOND)
            while stage.edit.step():
                stage.clock.advance(2 * SECOND)
        posted = [(each.destination, each.mention, shown(each)) for each in stage.notifier.board]
        # The second enters the message to the owner by an edit.
        assert posted == [
            (CHANNEL, ("U1", "S0ONCALL"), ["a"]),
            (CHANNEL, (), ["b"]),
            (OWNER, (), ["b", "c"]),
            (CHANNEL, (), ["c"]),
        ]

    @pytest.mark.parametrize(
        ("mention", "of", "passed"),
        [
            pytest.param(("turn",), PAIR, ["a"], id="one of two whose turn it is"),
            pytest.param(("turn",), replace(PAIR, reviewers_per_run=1), [], id="the other is enough"),
            pytest.param(("turn", "U1"), replace(PAIR, reviewers_per_run=1), ["a"], id="a fixed one beside them"),
        ],
    )
    def test_are_passed_on_where_the_others_are_not_enough(
        self, mention: tuple[str, ...], of: Queue, passed: list[str]
    ) -> None:
        stage = Stage(rules=rules_of_people(person("Ada"), person("Ben"), owner="U0LEAD"), mentions_a_day=1)
        stage.owe("z", notice_name="z", mention=("U0BEN", "U1"), of=replace(PAIR, queue_id="other", name="Other"))
        stage.run(MINUTE)
        stage.owe("a", kind=Kind.ESCALATION, mention=mention, of=of)
        stage.run(MINUTE)
        found: list[Any] = []
        stage.store.direct([of.queue_id], lambda desk: (found.extend(desk.passed), DirectPlan())[1], stage.now)
        assert [key for _, key in found] == [review(name).key for name in passed]


def shown(message: Message) -> list[str]:
    return sorted(line.facts.name for line in message.lines)


def inboxes(world: Any) -> Direct:
    """The loop that notifies owners, beside the others."""
    rules = world.rules_of if isinstance(world, Stage) else lambda of: world.rules[of.name]
    return Direct(
        inboxes=world.store,
        polls=world.store,
        clock=world.clock,
        rules=rules,
        persons=Persons,
        calendars=lambda _user: None,
        queues=lambda: {each.queue.queue_id for each in world.store.polls()},
        budget=Allowance(3, 3),
        scheme="slack",
        owed=world.deliver.wake,
    )
