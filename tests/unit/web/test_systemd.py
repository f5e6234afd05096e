from __future__ import annotations

import socket
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from tests.support.builders import SECOND
from worker.web.systemd import Notify, from_environ

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import timedelta


@contextmanager
def listening(address: str) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(address.replace("@", "\0", 1) if address.startswith("@") else address)
        listener.settimeout(60)
        yield listener


@pytest.fixture(params=["path", "abstract"])
def address(request: pytest.FixtureRequest) -> Iterator[str]:
    if request.param == "abstract":
        yield f"@review-notifier-{uuid4()}"
        return
    # pytest's own folders may be longer than the 107 bytes that a socket's path may have.
    with tempfile.TemporaryDirectory() as directory:
        yield str(Path(directory) / "notify")


def test_systemd_hears_a_whole_life(address: str) -> None:
    notify = Notify(address, watchdog=SECOND)
    with listening(address) as listener:
        notify.ready()
        notify.status("3 queues,\n12 waiting")
        notify.alive()
        notify.stopping()
        heard = [listener.recv(4096).decode() for _ in range(4)]
    assert heard == ["READY=1", "STATUS=3 queues, 12 waiting", "WATCHDOG=1", "STOPPING=1"]


def test_without_a_watchdog_no_sign_of_life_is_sent(address: str) -> None:
    with listening(address) as listener:
        notify = Notify(address)
        notify.alive()
        notify.ready()
        assert listener.recv(4096) == b"READY=1"


def test_a_long_status_is_cut(address: str) -> None:
    with listening(address) as listener:
        Notify(address).status("x" * 10_000)
        assert len(listener.recv(65_536)) == len("STATUS=") + 500


@pytest.mark.parametrize("nowhere", [None, "", "/nonexistent/notify", "@nobody-listens-here"])
def test_nobody_listening_is_no_error(nowhere: str | None) -> None:
    Notify(nowhere).ready()


def test_a_listener_that_reads_nothing_does_not_hold_us_up(address: str) -> None:
    with listening(address):
        notify = Notify(address)
        for _ in range(5000):
            notify.ready()


@pytest.mark.parametrize(
    ("environ", "watchdog"),
    [
        pytest.param({}, None, id="none"),
        pytest.param({"WATCHDOG_USEC": "3000000"}, 3 * SECOND, id="ours by default"),
        pytest.param({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "7"}, 3 * SECOND, id="ours by number"),
        pytest.param({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "8"}, None, id="another's"),
        pytest.param({"WATCHDOG_USEC": "soon"}, None, id="no number"),
        pytest.param({"WATCHDOG_USEC": "0"}, None, id="zero"),
        pytest.param({"WATCHDOG_USEC": "18446744073709551615"}, None, id="for ever"),
        pytest.param({"WATCHDOG_USEC": "9" * 5000}, None, id="too long for a number"),
    ],
)
def test_the_watchdog_is_read_from_the_surroundings(environ: dict[str, str], watchdog: timedelta | None) -> None:
    assert from_environ(environ, pid=7).watchdog == watchdog


def test_the_address_is_read_from_the_surroundings(address: str) -> None:
    with listening(address) as listener:
        from_environ({"NOTIFY_SOCKET": address}, pid=7).ready()
        assert listener.recv(100) == b"READY=1"
