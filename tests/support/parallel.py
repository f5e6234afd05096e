"""Runs the tests in several processes, which are forked once all tests are collected.

Collecting takes seconds, and as much in each process that collects for itself; a forked one has all that was imported.
Each process asks for tests when it has none left, so that none is idle while there is something to do.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections import deque
from contextlib import suppress
from functools import cache
from multiprocessing.connection import Connection, Pipe, wait
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pytest
from _pytest.runner import pytest_sessionfinish, runtestprotocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

SYSTEM = Path(__file__).parents[1] / "system"
USUAL = 3.0
"""About how many seconds a test of the real process waits."""

GONE = object()
"""What one hears of a process that has ended."""

PIECE = 8
"""The most tests of a module that are handed out at once."""

NICE = 5
"""How much a process that computes gives way to one that waits for something to happen in time."""


def pytest_addoption(parser: pytest.Parser) -> None:
    # A plugin may name no short option for itself, and this is the one that everybody knows.
    group = parser.getgroup("parallel")
    group._addoption("-n", dest="processes", type=int, default=0, metavar="N", help="run the tests in N processes")  # noqa: SLF001


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    option = session.config.option
    processes = min(option.processes, len(session.items))
    if processes < 1 or option.collectonly or option.usepdb or session.testsfailed:
        return None
    if session.config.getoption("cov_source", None):
        raise pytest.UsageError("coverage is measured in one process: add -n 0")
    Run(session, processes).go()
    return True


class Shares:
    """The tests that nobody has yet: what waits, the longest first, and what computes, module by module."""

    def __init__(self, items: Sequence[pytest.Item]) -> None:
        units = [(_seconds(unit[0]), unit) for unit in _units(items)]
        self.waiting = deque(unit for seconds, unit in sorted(units, key=lambda each: -each[0]) if seconds)
        self.computing: dict[Path, deque[list[pytest.Item]]] = {}
        for seconds, unit in units:
            if not seconds:
                self.computing.setdefault(unit[0].path, deque()).append(unit)
        self._begun: set[Path] = set()

    def take(self, after: Path | None, *, computes: bool) -> list[pytest.Item]:
        """What a process does next that was last in this module; nothing when all is taken."""
        if self.computing and (computes or not self.waiting):
            return self._compute(after)
        return self.waiting.popleft() if self.waiting else []

    def give_back(self, items: Iterable[pytest.Item]) -> None:
        """Let others do what a process did not come to."""
        for item in items:
            self.computing.setdefault(item.path, deque()).append([item])

    def _compute(self, after: Path | None) -> list[pytest.Item]:
        """Stay in a module, whose fixtures are made; else begin another; at the end help with the largest."""
        path = after
        if path is None or path not in self.computing:
            new = (each for each in self.computing if each not in self._begun)
            path = next(new, None) or max(self.computing, key=lambda each: len(self.computing[each]))
        self._begun.add(path)
        left = self.computing[path]
        taken = list(left.popleft())
        # Less at a time towards the end, which another process may help with.
        for _ in range(min(PIECE, len(left) // 8)):
            taken += left.popleft()
        if not left:
            del self.computing[path]
        return taken


def _units(items: Iterable[pytest.Item]) -> Iterable[list[pytest.Item]]:
    """What stays together: a test, or all tests of a module that share what is dear to make."""
    units: dict[object, list[pytest.Item]] = {}
    for item in items:
        units.setdefault(item.path if item.get_closest_marker("together") else item, []).append(item)
    return units.values()


def _seconds(item: pytest.Item) -> float:
    """About how long a test waits; 0 where it computes."""
    long = item.get_closest_marker("long")
    return float(long.args[0]) if long is not None else _usual(item.path)


@cache
def _usual(path: Path) -> float:
    return USUAL if path.is_relative_to(SYSTEM) else 0


class Process:
    """One that runs tests, as seen by the one that hands them out."""

    def __init__(self, session: pytest.Session, *, computes: bool, others: Iterable[Process]) -> None:
        self.computes = computes
        self.given: deque[pytest.Item] = deque()
        """In the order in which it does them; without those that it has done."""
        self.last: Path | None = None
        self.line, end = Pipe()
        sys.stdout.flush()
        self.pid = os.fork()
        if not self.pid:
            for line in (self.line, *(other.line for other in others)):
                line.close()  # else it would not see that the other end is gone
            _become(session, end, NICE if computes else 0)
        end.close()

    def hear(self) -> Any:
        """What it says next; None asks for tests, all else are reports."""
        try:
            return self.line.recv()
        except EOFError:
            return GONE

    def end(self) -> int:
        """Wait for its end; its exit status."""
        self.line.close()
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


class Run:
    """Hands out the tests, and passes on what became of them as if they had run here."""

    def __init__(self, session: pytest.Session, processes: int) -> None:
        self._session = session
        self._numbers = {item: number for number, item in enumerate(session.items)}
        self._shares = Shares(session.items)
        # Made here, it is removed with this run's, and shared by all.
        session.config._tmp_path_factory.getbasetemp()  # type: ignore[attr-defined]  # noqa: SLF001
        self._processes: list[Process] = []
        computing = min(processes // 4, os.cpu_count() or 1)
        for number in range(processes):
            self._fork(computes=number >= processes - computing)

    def go(self) -> None:
        """Run all; raises what pytest's own loop does where the run is to stop."""
        try:
            while self._processes:
                by_line = {process.line: process for process in self._processes}
                for line in wait(list(by_line)):
                    self._hear(by_line[line])
        finally:
            self._interrupt()

    def _fork(self, *, computes: bool) -> None:
        self._processes.append(Process(self._session, computes=computes, others=self._processes))

    def _hear(self, process: Process) -> None:
        said = process.hear()
        if said is GONE:
            self._gone(process)
        elif said is None:
            taken = self._shares.take(process.last, computes=process.computes)
            process.given += taken
            process.last = taken[-1].path if taken else None
            process.line.send([self._numbers[item] for item in taken])
        else:
            process.given.popleft()
            for report in said:
                self._report(report)

    def _report(self, data: dict[str, Any]) -> None:
        config, session = self._session.config, self._session
        config.hook.pytest_runtest_logreport(
            report=config.hook.pytest_report_from_serializable(config=config, data=data)
        )
        if session.shouldfail:
            raise session.Failed(session.shouldfail)
        if session.shouldstop:
            raise session.Interrupted(session.shouldstop)

    def _gone(self, process: Process) -> None:
        """It has done all that there was, or has died of a test: that has failed, and another does the rest."""
        self._processes.remove(process)
        status = process.end()
        if not process.given:
            if status:
                raise self._session.Failed(f"a process without a test ended with status {status}")
            return
        died_of = process.given.popleft()
        self._shares.give_back(process.given)
        self._fork(computes=process.computes)
        died = f"the process of this test ended with status {status}"
        report = pytest.TestReport(died_of.nodeid, died_of.location, {}, "failed", died, "call")
        hook = self._session.config.hook
        self._report(hook.pytest_report_to_serializable(config=self._session.config, report=report))

    def _interrupt(self) -> None:
        for process in self._processes:
            process.line.close()
            with suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGINT)
        for process in self._processes:
            process.end()


def _become(session: pytest.Session, line: Connection, nice: int) -> NoReturn:
    """Run what one is given, in a process that was forked."""
    status = 1
    try:
        os.nice(nice)
        capturing = session.config.pluginmanager.getplugin("capturemanager")
        capturing.stop_global_capturing()
        capturing.start_global_capturing()  # into files of its own
        session.config.pluginmanager.register(Reporter(line))
        try:
            _run(session, line)
        finally:
            pytest_sessionfinish(session)  # ends what the fixtures have made
        status = 0
    except BaseException:  # noqa: BLE001 - as the interpreter does
        if not line.poll(1):  # else the run was interrupted, and so was this, with whatever exception
            traceback.print_exc(file=sys.__stderr__)
    finally:
        os._exit(status)


def _run(session: pytest.Session, line: Connection) -> None:
    items = _given(session.items, line)
    upcoming = Upcoming(lambda: next(items, None))
    while (item := upcoming.item) is not None:
        upcoming = Upcoming(lambda: next(items, None))
        session.config.hook.pytest_runtest_protocol(item=item, nextitem=upcoming)


def _given(items: Sequence[pytest.Item], line: Connection) -> Iterator[pytest.Item]:
    while True:
        line.send(None)
        numbers = line.recv()
        if not numbers:
            return
        for number in numbers:
            yield items[number]


class Upcoming:
    """The next test, which is asked for when a test is done and it must be known which fixtures are needed again.

    Whoever asks earlier keeps others from a test that they could do meanwhile.
    """

    def __init__(self, ask: Callable[[], pytest.Item | None]) -> None:
        self._ask = ask

    @property
    def item(self) -> pytest.Item | None:
        if not hasattr(self, "_item"):
            self._item = self._ask()
        return self._item

    def listchain(self) -> list[Any]:
        """What pytest asks of the next test."""
        return self.item.listchain() if self.item is not None else []


class Reporter:
    """Sends what became of each test, instead of showing it."""

    def __init__(self, line: Connection) -> None:
        self._line = line

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item, nextitem: pytest.Item) -> bool:
        reports = runtestprotocol(item, log=False, nextitem=nextitem)
        hook, config = item.config.hook, item.config
        self._line.send([hook.pytest_report_to_serializable(config=config, report=report) for report in reports])
        return True
