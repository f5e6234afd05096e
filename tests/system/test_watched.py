"""What an operator sees of the real process: systemd's protocol, the pages, the metrics, the dead man's switch."""

from __future__ import annotations

import signal
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
from prometheus_client.parser import text_string_to_metric_families

from tests.system.conftest import CHANNEL
from tests.system.process import Bench, stays, wait_for
from tests.system.watched import dead_mans_switch, free_port, service_manager

if TYPE_CHECKING:
    from uuid import UUID

    from worker.demo.langsmith import SimulatedLangSmith
    from worker.demo.slack import SimulatedSlack


def ask(port: int, page: str) -> httpx.Response | None:
    try:
        return httpx.get(f"http://127.0.0.1:{port}{page}")
    except httpx.ConnectError:
        return None


def status_of(port: int, page: str) -> int:
    answer = ask(port, page)
    return answer.status_code if answer else 0


def sample(text: str, name: str, **labels: str) -> float | None:
    for family in text_string_to_metric_families(text):
        for found in family.samples:
            if found.name == name and labels.items() <= found.labels.items():
                return found.value
    return None


def is_frozen(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


def test_systemd_hears_ready_before_the_first_poll_then_status_life_and_stopping(
    bench: Bench, langsmith: SimulatedLangSmith, queue: UUID
) -> None:
    langsmith.add_run(queue)
    langsmith.fail(status=503)
    with (
        service_manager() as manager,
        bench.service(NOTIFY_SOCKET=manager.address, WATCHDOG_USEC="3000000") as service,
    ):
        wait_for(lambda: manager.count("READY=1") == 1, "READY although LangSmith is down")
        wait_for(lambda: manager.count("WATCHDOG=1") >= 2, "signs of life")
        langsmith.heal()
        wait_for(
            lambda: any(h.startswith("STATUS=1 queues, 1 runs waiting, last complete") for h in manager.heard),
            "the status tells of queue and run",
        )
        assert service.stop() == 0
        assert manager.heard[-1] == "STOPPING=1"


def test_a_process_that_is_frozen_gives_no_sign_of_life_and_goes_on_afterwards(bench: Bench) -> None:
    with (
        service_manager() as manager,
        bench.service(NOTIFY_SOCKET=manager.address, WATCHDOG_USEC="3000000") as service,
    ):
        wait_for(lambda: manager.count("WATCHDOG=1"), "signs of life")
        service.popen.send_signal(signal.SIGSTOP)
        wait_for(lambda: is_frozen(service.popen.pid), "it is frozen")
        before = manager.count("WATCHDOG=1")
        stays(lambda: manager.count("WATCHDOG=1") <= before + 1, 3, "no sign of life")
        service.popen.send_signal(signal.SIGCONT)
        wait_for(lambda: manager.count("WATCHDOG=1") > before + 1, "signs of life again")
        assert service.stop() == 0


def test_the_pages_tell_what_is_wrong_and_that_it_is_over(
    bench: Bench, langsmith: SimulatedLangSmith, slack: SimulatedSlack, queue: UUID
) -> None:
    langsmith.add_run(queue)
    langsmith.fail(status=503)
    port = free_port()
    with bench.service(WORKER_HTTP_ADDRESS=f"127.0.0.1:{port}") as service:
        wait_for(lambda: status_of(port, "/livez") == 200, "alive")
        checks = wait_for(lambda: _failing(port), "not ready")
        assert set(checks) == {"queues"}
        langsmith.heal()
        wait_for(lambda: status_of(port, "/readyz") == 200, "ready when the queue was polled")
        slack.token_error = "invalid_auth"
        langsmith.add_run(queue)
        wait_for(lambda: set(_failing(port) or ()) == {"slack"}, "the token's trouble is told")
        assert "invalid_auth" in _failing(port)["slack"]["text"]
        assert service.stop() == 0
    assert ask(port, "/livez") is None


def _failing(port: int) -> Any:
    answer = ask(port, "/readyz")
    checks = answer.json()["checks"] if answer else {}
    return {name: check for name, check in checks.items() if not check["ok"] and name != "start"}


def test_the_metrics_show_the_work(
    bench: Bench, langsmith: SimulatedLangSmith, slack: SimulatedSlack, queue: UUID
) -> None:
    for _ in range(3):
        langsmith.add_run(queue)
    port = free_port()
    with bench.service(WORKER_HTTP_ADDRESS=f"127.0.0.1:{port}"):
        wait_for(lambda: slack.messages(CHANNEL), "a baseline")

        def shown(name: str, **labels: str) -> float | None:
            answer = ask(port, "/metrics")
            return sample(answer.text, f"review_notifier_{name}", **labels) if answer else None

        wait_for(lambda: shown("queue_waiting", queue="Support QA") == 3, "what waits")
        assert (shown("polls_total", queue="Support QA") or 0) >= 1
        assert shown("deliveries_total", kind="baseline", outcome="sent") == 1
        assert shown("ready", check="database") == 1
        assert shown("langsmith_api_info", api="runs") == 1
        assert shown("build_info") == 1


def test_a_dead_mans_switch_hears_of_full_cycles_alone(bench: Bench, langsmith: SimulatedLangSmith) -> None:
    beats: list[str] = []
    with dead_mans_switch(beats) as root:
        langsmith.fail(status=503)
        with bench.service(WORKER_HEARTBEAT_URL=f"{root}/ping") as service:
            wait_for(lambda: service.logged("queue_failing"), "it polls in vain")
            assert beats == []
            langsmith.heal()
            wait_for(lambda: beats, "a report after a full cycle", patience=30)
            assert set(beats) == {"/ping"}
            assert service.stop() == 0


def test_an_outage_of_ours_is_told_with_what_was_found(
    bench: Bench, langsmith: SimulatedLangSmith, slack: SimulatedSlack, queue: UUID
) -> None:
    slack.add_channel("C0OPS00000", "ops")
    with bench.service(WORKER_OPS_CHANNEL="C0OPS00000") as service:
        wait_for(lambda: bench.run("status").returncode == 0, "the poll is written down")
        assert service.stop() == 0
    _let_polls_be_older(bench, hours=3)
    langsmith.add_run(queue)
    with bench.service(WORKER_OPS_CHANNEL="C0OPS00000"):
        wait_for(lambda: slack.messages("C0OPS00000"), "a report", patience=30)
    text = slack.messages("C0OPS00000")[0]["text"]
    assert "The worker polled nothing for a while" in text
    assert "1 new run" in text


def _let_polls_be_older(bench: Bench, *, hours: int) -> None:
    with closing(sqlite3.connect(bench.directory / "worker.db")) as database, database:
        database.execute("UPDATE queues SET completed_at = completed_at - ?", [hours * 3600 * 1_000_000])


def test_a_taken_port_ends_with_78_and_names_the_setting(bench: Bench) -> None:
    with dead_mans_switch([]) as root:
        taken = root.rpartition(":")[2]
        done = bench.run("run", WORKER_HTTP_ADDRESS=f"127.0.0.1:{taken}")
    assert done.returncode == 78
    assert "WORKER_HTTP_ADDRESS" in done.stderr
    assert "Traceback" not in done.stderr
