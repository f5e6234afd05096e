"""Several real workers on one PostgreSQL: one is killed, one is frozen and wakes, one is stopped; nobody notices."""

from __future__ import annotations

import json
import signal
from collections import Counter
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from tests.support import postgres
from tests.system.crashing import Witness
from tests.system.process import stays, wait_for
from worker.core.leases import Task
from worker.demo.slack.server import Mode

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tests.system.process import Process
    from tests.system.stage import Place, Stage

PLACES = 6
FAILOVER = 45.0
"""Seconds within which others do what one does no more: fifteen, on a machine without much else to do."""

TASKS = {str(task) for task in Task}


class Crew:
    """So many workers with the same configuration, by the name that each goes by."""

    def __init__(self, stage: Stage, stack: ExitStack, count: int) -> None:
        self.stage = stage
        self.places = [stage.add(f"queue {number}") for number in range(PLACES)]
        self._told: Counter[Place] = Counter()
        processes = [stack.enter_context(stage.service()) for _ in range(count)]
        self.workers = {process.popen.pid: process for process in processes}

    def assigned(self) -> dict[str, int]:
        """Which process has which queue or task."""
        return {name: int(worker.rpartition(":")[2]) for name, worker in self.stage.store.assigned().items()}

    def places_of(self, pid: int) -> list[Place]:
        return [place for place in self.places if self.assigned().get(str(place.queue)) == pid]

    def is_spread(self, *pids: int) -> bool:
        """Whether these have equal parts of the queues, and every task."""
        held = self.assigned()
        queues = Counter(pid for name, pid in held.items() if name not in TASKS)
        return queues == dict.fromkeys(pids, PLACES // len(pids)) and {held.get(task) for task in TASKS} <= {*pids}

    def tell(self, places: Sequence[Place], *, within: float) -> None:
        """Put a run into each queue, and wait until people see them all."""
        for place in places:
            self._told[place] += 1
            self.stage.run(place, f"run {self._told[place]} of {place.name}")
        are_told = lambda: all(len(self.stage.shown(place)) == self._told[place] for place in places)  # noqa: E731
        wait_for(are_told, "everything is told", patience=within)

    def check(self) -> None:
        """Each run stands in one message, and no message in two."""
        for place in self.places:
            expected = [f"run {number} of {place.name}" for number in range(1, self._told[place] + 1)]
            shown = self.stage.shown(place)
            assert len(shown) == len(expected), place.name
            assert all(name in text for name, text in zip(expected, shown, strict=True)), place.name


@pytest.fixture
def crew(stage: Stage, migrated_postgres: str) -> Iterator[Crew]:
    stage.use(migrated_postgres)
    with ExitStack() as stack:
        yield Crew(stage, stack, 3)


@pytest.mark.long(43)
def test_whatever_becomes_of_one_worker_others_go_on_and_nothing_is_told_twice(crew: Crew, stage: Stage) -> None:
    killed, frozen, stopped = crew.workers
    wait_for(lambda: crew.is_spread(killed, frozen, stopped), "an even spread")
    crew.tell(crew.places, within=FAILOVER)
    _status_names_the_workers(crew, stage)

    orphans = crew.places_of(killed)
    crew.workers[killed].kill()
    crew.tell(orphans, within=FAILOVER)

    wait_for(lambda: crew.is_spread(frozen, stopped), "an even spread over the others")
    orphans = crew.places_of(frozen)
    crew.workers[frozen].popen.send_signal(signal.SIGSTOP)
    crew.tell(orphans, within=FAILOVER)
    crew.workers[frozen].popen.send_signal(signal.SIGCONT)
    wait_for(lambda: crew.is_spread(frozen, stopped), "the one that woke has its part again")

    orphans = crew.places_of(stopped)
    assert crew.workers[stopped].stop() == 0
    assert _has_left(crew, stopped)
    crew.tell(orphans, within=FAILOVER)
    crew.tell(crew.places, within=FAILOVER)
    stays(lambda: sum(len(stage.shown(place)) for place in crew.places) == 6 + 6 + 2 + 3 + 3, 2, "nothing comes twice")
    crew.check()
    _logged_no_trouble(crew.workers, frozen)


@pytest.mark.long(20)
def test_where_one_worker_posts_and_the_other_edits_a_run_enters_the_message_and_is_called_for_once(
    stage: Stage, migrated_postgres: str
) -> None:
    stage.use(migrated_postgres)
    witness = Witness(stage.slack)
    # Of two workers the wanted one posts for one of these, but for one time in 65,536.
    places = [stage.add(f"queue {number}") for number in range(32)]
    pid_of = lambda name: int(stage.store.assigned().get(name, ":0").rpartition(":")[2])  # noqa: E731
    window = {"WORKER_ANNOUNCE_EVERY": "1h"}
    with stage.service(**window) as editor, ExitStack() as stack:
        wait_for(lambda: pid_of(str(Task.EDITS)) == editor.popen.pid, "one worker edits")
        poster = stack.enter_context(stage.service(**window))
        theirs = lambda: [place for place in places if pid_of(str(place.queue)) == poster.popen.pid]  # noqa: E731
        wait_for(lambda: len(theirs()) == len(places) // 2, "the other one polls half of the queues")
        place = _posted_by(poster, editor, theirs(), stage)
        edited = len(editor.logged("message_edited"))
        stage.run(place, "the later run")
        wait_for(lambda: "the later run" in stage.only(place)["text"], "it has entered the message")
        wait_for(lambda: len(editor.logged("message_edited")) > edited, "the first worker has made the edit")
        assert not poster.logged("message_edited")
        # A worker that is stopped gives its queues back at once.
        assert [poster.stop(), editor.stop()] == [0, 0]
    with stage.service(WORKER_ANNOUNCE_EVERY="1s"):
        stage.wait_for_texts(place, "the first run", "the later run")
    assert (witness.called("the later run"), witness.entered("the later run"), witness.repeated()) == (1, 1, 0)


def _posted_by(poster: Process, other: Process, places: Sequence[Place], stage: Stage) -> Place:
    """A place of which one worker has posted: either of them may take what is owed, so several are tried."""
    for place in places:
        stage.run(place, f"the first run of {place.name}")
        wait_for(lambda place=place: stage.shown(place), "the first message")
        wait_for(stage.is_settled, "it is written down")
        wait_for(lambda place=place: _has_posted(poster, place) or _has_posted(other, place), "one of them says so")
        if _has_posted(poster, place):
            return place
    raise AssertionError("the other worker has posted everything")


def test_a_single_pass_does_all_of_it_alone_and_nothing_beside_a_worker(stage: Stage, migrated_postgres: str) -> None:
    stage.use(migrated_postgres)
    places = [stage.add(f"queue {number}") for number in range(2)]
    for number in range(2):
        for place in places:
            stage.run(place, f"run {number}")
        assert stage.bench.run("poll").returncode == 0
        assert [len(stage.shown(place)) for place in places] == [number + 1] * 2
        assert stage.store.assigned() == {}
    with stage.service():
        wait_for(stage.store.assigned, "a worker is at work")
        done = stage.bench.run("poll")
    assert done.returncode == 75
    assert "polls with this database already: stop it first" in done.stderr


def _status_names_the_workers(crew: Crew, stage: Stage) -> None:
    told = stage.bench.run("status", "--json", WORKER_POLL_INTERVAL="60s")  # on a busy machine a poll may be late
    assert told.returncode == 0, told.stdout
    named = {each["queue_id"]: int(each["worker"].rpartition(":")[2]) for each in json.loads(told.stdout)["queues"]}
    assert named == {name: pid for name, pid in crew.assigned().items() if name not in TASKS}


def _has_left(crew: Crew, pid: int) -> bool:
    return pid not in crew.assigned().values()


def _logged_no_trouble(workers: Mapping[int, Process], frozen: int) -> None:
    for pid, worker in workers.items():
        lines = [line for line in worker.events if line["level"] in {"error", "warning"}]
        # A statement that was under way when the worker was frozen has taken too long when it wakes.
        expected = {"assignments_lapsed", "delivery_unknown"} | ({"store_failing"} if pid == frozen else set())
        assert {line["event"] for line in lines} <= expected, lines


@pytest.mark.long(12)
def test_a_post_that_the_end_of_postgresql_cuts_off_is_settled_as_soon_as_it_is_back(stage: Stage) -> None:
    with postgres.running() as server:
        stage.use(server.migrated())
        place = stage.add("q")
        stage.run(place, "r")
        stage.slack.fail("chat.postMessage", mode=Mode.COMMIT_THEN_HANG, times=1)
        with stage.service() as process:
            wait_for(lambda: stage.shown(place), "the post")
            server.stop()
            stage.slack.heal()
            wait_for(lambda: process.logged("store_failing"), "the trouble")
            server.start()
            wait_for(lambda: process.logged("delivery_sent"), "the outcome")
        assert len(stage.shown(place)) == 1


def _has_posted(worker: Process, place: Place) -> bool:
    return any(line["channel"] == place.channel for line in worker.logged("delivery_sent"))
