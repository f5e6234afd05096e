"""What every store promises of messages that stay true: owing an edit, claiming it, settling it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from tests.support.builders import (
    DAY,
    EDIT_EVERY,
    HOUR,
    LEADS,
    LEASE,
    MINUTE,
    NOON,
    SECOND,
    delivery,
    ident,
    queue,
    review,
)
from tests.support.outbox import QUEUE, owe, post, posted, put_back, row, take, take_edit, write
from worker.core.model import Fate, Kind
from worker.core.owed import Receipt, State

if TYPE_CHECKING:
    from datetime import datetime

    from worker.core.model import Queue
    from worker.core.owed import Claim, Delivery
    from worker.core.store_roles import Store

LATER = NOON + HOUR


def close(store: Store, name: str = "a", at: datetime = LATER) -> None:
    """One run is reviewed."""
    write(store, review(name, closed_at=at), at=at)


def edited(claim: Claim, at: datetime) -> Delivery:
    """What a delivery becomes by an edit that succeeded."""
    delivery = claim.delivery
    edits, held_until = delivery.edits + 1, at + EDIT_EVERY
    return replace(delivery, edit_at=None, edited_at=at, edit_held_until=held_until, edits=edits, digest=f"as of {at}")


def edit(store: Store, at: datetime) -> None:
    """Make an edit that is owed."""
    claim = take_edit(store, at)
    assert store.settle_edit(edited(claim, at), claim.delivery)


class TestAnEditIsOwed:
    def test_for_a_message_that_speaks_of_a_review_that_is_written(self, store: Store) -> None:
        owe(store, review("a"), review("b"))
        post(store)
        assert row(store).edit_at is None
        close(store)
        assert row(store).edit_at == LATER

    def test_for_every_such_message(self, store: Store) -> None:
        for name in ("first", "second"):
            owe(store, review("a"), name=name)
            post(store)
        close(store)
        assert [each.edit_at for each in store.deliveries()] == [LATER, LATER]

    def test_not_for_one_that_speaks_of_others(self, store: Store) -> None:
        owe(store, review("a"))
        post(store)
        close(store, "b")
        assert row(store).edit_at is None

    def test_not_for_one_that_did_not_speak_of_it_after_all(self, store: Store) -> None:
        owe(store, review("a"), review("b"))
        post(store, left_out=[review("a").key])
        close(store)
        assert row(store).edit_at is None

    def test_not_for_the_same_run_in_another_queue(self, store: Store) -> None:
        owe(store, review("a"))
        post(store)
        write(store, review("a", closed_at=LATER), at=LATER, of=queue("Other"))
        assert row(store).edit_at is None

    def test_not_for_another_stay_of_the_same_run(self, store: Store) -> None:
        owe(store, review("a", closed_at=NOON))
        post(store)
        write(store, review("a", added_at=NOON + MINUTE), at=LATER)
        assert row(store).edit_at is None

    def test_when_it_is_learned_how_a_run_left(self, store: Store) -> None:
        owe(store, review("a", closed_at=NOON))
        post(store)
        store.learn(QUEUE.queue_id, {ident("a"): Fate.REMOVED}, LATER)
        assert row(store).edit_at == LATER

    def test_not_when_that_was_known(self, store: Store) -> None:
        owe(store, review("a", closed_at=NOON, fate=Fate.REMOVED))
        post(store)
        store.learn(QUEUE.queue_id, {ident("a"): Fate.REMOVED}, LATER)
        assert row(store).edit_at is None

    @pytest.mark.parametrize(
        ("state", "owed"),
        [
            (State.PENDING, False),
            (State.SENDING, True),
            (State.UNKNOWN, True),
            (State.HELD, False),
            (State.WITHDRAWN, False),
            (State.DEAD, False),
        ],
        ids=lambda value: getattr(value, "value", value),
    )
    def test_for_one_that_may_be_posted(self, store: Store, state: State, *, owed: bool) -> None:
        owe(store, review("a"))
        if state is State.SENDING:
            take(store)
        elif state is not State.PENDING:
            put_back(store, take(store), NOON + DAY, state=state)
        close(store)
        assert (row(store).edit_at == LATER) is owed

    @pytest.mark.parametrize(
        ("state", "owed"),
        [(State.PENDING, True), (State.HELD, True), (State.WITHDRAWN, False), (State.DEAD, False)],
        ids=lambda value: getattr(value, "value", value),
    )
    def test_for_one_that_waits_while_an_attempt_is_in_doubt(self, store: Store, state: State, *, owed: bool) -> None:
        owe(store, review("a"))
        put_back(store, take(store), NOON + DAY, state=state, attempted_at=NOON)
        close(store)
        assert (row(store).edit_at == LATER) is owed

    @pytest.mark.parametrize(
        ("edit_for", "owed"),
        [
            pytest.param(None, False, id="not where messages are not kept true"),
            pytest.param(HOUR - SECOND, False, id="not any more"),
            pytest.param(HOUR, False, id="not in the instant when that ends"),
            pytest.param(HOUR + SECOND, True, id="still"),
        ],
    )
    def test_as_long_as_the_message_is_kept_true(self, store: Store, edit_for: object, *, owed: bool) -> None:
        owe(store, review("a"))
        post(store, edit_for=edit_for)  # type: ignore[arg-type]
        close(store)
        assert (row(store).edit_at is not None) is owed


class TestWhenAnEditIsOwed:
    def test_is_not_before_the_last_one_has_stood_for_a_while(self, store: Store) -> None:
        owe(store, review("a"), review("b"))
        post(store)
        close(store, "a")
        edit(store, LATER)
        close(store, "b", LATER + SECOND)
        assert row(store).edit_at == LATER + EDIT_EVERY

    def test_is_at_once_where_the_last_one_is_long_ago(self, store: Store) -> None:
        owe(store, review("a"), review("b"))
        post(store)
        close(store, "a")
        edit(store, LATER)
        close(store, "b", LATER + DAY)
        assert row(store).edit_at == LATER + DAY

    def test_is_not_before_a_post_under_way_has_ended(self, store: Store) -> None:
        owe(store, review("a"))
        take(store)
        close(store, at=NOON + SECOND)
        assert row(store).edit_at == NOON + LEASE

    def test_outlives_the_post(self, store: Store) -> None:
        owe(store, review("a"))
        claim = take(store)
        close(store, at=NOON + SECOND)
        assert store.settle(posted(claim.delivery), claim.delivery, shown=[review("a").key])
        assert row(store).edit_at == NOON + LEASE
        assert take_edit(store, NOON + LEASE).waiting == 0

    def test_is_what_is_due_next(self, store: Store) -> None:
        owe(store, review("a"))
        post(store)
        close(store)
        assert store.next_due_at() == LATER

    def test_is_not_due_while_it_is_being_made(self, store: Store) -> None:
        owe(store, review("a"))
        post(store)
        close(store)
        take_edit(store, LATER)
        assert store.next_due_at() == LATER + LEASE

    def test_is_not_due_before_the_message_is_sent(self, store: Store) -> None:
        owe(store, review("a"))
        put_back(store, take(store), NOON + DAY, state=State.UNKNOWN)
        close(store)
        assert store.next_due_at() == NOON + DAY


class TestClaimingAnEdit:
    def test_of_nothing_owed_is_nothing(self, store: Store) -> None:
        owe(store, review("a"))
        post(store)
        assert store.claim_edit(NOON + DAY, LEASE) is None

    def test_is_not_possible_before_it_is_due(self, store: Store) -> None:
        owe(store, review("a"))
        post(store)
        close(store)
        assert store.claim_edit(LATER - SECOND, LEASE) is None

    @pytest.mark.parametrize("state", [state for state in State if state is not State.SENT], ids=lambda s: s.value)
    def test_takes_only_what_is_sent(self, store: Store, state: State) -> None:
        store.owe(delivery(state=state, edit_at=NOON, edit_until=NOON + DAY))
        assert store.claim_edit(NOON, LEASE) is None

    def test_takes_what_is_owed_longest(self, store: Store) -> None:
        for name, late in (("b", 2), ("a", 3), ("c", 1)):
            owed = delivery(name, state=State.SENT, edit_at=NOON - late * MINUTE, edit_until=NOON + DAY)
            store.owe(owed)
        assert [take_edit(store).delivery.key for _ in range(3)] == [ident("a"), ident("b"), ident("c")]

    def test_leaves_channels_that_are_skipped(self, store: Store) -> None:
        store.owe(delivery(channel=LEADS, state=State.SENT, edit_at=NOON, edit_until=NOON + DAY))
        assert store.claim_edit(NOON, LEASE, {LEADS}) is None
        assert store.claim_edit(NOON, LEASE, {"C9"})

    def test_makes_it_ours_until_the_lease_ends(self, store: Store) -> None:
        owe(store, review("a"))
        post(store)
        close(store)
        claim = take_edit(store, LATER)
        assert claim.delivery.lease_until == LATER + LEASE
        assert claim.delivery.state is State.SENT
        assert store.claim_edit(LATER + LEASE - SECOND, LEASE) is None
        assert store.claim_edit(LATER + LEASE, LEASE)

    def test_brings_those_that_wait_oldest_first_then_those_that_left_and_counts_all(self, store: Store) -> None:
        runs = [review(n, since=NOON - n * HOUR) for n in range(5)]
        owe(store, *runs)
        post(store, shown=[runs[0].key, runs[3].key, runs[1].key], left_out=[runs[4].key])
        closed = replace(runs[3], closed_at=LATER)
        write(store, closed, replace(runs[2], closed_at=LATER), at=LATER)
        claim = take_edit(store, LATER)
        later = replace(runs[2], closed_at=LATER)
        assert claim.reviews == (runs[1], runs[0], closed, later)
        assert (claim.total, claim.waiting) == (4, 2)

    def test_lists_what_the_last_attempt_showed(self, store: Store) -> None:
        owe(store, review("a"), review("b"))
        claim = take(store)
        after = replace(claim.delivery, state=State.UNKNOWN, due_at=NOON)
        store.settle(after, claim.delivery, shown=[review("a").key, review("b").key])
        post(store, shown=[review("b").key])
        close(store, "b")
        assert take_edit(store, LATER).reviews == (review("a"), review("b", closed_at=LATER))

    def test_lists_nothing_that_was_left_out_after_all(self, store: Store) -> None:
        owe(store, review("a"), review("b"))
        claim = take(store)
        after = replace(claim.delivery, state=State.UNKNOWN, due_at=NOON)
        store.settle(after, claim.delivery, shown=[review("a").key, review("b").key])
        post(store, shown=[], left_out=[review("a").key])
        close(store, "b")
        assert take_edit(store, LATER).reviews == (review("b", closed_at=LATER),)

    def test_brings_no_root(self, store: Store) -> None:
        owe(store, review("a"))
        post(store)
        close(store)
        assert (take_edit(store, LATER).root, row(store).successor) == (None, None)


class TestSettlingAnEdit:
    def claimed(self, store: Store) -> Claim:
        owe(store, review("a"), review("b"))
        post(store)
        close(store, "a")
        return take_edit(store, LATER)

    def test_writes_what_became_of_it_and_ends_the_lease(self, store: Store) -> None:
        claim = self.claimed(store)
        after = replace(edited(claim, LATER), edit_until=LATER, last_error="why")
        assert store.settle_edit(after, claim.delivery)
        assert row(store) == replace(after, lease_until=None)

    def test_may_owe_it_again_later(self, store: Store) -> None:
        claim = self.claimed(store)
        assert store.settle_edit(replace(claim.delivery, edit_at=LATER + HOUR), claim.delivery)
        assert (row(store).edit_at, row(store).lease_until) == (LATER + HOUR, None)

    def test_needs_the_lease_that_the_claim_got(self, store: Store) -> None:
        claim = self.claimed(store)
        take_edit(store, LATER + LEASE)
        assert not store.settle_edit(edited(claim, LATER), claim.delivery)
        assert (row(store).edits, row(store).edit_at) == (0, LATER)

    def test_is_done_once(self, store: Store) -> None:
        claim = self.claimed(store)
        assert [store.settle_edit(edited(claim, LATER), claim.delivery) for _ in range(2)] == [True, False]

    def test_keeps_an_edit_that_was_owed_meanwhile(self, store: Store) -> None:
        claim = self.claimed(store)
        close(store, "b", LATER + SECOND)
        assert store.settle_edit(edited(claim, LATER), claim.delivery)
        assert row(store).edit_at == LATER + LEASE

    def test_lets_a_slow_edit_stand_for_a_while_as_well(self, store: Store) -> None:
        claim = self.claimed(store)
        close(store, "b", LATER + SECOND)
        assert store.settle_edit(edited(claim, LATER + LEASE - SECOND), claim.delivery)
        assert row(store).edit_at == LATER + LEASE - SECOND + EDIT_EVERY

    def test_that_failed_keeps_an_edit_that_was_owed_meanwhile(self, store: Store) -> None:
        claim = self.claimed(store)
        close(store, "b", LATER + SECOND)
        assert store.settle_edit(replace(claim.delivery, edit_at=LATER + DAY, last_error="why"), claim.delivery)
        assert row(store).edit_at == LATER + LEASE

    def test_of_a_message_that_is_given_up_ends_its_edits(self, store: Store) -> None:
        claim = self.claimed(store)
        close(store, "b", LATER + SECOND)
        assert store.settle_edit(replace(claim.delivery, edit_at=None, edit_until=None), claim.delivery)
        assert store.claim_edit(LATER + DAY, LEASE) is None
        assert store.next_due_at() is None

    def test_of_what_was_never_claimed_or_owed_is_refused(self, store: Store) -> None:
        owe(store, review("a"))
        post(store)
        assert not store.settle_edit(row(store), row(store))
        assert not store.settle_edit(delivery("x", lease_until=NOON), delivery("x", lease_until=NOON))

    def test_keeps_a_successor_that_came_meanwhile(self, store: Store) -> None:
        owe(store, review("a"), name="first", kind=Kind.REMINDER)
        post(store)
        write(store, review("a", reserved=True), at=LATER)
        claim = take_edit(store, LATER)
        owe(store, review("a", reserved=True), name="second", kind=Kind.REMINDER, at=LATER)
        post(store, LATER + SECOND)
        assert store.settle_edit(edited(claim, LATER), claim.delivery)
        assert (row(store, "first").successor, row(store, "first").edit_at) == (ident("second"), LATER + LEASE)


class TestSuccessors:
    """A former reminder points to a newer one that tells all that it told and that still waits."""

    def reminder(self, store: Store, *names: str, at: datetime, ts: str = "1.1", **kind: object) -> None:
        owe(
            store,
            *(review(name) for name in names),
            name=f"reminder at {at}",
            at=at,
            **{"kind": Kind.REMINDER, **kind},  # type: ignore[arg-type]
        )
        post(store, at, ts=ts)

    def successors(self, store: Store) -> list[bool]:
        """Oldest first, whether each message points to a newer one."""
        return [each.successor is not None for each in reversed(store.deliveries())]

    def test_the_former_points_to_the_newer_and_is_owed_an_edit(self, store: Store) -> None:
        self.reminder(store, "a", "b", at=NOON)
        self.reminder(store, "a", "b", "c", at=LATER, ts="2.2")
        former = row(store, f"reminder at {NOON}")
        assert (former.successor, former.edit_at) == (ident(f"reminder at {LATER}"), LATER)
        assert take_edit(store, LATER).successor == Receipt(former.destination.place, "2.2")

    def test_not_where_something_that_waits_is_not_told_again(self, store: Store) -> None:
        self.reminder(store, "a", "b", at=NOON)
        self.reminder(store, "b", at=LATER)
        assert self.successors(store) == [False, False]

    def test_where_the_rest_was_reviewed(self, store: Store) -> None:
        self.reminder(store, "a", "b", at=NOON)
        close(store, "a", NOON + MINUTE)
        self.reminder(store, "b", at=LATER)
        assert self.successors(store) == [True, False]

    def test_where_the_rest_was_not_told_after_all(self, store: Store) -> None:
        owe(store, review("a"), review("b"), kind=Kind.REMINDER)
        post(store, left_out=[review("a").key])
        self.reminder(store, "b", at=LATER)
        assert self.successors(store) == [True, False]

    def test_not_where_the_newer_left_a_run_out(self, store: Store) -> None:
        self.reminder(store, "a", "b", at=NOON)
        owe(store, review("a"), review("b"), kind=Kind.REMINDER, at=LATER)
        post(store, LATER, left_out=[review("a").key])
        assert self.successors(store) == [False, False]

    def test_not_where_all_was_reviewed_since_that_is_said_already(self, store: Store) -> None:
        self.reminder(store, "a", at=NOON)
        close(store, "a", NOON + MINUTE)
        self.reminder(store, "b", at=LATER)
        assert self.successors(store) == [False, False]

    @pytest.mark.parametrize(
        "other",
        [
            pytest.param({"kind": Kind.ESCALATION}, id="an escalation"),
            pytest.param({"kind": Kind.ANNOUNCEMENT}, id="an announcement"),
            pytest.param({"channel": LEADS}, id="a reminder in another channel"),
            pytest.param({"of": queue("Other")}, id="a reminder of another queue"),
        ],
    )
    def test_concern_reminders_of_one_queue_in_one_channel_and_not(
        self, store: Store, other: dict[str, object]
    ) -> None:
        self.reminder(store, "a", at=NOON, **other)  # type: ignore[arg-type]
        self.reminder(store, "a", at=LATER)
        self.reminder(store, "a", at=LATER + HOUR, **other)  # type: ignore[arg-type]
        expected = "kind" not in other
        assert self.successors(store) == [expected, False, False]

    def test_are_only_what_is_really_sent(self, store: Store) -> None:
        self.reminder(store, "a", at=NOON)
        owe(store, review("a"), kind=Kind.REMINDER, at=LATER)
        put_back(store, take(store, LATER), LATER, state=State.UNKNOWN)
        assert self.successors(store) == [False, False]

    def test_are_found_by_a_look_up_too(self, store: Store) -> None:
        self.reminder(store, "a", at=NOON)
        owe(store, review("a"), kind=Kind.REMINDER, at=LATER)
        put_back(store, take(store, LATER), LATER, state=State.UNKNOWN)
        post(store, LATER)
        assert self.successors(store) == [True, False]

    def test_are_not_pointed_to_by_a_message_that_is_not_kept_true(self, store: Store) -> None:
        owe(store, review("a"), kind=Kind.REMINDER)
        post(store, edit_for=None)
        self.reminder(store, "a", at=LATER)
        assert self.successors(store) == [False, False]

    def test_are_pointed_to_once(self, store: Store) -> None:
        for number in range(3):
            self.reminder(store, "a", at=NOON + number * HOUR, ts=f"{number}.0")
        assert [each.successor for each in reversed(store.deliveries())] == [
            ident(f"reminder at {NOON + HOUR}"),
            ident(f"reminder at {NOON + 2 * HOUR}"),
            None,
        ]

    def test_that_are_forgotten_are_not_brought_any_more(self, store: Store) -> None:
        self.reminder(store, "a", at=NOON)
        owe(store, review("a"), kind=Kind.REMINDER, at=LATER)
        post(store, LATER, edit_for=None)
        assert store.prune(settled_before=LATER + SECOND, closed_before=NOON) == 1
        assert take_edit(store, LATER).successor is None


class TestUnexplained:
    """Runs that left nobody knows how, and which a message shows that is kept true."""

    def ask(self, store: Store, *, at: datetime = LATER, of: Queue = QUEUE, most: int = 9) -> list[str]:
        names = {ident(name): name for name in "abcd"}
        return [names[found] for found in store.unexplained(of.queue_id, at, most)]

    def test_are_those_of_a_message(self, store: Store) -> None:
        owe(store, review("a"), review("b"))
        post(store)
        assert self.ask(store) == []
        close(store)
        assert self.ask(store) == ["a"]
        assert self.ask(store, of=queue("Other")) == []

    def test_are_none_of_which_something_was_learned(self, store: Store) -> None:
        owe(store, *(review(name, closed_at=NOON) for name in "abc"))
        post(store)
        store.learn(QUEUE.queue_id, {ident("a"): Fate.REMOVED, ident("b"): Fate.UNKNOWN}, NOON)
        assert self.ask(store) == ["c"]

    def test_come_with_the_last_that_left_first_and_not_too_many(self, store: Store) -> None:
        left = {"a": NOON, "b": NOON + MINUTE, "c": NOON + SECOND}
        owe(store, *(review(name, closed_at=at) for name, at in left.items()))
        post(store)
        assert self.ask(store) == ["b", "c", "a"]
        assert self.ask(store, most=2) == ["b", "c"]

    def test_are_told_once_however_many_messages_show_them(self, store: Store) -> None:
        for name in ("first", "second"):
            owe(store, review("a", closed_at=NOON), name=name)
            post(store)
        assert self.ask(store) == ["a"]

    def test_are_those_that_it_lists(self, store: Store) -> None:
        owe(store, *(review(name, closed_at=NOON) for name in "abc"))
        post(store, shown=[review("a").key, review("b").key], left_out=[review("b").key])
        assert self.ask(store) == ["a"]

    def test_are_all_that_it_may_come_to_list(self, store: Store) -> None:
        owe(store, review("a", closed_at=NOON), review("b"))
        assert self.ask(store) == []
        take(store)
        assert self.ask(store) == ["a"]
        store.lapse(NOON, NOON)
        assert self.ask(store) == ["a"]

    def test_are_none_once_the_message_is_not_kept_true(self, store: Store) -> None:
        owe(store, review("a", closed_at=NOON))
        post(store, edit_for=HOUR + SECOND)
        assert self.ask(store) == ["a"]
        assert self.ask(store, at=LATER + SECOND) == []

    def test_are_not_those_that_are_back(self, store: Store) -> None:
        owe(store, review("a", closed_at=NOON))
        post(store)
        back = review("a", added_at=NOON + MINUTE)
        write(store, back)
        assert self.ask(store) == []
        write(store, replace(back, closed_at=LATER))
        assert self.ask(store) == [], "no message shows the later stay"

    @pytest.mark.parametrize("added_at", [None, NOON - DAY], ids=["undated", "dated"])
    def test_are_not_earlier_stays_of_a_run_that_came_back(self, store: Store, added_at: datetime | None) -> None:
        older = replace(review("a", closed_at=NOON), added_at=added_at)
        owe(store, older)
        post(store)
        assert self.ask(store) == ["a"]
        write(store, replace(older, added_at=NOON - HOUR))
        assert self.ask(store) == []


class TestAllMessagesShownAgain:
    def test_are_owed_an_edit_each_while_they_are_kept_true(self, store: Store) -> None:
        for name in ("a", "b"):
            owe(store, review(name), name=name)
            post(store, ts=f"1.{name}")
        owe(store, review("c"), name="c")
        assert store.claim_edit(NOON + MINUTE, LEASE) is None
        assert store.reshow(NOON + MINUTE) == 2
        taken = {take_edit(store, NOON + MINUTE).delivery.key for _ in range(2)}
        assert taken == {ident("a"), ident("b")}

    def test_are_not_once_they_are_kept_true_no_more(self, store: Store) -> None:
        owe(store, review("a"))
        post(store)
        assert store.reshow(NOON + 30 * DAY) == 0
