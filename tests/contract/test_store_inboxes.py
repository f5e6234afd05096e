"""What every store promises of direct messages: deciding on them, and writing what was decided, in one transaction."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from tests.support.builders import DAY, HOUR, MINUTE, NOON, deciding, notice, plan, review, to
from tests.support.inboxes import OTHER, Office, office
from tests.support.outbox import post, posted, take, take_edit
from tests.support.people import ADA, ASSIGNED, person, who
from worker.core.audience import Audience, Reach
from worker.core.model import Facts, Kind
from worker.core.owed import State

if TYPE_CHECKING:
    from worker.core.model import Memory
    from worker.core.store_roles import Store


@pytest.fixture(name="office")
def seen_before(store: Store) -> Office:
    return office(store)


def test_a_run_is_owed_once_to_each_whose_turn_it_is(office: Office) -> None:
    office.see(review("a", who=who("ada", "ben")))
    office.look()
    assert office.owed() == {"U0ADA": ["a"], "U0BEN": ["a"]}
    assert office.look().notices == ()
    assert len(office.store.deliveries()) == 2


def test_what_nobody_has_heard_is_new_to_the_channel_once_people_are_not_notified_directly(office: Office) -> None:
    office.see(*(review(name, who=who(one), told_at=NOON) for name, one in (("a", "ada"), ("b", "zoe"))))
    office.see(review("c", who=who("zoe"), told_at=NOON, generation=1))
    office.look()
    office.queues = ()
    office.look(NOON + MINUTE)
    memories: list[Memory] = []
    office.store.update(ASSIGNED, (), lambda memory: (memories.append(memory), plan())[1], NOON + MINUTE)
    assert {one.facts.name: one.told_at for one in memories[0].reviews} == {"a": NOON, "b": None, "c": NOON}
    assert memories[0].revision == 1


def test_a_message_has_the_queue_of_each_run(office: Office) -> None:
    office.queues = (ASSIGNED, OTHER)
    office.see(review("a", who=who("ada")))
    office.see(review("b"), of=OTHER)
    office.look()
    claim = take(office.store)
    assert {one.facts.name: claim.queues[one.key].name for one in claim.reviews} == {
        "a": ASSIGNED.name,
        "b": OTHER.name,
    }
    assert claim.queues[review("b").key].assigned == (ADA,)
    assert (claim.delivery.kind, claim.delivery.reader, claim.delivery.queue) == (Kind.DIRECT, "U0ADA", None)
    assert set(claim.purposes.values()) == {Kind.ANNOUNCEMENT}


def test_what_comes_while_a_message_waits_goes_out_with_it(office: Office) -> None:
    office.see(review("a", who=who("ada")))
    office.look()
    office.see(review("b", who=who("ada")))
    office.look(NOON + MINUTE)
    assert {name: set(runs) for name, runs in office.owed().items()} == {"U0ADA": {"a", "b"}}


def test_what_comes_in_the_window_is_owed_an_edit(office: Office) -> None:
    office.see(review("a", who=who("ada")))
    office.look()
    post(office.store)
    office.see(review("b", who=who("ada")), at=NOON + MINUTE)
    office.look(NOON + MINUTE)
    claim = take_edit(office.store, NOON + MINUTE)
    assert {one.facts.name for one in claim.reviews} == {"a", "b"}
    assert set(claim.queues) == {review("a").key, review("b").key}
    assert office.look(NOON + 2 * MINUTE).notices == ()
    assert len(office.look(NOON + 2 * HOUR).notices) == 1


def test_a_change_of_a_run_is_owed_an_edit(office: Office) -> None:
    office.see(review("a", who=who("ada")))
    office.look()
    post(office.store)
    office.see(review("a", who=who("ben")), at=NOON + MINUTE)
    assert take_edit(office.store, NOON + HOUR).reviews[0].who == who("ben")


def test_a_reader_hears_of_a_run_that_passes_to_another_once_each(office: Office) -> None:
    office.see(review("a", who=who("ada")))
    office.look()
    office.see(review("a", who=who("ben")), at=NOON + MINUTE)
    office.look(NOON + MINUTE)
    office.see(review("a", who=who("ada")), at=NOON + 2 * MINUTE)
    office.look(NOON + 2 * MINUTE)
    assert [each.destination for each in reversed(office.store.deliveries())] == [to("U0ADA"), to("U0BEN")]


def test_what_the_channel_has_said_before_the_first_look_counts(store: Store) -> None:
    world = Office(store)
    world.see(review("a", who=who("ada"), told_at=NOON, generation=1), review("b", who=who("ada")))
    world.look()
    assert world.owed() == {"U0ADA": ["b"]}


def test_a_queue_that_goes_back_to_its_channel_begins_again(office: Office) -> None:
    office.queues = ()
    office.look()
    office.queues = (ASSIGNED,)
    office.see(review("a", who=who("ada"), told_at=NOON, generation=1))
    assert office.look().notices == ()


def test_a_withdrawn_message_lets_the_next_be_called_for(office: Office) -> None:
    office.see(review("a", who=who("ada")))
    office.look()
    claim = take(office.store)
    office.store.settle(replace(claim.delivery, state=State.WITHDRAWN, settled_at=NOON), claim.delivery)
    office.see(review("b", who=who("ada")), at=NOON + MINUTE)
    office.look(NOON + MINUTE)
    assert {place: set(runs) for place, runs in office.owed().items()} == {"U0ADA": {"a", "b"}}


def test_a_message_that_is_just_being_posted_takes_nothing_in(office: Office) -> None:
    office.see(review("a", who=who("ada")))
    office.look()
    claim = take(office.store)
    office.see(review("b", who=who("ada")), at=NOON + MINUTE)
    assert office.look(NOON + MINUTE).notices == ()
    office.store.settle(posted(claim.delivery), claim.delivery, shown=[review("a").key])
    office.look(NOON + 2 * MINUTE)
    assert {one.facts.name for one in take_edit(office.store, NOON + 2 * MINUTE).reviews} == {"a", "b"}


def test_the_owner_hears_of_whom_no_message_reaches(office: Office) -> None:
    office.persons, office.settings = (person("Ada", problem="left"),), {"owner": "U0LEAD"}
    office.see(review("a", who=who("ada")))
    office.look()
    claim = take(office.store)
    assert (claim.delivery.destination, claim.delivery.reader) == (to("U0LEAD"), "owner:U0LEAD")


BESIDE = {"owner": "U0LEAD", "people": Audience.NOBODY, "tell": Reach.CHANNEL}


def test_the_owner_hears_of_what_the_channel_was_reminded_of_often_enough(store: Store) -> None:
    office = Office(store, settings=BESIDE)
    worn = review("a", told_at=NOON - DAY, since=NOON - 9 * DAY, generation=4, reminded=3)
    office.see(worn, review("b", told_at=NOON - DAY, since=NOON - 9 * DAY, generation=4))
    assert office.look().begun == set()
    assert office.owed() == {"U0LEAD": ["a"]}


def test_the_owner_hears_once_of_a_call_that_was_over_the_budget_once_its_message_is_up(store: Store) -> None:
    office = Office(store, settings=BESIDE)
    runs = [review(name, told_at=NOON, generation=1) for name in "ab"]
    told = notice(*runs, kind=Kind.ESCALATION, mention=["U0ADA"])
    store.update(ASSIGNED, {run.queue_run_id for run in runs}, deciding(*runs, notices=(told,)), NOON)
    claim = take(store)
    for passed in ("ab", "b"):
        given = [run.key for run in runs if run.facts.name in passed]
        assert store.spend(told.key, {"U0ADA": NOON}, 0, NOON, lambda _called, given=given: given) == []
    before = store.stirred([ASSIGNED.queue_id])
    assert office.look().notices == ()
    store.settle(posted(claim.delivery), claim.delivery)
    assert store.stirred([ASSIGNED.queue_id]) != before
    office.look()
    assert office.owed() == {"U0LEAD": ["b"]}
    assert take(store).purposes == {runs[1].key: Kind.ESCALATION}
    assert office.look(NOON + 2 * DAY).notices == ()


def test_what_is_stirred_leads_to_another_look(office: Office) -> None:
    def stirred() -> object:
        return office.store.stirred([ASSIGNED.queue_id])

    seen = [stirred()]
    office.see(review("a", who=who("ada")))
    seen.append(stirred())
    assert stirred() == seen[-1]
    office.look()
    seen.append(stirred())
    post(office.store)
    seen.append(stirred())
    office.see(replace(review("a"), who=who("ben")), at=NOON + MINUTE)
    seen.append(stirred())
    office.store.update(replace(ASSIGNED, assigned=(ADA,)), (), deciding(), NOON)
    seen.append(stirred())
    assert all(one != other for one, other in pairwise(seen))


def test_what_readers_have_heard_is_forgotten_with_the_run(office: Office) -> None:
    office.see(review("a", who=who("ada")))
    office.look()
    post(office.store)
    office.see(review("a", closed_at=NOON))
    assert office.store.prune(settled_before=NOON + 30 * DAY, closed_before=NOON + 90 * DAY) == 2


def test_how_a_run_left_is_asked_for_where_a_direct_message_shows_it(office: Office) -> None:
    office.see(review("a", who=who("ada")))
    office.look()
    post(office.store)
    office.see(review("a", who=who("ada"), closed_at=NOON + MINUTE))
    assert list(office.store.unexplained(ASSIGNED.queue_id, NOON + MINUTE, 9)) == [review("a").queue_run_id]
    assert list(office.store.unexplained(OTHER.queue_id, NOON + MINUTE, 9)) == []


def test_a_name_is_asked_for_where_a_direct_message_lacks_it(office: Office) -> None:
    bare = review("a", who=who("ada"), facts=Facts(url="https://example.com"))
    office.see(bare)
    office.look()
    assert list(office.store.undescribed(ASSIGNED.queue_id, NOON, 9)) == [bare.queue_run_id]
    post(office.store)
    assert list(office.store.undescribed(ASSIGNED.queue_id, NOON, 9)) == [bare.queue_run_id]
    assert list(office.store.undescribed(OTHER.queue_id, NOON, 9)) == []


def test_a_run_that_was_left_out_of_a_message_is_news_when_it_is_the_readers_again(office: Office) -> None:
    office.see(review("a", who=who("ada")), review("b", who=who("ada")))
    office.look()
    office.see(review("a", who=who("ben")), at=NOON + MINUTE)
    post(office.store, left_out=[review("a").key])
    office.look(NOON + MINUTE)
    office.see(review("a", who=who("ada")), at=NOON + 2 * MINUTE)
    notices = office.look(NOON + 2 * HOUR).notices
    assert [(notice.reader, [about[1] for about, _ in notice.runs]) for notice in notices] == [
        ("U0ADA", [review("a").key])
    ]


def test_a_run_of_a_withdrawn_message_is_news_when_it_is_the_readers_again(office: Office) -> None:
    office.see(review("a", who=who("ada")))
    office.look()
    claim = take(office.store)
    office.store.settle(replace(claim.delivery, state=State.WITHDRAWN, settled_at=NOON), claim.delivery)
    assert [notice.reader for notice in office.look(NOON + MINUTE).notices] == ["U0ADA"]
