"""Laws of direct messages on random histories: of turns that come, pass to others and end, of acts, and of crashes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.support.builders import HOUR, MINUTE, review
from tests.support.desk import PER_DAY, PER_RUN, Office
from tests.support.people import PAIR, person, who
from worker.core.audience import Persons, Problem
from worker.core.direct import kept_id

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

    from worker.core.audience import Turns
    from worker.core.direct_inbox import Spoken
    from worker.core.model import Review

IDS = ("ada", "ben", "zoe")
LEAD = "U0LEAD"
PEOPLE = (person("Ada"), person("Ben"), person("Zoe", problem=Problem.LEFT))
ANNOUNCE = HOUR


class History:
    """Some runs of one queue, and what happens to them."""

    def __init__(self) -> None:
        self.world = Office(PEOPLE, (PAIR,), {"owner": LEAD, "announce_every": ANNOUNCE})
        self.turns: Turns = self.world.world().queues[PAIR.queue_id].turns
        self.count = 0

    @property
    def waiting(self) -> list[Review]:
        return [one for one in self.world.reviews[PAIR.queue_id].values() if one.is_open]

    def come(self, assigned: tuple[str, ...]) -> None:
        now = self.world.now
        self.count += 1
        self.world.put(review(f"run {self.count}", added_at=now, first_seen_at=now, who=who(*assigned)))

    def change(self, number: int, act: Callable[[Review], Review]) -> None:
        if waiting := self.waiting:
            self.world.put(act(waiting[number % len(waiting)]))

    def complete(self, number: int, one: str) -> None:
        def act(known: Review) -> Review:
            done = tuple(dict.fromkeys((*known.who.completed_by, one)))
            closed_at = self.world.now if len(done) >= PAIR.reviewers_per_run else None
            return replace(known, who=replace(known.who, completed_by=done), done=len(done), closed_at=closed_at)

        self.change(number, act)

    def assign(self, number: int, assigned: tuple[str, ...]) -> None:
        self.change(number, lambda known: replace(known, who=replace(known.who, assigned_to=assigned)))

    def reserve(self, number: int, by: tuple[str, ...]) -> None:
        self.change(
            number,
            lambda known: replace(known, reserved=bool(by), who=replace(known.who, reserved_by=by)),
        )

    def look(self, wait: timedelta, *, crashes: bool) -> None:
        """Look after a while; a crash loses what was decided, and the next process looks again."""
        self.world.now += wait
        if crashes:
            self.world.decide()
        before = len(self.world.posts)
        decided = self.world.decide()
        self.require_turns(decided.notices)
        self.world.look()
        assert len(self.world.posts) - before == len(decided.notices)
        self.require_nothing_left()
        self.require_budget()

    def require_turns(self, notices: object) -> None:
        """Nobody is notified of a run that is not the turn of this person; the owner of none that is nobody's."""
        for notice in notices:  # type: ignore[attr-defined]
            for about, _ in notice.runs:
                persons = self.turns.of(self.world.reviews[PAIR.queue_id][about[1]])
                assert persons if notice.reader.startswith("owner:") else notice.reader in {one.user for one in persons}

    def require_nothing_left(self) -> None:
        """Nobody whose turn it is stays unspoken for longer than the ladder says."""
        assert self.world.decide().notices == ()
        for known in self.waiting:
            for one in self.turns.of(known):
                if one.can_be_messaged and not {*one.reviewer_ids} & {*known.who.reserved_by}:
                    assert self.has_heard(one.user, known) or self.may_not_be_called(one.user)

    def has_heard(self, user: str, known: Review) -> bool:
        ids = next(one.reviewer_ids for one in PEOPLE if one.user == user)
        heard: list[Spoken] = [
            self.world.spoken[kept_id(one), (PAIR.queue_id, known.key)]
            for one in ids
            if (kept_id(one), (PAIR.queue_id, known.key)) in self.world.spoken
        ]
        return any(each.told_at is not None for each in heard)

    def may_not_be_called(self, user: str) -> bool:
        """A message was sent so short a while ago that it shows the run, or the budget of the day is spent."""
        opened_at = self.world.windows.get(user, (self.world.now - 2 * ANNOUNCE,))[0]
        return self.world.now < opened_at + ANNOUNCE or self.spent(user) >= PER_DAY

    def spent(self, user: str) -> int:
        today = self.world.now.replace(hour=0, minute=0, second=0, microsecond=0)
        return sum(post.reader.removeprefix("owner:") == user and post.owed_at >= today for post in self.world.posts)

    def require_budget(self) -> None:
        """Nobody is called more often than the budget of a day says, and the owner once; of a run so many times."""
        assert all(self.spent(one.user) <= PER_DAY for one in PEOPLE)
        assert self.spent(LEAD) <= 1
        assert all(
            heard.reminded <= PER_RUN
            for (reader, _), heard in self.world.spoken.items()
            if not reader.startswith("owner:")
        )


some = st.lists(st.sampled_from(IDS), unique=True, max_size=2).map(tuple)
numbers = st.integers(0, 5)
events = st.one_of(
    st.tuples(st.just("come"), some),
    st.tuples(st.just("complete"), numbers, st.sampled_from(IDS)),
    st.tuples(st.just("assign"), numbers, some),
    st.tuples(st.just("reserve"), numbers, some),
)
waits = st.sampled_from([MINUTE, 20 * MINUTE, HOUR, 5 * HOUR, 26 * HOUR])


@settings(max_examples=60)
@given(st.lists(st.tuples(st.lists(events, max_size=3), waits, st.booleans()), max_size=14))
def test_people_hear_of_their_turns_in_time_and_of_nothing_else_within_the_budget(
    history: list[tuple[list[tuple[object, ...]], timedelta, bool]],
) -> None:
    past = History()
    for acts, wait, crashes in history:
        for name, *given_ in acts:
            getattr(past, str(name))(*given_)
        past.look(wait, crashes=crashes)


def test_the_people_of_the_law_are_two_who_are_reached_and_one_who_is_not() -> None:
    known = Persons(PEOPLE)
    assert [known.may_be_reached(one) for one in PEOPLE] == [True, True, False]
