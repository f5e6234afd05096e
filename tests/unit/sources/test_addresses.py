"""A connection to a host of several addresses, under one deadline."""

from __future__ import annotations

import socket
from typing import Any

import httpcore
import pytest

from tests.builders import SECOND
from tests.fakes import FakeClock
from worker.sources.deadline import Backend, Deadline


class Connection(httpcore.NetworkStream):
    """One that nobody reads from."""

    def get_extra_info(self, info: str) -> Any:
        assert info == "socket"
        return self


class Network(httpcore.NetworkBackend):
    """Addresses of which some never answer."""

    def __init__(self, clock: FakeClock, *answering: str) -> None:
        self.clock = clock
        self.answering = answering
        self.tried: list[tuple[str, float | None]] = []

    def connect_tcp(self, host: str, port: int, timeout: float | None = None, *_: Any) -> httpcore.NetworkStream:
        assert port == 443
        assert timeout is not None
        self.tried.append((host, timeout))
        if host not in self.answering:
            self.clock.advance(timeout * SECOND)
            raise httpcore.ConnectTimeout
        return Connection()


class Place:
    """A host with three addresses, and twelve seconds to connect to one of them."""

    def __init__(self, *answering: str) -> None:
        self.clock = FakeClock()
        self.network = Network(self.clock, *answering)
        deadline = Deadline(self.clock)
        deadline.begin(12.0)
        found = [(0, 0, 0, "", (address, 443)) for address in ("::1", "::2", "127.0.0.1")]
        self.backend = Backend(deadline, inner=self.network, look_up=lambda *_, **__: found)


def test_each_address_gets_an_even_part_of_what_time_is_left() -> None:
    place = Place()
    with pytest.raises(httpcore.ConnectTimeout):
        place.backend.connect_tcp("smith.example", 443)
    assert place.network.tried == [("::1", 4.0), ("::2", 4.0), ("127.0.0.1", 4.0)]
    assert place.clock.monotonic() == 12.0


def test_the_first_address_that_answers_is_taken() -> None:
    place = Place("::2", "127.0.0.1")
    place.backend.connect_tcp("smith.example", 443)
    assert [address for address, _ in place.network.tried] == ["::1", "::2"]


def test_a_host_that_is_not_known_cannot_be_connected() -> None:
    def unknown(*_args: Any, **_more: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    backend = Backend(running(), look_up=unknown)
    with pytest.raises(httpcore.ConnectError, match="not known"):
        backend.connect_tcp("smith.example", 443)


def test_a_host_whose_name_nobody_could_have_cannot_be_connected() -> None:
    with pytest.raises(httpcore.ConnectError):
        Backend(running()).connect_tcp(f"{'x' * 64}.example", 443)


def running() -> Deadline:
    deadline = Deadline(FakeClock())
    deadline.begin(12.0)
    return deadline
