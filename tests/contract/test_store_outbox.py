"""What every store promises of the outbox: owing, claiming, settling, pausing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from tests.support.builders import (
    CHANNEL,
    DAY,
    HOUR,
    LEADS,
    LEASE,
    MINUTE,
    NOON,
    SECOND,
    delivery,
    ident,
    pause,
    queue,
    receipt,
    review,
    to,
)
from tests.support.outbox import QUEUE, owe, post, posted, put_back, row, take, write
from worker.core.model import Kind, RemindIn
from worker.core.outbox import ready_at
from worker.core.owed import EVERYWHERE, NEVER, Backlog, Receipt, State

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from worker.core.owed import Delivery, Destination
    from worker.core.store_roles import Store

SETTLED = (State.SENT, State.WITHDRAWN, State.DEAD)


class TestOwing:
    @pytest.mark.parametrize(
        "owed",
        [
            pytest.param(delivery(kind=Kind.OPS, text="one line"), id="trouble of the worker's own"),
            pytest.param(
                delivery(
                    mention=("U1",),
                    remind_in=RemindIn.THREAD,
                    text="x",
                    state=State.UNKNOWN,
                    attempts=3,
                    attempted_at=NOON,
                    looks=1,
                    plain=True,
                    last_error="<b>\u202e",
                    receipt=receipt(),
                    settled_at=NOON,
                    edit_at=NOON,
                    edited_at=NOON,
                    edit_held_until=NOON + MINUTE,
                    edits=2,
                    edit_until=NEVER,
                    digest="d",
                    successor=ident("later"),
                ),
                id="every field",
            ),
        ],
    )
    def test_keeps_what_it_was_given(self, store: Store, owed: Delivery) -> None:
        assert store.owe(owed)
        assert store.deliveries() == [owed]

    def test_the_same_key_twice_changes_nothing(self, store: Store) -> None:
        first = delivery(kind=Kind.OPS, text="first")
        assert [store.owe(first), store.owe(replace(first, text="second"))] == [True, False]
        assert store.deliveries() == [first]


class TestClaiming:
    def test_of_an_empty_outbox_is_nothing(self, store: Store) -> None:
        assert store.claim(NOON, LEASE) is None

    @pytest.mark.parametrize("late", [0 * SECOND, SECOND, DAY])
    def test_takes_what_is_due(self, store: Store, late: object) -> None:
        store.owe(delivery(due_at=NOON))
        assert take(store, NOON + late).delivery.key == ident("notice")  # type: ignore[operator]

    def test_leaves_what_is_due_later(self, store: Store) -> None:
        store.owe(delivery(due_at=NOON + SECOND))
        assert store.claim(NOON, LEASE) is None

    @pytest.mark.parametrize("state", SETTLED)
    def test_leaves_what_is_settled(self, store: Store, state: State) -> None:
        store.owe(delivery(state=state))
        assert store.claim(NOON + DAY, LEASE) is None

    def test_takes_what_is_due_longest(self, store: Store) -> None:
        for name, late in (("b", 2), ("a", 3), ("c", 1)):
            store.owe(delivery(name, kind=Kind.OPS, due_at=NOON - late * MINUTE))
        assert [take(store).delivery.key for _ in range(3)] == [ident("a"), ident("b"), ident("c")]

    def test_leaves_channels_that_are_skipped(self, store: Store) -> None:
        store.owe(delivery("a", kind=Kind.OPS, channel="C1"))
        store.owe(delivery("b", kind=Kind.OPS, channel="C2"))
        assert take(store, skip={to("C1"), to("C9")}).delivery.key == ident("b")
        assert store.claim(NOON, LEASE, {to("C1")}) is None

    @pytest.mark.parametrize("channel", [to("C1"), EVERYWHERE])
    def test_looks_up_alone_where_nothing_is_posted(self, store: Store, channel: Destination) -> None:
        store.owe(delivery("a", kind=Kind.OPS, channel="C1"))
        store.owe(delivery("b", kind=Kind.OPS, channel="C1", state=State.UNKNOWN, attempted_at=NOON))
        looked = store.claim(NOON, LEASE, (), {channel})
        assert looked
        assert looked.delivery.key == ident("b")
        assert store.claim(NOON, LEASE, (), {channel}) is None
        assert take(store).delivery.key == ident("a")

    def test_looks_nothing_up_where_no_looks_are_wanted(self, store: Store) -> None:
        store.owe(delivery("lapsed", kind=Kind.OPS, due_at=NOON - LEASE))
        take(store, NOON - LEASE)
        store.owe(delivery("doubted", kind=Kind.OPS, state=State.UNKNOWN, attempted_at=NOON))
        store.owe(delivery("held", kind=Kind.OPS, state=State.HELD))
        store.owe(delivery("owed", kind=Kind.OPS))
        posts = [store.claim(NOON, LEASE, looks=False) for _ in range(3)]
        assert {claim.delivery.key for claim in posts if claim} == {ident("held"), ident("owed")}
        assert posts[-1] is None
        assert [take(store).delivery.state for _ in range(2)] == [State.UNKNOWN, State.UNKNOWN]

    def test_makes_it_ours_until_the_lease_ends(self, store: Store) -> None:
        store.owe(delivery())
        claim = take(store)
        assert claim.delivery.lease_until == NOON + LEASE
        assert (row(store).state, row(store).lease_until) == (State.SENDING, NOON + LEASE)
        assert store.claim(NOON + LEASE - SECOND, LEASE) is None

    @pytest.mark.parametrize(
        ("state", "found"),
        [(State.PENDING, State.PENDING), (State.HELD, State.PENDING), (State.UNKNOWN, State.UNKNOWN)],
    )
    def test_tells_in_which_state_it_was_found(self, store: Store, state: State, found: State) -> None:
        store.owe(delivery(state=state))
        assert take(store).delivery.state is found

    def test_of_a_lapsed_lease_comes_back_as_unknown(self, store: Store) -> None:
        store.owe(delivery())
        take(store)
        again = take(store, NOON + LEASE)
        assert (again.delivery.state, again.delivery.lease_until) == (State.UNKNOWN, NOON + 2 * LEASE)

    def test_notes_when_the_attempt_began_so_that_a_crash_can_be_looked_up(self, store: Store) -> None:
        store.owe(delivery(created_at=NOON - DAY))
        assert take(store, NOON).delivery.attempted_at == NOON
        assert take(store, NOON + HOUR).delivery.attempted_at == NOON

    def test_leaves_what_waits_for_an_operator(self, store: Store) -> None:
        store.owe(delivery(state=State.HELD, due_at=NEVER))
        assert store.claim(NOON + 1000 * DAY, LEASE) is None

    def test_brings_what_is_known_of_its_runs_now_oldest_first(self, store: Store) -> None:
        waits = [review(n, since=NOON - n * HOUR) for n in range(3)]
        owe(store, *waits)
        closed = replace(waits[1], closed_at=NOON)
        write(store, closed)
        claim = take(store)
        assert claim.reviews == (waits[2], closed, waits[0])
        assert (claim.total, claim.waiting) == (3, 2)

    @pytest.mark.parametrize("told", [59, 60], ids=["nearly all", "all"])
    def test_speaks_of_no_run_but_those_of_the_notice_however_many_wait(self, store: Store, told: int) -> None:
        write(store, *(review(f"elsewhere {n}") for n in range(3)), of=queue("Other"))
        write(store, review("gone", closed_at=NOON), *(review(n, since=NOON + n * SECOND) for n in range(60)))
        owe(store, *(review(n, since=NOON + n * SECOND) for n in range(told)))
        assert [seen.queue_run_id for seen in take(store).reviews] == [ident(n) for n in range(told)]

    def test_leaves_out_what_an_earlier_attempt_left_out(self, store: Store) -> None:
        owe(store, review("a"), review("b"))
        claim = take(store)
        after = replace(claim.delivery, state=State.PENDING, due_at=NOON)
        assert store.settle(after, claim.delivery, left_out=[review("a").key])
        assert take(store).reviews == (review("b"),)


class TestBudgets:
    """How often deliveries call people."""

    def call(self, store: Store, name: str, *people: str, most: int = 2, at: Any = NOON, since: Any = NOON) -> Any:
        return list(store.spend(ident(name), dict.fromkeys(people, since), most, at))

    def spent(self, store: Store, user: str = "U1", but: str = "none", since: Any = NOON) -> int:
        return store.spent({user: since}, ident(but))[user]

    def test_are_spent_by_so_many_deliveries_a_day(self, store: Store) -> None:
        for name in ("a", "b", "c"):
            owe(store, review(name), name=name)
        assert [self.call(store, name, "U1", "S2") for name in ("a", "b")] == [["U1", "S2"]] * 2
        assert self.call(store, "c", "U1", "U3") == ["U3"]
        assert (self.spent(store), self.spent(store, "U3"), self.spent(store, "U9")) == (2, 1, 0)

    def test_are_of_each_day_alone(self, store: Store) -> None:
        owe(store, review("a"), name="a")
        owe(store, review("b"), name="b")
        assert self.call(store, "a", "U1", most=1) == ["U1"]
        assert self.call(store, "b", "U1", most=1, since=NOON + SECOND, at=NOON + SECOND) == ["U1"]

    def test_are_spent_once_by_a_delivery_that_is_tried_again(self, store: Store) -> None:
        owe(store, review("a"), name="a")
        for _ in range(3):
            assert self.call(store, "a", "U1", most=1) == ["U1"]
        assert (self.spent(store), self.spent(store, but="a")) == (1, 0)

    def test_are_given_back_by_a_delivery_that_is_withdrawn(self, store: Store) -> None:
        owe(store, review("a"), name="a")
        claim = take(store)
        self.call(store, "a", "U1")
        store.settle(replace(claim.delivery, state=State.WITHDRAWN, settled_at=NOON), claim.delivery)
        assert self.spent(store) == 0

    def test_last_while_it_is_not_known_whether_a_delivery_was_posted(self, store: Store) -> None:
        owe(store, review("a"), name="a")
        take(store)
        self.call(store, "a", "U1", most=1)
        owe(store, review("b"), name="b")
        assert self.call(store, "b", "U1", most=1) == []

    def test_are_forgotten_with_their_delivery(self, store: Store) -> None:
        owe(store, review("a"), name="a")
        self.call(store, "a", "U1")
        claim = take(store)
        store.settle(posted(claim.delivery), claim.delivery)
        store.prune(settled_before=NOON + 30 * DAY, closed_before=NOON)
        assert self.spent(store) == 0


class TestMentions:
    """Whom a post has mentioned."""

    def test_keeps_the_mentions_that_a_post_made(self, store: Store) -> None:
        owe(store, review("a"), name="posted", mention=["U1", "U2"])
        claim = take(store)
        store.settle(posted(replace(claim.delivery, mention=("U2",))), claim.delivery)
        assert row(store, "posted").mention == ("U2",)


class TestMerging:
    """Held things stay small: what waits beside a claimed delivery goes with it."""

    def two(self, store: Store, **other: object) -> None:
        owe(store, review("a"), name="first", mention=["U1", "U2"])
        owe(store, review("b"), name="second", mention=["U2", "U3"], at=NOON + MINUTE, **other)  # type: ignore[arg-type]

    def test_makes_reviews_and_mentions_its_own(self, store: Store) -> None:
        self.two(store)
        claim = take(store, NOON + HOUR)
        assert (claim.delivery.key, claim.delivery.mention) == (ident("first"), ("U1", "U2", "U3"))
        assert (set(claim.reviews), claim.total) == ({review("a"), review("b")}, 2)

    def test_withdraws_the_other_and_says_why(self, store: Store) -> None:
        self.two(store)
        take(store, NOON + HOUR)
        other = row(store, "second")
        assert (other.state, other.settled_at) == (State.WITHDRAWN, NOON + HOUR)
        assert str(ident("first")) in other.last_error

    def test_lasts(self, store: Store) -> None:
        self.two(store)
        put_back(store, take(store, NOON + HOUR), NOON + HOUR)
        again = take(store, NOON + HOUR)
        assert (set(again.reviews), again.delivery.mention) == ({review("a"), review("b")}, ("U1", "U2", "U3"))

    def test_speaks_of_a_run_once(self, store: Store) -> None:
        owe(store, review("a"), review("b"), name="first")
        owe(store, review("b"), review("c"), name="second")
        assert take(store).total == 3

    def test_speaks_again_of_what_one_had_left_out(self, store: Store) -> None:
        owe(store, review("a"), review("b"), name="first")
        claim = take(store)
        after = replace(claim.delivery, state=State.PENDING, due_at=NOON, attempted_at=None)
        store.settle(after, claim.delivery, left_out=[review("a").key])
        owe(store, review("a"), name="second")
        again = take(store, NOON + HOUR)
        assert (again.delivery.key, set(again.reviews)) == (ident("first"), {review("a"), review("b")})

    def test_does_not_take_over_what_the_other_had_left_out(self, store: Store) -> None:
        owe(store, review("a"), review("b"), name="first")
        claim = take(store)
        after = replace(claim.delivery, state=State.PENDING, due_at=NOON + HOUR, attempted_at=None)
        store.settle(after, claim.delivery, left_out=[review("a").key])
        owe(store, review("c"), name="second")
        assert set(take(store, NOON).reviews) == {review("b"), review("c")}

    @pytest.mark.parametrize(
        "other",
        [
            pytest.param({"kind": Kind.ANNOUNCEMENT}, id="another kind"),
            pytest.param({"channel": LEADS}, id="another channel"),
            pytest.param({"of": queue("Other")}, id="another queue"),
        ],
    )
    def test_leaves_alone(self, store: Store, other: dict[str, object]) -> None:
        owe(store, review("a"), name="first", kind=Kind.REMINDER)
        owe(store, review("a"), name="second", at=NOON + MINUTE, **{"kind": Kind.REMINDER, **other})  # type: ignore[arg-type]
        assert take(store, NOON + HOUR).total == 1
        assert row(store, "second").state is State.PENDING

    @pytest.mark.parametrize(
        "state", [State.SENDING, State.UNKNOWN, State.SENT, State.WITHDRAWN, State.DEAD], ids=lambda state: state.value
    )
    def test_leaves_alone_what_may_be_posted_or_is_settled(self, store: Store, state: State) -> None:
        owe(store, review("b"), name="second")
        put_back(store, take(store), NOON + DAY, state=State.UNKNOWN)
        self.become(store, state)
        owe(store, review("a"), name="first", at=NOON + MINUTE)
        assert take(store, NOON + HOUR).reviews == (review("a"),)
        assert row(store, "second").state is state

    def become(self, store: Store, state: State) -> None:
        """Bring the one unknown delivery to a state by lawful steps."""
        if state is not State.UNKNOWN:
            claim = take(store, NOON + DAY, lease=30 * DAY)
            if state is not State.SENDING:
                store.settle(replace(claim.delivery, state=state), claim.delivery)

    def test_is_not_done_for_one_that_may_be_posted_already(self, store: Store) -> None:
        owe(store, review("a"), name="first")
        take(store)
        owe(store, review("b"), name="second", at=NOON + HOUR)
        unknown = take(store, NOON + HOUR)
        assert (unknown.reviews, unknown.delivery.state) == ((review("a"),), State.UNKNOWN)
        assert take(store, NOON + HOUR).reviews == (review("b"),)

    @pytest.mark.parametrize("due_at", [NOON, NOON + HOUR], ids=["claimed before", "claimed after"])
    @pytest.mark.parametrize(
        "alone",
        [
            # Else one run that cannot be shown would take all others with it.
            pytest.param({"plain": True}, id="a text that was refused"),
            # Found by its key after all, it would count as having told what it never told.
            pytest.param({"attempted_at": NOON}, id="one whose attempt is in doubt"),
        ],
    )
    def test_is_not_done_with(self, store: Store, alone: dict[str, object], due_at: datetime) -> None:
        owe(store, review("a"), name="alone")
        put_back(store, take(store), due_at, **alone)
        owe(store, review("b"), name="other", at=NOON + MINUTE)
        claims = [take(store, NOON + HOUR) for _ in range(2)]
        assert [claim.total for claim in claims] == [1, 1]
        assert [claim.delivery.key for claim in claims].index(ident("alone")) == (due_at > NOON)

    def test_of_an_attempt_in_doubt_keeps_its_time(self, store: Store) -> None:
        owe(store, review("a"))
        put_back(store, take(store), NOON, attempted_at=NOON - HOUR)
        assert take(store).delivery.attempted_at == NOON - HOUR

    def test_gathers_what_surely_failed_before_and_keeps_count_of_its_attempts(self, store: Store) -> None:
        owe(store, review("a"), name="first")
        put_back(store, take(store), NOON + HOUR)
        owe(store, review("b"), name="second", at=NOON + MINUTE)
        claim = take(store, NOON + MINUTE)
        assert (claim.delivery.key, claim.total, claim.delivery.attempts) == (ident("second"), 2, 1)

    def test_gathers_what_a_pause_holds(self, store: Store) -> None:
        self.two(store)
        store.pause(pause(until=NOON + HOUR))
        assert take(store, NOON + HOUR).total == 2

    def test_does_not_gather_what_waits_for_an_operator(self, store: Store) -> None:
        owe(store, review("a"), name="first")
        put_back(store, take(store), NEVER, state=State.HELD)
        owe(store, review("b"), name="second")
        assert take(store).reviews == (review("b"),)

    def test_leaves_the_worker_s_own_reports_apart(self, store: Store) -> None:
        for name in ("a", "b"):
            store.owe(delivery(name, kind=Kind.OPS, text=name))
        assert {take(store).delivery.text, take(store).delivery.text} == {"a", "b"}

    def test_makes_one_message_of_a_day_of_silence(self, store: Store) -> None:
        runs = [review(number) for number in range(300)]
        for number in range(100):
            owe(store, *runs[3 * number : 3 * number + 3], name=f"{number}", at=NOON + number * MINUTE)
        assert take(store, NOON + DAY).total == 300
        assert store.claim(NOON + DAY, LEASE) is None


class TestTheHighestIsTold:
    """After an outage a first sight is not told of where a reminder or an escalation tells of the same run."""

    @pytest.mark.parametrize("first", [Kind.BASELINE, Kind.ANNOUNCEMENT])
    @pytest.mark.parametrize("later", [Kind.REMINDER, Kind.ESCALATION])
    def test_and_the_first_sight_leaves_its_runs_out(self, store: Store, first: Kind, later: Kind) -> None:
        owe(store, review("a"), review("b"), name="first", kind=first)
        owe(store, review("b"), name="later", kind=later, at=NOON + HOUR)
        assert take(store, NOON + HOUR).reviews == (review("a"),)
        assert [told.left_out for told in store.stories(ident("b"))[0].notices] == [True, False]

    def test_and_a_first_sight_without_anything_left_is_withdrawn(self, store: Store) -> None:
        owe(store, review("a"), name="first")
        owe(store, review("a"), name="later", kind=Kind.REMINDER, at=NOON + HOUR)
        assert take(store, NOON + HOUR).delivery.key == ident("later")
        first = row(store, "first")
        assert (first.state, first.settled_at, bool(first.last_error)) == (State.WITHDRAWN, NOON + HOUR, True)

    @pytest.mark.parametrize(
        "later",
        [
            pytest.param({"channel": LEADS}, id="but not where the later one goes to other people"),
            pytest.param({"of": queue("Other")}, id="but not for another queue"),
            pytest.param({"kind": Kind.BASELINE}, id="but not by another first sight"),
        ],
    )
    def test_only_there(self, store: Store, later: dict[str, object]) -> None:
        owe(store, review("a"), name="first")
        owe(store, review("a"), name="later", at=NOON + HOUR, **{"kind": Kind.REMINDER, **later})  # type: ignore[arg-type]
        claim = take(store, NOON + HOUR)
        assert (claim.delivery.key, claim.reviews) == (ident("first"), (review("a"),))

    def test_but_a_first_sight_that_may_be_posted_stays_whole(self, store: Store) -> None:
        owe(store, review("a"), name="first")
        take(store)
        owe(store, review("a"), name="later", kind=Kind.REMINDER, at=NOON + LEASE)
        unknown = take(store, NOON + LEASE)
        assert (unknown.delivery.key, unknown.reviews) == (ident("first"), (review("a"),))

    def test_but_a_first_sight_whose_attempt_is_in_doubt_stays_whole(self, store: Store) -> None:
        owe(store, review("a"), name="first")
        put_back(store, take(store), NOON + HOUR, attempted_at=NOON)
        owe(store, review("a"), name="later", kind=Kind.REMINDER, at=NOON + 2 * HOUR)
        claim = take(store, NOON + 2 * HOUR)
        assert (claim.delivery.key, claim.reviews) == (ident("first"), (review("a"),))

    def test_but_a_reminder_that_does_not_speak_of_the_run_after_all_changes_nothing(self, store: Store) -> None:
        owe(store, review("a"), review("b"), name="first")
        put_back(store, take(store), NOON + HOUR)
        owe(store, review("a"), review("b"), name="later", kind=Kind.REMINDER, at=NOON + MINUTE)
        reminder = take(store, NOON + MINUTE).delivery
        after = replace(reminder, state=State.PENDING, due_at=NOON + DAY, attempted_at=None)
        assert store.settle(after, reminder, left_out=[review("a").key])
        assert take(store, NOON + HOUR).reviews == (review("a"),)

    def test_but_a_reminder_that_is_on_its_way_changes_nothing(self, store: Store) -> None:
        owe(store, review("a"), name="first")
        put_back(store, take(store), NOON + HOUR)
        owe(store, review("a"), name="later", kind=Kind.REMINDER, at=NOON + MINUTE)
        take(store, NOON + MINUTE, lease=DAY)
        claim = take(store, NOON + HOUR)
        assert (claim.delivery.key, claim.reviews) == (ident("first"), (review("a"),))

    def test_but_a_reminder_before_the_first_sight_changes_nothing(self, store: Store) -> None:
        owe(store, review("a"), name="earlier", kind=Kind.REMINDER)
        put_back(store, take(store), NOON + DAY)
        owe(store, review("a"), name="first", at=NOON + MINUTE)
        claim = take(store, NOON + MINUTE)
        assert (claim.delivery.key, claim.reviews) == (ident("first"), (review("a"),))

    def test_and_an_escalation_stands_for_the_reminder_of_its_runs(self, store: Store) -> None:
        owe(store, review("a"), name="first", kind=Kind.REMINDER)
        owe(store, review("a"), review("b"), name="later", kind=Kind.ESCALATION, at=NOON + HOUR)
        assert take(store, NOON + HOUR).delivery.key == ident("later")
        assert row(store, "first").state is State.WITHDRAWN

    def test_and_an_escalation_that_is_posted_first_takes_over_the_reminder_of_its_runs(self, store: Store) -> None:
        owe(store, review("a"), review("b"), name="first", kind=Kind.ESCALATION)
        owe(store, review("a"), name="later", kind=Kind.REMINDER, at=NOON + HOUR)
        assert take(store, NOON + HOUR).total == 2
        assert row(store, "later").state is State.WITHDRAWN


class TestRoots:
    """A reminder in a thread answers the oldest message that concerns its runs."""

    def remind(self, store: Store, *names: str, remind_in: RemindIn = RemindIn.THREAD) -> Receipt | None:
        reviews = [review(name) for name in names]
        owe(store, *reviews, name="reminder", kind=Kind.REMINDER, remind_in=remind_in, at=NOON + DAY)
        return take(store, NOON + DAY).root

    @pytest.mark.parametrize("remind_in", [RemindIn.THREAD, RemindIn.BOTH])
    def test_the_oldest_message_with_a_run_in_common(self, store: Store, remind_in: RemindIn) -> None:
        for number, name in enumerate(("x", "a", "b")):
            owe(store, review(name), name=name)
            post(store, ts=f"{number}.0")
        assert self.remind(store, "b", "a", remind_in=remind_in) == Receipt(CHANNEL.place, "1.0")

    def test_is_not_asked_for_where_the_reminder_goes_to_the_channel(self, store: Store) -> None:
        owe(store, review("a"))
        post(store)
        assert self.remind(store, "a", remind_in=RemindIn.CHANNEL) is None

    def test_is_none_where_nothing_was_posted_about_these_runs(self, store: Store) -> None:
        owe(store, review("x"))
        post(store)
        assert self.remind(store, "a") is None

    def test_is_none_where_the_message_did_not_speak_of_the_run_after_all(self, store: Store) -> None:
        owe(store, review("a"), review("b"))
        post(store, left_out=[review("a").key])
        assert self.remind(store, "a") is None

    def test_is_none_in_another_channel(self, store: Store) -> None:
        owe(store, review("a"), channel=LEADS)
        post(store)
        assert self.remind(store, "a") is None

    def test_is_never_an_answer_in_a_thread(self, store: Store) -> None:
        owe(store, review("a"), name="former", kind=Kind.REMINDER, remind_in=RemindIn.THREAD)
        post(store)
        assert self.remind(store, "a") is None

    def test_may_be_a_reminder_whose_thread_was_gone(self, store: Store) -> None:
        owe(store, review("a"), name="former", kind=Kind.REMINDER, remind_in=RemindIn.THREAD)
        put_back(store, take(store), NOON, remind_in=RemindIn.CHANNEL)
        post(store, ts="7.7")
        assert self.remind(store, "a") == Receipt(CHANNEL.place, "7.7")


class TestSettling:
    @pytest.mark.parametrize("state", list(State), ids=lambda state: state.value)
    def test_writes_what_became_of_it_and_ends_the_lease(self, store: Store, state: State) -> None:
        owe(store, review("a"))
        claim = take(store)
        after = replace(
            claim.delivery,
            state=state,
            due_at=NOON + HOUR,
            attempts=5,
            attempted_at=NOON + SECOND,
            looks=1,
            plain=True,
            remind_in=RemindIn.BOTH,
            last_error="why",
            receipt=receipt(),
            settled_at=NOON,
            edit_until=NOON + DAY,
            digest="d",
        )
        assert store.settle(after, claim.delivery)
        assert row(store) == replace(after, lease_until=None)

    def test_needs_the_lease_that_the_claim_got(self, store: Store) -> None:
        owe(store, review("a"))
        first = take(store)
        second = take(store, NOON + LEASE)
        assert not store.settle(posted(first.delivery), first.delivery, left_out=[review("a").key])
        assert row(store).state is State.SENDING
        assert store.settle(posted(second.delivery), second.delivery)

    def test_is_done_once(self, store: Store) -> None:
        owe(store, review("a"))
        claim = take(store)
        after = replace(claim.delivery, state=State.PENDING)
        assert [store.settle(after, claim.delivery) for _ in range(2)] == [True, False]

    def test_of_what_was_never_claimed_or_owed_is_refused(self, store: Store) -> None:
        owe(store, review("a"))
        assert not store.settle(posted(row(store)), row(store))
        assert not store.settle(delivery("x", lease_until=NOON), delivery("x", lease_until=NOON))

    def test_cannot_be_done_with_the_lease_of_an_edit(self, store: Store) -> None:
        owe(store, review("a"))
        post(store)
        write(store, review("a", closed_at=NOON), at=NOON + HOUR)
        claim = store.claim_edit(NOON + HOUR, LEASE)
        assert claim
        assert not store.settle(claim.delivery, claim.delivery)

    def test_remembers_what_the_message_does_not_speak_of(self, store: Store) -> None:
        owe(store, review("a"), review("b"))
        post(store, left_out=[review("a").key])
        assert [store.stories(ident(name))[0].notices[0].left_out for name in ("a", "b")] == [True, False]


class TestRetrying:
    @pytest.mark.parametrize("given_up", [delivery(state=State.DEAD), delivery(state=State.HELD, due_at=NEVER)])
    def test_puts_back_what_is_dead_or_held(self, store: Store, given_up: Delivery) -> None:
        given_up = replace(
            given_up, attempts=9, attempted_at=NOON, looks=2, plain=True, last_error="why", settled_at=NOON
        )
        store.owe(given_up)
        assert store.retry(given_up.key, NOON + DAY)
        assert row(store) == delivery(last_error="why", due_at=NOON + DAY)

    @pytest.mark.parametrize(
        "state",
        [State.PENDING, State.SENDING, State.UNKNOWN, State.SENT, State.WITHDRAWN],
        ids=lambda state: state.value,
    )
    def test_leaves_any_other_alone(self, store: Store, state: State) -> None:
        store.owe(delivery(state=state))
        assert not store.retry(ident("notice"), NOON + DAY)
        assert row(store) == delivery(state=state)

    def test_of_an_unknown_key_is_refused(self, store: Store) -> None:
        assert not store.retry(ident("nothing"), NOON)


class TestPauses:
    def states(self, store: Store, *names: str) -> list[tuple[State, datetime]]:
        return [(row(store, name).state, ready_at(row(store, name))) for name in names]

    def test_are_none_at_first(self, store: Store) -> None:
        assert store.pauses() == []

    def test_are_remembered_one_a_channel(self, store: Store) -> None:
        store.pause(pause(EVERYWHERE, since=NOON - HOUR))
        store.pause(pause("C1"))
        store.pause(pause("C1", until=NOON + DAY, reason="is_archived", failures=2))
        assert store.pauses() == [
            pause(EVERYWHERE, since=NOON - HOUR),
            pause("C1", until=NOON + DAY, reason="is_archived", failures=2),
        ]

    def test_hold_what_is_pending_there(self, store: Store) -> None:
        store.owe(delivery("here"))
        store.owe(delivery("elsewhere", channel=LEADS))
        store.pause(pause(until=NOON + HOUR))
        assert self.states(store, "here", "elsewhere") == [(State.HELD, NOON + HOUR), (State.PENDING, NOON)]

    def test_hold_everything_where_they_concern_every_channel(self, store: Store) -> None:
        store.owe(delivery("here"))
        store.owe(delivery("elsewhere", channel=LEADS))
        store.pause(pause(EVERYWHERE, until=NOON + HOUR))
        assert self.states(store, "here", "elsewhere") == [(State.HELD, NOON + HOUR)] * 2

    def test_hold_what_is_owed_there_later(self, store: Store) -> None:
        store.pause(pause(until=NOON + HOUR))
        owe(store, review("a"), name="here", at=NOON + MINUTE)
        owe(store, review("b"), name="elsewhere", channel=LEADS, at=NOON)
        store.owe(delivery("ops"))
        assert self.states(store, "here", "elsewhere", "ops") == [
            (State.HELD, NOON + HOUR),
            (State.PENDING, NOON),
            (State.HELD, NOON + HOUR),
        ]

    def test_of_every_channel_hold_what_is_owed_later(self, store: Store) -> None:
        store.pause(pause(EVERYWHERE, until=NOON + HOUR))
        owe(store, review("a"), at=NOON + MINUTE)
        assert self.states(store, "notice") == [(State.HELD, NOON + HOUR)]

    @pytest.mark.parametrize(
        "other",
        [
            pytest.param(delivery(state=State.UNKNOWN), id="what may be posted"),
            pytest.param(delivery(state=State.SENT), id="what is sent"),
            pytest.param(delivery(state=State.DEAD), id="what is dead"),
            pytest.param(delivery(state=State.HELD, due_at=NEVER), id="what waits for an operator"),
        ],
    )
    def test_do_not_concern(self, store: Store, other: Delivery) -> None:
        store.owe(other)
        store.pause(pause())
        assert row(store) == other
        store.resume(CHANNEL)
        assert row(store) == other

    def test_that_go_on_hold_on(self, store: Store) -> None:
        store.owe(delivery())
        store.pause(pause(until=NOON + HOUR))
        store.pause(pause(until=NOON + DAY))
        assert self.states(store, "notice") == [(State.HELD, NOON + DAY)]

    def test_that_end_let_go_at_once(self, store: Store) -> None:
        store.owe(delivery())
        store.pause(pause(until=NOON + DAY))
        store.resume(CHANNEL)
        assert row(store) == delivery()
        assert store.pauses() == []

    def test_neither_shorten_nor_lose_a_back_off(self, store: Store) -> None:
        store.owe(delivery(due_at=NOON + DAY))
        store.pause(pause(until=NOON + HOUR))
        assert self.states(store, "notice") == [(State.HELD, NOON + DAY)]
        assert store.next_due_at() == NOON + DAY
        assert store.claim(NOON + 2 * HOUR, LEASE) is None
        store.resume(CHANNEL)
        assert row(store) == delivery(due_at=NOON + DAY)

    def test_that_are_over_let_what_is_due_be_tried(self, store: Store) -> None:
        store.owe(delivery())
        store.pause(pause(until=NOON + HOUR))
        assert store.claim(NOON + HOUR - SECOND, LEASE) is None
        claimed = store.claim(NOON + HOUR, LEASE)
        assert claimed is not None
        assert (claimed.delivery.state, claimed.delivery.held_until) == (State.PENDING, None)
        assert row(store).held_until is None

    def test_leave_what_was_due_longest_the_first(self, store: Store) -> None:
        for name, late in (("late", 1), ("later", 2)):
            store.owe(delivery(name, kind=Kind.OPS, due_at=NOON - late * MINUTE))
        store.pause(pause(until=NOON + HOUR))
        store.resume(CHANNEL)
        claimed = store.claim(NOON, LEASE)
        assert claimed is not None
        assert claimed.delivery.key == ident("later")

    def test_of_one_channel_end_alone(self, store: Store) -> None:
        store.owe(delivery("here"))
        store.owe(delivery("elsewhere", channel=LEADS))
        store.pause(pause())
        store.pause(pause(LEADS))
        store.resume(CHANNEL)
        assert self.states(store, "here", "elsewhere") == [(State.PENDING, NOON), (State.HELD, NOON + HOUR)]

    @pytest.mark.parametrize("ended", [EVERYWHERE, CHANNEL])
    def test_hold_what_another_pause_concerns_as_well(self, store: Store, ended: str) -> None:
        store.owe(delivery())
        store.pause(pause(EVERYWHERE, until=NOON + 2 * HOUR))
        store.pause(pause(CHANNEL, until=NOON + HOUR))
        assert self.states(store, "notice") == [(State.HELD, NOON + 2 * HOUR)]
        store.resume(ended)
        until = NOON + (HOUR if ended == EVERYWHERE else 2 * HOUR)
        assert self.states(store, "notice") == [(State.HELD, until)]

    def test_that_never_began_end_without_harm(self, store: Store) -> None:
        store.owe(delivery())
        store.resume(EVERYWHERE)
        assert self.states(store, "notice") == [(State.PENDING, NOON)]

    def test_over_what_they_held_is_due(self, store: Store) -> None:
        store.owe(delivery())
        store.pause(pause(until=NOON + HOUR))
        assert store.claim(NOON + HOUR - SECOND, LEASE) is None
        assert take(store, NOON + HOUR).delivery.state is State.PENDING


class TestLooking:
    def test_at_deliveries_shows_the_newest_first(self, store: Store) -> None:
        for name in ("a", "b", "c"):
            store.owe(delivery(name))
        assert [each.key for each in store.deliveries(limit=2)] == [ident("c"), ident("b")]

    def test_at_deliveries_shows_one_state(self, store: Store) -> None:
        for name, state in (("a", State.DEAD), ("b", State.SENT), ("c", State.DEAD)):
            store.owe(delivery(name, state=state))
        assert [each.key for each in store.deliveries(State.DEAD)] == [ident("c"), ident("a")]

    def test_at_deliveries_shows_the_queue_as_it_is_called_now(self, store: Store) -> None:
        store.owe(delivery(of=queue("Old", queue_id=QUEUE.queue_id)))
        write(store, of=QUEUE)
        assert row(store).queue == QUEUE

    def test_at_the_backlog_counts_what_needs_something(self, store: Store) -> None:
        for number, state in enumerate(State):
            store.owe(delivery(f"{number}", state=state, created_at=NOON + number * HOUR))
        store.owe(delivery("more", state=State.DEAD, created_at=NOON - HOUR))
        found = {each.state: each for each in store.backlog()}
        assert set(found) == {State.PENDING, State.SENDING, State.UNKNOWN, State.HELD, State.DEAD}
        assert found[State.DEAD] == Backlog(State.DEAD, 2, NOON - HOUR)

    def test_for_an_unknown_run_finds_no_story(self, store: Store) -> None:
        assert store.stories(ident("unknown")) == []

    def test_for_a_story_finds_the_baseline_of_several_queues(self, store: Store) -> None:
        owe(store, review("a"), name="host", kind=Kind.BASELINE)
        owe(store, review("b"), name="merged", kind=Kind.BASELINE, of=queue("Other"))
        take(store)
        (story,) = store.stories(ident("b"))
        assert [told.delivery.key for told in story.notices] == [ident("host"), ident("merged")]

    def test_for_a_story_finds_every_stay_with_each_notice(self, store: Store) -> None:
        first = review("a", closed_at=NOON)
        second = review("a", added_at=NOON + DAY, first_seen_at=NOON + DAY, back=True)
        owe(store, first, name="1")
        owe(store, first, name="2", kind=Kind.REMINDER)
        owe(store, second, name="3")
        owe(store, second, name="4", of=queue("Other"))
        stories = store.stories(ident("a"))
        assert [(each.queue.name, each.review) for each in stories] == [
            (QUEUE.name, first),
            (QUEUE.name, second),
            ("Other", second),
        ]
        assert [[told.delivery.key for told in each.notices] for each in stories] == [
            [ident("1"), ident("2")],
            [ident("3")],
            [ident("4")],
        ]


class TestWhatIsDueNext:
    def test_of_nothing_is_nothing(self, store: Store) -> None:
        assert store.next_due_at() is None

    @pytest.mark.parametrize(
        ("owed", "due_at"),
        [
            pytest.param([delivery(due_at=NOON + HOUR), delivery("b", due_at=NOON)], NOON, id="the earliest counts"),
            pytest.param([delivery(state=State.UNKNOWN)], NOON, id="one to look up"),
            pytest.param([delivery(state=State.HELD)], NOON, id="one that a pause holds"),
            pytest.param([delivery(state=State.HELD, due_at=NEVER)], None, id="but not what waits for an operator"),
            pytest.param([delivery(state=state) for state in SETTLED], None, id="nor what is settled"),
        ],
    )
    def test_of_deliveries(self, store: Store, owed: Collection[Delivery], due_at: datetime | None) -> None:
        for each in owed:
            store.owe(each)
        assert store.next_due_at() == due_at

    def test_of_a_claimed_one_is_the_end_of_its_lease(self, store: Store) -> None:
        store.owe(delivery())
        take(store)
        assert store.next_due_at() == NOON + LEASE


class TestPruning:
    def prune(self, store: Store, *, settled: datetime = NOON - DAY, closed: datetime = NOON - DAY) -> int:
        return store.prune(settled_before=settled, closed_before=closed)

    @pytest.mark.parametrize("state", SETTLED, ids=lambda state: state.value)
    def test_forgets_what_was_settled_long_ago(self, store: Store, state: State) -> None:
        for name, at in (("old", NOON - DAY), ("new", NOON)):
            store.owe(delivery(name, state=state, settled_at=at))
        assert self.prune(store, settled=NOON) == 1
        assert [each.key for each in store.deliveries()] == [ident("new")]

    @pytest.mark.parametrize(
        "state", [State.PENDING, State.SENDING, State.UNKNOWN, State.HELD], ids=lambda state: state.value
    )
    def test_keeps_what_is_owed_however_old(self, store: Store, state: State) -> None:
        store.owe(delivery(state=state, created_at=NOON - 900 * DAY, settled_at=NOON - 900 * DAY))
        assert self.prune(store) == 0

    def test_keeps_a_message_that_is_kept_true(self, store: Store) -> None:
        store.owe(delivery(state=State.SENT, settled_at=NOON - 9 * DAY, edit_until=NOON))
        assert self.prune(store, settled=NOON) == 0
        assert self.prune(store, settled=NOON + SECOND) == 1

    def test_forgets_reviews_that_were_closed_long_ago(self, store: Store) -> None:
        write(
            store, review("a", closed_at=NOON - DAY), review("b", closed_at=NOON), review("c", added_at=NOON - 9 * DAY)
        )
        assert self.prune(store, closed=NOON) == 1
        assert [bool(store.stories(ident(name))) for name in ("a", "b", "c")] == [False, True, True]

    def test_keeps_a_review_that_a_kept_delivery_speaks_of_and_no_longer(self, store: Store) -> None:
        owe(store, review("a", closed_at=NOON - DAY))
        post(store, edit_for=None)
        assert self.prune(store, closed=NOON) == 0
        assert self.prune(store, closed=NOON, settled=NOON + SECOND) == 2

    def test_forgets_far_more_than_one_step_takes(self, store: Store) -> None:
        many = [review(number, closed_at=NOON - DAY) for number in range(1300)]
        owe(store, *many)
        post(store, edit_for=None)
        assert self.prune(store, settled=NOON + DAY, closed=NOON) == 1301
        assert self.prune(store, settled=NOON + DAY, closed=NOON) == 0
