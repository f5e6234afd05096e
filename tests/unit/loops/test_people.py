"""Looking reviewers up: who is asked about, how often, and what becomes of failures. No name and e-mail is logged."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs

from tests.support.builders import DAY, HOUR, MINUTE, SECOND, deciding, queue, review, rules_with
from tests.support.clock import FakeClock
from tests.support.memory_store import MemoryStore
from worker.core.audience import Audience, Problem, WhoseTurn, listed_id
from worker.core.directory import GIVE_UP, Account, Card, Correction, people_of
from worker.core.model import Polled, Reviewer, Who
from worker.core.ports import DeliveryError, Outcome, SourceError, Trouble
from worker.loops.people import MOST_A_MINUTE, KnownPersons, LookUps

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import timedelta

    from worker.core.audience import Person
    from worker.core.model import Queue

ADA = Reviewer("ada", "Ada", "ada@example.com")
BOB = Reviewer("bob", "Bob", "bob@example.com")
ROBOT = Reviewer("robot", "Nightly job")


@dataclass
class FakeAccounts:
    """Users by their e-mails; `failure` is raised by every look-up, or by those of one kind."""

    users: dict[str, Account] = field(default_factory=dict)
    failure: DeliveryError | None = None
    only: str = ""
    asked: list[str] = field(default_factory=list)

    def by_email(self, email: str) -> Account | None:
        self._record(email, "email")
        found = self.users.get(email)
        return found if found and found.problem is not Problem.LEFT else None

    def by_id(self, user: str) -> Account | None:
        self._record(user, "id")
        return next((account for account in self.users.values() if account.user == user), None)

    def _record(self, asked: str, kind: str) -> None:
        self.asked.append(asked)
        if self.failure and self.only in {"", kind}:
            raise self.failure


@dataclass
class FakeMembers:
    """What the source says of its members (None: it cannot), or why it does not."""

    known: Mapping[str, Reviewer] | None = field(default_factory=dict)
    failure: SourceError | None = None
    asked: int = 0

    def members(self, sought: Collection[str]) -> Mapping[str, Reviewer] | None:
        self.asked += 1
        if self.failure:
            raise self.failure
        return self.known and {one: reviewer for one, reviewer in self.known.items() if one in sought}


@dataclass
class World:
    """A directory, and ways to let time pass in it."""

    whose: WhoseTurn = Audience.ASSIGNED
    corrections: dict[str, Correction] = field(default_factory=dict)
    accounts: FakeAccounts = field(default_factory=FakeAccounts)
    members: FakeMembers = field(default_factory=FakeMembers)
    clock: FakeClock = field(default_factory=FakeClock)
    store: MemoryStore = field(default_factory=MemoryStore)

    def __post_init__(self) -> None:
        self.queue = queue()
        self.look_ups = LookUps(
            directory=self.store,
            polls=self.store,
            clock=self.clock,
            rules=lambda _queue: rules_with(people=self.whose),
            queues=lambda: {self.queue.queue_id},
            accounts=self.accounts,
            members=self.members,
            corrections=self.corrections,
        )

    def polled(self, *assigned: Reviewer, who: Who | None = None, of: Queue | None = None) -> None:
        """A poll has shown these reviewers, and perhaps a run that names people."""
        shown = replace(of or self.queue, assigned=assigned)
        runs = [review("run", who=who)] if who else []
        self.store.update(shown, [], deciding(*runs), self.clock.now())
        self.store.polled([Polled(shown, completed_at=self.clock.now())])

    def round(self, later: timedelta = MINUTE) -> None:
        self.clock.advance(later)
        self.look_ups()

    def people(self) -> dict[str, Person]:
        found = people_of(self.store.cards(), self.corrections)
        return {reviewer_id: person for person in found for reviewer_id in person.reviewer_ids}


@pytest.fixture
def world() -> World:
    world = World()
    world.accounts.users = {ADA.email: Account("U0ADA", "Ada"), BOB.email: Account("U0BOB", "Bob")}
    return world


def test_the_reviewers_of_a_queue_are_looked_up_once_a_day(world: World) -> None:
    world.polled(ADA, BOB)
    world.round()
    assert world.accounts.asked == [ADA.email, BOB.email]
    assert {one: person.user for one, person in world.people().items() if one in {"ada", "bob"}} == {
        "ada": "U0ADA",
        "bob": "U0BOB",
    }
    world.round(HOUR)
    assert len(world.accounts.asked) == 2
    world.round(DAY - HOUR)
    assert len(world.accounts.asked) == 4


def test_nobody_is_looked_up_where_runs_are_nobodys_turn(world: World) -> None:
    world.whose = Audience.NOBODY
    world.polled(ADA)
    world.round()
    assert world.store.cards() == []


def test_nobody_of_a_queue_that_is_polled_no_more_is_looked_up(world: World) -> None:
    world.polled(ADA, of=queue("Former"))
    world.round()
    assert world.accounts.asked == []


def test_a_failure_is_asked_again_after_a_day_as_well(world: World) -> None:
    world.accounts.users = {}
    world.polled(ADA)
    world.round()
    assert world.people()["ada"].problem is Problem.UNKNOWN
    world.accounts.users = {ADA.email: Account("U0ADA")}
    world.round(DAY - MINUTE)
    assert world.people()["ada"].problem is Problem.UNKNOWN
    world.round(MINUTE)
    assert world.people()["ada"].user == "U0ADA"


def test_the_same_e_mail_in_another_case_is_one_look_up_and_one_person(world: World) -> None:
    world.polled(ADA, replace(ADA, reviewer_id="second", email="ADA@Example.com"))
    world.round()
    assert world.accounts.asked == [ADA.email]
    assert world.people()["ada"] is world.people()["second"] or world.people()["ada"] == world.people()["second"]


def test_an_alias_is_not_guessed(world: World) -> None:
    world.polled(replace(ADA, email="ada.lovelace@example.com"))
    world.round()
    assert world.people()["ada"].problem is Problem.UNKNOWN


def test_one_user_for_two_identities_is_one_person(world: World) -> None:
    world.accounts.users["ada@home.example"] = Account("U0ADA", "Ada")
    world.polled(ADA, Reviewer("home", "A. L.", "ada@home.example"))
    world.round()
    assert world.people()["ada"] == world.people()["home"]
    assert world.people()["ada"].user == "U0ADA"


def test_a_service_account_has_no_e_mail_and_is_not_asked_about(world: World) -> None:
    world.polled(ROBOT)
    world.round()
    assert world.accounts.asked == []
    assert world.people()["robot"].problem is Problem.NO_EMAIL
    assert not world.people()["robot"].can_be_mentioned


def test_a_person_who_was_removed_from_the_workspace_is_seen_at_the_next_look_up(world: World) -> None:
    world.polled(ADA)
    world.round()
    world.accounts.users[ADA.email] = Account("U0ADA", "Ada", Problem.LEFT)
    world.round(DAY)
    assert (world.people()["ada"].problem, world.people()["ada"].user) == (Problem.LEFT, "U0ADA")
    assert not world.people()["ada"].can_be_mentioned
    world.accounts.users = {}
    world.round(DAY)
    assert (world.people()["ada"].problem, world.people()["ada"].user) == (Problem.UNKNOWN, "")


def test_the_settings_win_over_the_e_mail(world: World) -> None:
    world.corrections[ADA.email] = Correction("U0OTHER")
    world.accounts.users["other@example.com"] = Account("U0OTHER", "Ada L.", Problem.GUEST)
    world.polled(ADA)
    world.round()
    assert world.accounts.asked == ["U0OTHER"]
    assert (world.people()["ada"].user, world.people()["ada"].problem) == ("U0OTHER", Problem.GUEST)


def test_a_user_of_the_settings_who_does_not_exist_is_asked_about_once_a_day(world: World) -> None:
    world.corrections[ADA.email] = Correction("U0NOBODY")
    world.polled(ADA)
    world.round()
    world.round()
    assert world.accounts.asked == ["U0NOBODY"]
    assert world.people()["ada"].problem is Problem.UNKNOWN


def test_look_ups_that_are_throttled_wait_for_as_long_as_asked(world: World) -> None:
    world.accounts.failure = DeliveryError("slow down", Outcome.THROTTLED, code="ratelimited", retry_after=HOUR)
    world.polled(ADA, BOB)
    with capture_logs() as logs:
        world.round()
        for _ in range(59):
            world.round()
    assert world.accounts.asked == [ADA.email]
    assert [line["event"] for line in logs] == ["people_look_ups_wait"]
    assert world.people()["ada"].problem is Problem.NOT_ASKED
    assert world.look_ups.is_settled, "messages do not wait for it"
    world.accounts.failure = None
    world.round()
    assert world.people()["bob"].user == "U0BOB"


def test_not_more_are_looked_up_in_a_minute_than_the_service_answers(world: World) -> None:
    many = [Reviewer(f"r{n:03}", email=f"r{n:03}@example.com") for n in range(MOST_A_MINUTE + 10)]
    world.polled(*many)
    world.round()
    assert len(world.accounts.asked) == MOST_A_MINUTE
    world.round(SECOND * 30)
    assert len(world.accounts.asked) == MOST_A_MINUTE
    world.round(SECOND * 30)
    assert len(set(world.accounts.asked)) == MOST_A_MINUTE + 10


def test_without_the_scope_everybody_counts_as_not_found_for_an_hour(world: World) -> None:
    refusal = "Slack answered missing_scope (needs users:read.email)"
    world.accounts.failure = DeliveryError(refusal, Outcome.TOKEN, code="missing_scope")
    world.corrections[BOB.email] = Correction("U0BOB")
    world.polled(ADA, BOB)
    with capture_logs() as logs:
        world.round()
    assert [(line["event"], line["log_level"]) for line in logs] == [("people_not_looked_up", "warning")]
    assert world.people()["ada"].problem is Problem.NO_SCOPE
    assert world.people()["bob"].can_be_messaged, "the settings are taken at their word"
    world.accounts.failure = None
    world.round(HOUR)
    assert world.people()["ada"].user == "U0ADA"


def test_identities_that_runs_name_are_known_by_the_members_of_the_workspace(world: World) -> None:
    world.members.known = {"stranger": Reviewer("bob", "Bob", BOB.email)}
    world.polled(ADA, who=Who(("stranger",), ("ghost",)))
    world.round()
    assert (world.people()["stranger"].user, world.people()["stranger"].name) == ("U0BOB", "Bob")
    assert world.people()["ghost"].problem is Problem.NO_EMAIL
    world.round(HOUR)
    assert world.members.asked == 1
    world.round(DAY)
    assert world.members.asked == 2


@pytest.mark.parametrize("trouble", [Trouble.REFUSED, Trouble.MISSING, Trouble.UNREACHABLE])
def test_members_that_cannot_be_listed_cost_one_line(world: World, trouble: Trouble) -> None:
    world.members.failure = SourceError("no", trouble)
    world.polled(ADA, who=Who(("stranger",)))
    with capture_logs() as logs:
        world.round()
        world.round(HOUR)
    assert [line["event"] for line in logs] == ["members_not_listed"]
    assert world.people()["stranger"].problem is Problem.NO_EMAIL
    assert world.members.asked == 2
    world.members.failure, world.members.known = None, {"stranger": BOB}
    world.round(HOUR)
    assert world.people()["stranger"].user == "U0BOB"


def test_a_source_that_cannot_name_its_members_costs_nothing(world: World) -> None:
    world.members.known = None
    world.polled(who=Who(("stranger",)))
    with capture_logs() as logs:
        world.round()
    assert logs == []


def test_a_list_of_e_mails_is_looked_up_and_joined_with_its_identities(world: World) -> None:
    world.whose = (BOB.email,)
    world.members.known = {BOB.email: BOB, "bobs-other-id": BOB}
    world.polled(who=Who(completed_by=("bobs-other-id",)))
    world.round()
    assert world.accounts.asked == [BOB.email]
    assert world.people()["bob"].reviewer_ids == ("bob", "bobs-other-id", listed_id(BOB.email))
    assert world.people()[listed_id(BOB.email)].user == "U0BOB"


def test_who_is_forgotten_is_not_looked_up(world: World) -> None:
    world.polled(ADA)
    world.round()
    world.store.forget(ADA.email, world.clock.now())
    world.polled(ADA)
    world.members.known = {"ada": ADA}
    world.round(DAY * 2)
    assert world.accounts.asked == [ADA.email]
    assert world.store.cards() == [Card("ada", problem=Problem.FORGOTTEN, asked_at=world.store.cards()[0].asked_at)]


def test_who_is_forgotten_is_known_again_once_the_settings_name_the_e_mail(world: World) -> None:
    world.polled(ADA)
    world.round()
    world.store.forget(ADA.email, world.clock.now())
    world.members.known = {"ada": ADA, ADA.email: ADA}
    world.corrections[ADA.email] = Correction(calendar="berlin")
    world.round(DAY)
    assert world.people()["ada"].user == "U0ADA"


def test_a_queue_that_is_switched_to_assigned_reviewers_has_them_looked_up(world: World) -> None:
    world.polled()
    world.round()
    assert world.store.cards() == []
    world.polled(ADA)
    world.round()
    assert world.people()["ada"].user == "U0ADA"


def test_a_start_waits_until_everybody_was_asked_about(world: World) -> None:
    world.polled(ADA)
    world.look_ups.wake()
    assert not world.look_ups.is_settled
    world.round(SECOND)
    assert world.look_ups.is_settled
    assert world.people()["ada"].user == "U0ADA"


def test_who_cannot_be_looked_up_for_long_is_given_up(world: World) -> None:
    world.accounts.failure = DeliveryError("slow down", Outcome.THROTTLED, code="ratelimited", retry_after=HOUR)
    known = KnownPersons(world.store, world.clock, {})
    world.polled(ADA)
    world.round()
    assert known().may_be_reached(known().person("ada"))
    world.clock.advance(GIVE_UP)
    assert not known().may_be_reached(known().person("ada"))
    assert known().person("ada").name == "Ada", "the message goes out with the name, and without a mention"
    world.accounts.failure = None
    world.round(HOUR)
    assert known().person("ada").can_be_messaged


def test_everyone_is_read_again_after_a_while_or_a_look_up(world: World) -> None:
    known = KnownPersons(world.store, world.clock, {})
    world.polled(ADA)
    assert known().everyone == ()
    world.round(SECOND)
    assert known().everyone == ()
    known.look()
    assert [person.user for person in known().everyone] == ["U0ADA"]


@pytest.mark.parametrize(
    ("code", "problem", "is_mentioned"),
    [
        ("user_disabled", Problem.LEFT, False),
        ("missing_scope", Problem.NO_SCOPE, False),
        ("messages_tab_disabled", Problem.REFUSED, True),
    ],
)
def test_who_refused_a_message_is_known_so_at_once(
    world: World, code: str, problem: Problem, *, is_mentioned: bool
) -> None:
    known = KnownPersons(world.store, world.clock, {})
    world.polled(ADA)
    world.round()
    assert known().person("ada").can_be_messaged
    known.refused("U0ADA", DeliveryError("refused", Outcome.DESTINATION, code=code))
    ada = known().person("ada")
    assert (ada.problem, ada.can_be_messaged, ada.can_be_mentioned) == (problem, False, is_mentioned)


def test_no_name_and_no_e_mail_is_logged(world: World) -> None:
    world.accounts.failure = DeliveryError("Slack answered fatal_error", Outcome.RETRY, code="fatal_error")
    world.members.failure = SourceError("listing the members", Trouble.REFUSED)
    world.polled(ADA, ROBOT, who=Who(("stranger",)))
    with capture_logs() as logs:
        for _ in range(5):
            world.round()
    assert logs
    assert not [word for word in ("ada@", "Ada", "Nightly") if word in str(logs)]
