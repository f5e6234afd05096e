"""What an operator sees of the real process: systemd's protocol, the pages, the metrics, the reports, the switch."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.system.conftest import LEADS
from tests.system.process import Bench, Process, stays, wait_for
from tests.system.watched import ServiceManager, dead_mans_switch, free_port, service_manager

if TYPE_CHECKING:
    from uuid import UUID

    from worker.demo.langsmith.server import SimulatedLangSmith
    from worker.demo.slack.server import SimulatedSlack


class Pages:
    """What a probe and Prometheus get to see."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._client = httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, verify=False)  # noqa: S501 - no TLS here

    def get(self, page: str) -> httpx.Response | None:
        try:
            return self._client.get(page)
        except httpx.ConnectError:
            return None

    def status(self, page: str) -> int:
        answer = self.get(page)
        return answer.status_code if answer else 0

    def failing(self) -> dict[str, Any]:
        """The conditions of being ready that do not hold."""
        answer = self.get("/readyz")
        checks = answer.json()["checks"] if answer else {}
        return {name: check for name, check in checks.items() if not check["ok"] and name != "start"}

    def metric(self, name: str, **labels: str) -> float | None:
        answer = self.get("/metrics")
        for family in text_string_to_metric_families(answer.text if answer else ""):
            for found in family.samples:
                if found.name == f"review_notifier_{name}" and labels.items() <= found.labels.items():
                    return found.value
        return None


@pytest.mark.long(17)
def test_an_operator_sees_what_is_wrong_and_when_it_is_over(
    bench: Bench, langsmith: SimulatedLangSmith, slack: SimulatedSlack, queue: UUID
) -> None:
    """One process for all of it: after an outage of its own it starts while LangSmith is down."""
    assert bench.run("poll").returncode == 0
    _let_polls_be_older(bench, hours=3)
    langsmith.add_run(queue)
    langsmith.fail(status=503)
    pages, beats = Pages(free_port()), list[str]()
    with dead_mans_switch(beats) as switch, service_manager() as manager:
        watched = {
            "NOTIFY_SOCKET": manager.address,
            "WATCHDOG_USEC": "1500000",
            "WORKER_HTTP_ADDRESS": f"127.0.0.1:{pages.port}",
            "WORKER_HEARTBEAT_URL": f"{switch}/ping",
            "WORKER_OPS_CHANNEL": LEADS,
        }
        with bench.service(**watched) as service:
            _down(manager, pages)
            assert beats == []
            langsmith.heal()
            _up(manager, pages)
            wait_for(lambda: beats == ["/ping"] * len(beats) and beats, "a report after a full cycle")
            wait_for(lambda: slack.messages(LEADS), "the outage is told")
            _freezes(service, manager)
            slack.token_error = "invalid_auth"
            langsmith.add_run(queue)
            wait_for(lambda: set(pages.failing()) == {"slack", "deliveries"}, "the token is refused, and a notice held")
            assert "invalid_auth" in pages.failing()["slack"]["text"]
            assert service.stop() == 0
    assert manager.heard[-1] == "STOPPING=1"
    assert pages.get("/livez") is None
    (told,) = [message["text"] for message in slack.messages(LEADS)]
    assert "The worker polled nothing for a while" in told
    assert "1 new run" in told


IMPATIENT = """
import sys
from datetime import timedelta
from worker import service
from worker.__main__ import main
service.HANGS_AFTER, service.LOOK_EVERY = timedelta(seconds=2), timedelta(seconds=0.5)
service.POOLS["polls"] = 1
sys.argv[:] = ["review-notifier", "run"]
main()
"""
"""The worker as it is, but for ten minutes that are two seconds, and one thread for polls."""


def test_a_long_list_that_is_read_page_by_page_is_no_hanging_poll(
    bench: Bench, langsmith: SimulatedLangSmith, queue: UUID
) -> None:
    with langsmith.at_once():
        for _ in range(2000):
            langsmith.add_run(queue)
    with service_manager() as manager:
        more = {"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "900000", "WORKER_REQUESTS_PER_SECOND": "2"}
        environment = bench.env(more)
        with subprocess.Popen([sys.executable, "-c", IMPATIENT], cwd=bench.directory, env=environment) as process:
            try:
                wait_for(lambda: _pages(langsmith) >= 10, "the first poll lasts for more than four seconds")
                before = manager.count("WATCHDOG=1")
                wait_for(lambda: manager.count("WATCHDOG=1") > before, "it is alive")
                assert _pages(langsmith) < 23, "the poll is not over"
            finally:
                process.kill()


def _pages(langsmith: SimulatedLangSmith) -> int:
    return sum(asked.path.endswith("/runs") for asked in langsmith.requests)


def _let_polls_be_older(bench: Bench, *, hours: int) -> None:
    with closing(sqlite3.connect(bench.directory / "worker.db")) as database, database:
        database.execute("UPDATE queues SET completed_at = completed_at - ?", [hours * 3600 * 1_000_000])


def _down(manager: ServiceManager, pages: Pages) -> None:
    """LangSmith is down: systemd hears that all is well with the process, the pages tell what is not."""
    wait_for(lambda: manager.count("READY=1") == 1, "READY although LangSmith is down")
    wait_for(lambda: pages.status("/livez") == 200, "alive")
    wait_for(lambda: set(pages.failing()) == {"queues"}, "not ready for the queue alone")
    wait_for(lambda: pages.metric("poll_failures_total", trouble="unreachable"), "failed polls")


def _up(manager: ServiceManager, pages: Pages) -> None:
    """The queue is polled: everything tells of its run."""
    wait_for(lambda: pages.status("/readyz") == 200, "ready when the queue was polled")
    wait_for(lambda: pages.metric("queue_waiting", queue="Support QA") == 1, "what waits")
    wait_for(
        lambda: any(heard.startswith("STATUS=1 queues, 1 runs waiting, last complete") for heard in manager.heard),
        "the status tells of queue and run",
    )
    wait_for(lambda: pages.metric("deliveries_total", kind="announcement", outcome="sent") == 1, "what was told")
    assert (pages.metric("polls_total", queue="Support QA") or 0) >= 1
    assert pages.metric("ready", check="database") == 1
    assert pages.metric("langsmith_api_info", api="runs") == 1
    assert pages.metric("build_info") == 1
    page, queues = pages.get("/"), pages.get("/api/queues")
    assert page is not None
    assert queues is not None
    assert "1 run waits for review in Support QA" in page.text
    assert [(each["name"], each["waiting"]) for each in queues.json()] == [("Support QA", 1)]


def _freezes(service: Process, manager: ServiceManager) -> None:
    """Frozen, the process gives no sign of life; systemd would kill it. This one goes on afterwards."""
    wait_for(lambda: manager.count("WATCHDOG=1") >= 2, "signs of life")
    service.popen.send_signal(signal.SIGSTOP)
    stat = Path(f"/proc/{service.popen.pid}/stat")
    wait_for(lambda: stat.read_text().rpartition(")")[2].split()[0] == "T", "it is frozen")
    before = manager.count("WATCHDOG=1")
    stays(lambda: manager.count("WATCHDOG=1") <= before + 1, 1.5, "no sign of life")
    service.popen.send_signal(signal.SIGCONT)
    wait_for(lambda: manager.count("WATCHDOG=1") > before + 1, "signs of life again")
