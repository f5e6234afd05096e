from __future__ import annotations

import socket
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from tests.support.builders import MINUTE, NOON
from tests.support.overviews import overview, view
from worker.clock import SystemClock
from worker.web.heartbeat import Cycle, Heartbeat

if TYPE_CHECKING:
    from collections.abc import Iterator


class Switch:
    """A dead man's switch on loopback, which answers with the next of `statuses`, or the last one for ever."""

    def __init__(self, *statuses: int) -> None:
        self.statuses = list(statuses)
        self.heard: list[str] = []
        self.url = ""

    @contextmanager
    def listening(self) -> Iterator[Switch]:
        switch = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                switch.heard.append(self.path)
                status = switch.statuses.pop(0) if len(switch.statuses) > 1 else switch.statuses[0]
                self.send_response(status)
                self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        with HTTPServer(("127.0.0.1", 0), Handler) as server:
            self.url = f"http://127.0.0.1:{server.server_address[1]}/ping/s3cret"
            thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
            thread.start()
            try:
                yield self
            finally:
                server.shutdown()
                thread.join()


def beat(heartbeat: Heartbeat, times: int) -> list[dict[str, object]]:
    """Report some times, one after the other; what is logged of it."""
    with capture_logs() as logs:
        for _ in range(times):
            heartbeat.beat()
            heartbeat.wait()
    return [dict(line) for line in logs]


def test_a_report_is_one_get() -> None:
    with Switch(200).listening() as switch:
        assert beat(Heartbeat(switch.url, clock=SystemClock()), 2) == []
    assert switch.heard == ["/ping/s3cret"] * 2


def test_failing_and_working_again_are_one_line_each_without_the_address() -> None:
    with Switch(500, 500, 404, 200, 200).listening() as switch:
        logs = beat(Heartbeat(switch.url, clock=SystemClock()), 5)
    assert [line["event"] for line in logs] == ["heartbeat_failing", "heartbeat_works_again"]
    assert "s3cret" not in repr(logs)


def test_a_redirect_is_not_followed() -> None:
    with Switch(302).listening() as switch:
        (line,) = beat(Heartbeat(switch.url, clock=SystemClock()), 1)
    assert line["problem"] == "HTTP 302"
    assert switch.heard == ["/ping/s3cret"]


def test_nobody_there_is_one_line() -> None:
    with Switch(200).listening() as switch:
        url = switch.url
    (line,) = beat(Heartbeat(url, clock=SystemClock()), 3)
    assert (line["event"], line["problem"]) == (
        "heartbeat_failing",
        "cannot connect to the server (Connection refused)",
    )


def test_a_switch_that_does_not_answer_never_holds_us_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, capture_logs() as logs:
        heartbeat = Heartbeat(f"http://127.0.0.1:{silent.getsockname()[1]}/", clock=SystemClock())
        heartbeat.beat()
        heartbeat.beat()
    assert [line["problem"] for line in logs] == ["no answer to the last report yet"]


def test_a_cycle_is_full_when_every_queue_was_polled_again() -> None:
    cycle = Cycle()
    assert cycle.is_full(overview(view("A"), view("B")))
    assert not cycle.is_full(overview(view("A"), view("B")))
    assert not cycle.is_full(overview(view("A", completed_at=NOON + MINUTE), view("B")))
    assert cycle.is_full(overview(view("A", completed_at=NOON + MINUTE), view("B", completed_at=NOON + MINUTE)))


@pytest.mark.parametrize(
    "seen",
    [
        pytest.param(overview(), id="no queue"),
        pytest.param(overview(view(), view("B", completed_at=None)), id="one never polled"),
        pytest.param(overview(view(), unknown=frozenset({"Ghost"})), id="a name without a queue"),
        pytest.param(overview(view(), store_error="disk full"), id="database down"),
    ],
)
def test_what_is_not_well_is_no_full_cycle(seen: object) -> None:
    assert not Cycle().is_full(seen)  # type: ignore[arg-type]
