"""What a claim takes, merges, withdraws and leaves out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.support.builders import CHANNEL, DAY, HOUR, LEADS, MINUTE, NOON, delivery, ident, pause, queue, review
from tests.support.office import FRIDAY, MONDAY, office
from worker.core.calendar import ALWAYS_OPEN
from worker.core.model import Acts, Kind
from worker.core.outbox import (
    MUTED_MEANWHILE,
    POLLED_NO_MORE,
    TAKEN_MEANWHILE,
    Candidate,
    as_owed,
    choose,
    claims_to_come,
    edit_held_until,
    held_until,
    in_vain_at,
    is_in_vain,
    let_go,
    superseded,
    without_spared,
)
from worker.core.owed import EVERYWHERE, NEVER, Claim, State

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from worker.core.model import Review
    from worker.core.owed import Delivery, Destination

Waiting = Candidate[str]
NEW = NOON + HOUR


def waits(name: str, reviews: str = "", place: int = 0, **more: object) -> Waiting:
    """A delivery that speaks of one review a letter."""
    return Candidate(delivery(name, **more), place, frozenset(reviews))  # type: ignore[arg-type]


def posts(*candidates: Waiting, at: datetime = NEW, pauses: object = ()) -> list[tuple[UUID, str]]:
    """What is posted, in order: the key and the reviews."""
    return [
        (taken.delivery.key, "".join(sorted(taken.reviews)))
        for taken in claims_to_come(candidates, at, pauses)  # type: ignore[arg-type]
    ]


def owed(name: str, reviews: str) -> tuple[UUID, str]:
    return ident(name), reviews


class TestTheClaim:
    def test_of_an_empty_outbox_takes_nothing(self) -> None:
        assert choose([], NEW).taking is None

    def test_takes_what_is_due_longest(self) -> None:
        later, sooner = waits("later", "a", due_at=NOON + MINUTE, channel=LEADS), waits("sooner", "b", 1)
        assert posts(later, sooner) == [owed("sooner", "b"), owed("later", "a")]

    def test_takes_of_equals_what_was_owed_first(self) -> None:
        assert posts(waits("second", "b", 2, channel=LEADS), waits("first", "a", 1))[0] == owed("first", "a")

    @pytest.mark.parametrize("state", [State.SENT, State.DEAD, State.WITHDRAWN])
    def test_leaves_what_is_settled(self, state: State) -> None:
        assert posts(waits("settled", "a", state=state)) == []

    def test_leaves_what_is_due_later(self) -> None:
        assert posts(waits("later", "a", due_at=NEW + MINUTE)) == []

    def test_notes_when_the_first_attempt_began(self) -> None:
        waiting = waits("first", place=0), waits("again", place=1, channel=LEADS, attempted_at=NOON)
        assert [each.delivery.attempted_at for each in claims_to_come(waiting, NEW)] == [NEW, NOON]

    @pytest.mark.parametrize("state", [State.SENDING, State.UNKNOWN])
    def test_of_what_may_be_posted_changes_nothing_of_it(self, state: State) -> None:
        doubt = waits("doubt", "a", state=state, attempted_at=NOON)
        choice = choose([doubt, waits("beside", "b", 1)], NEW)
        assert choice.taking is not None
        assert choice.taking.taken == replace(doubt, delivery=replace(doubt.delivery, state=State.UNKNOWN))
        assert not choice.taking.merged


class TestMerging:
    def test_takes_reviews_mentions_and_attempts_over(self) -> None:
        first = waits("first", "a", mention=["U1", "U2"])
        choice = choose([first, waits("second", "b", 1, mention=["U2", "U3"], attempts=2, due_at=NEW + DAY)], NEW)
        assert choice.taking is not None
        taken = choice.taking.taken
        assert (taken.reviews, taken.delivery.mention, taken.delivery.attempts) == ({"a", "b"}, ("U1", "U2", "U3"), 2)
        assert [each.delivery.key for each in choice.taking.merged] == [ident("second")]

    def test_gathers_what_a_pause_holds(self) -> None:
        held = waits("held", "b", 1, state=State.HELD, due_at=NEW + HOUR)
        assert posts(waits("first", "a"), held) == [owed("first", "ab")]

    @pytest.mark.parametrize(
        "other",
        [
            pytest.param({"kind": Kind.REMINDER}, id="of another kind"),
            pytest.param({"channel": LEADS}, id="to another channel"),
            pytest.param({"of": queue("Other")}, id="of another queue"),
            pytest.param({"attempted_at": NOON}, id="whose attempt is in doubt"),
            pytest.param({"plain": True}, id="whose blocks were refused"),
            pytest.param({"state": State.HELD, "due_at": NEVER}, id="that waits for an operator"),
            pytest.param({"state": State.UNKNOWN}, id="that may be posted"),
        ],
    )
    def test_leaves_one_alone(self, other: dict[str, object]) -> None:
        assert posts(waits("first", "a"), waits("other", "b", 1, **other))[0] == owed("first", "a")

    @pytest.mark.parametrize(
        "alone",
        [
            pytest.param({"plain": True}, id="blocks were refused"),
            pytest.param({"attempted_at": NOON}, id="attempt is in doubt"),
            pytest.param({"kind": Kind.OPS}, id="story is the worker's own"),
        ],
    )
    def test_is_not_done_for_one_whose(self, alone: dict[str, object]) -> None:
        beside = waits("beside", "b", 1, **({"kind": Kind.OPS} if "kind" in alone else {}))
        assert posts(waits("first", "a", **alone), beside) == [owed("first", "a"), owed("beside", "b")]


class TestTheHighest:
    @pytest.mark.parametrize("first", [Kind.BASELINE, Kind.ANNOUNCEMENT])
    @pytest.mark.parametrize("later", [Kind.REMINDER, Kind.ESCALATION])
    def test_notice_speaks_of_a_run_alone(self, first: Kind, later: Kind) -> None:
        waiting = waits("first", "ab", kind=first), waits("later", "b", 1, kind=later)
        assert posts(*waiting) == [owed("first", "a"), owed("later", "b")]

    def test_notice_withdraws_a_first_sight_with_nothing_left(self) -> None:
        choice = choose([waits("first", "a"), waits("later", "a", 1, kind=Kind.REMINDER)], NEW)
        assert choice.taking is not None
        assert choice.taking.taken.delivery.key == ident("later")
        assert [each.taken.delivery.key for each in choice.withdrawn] == [ident("first")]

    def test_notice_that_is_not_due_yet_withdraws_it_too(self) -> None:
        later = waits("later", "a", 1, kind=Kind.REMINDER, due_at=NEW + HOUR)
        choice = choose([waits("first", "a"), later], NEW)
        assert (choice.taking, len(choice.withdrawn)) == (None, 1)

    def test_notice_withdraws_what_a_first_sight_had_taken_over(self) -> None:
        waiting = [waits("first", "a"), waits("second", "b", 1), waits("later", "ab", 2, kind=Kind.ESCALATION)]
        choice = choose(waiting, NEW)
        assert [each.delivery.key for each in choice.withdrawn[0].merged] == [ident("second")]
        assert posts(*waiting) == [owed("later", "ab")]

    @pytest.mark.parametrize(
        ("first", "later"),
        [
            pytest.param({}, {"channel": LEADS}, id="to other people"),
            pytest.param({}, {"of": queue("Other")}, id="of another queue"),
            pytest.param({}, {"kind": Kind.BASELINE}, id="of a first sight"),
            pytest.param({}, {"plain": True}, id="whose blocks were refused"),
            pytest.param({}, {"state": State.UNKNOWN}, id="that may be posted"),
            pytest.param({"attempted_at": NOON}, {}, id="beside a first sight in doubt"),
        ],
    )
    def test_notice_changes_nothing(self, first: dict[str, object], later: dict[str, object]) -> None:
        given = {"kind": Kind.REMINDER, "due_at": NOON + MINUTE} | later
        assert posts(waits("first", "a", **first), waits("later", "a", 1, **given))[0] == owed("first", "a")

    @pytest.mark.parametrize("place", [0, 2])
    def test_escalation_leaves_nothing_to_a_reminder_of_the_same_runs(self, place: int) -> None:
        reminder = waits("reminder", "a", 1, kind=Kind.REMINDER)
        assert posts(reminder, waits("higher", "ab", place, kind=Kind.ESCALATION)) == [owed("higher", "ab")]

    def test_escalation_leaves_the_other_runs_to_a_reminder(self) -> None:
        reminder = waits("reminder", "ac", 1, kind=Kind.REMINDER)
        higher = waits("higher", "ab", 2, kind=Kind.ESCALATION)
        assert posts(reminder, higher) == [owed("reminder", "c"), owed("higher", "ab")]

    def test_notice_that_is_due_tomorrow_leaves_nothing_to_post_today(self) -> None:
        later = waits("later", "a", 1, kind=Kind.REMINDER, due_at=NEW + DAY)
        assert posts(waits("first", "a"), later) == []

    def test_notice_owed_before_a_first_sight_changes_nothing(self) -> None:
        earlier = waits("earlier", "a", kind=Kind.REMINDER, due_at=NEW + DAY)
        assert posts(earlier, waits("first", "a", 1)) == [owed("first", "a")]


class TestPauses:
    @pytest.mark.parametrize("channel", [CHANNEL, EVERYWHERE])
    def test_keep_what_they_concern(self, channel: Destination) -> None:
        pauses = [pause(channel, until=NEW + MINUTE)]
        assert posts(waits("kept", "a"), waits("free", "b", 1, channel=LEADS), pauses=pauses) == (
            [] if channel == EVERYWHERE else [owed("free", "b")]
        )

    def test_that_are_over_let_it_go_as_one(self) -> None:
        held = [waits(str(place), "ab"[place], place, state=State.HELD, due_at=NEW) for place in range(2)]
        assert posts(*held, pauses=[pause(until=NEW)]) == [owed("0", "ab")]

    def test_that_are_over_hold_what_is_taken_no_longer(self) -> None:
        held = waits("held", "a", state=State.HELD, held_until=NEW)
        taking = choose([held], NEW).taking
        assert taking is not None
        assert (taking.taken.delivery.state, taking.taken.delivery.held_until) == (State.PENDING, None)

    def test_hold_what_is_owed_meanwhile_until_the_last_of_them_ends(self) -> None:
        pauses = [pause(until=NOON + MINUTE), pause(EVERYWHERE, until=NEW), pause(LEADS, until=NEW + DAY)]
        kept = as_owed(delivery(), pauses)
        assert (kept.state, kept.held_until, kept.due_at) == (State.HELD, NEW, NOON)

    @pytest.mark.parametrize(
        "free", [delivery(channel=LEADS), delivery(state=State.UNKNOWN)], ids=["elsewhere", "in doubt"]
    )
    def test_do_not_concern_one(self, free: Delivery) -> None:
        assert as_owed(free, [pause()]) == free

    def test_that_end_leave_what_they_held_due_when_it_was(self) -> None:
        assert let_go(as_owed(delivery(due_at=NEW), [pause(until=NEW + HOUR)])) == delivery(due_at=NEW)

    @pytest.mark.parametrize("other", [{"due_at": NEW}, {"state": State.HELD, "due_at": NEVER}])
    def test_that_end_change_nothing_of_what_they_did_not_hold(self, other: dict[str, object]) -> None:
        assert let_go(delivery(**other)) == delivery(**other)  # type: ignore[arg-type]


class TestSuperseding:
    def reminder(self, name: str, reviews: str, place: int, **more: object) -> Waiting:
        given = {"kind": Kind.REMINDER, "state": State.SENT, "settled_at": NOON, "edit_until": NOON + DAY} | more
        return waits(name, reviews, place, **given)

    @pytest.mark.parametrize("newer", ["ab", "a"], ids=["of more", "of the same"])
    def test_lets_an_earlier_reminder_point_to_a_newer_one(self, newer: str) -> None:
        earlier = self.reminder("earlier", "a", 0)
        assert superseded(self.reminder("newer", newer, 1), [earlier]) == [earlier]

    @pytest.mark.parametrize(
        ("reviews", "earlier"),
        [
            pytest.param("", {}, id="none of its runs waits"),
            pytest.param("ac", {}, id="another of its runs waits"),
            pytest.param("a", {"successor": ident("x")}, id="it points somewhere already"),
            pytest.param("a", {"edit_until": None}, id="it is not kept true"),
            pytest.param("a", {"edit_until": NOON}, id="it is kept true no longer"),
            pytest.param("a", {"kind": Kind.ANNOUNCEMENT}, id="it is no reminder"),
            pytest.param("a", {"state": State.UNKNOWN}, id="it may not be posted"),
            pytest.param("a", {"channel": LEADS}, id="it is in another channel"),
        ],
    )
    def test_leaves_it_alone_where(self, reviews: str, earlier: dict[str, object]) -> None:
        assert superseded(self.reminder("newer", "ab", 1), [self.reminder("earlier", reviews, 0, **earlier)]) == []

    def test_concerns_no_later_one(self) -> None:
        assert superseded(self.reminder("newer", "ab", 1), [self.reminder("later", "a", 2)]) == []

    @pytest.mark.parametrize("newer", [{"kind": Kind.ESCALATION}, {"state": State.PENDING}])
    def test_is_done_by_a_posted_reminder_alone(self, newer: dict[str, object]) -> None:
        assert superseded(self.reminder("newer", "ab", 1, **newer), [self.reminder("earlier", "a", 0)]) == []

    def test_goes_by_when_it_is_due_where_it_is_not_settled(self) -> None:
        earlier = self.reminder("earlier", "a", 0, edit_until=NOON + MINUTE)
        assert superseded(self.reminder("newer", "a", 1, settled_at=None, due_at=NEW), [earlier]) == []


outboxes = st.lists(
    st.tuples(
        st.sampled_from([Kind.BASELINE, Kind.ANNOUNCEMENT, Kind.REMINDER, Kind.ESCALATION]),
        st.sampled_from([CHANNEL, LEADS]),
        st.sampled_from(["Support QA", "RAG bot"]),
        st.frozensets(st.sampled_from("abcd"), min_size=1),
        st.sampled_from([NOON, NEW, NEW + HOUR]),
        st.booleans(),
    ),
    max_size=8,
)


@given(outboxes)
def test_whatever_waits_is_posted_once_or_withdrawn_for_a_notice_that_waits(rows: list[tuple[object, ...]]) -> None:
    waiting = [
        waits(str(place), "", place, kind=kind, channel=channel, of=queue(str(name)), due_at=due_at, plain=plain)
        for place, (kind, channel, name, _, due_at, plain) in enumerate(rows)
    ]
    # No two queues have a review in common.
    reviews = [frozenset(f"{letter} of {name}" for letter in letters) for _, _, name, letters, _, _ in rows]  # type: ignore[attr-defined]
    waiting = [replace(each, reviews=some) for each, some in zip(waiting, reviews, strict=True)]
    taken = list(claims_to_come(waiting, NEW))
    assert len({each.delivery.key for each in taken}) == len(taken)
    for each in (each for each in waiting if each.delivery.due_at <= NEW):
        said = {r for other in taken if goes_with(other, each) for r in other.reviews}
        later = {
            r for other in waiting if goes_with(other, each) and other.delivery.due_at > NEW for r in other.reviews
        }
        assert each.reviews <= said | later


def goes_with(other: Candidate[str], each: Candidate[str]) -> bool:
    """Whether two are for one channel and about one queue; the baselines of several queues are one message."""
    one, two = other.delivery, each.delivery
    return one.destination == two.destination and (one.queue == two.queue or one.kind is two.kind is Kind.BASELINE)


class TestSparing:
    """What a claim does not say after all, because of what became of its runs and its queues meanwhile."""

    def spared(self, claim: Claim, *owed: Review, at: datetime = NEW) -> tuple[list[str], str]:
        left, why = without_spared(claim, owed, at)
        return [one.facts.name for one in left], why

    @pytest.mark.parametrize("news", [{"left_out": "only.tags"}, {"absent_at": NOON}])
    def test_is_done_where_a_run_most_likely_concerns_no_one(self, news: dict[str, object]) -> None:
        one, other = replace(review("a"), **news), review("b")  # type: ignore[arg-type]
        assert self.spared(Claim(delivery()), one, other)[0] == ["b"]
        assert self.spared(Claim(delivery()), one) == ([], TAKEN_MEANWHILE)

    def test_is_for_what_was_put_off_or_taken_before_a_reminder(self) -> None:
        put_off = replace(review("a"), acts=Acts(snoozed_until=NEW + HOUR))
        reminder = Claim(delivery(kind=Kind.REMINDER))
        assert self.spared(reminder, put_off) == ([], TAKEN_MEANWHILE)
        assert self.spared(reminder, put_off, at=NEW + HOUR)[0] == ["a"]
        assert self.spared(Claim(delivery()), put_off)[0] == ["a"]
        again = Claim(delivery(), purposes={put_off.key: Kind.REMINDER})
        assert self.spared(again, put_off) == ([], TAKEN_MEANWHILE)
        taken = replace(review("a"), acts=Acts(claimed_by="U1", claimed_until=NEW + HOUR))
        assert self.spared(reminder, taken) == ([], TAKEN_MEANWHILE)

    def test_a_mute_takes_back_what_was_never_tried(self) -> None:
        muted = Claim(delivery(), muted_until=NEW + HOUR)
        assert self.spared(muted, review("a")) == ([], MUTED_MEANWHILE)
        just_claimed = replace(muted, delivery=delivery(attempted_at=NEW))
        assert self.spared(just_claimed, review("a")) == ([], MUTED_MEANWHILE)
        tried = replace(muted, delivery=delivery(attempted_at=NOON))
        assert self.spared(tried, review("a"))[0] == ["a"]
        first = replace(muted, delivery=delivery(kind=Kind.BASELINE))
        assert self.spared(first, review("a"))[0] == ["a"]
        assert self.spared(muted, review("a"), at=NEW + HOUR)[0] == ["a"]

    def test_a_direct_message_goes_out_without_the_runs_of_a_queue_that_is_muted(self) -> None:
        here, there = review("a"), review("b")
        both = Claim(
            delivery(kind=Kind.DIRECT),
            queues={here.key: queue(), there.key: queue("Search")},
            mutes={queue("Search").queue_id: NEW + HOUR},
        )
        assert self.spared(both, here, there)[0] == ["a"]
        assert self.spared(both, here, there, at=NEW + HOUR)[0] == ["a", "b"]


def test_a_mute_holds_a_claim_until_its_end_or_the_opening_after_it() -> None:
    claim = Claim(delivery(), muted_until=FRIDAY + HOUR, polled_at=FRIDAY)
    assert held_until(claim, ALWAYS_OPEN, FRIDAY) == FRIDAY + HOUR
    assert held_until(replace(claim, muted_until=FRIDAY + DAY), office(), FRIDAY) == MONDAY
    assert held_until(claim, ALWAYS_OPEN, FRIDAY + HOUR) is None
    assert held_until(replace(claim, delivery=delivery(kind=Kind.ESCALATION)), ALWAYS_OPEN, FRIDAY) is None


def test_what_waits_for_a_poll_that_does_not_come_is_withdrawn_some_time_after_the_opening() -> None:
    given_up = MONDAY + POLLED_NO_MORE
    assert (in_vain_at(office(), FRIDAY + DAY), in_vain_at(office(), MONDAY + HOUR)) == (given_up, given_up)
    assert [is_in_vain(office(), at) for at in (MONDAY, given_up - MINUTE, given_up)] == [False, False, True]
    assert not is_in_vain(office(), FRIDAY + DAY), "nothing is posted while it is closed"


class TestAnEdit:
    ADDING = Claim(delivery(settled_at=FRIDAY), entered=1)

    def test_that_only_adds_waits_for_the_first_of_its_calendars_to_open(self) -> None:
        assert edit_held_until(self.ADDING, [office()], FRIDAY + DAY) == MONDAY
        assert edit_held_until(self.ADDING, [office(), ALWAYS_OPEN], FRIDAY + DAY) is None
        assert edit_held_until(self.ADDING, [], FRIDAY + DAY) is None

    def test_that_shows_more_than_that_goes_at_once(self) -> None:
        assert edit_held_until(replace(self.ADDING, left=1), [office()], FRIDAY + DAY) is None
        assert edit_held_until(replace(self.ADDING, entered=0), [office()], FRIDAY + DAY) is None

    @pytest.mark.parametrize(
        ("acted_at", "edited_at", "until"),
        [
            (FRIDAY + HOUR, None, None),
            (FRIDAY - HOUR, None, MONDAY),
            (FRIDAY, FRIDAY + HOUR, MONDAY),
            (None, None, MONDAY),
        ],
    )
    def test_that_shows_an_act_goes_at_once(
        self, acted_at: datetime | None, edited_at: datetime | None, until: datetime | None
    ) -> None:
        acted = replace(review("a"), acts=Acts(claimed_by="U1", acted_at=acted_at))
        of = delivery(settled_at=FRIDAY, edited_at=edited_at)
        claim = Claim(of, reviews=(review("b"), acted), entered=1)
        assert edit_held_until(claim, [office()], FRIDAY + DAY) == until

    def test_of_a_message_that_was_never_shown_shows_every_act(self) -> None:
        acted = replace(review("a"), acts=Acts(claimed_by="U1", acted_at=FRIDAY))
        claim = Claim(delivery(), reviews=(acted,), entered=1)
        assert edit_held_until(claim, [office()], FRIDAY + DAY) is None
