from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from worker.clock import SystemClock
from worker.core.ports import ConfigError
from worker.core.status.reasons import Check
from worker.web.health import Health

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

GOOD = Check("database", ok=True, text="answers")
HOSTS = ("notifier.example.com",)
BAD = Check("slack", ok=False, text="refuses the token")


@contextmanager
def served(
    *, hanging: Sequence[str] = (), checks: Sequence[Check] = (GOOD,), metrics: Any = lambda: b"m 1\n"
) -> Iterator[str]:
    health = Health(clock=SystemClock(), hanging=lambda: hanging, ready=lambda: checks, metrics=metrics, hosts=HOSTS)
    port = health.start(("127.0.0.1", 0))
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        health.stop()


def nothing() -> Health:
    return Health(clock=SystemClock(), hanging=tuple, ready=tuple, metrics=bytes)


def test_alive_while_every_loop_makes_progress() -> None:
    with served() as root:
        answer = httpx.get(f"{root}/livez")
    assert (answer.status_code, answer.json()) == (200, {"alive": True, "hanging": []})


def test_a_loop_that_hangs_is_named() -> None:
    with served(hanging=["deliver"]) as root:
        answer = httpx.get(f"{root}/livez")
    assert (answer.status_code, answer.json()) == (503, {"alive": False, "hanging": ["deliver"]})


def test_ready_says_which_condition_does_not_hold() -> None:
    with served(checks=[GOOD, BAD]) as root:
        answer = httpx.get(f"{root}/readyz?verbose")
    assert answer.status_code == 503
    assert answer.json() == {
        "ready": False,
        "checks": {
            "database": {"ok": True, "text": "answers"},
            "slack": {"ok": False, "text": "refuses the token"},
        },
    }


@pytest.mark.parametrize(("checks", "status"), [([GOOD], 200), ([], 503)], ids=["all hold", "nothing known yet"])
def test_ready_by_status(checks: list[Check], status: int) -> None:
    with served(checks=checks) as root:
        assert httpx.get(f"{root}/readyz").status_code == status


def test_metrics_are_plain_text() -> None:
    with served() as root:
        answer = httpx.get(f"{root}/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert answer.text == "m 1\n"


def test_a_head_has_no_body_and_anything_else_is_refused() -> None:
    with served() as root:
        assert httpx.head(f"{root}/livez").content == b""
        assert httpx.get(f"{root}/admin").status_code == 404
        assert httpx.post(f"{root}/livez").status_code == 501


def test_the_pages_do_not_tell_what_they_run_on() -> None:
    with served() as root:
        assert httpx.get(f"{root}/livez").headers["server"].strip() == "review-notifier"


def test_a_page_that_cannot_be_made_leaves_the_others_alone() -> None:
    def broken() -> bytes:
        raise ValueError("a bug")

    with served(metrics=broken) as root:
        assert httpx.get(f"{root}/metrics").status_code == 500
        assert httpx.get(f"{root}/livez").status_code == 200


def test_a_public_name_is_refused_with_the_setting_that_allows_it() -> None:
    with served() as root:
        refused = httpx.get(f"{root}/metrics", headers={"host": "rebound.example.net"})
        allowed = httpx.get(f"{root}/metrics", headers={"host": "notifier.example.com"})
    assert (refused.status_code, allowed.status_code) == (403, 200)
    assert "rebound.example.net" in refused.json()["error"]
    assert "WORKER_HTTP_HOSTS" in refused.json()["error"]


def test_a_taken_port_is_a_matter_of_the_settings() -> None:
    with served() as root:
        port = int(root.rpartition(":")[2])
        health = nothing()
        with pytest.raises(ConfigError, match=f"WORKER_HTTP_ADDRESS: cannot listen on 127.0.0.1 port {port}"):
            health.start(("127.0.0.1", port))


def test_an_address_of_ipv6_works() -> None:
    health = nothing()
    port = health.start(("::1", 0))
    try:
        assert json.loads(httpx.get(f"http://[::1]:{port}/livez").content)["alive"] is True
    finally:
        health.stop()


def test_a_server_that_was_never_started_stops() -> None:
    nothing().stop()
