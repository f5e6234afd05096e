"""One poll's decision, and the last look before a send."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from msgspec.structs import replace

from tests.support.builders import CHANNEL, DAY, HOUR, LEADS, NOON, ident, to
from tests.support.given import QUEUE, a_listing, a_policy, a_review, a_run, at, notified_age, replan
from worker.core.model import Facts, Kind, Memory, RemindIn, ReviewKey
from worker.core.owed import Notice
from worker.core.plan import notice_key, oldest_first, plan, still_owed, undescribed
from worker.core.policy import ZERO, EscalationPolicy, Step

if TYPE_CHECKING:
    from worker.core.model import QueueRun, Review
    from worker.core.owed import Destination
    from worker.core.plan import Plan

UNSEEN = Memory(baselined=False, reviews=())


def recalled(*reviews: Review) -> Memory:
    return Memory(baselined=True, reviews=reviews)


def told(decided: Plan) -> dict[Kind, tuple[ReviewKey, ...]]:
    return {notice.kind: notice.reviews for notice in decided.notices}


def keys(*numbers: int) -> tuple[ReviewKey, ...]:
    return tuple(a_review(number).key for number in numbers)


class TestTheFirstCompletePoll:
    """One baseline, and everything in it counts as told at its age, but for what is to be escalated."""

    def test_tells_of_everything_that_waits_in_one_baseline(self) -> None:
        decided = plan(a_listing(a_run(1, at(-90)), a_run(2, NOON)), UNSEEN, a_policy(escalate_after=DAY), at(1))
        assert [(notice.kind, notice.destination) for notice in decided.notices] == [(Kind.BASELINE, CHANNEL)]
        assert [notified_age(review) for review in decided.reviews] == [ZERO, HOUR]
        assert [review.generation for review in decided.reviews] == [1, 1]

    def test_counts_as_told_at_its_age_where_nothing_is_escalated(self) -> None:
        decided = plan(a_listing(a_run(1, at(-90))), UNSEEN, a_policy(), at(1))
        assert [notified_age(review) for review in decided.reviews] == [91 * HOUR]
        assert decided.next_due_at == at(-90) + 91 * HOUR + DAY

    def test_of_an_empty_queue_tells_nothing(self) -> None:
        decided = plan(a_listing(), UNSEEN, a_policy(), NOON)
        assert (decided.reviews, decided.notices, decided.next_due_at) == ((), (), None)

    def test_after_an_empty_one_is_no_first_one(self) -> None:
        decided = plan(a_listing(a_run()), recalled(), a_policy(), NOON)
        assert told(decided) == {Kind.ANNOUNCEMENT: keys(1)}

    def test_what_only_the_other_listing_can_show_is_a_baseline_too(self) -> None:
        old, shown, new = a_run(1), a_run(2, at(-90)), a_run(3)
        listing = replace(a_listing(old, shown, new), listing="b", revealed=frozenset({ident(1), ident(2)}))
        decided = plan(listing, replace(recalled(a_review(1, told_at=at(1))), listing="a"), a_policy(), at(1))
        assert told(decided) == {
            Kind.BASELINE: (ReviewKey(shown.queue_run_id, shown.added_at),),
            Kind.ANNOUNCEMENT: keys(3),
        }

    @pytest.mark.parametrize("before", ["", "b"], ids=["not known", "the same"])
    def test_nothing_is_revealed_where_the_listing_did_not_change(self, before: str) -> None:
        listing = replace(a_listing(a_run(1), a_run(2)), listing="b", revealed=frozenset({ident(2)}))
        decided = plan(listing, replace(recalled(a_review(1, told_at=at(1))), listing=before), a_policy(), at(1))
        assert told(decided) == {Kind.ANNOUNCEMENT: keys(2)}

    def test_another_listing_that_gives_a_run_another_id_announces_nothing_again(self) -> None:
        shown = replace(a_run(1), queue_run_id=ident(2))
        memory = replace(recalled(a_review(1)), listing="a")
        assert told(plan(replace(a_listing(shown), listing="b"), memory, a_policy(), at(1))) == {}

    def test_names_the_revision_that_it_was_decided_on(self) -> None:
        assert plan(a_listing(), replace(recalled(), revision=7), a_policy(), NOON).revision == 7

    def test_names_the_listing_to_remember(self) -> None:
        assert plan(replace(a_listing(), listing="b"), UNSEEN, a_policy(), NOON).listing == "b"

    def test_tells_of_reserved_runs_too(self) -> None:
        decided = plan(a_listing(a_run(reserved=True)), UNSEEN, a_policy(), NOON)
        assert told(decided) == {Kind.BASELINE: keys(1)}


OLD, YOUNG = a_run(1, at(-90)), a_run(2, at(-2))
OLD_KEYS = (ReviewKey(OLD.queue_run_id, OLD.added_at),)


class TestThePollAfterTheBaseline:
    """Escalates once what was past that age at first sight."""

    def baseline(self, *runs: QueueRun, **policy: Any) -> Memory:
        decided = plan(a_listing(*(runs or (OLD, YOUNG))), UNSEEN, escalating(**policy), NOON)
        assert list(told(decided)) == [Kind.BASELINE]
        return recalled(*decided.reviews)

    def test_comes_at_once_and_is_the_only_one(self) -> None:
        memory = self.baseline()
        first = plan(a_listing(OLD, YOUNG), UNSEEN, escalating(), NOON)
        assert first.next_due_at is not None
        assert first.next_due_at <= NOON
        decided, memory = replan(memory.reviews, a_listing(OLD, YOUNG), escalating(), at(0.1))
        assert told(decided) == {Kind.ESCALATION: OLD_KEYS}
        assert [(notice.destination, notice.mention) for notice in decided.notices] == [(LEADS, ("S0ONCALL",))]
        again, _ = replan(memory.reviews, a_listing(OLD, YOUNG), escalating(), at(0.2))
        assert again.notices == ()

    def test_reminds_of_it_a_day_later_as_of_any_other(self) -> None:
        decided, memory = replan(self.baseline().reviews, a_listing(OLD), escalating(), at(0.1))
        assert decided.notices
        later, _ = replan(memory.reviews, a_listing(OLD), escalating(), at(24.2))
        assert told(later) == {Kind.REMINDER: OLD_KEYS}

    @pytest.mark.parametrize(
        ("runs", "policy", "expected"),
        [
            pytest.param((YOUNG,), {}, {}, id="reviewed in between"),
            pytest.param((a_run(1, at(-90), reserved=True),), {}, {}, id="reserved in between"),
            pytest.param((OLD,), {"escalate_after": 5 * HOUR}, {Kind.ESCALATION: OLD_KEYS}, id="lowered in between"),
            pytest.param((OLD,), {"escalate_after": None}, {Kind.REMINDER: OLD_KEYS}, id="never in between: reminded"),
            pytest.param((OLD,), {"escalate_to": CHANNEL}, {Kind.ESCALATION: OLD_KEYS}, id="in the queue's channel"),
        ],
    )
    def test_escalates_by_what_is_so_by_then(
        self, runs: tuple[QueueRun, ...], policy: dict[str, Any], expected: dict[Kind, object]
    ) -> None:
        decided, _ = replan(self.baseline().reviews, a_listing(*runs), escalating(**policy), at(0.1))
        assert told(decided) == expected

    def test_escalates_a_reserved_run_when_it_is_given_back(self) -> None:
        reserved = a_run(1, at(-90), reserved=True)
        decided, memory = replan(self.baseline(reserved).reviews, a_listing(reserved), escalating(), at(0.1))
        assert decided.notices == ()
        back, _ = replan(memory.reviews, a_listing(OLD), escalating(), at(5))
        assert told(back) == {Kind.ESCALATION: OLD_KEYS}

    def test_escalates_nothing_that_was_young_where_the_age_is_lowered_later(self) -> None:
        memory = self.baseline(YOUNG)
        decided, _ = replan(memory.reviews, a_listing(YOUNG), escalating(escalate_after=HOUR), at(0.1))
        assert decided.notices == ()

    def test_escalates_nothing_where_that_is_switched_on_later(self) -> None:
        memory = self.baseline(OLD, escalate_after=None)
        decided, _ = replan(memory.reviews, a_listing(OLD), escalating(), at(0.1))
        assert decided.notices == ()


def escalating(**more: Any) -> EscalationPolicy:
    return a_policy(**{"escalate_after": DAY, "escalate_to": LEADS, "escalate_mention": ("S0ONCALL",)} | more)


@pytest.mark.parametrize(
    ("runs", "reviews", "now", "expected"),
    [
        pytest.param([a_run()], [], NOON, {Kind.ANNOUNCEMENT: keys(1)}, id="a new run is announced"),
        pytest.param([a_run(1), a_run(2)], [], NOON, {Kind.ANNOUNCEMENT: keys(1, 2)}, id="new runs share one notice"),
        pytest.param([a_run()], [a_review()], at(1), {}, id="a known run is not told of again"),
        pytest.param([a_run()], [a_review()], at(4), {Kind.REMINDER: keys(1)}, id="a stale run is reminded of"),
        pytest.param(
            [a_run(1, at(-4)), a_run(2, NOON)],
            [a_review(1, at(-4))],
            NOON,
            {Kind.ANNOUNCEMENT: (a_review(1, at(-4)).key, *keys(2))},
            id="what is new and what is stale goes together",
        ),
        pytest.param([], [a_review()], at(9), {}, id="a run that is gone is not reminded of"),
        pytest.param(
            [a_run(added_at=at(5))],
            [a_review()],
            at(5),
            {Kind.ANNOUNCEMENT: (a_review(added_at=at(5)).key,)},
            id="a run put back is announced, its old stay no more",
        ),
        pytest.param(
            [a_run(effective_added_at=at(5))],
            [a_review(told_at=at(4), closed_at=at(4.5))],
            at(5),
            {},
            id="a run that the reviewer alone put back is announced to nobody",
        ),
        pytest.param(
            [a_run(effective_added_at=at(5))],
            [a_review(told_at=at(4), closed_at=at(4.5))],
            at(9),
            {Kind.REMINDER: keys(1)},
            id="but reminded of when it is stale anew",
        ),
        pytest.param(
            [a_run()], [a_review(closed_at=at(1))], at(2), {}, id="a run that comes back as it was is not told of again"
        ),
        pytest.param(
            [a_run()],
            [a_review(closed_at=at(1))],
            at(5),
            {Kind.REMINDER: keys(1)},
            id="unless it is stale by now",
        ),
        pytest.param([a_run(reserved=True)], [a_review()], at(9), {}, id="a reserved run is spared"),
        pytest.param([a_run()], [a_review(reserved=True)], at(9), {Kind.REMINDER: keys(1)}, id="a released one is not"),
    ],
)
def test_whom_a_poll_tells_what(
    runs: list[QueueRun], reviews: list[Review], now: datetime, expected: dict[Kind, tuple[ReviewKey, ...]]
) -> None:
    assert told(plan(a_listing(*runs), recalled(*reviews), a_policy(), now)) == expected


def test_a_run_absent_once_is_not_reminded_of() -> None:
    decided = plan(a_listing(one_page=False), recalled(a_review()), a_policy(), at(9))
    assert decided.notices == ()


def test_what_is_told_is_remembered_with_its_age_and_a_new_generation() -> None:
    decided = plan(a_listing(a_run()), recalled(a_review(generation=3)), a_policy(), at(5))
    assert decided.reviews == (a_review(told_at=at(5), generation=4, reminded=1),)


def test_what_changes_without_being_told_is_remembered_too() -> None:
    decided = plan(a_listing(a_run(1), a_run(2)), recalled(a_review(1), a_review(3)), a_policy(), at(1))
    after = {review.queue_run_id: review for review in decided.reviews}
    assert set(after) == {ident(2), ident(3)}
    assert after[ident(3)].closed_at == at(1)
    assert after[ident(2)].told_at == at(1)


class TestARepeatThatIsNear:
    """It joins a reminder that goes out anyway: fewer messages, none late."""

    def decide(self, *reviews: Review, now: datetime, **more: Any) -> Plan:
        runs = (a_run(number, review.added_at) for number, review in enumerate(reviews, 1))
        return plan(a_listing(*runs), recalled(*reviews), a_policy(**more), now)

    def test_joins(self) -> None:
        due, near = a_review(1, told_at=at(4)), a_review(2, told_at=at(9))
        decided = self.decide(due, near, now=at(28))
        assert told(decided) == {Kind.REMINDER: keys(1, 2)}
        assert [review.told_at for review in decided.reviews] == [at(28), at(28)]

    def test_joins_not_where_it_is_far(self) -> None:
        due, far = a_review(1, told_at=at(4)), a_review(2, told_at=at(11))
        assert told(self.decide(due, far, now=at(28))) == {Kind.REMINDER: keys(1)}

    def test_goes_not_out_alone(self) -> None:
        assert told(self.decide(a_review(told_at=at(4)), now=at(27))) == {}

    def test_joins_not_an_announcement(self) -> None:
        near = a_review(1, told_at=at(4))
        decided = plan(a_listing(a_run(1), a_run(2, at(27))), recalled(near), a_policy(), at(27))
        assert set(told(decided)) == {Kind.ANNOUNCEMENT}

    def test_joins_not_where_it_is_spared(self) -> None:
        due, near = a_review(1, told_at=at(4)), a_review(2, told_at=at(9))
        decided = plan(a_listing(a_run(1), a_run(2, reserved=True)), recalled(due, near), a_policy(), at(28))
        assert told(decided) == {Kind.REMINDER: keys(1)}

    def test_joins_one_notice_only(self) -> None:
        steps = (
            Step(Kind.ANNOUNCEMENT, timedelta(0), CHANNEL),
            Step(Kind.REMINDER, HOUR, CHANNEL, every=DAY),
            Step(Kind.ESCALATION, 2 * HOUR, LEADS, every=DAY),
        )
        runs = [a_run(1, NOON), a_run(2, at(18.5)), a_run(3, NOON)]
        reviews = [a_review(1, told_at=at(0)), a_review(2, at(18.5)), a_review(3, told_at=at(2))]
        decided = plan(a_listing(*runs), recalled(*reviews), EscalationPolicy(steps), at(20))
        assert [len(told(decided)[kind]) for kind in (Kind.REMINDER, Kind.ESCALATION)] == [1, 2]

    @pytest.mark.parametrize(
        ("place", "since", "escalated"),
        [
            pytest.param(CHANNEL, 6, 2, id="an escalation in the message of its reminder"),
            pytest.param(LEADS, 6, 1, id="its reminder where the escalation goes to another place"),
            pytest.param(CHANNEL, 7, 1, id="its reminder while the escalation is far"),
        ],
    )
    def test_joins_what_its_message_is_about(self, place: Destination, since: int, escalated: int) -> None:
        first, second = a_review(1), a_review(2, at(since))
        runs, policy = [a_run(1), a_run(2, at(since))], a_policy(escalate_after=DAY, escalate_to=place)
        decided = plan(a_listing(*runs), recalled(first, second), policy, at(24))
        purposes = [purpose for notice in decided.notices for purpose in notice.purposes]
        assert purposes.count(Kind.ESCALATION) == escalated
        assert purposes.count(Kind.REMINDER) == 2 - escalated


class TestANotice:
    """One a queue, kind and poll."""

    def test_lists_the_oldest_first(self) -> None:
        runs = [a_run(1, at(-1)), a_run(3, at(-2)), a_run(2, at(-2))]
        (notice,) = plan(a_listing(*runs), recalled(), a_policy(), NOON).notices
        assert [key.queue_run_id for key in notice.reviews] == [ident(2), ident(3), ident(1)]

    def test_carries_what_its_step_says(self) -> None:
        policy = a_policy(
            remind_in=RemindIn.THREAD, escalate_after=DAY, escalate_to=LEADS, escalate_mention=("U1", "S2")
        )
        reviews = [a_review(1), a_review(2, at(-25), told_at=at(-21))]
        decided = plan(a_listing(a_run(1), a_run(2, at(-25))), recalled(*reviews), policy, at(4))
        reminder, escalation = sorted(decided.notices, key=lambda notice: notice.kind, reverse=True)
        assert (reminder.destination, reminder.mention, reminder.remind_in) == (CHANNEL, (), RemindIn.THREAD)
        assert (escalation.destination, escalation.mention) == (LEADS, ("U1", "S2"))
        assert escalation.remind_in is RemindIn.CHANNEL

    def test_is_named_by_what_it_says_after_it_was_said(self) -> None:
        (notice,) = plan(a_listing(a_run()), recalled(a_review()), a_policy(), at(4)).notices
        spoken = a_review(generation=2)
        assert notice == Notice(
            key=notice_key(QUEUE.queue_id, Kind.REMINDER, CHANNEL, [spoken]),
            kind=Kind.REMINDER,
            destination=CHANNEL,
            reviews=(spoken.key,),
            purposes=(Kind.REMINDER,),
            before=(NOON,),
        )


class TestTheNextDueTime:
    """When an unchanged listing would change something."""

    def test_is_that_of_the_earliest_step(self) -> None:
        decided = plan(a_listing(a_run(1), a_run(2, at(-1))), recalled(), a_policy(), NOON)
        assert decided.next_due_at == at(3)

    def test_counts_with_what_was_told_just_now(self) -> None:
        decided = plan(a_listing(a_run()), recalled(a_review()), a_policy(), at(4))
        assert decided.next_due_at == at(28)

    def test_is_at_once_where_an_absence_has_to_be_settled(self) -> None:
        decided = plan(a_listing(one_page=False), recalled(a_review()), a_policy(), at(1))
        assert decided.next_due_at == at(1)

    def test_is_never_where_no_step_comes(self) -> None:
        decided = plan(a_listing(a_run(1, reserved=True), a_run(2)), recalled(), a_policy(stale_after=None), NOON)
        assert decided.next_due_at is None


class TestStillOwed:
    """Just before a send, and of a send whose answer was lost."""

    def test_are_those_that_wait(self) -> None:
        waiting, left = a_review(1), a_review(2, closed_at=at(1))
        assert still_owed([left, waiting]) == ((waiting,), (left,))

    def test_keeps_the_order(self) -> None:
        reviews = tuple(a_review(number) for number in (3, 1, 2))
        assert still_owed(iter(reviews)) == (reviews, ())

    def test_are_not_those_that_have_left_by_a_clock_that_was_set_back_since(self) -> None:
        left = a_review(closed_at=at(99))
        assert still_owed([left]) == ((), (left,))

    @pytest.mark.parametrize(
        ("closed_at", "owed"),
        [
            pytest.param(None, True, id="one that waits"),
            pytest.param(at(2), True, id="one that left after the attempt began"),
            pytest.param(at(1), False, id="one that had just left"),
            pytest.param(at(0), False, id="one that had left before"),
        ],
    )
    def test_then(self, closed_at: datetime | None, owed: bool) -> None:  # noqa: FBT001
        review = a_review(closed_at=closed_at)
        assert still_owed([review], as_of=at(1)) == (((review,), ()) if owed else ((), (review,)))


class TestTheKeyOfANotice:
    """The same decision has the same key, whoever takes it and however often."""

    ONCE = datetime(2026, 3, 1, 12, tzinfo=UTC)

    def named(
        self, *reviews: Review, queue: int = 1, kind: Kind = Kind.REMINDER, channel: Destination | str = CHANNEL
    ) -> UUID:
        return notice_key(UUID(int=queue), kind, to(channel), reviews)

    def test_never_changes_between_versions(self) -> None:
        review = replace(a_review(added_at=self.ONCE), queue_run_id=UUID(int=101))
        assert str(self.named(review, channel="C0SUPPORT00")) == "fd65513e-acc7-53c6-8ba9-256728e2b0d5"

    def test_of_an_undated_stay_never_changes_either(self) -> None:
        review = replace(a_review(added_at=None), queue_run_id=UUID(int=101))
        assert str(self.named(review, channel="C0SUPPORT00")) == "251a4663-06c9-51a2-ad38-065d61333de2"

    def test_does_not_depend_on_the_order(self) -> None:
        assert self.named(a_review(1), a_review(2)) == self.named(a_review(2), a_review(1))

    def test_differs_with_whatever_it_says(self) -> None:
        names = [
            self.named(a_review()),
            self.named(a_review(2)),
            self.named(a_review(1), a_review(2)),
            self.named(a_review(added_at=at(1))),
            self.named(a_review(added_at=None)),
            self.named(a_review(generation=2)),
            self.named(a_review(), queue=2),
            self.named(a_review(), kind=Kind.ESCALATION),
            self.named(a_review(), channel=LEADS),
        ]
        assert len(set(names)) == len(names)

    def test_does_not_depend_on_what_may_change_while_it_waits(self) -> None:
        review = a_review()
        assert self.named(review) == self.named(replace(review, reserved=True, since=at(-5), told_at=at(1), done=1))


def test_a_plan_that_was_written_decides_nothing_more() -> None:
    runs = [a_run(1), a_run(2, at(-30)), a_run(3, reserved=True)]
    listing = a_listing(*runs)
    _, memory = replan([a_review(1), a_review(4)], listing, a_policy(), at(5))
    again, _ = replan(list(memory.reviews), listing, a_policy(), at(5))
    assert (again.reviews, again.notices) == ((), ())


def test_of_runs_without_facts_only_those_are_wanted_that_a_message_lists() -> None:
    runs = [a_run(n, at(n - 20), facts=Facts(url="there")) for n in range(12)]
    known = a_run(12, at(-30), facts=Facts(name="known"))
    decided = plan(a_listing(*runs, known), UNSEEN, a_policy(), NOON)
    assert undescribed(decided) == {run.queue_run_id for run in runs[:9]}


def test_a_listing_counts_its_runs() -> None:
    assert a_listing(a_run(1), a_run(2)).count == 2


def test_of_runs_that_were_added_together_ids_of_two_kinds_have_an_order() -> None:
    keys = [ReviewKey("item-7", None), ReviewKey(UUID(int=1), None), ReviewKey("item-10", None)]
    assert oldest_first([(NOON, key) for key in keys]) == (keys[1], keys[2], keys[0])
