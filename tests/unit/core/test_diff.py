"""A listing against memory: each id is a sentence of the specification."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import combinations
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from msgspec.structs import replace

from tests.support.builders import DAY, HOUR, NOON, SECOND, ident, queue_run, snapshot
from tests.support.builders import review as remembered
from tests.support.given import a_listing, a_review, a_run, at
from worker.core.diff import Diff, diff, digest, is_newer, wait_began
from worker.core.model import NO_ONE, Facts, Fate, Who

if TYPE_CHECKING:
    from worker.core.model import QueueRun, Review

FAR = datetime(9999, 12, 31, tzinfo=UTC)
ADA = Who(assigned_to=("ada",))


@pytest.mark.parametrize(
    ("added_at", "remembered_added_at", "newer"),
    [
        pytest.param(NOON, NOON, False, id="the same date is the same stay"),
        pytest.param(at(1), NOON, True, id="a newer date is another stay"),
        pytest.param(at(-1), NOON, False, id="an older date is the same stay, corrected"),
        pytest.param(None, NOON, False, id="a lost date is the same stay"),
        pytest.param(None, None, False, id="undated twice is the same stay"),
        pytest.param(at(-1), None, False, id="a date from before the first sight of an undated run is its own"),
        pytest.param(at(1), None, True, id="a date from after the first sight of an undated run is another stay"),
        pytest.param(NOON + SECOND, NOON, True, id="a second later is another stay"),
        pytest.param(NOON + 0.9 * SECOND, NOON, False, id="the same instant with more digits is the same stay"),
    ],
)
def test_what_makes_a_stay_another(
    added_at: datetime | None,
    remembered_added_at: datetime | None,
    newer: bool,  # noqa: FBT001
) -> None:
    assert is_newer(a_run(added_at=added_at), a_review(added_at=remembered_added_at)) is newer


@pytest.mark.parametrize(
    ("added_at", "effective_added_at", "began"),
    [
        pytest.param(at(1), at(2), at(2), id="the reviewer's own date comes first"),
        pytest.param(at(2), at(1), at(1), id="even where it is the older one"),
        pytest.param(at(1), None, at(1), id="then the date for everybody"),
        pytest.param(None, None, NOON, id="then what we believed before"),
        pytest.param(None, at(2), at(2), id="the reviewer's own date alone suffices"),
        pytest.param(FAR, None, NOON, id="a date in the future is no date"),
        pytest.param(at(1), FAR, NOON, id="nor is one of the reviewer's own, whatever the other"),
        pytest.param(at(3), None, at(3), id="a date of this instant is a date"),
    ],
)
def test_when_a_wait_began(added_at: datetime | None, effective_added_at: datetime | None, began: datetime) -> None:
    run = a_run(added_at=added_at, effective_added_at=effective_added_at)
    assert wait_began(run, NOON, now=at(3)) == began


def test_a_run_never_seen_before_begins_a_stay() -> None:
    run = a_run(reserved=True, done=1, facts=Facts(name="answer"), who=ADA)
    found = diff(a_listing(run), [], at(1))
    (begun,) = found.open
    assert begun == replace(
        a_review(told_at=None, generation=0, reserved=True, done=1, facts=Facts(name="answer"), who=ADA),
        first_seen_at=at(1),
    )
    assert (found.changed, found.unsure) == (found.open, False)


def test_an_undated_run_waits_since_it_was_seen_and_keeps_no_date() -> None:
    (begun,) = diff(a_listing(a_run(added_at=None)), [], at(1)).open
    assert (begun.added_at, begun.since) == (None, at(1))


def test_a_run_dated_in_the_future_waits_since_it_was_seen_and_keeps_its_date() -> None:
    (begun,) = diff(a_listing(a_run(added_at=FAR)), [], at(1)).open
    assert (begun.added_at, begun.since) == (FAR, at(1))


def test_an_unchanged_run_changes_nothing() -> None:
    review = a_review()
    found = diff(a_listing(a_run()), [review], at(1))
    assert (found.open, found.changed, found.unsure) == ((review,), (), False)


@pytest.mark.parametrize(
    ("listed", "expected"),
    [
        pytest.param({"reserved": True}, {"reserved": True}, id="reserved"),
        pytest.param({"done": 1}, {"done": 1}, id="completed by one of its reviewers"),
        pytest.param({"who": ADA}, {"who": ADA}, id="assigned to somebody"),
        pytest.param({"facts": Facts(name="new")}, {"facts": Facts(name="new")}, id="renamed"),
        pytest.param(
            {"added_at": at(-2)},
            {"since": at(-2), "told_at": at(-2)},
            id="dated back: the wait is longer, the key the same",
        ),
    ],
)
def test_what_is_listed_replaces_what_was_remembered(listed: dict[str, object], expected: dict[str, object]) -> None:
    review = a_review(facts=Facts(name="old"))
    run = replace(a_run(facts=Facts(name="old")), **listed)
    assert diff(a_listing(run), [review], at(1)).changed == (replace(review, **expected),)


def test_a_listing_that_knows_no_assignments_keeps_the_known_one() -> None:
    review = a_review(who=ADA)
    older = replace(a_run(), shows_assigned=False)
    assert diff(a_listing(older), [review], at(1)).changed == ()
    held = replace(older, who=Who(reserved_by=("bo",)))
    (changed,) = diff(a_listing(held), [review], at(1)).changed
    assert changed.who == Who(ADA.assigned_to, reserved_by=("bo",))


def test_a_listing_that_knows_assignments_ends_one() -> None:
    (changed,) = diff(a_listing(a_run()), [a_review(who=ADA)], at(1)).changed
    assert changed.who == NO_ONE


def test_a_listing_that_has_lost_a_name_keeps_the_known_facts() -> None:
    review = a_review(facts=Facts(name="answer", tags=("vip",)))
    assert diff(a_listing(a_run(facts=Facts())), [review], at(1)).changed == ()


def test_a_listing_that_shows_no_facts_takes_none_away() -> None:
    review = a_review(facts=Facts(run_type="llm", url="there"))
    assert diff(a_listing(a_run(facts=Facts(url="elsewhere"))), [review], at(1)).changed == ()
    unlinked = a_review(facts=Facts(run_type="llm"))
    (linked,) = diff(a_listing(a_run(facts=Facts(url="there"))), [unlinked], at(1)).changed
    assert linked.facts == Facts(run_type="llm", url="there")


@pytest.mark.parametrize("known", [Facts(), Facts(tags=("old",))], ids=["nothing", "other facts"])
def test_facts_without_a_name_are_taken_where_none_is_known(known: Facts) -> None:
    facts = Facts(tags=("vip",))
    (seen,) = diff(a_listing(a_run(facts=facts)), [a_review(facts=known)], at(1)).changed
    assert seen.facts == facts


def test_a_run_put_back_begins_a_new_stay_and_ends_the_old_one() -> None:
    old = a_review()
    found = diff(a_listing(a_run(added_at=at(5)), one_page=False), [old], at(6))
    (begun,) = found.open
    assert (begun.key, begun.back, begun.told_at) == ((old.queue_run_id, at(5)), True, None)
    assert found.changed == (begun, replace(old, closed_at=at(6)))
    assert not found.unsure


def test_a_run_put_back_after_its_review_leaves_the_tombstone_alone() -> None:
    tombstone = a_review(closed_at=at(2), fate=Fate.REVIEWED)
    found = diff(a_listing(a_run(added_at=at(5))), [tombstone], at(6))
    assert [(review.added_at, review.back) for review in found.changed] == [(at(5), True)]


def test_the_newest_of_several_stays_is_the_one_that_a_listing_means() -> None:
    first = a_review(added_at=None, since=at(-9), first_seen_at=at(-9), closed_at=at(-8))
    second = a_review(added_at=at(-5), closed_at=at(-4))
    third = a_review(added_at=at(-1))
    found = diff(a_listing(a_run(added_at=at(-1))), [third, first, second], at(0))
    assert (found.open, found.changed) == ((third,), ())


def test_the_same_stay_that_comes_back_is_reopened_with_its_history() -> None:
    tombstone = a_review(told_at=at(4), generation=3, closed_at=at(5), fate=Fate.REMOVED)
    (reopened,) = diff(a_listing(a_run()), [tombstone], at(6)).changed
    assert reopened == a_review(told_at=at(4), generation=3)


class TestAbsence:
    """Half a listing is no listing, and one absence from a moving one is no proof."""

    def test_from_a_listing_of_one_page_is_proof(self) -> None:
        found = diff(a_listing(), [a_review()], at(1))
        assert (found.changed, found.open, found.unsure) == ((a_review(closed_at=at(1)),), (), False)

    @pytest.mark.parametrize("pages", [True, False])
    def test_is_proof_of_nothing_while_nobody_knows_what_a_row_is_about(self, pages: bool) -> None:  # noqa: FBT001
        listing = replace(a_listing(one_page=pages, unusable=1), obscured=True)
        for review in (a_review(), a_review(absent_at=at(0))):
            found = diff(listing, [review], at(1))
            assert (found.open, found.changed) == ((review,), ())

    def test_is_none_where_a_row_that_cannot_be_used_names_the_run(self) -> None:
        review = a_review()
        listing = replace(a_listing(unusable=1), strays=frozenset({review.run_id}))
        assert diff(listing, [review], at(1)) == Diff((review,), (), unsure=False, unlisted=(review.queue_run_id,))
        again = diff(listing, [a_review(absent_at=at(0))], at(1))
        assert (again.open, again.changed) == ((review,), (review,))

    def test_of_others_is_proof_where_each_row_names_its_run(self) -> None:
        other = a_review()
        listing = replace(a_listing(unusable=1), strays=frozenset({ident("another run")}))
        assert diff(listing, [other], at(1)).changed == (a_review(closed_at=at(1)),)

    def test_is_proof_only_the_second_time(self) -> None:
        listing = a_listing(one_page=False)
        once = diff(listing, [a_review()], at(1))
        assert (once.open, once.unsure) == ((a_review(absent_at=at(1)),), True)
        twice = diff(listing, once.open, at(2))
        assert (twice.changed, twice.unsure) == ((a_review(closed_at=at(2)),), False)

    def test_that_ends_is_forgotten(self) -> None:
        found = diff(a_listing(a_run(), one_page=False), [a_review(absent_at=at(1))], at(2))
        assert (found.changed, found.unsure) == ((a_review(),), False)

    def test_of_what_has_left_already_is_nothing_new(self) -> None:
        assert diff(a_listing(), [a_review(closed_at=at(1))], at(2)).changed == ()


class TestADateThatMoves:
    """The instant up to which a run was spoken of stays, but for a run that turns out to be older than was said."""

    def test_forward_for_the_reviewer_alone_restarts_the_wait_and_announces_nothing(self) -> None:
        review = a_review(told_at=at(5))
        (moved,) = diff(a_listing(a_run(effective_added_at=at(8))), [review], at(9)).changed
        assert moved == replace(review, since=at(8), told_at=at(8))

    def test_forward_to_before_we_spoke_of_it_keeps_what_we_said(self) -> None:
        review = a_review(told_at=at(5))
        (moved,) = diff(a_listing(a_run(effective_added_at=at(3))), [review], at(9)).changed
        assert moved == replace(review, since=at(3))

    def test_forward_before_anything_was_told_leaves_nothing_told(self) -> None:
        review = a_review(told_at=None)
        (moved,) = diff(a_listing(a_run(effective_added_at=at(3))), [review], at(9)).changed
        assert moved.told_at is None

    def test_back_makes_the_run_older_than_what_we_said(self) -> None:
        review = a_review(told_at=at(1))
        (moved,) = diff(a_listing(a_run(added_at=at(-24))), [review], at(2)).changed
        assert moved == replace(review, since=at(-24), told_at=at(-23))

    def test_away_keeps_the_wait_that_we_knew(self) -> None:
        review = a_review(told_at=at(5), first_seen_at=at(2))
        assert diff(a_listing(a_run(added_at=None)), [review], at(9)).changed == ()

    def test_because_our_clock_was_set_back_changes_nothing(self) -> None:
        review = a_review(told_at=at(5), first_seen_at=at(2))
        assert diff(a_listing(a_run()), [review], at(-8)).changed == ()

    def test_into_the_future_for_the_reviewer_alone_changes_nothing(self) -> None:
        review = a_review(told_at=at(5), first_seen_at=at(2))
        assert diff(a_listing(a_run(effective_added_at=FAR)), [review], at(9)).changed == ()

    def test_known_only_after_the_first_sight_is_taken(self) -> None:
        undated = a_review(added_at=None, since=at(2), first_seen_at=at(2))
        (dated,) = diff(a_listing(a_run(added_at=at(-1))), [undated], at(3)).changed
        assert dated == replace(undated, since=at(-1), told_at=at(-1))


class TestDigest:
    """Equal exactly where a diff would change nothing."""

    def test_does_not_depend_on_the_order(self) -> None:
        runs = [a_run(number) for number in range(5)]
        assert digest(runs) == digest(runs[::-1])

    def test_does_not_look_at_facts(self) -> None:
        assert digest([a_run()]) == digest([a_run(facts=Facts(name="other"))])

    @pytest.mark.parametrize(
        "other",
        [
            pytest.param(a_run(2), id="another run"),
            pytest.param(a_run(added_at=at(1)), id="another date"),
            pytest.param(a_run(added_at=None), id="no date"),
            pytest.param(a_run(effective_added_at=at(1)), id="another date of the reviewer's own"),
            pytest.param(a_run(reserved=True), id="reserved"),
            pytest.param(a_run(done=1), id="completed by one"),
            pytest.param(a_run(who=ADA), id="assigned to somebody"),
            pytest.param(a_run(who=Who(completed_by=ADA.assigned_to)), id="completed by somebody of that name"),
        ],
    )
    def test_differs_for(self, other) -> None:  # noqa: ANN001
        assert digest([a_run()]) != digest([other])

    def test_differs_for_a_run_more(self) -> None:
        assert digest([a_run()]) != digest([a_run(), a_run(2)])

    def test_of_nothing_is_that_of_nothing(self) -> None:
        assert digest([]) == digest([])

    @pytest.mark.parametrize(
        ("this", "that"),
        [
            pytest.param({"added_at": at(1)}, {"added_at": at(2)}, id="their dates"),
            pytest.param({"effective_added_at": at(1)}, {}, id="the reviewer's own date"),
            pytest.param({"reserved": True}, {}, id="who is reserved"),
            pytest.param({"done": 1}, {}, id="who is half done"),
        ],
    )
    def test_differs_where_two_runs_exchange(self, this: dict[str, Any], that: dict[str, Any]) -> None:
        same = [
            digest([a_run(one, **this), a_run(other, **that)]) == digest([a_run(one, **that), a_run(other, **this)])
            for one, other in combinations(range(1, 40), 2)
        ]
        assert not any(same)


def test_runs_are_found_again_by_their_place_in_the_queue_not_by_their_trace() -> None:
    review = replace(a_review(), run_id=UUID(int=5))
    assert diff(a_listing(a_run()), [review], at(1) + DAY).changed == ()


class TestAListThatMovedWhileItWasRead:
    """Rows may have slipped by unread: an absence from it says nothing at all."""

    def test_closes_nothing_and_has_to_be_read_again(self) -> None:
        found = diff(a_listing(one_page=False, moved=True), [a_review()], at(1))
        assert (found.open, found.changed, found.unsure) == ((a_review(),), (), True)

    def test_is_no_second_absence(self) -> None:
        absent = a_review(absent_at=at(1))
        assert diff(a_listing(one_page=False, moved=True), [absent], at(2)).changed == ()

    def test_still_ends_the_stay_of_a_run_that_was_put_back(self) -> None:
        found = diff(a_listing(a_run(added_at=at(5)), one_page=False, moved=True), [a_review()], at(6))
        assert found.changed[1:] == (a_review(closed_at=at(6)),)
        assert not found.unsure

    def test_that_misses_nothing_is_sure(self) -> None:
        assert diff(a_listing(a_run(), moved=True), [a_review()], at(1)).unsure is False


class TestAnotherEndpoint:
    """Should it give a queue run another id, then the same traced run is the same stay, and nobody is told again."""

    def renamed(self, **more: object) -> QueueRun:
        return replace(a_run(1, **more), queue_run_id=a_run(2).queue_run_id)

    def test_that_gives_other_ids_makes_a_silent_new_beginning(self) -> None:
        old = a_review(1, told_at=at(5), generation=2, back=True, first_seen_at=at(1))
        found = diff(a_listing(self.renamed(), one_page=False), [old], at(6), is_switched=True)
        assert found.open == (replace(old, queue_run_id=a_run(2).queue_run_id),)
        assert found.changed == (*found.open, replace(old, closed_at=at(6)))
        assert not found.unsure

    def test_that_gives_another_date_with_the_other_id_is_the_same_stay_too(self) -> None:
        old = a_review(1, told_at=at(5))
        (seen,) = diff(a_listing(self.renamed(added_at=at(3))), [old], at(6), is_switched=True).open
        assert (seen.added_at, seen.since, seen.told_at, seen.back) == (at(3), at(3), at(5), False)

    def test_that_gives_the_same_ids_changes_nothing(self) -> None:
        assert diff(a_listing(a_run()), [a_review()], at(1), is_switched=True).changed == ()

    def test_does_not_join_two_places_of_one_traced_run(self) -> None:
        found = diff(a_listing(a_run(1), self.renamed()), [a_review(1)], at(1), is_switched=True)
        assert [review.told_at for review in found.open] == [NOON, None]

    def test_does_not_join_what_has_no_traced_run(self) -> None:
        old, new = replace(a_review(1), run_id=None), replace(a_run(2), run_id=None)
        (seen, _) = diff(a_listing(new), [old], at(1), is_switched=True).changed
        assert seen.told_at is None

    def test_does_not_revive_what_had_left(self) -> None:
        found = diff(a_listing(self.renamed()), [a_review(1, closed_at=at(1))], at(2), is_switched=True)
        assert [review.told_at for review in found.changed] == [None]

    def test_of_before_knows_a_run_under_another_id_as_new(self) -> None:
        found = diff(a_listing(self.renamed()), [a_review(1)], at(1))
        assert [review.told_at for review in found.open] == [None]


class TestWhenATraceExpires:
    """As far as a listing says so."""

    def seen(self, known: datetime | None, listed: datetime | None) -> Review:
        before = remembered("a", expires_at=known)
        found = diff(snapshot(queue_run("a", expires_at=listed)), [before], NOON)
        return found.open[0]

    def test_is_remembered_of_a_new_run(self) -> None:
        (found,) = diff(snapshot(queue_run("a", expires_at=NOON + DAY)), [], NOON).open
        assert found.expires_at == NOON + DAY

    def test_is_kept_where_another_listing_does_not_know_it(self) -> None:
        assert self.seen(NOON + DAY, None).expires_at == NOON + DAY

    def test_is_taken_over_where_it_is_kept_for_longer_now(self) -> None:
        assert self.seen(NOON + DAY, NOON + 386 * DAY).expires_at == NOON + 386 * DAY

    def test_is_no_news_where_it_is_almost_the_same(self) -> None:
        before = remembered("a", expires_at=NOON + DAY)
        found = diff(snapshot(queue_run("a", expires_at=NOON + DAY + HOUR)), [before], NOON)
        assert (found.open[0] is before, found.changed) == (True, ())
