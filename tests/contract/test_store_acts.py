"""What every store promises of acts of people: the first wins, each is noted once, and messages show it at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from tests.support.acting import ADA, BEN, an_act, do
from tests.support.builders import DAY, HOUR, LEASE, MINUTE, NOON, SECOND, deciding, ident, notice, review
from tests.support.outbox import QUEUE, owe, post, posted, take, take_edit, write
from worker.core.actions import Act, Actor, Refusal
from worker.core.delivery import edited, held, withdrawn
from worker.core.model import NO_ACTS, Acts, Kind, Memory, Polled, Reviewer
from worker.core.plan import Plan

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from worker.core.store_roles import Store

CLAIMED = Acts(ADA.who, "Ada", NOON + DAY, acted_at=NOON)


def memory_of(store: Store, *names: str, at: datetime = NOON) -> Memory:
    """What the next poll of the queue decides on."""
    seen: list[Memory] = []

    def decide(memory: Memory) -> Plan:
        seen.append(memory)
        return Plan(revision=memory.revision)

    store.update(QUEUE, [ident(name) for name in names], decide, at)
    return seen[-1]


def acts_of(store: Store, name: str = "a") -> Acts:
    return store.stories(ident(name))[-1].review.acts


class TestAnActOnARun:
    def test_is_remembered_with_the_run(self, store: Store) -> None:
        write(store, review("a"), review("b"))
        assert do(store, an_act(Act.CLAIM)).refusal is None
        assert acts_of(store) == CLAIMED
        assert acts_of(store, "b") is NO_ACTS

    def test_counts_in_the_revision_so_that_the_next_poll_reads_the_database(self, store: Store) -> None:
        write(store, review("a"))
        before = memory_of(store).revision
        do(store, an_act(Act.CLAIM))
        assert memory_of(store).revision == before + 1
        assert store.polled([Polled(QUEUE)]) == {QUEUE.queue_id: before + 1}

    def test_is_on_the_stay_that_waits_where_the_run_was_re_added(self, store: Store) -> None:
        write(store, review("a", closed_at=NOON + HOUR), review("a", added_at=NOON + 2 * HOUR, first_seen_at=NOON))
        do(store, an_act(Act.CLAIM))
        assert [story.review.acts != NO_ACTS for story in store.stories(ident("a"))].count(True) == 1
        assert [story.review.is_open for story in store.stories(ident("a")) if story.review.acts != NO_ACTS] == [True]

    @pytest.mark.parametrize(
        ("runs", "refusal"),
        [
            pytest.param([review("a", closed_at=NOON)], Refusal.CLOSED, id="a press for a run that was closed"),
            pytest.param([review("b")], Refusal.UNKNOWN, id="a press for a run that was pruned"),
            pytest.param([review("a", reserved=True)], Refusal.RESERVED, id="a press for a run that is reserved"),
        ],
    )
    def test_is_refused_with_the_reason_and_noted(
        self, store: Store, runs: Collection[object], refusal: Refusal
    ) -> None:
        write(store, *runs)  # type: ignore[arg-type]
        assert do(store, an_act(Act.CLAIM)).refusal is refusal
        assert [(each.action.act, each.refusal) for each in store.records(10)] == [(Act.CLAIM, refusal)]

    def test_is_refused_where_the_queue_was_never_seen(self, store: Store) -> None:
        assert do(store, an_act(Act.CLAIM)).refusal is Refusal.UNKNOWN

    def test_the_second_who_claims_hears_who_has_it(self, store: Store) -> None:
        write(store, review("a"))
        do(store, an_act(Act.CLAIM))
        second = do(store, an_act(Act.CLAIM, BEN), NOON + SECOND)
        assert (second.refusal, second.holder) == (Refusal.TAKEN, "Ada")
        assert acts_of(store) == CLAIMED

    def test_the_same_press_that_comes_twice_does_nothing(self, store: Store) -> None:
        write(store, review("a"))
        do(store, an_act(Act.CLAIM, envelope="E1"))
        do(store, an_act(Act.GIVE_BACK), NOON + SECOND)
        assert do(store, an_act(Act.CLAIM, envelope="E1"), NOON + MINUTE).refusal is Refusal.REPEATED
        assert not acts_of(store).is_claimed
        assert len(store.records(10)) == 2

    def test_stays_while_polls_write_the_run(self, store: Store) -> None:
        write(store, review("a"))
        do(store, an_act(Act.CLAIM))
        store.describe(QUEUE.queue_id, {ident("a"): replace_name(review("a"))}, NOON)
        assert acts_of(store) == CLAIMED


class TestWhatWaits:
    def test_is_read_whole_or_as_far_as_somebody_has_acted(self, store: Store) -> None:
        write(store, review("a"), review("b"), review("gone", closed_at=NOON))
        do(store, an_act(Act.CLAIM))
        assert {each.queue_run_id for each in store.waiting(QUEUE.queue_id)} == {ident("a"), ident("b")}
        assert [each.acts for each in store.waiting(QUEUE.queue_id, taken=True)] == [CLAIMED]

    def test_mutes_are_known_by_their_queues(self, store: Store) -> None:
        write(store, review("a"))
        assert store.mutes() == {}
        do(store, an_act(Act.MUTE))
        assert store.mutes() == {QUEUE.queue_id: NOON + DAY}


def replace_name(of: object) -> object:

    return replace(of.facts, name="another")  # type: ignore[attr-defined]


class TestAnEditShowsAnAct:
    def test_at_once_past_the_debounce(self, store: Store) -> None:
        owe(store, review("a"))
        post(store)
        write(store, review("a", done=1), at=NOON + MINUTE)
        claim = take_edit(store, NOON + MINUTE)
        store.settle_edit(edited(claim.delivery, "d", NOON + MINUTE, 30 * SECOND), claim.delivery)
        do(store, an_act(Act.CLAIM), NOON + MINUTE + SECOND)
        assert take_edit(store, NOON + MINUTE + SECOND).reviews[0].acts.is_claimed

    def test_right_after_one_that_is_just_being_made(self, store: Store) -> None:
        owe(store, review("a"))
        post(store)
        write(store, review("a", done=1), at=NOON + MINUTE)
        claim = take_edit(store, NOON + MINUTE)
        do(store, an_act(Act.CLAIM), NOON + MINUTE + SECOND)
        assert store.claim_edit(NOON + MINUTE + SECOND, LEASE) is None
        store.settle_edit(edited(claim.delivery, "d", NOON + MINUTE + SECOND, 30 * SECOND), claim.delivery)
        assert take_edit(store, NOON + MINUTE + SECOND).reviews[0].acts.is_claimed

    def test_right_after_a_post_that_is_just_being_made(self, store: Store) -> None:
        owe(store, review("a"))
        claim = take(store)
        do(store, an_act(Act.CLAIM), NOON + SECOND)
        from tests.support.outbox import posted  # noqa: PLC0415

        assert store.settle(posted(claim.delivery, NOON + SECOND), claim.delivery, shown=[review("a").key])
        assert take_edit(store, NOON + SECOND).reviews[0].acts.is_claimed

    def test_before_all_other_edits(self, store: Store) -> None:
        for name in ("a", "b"):
            owe(store, review(name), name=name)
            post(store, ts=f"1.{name}")
        write(store, review("b", done=1), at=NOON + MINUTE)
        do(store, an_act(Act.CLAIM), NOON + 2 * MINUTE)
        assert take_edit(store, NOON + 2 * MINUTE).delivery.key == ident("a")

    def test_not_where_the_act_was_refused(self, store: Store) -> None:
        owe(store, review("a"))
        post(store)
        do(store, an_act(Act.GIVE_BACK))
        assert store.claim_edit(NOON + HOUR, LEASE) is None


class TestAMute:
    def test_is_what_the_next_poll_decides_on(self, store: Store) -> None:
        write(store, review("a"))
        assert memory_of(store).muted_until is None
        do(store, an_act(Act.MUTE, until=NOON + HOUR))
        assert memory_of(store).muted_until == NOON + HOUR
        do(store, an_act(Act.UNMUTE), NOON + MINUTE)
        assert memory_of(store).muted_until is None

    def test_that_ends_early_lets_go_of_what_it_held(self, store: Store) -> None:
        owe(store, review("a"))
        do(store, an_act(Act.MUTE, until=NOON + DAY))
        claim = take(store)
        store.settle(held(claim.delivery, NOON + DAY, claimed_at=NOON), claim.delivery)
        assert store.claim(NOON + HOUR, LEASE) is None
        do(store, an_act(Act.UNMUTE), NOON + HOUR)
        assert take(store, NOON + HOUR).delivery.key == ident("notice")

    def test_takes_back_what_an_announcement_counted_for(self, store: Store) -> None:
        owe(store, review("a", told_at=NOON, generation=1))
        before = memory_of(store).revision
        claim = take(store)
        store.settle(withdrawn(claim.delivery, NOON), claim.delivery)
        (one,) = memory_of(store).reviews
        assert (one.told_at, one.generation) == (None, 1)
        assert memory_of(store).revision > before

    def test_takes_back_what_a_reminder_counted_for_of_what_it_leaves_out(self, store: Store) -> None:
        runs = [review(name, since=NOON - DAY, told_at=NOON, generation=2, reminded=2) for name in "ab"]
        told = replace(notice(*runs, kind=Kind.REMINDER), before=(NOON - HOUR, NOON - HOUR))
        store.update(QUEUE, [], deciding(*runs, notices=[told]), NOON)
        claim = take(store)
        store.settle(posted(claim.delivery), claim.delivery, left_out=[runs[0].key])
        found = {one.facts.name: (one.told_at, one.reminded) for one in memory_of(store).reviews}
        assert found == {"a": (NOON - HOUR, 1), "b": (NOON, 2)}

    def test_is_known_by_what_is_claimed(self, store: Store) -> None:
        owe(store, review("a"))
        do(store, an_act(Act.MUTE, until=NOON + DAY))
        assert take(store).muted_until == NOON + DAY


class TestTheAudit:
    def test_says_who_did_what_on_which_run_through_what_newest_first(self, store: Store) -> None:
        write(store, review("a"))
        do(store, an_act(Act.CLAIM))
        do(store, an_act(Act.MUTE, BEN, until=NOON + HOUR), NOON + MINUTE)
        mute, claim = store.records(10)
        assert (mute.at, mute.action.act, mute.action.actor, mute.action.until) == (
            NOON + MINUTE, Act.MUTE, BEN, NOON + HOUR,
        )  # fmt: skip
        assert (claim.action.actor, claim.action.through, claim.action.queue_run_id) == (ADA, "shell", ident("a"))
        assert (claim.queue, claim.name) == (QUEUE.name, review("a").facts.name)
        assert store.records(1) == [mute]

    def test_goes_with_the_run_and_is_old_where_it_is_of_a_queue(self, store: Store) -> None:
        write(store, review("a"), review("b"))
        do(store, an_act(Act.CLAIM))
        do(store, an_act(Act.CLAIM, name="b"))
        do(store, an_act(Act.MUTE))
        write(store, review("a", closed_at=NOON + HOUR), at=NOON + HOUR)
        store.prune(settled_before=NOON + DAY, closed_before=NOON + DAY)
        assert [each.action.queue_run_id for each in store.records(10)] == [ident("b")]

    def test_forgets_a_person_and_what_the_person_has_taken(self, store: Store) -> None:
        write(store, review("a"), review("b"))
        store.introduce([Reviewer("r1", "Ben", "ben@example.com")], NOON)
        store.answer(replace(next(c for c in store.cards() if c.reviewer_id == "r1"), user=BEN.who))
        do(store, an_act(Act.CLAIM))
        do(store, an_act(Act.CLAIM, BEN, "b"))
        do(store, an_act(Act.NOT_MINE, BEN, "a"), NOON + SECOND)
        before = memory_of(store).revision
        assert store.forget("BEN@example.com", NOON + MINUTE) == 1
        assert acts_of(store, "b") is NO_ACTS
        assert acts_of(store).not_mine == ()
        assert [each.action.actor for each in store.records(10)] == [ADA]
        assert memory_of(store).revision > before

    def test_forgets_a_person_of_whom_it_alone_knows(self, store: Store) -> None:
        write(store, review("a"))
        do(store, an_act(Act.CLAIM))
        assert store.forget("ada@example.com", NOON + MINUTE) == 1
        assert (store.records(10), acts_of(store)) == ([], NO_ACTS)
        assert store.forget("ada@example.com", NOON + MINUTE) == 0

    def test_forgets_somebody_who_is_known_by_a_users_id_alone(self, store: Store) -> None:
        write(store, review("a"), review("b"))
        do(store, an_act(Act.CLAIM, BEN))
        do(store, an_act(Act.CLAIM, name="b"))
        assert store.forget("U0SOMEBODY", NOON + MINUTE) == 0
        assert store.forget(BEN.who, NOON + MINUTE) == 1
        assert (acts_of(store), [each.action.actor for each in store.records(10)]) == (NO_ACTS, [ADA])


@pytest.mark.parametrize("count", [2, 6], ids=["two claims within 50 ms through two workers", "six at once"])
def test_the_first_of_several_who_claim_at_once_wins(sql_store: Store, count: int) -> None:
    write(sql_store, review("a"))
    start = Barrier(count)

    def claim(number: int) -> Refusal | None:
        start.wait()
        return do(sql_store, an_act(Act.CLAIM, Actor(f"U{number}", f"Person {number}"))).refusal

    with ThreadPoolExecutor(count) as pool:
        came = list(pool.map(claim, range(count)))
    assert sorted(came, key=str) == [None, *[Refusal.TAKEN] * (count - 1)]
    assert acts_of(sql_store).claimed_by == f"U{came.index(None)}"
    assert len(sql_store.records(10)) == count


def test_the_same_envelope_on_two_workers_at_once_is_one_act(sql_store: Store) -> None:
    write(sql_store, review("a"))
    start = Barrier(2)

    def claim(_: int) -> Refusal | None:
        start.wait()
        return do(sql_store, an_act(Act.CLAIM, envelope="E1")).refusal

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(claim, range(2)), key=str) == [None, Refusal.REPEATED]
    assert len(sql_store.records(10)) == 1


class TestAnEnvelope:
    def test_is_heard_once_a_day(self, store: Store) -> None:
        assert store.first_heard("E1", NOON)
        assert store.first_heard("E2", NOON)
        assert not store.first_heard("E1", NOON + HOUR)
        assert not store.first_heard("E1", NOON + DAY)
        assert store.first_heard("E1", NOON + DAY + SECOND)

    def test_is_heard_by_one_of_several_workers(self, sql_store: Store) -> None:
        start = Barrier(4)

        def hear(_: int) -> bool:
            start.wait()
            return sql_store.first_heard("E1", NOON)

        with ThreadPoolExecutor(4) as pool:
            assert sorted(pool.map(hear, range(4))) == [False, False, False, True]
