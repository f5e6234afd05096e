"""Filters: which runs people hear of, which come first, and what becomes of runs when a filter changes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.support.builders import DAY, delivery, ident
from tests.support.given import a_listing, a_policy, a_review, a_run, at, replan
from worker.core.filters import NO_FILTERS, Conditions, Filters, Order, Score, filters_of, known_traits
from worker.core.model import NO_TRAITS, Kind, Memory, Trait, Traits
from worker.core.outbox import without_spared
from worker.core.owed import Claim
from worker.core.plan import plan

KNOWN = Traits(name="checkout-7", run_type="llm", tags=("prod", "eu"), failed=True, scores=(("user_score", 0.25),))


@pytest.mark.parametrize(
    ("only", "rule"),
    [
        (Conditions(), ""),
        (Conditions(tags=("prod",)), ""),
        (Conditions(tags=("beta", "eu")), ""),
        (Conditions(tags=("beta",)), "only.tags"),
        (Conditions(tags=("prod",), run_type=("chain",)), "only.run_type"),
        (Conditions(run_type=("llm", "chain")), ""),
        (Conditions(error=True), ""),
        (Conditions(error=False), "only.error"),
        (Conditions(name=("checkout-*",)), ""),
        (Conditions(name=("Checkout-*",)), "only.name"),
        (Conditions(feedback=(Score("user_score", "<", 0.5),)), ""),
        (Conditions(feedback=(Score("user_score", ">=", 0.5),)), "only.feedback"),
        (Conditions(feedback=(Score("other", "<", 0.5),)), "only.feedback"),
        (Conditions(feedback=(Score("other", "<", 0.5), Score("user_score", "=", 0.25))), ""),
    ],
)
def test_only_runs_of_which_every_condition_holds_are_shown(only: Conditions, rule: str) -> None:
    assert Filters(only=only).rule_against(KNOWN) == rule
    assert Filters(only=only).rule_against(NO_TRAITS) == ""


@pytest.mark.parametrize(
    ("skip", "rule"),
    [
        (Conditions(tags=("prod",)), "skip.tags"),
        (Conditions(tags=("prod",), error=True), "skip.tags+error"),
        (Conditions(tags=("prod",), error=False), ""),
        (Conditions(name=("load-*",)), ""),
    ],
)
def test_runs_of_which_every_condition_holds_are_skipped(skip: Conditions, rule: str) -> None:
    assert Filters(skip=skip).rule_against(KNOWN) == rule
    assert Filters(skip=skip).rule_against(replace(KNOWN, tags=None)) == ("" if skip.tags else rule)


def test_what_is_needed_follows_from_the_conditions_and_the_order() -> None:
    filters = Filters(Conditions(tags=("a",)), Conditions(name=("b",)), (Order.ERROR, Order.AGE))
    assert filters.needs == {Trait.TAGS, Trait.NAME, Trait.ERROR}
    assert filters.lacks(Traits(tags=(), name="b"))
    assert not filters.lacks(Traits(tags=(), name="b", failed=False))
    assert filters_of(None, None, ()) is NO_FILTERS


@given(st.lists(st.floats(-1e15, 1e15), min_size=1))
def test_ranks_sort_as_scores_do(scores: list[float]) -> None:
    filters = Filters(order=(Order.FEEDBACK,))
    ranked = sorted(scores, key=lambda score: filters.rank(Traits(scores=(("a", score + 0.0),))))
    assert ranked == sorted(scores)
    assert filters.rank(NO_TRAITS) > filters.rank(Traits(scores=(("a", 1e15),)))


def test_what_has_failed_comes_first_and_nothing_counts_after_the_age() -> None:
    failed, well = Traits(failed=True), Traits(failed=False)
    assert Filters(order=(Order.ERROR, Order.AGE, Order.FEEDBACK)).rank(failed) == "0"
    assert Filters(order=(Order.ERROR,)).rank(failed) < Filters(order=(Order.ERROR,)).rank(well)
    assert Filters(order=(Order.AGE,)).rank(failed) == ""


def test_what_is_not_known_any_more_is_as_it_was() -> None:
    assert known_traits(Traits(failed=False), KNOWN) == replace(KNOWN, failed=False)
    assert known_traits(NO_TRAITS, KNOWN) is KNOWN


def sifted(number: int, *tags: str, **more: Any) -> Any:
    return replace(a_run(number, **more), traits=Traits(tags=tags))


def told(decided: Any) -> dict[Kind, set[Any]]:
    return {notice.kind: {key.queue_run_id for key in notice.reviews} for notice in decided.notices}


ONLY_PROD = a_policy(only=Conditions(tags=("prod",)))


def test_a_baseline_speaks_of_what_is_shown_alone() -> None:
    listing = a_listing(sifted(1, "prod"), sifted(2, "test"), a_run(3))
    decided = plan(listing, Memory(baselined=False, reviews=()), ONLY_PROD, at(1))
    assert told(decided) == {Kind.BASELINE: {ident(1), ident(3)}}
    assert {review.queue_run_id: review.left_out for review in decided.reviews} == {
        ident(1): "",
        ident(2): "only.tags",
        ident(3): "",
    }


def test_no_one_hears_of_what_is_left_out_however_old_it_is() -> None:
    policy = replace(ONLY_PROD, steps=a_policy(escalate_after=DAY, only=Conditions(tags=("prod",))).steps)
    decided, memory = replan((), a_listing(sifted(1, "test")), policy, at(1))
    assert (told(decided), decided.next_due_at) == ({}, None)
    later, _ = replan(memory.reviews, a_listing(sifted(1, "test")), policy, at(200))
    assert (told(later), later.reviews) == ({}, ())


def test_a_filter_that_changes_announces_what_becomes_visible_and_nothing_else() -> None:
    listing = a_listing(sifted(1, "prod"), sifted(2, "test"), sifted(3, "prod", "test"))
    _, memory = replan((), listing, ONLY_PROD, at(1))
    wider, after = replan(memory.reviews, listing, a_policy(), at(2))
    assert told(wider) == {Kind.ANNOUNCEMENT: {ident(2)}}
    narrower, hidden = replan(after.reviews, listing, a_policy(skip=Conditions(tags=("test",))), at(3))
    assert told(narrower) == {}
    assert {review.queue_run_id for review in hidden.reviews if review.left_out} == {ident(2), ident(3)}
    again, _ = replan(hidden.reviews, listing, a_policy(), at(3.5))
    assert told(again) == {}


def test_a_score_that_comes_later_lets_a_run_appear() -> None:
    policy = a_policy(only=Conditions(feedback=(Score("user_score", "<", 0.5),)))
    unscored, scored = Traits(scores=()), Traits(scores=(("user_score", 0.1),))
    first, memory = replan((), a_listing(replace(a_run(1), traits=unscored)), policy, at(1))
    assert told(first) == {}
    later, _ = replan(memory.reviews, a_listing(replace(a_run(1), traits=scored)), policy, at(2))
    assert told(later) == {Kind.ANNOUNCEMENT: {ident(1)}}


def test_a_message_lists_by_rank_and_then_by_age() -> None:
    policy = a_policy(order=(Order.ERROR, Order.AGE))
    runs = [replace(a_run(number, at(-number)), traits=Traits(failed=number in {2, 3})) for number in (1, 2, 3, 4)]
    decided = plan(a_listing(*runs), Memory(baselined=True, reviews=()), policy, at(1))
    (notice,) = decided.notices
    assert [key.queue_run_id for key in notice.reviews] == [ident(3), ident(2), ident(4), ident(1)]


def test_just_before_a_post_what_is_left_out_meanwhile_is_dropped() -> None:
    shown, hidden = a_review(1), replace(a_review(2), left_out="skip.tags")
    claim = Claim(delivery(), (shown, hidden))
    assert without_spared(claim, (shown, hidden), at(1))[0] == (shown,)


def test_unknown_are_the_runs_of_which_neither_the_listing_nor_memory_says_what_is_needed() -> None:
    filters, said = Filters(Conditions(tags=("prod",))), Traits(tags=())
    listed, remembered, closed, new = a_run(1), a_run(2), a_run(3), a_run(4)
    reviews = [
        replace(a_review(2), traits=said),
        replace(a_review(3, closed_at=at(1)), traits=said),
    ]
    runs = [replace(listed, traits=said), remembered, closed, new]
    assert filters.unknown(runs, reviews) == [ident(3), ident(4)]
    assert NO_FILTERS.unknown(runs, ()) == []
