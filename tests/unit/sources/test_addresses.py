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


class Network:
    """Addresses of which some never answer, as an httpcore backend."""

    def __init__(self, clock: FakeClock, *answering: str) -> None:
        self.clock = clock
        self.answering = answering
        self.tried: list[tuple[str, float]] = []

    def connect_tcp(self, host: str, _port: int, timeout: float, *_: Any) -> httpcore.NetworkStream:
        self.tried.append((host, timeout))
        if host not in self.answering:
            self.clock.advance(timeout * SECOND)
            raise httpcore.ConnectTimeout
        return Connection()


class Place:
    def __init__(self, monkeypatch: pytest.MonkeyPatch, *answering: str) -> None:
        self.clock = FakeClock()
        self.network = Network(self.clock, *answering)
        self.deadline = Deadline(self.clock)
        self.deadline.begin(12.0)
        self.backend = Backend(self.deadline)
        self.backend._inner = self.network  # type: ignore[assignment]  # noqa: SLF001
        found = [(0, 0, 0, "", (address, 443)) for address in ("::1", "::2", "127.0.0.1")]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_more: found)


def test_each_address_gets_an_even_part_of_what_time_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    place = Place(monkeypatch)
    with pytest.raises(httpcore.ConnectTimeout):
        place.backend.connect_tcp("smith.example", 443)
    assert place.network.tried == [("::1", 4.0), ("::2", 4.0), ("127.0.0.1", 4.0)]
    assert place.clock.monotonic() == 12.0


def test_the_first_address_that_answers_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    place = Place(monkeypatch, "::2", "127.0.0.1")
    place.backend.connect_tcp("smith.example", 443)
    assert [address for address, _ in place.network.tried] == ["::1", "::2"]


def test_a_host_that_is_not_known_cannot_be_connected(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_args: Any, **_more: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    place = Place(monkeypatch)
    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(httpcore.ConnectError, match="not known"):
        place.backend.connect_tcp("smith.example", 443)
