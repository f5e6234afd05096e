"""Laws of when a worker posts, whatever calendar its queue keeps, and whatever arrives, leaves and fails meanwhile."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise, permutations, product
from math import perm
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from tests.support.builders import DAY, HOUR, LEADS, MINUTE, ident, receipt
from tests.support.whole_worker import Worker, rules_by
from tests.unit.core.hours import CALENDARS, Given, clock
from worker.core.model import FIRST_SIGHT, Entry, Kind
from worker.core.outbox import LIVE
from worker.core.owed import State
from worker.core.ports import Outcome, Trouble

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from worker.core.model import Review, ReviewKey
    from worker.rules import QueueRules

NAMES = range(1, 6)
TIMES = [tuple((MINUTE * clock(at),) for _ in range(7)) for at in ("9:30", "14:00")]

Event = tuple[timedelta, tuple[int, ...] | None, str]

# Each choice is made by one draw from all that is possible, since drawing costs more than many a step that is tried.
LISTED = [each for length in range(6) for each in [*permutations(NAMES, length)] * (120 // perm(5, length))]
"""What is listed, in any order; each length is as likely."""
TROUBLES = ["", "", "", "", "source", "slack", "edit", "lost", "restart", "deleted"]
WAITS = [MINUTE, MINUTE, 7 * MINUTE, 30 * MINUTE, HOUR, 4 * HOUR, 11 * HOUR]
CHOICES = {
    "stale_after": [None, 2 * HOUR, 4 * HOUR],
    "remind_every": [None, 4 * HOUR, DAY],
    "remind_at": [None, *TIMES],
    "escalate_after": [None, 6 * HOUR],
    "escalate_every": [None, 5 * HOUR],
    "escalate_to": ["", LEADS],
    "announce_every": [0 * HOUR, HOUR, 4 * HOUR],
    "edit_for": [7 * DAY, 7 * DAY, HOUR, None],
}

calendars = st.sampled_from([*CALENDARS, None])
listings = st.sampled_from([*[None] * len(LISTED), *LISTED])
chosen = st.sampled_from([*product(*CHOICES.values())])


def histories(troubles: Sequence[str]) -> st.SearchStrategy[Sequence[Event]]:
    happening = st.sampled_from([*product(WAITS, troubles)])
    each = st.builds(lambda happens, listed: (happens[0], listed, happens[1]), happening, listings)
    return st.lists(each, min_size=3, max_size=25)


events = histories(TROUBLES)
calm = histories(["", "", "restart"])


def rules(chosen: Sequence[object], of: Given | None) -> QueueRules:
    calendar = {} if of is None else {"calendar": of.calendar}
    return rules_by(**calendar, **dict(zip(CHOICES, chosen, strict=True)))


class Play:
    """One worker and one queue, through some days around a change of the clock."""

    def __init__(self, data: st.DataObject) -> None:
        of = data.draw(calendars)
        self.rules = rules(data.draw(chosen), of)
        self.calendar = self.rules.calendar
        first = (of or CALENDARS[0]).first
        start = first + MINUTE * data.draw(st.integers(0, 5 * 1440))
        self.worker = Worker({"Support QA": self.rules}, start=start)
        self.shown_at: dict[ReviewKey, datetime] = {}

    def happen(self, wait: timedelta, listed: tuple[int, ...] | None, trouble: str) -> bool:
        """Let time pass, let something happen, poll and deliver; whether the poll was complete."""
        worker = self.worker
        worker.clock.advance(wait)
        if listed is not None:
            worker.show(*listed)
        if trouble == "source":
            worker.source.fail(trouble=Trouble.THROTTLED, retry_after=timedelta(0))
        if trouble == "slack":
            worker.notifier.fail("send", Outcome.RETRY)
        if trouble == "lost":
            worker.notifier.fail("send", Outcome.UNKNOWN, committed=True)
        if trouble == "edit":
            worker.notifier.fail("edit", Outcome.EDIT)
        if trouble == "restart":
            worker.restart()
        if trouble == "deleted":
            for delivery in worker.deliveries():
                worker.notifier.delete(delivery.receipt or receipt())
        worker.tick()
        return trouble != "source"

    @property
    def now(self) -> datetime:
        return self.worker.clock.now()

    def waiting(self) -> list[Review]:
        stories = (story for name in NAMES for story in self.worker.store.stories(ident(name)))
        return [story.review for story in stories if story.review.is_open and story.review.absent_at is None]


def is_shown(play: Play, review: Review) -> bool:
    """Whether a post or an edit shows the run, or is owed to show it."""
    story = next(s for s in play.worker.store.stories(review.queue_run_id) if s.review.key == review.key)
    return any(
        not each.left_out and (each.delivery.state in LIVE or each.delivery.state is State.SENT)
        for each in story.notices
    )


@given(st.data(), events)
def test_nothing_is_posted_while_it_may_not(data: st.DataObject, history: Sequence[Event]) -> None:
    play = Play(data)
    for event in history:
        play.happen(*event)
    assert [at for at, _ in play.worker.posts if not play.calendar.may_post(at)] == []


@given(st.data(), events)
def test_what_waits_is_shown_by_the_first_complete_poll_in_an_open_minute(
    data: st.DataObject, history: Sequence[Event]
) -> None:
    play = Play(data)
    for event in history:
        is_complete = play.happen(*event)
        # As it was decided on: what was being posted then may be up by now.
        window = play.worker.store.plans[-1][1].window if play.worker.store.plans else None
        if is_complete and play.calendar.may_post(play.now):
            cannot = window is not None and window.entry in {Entry.UNSURE, Entry.NEVER}
            assert cannot or [review for review in play.waiting() if not is_shown(play, review)] == []


@given(st.data(), events)
def test_what_waits_is_called_for_within_announce_every_and_never_twice(
    data: st.DataObject, history: Sequence[Event]
) -> None:
    play = Play(data)
    for event in history:
        is_complete = play.happen(*event)
        if not is_complete or not play.calendar.may_post(play.now):
            continue
        for review in play.waiting():
            seen_at = play.shown_at.setdefault(review.key, play.now)
            if review.told_at is None:
                waited = play.calendar.age(seen_at, play.now)
                assert waited < play.rules.settings.announce_every
    called = [key for key, _ in announced(play)]
    assert len(called) == len(set(called))


@given(st.data(), calm)
def test_announcements_are_so_far_apart_but_for_openings(data: st.DataObject, history: Sequence[Event]) -> None:
    play = Play(data)
    for event in history:
        play.happen(*event)
    calendar, every = play.calendar, play.rules.settings.announce_every
    opened = [
        (at, notice)
        for at, _, plan in play.worker.store.plans
        for notice in plan.notices
        if notice.kind in FIRST_SIGHT or Kind.ANNOUNCEMENT in notice.purposes
    ]
    for (before, _), (at, notice) in pairwise(opened):
        joins_others = set(notice.purposes) - FIRST_SIGHT
        assert joins_others or calendar.age(before, at) >= every or before < calendar.posting_since(at)


def announced(play: Play) -> list[tuple[ReviewKey, Kind]]:
    return [
        (key, purpose)
        for _, _, plan in play.worker.store.plans
        for notice in plan.notices
        for key, purpose in zip(notice.reviews, notice.purposes, strict=True)
        if purpose in FIRST_SIGHT
    ]
