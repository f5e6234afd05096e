"""Who acts, whether they may, and until when: before an act is decided on."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.builders import DAY, HOUR, review
from tests.support.memory_store import MemoryStore
from tests.support.office import FRIDAY, MONDAY, at, office
from tests.support.outbox import write
from tests.support.people import ASSIGNED, person
from tests.support.whole_worker import rules_by
from worker.core.actions import Act, Acted, MayAct, Refusal, after_today
from worker.core.audience import Audience, Persons, listed_id
from worker.core.calendar import ALWAYS_OPEN
from worker.core.model import Polled
from worker.loops.act import Perform, Wish
from worker.settings.values import WrittenDuration

if TYPE_CHECKING:
    from datetime import datetime

    from worker.core.calendar import Calendar

ADA, ZOE = person("Ada"), person("Zoe")
RUN = review("a").queue_run_id


class Desk:
    """A store with one run, and those who may act on it."""

    def __init__(self, calendar: Calendar = ALWAYS_OPEN, who: MayAct = MayAct.ANYONE) -> None:
        self.store = MemoryStore()
        write(self.store, review("a"), of=ASSIGNED)
        self.store.polled([Polled(ASSIGNED)])
        self.persons = Persons((ADA, ZOE))
        rules = rules_by(calendar, people=Audience.ASSIGNED)
        self.perform = Perform(
            acting=self.store,
            polls=self.store,
            rules=lambda _queue: rules,
            persons=lambda: self.persons,
            claim_for=WrittenDuration(1).with_days_of,
            may_act=who,
        )

    def __call__(self, act: Act, now: datetime = FRIDAY, **wish: Any) -> Acted:
        return self.perform(Wish(act, ASSIGNED.queue_id, RUN, through="test", **wish), now)


def test_a_claim_lasts_one_open_day_of_the_queues_calendar() -> None:
    for calendar, until in ((ALWAYS_OPEN, FRIDAY + DAY), (office(), MONDAY + 5 * HOUR - timedelta(hours=1))):
        acted = Desk(calendar)(Act.CLAIM, user=ADA.user)
        assert acted.subject.review is not None
        assert acted.subject.review.acts.claimed_until == until


def test_a_person_is_the_same_by_the_user_and_by_the_e_mail_in_any_case() -> None:
    desk = Desk()
    desk(Act.CLAIM, email="ADA@example.com")
    assert desk(Act.GIVE_BACK, user=ADA.user).refusal is None
    desk(Act.CLAIM, user=ADA.user)
    assert desk(Act.CLAIM, email=ADA.email).refusal is None
    assert desk(Act.CLAIM, user=ZOE.user).holder == "Ada"


def test_who_claimed_before_the_user_was_known_has_it_still() -> None:
    desk = Desk()
    desk.persons = Persons()
    acted = desk(Act.CLAIM, email=ADA.email)
    assert acted.subject.review is not None
    assert acted.subject.review.acts.claimed_by == listed_id(ADA.email)
    assert acted.subject.review.acts.claimed_name == "ada"
    desk.persons = Persons((ADA, ZOE))
    assert desk(Act.GIVE_BACK, user=ADA.user).refusal is None


@pytest.mark.parametrize(
    ("wish", "refusal"),
    [
        pytest.param({"user": ADA.user}, None, id="a reviewer of the queue"),
        pytest.param({"email": "ada@example.com"}, None, id="a reviewer by e-mail"),
        pytest.param({"user": ZOE.user}, Refusal.NOT_A_REVIEWER, id="claim by a person who is not a reviewer"),
        pytest.param({"user": "U0STRANGER"}, Refusal.NOT_A_REVIEWER, id="claim by somebody unknown"),
        pytest.param({"email": "who@example.com"}, Refusal.NOT_A_REVIEWER, id="claim by an unknown e-mail"),
    ],
)
def test_only_reviewers_act_where_the_settings_say_so(wish: dict[str, str], refusal: Refusal | None) -> None:
    desk = Desk(who=MayAct.REVIEWERS)
    assert desk(Act.CLAIM, **wish).refusal is refusal
    assert [each.refusal for each in desk.store.records(10)] == [refusal]


def test_an_operator_takes_back_what_anybody_did() -> None:
    desk = Desk(who=MayAct.REVIEWERS)
    desk(Act.CLAIM, user=ADA.user)
    assert desk(Act.GIVE_BACK).refusal is None


def test_opening_is_the_next_after_today() -> None:
    assert after_today(office(), FRIDAY) == MONDAY
    assert after_today(office(), at(3, 9, "6:00")) == at(3, 10, "8:00")
    assert after_today(ALWAYS_OPEN, FRIDAY) == at(3, 7, "9:00")
