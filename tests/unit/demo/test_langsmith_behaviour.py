"""The simulated LangSmith admits, fails and moves as it is told to."""

from __future__ import annotations

import gzip
import json
import threading
import time
from typing import TYPE_CHECKING, Any
from uuid import UUID

import httpx
import pytest

from worker.demo.langsmith.faults import bomb
from worker.demo.langsmith.server import RUNS as RUNS_ROUTE
from worker.demo.langsmith.server import SERVICE_KEY, How

if TYPE_CHECKING:
    from worker.demo.langsmith.server import SimulatedLangSmith


@pytest.fixture
def path(langsmith: SimulatedLangSmith) -> Any:
    return f"/api/v1/annotation-queues/{langsmith.add_queue('Support QA')}/runs"


def test_without_a_key_nothing_is_told(client: httpx.Client, path: str) -> None:
    for key in ("", "wrong"):
        answer = client.get(path, headers={"X-API-Key": key})
        assert (answer.status_code, answer.json()) == (401, {"detail": "Invalid token"})


def test_a_revoked_key_is_wrong(client: httpx.Client, path: str, langsmith: SimulatedLangSmith) -> None:
    langsmith.revoke_key(SERVICE_KEY)
    assert client.get(path).status_code == 401


def test_an_organisations_key_needs_the_workspace(
    client: httpx.Client, path: str, langsmith: SimulatedLangSmith
) -> None:
    langsmith.add_key("lsv2_sk_org", organisation=True)
    headers = {"X-API-Key": "lsv2_sk_org"}
    answer = client.get(path, headers=headers)
    assert (answer.status_code, answer.json()) == (403, {"error": "org_scoped_key_requires_workspace"})
    assert client.get(path, headers=headers | {"X-Tenant-Id": str(langsmith.tenant_id)}).status_code == 200
    assert client.get(path, headers=headers | {"X-Tenant-Id": str(UUID(int=1))}).status_code == 403


def test_an_unknown_queue_and_an_unknown_route_look_alike(client: httpx.Client) -> None:
    unknown = client.get(f"/api/v1/annotation-queues/{UUID(int=1)}/runs")
    missing = client.get("/api/v1/no-such-thing")
    assert (unknown.status_code, unknown.json()) == (missing.status_code, missing.json()) == (404, unknown.json())


def test_routes_can_be_switched_off_and_on(client: httpx.Client, path: str, langsmith: SimulatedLangSmith) -> None:
    langsmith.switch_off(RUNS_ROUTE)
    assert client.get(path).status_code == 404
    langsmith.switch_on(RUNS_ROUTE)
    assert client.get(path).status_code == 200


def test_the_seed_alone_can_be_served(client: httpx.Client, path: str, langsmith: SimulatedLangSmith) -> None:
    langsmith.serve_the_seed_alone()
    assert client.get(path).status_code == 200
    for other in (path.removesuffix("/runs"), "/api/v1/annotation-queues", "/api/v1/info", "/api/v1/workspaces"):
        assert client.get(other).status_code == 404


def test_deprecation_is_told_by_the_older_endpoints_only(
    client: httpx.Client, path: str, langsmith: SimulatedLangSmith
) -> None:
    langsmith.deprecate(deprecation="true", sunset="Sun, 31 Jan 2027 00:00:00 GMT")
    assert client.get(path).headers["sunset"] == "Sun, 31 Jan 2027 00:00:00 GMT"
    assert client.get(path).headers["deprecation"] == "true"
    assert "sunset" not in client.get("/api/v1/annotation-queues").headers
    langsmith.deprecate(deprecation="", sunset="")
    assert "deprecation" not in client.get(path).headers


def test_answers_are_packed_where_that_is_asked_for(
    client: httpx.Client, path: str, langsmith: SimulatedLangSmith
) -> None:
    queue = langsmith.queues[0].queue_id
    langsmith.add_run(queue, payload=1000)
    assert client.get(path).headers.get("content-encoding") == "gzip"
    assert "content-encoding" not in client.get(path, headers={"Accept-Encoding": "identity"}).headers
    langsmith.unpack()
    assert "content-encoding" not in client.get(path).headers


def test_requests_are_noted(client: httpx.Client, path: str, langsmith: SimulatedLangSmith) -> None:
    client.get(path, params={"limit": 5})
    (asked,) = langsmith.requests
    assert (asked.method, asked.path, asked.query) == ("GET", path, {"limit": "5"})
    langsmith.forget_requests()
    assert langsmith.requests == ()


def test_things_can_happen_before_an_answer(client: httpx.Client, path: str, langsmith: SimulatedLangSmith) -> None:
    queue = langsmith.queues[0].queue_id
    langsmith.before_each_answer(lambda _: langsmith.add_run(queue))
    assert [len(client.get(path).json()) for _ in range(3)] == [1, 2, 3]


def test_what_happens_at_once_shows_at_once(client: httpx.Client, path: str, langsmith: SimulatedLangSmith) -> None:
    queue = langsmith.queues[0].queue_id
    seen = []
    with langsmith.at_once():
        reader = threading.Thread(target=lambda: seen.append(len(client.get(path).json())))
        reader.start()
        for _ in range(50):
            langsmith.add_run(queue)
    reader.join(60)
    assert seen in ([0], [50])


def test_a_queue_can_be_renamed_and_removed(client: httpx.Client, path: str, langsmith: SimulatedLangSmith) -> None:
    queue = langsmith.queues[0].queue_id
    langsmith.rename_queue(queue, "Triage")
    assert client.get(path.removesuffix("/runs")).json()["name"] == "Triage"
    langsmith.remove_queue(queue)
    assert client.get(path).status_code == 404


def test_a_reservation_can_be_released(client: httpx.Client, path: str, langsmith: SimulatedLangSmith) -> None:
    run = langsmith.add_run(langsmith.queues[0].queue_id)
    langsmith.reserve(run)
    assert len(client.get(path).json()[0]["reserved_by"]) == 1
    langsmith.release(run)
    assert client.get(path).json()[0]["reserved_by"] == []


def test_what_is_removed_cannot_be_completed(langsmith: SimulatedLangSmith, path: str) -> None:  # noqa: ARG001  (the queue of the path)
    run = langsmith.add_run(langsmith.queues[0].queue_id)
    langsmith.remove(run)
    with pytest.raises(KeyError):
        langsmith.complete(run)


@pytest.mark.parametrize(
    ("fault", "status", "kind", "body"),
    [
        ({"status": 503}, 503, "application/json", b'{"detail":"simulated trouble"}'),
        ({"how": How.HTML, "status": 403}, 403, "text/html", b"<!DOCTYPE html><html><body>Bad gateway</body></html>"),
        ({"how": How.BODY, "status": 200, "body": b"[1"}, 200, "application/json", b"[1"),
        ({"how": How.BODY, "status": 200}, 200, "application/json", b""),
    ],
)
def test_faults_answer_as_planned(
    client: httpx.Client, path: str, langsmith: SimulatedLangSmith, fault: Any, status: Any, kind: Any, body: bytes
) -> None:
    langsmith.fail(path="/runs", **fault)
    answer = client.get(path)
    assert (answer.status_code, answer.headers["content-type"], answer.content) == (status, kind, body)
    assert client.get("/api/v1/annotation-queues").status_code == 200
    langsmith.heal()
    assert client.get(path).json() == []


def test_a_fault_may_hold_for_a_few_requests(client: httpx.Client, path: str, langsmith: SimulatedLangSmith) -> None:
    langsmith.fail(status=429, retry_after="7", times=2)
    answers = [client.get(path) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [429, 429, 200]
    assert answers[0].headers["retry-after"] == "7"


@pytest.mark.parametrize("how", [How.HANG, How.DRIP, How.DROP])
def test_a_fault_may_give_no_answer(client: httpx.Client, path: str, langsmith: SimulatedLangSmith, how: Any) -> None:
    langsmith.fail(how)
    with pytest.raises((httpx.TimeoutException, httpx.RemoteProtocolError, TimeoutError)):
        given_up(client, path)


def given_up(client: httpx.Client, path: str) -> None:
    """Read for half a second at most."""
    begin = time.monotonic()  # noqa: TID251  (the test's own patience)
    with client.stream("GET", path, timeout=0.5) as answer:
        for _ in answer.iter_raw():
            if time.monotonic() - begin > 0.5:  # noqa: TID251  (the same)
                raise TimeoutError


def test_healing_lets_go_of_whoever_hangs(client: httpx.Client, path: str, langsmith: SimulatedLangSmith) -> None:
    langsmith.fail(How.HANG)
    threading.Timer(0.1, langsmith.heal).start()
    assert client.get(path, timeout=60).status_code == 503


def test_an_endless_body_goes_on_until_the_client_has_enough(
    client: httpx.Client, path: str, langsmith: SimulatedLangSmith
) -> None:
    langsmith.fail(How.ENDLESS)
    read = 0
    with client.stream("GET", path) as answer:
        for piece in answer.iter_raw():
            read += len(piece)
            if read > 10_000_000:
                break
    langsmith.heal()
    assert client.get(path).json() == []


def test_a_bomb_inflates_to_what_it_says() -> None:
    packed = bomb(16)
    assert len(packed) < 50_000
    assert len(gzip.decompress(packed)) == 16 * 1024 * 1024


def test_a_bomb_arrives_packed(client: httpx.Client, path: str, langsmith: SimulatedLangSmith) -> None:
    langsmith.fail(How.BOMB)
    with client.stream("GET", path) as answer:
        assert answer.headers["content-encoding"] == "gzip"
        assert int(answer.headers["content-length"]) < 3_000_000


def test_bodies_are_json(client: httpx.Client, path: str, langsmith: SimulatedLangSmith) -> None:
    langsmith.add_run(langsmith.queues[0].queue_id, name="a\ud800")
    assert json.loads(client.get(path).content)[0]["name"] == "a\ud800"
