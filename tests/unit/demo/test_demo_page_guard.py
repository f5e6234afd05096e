"""Who may look at the demo's page and act on it: this machine's browser on this very page, nobody else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import uuid4

import httpx
import pytest

from tests.support.clock import FakeClock
from worker.demo.story import cast
from worker.demo.story.play import serving_page
from worker.demo.story.stage import LANGSMITH, SLACK, Stage

if TYPE_CHECKING:
    from collections.abc import Iterator


CLEO, RAG = cast.CLEO.user, cast.RAG_CHANNEL


@pytest.fixture(scope="module")
def stage() -> Stage:
    return Stage(FakeClock(), cast.CALM)


@pytest.fixture(scope="module")
def client(stage: Stage) -> Iterator[httpx.Client]:
    with serving_page(stage, port=0) as address, httpx.Client(base_url=address, verify=False) as client:  # noqa: S501 - no TLS here
        yield client


def act(client: httpx.Client, action: Any, **headers: str) -> httpx.Response:
    origin = str(client.base_url).rstrip("/")
    return client.post("/act", json=action, headers={"origin": origin, **headers})


@pytest.mark.parametrize("path", ["/", "/static/page.js", "/static/style.css", "/langsmith/o/x/y"])
def test_every_answer_forbids_whatever_comes_from_elsewhere(client: httpx.Client, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 200
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "evil.example:80"])
@pytest.mark.parametrize("path", ["/", "/events"])
def test_a_name_that_was_rebound_to_loopback_sees_nothing(client: httpx.Client, host: str, path: str) -> None:
    assert client.get(path, headers={"host": host}).status_code == 400


def test_a_rebound_name_cannot_act_as_its_own_origin(client: httpx.Client, stage: Stage) -> None:
    answer = act(client, {"do": "break-slack"}, host="evil.example", origin="http://evil.example")
    assert answer.status_code == 400
    assert stage.is_up(SLACK)


@pytest.mark.parametrize("origin", ["http://evil.example", "http://127.0.0.1:1", "null", ""])
def test_another_page_cannot_act(client: httpx.Client, stage: Stage, origin: str) -> None:
    assert act(client, {"do": "break-slack"}, origin=origin).status_code == 403
    assert stage.is_up(SLACK)


def test_a_form_cannot_act(client: httpx.Client, stage: Stage) -> None:
    assert act(client, {"do": "break-slack"}, **{"content-type": "text/plain"}).status_code == 415
    assert stage.is_up(SLACK)


def test_a_large_action_is_not_read(client: httpx.Client) -> None:
    assert act(client, {"do": "x" * 2000}).status_code == 413


@pytest.mark.parametrize(
    ("action", "status"),
    [
        pytest.param([], 400, id="no object"),
        pytest.param({}, 400, id="nothing to do"),
        pytest.param({"do": "add", "queue": "no id"}, 400, id="a queue that is no id"),
        pytest.param({"do": "dance"}, 409, id="an unknown action"),
        pytest.param({"do": "complete"}, 409, id="no run given"),
        pytest.param({"do": "complete", "run": str(uuid4())}, 409, id="an unknown run"),
        pytest.param({"do": "add", "queue": str(uuid4())}, 409, id="an unknown queue"),
        pytest.param({"do": "open-home", "user": "U0NOBODY"}, 409, id="a person whom no visitor plays"),
        pytest.param({"do": "write", "user": CLEO, "channel": "C0NONE", "text": "/reviews"}, 409, id="no such channel"),
        pytest.param({"do": "write", "user": CLEO, "channel": RAG, "text": "/remind me"}, 409, id="another command"),
        pytest.param({"do": "write", "user": CLEO, "channel": RAG, "text": "/reviews"}, 409, id="no link to Slack"),
        pytest.param({"do": "press", "user": CLEO, "channel": RAG, "ts": "1.0", "action": "run"}, 409, id="no link"),
    ],
)
def test_what_cannot_be_done_is_refused(client: httpx.Client, action: Any, status: int) -> None:
    assert act(client, action).status_code == status


def test_the_page_itself_may_act(client: httpx.Client, stage: Stage) -> None:
    queue = stage.queues[cast.SUPPORT]
    assert act(client, {"do": "add", "queue": str(queue)}).status_code == 204
    run = str(stage.waiting(queue)[0].queue_run_id)
    for action in ("reserve", "release", "complete", "requeue"):
        assert act(client, {"do": action, "run": run}).status_code == 204, action
    for service in (LANGSMITH, SLACK):
        assert act(client, {"do": f"break-{service}"}).status_code == 204
        assert not stage.is_up(service)
        assert act(client, {"do": f"heal-{service}"}).status_code == 204
        assert stage.is_up(service)
