"""The poll loop: one snapshot, one transaction, and how a failing queue is left alone."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs

from tests.support.builders import DAY, HOUR, MINUTE, NOON, SECOND, ident, queue, queue_run, rules_with
from tests.support.clock import FakeClock
from tests.support.fake_source import FakeSource
from tests.support.memory_store import MemoryStore
from tests.support.outbox import post
from worker.core.leases import Assignment
from worker.core.model import Facts, Fate, Kind, QueueRun
from worker.core.overview import NullMeter
from worker.core.ports import SourceError, StoppingError, StoreError, Trouble
from worker.loops.assignments import ALONE
from worker.loops.conclude import LARGE
from worker.loops.details import MOST_FATES
from worker.loops.incidents import Complaint
from worker.loops.poll import Poll

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from datetime import datetime, timedelta
    from uuid import UUID

    from worker.core.model import Memory, Queue
    from worker.core.plan import Plan

QUEUE = queue()


class EndedError(BaseException):
    """The process is gone."""


def dying(*_args: Any) -> Any:
    raise EndedError


def grew(stage: Stage) -> bool:
    """Whether it was asked since the last call."""
    grown = bool(stage.source.asked)
    stage.source.asked.clear()
    return grown


class CountingStore(MemoryStore):
    """Counts transactions, and fails as it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.updates = 0
        self.searches = 0
        self.broken: set[str] = set()
        self.dies_after_update = False
        self.fails_after_update = False

    def update(
        self,
        queue: Queue,
        keys: Collection[UUID],
        decide: Callable[[Memory], Plan],
        now: datetime,
        *,
        whole: bool = True,
    ) -> Plan:
        self._break("update")
        self.updates += 1
        plan = super().update(queue, keys, decide, now, whole=whole)
        if self.dies_after_update:
            raise EndedError
        if self.fails_after_update:
            raise StoreError("the connection is gone")
        return plan

    def unexplained(self, *args: Any) -> Any:
        self.searches += 1
        return super().unexplained(*args)

    def learn(self, *args: Any) -> bool:
        self._break("learn")
        return super().learn(*args)

    def _break(self, name: str) -> None:
        if name in self.broken:
            raise StoreError("the disk is full")


class UnderDuty(CountingStore):
    """As one of several workers has it."""

    def under(self, _duty: Assignment) -> UnderDuty:
        return self


@dataclass
class FakeShift:
    """A queue that comes back under another token each time others had it."""

    token: int = 1

    def of(self, queue_id: UUID) -> Assignment:
        return Assignment(str(queue_id), ident("worker"), self.token)


@dataclass
class Meter(NullMeter):
    """Notes what it is told."""

    polls: list[tuple[str, float, str]] = field(default_factory=list)
    left: list[Fate] = field(default_factory=list)
    waits: list[timedelta] = field(default_factory=list)

    def closed(self, queue: Queue, fate: Fate) -> None:
        assert queue == QUEUE
        self.left.append(fate)

    def waited(self, queue: Queue, wait: timedelta) -> None:
        assert queue == QUEUE
        self.waits.append(wait)

    def polled(self, queue: Queue, *, seconds: float, trouble: str = "") -> None:
        self.polls.append((queue.name, seconds, trouble))


@dataclass
class Stage:
    """A poll on a stage without a world."""

    interval: timedelta = MINUTE
    jitter: float = 0.0
    clock: FakeClock = field(default_factory=FakeClock)
    store: CountingStore = field(default_factory=CountingStore)
    source: FakeSource = field(default_factory=FakeSource)
    meter: Any = field(default_factory=Meter)
    complaint: Complaint = field(default_factory=Complaint)
    assignments: Any = ALONE
    nudges: int = 0

    def __post_init__(self) -> None:
        self.rules = rules_with(poll_interval=self.interval, show=frozenset())
        self.poll = Poll(
            source=self.source,
            store=self.store,
            clock=self.clock,
            rules=lambda _queue: self.rules,
            owed=self.nudge,
            jitter=lambda: self.jitter,
            meter=self.meter,
            complaint=self.complaint,
            assignments=self.assignments,
        )
        self.source.show(QUEUE)

    def nudge(self) -> None:
        self.nudges += 1

    def tick(self, wait: timedelta | None = None) -> bool:
        """The next tick of the ticker."""
        self.clock.advance(self.interval if wait is None else wait)
        return self.poll(QUEUE)

    def kinds(self) -> list[Kind]:
        return [delivery.kind for delivery in self.store.deliveries()[::-1]]


class TestAPollThatSucceeds:
    """Snapshot, plan, one transaction."""

    def test_owes_what_the_plan_says_and_nudges_the_delivery(self) -> None:
        stage = Stage()
        assert stage.tick() is True
        stage.source.show(QUEUE, queue_run("a"))
        assert stage.tick() is True
        assert (stage.kinds(), stage.nudges) == ([Kind.ANNOUNCEMENT], 1)

    @pytest.mark.parametrize("wrong", [6 * HOUR, -6 * HOUR], ids=["ahead", "behind"])
    def test_judges_ages_by_the_clock_of_the_source(self, wrong: timedelta) -> None:
        stage = Stage()
        stage.tick()
        stage.source.show(QUEUE, queue_run("a", added_at=NOON))
        stage.tick()
        stage.clock.set_wall(stage.clock.now() + wrong)
        stage.source.ahead = wrong
        stage.tick(3 * HOUR)
        assert stage.kinds() == [Kind.ANNOUNCEMENT]
        stage.tick(HOUR)
        assert stage.kinds() == [Kind.ANNOUNCEMENT, Kind.REMINDER]

    def test_remembers_how_it_stands(self) -> None:
        stage = Stage()
        stage.tick()
        (polled,) = stage.poll.known.polled()
        assert (polled.queue, polled.completed_at, polled.failing_since) == (QUEUE, NOON + MINUTE, None)

    def test_says_what_changed_in_one_line(self) -> None:
        stage = Stage()
        stage.source.show(QUEUE, queue_run("a"))
        with capture_logs() as lines:
            stage.tick()
            stage.tick()
        assert [(line["event"], line["changed"], line["notices"]) for line in lines] == [
            ("queue_polled", 1, ["baseline"])
        ]

    def test_is_counted(self) -> None:
        stage = Stage()
        stage.source.show(QUEUE, queue_run("a"), queue_run("b"))
        stage.tick()
        stage.source.show(QUEUE, queue_run("b"), queue_run("c"))
        stage.tick()
        (seen,) = stage.poll.known.seen()
        assert (seen.waiting, seen.new, seen.gone) == (2, 3, 1)
        assert [(name, trouble) for name, _, trouble in stage.meter.polls] == [(QUEUE.name, "")] * 2

    def test_leaves_what_was_seen_before_as_it_was(self) -> None:
        """Others look from their own threads: they get one value that holds together, and the next one later."""
        stage = Stage()
        stage.source.show(QUEUE, queue_run("a"))
        stage.tick()
        (before,) = stage.poll.known.seen()
        stage.source.show(QUEUE, queue_run("a"), queue_run("b"))
        stage.tick()
        (after,) = stage.poll.known.seen()
        assert (before.waiting, before.new, after.waiting, after.new) == (1, 1, 2, 2)
        assert before.completed < after.completed

    def test_counts_as_a_decision_only_where_something_changed(self) -> None:
        stage = Stage()
        stage.source.show(QUEUE, queue_run("a"))
        stage.tick()
        stage.tick()
        assert [seen.decisions for seen in stage.poll.known.seen()] == [1]
        stage.source.show(QUEUE)
        stage.tick()
        assert [seen.decisions for seen in stage.poll.known.seen()] == [2]

    def test_takes_the_name_of_the_queue_from_the_listing(self) -> None:
        stage = Stage()
        stage.poll(queue(str(QUEUE.queue_id), queue_id=QUEUE.queue_id))
        assert stage.poll.known.polled()[0].queue.name == QUEUE.name


class TestAnUnchangedQueue:
    """It costs its request and nothing else."""

    def test_needs_no_transaction(self) -> None:
        stage = Stage()
        stage.source.show(QUEUE, queue_run("a"), queue_run("b"))
        stage.tick()
        stage.source.show(QUEUE, queue_run("b"), queue_run("a"))
        stage.tick()
        assert stage.store.updates == 1

    def test_is_looked_at_when_the_next_step_is_due(self) -> None:
        stage = Stage()
        stage.source.show(QUEUE, queue_run("a", added_at=NOON))
        stage.tick()
        stage.tick(4 * HOUR - 2 * MINUTE)
        assert (stage.store.updates, stage.kinds()) == (1, [Kind.BASELINE])
        stage.tick()
        assert (stage.store.updates, stage.kinds()) == (2, [Kind.BASELINE, Kind.REMINDER])

    def test_is_looked_at_until_an_absence_is_settled(self) -> None:
        stage = Stage()
        stage.source.show(QUEUE, queue_run("a"), queue_run("b"), one_page=False)
        stage.tick()
        stage.source.show(QUEUE, queue_run("a"), one_page=False)
        for _ in range(4):
            stage.tick()
        assert stage.store.updates == 3
        assert stage.store.stories(ident("b"))[0].review.closed_at == NOON + 3 * MINUTE

    def test_is_looked_at_after_a_failed_transaction(self) -> None:
        stage = Stage()
        stage.source.show(QUEUE, queue_run("a"))
        stage.tick()
        stage.source.show(QUEUE, queue_run("a"), queue_run("b"))
        stage.store.broken.add("update")
        assert stage.tick() is False
        stage.store.broken.clear()
        stage.source.show(QUEUE, queue_run("a"))
        assert stage.tick() is True
        assert stage.store.updates == 2

    def test_is_looked_at_once_after_an_act_from_outside(self) -> None:
        stage = Stage()
        stage.source.show(QUEUE, queue_run("a"))
        stage.tick()
        stage.store.describe(QUEUE.queue_id, {ident("a"): Facts(name="named elsewhere")}, NOON)
        for _ in range(3):
            stage.poll.known.noticed(stage.store.polled(stage.poll.known.polled()))
            stage.tick()
        assert stage.store.updates == 2

    def test_is_not_looked_at_for_what_its_own_poll_has_learned(self) -> None:
        stage = Stage()
        stage.source.show(QUEUE, queue_run("a"))
        stage.tick()
        stage.source.fates_of[ident("a")] = Fate.REVIEWED
        stage.source.show(QUEUE)
        stage.tick()
        assert stage.store.stories(ident("a"))[0].review.fate is Fate.REVIEWED
        for _ in range(3):
            stage.poll.known.noticed(stage.store.polled(stage.poll.known.polled()))
            stage.tick()
        assert stage.store.updates == 2

    def test_is_not_looked_at_while_nobody_acts(self) -> None:
        stage = Stage()
        stage.source.show(QUEUE, queue_run("a"))
        for _ in range(3):
            stage.tick()
            stage.poll.known.noticed(stage.store.polled(stage.poll.known.polled()))
        assert stage.store.updates == 1

    def test_is_asked_about_names_and_fates_again_after_an_act_from_outside(self) -> None:
        stage = Stage()
        stage.tick()
        stage.tick()
        before = stage.store.searches
        stage.poll.known.noticed({QUEUE.queue_id: 7})
        stage.tick()
        assert stage.store.searches == before + 1

    def test_is_looked_at_by_a_new_process(self) -> None:
        stage = Stage()
        stage.source.show(QUEUE, queue_run("a"))
        stage.tick()
        again = Stage(clock=stage.clock, store=stage.store, source=stage.source)
        again.source.show(QUEUE, queue_run("a"))
        again.tick()
        assert (stage.store.updates, stage.kinds()) == (2, [Kind.BASELINE])

    def test_that_is_due_is_asked_for_whole_and_once(self) -> None:
        stage = Stage()
        stage.source.show(QUEUE, queue_run("a", added_at=NOON))
        stage.tick()
        stage.tick(4 * HOUR)
        assert stage.source.given == [None, None]
        stage.tick()
        assert stage.source.given[2] is not None

    def test_that_becomes_due_while_it_is_read_is_asked_for_again(self) -> None:
        stage = Stage()
        stage.source.show(QUEUE, queue_run("a", added_at=NOON))
        stage.tick()
        snapshot = stage.source.snapshot

        def slow(*args: Any) -> Any:
            stage.clock.advance(4 * HOUR)
            return snapshot(*args)

        stage.source.snapshot = slow  # type: ignore[assignment]
        stage.tick()
        assert (stage.store.updates, stage.kinds()) == (2, [Kind.BASELINE, Kind.REMINDER])

    def test_is_looked_at_where_its_rules_are_others_now(self) -> None:
        stage = Stage()
        stage.source.show(QUEUE, queue_run("a"))
        stage.tick()
        stage.rules = rules_with(poll_interval=2 * MINUTE, show=frozenset())
        stage.tick()
        stage.tick()
        assert stage.store.updates == 2

    def test_whose_source_failed_meanwhile_is_still_unchanged(self) -> None:
        stage = Stage()
        stage.source.show(QUEUE, queue_run("a"))
        stage.tick()
        stage.source.fail()
        assert stage.tick() is False
        assert stage.tick() is True
        assert stage.store.updates == 1

    def test_says_what_the_source_gives_with_it_the_next_time(self) -> None:
        stage = Stage()
        stage.source.show(QUEUE, queue_run("a"))
        stage.tick()
        snapshot = stage.source.snapshot
        stage.source.snapshot = lambda *args: replace(snapshot(*args), concluded="newer")  # type: ignore[assignment]
        stage.tick()
        stage.source.snapshot = snapshot  # type: ignore[method-assign]
        stage.tick()
        assert stage.source.given[2] == "newer"

    def test_that_is_forgotten_is_looked_at_afresh(self) -> None:
        stage = Stage()
        stage.tick()
        stage.poll.forget(QUEUE.queue_id)
        stage.poll.forget(QUEUE.queue_id)
        assert stage.poll.known.polled() == []
        stage.tick()
        assert stage.store.updates == 2


class TestAFailingQueue:
    """Nothing is concluded, and it is left alone for longer each time."""

    def polls_until(self, stage: Stage, until: timedelta) -> list[int]:
        """At which minutes the source was asked, with a tick a minute."""
        asked = []
        for minute in range(int(until / MINUTE)):
            before = len(stage.source.listed)
            stage.tick()
            asked += [minute] * (len(stage.source.listed) - before)
        return asked

    def test_concludes_nothing(self) -> None:
        stage = Stage()
        stage.source.show(QUEUE, queue_run("a"))
        stage.tick()
        stage.source.fail()
        assert stage.tick() is False
        assert stage.store.updates == 1

    @pytest.mark.parametrize("jitter", [0.0, 1.0])
    def test_is_tried_at_the_next_tick_and_then_ever_more_seldom(self, jitter: float) -> None:
        stage = Stage(jitter=jitter)
        stage.source.fail(times=99)
        assert self.polls_until(stage, 2 * HOUR)[:6] == [0, 1, 3, *([7, 15, 30] if jitter else [6, 12, 24])]

    def test_is_never_left_alone_for_more_than_a_quarter_of_an_hour(self) -> None:
        stage = Stage(jitter=1.0)
        stage.source.fail(times=999)
        asked = self.polls_until(stage, DAY)
        assert max(later - earlier for earlier, later in pairwise(asked)) == 15

    def test_of_a_long_interval_is_tried_at_each_tick(self) -> None:
        stage = Stage(interval=HOUR, jitter=1.0)
        stage.source.fail(times=5)
        assert [stage.tick() for _ in range(6)] == [False] * 5 + [True]
        assert len(stage.source.listed) == 6

    @pytest.mark.parametrize(
        ("wish", "alone"),
        [
            pytest.param(30 * SECOND, 30 * SECOND, id="as long as the server wishes"),
            pytest.param(-SECOND, SECOND, id="at least a second"),
            pytest.param(DAY, HOUR, id="at most an hour"),
        ],
    )
    def test_is_left_alone(self, wish: timedelta, alone: timedelta) -> None:
        stage = Stage()
        stage.source.fail(trouble=Trouble.THROTTLED, retry_after=wish)
        stage.tick()
        assert stage.tick(alone - SECOND / 2) is False
        assert len(stage.source.listed) == 1
        assert stage.tick(SECOND / 2) is True

    def test_whose_key_is_refused_is_tried_every_five_minutes(self) -> None:
        stage = Stage()
        stage.source.fail(trouble=Trouble.REFUSED, times=9)
        assert self.polls_until(stage, HOUR / 2) == [0, 5, 10, 15, 20, 25]

    def test_whose_key_is_refused_keeps_a_longer_interval(self) -> None:
        stage = Stage(interval=HOUR)
        stage.source.fail(trouble=Trouble.REFUSED)
        stage.tick()
        assert stage.tick(HOUR - SECOND) is False
        assert stage.tick(SECOND) is True

    def test_says_when_it_begins_and_when_it_ends(self) -> None:
        stage = Stage()
        stage.tick()
        stage.source.fail(times=3)
        with capture_logs() as lines:
            for _ in range(8):
                stage.tick()
        assert [line["event"] for line in lines] == ["queue_failing", "queue_recovered"]
        assert (lines[1]["failures"], lines[1]["failing_since"]) == (3, NOON + 2 * MINUTE)

    def test_is_not_one_that_was_broken_off_because_the_worker_stops(self) -> None:
        stage = Stage()
        stage.source.fail(error=StoppingError)
        with capture_logs() as lines:
            assert stage.tick() is False
        assert lines == []
        assert stage.poll.known.polled()[0].failing_since is None

    def test_whose_database_fails_is_one_trouble_of_all_queues_and_loops(self) -> None:
        stage = Stage()
        other = queue("Other QA")
        stage.source.show(other, queue_run("z"))
        stage.source.show(QUEUE, queue_run("a"))
        stage.store.broken = {"update"}
        with capture_logs() as lines:
            stage.tick()
            stage.poll(other)
            stage.complaint.failed("deliver", StoreError("the disk is full"))
            stage.store.broken = set()
            stage.tick(MINUTE)
            stage.complaint.worked("deliver")
            assert [line["event"] for line in lines if line["log_level"] != "info"] == ["store_failing"]
            assert "store_recovered" not in {line["event"] for line in lines}
            stage.poll(other)
        assert [line["event"] for line in lines if "store" in line["event"]] == ["store_failing", "store_recovered"]
        assert "queue_recovered" not in {line["event"] for line in lines}

    def test_that_is_dropped_complains_no_more(self) -> None:
        stage = Stage()
        stage.source.show(QUEUE, queue_run("a"))
        stage.store.broken = {"update"}
        stage.tick()
        with capture_logs() as lines:
            stage.poll.forget(QUEUE.queue_id)
        assert [line["event"] for line in lines] == ["store_recovered"]

    def test_concludes_nothing_before_it_is_written(self) -> None:
        stage = Stage()
        stage.source.show(QUEUE, queue_run("a"))
        stage.store.broken = {"update"}
        stage.poll(QUEUE)
        stage.store.broken = set()
        for _ in range(2):
            stage.clock.advance(MINUTE)
            stage.poll(QUEUE)
        assert [given is None for given in stage.source.given] == [True, True, False]

    def test_whose_database_fails_is_tried_each_minute(self) -> None:
        stage = Stage()
        stage.source.show(QUEUE, queue_run("a"))
        stage.store.broken = {"update"}
        assert self.polls_until(stage, 10 * MINUTE) == list(range(10))

    def test_that_fails_for_a_second_reason_says_so(self) -> None:
        stage = Stage()
        stage.source.show(QUEUE, queue_run("a"))
        stage.store.broken = {"update"}
        with capture_logs() as lines:
            stage.tick()
            stage.source.fail(times=2)
            stage.tick()
            stage.tick()
        assert [line["event"] for line in lines] == ["store_failing", "store_recovered", "queue_failing"]

    def test_remembers_since_when_and_why(self) -> None:
        stage = Stage()
        stage.tick()
        stage.source.fail(times=2)
        for _ in range(3):
            stage.tick()
        (polled,) = stage.poll.known.polled()
        assert (polled.completed_at, polled.failing_since) == (NOON + MINUTE, NOON + 2 * MINUTE)
        assert polled.error == "told to be unreachable"
        (seen,) = stage.poll.known.seen()
        assert seen.polled.trouble == Trouble.UNREACHABLE

    def test_that_works_again_is_well(self) -> None:
        stage = Stage()
        stage.source.fail(times=2)
        for _ in range(4):
            stage.tick()
        (seen,) = stage.poll.known.seen()
        assert (seen.polled.failing_since, seen.polled.error, seen.polled.trouble) == (None, "", "")
        stage.source.fail()
        stage.tick()
        assert stage.tick() is True

    def test_does_not_concern_others(self) -> None:
        stage, other = Stage(), queue("Other")
        stage.source.fail()
        stage.source.show(other, queue_run("b"))
        assert [stage.poll(QUEUE), stage.poll(other)] == [False, True]

    def test_is_not_left_alone_for_longer_when_the_wall_clock_is_set_back(self) -> None:
        stage = Stage()
        stage.source.fail()
        stage.tick()
        stage.clock.set_wall(NOON - 9 * HOUR)
        assert stage.tick() is True

    def test_is_counted_by_its_trouble(self) -> None:
        stage = Stage()
        stage.source.fail(trouble=Trouble.UNLAWFUL)
        stage.tick()
        stage.store.broken.add("update")
        stage.tick()
        assert [trouble for _, _, trouble in stage.meter.polls] == ["unlawful", "store"]


class TestADatabaseThatFails:
    """Nothing was concluded, so the poll was not complete."""

    def test_fails_the_poll(self) -> None:
        stage = Stage()
        stage.store.broken.add("update")
        assert stage.tick() is False
        (polled,) = stage.poll.known.polled()
        assert (polled.completed_at, polled.error) == (None, "the disk is full")

    def test_is_tried_again_with_the_next_tick(self) -> None:
        stage = Stage()
        stage.source.show(QUEUE, queue_run("a"))
        stage.store.broken.add("update")
        stage.tick()
        stage.store.broken.clear()
        assert stage.tick() is True
        assert stage.kinds() == [Kind.BASELINE]


class TestHowRunsLeft:
    """Asked of those that are gone; only the wording depends on it."""

    def left(self, *, gone: str = "a") -> Stage:
        stage = Stage()
        stage.source.show(QUEUE, queue_run("a"), queue_run("b"))
        stage.tick()
        stage.source.fates_of = {ident(gone): Fate.REMOVED}
        return stage

    def test_is_remembered(self) -> None:
        stage = self.left()
        stage.source.show(QUEUE, queue_run("b"))
        stage.tick()
        assert stage.source.asked == [{ident("a")}]
        assert stage.store.stories(ident("a"))[0].review.fate is Fate.REMOVED

    def test_is_not_asked_where_nothing_left(self) -> None:
        stage = self.left()
        stage.source.show(QUEUE, queue_run("a"), queue_run("b"), queue_run("c"))
        stage.tick()
        assert stage.source.asked == []

    def test_is_not_asked_of_what_was_put_back(self) -> None:
        stage = self.left()
        stage.source.show(QUEUE, queue_run("a", added_at=NOON + MINUTE), queue_run("b"))
        stage.tick()
        assert stage.source.asked == []

    def test_is_counted_as_far_as_it_is_known_at_the_end_of_the_poll(self) -> None:
        stage = self.left()
        stage.store.polled(stage.poll.known.polled())
        stage.source.show(QUEUE)
        stage.tick()
        assert sorted(stage.meter.left) == [Fate.REMOVED, Fate.UNKNOWN]
        assert stage.meter.waits == [2 * MINUTE]

    @pytest.mark.parametrize("broken", ["source", "store"])
    def test_matters_not_where_it_cannot_be_told(self, broken: str) -> None:
        stage = self.left()
        stage.source.show(QUEUE, queue_run("b"))
        if broken == "source":
            stage.source.fail("fates")
        else:
            stage.store.broken.add("learn")
        assert stage.tick() is True
        assert stage.store.stories(ident("a"))[0].review.fate is None


def how(stage: Stage, name: str = "a") -> Fate | None:
    return stage.store.stories(ident(name))[0].review.fate


class TestHowRunsLeftIsAskedAgain:
    """As long as a message shows them that is kept true; the test's runs are listed in a baseline."""

    def posted(self, *names: str) -> Stage:
        """A queue whose runs a posted message lists, and which then leave it but for the last."""
        stage = Stage()
        stage.source.show(QUEUE, *map(queue_run, names))
        stage.tick()
        post(stage.store, stage.clock.now())
        stage.source.show(QUEUE, queue_run(names[-1]))
        return stage

    @pytest.mark.parametrize("broken", ["source", "store"])
    def test_where_it_could_not_be_told_or_kept(self, broken: str) -> None:
        stage = self.posted("a", "b")
        stage.source.fates_of = {ident("a"): Fate.REVIEWED}
        if broken == "source":
            stage.source.fail("fates")
        else:
            stage.store.broken.add("learn")
        stage.tick()
        assert how(stage) is None
        stage.store.broken.clear()
        stage.tick()
        assert how(stage) is Fate.REVIEWED
        assert stage.source.asked == [{ident("a")}] * 2

    @pytest.mark.parametrize("ended", ["after the write", "in a write that may have arrived"])
    def test_by_the_next_process_where_this_one_ended_before(self, ended: str) -> None:
        stage = self.posted("a", "b")
        if ended == "after the write":
            stage.source.fates = dying  # type: ignore[method-assign]
        else:
            stage.store.dies_after_update = True
        with pytest.raises(EndedError):
            stage.tick()
        after = Stage(clock=stage.clock, store=stage.store)
        after.store.dies_after_update = False
        after.source.show(QUEUE, queue_run("b"))
        after.source.fates_of = {ident("a"): Fate.REVIEWED}
        after.tick()
        assert how(after) is Fate.REVIEWED

    def test_where_a_failed_transaction_was_written_after_all(self) -> None:
        stage = self.posted("a", "b")
        stage.source.fates_of = {ident("a"): Fate.REVIEWED, ident("b"): Fate.REMOVED}
        stage.tick()
        stage.source.show(QUEUE)
        stage.store.fails_after_update = True
        assert stage.tick() is False
        stage.store.fails_after_update = False
        stage.tick()
        assert how(stage, "b") is Fate.REMOVED

    def test_in_portions_until_all_is_known(self) -> None:
        stage = self.posted("a", "b", "c", "d")
        for name in "abc":
            stage.source.fates_of = {ident(name): Fate.REVIEWED}
            stage.tick()
        assert [how(stage, name) for name in "abc"] == [Fate.REVIEWED] * 3
        assert [len(asked) for asked in stage.source.asked] == [3, 2, 1]

    def test_ever_more_seldom_where_nothing_is_said(self) -> None:
        stage = self.posted("a", "b")
        asked = [stage.clock.monotonic() for _ in range(600) if stage.tick() and grew(stage)]
        gaps = [round((later - earlier) / 60) for earlier, later in pairwise(asked)]
        assert gaps == [1, 2, 4, 8, 16, 32, 60, 60, 60, 60, 60, 60, 60, 60]

    def test_at_once_where_others_leave(self) -> None:
        stage = self.posted("a", "b")
        for _ in range(20):
            stage.tick()
        before = len(stage.source.asked)
        stage.source.show(QUEUE)
        stage.tick()
        assert stage.source.asked[before:] == [{ident("a"), ident("b")}]

    def test_of_those_first_that_a_message_lists(self) -> None:
        """As more have left than are asked about at once."""
        stage = Stage()
        stage.source.show(QUEUE, *map(queue_run, [*"abc", *map(str, range(MOST_FATES))]))
        stage.tick()
        stage.source.show(QUEUE)
        post(stage.store, stage.clock.now(), shown=[stage.store.stories(ident("c"))[0].review.key])
        asked: list[UUID] = []

        def note(_queue_id: UUID, runs: Collection[UUID]) -> dict[UUID, Fate]:
            asked.extend(runs)
            return {}

        stage.source.fates = note  # type: ignore[method-assign]
        stage.tick()
        assert (asked[0], len(asked)) == (ident("c"), 3 + MOST_FATES)

    def test_not_where_the_answer_is_that_nobody_knows(self) -> None:
        stage = self.posted("a", "b")
        stage.source.fates_of = {ident("a"): Fate.UNKNOWN}
        stage.tick()
        stage.tick()
        assert len(stage.source.asked) == 1
        assert how(stage) is Fate.UNKNOWN

    def test_not_once_no_message_shows_it_any_more(self) -> None:
        stage = self.posted("a", "b")
        stage.tick()
        stage.clock.advance(8 * DAY)
        stage.tick()
        stage.tick()
        assert len(stage.source.asked) == 1

    def test_costs_the_database_nothing_while_all_is_known(self) -> None:
        stage = self.posted("a", "b")
        stage.source.fates_of = {ident("a"): Fate.REVIEWED}
        stage.tick()
        before = stage.store.searches
        for _ in range(5):
            stage.tick()
        assert stage.store.searches == before

    def test_is_one_look_at_the_start(self) -> None:
        stage = Stage()
        for _ in range(5):
            stage.tick()
        assert (stage.store.searches, stage.source.asked) == (1, [])


def test_two_polls_of_one_queue_never_run_at_once() -> None:
    stage = Stage()
    inside, go_on = threading.Event(), threading.Event()
    at_once: list[int] = []
    snapshot = stage.source.snapshot

    def slow(queue_id: UUID, *more: Any) -> Any:
        at_once.append(len(at_once))
        inside.set()
        go_on.wait(60)
        return snapshot(queue_id, *more)

    stage.source.snapshot = slow  # type: ignore[method-assign]
    threads = [threading.Thread(target=stage.poll, args=(QUEUE,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    assert inside.wait(60)
    assert len(at_once) == 1
    go_on.set()
    for thread in threads:
        thread.join(60)
    assert (len(at_once), len(stage.poll.known.polled())) == (2, 1)


class TestAQueueThatAnotherWorkerHad:
    def test_is_taken_up_as_one_of_which_nothing_is_known(self) -> None:
        assignments = FakeShift()
        stage = Stage(assignments=assignments, store=UnderDuty())
        for _ in range(2):
            stage.tick()
        assert ([given is None for given in stage.source.given], stage.store.updates) == ([True, False], 1)
        assignments.token += 1
        for _ in range(2):
            stage.tick()
        assert ([given is None for given in stage.source.given], stage.store.updates) == ([True, False] * 2, 2)


class TestAQueueOfWhichAnotherListingIsRead:
    """The name of the listing is kept in the transaction that its snapshot is decided in."""

    def renamed(self, run: QueueRun) -> QueueRun:
        return replace(run, queue_run_id=ident("another id"))

    def test_announces_nothing_again(self) -> None:
        stage = Stage()
        stage.source.more = {"listing": "runs"}
        stage.source.show(QUEUE, queue_run("a"))
        stage.tick()
        stage.source.more = {"listing": "items"}
        stage.source.show(QUEUE, self.renamed(queue_run("a")))
        stage.tick()
        assert stage.kinds() == [Kind.BASELINE]

    def test_is_still_another_one_after_a_failed_transaction(self) -> None:
        stage = Stage()
        stage.source.more = {"listing": "runs"}
        stage.source.show(QUEUE, queue_run("a"))
        stage.tick()
        stage.source.more = {"listing": "items"}
        stage.source.show(QUEUE, self.renamed(queue_run("a")))
        stage.store.broken = {"update"}
        stage.tick()
        stage.store.broken = set()
        again = Stage(clock=stage.clock, store=stage.store, source=stage.source)
        again.tick()
        assert stage.kinds() == [Kind.BASELINE]


def test_of_two_very_large_queues_one_is_decided_on_after_the_other() -> None:
    stage = Stage()
    other = queue("Other")
    runs = [queue_run(number) for number in range(LARGE)]
    stage.source.show(QUEUE, *runs)
    stage.source.show(other, *runs)
    second = threading.Thread(target=stage.poll, args=(other,))
    inside: list[Queue] = []
    most = 0
    update = stage.store.update

    def slow(of: Queue, *rest: Any, **more: Any) -> Any:
        nonlocal most
        inside.append(of)
        most = max(most, len(inside))
        if of is not other:
            second.start()
            second.join(0.5)  # which it needs to come as far as it may
        inside.remove(of)
        return update(of, *rest, **more)

    stage.store.update = slow  # type: ignore[method-assign]
    assert stage.poll(QUEUE)
    second.join(60)
    assert (stage.store.updates, most) == (2, 1)


def test_a_bug_is_let_out() -> None:
    stage = Stage()
    stage.source.snapshot = lambda *_args, **_more: 1 / 0  # type: ignore[method-assign]
    with pytest.raises(ZeroDivisionError):
        stage.tick()


def test_an_unknown_queue_is_a_failing_one() -> None:
    stage = Stage()
    assert stage.poll(queue("Nowhere")) is False
    with pytest.raises(SourceError):
        stage.source.snapshot(ident("Nowhere"), frozenset())


def test_rows_that_cannot_be_used_are_announced_once_at_the_begin_and_once_at_the_end() -> None:
    stage = Stage()
    stage.source.show(QUEUE, queue_run("a"))
    with capture_logs() as lines:
        for unusable in (0, 2, 1, 1, 0, 0):
            stage.source.more = {"unusable": unusable, "obscured": unusable > 0}
            stage.tick()
    said = [(line["event"], line["kind"], line["subject"]) for line in lines if "kind" in line]
    subject = ("rows_unusable", str(QUEUE.queue_id))
    assert said == [("incident_began", *subject), ("incident_ended", *subject)]
