"""A connection to a host of several addresses, under one deadline."""

from __future__ import annotations

import socket
from typing import Any

import httpcore
import pytest

from tests.support.builders import SECOND
from tests.support.clock import FakeClock
from worker.net.failures import UnnamedError
from worker.net.streams import Backend, Exchange


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
    """A host with addresses, and twelve seconds to connect to one of them."""

    def __init__(self, *answering: str, addresses: tuple[str, ...] = ("::1", "::2", "127.0.0.1")) -> None:
        self.clock = FakeClock()
        self.network = Network(self.clock, *answering)
        self.addresses = addresses
        self.backend = Backend(inner=self.network, look_up=self.look_up)

    def look_up(self, *_args: Any, **_more: Any) -> Any:
        return [(0, 0, 0, "", (address, 443)) for address in self.addresses]

    def connect(self) -> list[str]:
        """The addresses that were tried, in their order."""
        self.network.tried.clear()
        self.backend.begin(Exchange(self.clock, 12.0))
        self.backend.connect_tcp("smith.example", 443)
        return [address for address, _ in self.network.tried]


def test_each_address_gets_a_moment_and_then_an_even_part_of_what_time_is_left() -> None:
    place = Place()
    with pytest.raises(httpcore.ConnectTimeout):
        place.connect()
    moment = [("::1", 1.0), ("127.0.0.1", 1.0), ("::2", 1.0)]
    assert place.network.tried == [*moment, ("::1", 3.0), ("127.0.0.1", 3.0), ("::2", 3.0)]
    assert place.clock.monotonic() == 12.0


def test_a_dead_address_costs_a_moment_and_only_once() -> None:
    place = Place("::2")
    assert place.connect() == ["::1", "127.0.0.1", "::2"]
    assert place.clock.monotonic() == 2.0
    assert place.connect() == ["::2"]
    assert place.clock.monotonic() == 2.0


def test_the_address_that_worked_last_is_left_when_it_is_dead_or_gone() -> None:
    place = Place("::2")
    place.connect()
    place.network.answering = ("::1",)
    assert place.connect() == ["::2", "::1"]
    place.addresses, place.network.answering = ("::3", "::2"), ("::3",)
    assert place.connect() == ["::3"]


def test_an_only_address_gets_all_the_time() -> None:
    place = Place(addresses=("::1", "::1"))
    with pytest.raises(httpcore.ConnectTimeout):
        place.connect()
    assert place.network.tried == [("::1", 12.0)]


def test_the_kinds_of_addresses_take_turns() -> None:
    place = Place("10.0.0.2", addresses=("::1", "::2", "::3", "10.0.0.1", "10.0.0.2"))
    assert place.connect() == ["::1", "10.0.0.1", "::2", "10.0.0.2"]


def test_addresses_that_refuse_are_not_tried_again() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    backend = Backend(look_up=lambda *_, **__: [(0, 0, 0, "", (each, port)) for each in ("127.0.0.1", "127.0.0.2")])
    backend.begin(Exchange(FakeClock(), 12.0))
    with pytest.raises(httpcore.ConnectError) as caught:
        backend.connect_tcp("smith.example", port)
    assert "refused" in str(caught.value)


def test_a_host_that_is_not_known_cannot_be_connected() -> None:
    def unknown(*_args: Any, **_more: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    backend = Backend(look_up=unknown)
    backend.begin(Exchange(FakeClock(), 12.0))
    with pytest.raises(UnnamedError, match="not known"):
        backend.connect_tcp("smith.example", 443)


def test_a_host_whose_name_nobody_could_have_cannot_be_connected() -> None:
    backend = Backend()
    backend.begin(Exchange(FakeClock(), 12.0))
    with pytest.raises(UnnamedError):
        backend.connect_tcp(f"{'x' * 64}.example", 443)
