"""What a worklist holds: whose turn runs are, who has them, and in which order they are listed."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from tests.support.builders import DAY, HOUR, MINUTE, NOON, queue, review, rules_with
from tests.support.people import ASSIGNED, PAIR, person, rules_of_people, who
from worker.core.audience import Persons
from worker.core.model import Acts, Show
from worker.core.worklist import Shelf, Worklist, worklist_in, worklist_of

if TYPE_CHECKING:
    from worker.core.model import Review

ADA, BEN, ZOE = person("Ada"), person("Ben"), person("Zoe")
EVERYONE = Persons((ADA, BEN, ZOE))
NOW = NOON + DAY


def acted(name: str, **acts: Any) -> Review:
    return replace(review(name), acts=Acts(**acts))


def by(who: str, name: str, until: timedelta = HOUR) -> dict[str, Any]:
    return {"claimed_by": who, "claimed_name": name, "claimed_until": NOW + until}


def assigned(*reviews: Review, **more: Any) -> Shelf:
    rules = rules_of_people(ADA, BEN, ZOE, stale_after=timedelta(hours=4))
    return Shelf(ASSIGNED, rules.view(ASSIGNED), reviews, len(reviews), **more)


def of_nobody(*reviews: Review, waiting: int = 0, **settings: Any) -> Shelf:
    own = queue("Other")
    return Shelf(own, rules_with(**settings).view(own), reviews, waiting or len(reviews))


def names(worklist: Worklist) -> list[str]:
    return [line.facts.name for line in worklist.message.lines]


def test_it_lists_what_is_the_turn_of_the_one_who_asks_the_oldest_first() -> None:
    old, new = review("old", since=NOON - DAY), review("new", since=NOW - MINUTE)
    done = replace(review("done"), who=replace(review("done").who, completed_by=("ada",)))
    mine = worklist_of(ADA.user, EVERYONE, [assigned(new, old, done)], NOW)
    assert (names(mine), mine.message.total, mine.overdue) == (["old", "new"], 2, 1)
    assert mine.is_known
    assert worklist_of(ZOE.user, EVERYONE, [assigned(new, old)], NOW).message.total == 0


def test_of_a_run_that_others_owe_too_the_others_are_named() -> None:
    view = rules_of_people(ADA, BEN).view(PAIR)
    own = review("a", who=who("ada", "ben"))
    mine = worklist_of(ADA.user, EVERYONE, [Shelf(PAIR, view, [own], 1)], NOW)
    assert mine.message.lines[0].waiting_for == ("Ben",)
    whole = worklist_in(Shelf(PAIR, view, [own], 1), ADA.user, EVERYONE, NOW)
    assert whole.message.lines[0].waiting_for == ("Ada", "Ben")


def test_what_another_has_comes_later_and_what_is_put_off_last() -> None:
    runs = [
        acted("snoozed", snoozed_until=NOW + HOUR),
        acted("of Ben", **by(BEN.user, "Ben")),
        acted("mine", **by("mailto:ada@example.com", "Ada")),
        acted("lapsed", **by(BEN.user, "Ben", -MINUTE)),
        replace(review("reserved"), reserved=True),
        acted("awake", snoozed_until=NOW - MINUTE),
        acted("not mine", not_mine=(ADA.user,)),
    ]
    mine = worklist_of(ADA.user, EVERYONE, [assigned(*runs)], NOW)
    assert set(names(mine)[:3]) == {"mine", "lapsed", "awake"}
    assert set(names(mine)[3:5]) == {"of Ben", "reserved"}
    assert names(mine)[5:] == ["snoozed"]
    assert (mine.yours, mine.snoozed) == (1, 1)


def test_a_run_that_somebody_has_taken_is_listed_though_it_is_nobodys_turn() -> None:
    shelf = of_nobody(acted("taken", **by("U0ANYBODY", "Any")), review("other"), waiting=40)
    mine = worklist_of("U0ANYBODY", EVERYONE, [shelf], NOW)
    assert (names(mine), mine.nobodys, mine.is_known, mine.has_people) == (
        ["taken"],
        ((shelf.queue, 40),),
        False,
        False,
    )


def test_ten_are_listed_and_all_are_counted() -> None:
    mine = worklist_of(ADA.user, EVERYONE, [assigned(*(review(f"{number:02}") for number in range(23)))], NOW)
    assert (len(mine.message.lines), mine.message.total) == (10, 23)


def test_beside_another_queue_each_run_has_its_queue_and_shows_what_both_may_show() -> None:
    rules = rules_with(show=frozenset({Show.NAME, Show.TAGS}))
    own = queue("Other")
    other = Shelf(own, rules.view(own), [acted("taken", **by(ADA.user, "Ada"))], 1)
    mine = worklist_of(ADA.user, EVERYONE, [assigned(review("a")), other], NOW)
    assert {line.queue for line in mine.message.lines} == {ASSIGNED, own}
    assert mine.message.show == {Show.NAME, Show.TAGS}


def test_one_queue_is_listed_for_anybody() -> None:
    shelf = assigned(review("a"), review("b"), muted_until=NOW + HOUR, failing_since=NOON)
    found = worklist_in(shelf, "U0STRANGER", EVERYONE, NOW)
    assert (found.queue, found.message.total, found.muted_until) == (ASSIGNED, 2, NOW + HOUR)
    assert found.failing_since == NOON
    ended = worklist_in(assigned(muted_until=NOW), "U0STRANGER", EVERYONE, NOW)
    assert (ended.muted_until, ended.message.total) == (None, 0)
