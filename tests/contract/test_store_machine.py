"""The SQL store against the store in memory: whatever is asked of both in whatever order, they answer alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from msgspec.structs import replace

from tests.support.builders import (
    CHANNEL,
    DAY,
    EDIT_EVERY,
    HOUR,
    LEADS,
    MINUTE,
    NOON,
    SECOND,
    delivery,
    ident,
    notice,
    pause,
    queue,
    receipt,
    review,
)
from tests.support.memory_store import MemoryStore
from worker.core import delivery as step
from worker.core.model import NO_ONE, Entry, Fate, Kind, Memory, Polled, RemindIn, Who, Window
from worker.core.outbox import Candidate, claims_to_come
from worker.core.owed import EVERYWHERE, NEVER, State
from worker.core.plan import Plan

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from datetime import timedelta

    from worker.core.model import Id, Queue, Review, ReviewKey
    from worker.core.owed import Claim, Delivery, Destination
    from worker.core.store_roles import Store

QUEUES = [queue("Support QA"), queue("RAG bot")]
NAMES = ["a", "b", "c", "d"]
STAYS = [NOON, NOON + HOUR, None]
CHANNELS = [CHANNEL, LEADS]
LEASE = MINUTE
KINDS = [Kind.BASELINE, Kind.ANNOUNCEMENT, Kind.REMINDER, Kind.REMINDER, Kind.ESCALATION]
AFTER_A_POST = [State.SENT, State.SENT, State.PENDING, State.UNKNOWN, State.HELD, State.DEAD, State.WITHDRAWN]

steps = st.sampled_from([SECOND, EDIT_EVERY, LEASE, HOUR, DAY])
flags = st.booleans()


@st.composite
def altered(draw: st.DrawFn) -> Review:
    """A review as a plan may write it."""
    at = NOON + draw(st.sampled_from([-HOUR, 0 * HOUR, HOUR]))
    return review(
        draw(st.sampled_from(NAMES)),
        added_at=draw(st.sampled_from(STAYS)),
        since=at,
        reserved=draw(flags),
        closed_at=draw(st.sampled_from([None, None, at])),
        fate=draw(st.sampled_from([None, Fate.REVIEWED])),
        who=draw(st.sampled_from([NO_ONE, Who(assigned_to=("ada", "bo")), Who(reserved_by=("ada",))])),
    )


plans = st.lists(altered(), max_size=5, unique_by=lambda each: each.key)


class SideBySide(RuleBasedStateMachine):
    """Two stores that are asked the same."""

    empty: ClassVar[Callable[[], Store]]
    ids: ClassVar[Callable[[str], Id]]

    def __init__(self) -> None:
        super().__init__()
        self.subject = type(self).empty()
        self.model = MemoryStore()
        self.now = NOON
        self.number = 0
        self.posts: list[Claim] = []
        self.edits: list[Claim] = []

    def teardown(self) -> None:
        self.they_have_kept_the_same()

    def id_of(self, name: str) -> Id:
        return type(self).ids(name)

    def run_of(self, of: Queue, name: str) -> Id:
        """No two queues have the same queue run."""
        return self.id_of(f"{name} in {of.name}")

    def place_of(self, of: Queue) -> Queue:
        return replace(of, queue_id=self.id_of(of.name))

    def both(self, ask: Callable[[Store], Any]) -> Any:
        """Ask both, and compare."""
        said, expected = ask(self.subject), ask(self.model)
        assert said == expected
        return said

    @rule(by=steps)
    def time_passes(self, by: timedelta) -> None:
        self.now += by

    @rule(
        of=st.sampled_from(QUEUES),
        reviews=plans,
        kinds=st.lists(st.sampled_from(KINDS), max_size=2),
        channel=st.sampled_from(CHANNELS),
        remind_in=st.sampled_from(RemindIn),
        purposes=st.lists(st.sampled_from(KINDS), min_size=9, max_size=9),
        others=flags,
        opens=flags,
        is_held=flags,
    )
    def poll(
        self,
        of: Queue,
        reviews: Sequence[Review],
        kinds: Sequence[Kind],
        channel: Destination,
        remind_in: RemindIn,
        purposes: Sequence[Kind],
        *,
        others: bool,
        opens: bool,
        is_held: bool,
    ) -> None:
        of = self.place_of(of)
        reviews = [replace(each, queue_run_id=self.run_of(of, each.facts.name)) for each in reviews]
        spoken = [each.key for each in reviews]
        asked = [self.run_of(of, name) for name in NAMES[: 4 if others else 1]]
        if others:
            spoken += [key for key in self.known(of) if key not in spoken]
        notices = []
        for kind in kinds if spoken else []:
            self.number += 1
            more = {"mention": [f"U{self.number % 3}"], "remind_in": remind_in}
            owed = notice(*spoken, name=f"{self.number}", kind=kind, channel=channel, **more)
            notices.append(replace(owed, purposes=tuple(purposes[: len(spoken)])))
        memories: list[tuple[bool, set[Review], int, Window | None]] = []

        def decide(memory: Memory) -> Plan:
            memories.append((memory.baselined, set(memory.reviews), len(memory.reviews), memory.window))
            enters = memory.window is not None and memory.window.entry is Entry.BY_EDIT
            return Plan(
                tuple(reviews),
                tuple(notices),
                entered=tuple(spoken) if enters else (),
                opened=Window(self.now, notices[0].key, Entry.MERGE) if opens and notices else None,
                # A first sight is held for what waits: where that is nothing, there is nothing to hold.
                is_baselined=not (is_held and any(each.is_open for each in reviews)),
            )

        self.both(lambda store: store.update(of, asked, decide, self.now))
        assert memories[0] == memories[1]

    def known(self, of: Queue) -> list[ReviewKey]:
        stories = [story for name in NAMES for story in self.model.stories(self.run_of(of, name))]
        return [story.review.key for story in stories]

    @rule(of=st.sampled_from(QUEUES), left=st.dictionaries(st.sampled_from(NAMES), st.sampled_from(Fate)))
    def learn(self, of: Queue, left: dict[str, Fate]) -> None:
        news = {self.run_of(of, name): how for name, how in left.items()}
        self.both(lambda store: store.learn(self.id_of(of.name), news, self.now))

    @rule(of=st.sampled_from(QUEUES), most=st.integers(1, 3))
    def unexplained(self, of: Queue, most: int) -> None:
        self.both(lambda store: store.unexplained(self.id_of(of.name), self.now, most))

    @rule(of=st.sampled_from(QUEUES), failing=flags)
    def polled(self, of: Queue, *, failing: bool) -> None:
        state = {"failing_since": self.now, "error": "down"} if failing else {"completed_at": self.now}
        self.both(lambda store: store.polled([Polled(self.place_of(of), **state)]))  # type: ignore[arg-type]

    @rule(
        skip=st.sets(st.sampled_from(CHANNELS), max_size=1),
        unseen=st.sets(st.sampled_from(CHANNELS)),
        looks=st.booleans(),
    )
    def claim(self, skip: Collection[str], unseen: Collection[str], *, looks: bool) -> None:
        self.take(self.posts, lambda store: store.claim(self.now, LEASE, skip, (), unseen, looks=looks))

    @rule()
    def lapse(self) -> None:
        self.both(lambda store: store.lapse(self.now, self.now + SECOND))

    @rule(skip=st.sets(st.sampled_from(CHANNELS), max_size=1))
    def claim_edit(self, skip: Collection[str]) -> None:
        self.take(self.edits, lambda store: store.claim_edit(self.now, LEASE, skip))

    def take(self, claims: list[Claim], ask: Callable[[Store], Claim | None]) -> None:
        said = self.both(ask)
        if said is not None:
            claims.append(said)

    @precondition(lambda self: self.posts)
    @rule(
        which=st.integers(0, 9),
        state=st.sampled_from(AFTER_A_POST),
        in_doubt=flags,
        plain=flags,
        edit_for=st.sampled_from([None, HOUR, 9 * DAY]),
        shown=st.permutations(range(4)),
        some=st.integers(0, 3),
    )
    def settle(
        self,
        which: int,
        state: State,
        edit_for: timedelta | None,
        shown: Sequence[int],
        some: int,
        *,
        in_doubt: bool,
        plain: bool,
    ) -> None:
        claim = self.posts.pop(which % len(self.posts))
        keys = [each.key for each in claim.reviews]
        listed = [keys[place] for place in shown if place < len(keys)]
        left_out = listed[:some] if state in {State.SENT, State.PENDING} else []
        after = self.settled(claim.delivery, state, edit_for)
        after = replace(after, attempted_at=after.attempted_at if in_doubt else None, plain=plain and not in_doubt)
        self.both(
            lambda store: store.settle(
                after,
                claim.delivery,
                shown=[key for key in listed if key not in left_out] if state is State.SENT else [],
                left_out=left_out,
            )
        )

    def settled(self, claimed: Delivery, state: State, edit_for: timedelta | None) -> Delivery:
        after = replace(claimed, state=state, attempts=claimed.attempts + 1, last_error=state.value)
        if state is State.SENT:
            self.number += 1
            return replace(
                after,
                receipt=receipt(f"{self.number}.0", channel=claimed.destination),
                settled_at=self.now,
                edit_until=None if edit_for is None else self.now + edit_for,
            )
        if state in {State.DEAD, State.WITHDRAWN}:
            return replace(after, settled_at=self.now)
        due_at = NEVER if state is State.HELD and edit_for is None else self.now + LEASE
        return replace(after, due_at=due_at)

    @precondition(lambda self: self.edits)
    @rule(which=st.integers(0, 9), made=flags, given_up=flags)
    def settle_edit(self, which: int, *, made: bool, given_up: bool) -> None:
        claim = self.edits.pop(which % len(self.edits))
        after = step.edited(claim.delivery, "d", self.now, EDIT_EVERY)
        if not made:
            after = replace(claim.delivery, edit_at=self.now + MINUTE, last_error="why")
        if given_up:
            after = replace(after, edit_at=None, edit_until=None)
        self.both(lambda store: store.settle_edit(after, claim.delivery))

    @rule()
    def post_all(self) -> None:
        """What the core says of the claims to come is what they come to."""
        pauses = self.both(lambda store: store.pauses())
        expected = [_told(taken) for taken in claims_to_come(_candidates(self.subject), self.now, pauses)]
        paused = {each.destination for each in pauses if each.until > self.now}
        skip = set(CHANNELS) if EVERYWHERE in paused else paused
        claims = []
        while (claim := self.both(lambda store: store.claim(self.now, LEASE, skip))) is not None:
            claims.append(claim)
            after = self.settled(claim.delivery, State.SENT, HOUR)
            self.both(lambda store, claim=claim, after=after: store.settle(after, claim.delivery))
        assert [_told(Candidate(c.delivery, 0, frozenset(r.key for r in c.reviews))) for c in claims] == expected

    @rule(number=st.integers(1, 12))
    def retry(self, number: int) -> None:
        self.both(lambda store: store.retry(ident(f"{number}"), self.now))

    @rule(channel=st.sampled_from([*CHANNELS, EVERYWHERE]), length=steps)
    def pause(self, channel: Destination, length: timedelta) -> None:
        self.both(lambda store: store.pause(pause(channel, since=self.now, until=self.now + length)))

    @rule(channel=st.sampled_from([*CHANNELS, EVERYWHERE]))
    def resume(self, channel: Destination) -> None:
        self.both(lambda store: store.resume(channel))

    @rule(again=flags)
    def report(self, *, again: bool) -> None:
        self.number += not again
        owed = delivery(f"ops {self.number}", kind=Kind.OPS, text="trouble", created_at=self.now)
        self.both(lambda store: store.owe(owed))

    @rule(settled=steps, closed=steps)
    def prune(self, settled: timedelta, closed: timedelta) -> None:
        self.both(lambda store: store.prune(settled_before=self.now - settled, closed_before=NOON + closed))

    @invariant()
    def they_hold_the_same(self) -> None:
        self.both(lambda store: store.deliveries(limit=1000))
        of, name = QUEUES[self.number % 2], NAMES[self.number // 2 % len(NAMES)]
        self.both(lambda store: store.stories(self.run_of(of, name)))
        self.both(lambda store: store.next_due_at())

    def they_have_kept_the_same(self) -> None:
        """What is dear to ask for, and differs for good where it differs once."""
        self.both(lambda store: [store.stories(self.run_of(of, name)) for of in QUEUES for name in NAMES])
        self.both(lambda store: store.pauses())
        self.both(lambda store: store.polls())
        self.both(lambda store: {each.state: each for each in store.backlog()})
        self.both(lambda store: [store.standing(self.id_of(each.name), self.now - HOUR) for each in QUEUES])


def _candidates(store: Store) -> list[Candidate[ReviewKey]]:
    outbox = enumerate(store.outbox())
    return [Candidate(c.delivery, place, frozenset(r.key for r in c.reviews)) for place, c in outbox]


def _told(taken: Candidate[ReviewKey]) -> tuple[object, ...]:
    owed = taken.delivery
    return owed.key, owed.state, owed.mention, owed.attempts, owed.attempted_at, taken.reviews


def run(empty: Callable[[], Store], ids: Callable[[str], Id], examples: int) -> None:
    machine = type("Machine", (SideBySide,), {"empty": staticmethod(empty), "ids": staticmethod(ids)})
    enough = settings(
        max_examples=examples, stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )
    run_state_machine_as_test(machine, settings=enough)


def text_id(name: str) -> str:
    """An id that is no UUID."""
    return f"item-{name}"


def test_sqlite_says_what_memory_says(empty_sqlite: Callable[[], Store]) -> None:
    run(empty_sqlite, ident, examples=20)


def test_sqlite_says_what_memory_says_of_ids_that_are_no_uuids(empty_sqlite: Callable[[], Store]) -> None:
    run(empty_sqlite, text_id, examples=10)


def test_postgres_says_what_memory_says(empty_postgres: Callable[[], Store]) -> None:
    run(empty_postgres, ident, examples=10)


def test_postgres_says_what_memory_says_of_ids_that_are_no_uuids(empty_postgres: Callable[[], Store]) -> None:
    run(empty_postgres, text_id, examples=5)
