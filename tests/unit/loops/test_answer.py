"""What people who write the command, or open our own page, are shown; and what a command does."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from tests.support.builders import HOUR, NOON, queue, review
from tests.support.clock import FakeClock
from tests.support.memory_store import MemoryStore
from tests.support.outbox import write
from tests.support.people import ASSIGNED, person
from tests.support.whole_worker import rules_by
from worker.core.actions import MayAct
from worker.core.audience import Audience, Persons
from worker.core.model import Polled
from worker.core.ports import Command, DeliveryError, HomeOpened, Outcome
from worker.loops.act import Perform
from worker.loops.answer import AnswerCommand, ShowPage
from worker.loops.hear import Visitor
from worker.loops.worklists import Worklists
from worker.settings.values import WrittenDuration, duration

if TYPE_CHECKING:
    from worker.core.model import Queue
    from worker.core.worklist import Worklist
    from worker.rules import QueueRules

ADA, ZOE = person("Ada"), person("Zoe")
OTHER, TWIN = queue("Other bot"), queue("Other bot", queue_id=queue("Twin").queue_id)
PLACE = "C1"


@dataclass
class Shown:
    """What people were shown."""

    texts: list[str] = field(default_factory=list)
    lists: list[Worklist] = field(default_factory=list)
    pages: list[Worklist | str] = field(default_factory=list)
    error: DeliveryError | None = None

    def ephemeral(self, place: str, user: str, text: str, *, thread: str = "") -> None:
        assert (place, bool(user), thread) == (PLACE, True, "")
        if self.error:
            raise self.error
        self.texts.append(text)

    def show(self, place: str, user: str, worklist: Worklist, *, thread: str = "") -> None:
        assert (place, bool(user), thread) == (PLACE, True, "")
        self.lists.append(worklist)

    def publish(self, user: str, page: Worklist | str) -> None:
        assert user
        if self.error:
            raise self.error
        self.pages.append(page)


class Desk:
    """Two queues, of which one has reviewers, and those who answer about them."""

    def __init__(self, may: MayAct = MayAct.ANYONE, *more: Queue) -> None:
        self.store = MemoryStore()
        self.clock = FakeClock(NOON)
        write(self.store, review("Refund"), review("Cancel"), of=ASSIGNED)
        write(self.store, review("Rent"), of=OTHER)
        self.queues = [ASSIGNED, OTHER, *more]
        self.store.polled([Polled(each) for each in self.queues])
        self.shown = Shown()
        self.acts = 0
        known = Persons((ADA, ZOE))

        def rules(of: Queue | None) -> QueueRules:
            if of != ASSIGNED:
                return rules_by()
            return replace(rules_by(people=Audience.ASSIGNED), persons=known)

        self.worklists = Worklists(
            acting=self.store,
            polls=self.store,
            rules=rules,
            persons=lambda: known,
            queues=lambda: {each.queue_id for each in self.queues},
        )
        self.command = AnswerCommand(
            worklists=self.worklists,
            perform=Perform(
                acting=self.store,
                polls=self.store,
                rules=rules,
                persons=lambda: known,
                claim_for=WrittenDuration(1).with_days_of,
                may_act=may,
            ),
            answers=self.shown,
            rules=rules,
            clock=self.clock,
            duration=duration,
            may_see=may,
            through="test",
            acted=self.acted,
        )

    def acted(self) -> None:
        self.acts += 1

    def __call__(self, text: str, user: str = ADA.user, envelope: str = "E") -> Any:
        """Write a command; the list or the text that is shown."""
        before = len(self.shown.texts), len(self.shown.lists)
        self.command(Command(envelope, user, "T", PLACE, "/reviews", text), Visitor(user, "Somebody"))
        texts, lists = self.shown.texts[before[0] :], self.shown.lists[before[1] :]
        return (*texts, *lists, None)[0]


def names(worklist: Worklist) -> set[str]:
    return {line.facts.name for line in worklist.message.lines}


def test_without_a_word_it_lists_what_is_mine() -> None:
    desk = Desk()
    mine = desk("")
    assert names(mine) == {"Refund", "Cancel"}
    assert mine.nobodys == ((OTHER, 1),)
    stranger = desk("mine", user="U0STRANGER")
    assert (stranger.message.total, stranger.is_known, stranger.has_people) == (0, False, True)


@pytest.mark.parametrize("written", ["Support QA", "support  qa", '"Support QA"', str(ASSIGNED.queue_id)])
def test_a_queue_is_listed_by_its_name_or_id(written: str) -> None:
    assert Desk()(written).queue == ASSIGNED


def test_help_is_shown_on_request_and_below_what_is_not_known() -> None:
    desk = Desk()
    assert "/reviews mute QUEUE 1h" in desk("help")
    unknown = desk("Suport QA")
    assert "No queue here is called “Suport QA”. Did you mean “Support QA”?" in unknown
    assert "/reviews help" in unknown
    assert "These can be asked for: “Other bot”, “Support QA”." in desk("zzz")


def test_of_two_queues_with_one_name_the_ids_are_shown() -> None:
    text = Desk(MayAct.ANYONE, TWIN)("other bot")
    assert str(TWIN.queue_id) in text
    assert str(OTHER.queue_id) in text


def test_a_mute_holds_until_it_is_ended() -> None:
    desk = Desk()
    assert "Other bot: muted until Mon 2 Mar 13:00 (UTC)" in desk("mute Other bot 1h", envelope="1")
    assert desk.store.mutes() == {OTHER.queue_id: NOON + HOUR}
    assert desk("Other bot").muted_until == NOON + HOUR
    assert "not muted any more" in desk("unmute other bot", envelope="2")
    assert "it is not muted" in desk("unmute Other bot", envelope="3")
    assert desk.acts == 2
    assert [(each.action.act, each.action.through) for each in desk.store.records(9)][-1] == ("mute", "test")


def test_a_mute_that_says_too_little_is_answered_with_what_to_write() -> None:
    desk = Desk()
    assert "Until when? Write for example: /reviews mute Other bot 1h" in desk("mute Other bot")
    assert "is not a time; write a duration" in desk("mute Other bot soon")
    assert "No queue here is called “Others bots”. Did you mean “Other bot”?" in desk("mute Others bots 1h")
    assert "time has passed already" in desk("mute Other bot 2020-01-01")
    assert desk.store.mutes() == {}


def test_the_same_command_that_comes_twice_is_done_and_answered_once() -> None:
    desk = Desk()
    assert desk("mute Other bot 1h") is not None
    assert desk("mute Other bot 1h") is None
    assert len(desk.store.records(9)) == 1


def test_where_only_reviewers_act_others_neither_see_nor_mute_a_queue() -> None:
    desk = Desk(MayAct.REVIEWERS)
    assert desk("Support QA").queue == ASSIGNED
    assert "Only reviewers of “Support QA”" in desk("Support QA", user=ZOE.user)
    assert "Support" not in desk("zzz", user=ZOE.user)
    assert "only reviewers" in desk("mute Support QA 1h", user=ZOE.user)
    assert [each.refusal for each in desk.store.records(9)] == ["not_a_reviewer"]
    assert names(desk("")) == {"Refund", "Cancel"}


def test_an_answer_that_is_lost_ends_nothing() -> None:
    desk = Desk()
    desk.shown.error = DeliveryError("no", Outcome.RETRY)
    assert desk("help") is None


def test_the_page_shows_what_is_mine() -> None:
    desk = Desk()
    page = ShowPage(worklists=desk.worklists, answers=desk.shown, clock=desk.clock)
    page(HomeOpened("E", ADA.user, "T"), Visitor(ADA.user, "Ada"))
    (shown,) = desk.shown.pages
    assert not isinstance(shown, str)
    assert names(shown) == {"Refund", "Cancel"}
    desk.shown.error = DeliveryError("no", Outcome.RETRY)
    page(HomeOpened("E", ADA.user, "T"), Visitor(ADA.user, "Ada"))
    assert len(desk.shown.pages) == 1
