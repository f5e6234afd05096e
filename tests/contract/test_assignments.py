"""What several workers on one PostgreSQL may count on: who does what, and that nobody writes who must not."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from msgspec.structs import replace

from tests.support.builders import (
    CHANNEL,
    LEADS,
    LEASE,
    MINUTE,
    NOON,
    SECOND,
    deciding,
    delivery,
    ident,
    queue,
    review,
)
from tests.support.clock import FakeClock
from tests.support.outbox import posted
from worker.core.delivery import LEASE as REAL_LEASE
from worker.core.delivery import OVER, START
from worker.core.leases import LINKS, RENEW, SOON, TTL, Task, assignment_name
from worker.core.model import Fate, Kind, Polled, Queue
from worker.core.owed import State
from worker.core.ports import Fenced
from worker.loops.assignments import Shared
from worker.stores.assignments import Member, SqlAssignments, server_time
from worker.stores.columns import At

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import timedelta
    from uuid import UUID

    from worker.core.leases import Assignment, Renewal
    from worker.core.owed import Claim, Destination
    from worker.core.store_roles import Store
    from worker.stores.sql import SqlStore

TASKS = {str(task) for task in Task}
LINKED = {str(link) for link in LINKS}
PACE = SECOND
QUEUES = [queue(f"queue {number}") for number in range(7)]
IDS = [each.queue_id for each in QUEUES]
NAMED_AS_TASKS = [Queue(str(task), "Shelf") for task in Task]


@dataclass
class Worker:
    """One of several, and what it had at its last turn."""

    store: SqlStore
    assignments: SqlAssignments
    turn: Renewal | None = None

    @property
    def held(self) -> dict[str, Assignment]:
        return dict(self.turn.assignments) if self.turn else {}

    @property
    def queues(self) -> set[str]:
        return self.held.keys() - TASKS

    def of(self, queue_id: UUID) -> Assignment:
        return self.held[str(queue_id)]


@dataclass
class Crew:
    """Workers on one database whose clock a test sets."""

    store: SqlStore
    now: datetime = NOON
    workers: list[Worker] = field(default_factory=list)

    def instant(self) -> sa.ColumnElement[Any]:
        return sa.literal(self.now, At)

    def hire(self, count: int = 1) -> Worker:
        for _ in range(count):
            number = len(self.workers)
            member = Member(ident(number), f"host:{number}", PACE, self.instant)
            self.workers.append(Worker(*self.store.join(member)))
        return self.workers[-1]

    def renew(self, *workers: Worker, of: Sequence[UUID] = IDS, after: timedelta = 0 * SECOND) -> None:
        """Let time pass; then each has its turn, all of them as often as it takes until nothing moves any more."""
        self.now += after
        for _ in range(3):
            for worker in workers or self.workers:
                worker.turn = worker.assignments.renew(of)


@pytest.fixture
def crew(empty_postgres: Callable[[], SqlStore]) -> Crew:
    return Crew(empty_postgres())


class TestQueuesWithTheNamesOfTasks:
    def test_share_no_assignment_with_the_tasks(self, crew: Crew) -> None:
        worker = crew.hire()
        ids = [*(each.queue_id for each in NAMED_AS_TASKS), IDS[0]]
        crew.renew(of=ids)
        assert worker.held.keys() == TASKS | {assignment_name(queue_id) for queue_id in ids}
        assert len(worker.held) == len(TASKS) + len(ids)

    def test_are_polled_by_one_worker_while_another_has_the_tasks(self, crew: Crew) -> None:
        first, second = crew.hire(), crew.hire()
        ids = [each.queue_id for each in NAMED_AS_TASKS]
        crew.renew(of=ids)
        tasks = [worker for worker in crew.workers if worker.held.keys() >= TASKS - LINKED]
        assert tasks == [first]
        assert len(first.queues) + len(second.queues) == len(ids)
        assert not first.queues & second.queues
        assert second.queues

    def test_are_kept_apart_in_the_loops_too(self, crew: Crew) -> None:
        crew.hire(2)
        shared = [
            Shared(f"host:{n}", worker_id=ident(n), store=crew.workers[n].assignments, clock=FakeClock(), follow=print)
            for n in range(2)
        ]
        crew.renew(of=["reports"])
        for each in shared:
            each.renew(["reports"])
        assert [each.has(Task.REPORTS) for each in shared] == [True, False]
        assert [each.among(["reports"]) for each in shared] == [{"reports"}, set()]
        assert shared[0].of("reports").name != str(Task.REPORTS)
        with pytest.raises(Fenced):
            shared[1].of("reports")

    def test_are_written_by_who_polls_them_alone(self, crew: Crew) -> None:
        first, second = crew.hire(), crew.hire()
        crew.renew(of=[each.queue_id for each in NAMED_AS_TASKS])
        for worker, error in [(first, "first"), (second, "second")]:
            worker.store.polled([Polled(each, failing_since=NOON, error=error) for each in NAMED_AS_TASKS])
        said = {assignment_name(polled.queue.queue_id): polled.error for polled in crew.store.polls()}
        assert {name for name, error in said.items() if error == "first"} == first.queues
        assert {name for name, error in said.items() if error == "second"} == second.queues


class TestQueues:
    @pytest.mark.parametrize(("workers", "shares"), [(1, [7]), (2, [4, 3]), (3, [3, 2, 2]), (9, [1] * 7 + [0] * 2)])
    def test_are_spread_evenly_and_each_has_one_poller(self, crew: Crew, workers: int, shares: list[int]) -> None:
        crew.hire(workers)
        crew.renew()
        assert [len(worker.queues) for worker in crew.workers] == shares
        assert set().union(*(worker.queues for worker in crew.workers)) == {str(each) for each in IDS}

    def test_are_given_back_when_somebody_comes(self, crew: Crew) -> None:
        first = crew.hire()
        crew.renew()
        assert len(first.queues) == 7
        crew.hire(2)
        crew.renew()
        assert [len(worker.queues) for worker in crew.workers] == [3, 2, 2]

    def test_of_one_who_leaves_are_free_at_once(self, crew: Crew) -> None:
        first, second = crew.hire(), crew.hire()
        crew.renew()
        second.assignments.leave()
        crew.renew(first)
        assert len(first.queues) == 7

    def test_of_one_who_dies_are_free_when_its_lease_has_ended_and_not_before(self, crew: Crew) -> None:
        first, second = crew.hire(), crew.hire()
        crew.renew()
        crew.renew(first, after=TTL - SECOND)
        assert (len(first.queues), first.turn and first.turn.again_in) == (4, SOON)
        crew.renew(first, after=SECOND)
        assert len(first.queues) == 7
        assert first.held.keys() >= TASKS
        assert {name: first.held[name].token - second.held[name].token for name in second.queues} == dict.fromkeys(
            second.queues, 1
        )

    def test_that_are_new_are_taken_and_those_that_are_gone_given_back(self, crew: Crew) -> None:
        worker = crew.hire()
        crew.renew(of=IDS[:3])
        assert worker.queues == {str(each) for each in IDS[:3]}
        crew.renew(of=IDS[2:5])
        assert worker.queues == {str(each) for each in IDS[2:5]}

    def test_stay_with_one_who_was_late_but_missed_by_nobody(self, crew: Crew) -> None:
        worker = crew.hire()
        crew.renew()
        before = worker.held
        crew.renew(after=MINUTE)
        assert worker.held == before

    def test_that_somebody_writes_for_just_now_are_passed_over(self, crew: Crew) -> None:
        """Nobody waits for a worker that stands still in the middle of a transaction."""
        first, second = crew.hire(), crew.hire()
        crew.renew(first)

        def decide(_memory: object) -> Any:
            crew.renew(first, second, after=TTL)
            assert IDS[0] not in {each for each in IDS if str(each) in second.queues}
            return replace(deciding(review("a"))(None), next_due_at=None)  # type: ignore[arg-type]

        first.store.under(first.of(IDS[0])).update(QUEUES[0], [], decide, NOON)
        assert crew.store.standing(IDS[0], None).waiting == 1


class TestTasks:
    def test_are_each_done_by_one(self, crew: Crew) -> None:
        crew.hire(3)
        crew.renew()
        tasks = [name for worker in crew.workers for name in worker.held if name in TASKS]
        assert sorted(tasks) == sorted(TASKS)

    def test_are_with_one_worker_at_most_one_link_while_another_is_alive(self, crew: Crew) -> None:
        def links() -> list[set[str]]:
            return [worker.held.keys() & LINKED for worker in crew.workers]

        first, second = crew.hire(), crew.hire()
        crew.renew(first)
        assert links() == [LINKED, set()]
        crew.renew()
        assert sorted(len(each) for each in links()) == [1, 1]
        third = crew.hire()
        crew.renew()
        assert sorted(len(each) for each in links()) == [0, 1, 1]
        kept = second.held.keys() & LINKED
        crew.renew(second, third, after=TTL - SECOND)
        crew.renew(second, third, after=SECOND)
        assert (second.held.keys() & LINKED, len(third.held.keys() & LINKED)) == (kept, 1)
        crew.renew(third, after=TTL)
        assert third.held.keys() >= TASKS


class TestATurn:
    def test_tells_the_database_s_time_and_who_lives(self, crew: Crew) -> None:
        first = crew.hire()
        crew.hire()
        crew.renew()
        assert first.turn
        assert (first.turn.now, first.turn.workers, first.turn.again_in) == (NOON, 2, RENEW)

    def test_is_one_renewal_while_nobody_comes_or_goes(self, crew: Crew) -> None:
        worker = crew.hire()
        crew.renew()
        engine, asked = crew.store._database.engine, []  # noqa: SLF001  nobody else sees them
        sa.event.listen(engine, "before_cursor_execute", note := lambda *given: asked.append(given[2]))
        worker.assignments.renew(IDS)
        sa.event.remove(engine, "before_cursor_execute", note)
        assert [statement.split()[0] for statement in asked] == ["BEGIN", "SELECT", "UPDATE", "SELECT"]


class TestTheFence:
    def test_lets_the_worker_write_who_has_the_duty(self, crew: Crew) -> None:
        worker = crew.hire()
        crew.renew()
        worker.store.under(worker.of(IDS[0])).update(QUEUES[0], [], deciding(review("a")), NOON)
        assert crew.store.standing(IDS[0], None).waiting == 1

    @pytest.mark.parametrize("how", ["lease ended", "taken over", "taken back", "left"])
    def test_keeps_out_who_had_it_before(self, crew: Crew, how: str) -> None:
        first, second = crew.hire(), crew.hire()
        crew.renew(first)
        stale = first.store.under(first.of(IDS[0]))
        if how == "left":
            first.assignments.leave()
        else:
            crew.now += TTL
        if how.startswith("taken"):
            crew.renew(second)
        if how == "taken back":
            second.assignments.leave()
            crew.renew(first)
            assert first.of(IDS[0]).token == 3
        with pytest.raises(Fenced):
            stale.update(QUEUES[0], [], deciding(review("a")), NOON)
        with pytest.raises(Fenced):
            stale.learn(IDS[0], {ident("a"): Fate.REVIEWED}, NOON)
        assert crew.store.stories(ident("a")) == []

    def test_makes_who_would_take_over_wait_for_what_is_being_written(self, crew: Crew) -> None:
        first, second = crew.hire(), crew.hire()
        crew.renew(first)
        seen: list[set[str]] = []

        def decide(memory: Any) -> Any:
            crew.renew(second, after=TTL)
            seen.append(second.queues)
            return deciding(review("a"))(memory)

        first.store.under(first.of(IDS[0])).update(QUEUES[0], [], decide, NOON)
        assert seen == [{str(each) for each in IDS[1:]}]
        crew.renew(second)
        assert str(IDS[0]) in second.queues

    def test_leaves_out_how_polls_stand_that_others_make(self, crew: Crew) -> None:
        first, second = crew.hire(), crew.hire()
        crew.renew()
        for worker, error in [(first, "first"), (second, "second")]:
            worker.store.polled([Polled(each, failing_since=NOON, error=error, trouble="store") for each in QUEUES])
        told = {str(polled.queue.queue_id): polled for polled in crew.store.polls()}
        assert {name for name, polled in told.items() if polled.error == "first"} == first.queues
        assert {name for name, polled in told.items() if polled.error == "second"} == second.queues
        assert {polled.trouble for polled in told.values()} == {"store"}
        crew.now += TTL
        first.store.polled([Polled(each, error="late") for each in QUEUES])
        assert "late" not in {polled.error for polled in crew.store.polls()}


def owe(store: Store, *names: str, channel: Destination = CHANNEL) -> None:
    for name in names:
        store.owe(delivery(name, kind=Kind.OPS, channel=channel))


class TestDeliveries:
    def test_to_one_channel_keep_its_pace_whoever_claims(self, crew: Crew) -> None:
        first, second = crew.hire(), crew.hire()
        crew.renew()
        owe(crew.store, "a", "b")
        owe(crew.store, "c", channel=LEADS)
        claims = [worker.store.claim(NOON, REAL_LEASE) for worker in (first, second, first)]
        assert [claim and claim.delivery.destination for claim in claims] == [CHANNEL, LEADS, None]
        crew.now = NOON + 3 * SECOND
        assert second.store.claim(crew.now, REAL_LEASE) is None
        assert claims[0]
        first.store.settle(posted(claims[0].delivery), claims[0].delivery)
        assert second.store.claim(crew.now + PACE - SECOND / 10, REAL_LEASE) is None
        assert second.store.claim(crew.now + PACE, REAL_LEASE)

    def test_to_one_channel_wait_for_a_worker_that_is_gone_until_its_post_can_not_begin_any_more(
        self, crew: Crew
    ) -> None:
        first, second = crew.hire(), crew.hire()
        crew.renew()
        owe(crew.store, "a", "b")
        late = first.store.claim(NOON, REAL_LEASE)
        assert second.store.claim(NOON + START + PACE - SECOND / 10, REAL_LEASE) is None
        assert second.store.claim(NOON + START + PACE, REAL_LEASE)
        crew.now = NOON + START + PACE
        assert late
        first.store.settle(posted(late.delivery), late.delivery)
        owe(crew.store, "c")
        assert first.store.claim(crew.now + PACE, REAL_LEASE) is None

    def test_looked_up_change_no_pace(self, crew: Crew) -> None:
        first, second = crew.hire(), crew.hire()
        crew.renew()
        crew.store.owe(delivery("a", kind=Kind.OPS, state=State.UNKNOWN, attempted_at=NOON))
        look = first.store.claim(NOON, REAL_LEASE)
        owe(crew.store, "b", "c")
        assert second.store.claim(NOON, REAL_LEASE)
        assert look
        first.store.settle(posted(look.delivery), look.delivery)
        assert first.store.claim(NOON + PACE, REAL_LEASE) is None

    def test_wait_for_nobody_who_is_frozen_in_the_first_claim_for_a_channel(self, crew: Crew) -> None:
        first, second = crew.hire(), crew.hire()
        crew.renew()
        owe(crew.store, "a", "b")
        owe(crew.store, "c", channel=LEADS)
        meanwhile: list[Claim | None] = []

        @sa.event.listens_for(crew.store._database.engine, "after_cursor_execute")  # noqa: SLF001
        def freeze(_connection: object, _cursor: object, statement: str, *_: object) -> None:
            if statement.startswith("UPDATE paces") and not meanwhile:
                meanwhile.append(None)
                meanwhile.append(second.store.claim(NOON, LEASE))

        claims = [first.store.claim(NOON, LEASE), meanwhile[-1]]
        assert [claim and claim.delivery.destination for claim in claims] == [CHANNEL, LEADS]

    def test_wait_for_all_where_slack_has_asked_one_for_a_rest(self, crew: Crew) -> None:
        first, second = crew.hire(), crew.hire()
        crew.renew()
        owe(crew.store, "a")
        crew.store.owe(delivery("b", kind=Kind.OPS, channel=LEADS, state=State.UNKNOWN, attempted_at=NOON))
        first.store.rest(NOON, NOON + 5 * SECOND)
        first.store.rest(NOON, NOON + SECOND)
        claims = [worker.store.claim(NOON + 4 * SECOND, LEASE) for worker in (second, first)]
        assert [claim and claim.delivery.destination for claim in claims] == [LEADS, None]
        assert second.store.claim(NOON + 5 * SECOND, LEASE)

    def test_are_looked_up_without_a_pace(self, crew: Crew) -> None:
        worker = crew.hire()
        crew.renew()
        crew.store.owe(delivery("a", kind=Kind.OPS, state=State.UNKNOWN, attempted_at=NOON))
        crew.store.owe(delivery("b", kind=Kind.OPS, state=State.UNKNOWN, attempted_at=NOON))
        assert worker.store.claim(NOON, LEASE)
        assert worker.store.claim(NOON, LEASE)

    def test_are_claimed_by_the_living_only(self, crew: Crew) -> None:
        worker = crew.hire()
        crew.renew()
        owe(crew.store, "a")
        crew.now += TTL
        assert worker.store.claim(crew.now, LEASE) is None
        crew.renew()
        assert worker.store.claim(crew.now, LEASE)

    def test_of_the_dead_are_looked_up_as_soon_as_their_requests_are_over(self, crew: Crew) -> None:
        first, second = crew.hire(), crew.hire()
        crew.renew()
        owe(crew.store, "a")
        claim = first.store.claim(NOON, REAL_LEASE)
        crew.renew(second, after=TTL)
        assert second.store.claim(NOON + OVER - SECOND, REAL_LEASE) is None
        crew.renew(second, after=OVER - TTL)
        found = second.store.claim(NOON + OVER, REAL_LEASE)
        assert claim
        assert found
        assert (found.delivery.key, found.delivery.state) == (claim.delivery.key, State.UNKNOWN)
        assert not first.store.settle(posted(claim.delivery), claim.delivery)

    def test_of_the_living_keep_their_whole_lease(self, crew: Crew) -> None:
        first, second = crew.hire(), crew.hire()
        crew.renew()
        owe(crew.store, "a")
        first.store.claim(NOON, REAL_LEASE)
        crew.hire()
        crew.renew()
        assert second.store.claim(NOON + REAL_LEASE - SECOND, REAL_LEASE) is None

    def test_that_were_posted_just_before_the_end_are_settled_while_nobody_has_looked(self, crew: Crew) -> None:
        first, second = crew.hire(), crew.hire()
        crew.renew()
        owe(crew.store, "a")
        claim = first.store.claim(NOON, REAL_LEASE)
        crew.renew(second, after=TTL)
        assert claim
        assert first.store.settle(posted(claim.delivery), claim.delivery)


def test_who_does_what_can_be_asked_from_outside(crew: Crew) -> None:
    _, assignments = crew.store.join(Member(ident(1), "host:1", PACE))
    assert crew.store.assigned() == {}
    assignments.renew(IDS[:1])
    assert crew.store.assigned() == dict.fromkeys({str(IDS[0]), *TASKS}, "host:1")
    assignments.leave()
    assert crew.store.assigned() == {}


def test_the_time_of_the_database_is_its_own_and_goes_on_within_a_transaction(crew: Crew) -> None:
    def ask(connection: sa.Connection) -> tuple[datetime, datetime]:
        first = connection.execute(sa.select(server_time())).scalar_one()
        connection.exec_driver_sql("SELECT pg_sleep(0.01)")
        return first, connection.execute(sa.select(server_time())).scalar_one()

    first, second = crew.store._database.read(ask)  # noqa: SLF001  there is no other way to the connection
    with crew.store._database.engine.connect() as connection:  # noqa: SLF001
        said = connection.exec_driver_sql("SELECT clock_timestamp()").scalar_one()
    assert SECOND / 100 <= second - first < said - first < MINUTE


@pytest.mark.parametrize(("sql_store", "is_shared"), [("sqlite", False), ("postgres", True)], indirect=["sql_store"])
def test_what_a_command_takes_for_now_is_the_clock_of_all_workers(sql_store: SqlStore, is_shared: bool) -> None:  # noqa: FBT001
    machine = FakeClock(datetime(2999, 1, 1, tzinfo=UTC))
    assert (sql_store.now(machine) < machine.now()) == is_shared
