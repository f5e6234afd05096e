"""Where an address of the settings listens, and what is said where it cannot."""

from __future__ import annotations

import socket
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import pytest

from worker.core.ports import ConfigError
from worker.web.sockets import listen

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def listening(host: str, port: int = 0) -> Iterator[set[str]]:
    """The addresses that are listened on."""
    with ExitStack() as stack:
        listeners = [stack.enter_context(each) for each in listen((host, port))]
        yield {each.getsockname()[0] for each in listeners}


@pytest.mark.parametrize("host", ["*", "::"])
def test_everywhere_is_both_families(host: str) -> None:
    with listening(host) as places:
        assert places == {"0.0.0.0", "::"}


def test_ipv4_alone_where_that_is_what_was_set() -> None:
    with listening("0.0.0.0") as places:
        assert places == {"0.0.0.0"}


def test_a_name_is_each_address_that_belongs_to_it() -> None:
    known = {str(place[4][0]) for place in socket.getaddrinfo("localhost", 0, type=socket.SOCK_STREAM)}
    with listening("localhost") as places:
        assert places == known


def test_a_port_that_is_taken_on_one_family_is_taken() -> None:
    with socket.socket(socket.AF_INET6) as other:
        other.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        other.bind(("::", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(ConfigError, match=rf"on \* port {port} \(Address already in use\); another program"):
            listen(("*", port))
    with listening("*", port) as places:
        assert places == {"0.0.0.0", "::"}


@pytest.mark.parametrize(
    ("host", "fix"),
    [("192.0.2.1", "this machine has no such address"), ("no-such-host.invalid", "no address belongs to that name")],
)
def test_what_stands_in_the_way_comes_with_its_own_fix(host: str, fix: str) -> None:
    with pytest.raises(ConfigError, match=rf"WORKER_HTTP_ADDRESS: cannot listen on {host} port 8080 .*{fix}"):
        listen((host, 8080))
