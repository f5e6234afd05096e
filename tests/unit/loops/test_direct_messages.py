"""Direct messages in the loops: looked at once more before the post, kept true, held, and passed on where refused."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from tests.support.acting import an_act, do
from tests.support.builders import DAY, HOUR, MINUTE, NOON, SECOND, review, rules_with, to
from tests.support.fake_notifier import FakeNotifier
from tests.support.office import office
from tests.support.people import ASSIGNED, person, who
from tests.unit.loops.stage import Stage
from worker.core.actions import Act
from worker.core.audience import Audience, Persons, Problem, Reach
from worker.core.calendar import ALWAYS_OPEN
from worker.core.direct_inbox import Allowance
from worker.core.model import Kind
from worker.core.owed import State
from worker.core.ports import DeliveryError, Outcome, always
from worker.loops.direct import Direct
from worker.rules import rules_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from worker.core.calendar import Calendar
    from worker.core.message import Message
    from worker.core.model import Queue
    from worker.core.owed import Delivery, Receipt
    from worker.rules import QueueRules

TRIO = tuple(person(name) for name in ("Ada", "Ben", "Eve"))
NO_DIRECT = DeliveryError("the app's messages tab is off", Outcome.DESTINATION, code="messages_tab_disabled")


class Closed(FakeNotifier):
    """Takes no message for some users."""

    def __init__(self, *users: str) -> None:
        super().__init__()
        self.users = users

    def send(self, message: Message, in_time: Callable[[], bool] = always) -> Receipt:
        if message.destination.place in self.users:
            raise NO_DIRECT
        return super().send(message, in_time)


@dataclass
class Team(Stage):
    """A queue whose people are notified directly, polled before."""

    persons: Persons = field(default_factory=lambda: Persons(TRIO))
    settings: dict[str, Any] = field(default_factory=dict)
    calendar: Calendar = ALWAYS_OPEN
    refused: list[str] = field(default_factory=list)
    queues: tuple[Queue, ...] = (ASSIGNED,)
    direct: Direct = field(init=False)

    def restart(self) -> None:
        super().restart()
        self.deliver._unreachable = lambda user, _error: self.refuse(user)  # noqa: SLF001  the loop's only way out
        self.direct = Direct(
            inboxes=self.store,
            polls=self.store,
            clock=self.clock,
            rules=self.rules_of,
            persons=lambda: self.persons,
            calendars=self.calendars.get,
            queues=lambda: {each.queue_id for each in self.queues},
            budget=Allowance(self.mentions_a_day, 3),
            scheme="slack",
            owed=self.deliver.wake,
        )
        self.write(of=ASSIGNED)

    def rules_of(self, _queue: Any) -> QueueRules:
        usual = {"people": Audience.ASSIGNED, "tell": Reach.DIRECT, "announce_every": HOUR}
        rules = rules_with(**(usual | self.settings))
        return replace(rules_of(rules.settings, self.calendar), persons=self.persons)

    def refuse(self, user: str) -> None:
        self.refused.append(user)
        known = [
            replace(each, problem=Problem.REFUSED) if each.user == user else each for each in self.persons.everyone
        ]
        self.persons = Persons(tuple(known))

    def see(self, *runs: Any) -> None:
        self.write(*runs, of=ASSIGNED)

    def look(self, wait: Any = SECOND * 3) -> None:
        """Let time pass, and look at the inboxes."""
        self.clock.advance(wait)
        self.direct()

    def go(self, wait: Any = SECOND * 3) -> None:
        """The same, and deliver and edit all that may be."""
        self.look(wait)
        self.run()
        self.clock.advance(2 * SECOND)
        while self.edit.step():
            self.clock.advance(2 * SECOND)

    def only_of(self, user: str) -> Delivery:
        (delivery,) = (each for each in self.notices() if each.destination.place == user)
        return delivery

    def heard(self) -> list[tuple[str, list[str]]]:
        return [(each.destination.place, [line.facts.name for line in each.lines]) for each in self.notifier.board]


def test_a_run_is_posted_to_each_whose_turn_it_is() -> None:
    team = Team()
    team.see(review("a", who=who("ada", "ben")))
    team.go()
    assert team.heard() == [("U0ADA", ["a"]), ("U0BEN", ["a"])]
    assert {each.kind for each in team.notifier.board} == {Kind.DIRECT}


def test_what_is_no_longer_the_readers_turn_is_left_out_just_before_the_post() -> None:
    team = Team()
    team.see(review("a", who=who("ada")), review("b", who=who("ada")))
    team.look()
    team.see(review("a", who=who("ben")))
    team.run()
    assert team.heard() == [("U0ADA", ["b"])]
    team.go()
    assert team.heard()[1:] == [("U0BEN", ["a"])]


def test_a_run_that_the_last_of_several_pages_lacks_is_left_out_until_it_is_listed_again() -> None:
    team = Team(settings={"stale_after": None})
    team.see(review("a", who=who("ada")), review("b", who=who("ada")))
    team.look()
    team.see(review("a", who=who("ada"), absent_at=team.now))
    team.run()
    assert team.heard() == [("U0ADA", ["b"])]
    team.see(review("a", who=who("ada")))
    team.go(MINUTE)
    assert [sorted(names) for _, names in team.heard()] == [["a", "b"]]
    team.go(HOUR)
    assert team.heard()[1:] == [("U0ADA", ["a"])]


def test_a_message_of_which_the_last_of_several_pages_lacks_every_run_is_not_sent() -> None:
    team = Team()
    team.see(review("a", who=who("ada")))
    team.look()
    team.see(review("a", who=who("ada"), absent_at=team.now))
    team.go()
    assert team.heard() == []
    team.see(review("a", who=who("ada"), closed_at=team.now))
    team.go()
    assert (team.heard(), team.only().state) == ([], State.WITHDRAWN)


def test_what_a_post_left_out_is_known_too_once_it_is_found_after_a_lost_answer() -> None:
    team = Team(settings={"stale_after": None})
    team.see(review("a", who=who("ada")), review("b", who=who("ada")))
    team.look()
    team.see(review("a", who=who("ben")))
    team.notifier.fail("send", Outcome.UNKNOWN, committed=True)
    team.run()
    team.go(MINUTE)
    assert (len(team.notifier.looks), team.only_of("U0ADA").state) == (1, State.SENT)
    team.see(review("a", who=who("ada")))
    team.go(MINUTE)
    team.go(HOUR)
    assert [names for place, names in team.heard() if place == "U0ADA"][1:] == [["a"]]


def test_a_message_goes_out_without_the_runs_of_a_queue_that_is_muted() -> None:
    team = Team()
    other = replace(ASSIGNED, queue_id="other", name="Other")
    team.queues = (ASSIGNED, other)
    team.write(of=other)
    team.see(review("a", who=who("ada")))
    team.write(review("b", who=who("ada")), of=other)
    team.look()
    mute = replace(an_act(Act.MUTE, until=NOON + HOUR), queue_id=ASSIGNED.queue_id)
    do(team.store, mute)
    team.run()
    assert team.heard() == [("U0ADA", ["b"])]
    team.go(2 * HOUR)
    assert sorted(team.heard()[-1][1]) == ["a"]


def test_who_completed_the_run_meanwhile_hears_nothing() -> None:
    team = Team()
    of = replace(ASSIGNED, reviewers_per_run=2)
    team.write(review("a", who=who("ada", "ben")), of=of)
    team.look()
    team.write(review("a", who=who("ada", "ben", done=("ada",)), done=1), of=of)
    team.run()
    assert team.heard() == [("U0BEN", ["a"])]
    assert sorted(team.states()) == [State.SENT, State.WITHDRAWN]
    withdrawn = next(each for each in team.store.deliveries() if each.state is State.WITHDRAWN)
    assert withdrawn.last_error.startswith("no run was the reader's turn any more")


def test_a_message_shows_what_its_reader_has_done_and_what_others_have_got() -> None:
    team = Team()
    of = replace(ASSIGNED, reviewers_per_run=2)
    team.write(review("a", who=who("ada", "ben")), review("b", who=who("ada", "ben")), of=of)
    team.go()
    team.write(review("a", who=who("ada", "ben", done=("ada",)), done=1), review("b", who=who("ben")), of=of)
    team.go(MINUTE)
    edited = next(each for each in team.notifier.board if each.destination == to("U0ADA"))
    shown = {line.facts.name: (line.is_done, line.is_others) for line in edited.lines}
    assert shown == {"a": (True, False), "b": (False, True)}
    assert (edited.total, edited.waiting) == (2, 0)


def test_new_runs_enter_the_message_by_an_edit() -> None:
    team = Team()
    team.see(review("a", who=who("ada")))
    team.go()
    team.see(review("b", who=who("ada")))
    team.go(MINUTE)
    assert team.heard() == [("U0ADA", ["b", "a"])] or team.heard() == [("U0ADA", ["a", "b"])]
    assert len(team.notifier.attempts) == 1
    team.go(HOUR)
    assert len(team.notifier.attempts) == 2


def test_a_message_waits_for_the_hours_of_its_reader() -> None:
    team = Team(calendars={"U0ADA": office()})
    team.see(review("a", who=who("ada")))
    team.look()
    team.clock.advance(8 * HOUR)
    team.run()
    assert team.notifier.attempts == []
    assert team.only().held_until is not None
    team.store.polled([replace(team.store.polls()[0], completed_at=NOON + 21 * HOUR)])
    team.clock.advance(NOON + 21 * HOUR - team.now)
    team.run()
    assert team.heard() == [("U0ADA", ["a"])]


@pytest.mark.parametrize("whose", ["the person's", "the queue's"])
def test_an_edit_that_is_late_shows_no_new_run_outside_hours(whose: str) -> None:
    own = {"U0ADA": office()} if whose == "the person's" else {}
    team = Team(calendars=own, calendar=ALWAYS_OPEN if own else office(), settings={"stale_after": None})
    team.clock.advance(4 * HOUR)
    team.see(review("a", who=who("ada")))
    team.store.polled([replace(team.store.polls()[0], completed_at=team.now)])
    team.go()
    team.clock.advance(NOON + 4.5 * HOUR - MINUTE - team.now)
    team.see(review("b", who=who("ada")))
    team.look()
    # The edit was owed before the closing at 17:30 in Berlin, and could not be made in time.
    team.clock.advance(2 * MINUTE)
    assert (team.edit.step(), team.edit.step()) == (True, False)
    assert team.heard() == [("U0ADA", ["a"])]
    team.clock.advance(NOON + 20 * HOUR - team.now)
    assert team.edit.step()
    assert team.heard() == [("U0ADA", ["b", "a"])]


def test_an_edit_that_is_late_ticks_off_what_was_reviewed_outside_hours_too() -> None:
    team = Team(calendars={"U0ADA": office()}, settings={"stale_after": None})
    team.clock.advance(4 * HOUR)
    team.see(review("a", who=who("ada")))
    team.store.polled([replace(team.store.polls()[0], completed_at=team.now)])
    team.go()
    team.clock.advance(NOON + 4.5 * HOUR - MINUTE - team.now)
    team.see(review("b", who=who("ada")))
    team.look()
    team.clock.advance(2 * MINUTE)
    team.see(review("a", who=who("ada"), closed_at=team.now))
    assert team.edit.step()
    assert [(each.total, each.waiting) for each in team.notifier.board] == [(2, 1)]


@pytest.mark.parametrize("owner", ["", "U0LEAD"])
def test_a_person_who_is_refused_pauses_nothing_and_falls_to_the_owner_once(owner: str) -> None:
    team = Team(notifier=Closed("U0ADA"), settings={"owner": owner})
    team.see(review("a", who=who("ada")))
    for _ in range(3):
        team.go()
    assert (team.refused, team.store.pauses()) == (["U0ADA"], [])
    assert team.heard() == ([("U0LEAD", ["a"])] if owner else [])
    assert not team.rules_of(None).policy_for(ASSIGNED).is_direct(review("a", who=who("ada"))) or owner


def test_a_direct_message_that_finds_the_budget_spent_waits_for_the_next_day() -> None:
    team = Team(mentions_a_day=1)
    mention = team.owe("x", mention=("U0ADA",), of=replace(ASSIGNED, assigned=()))
    team.see(review("a", who=who("ada")))
    team.look()
    team.clock.advance(DAY)
    # Another worker has posted a mention this day.
    assert list(team.store.spend(mention.key, {"U0ADA": NOON + 12 * HOUR}, 1, team.now)) == ["U0ADA"]
    team.run()
    assert [place for place, _ in team.heard()] == ["C0SUPPORT"]
    team.run_for(DAY, HOUR)
    assert team.heard()[1:] == [("U0ADA", ["a"])]


def test_who_was_called_by_a_direct_message_is_mentioned_no_more_often_than_the_budget() -> None:
    team = Team(mentions_a_day=1)
    team.owe("x", mention=("U0ADA",), of=ASSIGNED)
    team.look()
    team.run()
    assert [each.mention for each in team.notifier.board if each.kind is not Kind.DIRECT] == [()]
    assert ("U0ADA", ["x"]) in team.heard()


def test_a_crash_after_the_look_loses_nothing_and_repeats_nothing() -> None:
    team = Team()
    team.see(review("a", who=who("ada")))
    team.look()
    team.restart()
    team.go()
    team.restart()
    team.go()
    assert team.heard() == [("U0ADA", ["a"])]


def test_a_queue_that_has_no_people_any_more_sends_what_is_owed() -> None:
    team = Team()
    team.see(review("a", who=who("ada")))
    team.look()
    team.settings = {"people": Audience.NOBODY, "tell": Reach.CHANNEL}
    team.go()
    assert team.heard() == [("U0ADA", ["a"])]


def test_nothing_is_looked_at_while_nothing_changes() -> None:
    team = Team()
    team.see(review("a", who=who("ada")))
    team.go()
    team.go()
    looks: list[Any] = []
    look, team.store.direct = team.store.direct, lambda *given: looks.append(given)
    for _ in range(5):
        team.look()
    assert looks == []
    team.store.direct = look
