"""Several threads and processes on one database: nothing is claimed twice, no plan rests on what has passed."""

from __future__ import annotations

import os
import shutil
import signal
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from threading import Barrier
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from tests.support import forks
from tests.support.builders import DAY, LEASE, MINUTE, NOON, SECOND, deciding, delivery, ident, notice, queue, review
from tests.support.inboxes import office
from tests.support.outbox import QUEUE, owe, posted, row, take, write
from tests.support.people import who
from worker.core.model import Entry, Kind, Polled, Window
from worker.core.owed import State
from worker.core.plan import Plan
from worker.stores.opening import migrate_database, open_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from tests.support.postgres import Postgres
    from worker.core.model import Memory, Review
    from worker.core.store_roles import Store

OPEN = """
import os, signal, sys
from datetime import timedelta
from tests.support.builders import *
from tests.support.outbox import *
from worker.stores.opening import open_store
store = open_store(sys.argv[1], migrate=False)
print("ready", flush=True)
sys.stdin.readline()
"""
OPEN_FOR_THE_FIRST_TIME = """
import sys
from worker.stores.opening import open_store
print("ready", flush=True)
sys.stdin.readline()
open_store(sys.argv[1], migrate=True).close()
"""
CLAIM_ALL = """
while claim := store.claim(NOON, LEASE):
    print(claim.delivery.key, flush=True)
"""
SPEND_ALL = """
for number in range({first}, {first} + 20):
    for user in store.spend(ident(str(number)), {{"U1": NOON}}, 7, NOON):
        print(user, flush=True)
"""
DIE_HOLDING_A_CLAIM = """
take(store)
os.kill(os.getpid(), signal.SIGKILL)
"""
CLAIM_A_RUN = """
from tests.support.acting import *
from worker.core.actions import *
acted = do(store, an_act(Act.CLAIM, Actor("U0WHO", "WHO")))
print(acted.refusal or "done", acted.holder)
"""
ACT_AND_DIE = """
from tests.support.acting import *
from worker.core.actions import *
do(store, an_act(Act.CLAIM))
os.kill(os.getpid(), signal.SIGKILL)
"""
ACT_AND_DIE_BEFORE_THE_COMMIT = """
import sqlalchemy as sa
from tests.support.acting import *
from worker.core.actions import *
sa.event.listen(store._database.engine, "commit", lambda _: os.kill(os.getpid(), signal.SIGKILL))
do(store, an_act(Act.CLAIM))
"""
DIE_WHILE_DECIDING = """
def decide(memory):
    os.kill(os.getpid(), signal.SIGKILL)
store.update(QUEUE, [], decide, NOON)
"""
DIE_BEFORE_THE_COMMIT = """
import sqlalchemy as sa
sa.event.listen(store._database.engine, "commit", lambda _: os.kill(os.getpid(), signal.SIGKILL))
owe(store, review("a"))
"""


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A migrated database that several processes may open."""
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("sqlite_template"), tmp_path / "worker.db")
        return f"sqlite:///{tmp_path}/worker.db"
    return str(request.getfixturevalue("migrated_postgres"))


class Other:
    """Another process that has the same database open and waits to be let go."""

    def __init__(self, url: str, script: str, opening: str = OPEN) -> None:
        waits, self._go = os.pipe()
        said, says = os.pipe()
        self._process = forks.Process([url], script=opening + script, streams=[waits, says, 2])
        os.close(waits)
        os.close(says)
        self._said = os.fdopen(said)
        assert self._said.readline() == "ready\n"

    def go(self) -> None:
        os.close(self._go)

    def result(self) -> tuple[int, list[str]]:
        """The exit status, and what it said."""
        with self._said:
            said = self._said.read().split()
        return self._process.wait(60), said


def results(processes: Iterable[Other]) -> list[tuple[int, list[str]]]:
    """Let all go at once; how each ended."""
    processes = list(processes)
    for each in processes:
        each.go()
    return [each.result() for each in processes]


def at_once(*calls: Callable[[], object]) -> list[object]:
    """Run calls in a thread each, all let go in the same instant."""
    gate = Barrier(len(calls))

    def run(call: Callable[[], object]) -> object:
        gate.wait(60)
        return call()

    with ThreadPoolExecutor(len(calls)) as threads:
        return list(threads.map(run, calls))


def announce_what_is_new(memory: Memory) -> Plan:
    """Two pollers with the same listing: whoever comes second has nothing to tell."""
    known = {each.queue_run_id for each in memory.reviews}
    new = tuple(review(number) for number in range(39) if ident(number) not in known)
    return Plan(new, (notice(*new, name=f"{len(known)}"),) if new else ())


class TestBudgets:
    def test_of_many_threads_are_never_exceeded(self, sql_store: Store) -> None:
        for number in range(20):
            sql_store.owe(delivery(f"{number}", kind=Kind.OPS))

        def spend(number: int) -> object:
            return list(sql_store.spend(ident(f"{number}"), {"U1": NOON, f"U{number + 2}": NOON}, 3, NOON))

        called = at_once(*[partial(spend, number) for number in range(20)])
        assert sum("U1" in each for each in called) == 3  # type: ignore[operator]
        assert sql_store.spent({"U1": NOON}, ident("none")) == {"U1": 3}

    def test_of_two_processes_are_never_exceeded(self, url: str) -> None:
        with closing(open_store(url, migrate=False)) as store:
            for number in range(40):
                store.owe(delivery(f"{number}", kind=Kind.OPS))
            said = results([Other(url, SPEND_ALL.format(first=first)) for first in (0, 20)])
            assert [status for status, _ in said] == [0, 0]
            assert sum(len(called) for _, called in said) == 7
            assert store.spent({"U1": NOON}, ident("none")) == {"U1": 7}


class TestLooksAtInboxes:
    def test_at_the_same_time_owe_everything_once(self, sql_store: Store) -> None:
        world = office(sql_store)
        world.see(*(review(number, who=who("ada", "ben")) for number in range(30)))
        at_once(*[world.look] * 5)
        assert {name: len(runs) for name, runs in world.owed().items()} == {"U0ADA": 30, "U0BEN": 30}
        assert len(sql_store.deliveries()) == 2

    def test_beside_polls_lose_nothing(self, sql_store: Store) -> None:
        world = office(sql_store)
        polls = [partial(world.see, review(number, who=who("ada"))) for number in range(8)]
        at_once(*polls, *[world.look] * 4)
        world.look()
        assert {name: len(runs) for name, runs in world.owed().items()} == {"U0ADA": 8}


class TestActs:
    def test_two_claims_within_50_ms_through_two_workers_are_one(self, url: str) -> None:
        with closing(open_store(url, migrate=False)) as store:
            write(store, review("a"))
            said = results([Other(url, CLAIM_A_RUN.replace("WHO", who)) for who in ("Ada", "Ben")])
            assert [status for status, _ in said] == [0, 0]
            came = dict(zip(("Ada", "Ben"), (words for _, words in said), strict=True))
            (winner,) = [who for who, words in came.items() if words == ["done"]]
            (loser,) = [who for who in came if who != winner]
            assert came[loser] == ["taken", winner]
            assert store.stories(ident("a"))[0].review.acts.claimed_name == winner
            assert len(store.records(10)) == 2

    def test_kill_9_between_the_decision_and_the_commit_leaves_nothing_and_between_write_and_edit_both(
        self, url: str
    ) -> None:
        with closing(open_store(url, migrate=False)) as store:
            owe(store, review("a"))
            claim = take(store)
            store.settle(posted(claim.delivery), claim.delivery, shown=[review("a").key])
            assert results([Other(url, ACT_AND_DIE_BEFORE_THE_COMMIT)])[0][0] == -signal.SIGKILL
            assert (store.records(10), store.claim_edit(NOON + MINUTE, LEASE)) == ([], None)
            assert results([Other(url, ACT_AND_DIE)])[0][0] == -signal.SIGKILL
            edit = store.claim_edit(NOON + MINUTE, LEASE)
            assert edit is not None
            assert edit.reviews[0].acts.claimed_name == "Ada"
            assert len(store.records(10)) == 1


class TestClaims:
    def test_of_two_processes_never_take_the_same(self, url: str) -> None:
        with closing(open_store(url, migrate=False)) as store:
            for number in range(200):
                store.owe(delivery(f"{number}", kind=Kind.OPS))
            said = results([Other(url, CLAIM_ALL) for _ in range(2)])
            claimed = [key for status, keys in said for key in keys if status == 0]
            assert (len(claimed), len(set(claimed))) == (200, 200)

    def test_of_many_threads_never_take_the_same(self, sql_store: Store) -> None:
        for number in range(100):
            sql_store.owe(delivery(f"{number}", kind=Kind.OPS))

        def claim_all() -> list[object]:
            taken = []
            while claim := sql_store.claim(NOON, LEASE):
                taken.append(claim.delivery.key)
            return taken

        claimed = [key for keys in at_once(*[claim_all] * 5) for key in keys]  # type: ignore[attr-defined]
        assert (len(claimed), len(set(claimed))) == (100, 100)

    def test_of_edits_never_take_the_same(self, sql_store: Store) -> None:
        for number in range(40):
            sql_store.owe(delivery(f"{number}", state=State.SENT, edit_at=NOON, edit_until=NOON + DAY))

        def claim_all() -> list[object]:
            taken = []
            while claim := sql_store.claim_edit(NOON, LEASE):
                taken.append(claim.delivery.key)
            return taken

        claimed = [key for keys in at_once(*[claim_all] * 4) for key in keys]  # type: ignore[attr-defined]
        assert (len(claimed), len(set(claimed))) == (40, 40)

    def test_that_lapse_are_settled_by_the_last_claimer_alone(self, sql_store: Store) -> None:
        sql_store.owe(delivery())
        claims = [take(sql_store, NOON + n * LEASE).delivery for n in range(5)]
        calls = [lambda each=each: sql_store.settle(posted(each), each) for each in claims]
        assert at_once(*calls) == [False] * 4 + [True]

    def test_of_a_process_that_was_killed_come_back_as_unknown(self, url: str) -> None:
        with closing(open_store(url, migrate=False)) as store:
            owe(store, review("a"))
            assert results([Other(url, DIE_HOLDING_A_CLAIM)]) == [(-signal.SIGKILL, [])]
            assert store.claim(NOON + LEASE - SECOND, LEASE) is None
            again = take(store, NOON + LEASE)
            assert (again.delivery.state, again.delivery.attempted_at) == (State.UNKNOWN, NOON)


class TestUpdates:
    def test_of_two_pollers_tell_of_each_run_once(self, sql_store: Store) -> None:
        poll = lambda: sql_store.update(QUEUE, [ident(n) for n in range(39)], announce_what_is_new, NOON)  # noqa: E731
        at_once(*[poll] * 4)
        told = [sum(len(story.notices) for story in sql_store.stories(ident(n))) for n in range(39)]
        assert told == [1] * 39

    def test_of_many_queues_go_on_side_by_side(self, sql_store: Store) -> None:
        queues = [queue(f"Queue {number}") for number in range(6)]

        def poll_all(names: list[str]) -> None:
            for name in names:
                for each in queues:
                    sql_store.update(each, [], deciding(review(name), notices=[notice(name=name + each.name)]), NOON)

        at_once(*[lambda n=n: poll_all([f"{n} {m}" for m in range(5)]) for n in range(4)])
        assert [sql_store.standing(each.queue_id, None).waiting for each in queues] == [20] * 6

    @pytest.mark.parametrize("script", [DIE_WHILE_DECIDING, DIE_BEFORE_THE_COMMIT], ids=["deciding", "committing"])
    def test_of_a_process_that_was_killed_leave_nothing(self, url: str, script: str) -> None:
        assert results([Other(url, script)]) == [(-signal.SIGKILL, [])]
        with closing(open_store(url, migrate=False)) as store:
            assert (store.deliveries(), store.polls(), store.stories(ident("a"))) == ([], [], [])
            owe(store, review("a"))
            assert take(store).total == 1

    def test_beside_a_claim_leave_no_message_with_an_old_state(self, sql_store: Store) -> None:
        """Either the post sees that a run was reviewed, or the message is owed an edit."""
        for number in range(25):
            run, closed = review(number), review(number, closed_at=NOON)
            owe(sql_store, run, name=f"{number}")
            close = lambda closed=closed: write(sql_store, closed)  # noqa: E731
            claim, _ = at_once(lambda: sql_store.claim(NOON, LEASE), close)
            claim = claim or take(sql_store)
            assert claim.waiting == 0 or row(sql_store, f"{number}").edit_at is not None  # type: ignore[attr-defined]

    def test_beside_an_edit_leave_no_message_with_an_old_state(self, sql_store: Store) -> None:
        for number in range(25):
            run, name = review(number), f"{number}"
            owe(sql_store, run, name=name)
            claimed = take(sql_store)
            assert sql_store.settle(posted(claimed.delivery), claimed.delivery, shown=[run.key])
            write(sql_store, review(number, reserved=True))
            closed = review(number, closed_at=NOON)
            close = lambda closed=closed: write(sql_store, closed)  # noqa: E731
            edit, _ = at_once(lambda: sql_store.claim_edit(NOON, LEASE), close)
            edit = edit or sql_store.claim_edit(NOON + MINUTE, LEASE)
            assert edit
            assert edit.waiting == 0 or row(sql_store, name).edit_at != edit.delivery.edit_at  # type: ignore[attr-defined]
            sql_store.settle_edit(edit.delivery, edit.delivery)  # type: ignore[attr-defined]
            sql_store.prune(settled_before=NOON + 30 * DAY, closed_before=NOON)

    def test_of_many_queues_beside_claims_that_merge_their_baselines_never_wait_in_a_circle(
        self, sql_store: Store
    ) -> None:
        queues = [queue(f"queue {number}") for number in range(6)]

        def poll(number: int) -> None:
            of, first = queues[number], review(f"first of {number}")
            owed = notice(first, name=f"baseline {number}", kind=Kind.BASELINE)
            opened = Window(NOON, owed.key, Entry.MERGE)
            sql_store.update(of, [], lambda _: Plan((first,), (owed,), opened=opened), NOON)
            for later in range(4):
                new = review(f"{later} of {number}")
                closed = review(f"first of {number}", closed_at=NOON + later * SECOND)
                sql_store.update(of, [], lambda memory, new=new, closed=closed: enter(memory, new, closed), NOON)
                sql_store.polled([Polled(each, completed_at=NOON) for each in queues])

        def deliver() -> None:
            for _ in range(12):
                claim = sql_store.claim(NOON, LEASE)
                if claim is not None:
                    sql_store.settle(posted(claim.delivery), claim.delivery)
                edit = sql_store.claim_edit(NOON, LEASE)
                if edit is not None:
                    sql_store.settle_edit(replace(edit.delivery, edit_at=None), edit.delivery)

        at_once(*[partial(poll, number) for number in range(6)], deliver, deliver)
        while (claim := sql_store.claim(NOON, LEASE)) is not None:
            sql_store.settle(posted(claim.delivery), claim.delivery)
        stories = [sql_store.stories(ident(f"first of {number}"))[0] for number in range(6)]
        said = [[each for each in story.notices if each.delivery.state is State.SENT] for story in stories]
        assert [len(each) for each in said] == [1] * 6


def enter(memory: Memory, new: Review, closed: Review) -> Plan:
    """One run leaves, and another enters the message of the window where there is one."""
    enters = memory.window is not None and memory.window.entry is Entry.BY_EDIT
    return Plan((new, closed), entered=(new.key,) if enters else ())


class TestNames:
    def test_remembered_by_two_at_once_keep_one(self, sql_store: Store) -> None:
        at_once(*[lambda n=n: sql_store.remember("api", f"{n}") for n in range(6)])
        assert sql_store.recall("api") in {f"{n}" for n in range(6)}

    def test_of_one_notice_owed_by_two_at_once_is_one(self, sql_store: Store) -> None:
        owed = at_once(*[lambda: sql_store.owe(delivery(kind=Kind.OPS))] * 6)
        assert sorted(owed) == [False] * 5 + [True]  # type: ignore[type-var]


def test_a_fresh_database_may_be_opened_by_two_at_once(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/new.db"
    # Not threads: a process loses its locks of a file when it closes any other descriptor of it, and a start looks.
    assert results(Other(url, "", OPEN_FOR_THE_FIRST_TIME) for _ in range(3)) == [(0, [])] * 3
    with closing(open_store(url, migrate=False)) as store:
        assert store.deliveries() == []


def test_postgres_may_be_migrated_by_two_at_once(postgres_server: Postgres) -> None:
    url = postgres_server.create()
    at_once(*[lambda: migrate_database(url)] * 3)
    with closing(open_store(url, migrate=False)) as store:
        assert store.deliveries() == []
