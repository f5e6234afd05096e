"""What every store promises of reviews, polls and small values: memory, SQLite and PostgreSQL alike."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from tests.support.builders import (
    DAY,
    HOUR,
    MINUTE,
    NOON,
    SECOND,
    deciding,
    delivery,
    ident,
    notice,
    plan,
    queue,
    review,
)
from worker.core.model import Access, Facts, Fate, Kind, Memory, Polled, QueueTotals, RemindIn, Review, Reviewer, Who
from worker.core.owed import State
from worker.core.plan import Plan

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from uuid import UUID

    from worker.core.model import Queue, ReviewKey
    from worker.core.store_roles import Store

QUEUE = queue()
OTHER = queue("Other")
ADA, BO = Reviewer("ada", "Ada", "ada@example.com"), Reviewer("bo")
LONG_AGO = datetime(1, 1, 1, tzinfo=UTC)
FAR_AHEAD = datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)
HOSTILE = "<!channel> \0 \ud800 \u202e 🦜 '); DROP TABLE reviews; --"


def recall(store: Store, *keys: str | UUID, of: Queue = QUEUE, now: datetime = NOON) -> Memory:
    """What a decision about a queue would get."""
    seen: list[Memory] = []

    def decide(memory: Memory) -> Plan:
        seen.append(memory)
        return Plan()

    store.update(of, [ident(key) if isinstance(key, str) else key for key in keys], decide, now)
    return seen[-1]


def remembered(store: Store, *keys: str, of: Queue = QUEUE) -> set[Review]:
    return set(recall(store, *keys, of=of).reviews)


def write(store: Store, *reviews: Review, of: Queue = QUEUE, now: datetime = NOON) -> None:
    store.update(of, [], deciding(*reviews), now)


class TestWhatADecisionGets:
    def test_every_open_review_of_the_queue_whatever_was_asked_for(self, store: Store) -> None:
        write(store, review("a"), review("b"))
        assert remembered(store) == {review("a"), review("b")}

    def test_a_closed_review_that_was_asked_for(self, store: Store) -> None:
        write(store, review("a", closed_at=NOON), review("b", closed_at=NOON))
        assert remembered(store, "a") == {review("a", closed_at=NOON)}

    def test_every_closed_stay_of_a_run_that_was_asked_for(self, store: Store) -> None:
        stays = {review("a", added_at=NOON - DAY * n, closed_at=NOON) for n in range(3)}
        write(store, *stays)
        assert remembered(store, "a") == stays

    def test_an_open_review_once_though_it_was_asked_for(self, store: Store) -> None:
        write(store, review("a"))
        assert list(recall(store, "a").reviews) == [review("a")]

    def test_nothing_of_another_queue(self, store: Store) -> None:
        write(store, review("a"), review("b", closed_at=NOON))
        assert remembered(store, "a", "b", of=OTHER) == set()

    def test_the_same_run_in_two_queues_is_two_reviews(self, store: Store) -> None:
        write(store, review("a"))
        write(store, review("a", reserved=True), of=OTHER)
        assert (remembered(store), remembered(store, of=OTHER)) == ({review("a")}, {review("a", reserved=True)})

    def test_that_the_queue_is_unknown_until_a_first_decision_is_written(self, store: Store) -> None:
        assert [recall(store).baselined, recall(store).baselined] == [False, True]

    def test_that_a_queue_is_unknown_whose_polls_only_failed(self, store: Store) -> None:
        store.polled([Polled(QUEUE, failing_since=NOON, error="down")])
        assert not recall(store).baselined

    def test_that_the_queue_is_unknown_still_after_a_decision_that_failed(self, store: Store) -> None:
        with pytest.raises(ZeroDivisionError):
            store.update(QUEUE, [], lambda _: 1 // 0, NOON)  # type: ignore[arg-type, return-value]
        assert not recall(store).baselined

    def test_the_listing_that_was_written_last(self, store: Store) -> None:
        def named(listing: str) -> str:
            memory: list[Memory] = []

            def decide(known: Memory) -> Plan:
                memory.append(known)
                return Plan(listing=listing)

            store.update(QUEUE, [], decide, NOON)
            return memory[-1].listing

        assert [named(listing) for listing in ("a", "", "b", "b")] == ["", "a", "a", "b"]

    def test_the_listing_of_before_where_a_decision_failed(self, store: Store) -> None:
        store.update(QUEUE, [], lambda _: Plan(listing="a"), NOON)
        with pytest.raises(ZeroDivisionError):
            store.update(QUEUE, [], lambda _: Plan(listing="b", notices=1 // 0), NOON)  # type: ignore[arg-type]
        assert recall(store).listing == "a"


class TestWhatIsWritten:
    @pytest.mark.parametrize(
        "kept",
        [
            pytest.param(review("a"), id="a plain review"),
            pytest.param(review("a", added_at=None, since=NOON), id="an undated review"),
            pytest.param(review("a", added_at=LONG_AGO, first_seen_at=LONG_AGO), id="the year 1"),
            pytest.param(review("a", added_at=FAR_AHEAD, first_seen_at=FAR_AHEAD), id="the last microsecond of all"),
            pytest.param(
                review("a", told_at=NOON + timedelta(days=3, microseconds=7)), id="spoken of up to an instant"
            ),
            pytest.param(review("a", told_at=NOON), id="spoken of at once"),
            pytest.param(review("a", told_at=NOON - 5 * SECOND), id="spoken of before its time by a clock set back"),
            pytest.param(review("a", told_at=FAR_AHEAD), id="spoken of in a far future"),
            pytest.param(review("a", generation=41, back=True, reserved=True, done=2), id="counts and flags"),
            pytest.param(review("a", absent_at=NOON), id="absent once"),
            pytest.param(review("a", closed_at=NOON, fate=Fate.REMOVED), id="removed"),
            pytest.param(replace(review("a"), run_id=None), id="a conversation, which has no run"),
            pytest.param(review("a", facts=Facts()), id="no facts"),
            pytest.param(
                review("a", facts=Facts("n", "llm", "https://x/", ("a", "b"), "e", "i", "o", "t", 3, "0.1")),
                id="all facts",
            ),
            pytest.param(review("a", facts=Facts(name=HOSTILE, tags=(HOSTILE, ""))), id="hostile text"),
            pytest.param(review("a", facts=Facts(tokens=0)), id="a count of nothing"),
            pytest.param(review("a", who=Who(("ada", "bo"), ("bo",), ("cy",))), id="who is named in every role"),
            pytest.param(review("a", who=Who(completed_by=("cy",))), id="who has completed it"),
            pytest.param(review("a", who=Who(completed_by=("cy",), disagreed=True)), id="that reviewers disagree"),
            pytest.param(review("a", who=Who(disagreed=True)), id="that reviewers disagree who are not named"),
            pytest.param(review("a", who=Who((HOSTILE, ""), ("ada", "ada"))), id="hostile ids of people"),
        ],
    )
    def test_comes_back_as_it_was(self, store: Store, kept: Review) -> None:
        write(store, kept)
        assert remembered(store, "a") == {kept}

    def test_replaces_what_the_key_held(self, store: Store) -> None:
        write(store, review("a", reserved=True, facts=Facts(name="old"), absent_at=NOON))
        write(store, review("a", told_at=NOON + HOUR, facts=Facts(name="new")))
        assert remembered(store) == {review("a", told_at=NOON + HOUR, facts=Facts(name="new"))}

    def test_replaces_a_closed_review_that_nobody_asked_for(self, store: Store) -> None:
        write(store, review("a", closed_at=NOON))
        write(store, review("a", back=True))
        assert remembered(store, "a") == {review("a", back=True)}

    def test_keeps_an_undated_and_a_dated_stay_apart(self, store: Store) -> None:
        stays = {review("a"), review("a", added_at=None)}
        write(store, *stays)
        assert remembered(store) == stays

    def test_keeps_one_undated_stay_however_often_it_is_written(self, store: Store) -> None:
        for done in range(3):
            write(store, review("a", added_at=None, done=done))
        assert remembered(store, "a") == {review("a", added_at=None, done=2)}

    def test_leaves_alone_what_the_plan_does_not_name(self, store: Store) -> None:
        write(store, review("a"), review("b"))
        write(store, review("b", closed_at=NOON))
        assert remembered(store, "a", "b") == {review("a"), review("b", closed_at=NOON)}

    def test_may_be_far_more_than_one_statement_takes(self, store: Store) -> None:
        many = [review(number) for number in range(2345)]
        store.update(QUEUE, [], deciding(*many, notices=[notice(*many)]), NOON)
        write(store, *(replace(each, closed_at=NOON) for each in many[:2001]))
        keys = [each.queue_run_id for each in many]
        assert sum(each.is_open for each in recall(store, *keys).reviews) == 344
        claim = store.claim(NOON, MINUTE)
        assert claim
        assert (claim.total, claim.waiting) == (2345, 344)

    def test_is_nothing_where_the_decision_fails(self, store: Store) -> None:
        def decide(_: Memory) -> Plan:
            raise RuntimeError

        with pytest.raises(RuntimeError):
            store.update(QUEUE, [], decide, NOON)
        assert (store.deliveries(), remembered(store)) == ([], set())

    def test_is_what_the_caller_gets(self, store: Store) -> None:
        decided = plan(review("a"), notices=[notice(review("a"))], next_due_at=NOON)
        assert store.update(QUEUE, [], lambda _: decided, NOON) == decided


class TestNotices:
    def test_become_pending_deliveries_that_are_due_at_once(self, store: Store) -> None:
        told = notice(
            review("a"), kind=Kind.ESCALATION, mention=("U1", "S2"), channel="C9", remind_in=RemindIn.BOTH, name="x"
        )
        store.update(QUEUE, [], deciding(review("a"), notices=[told]), NOON)
        assert store.deliveries() == [
            delivery("x", kind=Kind.ESCALATION, channel="C9", of=QUEUE, mention=("U1", "S2"), remind_in=RemindIn.BOTH)
        ]

    def test_are_not_owed_twice_under_one_key(self, store: Store) -> None:
        for at in (NOON, NOON + HOUR):
            store.update(QUEUE, [], deciding(review("a"), notices=[notice(review("a"))]), at)
        assert [each.created_at for each in store.deliveries()] == [NOON]

    def test_speak_of_reviews_that_the_plan_does_not_write_too(self, store: Store) -> None:
        write(store, review("a"))
        store.update(QUEUE, [], deciding(notices=[notice(review("a"))]), NOON)
        claim = store.claim(NOON, MINUTE)
        assert claim
        assert claim.reviews == (review("a"),)


class TestQueues:
    def known(self, store: Store) -> Sequence[Queue]:
        return [polled.queue for polled in store.polls()]

    def test_are_known_by_what_langsmith_says_last(self, store: Store) -> None:
        recall(store, of=QUEUE)
        renamed = replace(QUEUE, name="Renamed", url="https://x/", reviewers_per_run=3)
        recall(store, of=renamed)
        assert self.known(store) == [renamed]

    def test_keep_their_name_while_langsmith_does_not_tell_it(self, store: Store) -> None:
        named = replace(QUEUE, url="https://x/", reviewers_per_run=2)
        recall(store, of=named)
        recall(store, of=replace(QUEUE, name=str(QUEUE.queue_id)))
        store.polled([Polled(replace(QUEUE, name=str(QUEUE.queue_id)), failing_since=NOON)])
        assert self.known(store) == [named]

    @pytest.mark.parametrize(
        "shown",
        [
            pytest.param({"access": Access.ANY}, id="that anybody reviews"),
            pytest.param({"access": Access.ASSIGNED}, id="that no one is assigned to so far"),
            pytest.param({"access": Access.ASSIGNED, "assigned": (BO, ADA)}, id="with their reviewers in their order"),
            pytest.param({"assigned": (Reviewer(HOSTILE, HOSTILE, HOSTILE),)}, id="with a hostile reviewer"),
        ],
    )
    def test_come_back_as_they_were_shown(self, store: Store, shown: dict[str, Any]) -> None:
        of = queue("Assigned", reviewers_per_run=2, **shown)
        recall(store, of=of)
        assert self.known(store) == [of]
        assert store.owe(delivery("x", of=of))
        assert [each.queue for each in store.deliveries()] == [of]

    def test_follow_a_switch_from_any_to_assigned_and_a_change_of_reviewers(self, store: Store) -> None:
        for access, assigned in [(Access.ANY, ()), (Access.ASSIGNED, (ADA, BO)), (Access.ASSIGNED, (BO,))]:
            of = replace(QUEUE, access=access, assigned=assigned)
            store.polled([Polled(of, completed_at=NOON)])
            assert self.known(store) == [of]

    def test_keep_their_reviewers_while_langsmith_does_not_show_them(self, store: Store) -> None:
        of = replace(QUEUE, access=Access.ASSIGNED, assigned=(ADA,))
        recall(store, of=of)
        recall(store, of=replace(QUEUE, name=str(QUEUE.queue_id)))
        assert self.known(store) == [of]

    def test_keep_the_count_of_disagreements_until_there_is_another(self, store: Store) -> None:
        for counted, kept in [(None, None), (3, 3), (None, 3), (0, 0)]:
            recall(store, of=replace(QUEUE, disagreed=counted))
            assert self.known(store) == [replace(QUEUE, disagreed=kept)]

    def test_are_called_by_their_id_until_their_name_is_known(self, store: Store) -> None:
        unnamed = replace(QUEUE, name=str(QUEUE.queue_id))
        recall(store, of=unnamed)
        assert self.known(store) == [unnamed]

    def test_get_their_link_also_while_they_are_called_by_their_id(self, store: Store) -> None:
        unnamed = replace(QUEUE, name=str(QUEUE.queue_id))
        recall(store, of=unnamed)
        recall(store, of=replace(unnamed, url="https://x/", disagreed=2))
        assert self.known(store) == [replace(unnamed, url="https://x/", disagreed=2)]

    def test_are_listed_by_name(self, store: Store) -> None:
        for name in ("b", "C", "ä", "a"):
            recall(store, of=queue(name))
        assert [each.name for each in self.known(store)] == ["C", "a", "b", "ä"]


class TestPolls:
    def test_of_no_queue_are_none(self, store: Store) -> None:
        assert store.polls() == []

    def test_tell_when_the_queue_was_first_seen_completely(self, store: Store) -> None:
        recall(store, now=NOON)
        recall(store, now=NOON + HOUR)
        assert store.polls() == [Polled(QUEUE, baselined_at=NOON)]

    def test_are_remembered_for_many_queues_at_once(self, store: Store) -> None:
        polls = [Polled(QUEUE, completed_at=NOON), Polled(OTHER, failing_since=NOON, error="down")]
        store.polled(polls)
        assert store.polls() == sorted(polls, key=lambda each: each.queue.name)

    def test_that_fail_leave_the_last_complete_one_alone(self, store: Store) -> None:
        recall(store)
        store.polled([Polled(QUEUE, completed_at=NOON)])
        store.polled([Polled(QUEUE, failing_since=NOON + HOUR, error="down")])
        assert store.polls() == [Polled(QUEUE, NOON, NOON, NOON + HOUR, "down")]

    def test_that_succeed_again_forget_the_failure(self, store: Store) -> None:
        store.polled([Polled(QUEUE, failing_since=NOON, error="down")])
        store.polled([Polled(QUEUE, completed_at=NOON + HOUR)])
        assert store.polls() == [Polled(QUEUE, completed_at=NOON + HOUR)]


class TestLearning:
    def left(self, store: Store, *keys: str) -> dict[ReviewKey, Fate | None]:
        return {each.key: each.fate for each in remembered(store, *keys)}

    def test_how_a_run_left(self, store: Store) -> None:
        write(store, review("a", closed_at=NOON), review("b", closed_at=NOON))
        store.learn(QUEUE.queue_id, {ident("a"): Fate.REVIEWED}, NOON)
        assert self.left(store, "a", "b") == {review("a").key: Fate.REVIEWED, review("b").key: None}

    def test_concerns_the_stay_that_ended_last(self, store: Store) -> None:
        stays = [review("a", added_at=NOON - HOUR * n, closed_at=NOON + DAY * n) for n in range(3)]
        write(store, *reversed(stays))
        store.learn(QUEUE.queue_id, {ident("a"): Fate.REMOVED}, NOON)
        assert self.left(store, "a") == dict(zip((each.key for each in stays), (None, None, Fate.REMOVED), strict=True))

    def test_does_not_concern_a_run_that_waits(self, store: Store) -> None:
        write(store, review("a"))
        store.learn(QUEUE.queue_id, {ident("a"): Fate.REVIEWED}, NOON)
        assert remembered(store) == {review("a")}

    def test_does_not_concern_another_queue(self, store: Store) -> None:
        write(store, review("a", closed_at=NOON))
        recall(store, of=OTHER)
        store.learn(OTHER.queue_id, {ident("a"): Fate.REVIEWED}, NOON)
        assert self.left(store, "a") == {review("a").key: None}

    def test_of_runs_and_queues_that_were_never_seen_is_nothing(self, store: Store) -> None:
        store.learn(OTHER.queue_id, {ident("a"): Fate.REVIEWED}, NOON)
        assert store.polls() == []


class TestTheRevisionOfAQueue:
    """It rises with each act on the queue's reviews from outside a poll, and with nothing else."""

    def revision(self, store: Store, of: Queue = QUEUE) -> int:
        """As it is told with what is noted of the polls, and as a decision gets it."""
        revision = store.polled([Polled(of, completed_at=NOON)])[of.queue_id]
        assert recall(store, of=of).revision == revision
        return revision

    def test_is_not_raised_by_polls(self, store: Store) -> None:
        waits = review("a")
        before = self.revision(store)
        store.update(QUEUE, [], deciding(waits, notices=[notice(waits)]), NOON)
        write(store, replace(waits, closed_at=NOON))
        assert self.revision(store) == before

    def test_is_raised_by_a_name_that_is_learned_once(self, store: Store) -> None:
        write(store, review("a"))
        before = self.revision(store), self.revision(store, OTHER)
        for _ in range(2):
            store.describe(QUEUE.queue_id, {ident("a"): Facts(name="named"), ident("b"): Facts(name="gone")}, NOON)
        assert (self.revision(store), self.revision(store, OTHER)) == (before[0] + 1, before[1])

    def test_is_raised_by_a_fate_that_is_learned_once(self, store: Store) -> None:
        write(store, review("a", closed_at=NOON))
        before = self.revision(store)
        for _ in range(2):
            store.learn(QUEUE.queue_id, {ident("a"): Fate.REVIEWED}, NOON)
        assert self.revision(store) == before + 1

    def test_is_raised_by_a_delivery_that_is_tried_again(self, store: Store) -> None:
        store.owe(delivery("dead", state=State.DEAD, of=QUEUE))
        store.owe(delivery("sent", state=State.SENT, of=QUEUE))
        store.owe(delivery("ops", kind=Kind.OPS, state=State.DEAD))
        before = self.revision(store)
        for name in ("dead", "sent", "ops"):
            store.retry(ident(name), NOON)
        assert self.revision(store) == before + 1


class TestStanding:
    def test_of_an_unknown_queue_is_nothing(self, store: Store) -> None:
        assert store.standing(QUEUE.queue_id, NOON) == QueueTotals()

    def test_counts_open_reviews_and_the_stale_among_them(self, store: Store) -> None:
        waits = [review(hours, since=NOON - HOUR * hours) for hours in range(5)]
        write(store, *waits, review("closed", since=NOON - DAY, closed_at=NOON))
        write(store, review("elsewhere", since=NOON - DAY), of=OTHER)
        assert store.standing(QUEUE.queue_id, NOON - 3 * HOUR) == QueueTotals(
            waiting=5, stale=2, oldest_since=NOON - 4 * HOUR
        )

    def test_counts_the_reserved_among_them(self, store: Store) -> None:
        write(store, review("a", reserved=True), review("b"), review("c", reserved=True, closed_at=NOON))
        assert store.standing(QUEUE.queue_id, None).reserved == 1

    def test_counts_those_whose_traces_expire_soon(self, store: Store) -> None:
        ends = [NOON + HOUR, NOON + DAY, None]
        write(store, *(review(number, expires_at=at) for number, at in enumerate(ends)))
        write(store, review("closed", expires_at=NOON, closed_at=NOON))
        found = store.standing(QUEUE.queue_id, None, NOON + HOUR)
        assert (found.expiring, found.expires_at) == (1, NOON + HOUR)
        assert store.standing(QUEUE.queue_id, None).expiring == 0

    def test_calls_nothing_stale_where_nothing_ever_is(self, store: Store) -> None:
        write(store, review("a", since=NOON - DAY))
        assert store.standing(QUEUE.queue_id, None) == QueueTotals(waiting=1, oldest_since=NOON - DAY)

    @pytest.mark.parametrize(
        ("states", "undelivered", "dead"),
        [
            pytest.param(
                [State.PENDING, State.SENDING, State.UNKNOWN, State.HELD], 4, 0, id="live ones are undelivered"
            ),
            pytest.param([State.SENT, State.WITHDRAWN], 0, 0, id="sent and withdrawn ones are done"),
            pytest.param([State.DEAD, State.DEAD], 0, 2, id="dead ones"),
        ],
    )
    def test_counts_what_is_owed(self, store: Store, states: Collection[State], undelivered: int, dead: int) -> None:
        for number, state in enumerate(states):
            store.owe(delivery(f"{number}", state=state))
        store.owe(delivery("elsewhere", of=OTHER))
        store.owe(delivery("ops", kind=Kind.OPS))
        assert store.standing(QUEUE.queue_id, NOON) == QueueTotals(undelivered=undelivered, dead=dead)


class TestSmallValues:
    def test_are_unknown_at_first(self, store: Store) -> None:
        assert store.recall("api") is None

    def test_are_kept_by_name_the_last_counts(self, store: Store) -> None:
        store.remember("api", "runs")
        store.remember("api", "items")
        store.remember("roster", "")
        assert (store.recall("api"), store.recall("roster")) == ("items", "")
