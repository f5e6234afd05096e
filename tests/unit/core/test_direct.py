"""Direct messages: of what each person is notified, and what the owner hears."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from tests.support.builders import DAY, HOUR, MINUTE, NOON, queue, review
from tests.support.desk import NAMES, Office, Post
from tests.support.office import office
from tests.support.people import ADA, ASSIGNED, BEN, EVE, person, who
from tests.unit.core.hours import WORKDAYS, row
from worker.core.audience import Audience, Problem, Reach
from worker.core.model import Acts, Entry, Kind

if TYPE_CHECKING:
    from uuid import UUID

TRIO = tuple(person(name) for name in ("Ada", "Ben", "Eve"))
LEAD = "U0LEAD"
LATE = Kind.REMINDER


def heard(posts: list[Post], *kinds: Kind) -> dict[str, list[str]]:
    """What each reader is called for."""
    assert len({post.reader for post in posts}) == len(posts)
    return {post.reader: post.names(*kinds) for post in posts}


def run(name: str, *assigned: str, hours: float = 0, done: tuple[str, ...] = (), **more: object) -> object:
    """A run that has waited so long."""
    since = NOON - timedelta(hours=hours)
    return review(name, added_at=since, first_seen_at=since, who=who(*assigned, done=done), done=len(done), **more)


class TestATurn:
    def test_with_three_assigned_and_one_done_two_hear_of_it_and_the_third_does_not(self) -> None:
        of = queue(assigned=(ADA, BEN, EVE), reviewers_per_run=3)
        world = Office(TRIO, (of,))
        world.put(run("a", done=("ada",)))
        assert heard(world.look()) == {"U0BEN": ["a"], "U0EVE": ["a"]}
        assert world.look(MINUTE) == []

    def test_is_one_message_with_all_queues(self) -> None:
        other = queue("Billing", assigned=(ADA,))
        world = Office(TRIO, (ASSIGNED, other))
        world.put(run("a", "ada"))
        world.put(run("b"), of=other)
        assert heard(world.look()) == {"U0ADA": ["a", "b"]}

    def test_that_comes_in_the_window_enters_the_message_and_is_called_for_after_it(self) -> None:
        world = Office(TRIO)
        world.put(run("a", "ada"))
        world.look()
        world.put(run("b", "ada"))
        assert world.look(MINUTE) == []
        assert len(world.posts[0].shown) == 1
        assert world.next_due_at == NOON + HOUR
        assert heard(world.look(HOUR)) == {"U0ADA": ["b"]}
        assert world.look(2 * HOUR) == []

    def test_that_waits_too_long_is_reminded_of_with_what_is_near(self) -> None:
        world = Office(TRIO)
        world.put(run("a", "ada"), run("b", "ada", hours=-0.75), run("c", "ada", hours=-2))
        world.look()
        assert heard(world.look(4 * HOUR), LATE) == {"U0ADA": ["a", "b"]}

    def test_that_is_assigned_to_another_is_news_to_that_person_alone(self) -> None:
        world = Office(TRIO)
        world.put(one := run("a", "ada"))
        assert heard(world.look()) == {"U0ADA": ["a"]}
        world.change(one, who=who("ben"))
        assert heard(world.look(MINUTE)) == {"U0BEN": ["a"]}

    def test_that_changes_while_the_message_waits_is_news_to_the_new_person(self) -> None:
        world = Office(TRIO, is_posting=False)
        world.put(one := run("a", "ada"))
        world.look()
        world.change(one, who=who("ben"))
        world.look(MINUTE)
        assert [post.reader for post in world.hosts.values()] == ["U0ADA", "U0BEN"]

    def test_that_nobody_is_notified_of_is_left_to_the_channel(self) -> None:
        world = Office(TRIO, (queue(),))
        world.put(run("a"))
        assert world.look() == []

    def test_that_the_reader_has_reserved_is_no_news(self) -> None:
        world = Office(TRIO)
        world.put(one := run("a", "ada", reserved=True))
        world.change(one, who=who("ada", reserved=("ada",)))
        assert world.look() == []
        world.change(one, who=who("ada"), reserved=False)
        assert heard(world.look(MINUTE)) == {"U0ADA": ["a"]}

    def test_that_waits_for_the_post_goes_out_with_it(self) -> None:
        world = Office(TRIO, is_posting=False)
        world.put(run("a", "ada"))
        world.look()
        world.put(run("b", "ada"))
        world.look(MINUTE)
        assert heard(world.post()) == {"U0ADA": ["a", "b"]}

    def test_of_a_queue_that_is_switched_to_assigned_is_news_to_those_who_come(self) -> None:
        before, after = queue(assigned=(ADA,)), queue(assigned=(ADA, BEN))
        world = Office(TRIO, (before,))
        world.put(run("a"))
        assert heard(world.look()) == {"U0ADA": ["a"]}
        world.queues = (after,)
        assert heard(world.look(MINUTE)) == {"U0BEN": ["a"]}


class TestAClockThatIsWrong:
    """Runs grow old by the clock that they have their dates from; messages and days go by ours."""

    @pytest.mark.parametrize("wrong", [6 * HOUR, -6 * HOUR], ids=["ahead", "behind"])
    def test_reminds_no_one_early_or_late(self, wrong: timedelta) -> None:
        world = Office(TRIO, now=NOON + wrong, ahead=wrong)
        world.put(run("a", "ada"))
        assert heard(world.look(), Kind.ANNOUNCEMENT) == {"U0ADA": ["a"]}
        assert world.next_due_at == NOON + wrong + 4 * HOUR
        assert world.look(4 * HOUR - MINUTE) == []
        assert heard(world.look(MINUTE), LATE) == {"U0ADA": ["a"]}

    def test_passes_nothing_to_the_owner_early(self) -> None:
        beside = {"owner": LEAD, "people": Audience.NOBODY, "tell": Reach.CHANNEL}
        world = Office(settings=beside, now=NOON + 6 * HOUR, ahead=6 * HOUR)
        world.put(run("a", hours=80, told_at=NOON, generation=4, reminded=3))
        assert world.look() == []
        assert world.next_due_at == NOON + DAY + 6 * HOUR
        assert heard(world.look(DAY)) == {f"owner:{LEAD}": ["a"]}


class TestTheFirstLook:
    def test_counts_what_the_channel_has_said(self) -> None:
        world = Office(TRIO)
        world.begun = frozenset()
        world.put(run("a", "ada", told_at=NOON, generation=1), run("b", "ada"))
        assert heard(world.look()) == {"U0ADA": ["b"]}
        world.change(run("a", "ada"), who=who("ben"))
        assert heard(world.look(MINUTE)) == {"U0BEN": ["a"]}

    def test_lets_the_ladder_go_on_where_the_channel_was(self) -> None:
        world = Office(TRIO)
        world.begun = frozenset()
        world.put(run("a", "ada", told_at=NOON, generation=1))
        world.look()
        assert heard(world.look(4 * HOUR), LATE) == {"U0ADA": ["a"]}


class TestHours:
    def test_of_a_person_hold_what_comes_outside_of_them(self) -> None:
        world = Office(TRIO[:1], calendars={"U0ADA": office()}, now=NOON + 8 * HOUR)
        world.put(run("a", "ada", hours=-8))
        assert world.look() == []
        assert heard(world.look(world.next_due_at - world.now)) == {"U0ADA": ["a"]}

    def test_of_two_queues_hold_each_queue_by_itself(self) -> None:
        early = office(row(WORKDAYS, "6:00", "8:00"))
        other = queue("Billing", assigned=(ADA,))
        world = Office(TRIO, (ASSIGNED, other), hours={ASSIGNED.queue_id: early}, now=NOON)
        world.put(run("a", "ada"))
        world.put(run("b"), of=other)
        assert heard(world.look()) == {"U0ADA": ["b"]}
        assert world.next_due_at == NOON + 4 * HOUR
        # At 06:00 in Berlin.
        assert heard(world.look(17 * HOUR)) == {"U0ADA": ["a", "b"]}

    def test_of_a_person_hold_for_the_runs_of_every_queue(self) -> None:
        always, early = queue("Billing", assigned=(ADA,)), office(row(WORKDAYS, "6:00", "8:00"))
        world = Office(TRIO, (ASSIGNED, always), hours={ASSIGNED.queue_id: early}, calendars={"U0ADA": office()})
        world.put(run("a", "ada"))
        world.put(run("b"), of=always)
        assert heard(world.look()) == {"U0ADA": ["a", "b"]}


class TestTheBudget:
    def test_of_a_day_is_not_exceeded_and_the_owner_hears_of_the_rest(self) -> None:
        world = Office(TRIO, settings={"owner": LEAD, "announce_every": timedelta(0)}, per_day=2)
        for number in range(2):
            world.put(run(f"{number}", "ada"))
            assert heard(world.look(MINUTE)) == {"U0ADA": [f"{number}"]}
        world.put(run("2", "ada"))
        assert heard(world.look(MINUTE)) == {f"owner:{LEAD}": ["2"]}
        assert len(world.posts[1].shown) == 1
        assert heard(world.look(12 * HOUR), LATE) == {"U0ADA": ["0", "1", "2"]}

    def test_that_is_spent_is_no_matter_of_the_owners_while_the_others_are_enough(self) -> None:
        world = Office(TRIO, settings={"owner": LEAD, "announce_every": timedelta(0)}, per_day=1)
        world.put(run("a", "ada"))
        world.look()
        world.put(run("b"))
        assert heard(world.look(MINUTE)) == {"U0BEN": ["b"], "U0EVE": ["b"]}
        world.put(run("c"))
        assert heard(world.look(MINUTE)) == {f"owner:{LEAD}": ["c"]}

    def test_that_is_spent_by_one_of_two_who_are_assigned_is_a_matter_of_the_owners(self) -> None:
        world = Office(TRIO, settings={"owner": LEAD, "announce_every": timedelta(0)}, per_day=1)
        world.put(run("a", "ada"))
        world.look()
        world.put(run("b", "ada", "ben"))
        assert heard(world.look(MINUTE)) == {"U0BEN": ["b"], f"owner:{LEAD}": ["b"]}

    def test_of_a_run_is_so_many_reminders_and_then_the_owner_hears_of_it(self) -> None:
        world = Office(TRIO, settings={"owner": LEAD})
        world.put(run("a", "ada"))
        world.look()
        assert [heard(world.look(wait), LATE) for wait in (4 * HOUR, DAY, DAY)] == [{"U0ADA": ["a"]}] * 3
        assert heard(world.look(DAY)) == {f"owner:{LEAD}": ["a"]}
        assert world.look(HOUR) == []
        assert heard(world.look(DAY)) == {f"owner:{LEAD}": ["a"]}


class TestTheOwner:
    @pytest.mark.parametrize(
        "problem", [Problem.UNKNOWN, Problem.NO_EMAIL, Problem.LEFT, Problem.GUEST, Problem.REFUSED]
    )
    def test_hears_of_runs_whose_person_is_not_reached(self, problem: Problem) -> None:
        world = Office((person("Ada", problem=problem),), settings={"owner": LEAD})
        world.put(run("a", "ada"))
        assert heard(world.look()) == {f"owner:{LEAD}": ["a"]}

    def test_hears_nothing_while_the_person_is_looked_up(self) -> None:
        world = Office((person("Ada", user="", problem=Problem.NOT_ASKED),), settings={"owner": LEAD})
        world.put(run("a", "ada"))
        assert world.look() == []
        world.persons = TRIO
        assert heard(world.look(MINUTE)) == {"U0ADA": ["a"]}

    def test_hears_of_it_where_the_person_was_sought_in_vain_for_long(self) -> None:
        world = Office((), settings={"owner": LEAD})
        world.put(run("a", "ada"))
        assert world.look() == []
        world.given_up = frozenset({"ada"})
        assert heard(world.look(HOUR)) == {f"owner:{LEAD}": ["a"]}

    def test_hears_of_what_its_channel_was_reminded_of_often_enough_once_that_is_due_again(self) -> None:
        world = Office(settings={"owner": LEAD, "people": Audience.NOBODY, "tell": Reach.CHANNEL})
        world.put(run("a", hours=80, told_at=NOON, generation=4, reminded=3))
        world.put(run("b", hours=80, told_at=NOON - 3 * DAY, generation=3, reminded=2))
        assert world.look() == []
        assert world.next_due_at == NOON + DAY
        assert heard(world.look(DAY)) == {f"owner:{LEAD}": ["a"]}
        assert world.look(HOUR) == []
        assert heard(world.look(DAY)) == {f"owner:{LEAD}": ["a"]}
        assert world.begun == {ASSIGNED.queue_id}

    def test_hears_of_no_reminders_beside_those_that_people_get_directly(self) -> None:
        world = Office(TRIO, settings={"owner": LEAD})
        world.put(run("a", "ada", hours=80, told_at=NOON - 2 * DAY, generation=4, reminded=3))
        assert heard(world.look()) == {"U0ADA": ["a"]}

    def test_hears_of_each_escalation_that_could_not_call_anybody(self) -> None:
        world = Office(settings={"owner": LEAD, "people": Audience.NOBODY, "tell": Reach.CHANNEL})
        world.put(run("a", told_at=NOON), run("b", told_at=NOON))
        world.passed = {(ASSIGNED.queue_id, run("a", told_at=NOON).key)}
        assert heard(world.look(), Kind.ESCALATION) == {f"owner:{LEAD}": ["a"]}
        assert world.look(MINUTE) == []
        world.passed = {(ASSIGNED.queue_id, run("a", told_at=NOON).key)}
        assert world.look(HOUR) == []
        assert len(world.posts[0].shown) == 1
        assert heard(world.look(12 * HOUR)) == {f"owner:{LEAD}": ["a"]}

    def test_gets_one_message_a_day_into_which_later_ones_enter(self) -> None:
        world = Office((), settings={"owner": LEAD}, given_up=frozenset({"ada"}))
        world.put(run("a", "ada"))
        world.look()
        world.put(run("b", "ada"))
        assert world.look(HOUR) == []
        assert len(world.posts[0].shown) == 1
        assert world.next_due_at == NOON + 12 * HOUR
        assert "b" in heard(world.look(12 * HOUR))[f"owner:{LEAD}"]

    def test_hears_nothing_of_a_service_where_others_review(self) -> None:
        world = Office((TRIO[0], TRIO[1], person("Eve", problem=Problem.NO_EMAIL)), settings={"owner": LEAD})
        world.put(run("a"))
        assert heard(world.look()) == {"U0ADA": ["a"], "U0BEN": ["a"]}

    def test_hears_of_a_person_who_has_left_in_the_middle_of_a_message(self) -> None:
        world = Office(TRIO, settings={"owner": LEAD})
        world.put(run("a", "ada"))
        world.look()
        world.persons = (person("Ada", problem=Problem.LEFT),)
        assert heard(world.look(MINUTE)) == {f"owner:{LEAD}": ["a"]}


class TestPeople:
    def test_of_two_identities_hear_of_a_run_once(self) -> None:
        world = Office((person("Ada", "ada", "ada-2"),))
        world.put(run("a", "ada", "ada-2"))
        assert heard(world.look()) == {"U0ADA": ["a"]}

    def test_who_are_joined_later_hear_nothing_again(self) -> None:
        world = Office(TRIO)
        world.put(run("a", "ada"))
        world.look()
        world.persons = (person("Ada", "aaa", "ada"),)
        assert world.look(MINUTE) == []


class InDoubt(Office):
    """An office whose messages may or may not have been posted."""

    def _entry(self, key: UUID) -> Entry:
        del key
        return Entry.UNSURE


def test_beside_a_message_that_may_be_just_being_posted_nothing_is_said() -> None:
    world = InDoubt(TRIO)
    world.put(run("a", "ada"))
    world.look()
    world.put(run("b", "ada", hours=4))
    assert world.look(MINUTE) == []
    assert world.next_due_at == world.now


def test_without_an_owner_no_one_hears_of_a_run_that_no_message_reaches_anybody_for() -> None:
    world = Office((person("Ada", user="", problem=Problem.UNKNOWN),))
    world.put(run("a", "ada"))
    assert world.look() == []


def test_of_a_muted_queue_a_message_does_not_show_what_its_reader_has_in_hand() -> None:
    world = Office(TRIO)
    world.put(run("a", "ada"))
    world.look()
    world.muted[ASSIGNED.queue_id] = NOON + 9 * HOUR
    taken = replace(run("b", "ada"), acts=Acts("U0ADA", "Ada", NOON + DAY))
    world.put(run("c", "ada"), taken)
    world.look(MINUTE)
    assert sorted(NAMES[about[1].queue_run_id] for about in world.posts[0].shown) == ["c"]
