"""Addresses of names: under a deadline, and remembered for when nobody can be asked."""

from __future__ import annotations

import socket
import threading
import time
from typing import Any

import pytest

from worker.net import addresses
from worker.net.addresses import Addresses
from worker.net.failures import UnnamedError

HOST = "smith.example"


class Resolver:
    """The system's, which answers when it is let, and counts what it was asked."""

    def __init__(self) -> None:
        self.found: list[str] | Exception = ["10.0.0.1"]
        self.answers = threading.Event()
        self.answers.set()
        self.asked = 0

    def __call__(self, *_args: Any, **_more: Any) -> list[Any]:
        self.asked += 1
        self.answers.wait(10)
        if isinstance(self.found, Exception):
            raise self.found
        return [(0, 0, 0, "", (address, 443)) for address in self.found]


@pytest.fixture
def resolver() -> Any:
    made = Resolver()
    yield made
    made.answers.set()


def test_a_number_is_asked_of_nobody(resolver: Resolver) -> None:
    found = Addresses(resolver)
    assert found.find("127.0.0.1", 443, 1) == ["127.0.0.1"]
    assert found.find("::1", 443, 1) == ["::1"]
    assert resolver.asked == 0


def test_each_connection_asks_again(resolver: Resolver) -> None:
    found = Addresses(resolver)
    assert found.find(HOST, 443, 1) == ["10.0.0.1"]
    resolver.found = ["10.0.0.2"]
    assert found.find(HOST, 443, 1) == ["10.0.0.2"]


def test_a_resolver_that_does_not_answer_is_given_up_at_the_deadline_and_asked_once(resolver: Resolver) -> None:
    resolver.answers.clear()
    found = Addresses(resolver)
    for _ in range(3):
        with pytest.raises(UnnamedError, match="no answer"):
            found.find(HOST, 443, 0.02)
    assert resolver.asked == 1


def test_what_it_finds_in_the_end_is_there_for_the_next_one(resolver: Resolver) -> None:
    resolver.answers.clear()
    found = Addresses(resolver)
    with pytest.raises(UnnamedError):
        found.find(HOST, 443, 0.02)
    threading.Timer(0.05, resolver.answers.set).start()
    assert found.find(HOST, 443, 5) == ["10.0.0.1"]
    assert resolver.asked == 1


def test_what_is_remembered_is_taken_after_a_moment_and_then_at_once(resolver: Resolver) -> None:
    assert addresses.LOOK_UP_PATIENCE <= 2
    found = Addresses(resolver, patience=0.05)
    found.find(HOST, 443, 1)
    resolver.answers.clear()
    begin = time.perf_counter()
    for _ in range(100):
        assert found.find(HOST, 443, 10) == ["10.0.0.1"]
    assert 0.04 < time.perf_counter() - begin < 8
    assert resolver.asked == 2


@pytest.mark.parametrize("number", [socket.EAI_AGAIN, socket.EAI_FAIL])
def test_what_is_remembered_stands_while_nobody_can_be_asked(resolver: Resolver, number: int) -> None:
    found = Addresses(resolver)
    found.find(HOST, 443, 1)
    resolver.found = socket.gaierror(number, "Temporary failure in name resolution")
    assert found.find(HOST, 443, 1) == ["10.0.0.1"]


def test_a_name_that_is_gone_is_forgotten(resolver: Resolver) -> None:
    found = Addresses(resolver)
    found.find(HOST, 443, 1)
    resolver.found = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    with pytest.raises(UnnamedError, match="not known"):
        found.find(HOST, 443, 1)


def test_who_waits_can_be_freed(resolver: Resolver) -> None:
    resolver.answers.clear()
    found = Addresses(resolver)
    threading.Timer(0.05, found.give_up).start()
    begin = time.perf_counter()
    with pytest.raises(UnnamedError):
        found.find(HOST, 443, 10)
    assert time.perf_counter() - begin < 8
