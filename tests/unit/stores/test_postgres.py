"""Many waits, one thread."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from queue import Queue
from typing import TYPE_CHECKING

import pytest

from worker.stores.postgres import Deadlines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SOON = 0.02
NOT_YET = 0.5
"""Seconds in which a test that is slowed by others has gone on."""

PATIENCE = 30


class Called:
    """Who was called, in order, and by which threads."""

    def __init__(self) -> None:
        self._names: Queue[str] = Queue()
        self.threads: list[threading.Thread] = []

    def by(self, name: str) -> Callable[[], None]:
        """Give the call of this name."""

        def call() -> None:
            self.threads.append(threading.current_thread())
            self._names.put(name)

        return call

    def next(self) -> str:
        """Wait for the next call."""
        return self._names.get(timeout=PATIENCE)

    @property
    def is_empty(self) -> bool:
        """Whether nobody else was called so far."""
        return self._names.empty()


def test_calls_each_that_is_overdue_once_and_in_order() -> None:
    called, deadlines = Called(), Deadlines(SOON)
    for name in "abc":
        deadlines.begin(name, called.by(name))
    assert [called.next() for _ in "abc"] == ["a", "b", "c"]
    assert called.is_empty


def test_calls_nobody_whose_wait_has_ended() -> None:
    called, deadlines = Called(), Deadlines(NOT_YET)
    for name in "abc":
        deadlines.begin(name, called.by(name))
    deadlines.end("b")
    assert [called.next() for _ in "ac"] == ["a", "c"]
    assert called.is_empty


def test_waits_anew_for_one_who_begins_again() -> None:
    called, deadlines = Called(), Deadlines(NOT_YET)
    for name in ("a", "b", "a"):
        deadlines.begin(name, called.by(name))
    assert [called.next() for _ in "ab"] == ["b", "a"]
    assert called.is_empty


def test_wakes_for_the_next_wait_when_it_has_had_nothing_to_do() -> None:
    called, deadlines = Called(), Deadlines(SOON, linger=PATIENCE * 2)
    for name in "abc":
        deadlines.begin(name, called.by(name))
        assert called.next() == name


def test_lets_its_thread_go_when_there_is_nothing_to_do() -> None:
    called, deadlines = Called(), Deadlines(SOON, linger=SOON)
    deadlines.begin("a", called.by("a"))
    assert called.next() == "a"
    (keeper,) = called.threads
    keeper.join(PATIENCE)
    assert not keeper.is_alive()
    deadlines.begin("b", called.by("b"))
    assert called.next() == "b"


def test_lets_its_thread_go_soon_when_a_long_wait_has_ended() -> None:
    deadlines, before = Deadlines(PATIENCE * 10, linger=SOON), set(threading.enumerate())
    deadlines.begin("a", Called().by("a"))
    (keeper,) = set(threading.enumerate()) - before
    keeper.join(SOON * 5)
    assert keeper.is_alive()
    deadlines.end("a")
    keeper.join(PATIENCE)
    assert not keeper.is_alive()


def test_starts_its_thread_later_where_the_system_had_none_left() -> None:
    called, deadlines = Called(), Deadlines(SOON)
    with no_more_threads(), pytest.raises(RuntimeError, match="can't start new thread"):
        deadlines.begin("a", called.by("a"))
    deadlines.begin("b", called.by("b"))
    assert called.next() == "b"


@contextmanager
def no_more_threads() -> Iterator[None]:
    """Let the system refuse every new thread: none has room for such a stack."""
    usual = threading.stack_size(2**47)
    try:
        yield
    finally:
        threading.stack_size(usual)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_goes_on_with_another_thread_where_a_call_failed() -> None:
    called, deadlines, before = Called(), Deadlines(SOON), set(threading.enumerate())
    deadlines.begin("a", fail)
    for keeper in set(threading.enumerate()) - before:
        keeper.join(PATIENCE)
    deadlines.begin("b", called.by("b"))
    assert called.next() == "b"


def fail() -> None:
    raise OSError


def test_keeps_one_thread_for_all_while_there_is_something_to_do() -> None:
    called, deadlines = Called(), Deadlines(SOON, linger=PATIENCE * 2)
    for name in "abc":
        deadlines.begin(name, called.by(name))
    assert [called.next() for _ in "abc"] == ["a", "b", "c"]
    assert len(set(called.threads)) == 1


def test_ending_what_was_never_begun_does_nothing() -> None:
    Deadlines(SOON).end("a")
