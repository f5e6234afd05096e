"""The page on its port, beside health and metrics, before clients of every kind."""

from __future__ import annotations

import socket
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.support.shown import FakeReading
from worker.clock import SystemClock
from worker.core.status.reasons import Check
from worker.web.admission import Admission
from worker.web.exchange import LARGEST_HEAD
from worker.web.health import Health
from worker.web.site import Site

if TYPE_CHECKING:
    from collections.abc import Iterator

    from worker.web.exchange import PageRequest, Reply

TOKEN = "0123456789abcdef0123456789abcdef"
CROWD = 300


@contextmanager
def served(host: str = "127.0.0.1", **admission: Any) -> Iterator[httpx.Client]:
    """A client of the page, as the monitor puts it beside health."""
    clock, sites = SystemClock(), list[Site]()

    def pages(request: PageRequest) -> Reply:
        if not sites:
            sites.append(Site(Admission(is_local=health.is_local, **admission), FakeReading, clock))
        return sites[0](request)

    good = Check("database", ok=True, text="answers")
    health = Health(
        clock=clock,
        hanging=tuple,
        ready=lambda: (good,),
        metrics=lambda: b"m 1\n",
        pages=pages,
        at_hand=lambda request: sites[0].at_once(request) if sites else None,
    )
    port = health.start((host, 0))
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=30, verify=False) as client:  # noqa: S501 - no TLS here
            yield client
    finally:
        health.stop()


def statuses(client: httpx.Client, *paths: str) -> list[int]:
    return [client.get(path).status_code for path in paths]


HEALTH = ("/livez", "/readyz", "/metrics")


def test_the_page_and_health_are_on_one_address() -> None:
    with served() as client:
        assert statuses(client, "/", "/queues/q1", "/api/queues", *HEALTH) == [200] * 6
        assert client.head("/").content == b""


def test_where_others_reach_it_the_page_is_closed_and_health_is_not() -> None:
    with served("0.0.0.0") as client:
        assert statuses(client, "/", "/queues/q1", "/api/queues", *HEALTH) == [403] * 3 + [200] * 3
    with served("0.0.0.0", is_open=True) as client:
        assert statuses(client, "/", *HEALTH) == [200] * 4


def test_a_browser_signs_in_and_health_asks_for_no_token() -> None:
    with served("0.0.0.0", token=TOKEN) as client:
        assert statuses(client, "/", "/api/queues", *HEALTH) == [401, 401, 200, 200, 200]
        assert client.post("/login", data={"token": TOKEN, "to": "/queues/q1"}).headers["location"] == "/queues/q1"
        assert statuses(client, "/", "/api/queues") == [200, 200]


def test_hundreds_of_connections_that_send_nothing_keep_nobody_out() -> None:
    with served() as client, ExitStack() as stack:
        for number in range(CROWD):
            stack.enter_context(socket.create_connection(("127.0.0.1", client.base_url.port or 0), timeout=30))
            if number % 50 == 0:
                assert statuses(client, "/", "/livez") == [200, 200]
        assert statuses(client, "/", "/livez") == [200, 200]


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/", {"host": "rebound.example.net"}, 403),
        ("/api/front", {"origin": "https://evil.example"}, 403),
        ("/", {"x": "x" * 2 * LARGEST_HEAD}, 431),
        ("/queues/%3Cscript%3Ealert(1)%3C%2Fscript%3E", {}, 404),
        ("/queues/..%2f..%2fetc%2fpasswd", {}, 404),
        ("/queues/%00%ff", {}, 404),
        (f"/queues/{'q' * 2 * LARGEST_HEAD}", {}, 431),
    ],
    ids=["another host", "another origin", "a huge header", "a script", "a path", "no text", "a huge id"],
)
def test_what_is_hostile_is_refused_and_the_next_one_served(path: str, headers: dict[str, str], status: int) -> None:
    with served() as client:
        answer = client.get(path, headers=headers)
        assert answer.status_code == status
        assert "<script>alert" not in answer.text
        assert statuses(client, "/", "/livez") == [200, 200]


def test_while_nobody_looks_nothing_of_the_page_is_imported() -> None:
    program = "import sys, worker.commands.work; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    pages = {name for name in done.stdout.split() if name.startswith("worker.web.")}
    assert pages == {f"worker.web.{name}" for name in ("heartbeat", "monitor", "sockets", "systemd")}
    assert not {"worker.commands.page_data", "http.server"} & set(done.stdout.split())
