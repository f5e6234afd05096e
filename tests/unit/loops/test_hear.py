"""What people do in the notifier's service: who is let in, what a press does, and what its person is shown."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from tests.support.builders import DAY, SECOND, review
from tests.support.clock import FakeClock
from tests.support.memory_store import MemoryStore
from tests.support.office import FRIDAY, MONDAY, office
from tests.support.outbox import write
from tests.support.people import ASSIGNED, person
from tests.support.whole_worker import rules_by
from worker.core.actions import Act, MayAct
from worker.core.audience import Audience, Persons, Problem
from worker.core.controls import MINE, ON_QUEUE, ON_RUN, Span, block_of, value_of
from worker.core.directory import Account
from worker.core.model import Fate, Polled
from worker.core.owed import Receipt
from worker.core.ports import Command, DeliveryError, HomeOpened, Outcome, Press, StoreError
from worker.core.replies import GUESTS
from worker.loops.act import Perform
from worker.loops.hear import KNOWN_SECONDS, Gate, Hear, Presses, Visitor
from worker.loops.worklists import Worklists
from worker.settings.values import WrittenDuration

if TYPE_CHECKING:
    from datetime import datetime

    from worker.core.worklist import Worklist

TEAM, ADA, BEN, ZOE, EVE = "T0", "U0ADA", "U0BEN", "U0ZOE", "U0EVE"
RUN = review("a").queue_run_id
ON_A = block_of(ASSIGNED.queue_id, RUN)
OF_QUEUE = block_of(ASSIGNED.queue_id)


@dataclass
class Accounts:
    """The users of the workspace; `error` is raised in place of an answer."""

    known: dict[str, Account]
    error: DeliveryError | None = None
    asked: list[str] = field(default_factory=list)

    def by_id(self, user: str) -> Account | None:
        self.asked.append(user)
        if self.error:
            raise self.error
        return self.known.get(user)

    def by_email(self, email: str) -> Account | None:
        raise NotImplementedError(email)


@dataclass
class Shown:
    """What each person was shown alone: where, to whom, in which thread, and the text."""

    texts: list[tuple[str, str, str, str]] = field(default_factory=list)
    lists: list[tuple[str, str, str, Worklist]] = field(default_factory=list)
    pages: list[tuple[str, Worklist | str]] = field(default_factory=list)
    error: DeliveryError | None = None

    def ephemeral(self, place: str, user: str, text: str, *, thread: str = "") -> None:
        if self.error:
            raise self.error
        self.texts.append((place, user, thread, text))

    def show(self, place: str, user: str, worklist: Worklist, *, thread: str = "") -> None:
        self.lists.append((place, user, thread, worklist))

    def publish(self, user: str, page: Worklist | str) -> None:
        self.pages.append((user, page))


class Refusing(MemoryStore):
    """A store whose database is away while `is_away`."""

    is_away = False

    def act(self, *args: Any) -> Any:
        if self.is_away:
            raise StoreError("the database is away")
        return super().act(*args)


class Room:
    """Everything from what is heard to the store, with one run of a queue that Ada and others review."""

    def __init__(self, who: MayAct = MayAct.ANYONE, now: datetime = FRIDAY, **run: Any) -> None:
        self.store = Refusing()
        write(self.store, review("a", **run), of=ASSIGNED)
        self.store.polled([Polled(ASSIGNED)])
        self.clock = FakeClock(now)
        self.accounts = Accounts(
            {
                ADA: Account(ADA, "Ada"),
                BEN: Account(BEN, "Ben"),
                ZOE: Account(ZOE, "Zoe", Problem.GUEST),
                EVE: Account(EVE, "Eve", Problem.LEFT),
                "U0BOT": Account("U0BOT", "Bot", Problem.BOT),
            }
        )
        self.shown = Shown()
        self.hurried = 0
        self.treated: list[Any] = []
        self.numbers = iter(range(1000))
        rules = rules_by(office(), people=Audience.ASSIGNED)
        perform = Perform(
            acting=self.store,
            polls=self.store,
            rules=lambda _queue: rules,
            persons=lambda: Persons((person("Ada", user=ADA),)),
            claim_for=WrittenDuration(1).with_days_of,
            may_act=who,
        )
        self.hear = Hear(
            gate=Gate(team=lambda: TEAM, accounts=self.accounts, clock=self.clock),
            answers=self.shown,
            presses=Presses(
                perform=perform,
                answers=self.shown,
                rules=lambda _queue: rules,
                clock=self.clock,
                through="test",
                acted=self.hurry,
                worklists=Worklists(
                    acting=self.store,
                    polls=self.store,
                    rules=lambda _queue: rules,
                    persons=lambda: Persons((person("Ada", user=ADA),)),
                    queues=lambda: {ASSIGNED.queue_id},
                ),
            ),
            clock=self.clock,
            commands=lambda *one: self.treated.append(one),
            pages=lambda *one: self.treated.append(one),
        )

    def hurry(self) -> None:
        self.hurried += 1

    def press(self, value: str = "claim", user: str = ADA, action: str = ON_RUN, block: str = ON_A, **more: Any) -> str:
        """Press, and return what the person is shown."""
        envelope = more.pop("envelope", f"E{next(self.numbers)}")
        team = more.pop("team", TEAM)
        self.hear(Press(envelope, user, team, Receipt("C1", "1.0"), more.pop("thread", ""), block, action, value))
        return self.shown.texts[-1][-1] if self.shown.texts else ""

    @property
    def acts(self) -> Any:
        return self.store.stories(RUN)[-1].review.acts

    @property
    def audit(self) -> list[tuple[str, str, str | None]]:
        return [(each.action.act, each.action.actor.name, each.refusal) for each in self.store.records(99)]


class TestAPress:
    def test_does_what_it_says_and_its_person_is_shown_what_came_of_it(self) -> None:
        room = Room()
        assert "you have it until Mon 9 Mar" in room.press()
        assert (room.acts.claimed_by, room.acts.claimed_name, room.hurried) == (ADA, "Ada", 1)
        assert room.shown.texts[0][:3] == ("C1", ADA, "")
        assert "Ada has it already" in room.press(user=BEN)
        assert "nobody has it now" in room.press("give_back")
        assert "not your turn" in room.press("not_mine", user=BEN)
        assert "snoozed until Fri 6 Mar" in room.press("snooze hour")
        assert room.hurried == 4
        assert {each.action.through for each in room.store.records(9)} == {"test"}

    def test_in_a_thread_is_answered_there(self) -> None:
        room = Room()
        room.press(thread="0.5")
        assert room.shown.texts[0][2] == "0.5"

    def test_puts_off_until_the_instant_that_the_menu_shows(self) -> None:
        room = Room()
        assert "snoozed until Mon 9 Mar" in room.press(value_of(Act.SNOOZE, Span.OPENING, MONDAY))
        assert room.acts.snoozed_until == MONDAY

    def test_of_an_old_message_is_done_until_the_next_such_instant(self) -> None:
        room = Room()
        room.press(value_of(Act.SNOOZE, Span.OPENING, FRIDAY - 3 * DAY))
        assert room.acts.snoozed_until == MONDAY

    def test_mutes_the_queue(self) -> None:
        room = Room()
        mute = value_of(Act.MUTE, Span.MONDAY, MONDAY)
        assert "muted until Mon 9 Mar" in room.press(mute, action=ON_QUEUE, block=OF_QUEUE)
        assert "not muted any more" in room.press("unmute", action=ON_QUEUE, block=OF_QUEUE)

    def test_that_comes_twice_is_one_act_and_one_answer(self) -> None:
        room = Room()
        room.press(envelope="same")
        room.press(envelope="same")
        assert (len(room.audit), len(room.shown.texts), room.hurried) == (1, 1, 1)

    def test_on_a_run_that_is_gone_says_what_is_true_now(self) -> None:
        closed = {"closed_at": FRIDAY}
        assert "reviewed already" in Room(**closed, fate=Fate.REVIEWED).press()
        assert "removed from the queue" in Room(**closed, fate=Fate.REMOVED).press()
        assert "is no longer waiting" in Room(**closed).press()
        assert "unknown" in Room().press(block=block_of(ASSIGNED.queue_id, "pruned"))
        assert "unknown" in Room().press(block=block_of("another queue", "a"))

    def test_on_a_run_that_was_re_added_is_on_its_stay_that_waits(self) -> None:
        room = Room(closed_at=FRIDAY)
        write(room.store, review("a", added_at=FRIDAY, first_seen_at=FRIDAY), of=ASSIGNED)
        assert "you have it" in room.press()

    def test_of_somebody_who_is_no_reviewer_is_refused_where_only_they_may(self) -> None:
        room = Room(MayAct.REVIEWERS)
        assert "only reviewers" in room.press(user=BEN)
        assert "you have it" in room.press()
        assert [refusal for *_, refusal in room.audit] == [None, "not_a_reviewer"]

    def test_of_an_unknown_control_does_nothing(self) -> None:
        room = Room()
        for action, block, value in (("other", ON_A, "claim"), (ON_RUN, "?", "claim"), (ON_RUN, ON_A, "x" * 2000)):
            assert "not known any more" in room.press(value, action=action, block=block)
        assert room.audit == []

    def test_of_my_reviews_lists_them(self) -> None:
        room = Room()
        room.press(action=MINE, block="", value="", thread="0.5")
        (place, user, thread, worklist) = room.shown.lists[0]
        assert (place, user, thread, worklist.message.total) == ("C1", ADA, "0.5", 1)

    def test_is_not_taken_while_the_database_is_away_and_its_person_is_shown_so(self) -> None:
        room = Room()
        room.store.is_away = True
        assert "Nothing was done: the database" in room.press()
        room.store.is_away = False
        assert "you have it" in room.press()
        assert len(room.audit) == 1

    def test_is_done_also_where_it_cannot_be_answered(self) -> None:
        room = Room()
        room.shown.error = DeliveryError("no", Outcome.RETRY)
        room.press()
        assert (room.acts.claimed_by, room.hurried) == (ADA, 1)

    def test_of_a_hostile_name_stays_in_its_line(self) -> None:
        room = Room()
        room.accounts.known[BEN] = Account(BEN, "Ben\n<!channel>\u202e" + "x" * 500)
        room.press(user=BEN)
        text = room.press()
        assert ("\n" in text, "\u202e" in text, len(text) < 300) == (False, False, True)


class TestOnlyMembers:
    @pytest.mark.parametrize(
        ("user", "team", "text"),
        [
            pytest.param(ADA, "T0OTHER", "only members of this workspace", id="a foreign team"),
            pytest.param(ADA, "", "only members of this workspace", id="no team"),
            pytest.param(ZOE, TEAM, "guests cannot", id="a guest"),
            pytest.param(EVE, TEAM, "only members", id="one who has left"),
            pytest.param("U0NONE", TEAM, "only members", id="no such user"),
            pytest.param("U0BOT", TEAM, "only people", id="a bot"),
        ],
    )
    def test_others_are_refused_politely_and_change_nothing(self, user: str, team: str, text: str) -> None:
        room = Room()
        assert text in room.press(user=user, team=team)
        assert (room.audit, room.hurried) == ([], 0)

    def test_nobody_is_let_in_whom_the_service_does_not_show(self) -> None:
        room = Room()
        room.accounts.error = DeliveryError("no scope", Outcome.TOKEN, code="missing_scope")
        assert "cannot be checked" in room.press()
        room.accounts.error = None
        assert "you have it" in room.press()

    def test_a_member_is_looked_up_once_for_a_while(self) -> None:
        room = Room()
        room.press()
        room.press("give_back")
        assert room.accounts.asked == [ADA]
        room.accounts.known[ADA] = replace(room.accounts.known[ADA], problem=Problem.LEFT)
        room.clock.advance((KNOWN_SECONDS + 1) * SECOND)
        assert "only members" in room.press()


def test_each_thing_goes_to_its_part_or_is_refused_where_it_was_done() -> None:
    room = Room()
    command = Command("E", ADA, TEAM, "C1", "/reviews", "mine")
    room.hear(command)
    opened = HomeOpened("F", ADA, TEAM)
    room.hear(opened)
    assert room.treated == [(command, Visitor(ADA, "Ada")), (opened, Visitor(ADA, "Ada"))]
    room.hear(replace(command, user=ZOE))
    room.hear(HomeOpened("G", ZOE, TEAM))
    assert [(place, user) for place, user, *_ in room.shown.texts] == [("C1", ZOE)]
    assert room.shown.pages == [(ZOE, GUESTS)]


def test_a_page_is_published_at_most_once_a_minute_a_person() -> None:
    room = Room()
    for seconds in (0, 30, 29, 2):
        room.clock.advance(seconds * SECOND)
        room.hear(HomeOpened("E", ADA, TEAM))
        room.hear(HomeOpened("E", ZOE, TEAM))
    assert len(room.treated) == 2
    assert room.shown.pages == [(ZOE, GUESTS)] * 2
