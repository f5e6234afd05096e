"""Acts of people: what each changes, why it is refused, how it ends, and what it means for the ladder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from tests.support.acting import ADA, BEN, after, an_act
from tests.support.builders import DAY, HOUR, MINUTE, NOON, queue_run, review, snapshot
from tests.support.outbox import QUEUE
from tests.support.whole_worker import rules_by
from worker.core.actions import OPERATOR, Act, Refusal, Subject, acts_at, apply, without_person
from worker.core.calendar import ALWAYS_OPEN
from worker.core.diff import diff
from worker.core.model import NO_ACTS, Acts, Fate, Kind, Memory, Who
from worker.core.plan import plan

if TYPE_CHECKING:
    from datetime import datetime

    from worker.core.actions import Action
    from worker.core.model import Review
    from worker.core.plan import Plan

POLICY = rules_by(
    ALWAYS_OPEN, stale_after=4 * HOUR, remind_every=DAY, escalate_after=2 * DAY, remind_reserved=False
).policy
WAITING = review("a", told_at=NOON)
CLAIMED = after(WAITING, an_act(Act.CLAIM))
SNOOZED = after(WAITING, an_act(Act.SNOOZE))


def refused(action: Action, of: Review | None, now: datetime = NOON, *, may_act: bool = True) -> Refusal | None:
    return apply(action, Subject(QUEUE, of), now, may_act=may_act).refusal


@pytest.mark.parametrize(
    ("action", "of", "refusal"),
    [
        pytest.param(an_act(Act.CLAIM, BEN), CLAIMED, Refusal.TAKEN, id="another has it already"),
        pytest.param(
            an_act(Act.CLAIM), review("a", reserved=True), Refusal.RESERVED, id="it is reserved at the source"
        ),
        pytest.param(an_act(Act.CLAIM), review("a", closed_at=NOON), Refusal.CLOSED, id="it waits no longer"),
        pytest.param(an_act(Act.CLAIM), None, Refusal.UNKNOWN, id="it was never seen"),
        pytest.param(an_act(Act.CLAIM, until=NOON), WAITING, Refusal.PAST, id="the claim would be over at once"),
        pytest.param(an_act(Act.SNOOZE, until=NOON), WAITING, Refusal.PAST, id="a snooze until now"),
        pytest.param(an_act(Act.SNOOZE, until=None), WAITING, Refusal.PAST, id="a snooze without an end"),
        pytest.param(an_act(Act.GIVE_BACK), WAITING, Refusal.NOT_CLAIMED, id="nobody has it to give back"),
        pytest.param(an_act(Act.GIVE_BACK, BEN), CLAIMED, Refusal.TAKEN, id="another than who has it gives it back"),
        pytest.param(an_act(Act.MUTE, until=NOON), None, Refusal.PAST, id="a mute until now"),
        pytest.param(an_act(Act.UNMUTE), None, Refusal.NOT_MUTED, id="a queue that is not muted"),
    ],
)
def test_an_act_is_refused_because(action: Action, of: Review | None, refusal: Refusal) -> None:
    assert refused(action, of) is refusal


@pytest.mark.parametrize("act", list(Act))
def test_claim_by_a_person_who_is_not_a_reviewer_is_refused_where_only_reviewers_may(act: Act) -> None:
    assert refused(an_act(act), WAITING, may_act=False) is Refusal.NOT_A_REVIEWER


def test_the_one_who_has_it_is_named_to_the_other() -> None:
    assert apply(an_act(Act.CLAIM, BEN), Subject(QUEUE, CLAIMED), NOON).holder == "Ada"


def test_who_has_it_may_claim_again_and_has_it_for_longer() -> None:
    again = after(CLAIMED, an_act(Act.CLAIM, until=NOON + 2 * DAY), now=NOON + HOUR)
    assert again.acts == Acts(ADA.who, "Ada", NOON + 2 * DAY, acted_at=NOON + HOUR)


def test_who_claims_after_a_claim_has_lapsed_has_it_though_no_poll_came_between() -> None:
    assert after(CLAIMED, an_act(Act.CLAIM, BEN, until=NOON + 2 * DAY), now=NOON + DAY).acts.claimed_name == "Ben"


@pytest.mark.parametrize("by", [ADA, OPERATOR], ids=["who has it", "an operator at the command line"])
def test_a_claim_is_given_back_by(by: object) -> None:
    assert not after(CLAIMED, replace(an_act(Act.GIVE_BACK), actor=by)).acts.is_claimed  # type: ignore[type-var]


def test_not_mine_gives_back_and_takes_the_turn_away_until_the_person_claims_it() -> None:
    without = after(CLAIMED, an_act(Act.NOT_MINE))
    assert (without.acts.is_claimed, without.acts.not_mine) == (False, (ADA.who,))
    assert after(without, an_act(Act.NOT_MINE)).acts.not_mine == (ADA.who,)
    assert after(without, an_act(Act.CLAIM)).acts.not_mine == ()


def test_a_mute_lasts_until_it_is_taken_back() -> None:
    muted = apply(an_act(Act.MUTE), Subject(QUEUE), NOON).subject
    assert muted.muted_until == NOON + DAY
    assert apply(an_act(Act.UNMUTE), muted, NOON).subject.muted_until is None
    assert apply(an_act(Act.UNMUTE), muted, NOON + DAY).refusal is Refusal.NOT_MUTED


def test_of_a_claim_that_lapses_it_stays_who_had_it() -> None:
    lapsed = acts_at(CLAIMED.acts, NOON + DAY)
    assert (lapsed.is_claimed, lapsed.lapsed, lapsed.claimed_name) == (False, True, "Ada")
    assert acts_at(lapsed, NOON + 2 * DAY) == lapsed


def test_of_a_forgotten_person_nothing_is_left() -> None:
    both = after(CLAIMED, an_act(Act.NOT_MINE, BEN))
    assert without_person(both.acts, {BEN.who}).not_mine == ()
    assert without_person(without_person(both.acts, {BEN.who}), {ADA.who}) is NO_ACTS


class TestTheSourcesWordWins:
    @pytest.mark.parametrize(
        ("seen", "is_claimed"),
        [
            pytest.param(queue_run("a"), True, id="nothing new"),
            pytest.param(queue_run("a", reserved=True), False, id="it is reserved there"),
            pytest.param(queue_run("a", done=1), False, id="a review is done there"),
            pytest.param(queue_run("a", who=Who(completed_by=("r1",))), False, id="somebody has completed it there"),
            pytest.param(queue_run("a", who=Who(assigned_to=("r1",))), True, id="it is assigned to somebody there"),
        ],
    )
    def test_a_claim_goes_on_until(self, seen: object, is_claimed: bool) -> None:  # noqa: FBT001
        found = diff(snapshot(seen), [CLAIMED], NOON + HOUR)  # type: ignore[arg-type]
        assert found.open[0].acts.is_claimed is is_claimed

    def test_of_a_run_that_has_left_nothing_is_kept_but_that(self) -> None:
        (closed,) = diff(snapshot(), [CLAIMED], NOON + HOUR).changed
        assert (closed.is_open, closed.acts) == (False, NO_ACTS)

    def test_a_run_that_is_re_added_is_nobodys(self) -> None:
        found = diff(snapshot(queue_run("a", added_at=NOON + HOUR)), [CLAIMED], NOON + HOUR)
        assert [each.acts for each in found.open] == [NO_ACTS]


def decided(now: datetime, *reviews: Review, muted_until: datetime | None = None) -> Plan:
    """What a poll that sees the same runs decides."""
    runs = [queue_run(each.facts.name, added_at=each.added_at) for each in reviews]
    return plan(snapshot(*runs), Memory(True, reviews, muted_until=muted_until), POLICY, now)


def kinds(found: Plan) -> list[Kind]:
    return [notice.kind for notice in found.notices]


class TestAClaim:
    def test_spares_the_run_from_reminders_until_it_lapses_then_leads_to_one(self) -> None:
        assert kinds(decided(NOON + 4 * HOUR, WAITING)) == [Kind.REMINDER]
        waits = decided(NOON + 4 * HOUR, CLAIMED)
        assert (kinds(waits), waits.next_due_at) == ([], NOON + DAY)
        over = decided(NOON + DAY, CLAIMED)
        assert kinds(over) == [Kind.REMINDER]
        assert [each.acts.lapsed for each in over.reviews] == [True]
        assert over.next_due_at == NOON + 2 * DAY

    def test_never_makes_an_escalation_later(self) -> None:
        long = after(WAITING, an_act(Act.CLAIM, until=NOON + 9 * DAY))
        assert decided(NOON + 4 * HOUR, long).next_due_at == NOON + 2 * DAY
        assert kinds(decided(NOON + 2 * DAY, long)) == [Kind.ESCALATION]

    def test_that_lapses_while_nothing_is_due_posts_nothing_and_shows_who_had_it(self) -> None:
        short = after(WAITING, an_act(Act.CLAIM, until=NOON + HOUR))
        over = decided(NOON + HOUR, short)
        assert (kinds(over), [each.acts.lapsed for each in over.reviews]) == ([], [True])
        assert over.next_due_at == NOON + 4 * HOUR

    def test_is_not_taken_along_by_the_reminder_of_another(self) -> None:
        other = review("b", told_at=NOON)
        (notice,) = decided(NOON + 4 * HOUR, CLAIMED, other).notices
        assert notice.reviews == (other.key,)


class TestASnooze:
    def test_is_silence_until_then_also_for_escalations_then_one_message(self) -> None:
        long = after(WAITING, an_act(Act.SNOOZE, until=NOON + 3 * DAY))
        for now in (NOON + 4 * HOUR, NOON + 2 * DAY):
            waits = decided(now, long)
            assert (kinds(waits), waits.next_due_at) == ([], NOON + 3 * DAY)
        over = decided(NOON + 3 * DAY, long)
        assert kinds(over) == [Kind.ESCALATION]
        assert [each.acts.snoozed_until for each in over.reviews] == [None]

    def test_of_a_run_that_was_not_announced_holds_that(self) -> None:
        new = after(review("a"), an_act(Act.SNOOZE, until=NOON + HOUR))
        assert (kinds(decided(NOON, new)), decided(NOON, new).next_due_at) == ([], NOON + HOUR)
        assert kinds(decided(NOON + HOUR, new)) == [Kind.ANNOUNCEMENT]


class TestAMute:
    def test_holds_all_but_escalations_and_leads_to_one_message(self) -> None:
        new, old = review("b", added_at=NOON + 3 * HOUR), review("c", told_at=NOON, added_at=NOON)
        muted = decided(NOON + 4 * HOUR, new, old, muted_until=NOON + DAY)
        assert (kinds(muted), muted.next_due_at) == ([], NOON + DAY)
        assert muted.held_until == NOON + DAY
        over = decided(NOON + DAY, new, old, muted_until=NOON + DAY)
        assert [(notice.kind, len(notice.reviews)) for notice in over.notices] == [(Kind.REMINDER, 2)]

    def test_is_broken_through_by_an_escalation(self) -> None:
        new = review("b", added_at=NOON + DAY)
        muted = decided(NOON + 2 * DAY, new, WAITING, muted_until=NOON + 9 * DAY)
        assert [(notice.kind, notice.reviews) for notice in muted.notices] == [(Kind.ESCALATION, (WAITING.key,))]

    def test_holds_the_first_sight_of_a_queue(self) -> None:
        held = plan(snapshot(queue_run("a")), Memory(False, (), muted_until=NOON + HOUR), POLICY, NOON)
        assert (held.notices, held.is_baselined) == ((), False)

    def test_a_snooze_that_ends_after_the_queue_was_muted_leads_to_one_message_when_both_are_over(self) -> None:
        snoozed = after(WAITING, an_act(Act.SNOOZE, until=NOON + 5 * HOUR))
        during = decided(NOON + 5 * HOUR, snoozed, muted_until=NOON + DAY)
        assert (kinds(during), during.next_due_at) == ([], NOON + DAY)
        awake = replace(snoozed, acts=acts_at(snoozed.acts, NOON + 5 * HOUR))
        assert kinds(decided(NOON + DAY - MINUTE, awake, muted_until=NOON + DAY)) == []
        assert kinds(decided(NOON + DAY, awake, muted_until=NOON + DAY)) == [Kind.REMINDER]


def test_a_fate_says_nothing_of_who_had_it() -> None:
    gone = replace(CLAIMED, closed_at=NOON, fate=Fate.REVIEWED)
    assert refused(an_act(Act.GIVE_BACK), gone) is Refusal.CLOSED
