"""The simulated LangSmith answers as the published specification says."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from openapi_core.exceptions import OpenAPIError

from tests.support.published import hold_to_the_specification
from worker.demo.langsmith.server import SERVICE_KEY
from worker.demo.langsmith.state import TENANT_ID

if TYPE_CHECKING:
    import httpx

    from tests.support.langsmith_stage import Stage
    from worker.demo.langsmith.server import SimulatedLangSmith

RUNS = "/api/v1/annotation-queues/{}/runs"
ITEMS = "/api/v1/platform/annotation-queues/{}/items"
ME = "lsv2_pt_me"
WORKSPACE = {"X-Tenant-Id": str(TENANT_ID)}
STATUSES = ["needs_my_review", "needs_others_review", "completed"]


@pytest.fixture
def pairs(langsmith: SimulatedLangSmith) -> Any:
    """A queue with a run in every state that a run can be in."""
    langsmith.add_key(ME, reviewer="me@example.com")
    queue = langsmith.add_queue("Pairs", reviewers_per_run=2)
    langsmith.add_run(queue, name="plain")
    langsmith.add_run(queue, name="undated", undated=True)
    langsmith.add_run(queue, name="failed", error="boom", tags=["vip", "äöü"], tokens=5, cost="0.01", payload=1000)
    langsmith.add_run(queue, name="talk", thread_id=str(UUID(int=9)))
    langsmith.add_run(queue, conversation=True)
    reserved, mine, done, back, own = (langsmith.add_run(queue, name=name) for name in "rmdbo")
    langsmith.reserve(reserved, reviewer="other@example.com")
    for one in (mine, done, back, own):
        langsmith.complete(one, reviewer="me@example.com")
    langsmith.complete(done, reviewer="other@example.com")
    langsmith.requeue(back)
    langsmith.requeue(own, reviewer="me@example.com")
    return queue


@pytest.mark.parametrize("by", ["seed", "document"])
@pytest.mark.parametrize("status", [*STATUSES, None])
def test_runs(read: Any, pairs: UUID, by: Any, status: Any) -> None:
    given = {"status": status} if status else {}
    names = {
        key: [row["name"] for row in read(RUNS.format(pairs), by=by, key=key, **given)] for key in (SERVICE_KEY, ME)
    }
    mine = ["undated", "plain", "failed", "talk", "r", "b", "o"]
    assert (
        names[ME]
        == {
            "needs_my_review": mine,
            "needs_others_review": ["m"],
            "completed": ["d"],
            None: ["undated", "plain", "failed", "talk", "r", "m", "b", "o"],
        }[status]
    )
    assert sorted(names[SERVICE_KEY]) == sorted(
        {"needs_my_review": [*mine, "m"], "needs_others_review": [], "completed": ["d"], None: [*mine, "m"]}[status]
    )


def test_runs_by_page(read: Any, pairs: UUID) -> None:
    everything = read(RUNS.format(pairs))
    assert read(RUNS.format(pairs), offset=2, limit=3) == everything[2:5]
    assert read(RUNS.format(pairs), offset=100) == []


@pytest.mark.parametrize(
    "params",
    [{"limit": 101}, {"limit": 0}, {"limit": "x"}, {"offset": -1}, {"status": "archived"}, {"status": ""}],
)
def test_bad_parameters_are_refused(read: Any, pairs: UUID, params: Any) -> None:
    (problem,) = read(RUNS.format(pairs), expect=422, by="seed", **params)["detail"]
    assert problem["loc"] == ["query", next(iter(params))]


def test_a_bad_id_is_refused(client: httpx.Client) -> None:
    answer = client.get(RUNS.format("not-an-id"))
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["path", "queue_id"]


@pytest.mark.parametrize("kind", [None, "RUN", "THREAD"])
@pytest.mark.parametrize("section", ["needs_my_review", "needs_others_review", "archived"])
@pytest.mark.parametrize("key", [SERVICE_KEY, ME])
def test_items(read: Any, pairs: UUID, section: Any, kind: Any, key: Any) -> None:
    params = {"item_type": kind} if kind else {}
    found = read(ITEMS.format(pairs), status=section, key=key, **params)
    runs = read(RUNS.format(pairs), status=section.replace("archived", "completed"), key=key)
    of_runs = [item["id"] for item in found["items"] if item["item_type"] == "RUN"]
    assert of_runs == ([] if kind == "THREAD" else [row["queue_run_id"] for row in runs])
    threads = [item for item in found["items"] if item["item_type"] == "THREAD"]
    assert len(threads) == (section == "needs_my_review" and kind != "RUN")


def test_items_by_cursor_forward_and_backward(read: Any, pairs: UUID) -> None:
    path, status = ITEMS.format(pairs), "needs_my_review"
    everything = read(path, status=status)["items"]
    first = read(path, status=status, page_size=4)
    second = read(path, status=status, page_size=4, cursor=first["next_cursor"])
    third = read(path, status=status, page_size=4, cursor=second["next_cursor"])
    assert [*first["items"], *second["items"], *third["items"]] == everything
    assert "next_cursor" not in third
    back = read(path, status=status, page_size=4, cursor=second["previous_cursor"], direction="backward")
    assert back["items"] == first["items"]


def test_a_cursor_passes_over_nothing_while_the_list_moves(read: Any, langsmith: SimulatedLangSmith) -> None:
    queue = langsmith.add_queue("Moving")
    added = [langsmith.add_run(queue) for _ in range(6)]
    path, status = ITEMS.format(queue), "needs_my_review"
    first = read(path, status=status, page_size=3)
    langsmith.complete(added[0])
    langsmith.remove(added[1])
    second = read(path, status=status, page_size=3, cursor=first["next_cursor"])
    assert [item["id"] for item in second["items"]] == [str(one) for one in added[3:]]


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"status": "completed"},
        {"status": "archived", "item_type": "X"},
        {"status": "archived", "cursor": "x"},
        {"status": "archived", "direction": "backward"},
    ],
)
def test_bad_parameters_of_items_are_a_bad_request(read: Any, pairs: UUID, params: Any) -> None:
    assert read(ITEMS.format(pairs), expect=400, **params)["status"] == 400


def test_counts_agree_with_the_listings(read: Any, pairs: UUID) -> None:
    for status, section in zip(STATUSES, ["needs_my_review", "needs_others_review", "archived"], strict=True):
        runs = read(RUNS.format(pairs), status=status, key=ME)
        size = read(f"/api/v1/annotation-queues/{pairs}/size", status=status, key=ME)
        items = read(ITEMS.format(pairs), status=section, key=ME)["items"]
        count = read(f"{ITEMS.format(pairs)}/count", status=section, key=ME)
        assert (size, count) == ({"size": len(runs)}, {"count": len(items)})
    assert read(f"{ITEMS.format(pairs)}/count", status="all") == {"count": 10}
    assert read(f"{ITEMS.format(pairs)}/count", status="x", expect=400)


def test_placement_tells_where_an_item_is(read: Any, pairs: UUID, langsmith: SimulatedLangSmith) -> None:
    everything = read(ITEMS.format(pairs), status="needs_my_review")["items"]
    for position, item in enumerate(everything):
        found = read(f"{ITEMS.format(pairs)}/{item['id']}/placement")
        assert (found["section"], found["position"]) == ("needs_my_review", position)
    langsmith.remove(UUID(everything[0]["id"]))
    assert read(f"{ITEMS.format(pairs)}/{everything[0]['id']}/placement", expect=404)["status"] == 404


def test_queues(read: Any, langsmith: SimulatedLangSmith) -> None:
    first, second = langsmith.add_queue("Support QA"), langsmith.add_queue("Triage", reviewers_per_run=2)
    listed = read("/api/v1/annotation-queues")
    assert [(queue["id"], queue["name"]) for queue in listed] == [(str(first), "Support QA"), (str(second), "Triage")]
    assert [queue["name"] for queue in read("/api/v1/annotation-queues", name="Triage")] == ["Triage"]
    assert [queue["name"] for queue in read("/api/v1/annotation-queues", name_contains="supp")] == ["Support QA"]
    assert [queue["name"] for queue in read("/api/v1/annotation-queues", ids=str(second))] == ["Triage"]
    assert [queue["name"] for queue in read("/api/v1/annotation-queues", offset=1, limit=1)] == ["Triage"]
    one = read(f"/api/v1/annotation-queues/{second}")
    assert (one["num_reviewers_per_item"], one["tenant_id"]) == (2, str(langsmith.tenant_id))
    assert read("/api/v1/annotation-queues", expect=422, limit=101)


def query(client: httpx.Client, **body: bytes) -> Any:
    return client.post("/api/v2/runs/query", json=body, headers=WORKSPACE)


def test_runs_are_found_by_id(client: httpx.Client, read: Any, pairs: UUID) -> None:
    rows = [row for row in read(RUNS.format(pairs)) if row["name"] in {"failed", "talk"}]
    asked = {
        "ids": [row["id"] for row in rows],
        "project_ids": [rows[0]["session_id"]],
        "selects": ["ID", "NAME", "RUN_TYPE", "TAGS", "ERROR", "THREAD_ID", "TOTAL_TOKENS", "TOTAL_COST"],
    }
    found = hold_to_the_specification(query(client, **asked))["items"]
    assert {row["name"] for row in found} == {"failed", "talk"}
    assert {row["run_type"] for row in found} == {"CHAIN"}
    assert set(found[0]) <= {"id", "name", "run_type", "tags", "error", "thread_id", "total_tokens", "total_cost"}
    bare = hold_to_the_specification(query(client, **{**asked, "selects": []}))["items"]
    assert [set(row) for row in bare] == [{"id"}, {"id"}]


def test_older_runs_are_found_only_where_that_is_asked_for(
    client: httpx.Client, read: Any, stage: Stage, langsmith: SimulatedLangSmith
) -> None:
    queue = langsmith.add_queue("Old")
    langsmith.add_run(queue, added_at=stage.clock.now() - timedelta(days=3))
    (row,) = read(RUNS.format(queue))
    asked = {"ids": [row["id"]], "project_ids": [row["session_id"]]}
    assert hold_to_the_specification(query(client, **asked))["items"] == []
    since = (stage.clock.now() - timedelta(days=4)).isoformat()
    assert len(hold_to_the_specification(query(client, **asked, min_start_time=since))["items"]) == 1


def test_the_answer_to_a_query_comes_in_pages(client: httpx.Client, read: Any, langsmith: SimulatedLangSmith) -> None:
    queue = langsmith.add_queue("Long")
    for _ in range(3):
        langsmith.add_run(queue)
    project = read(RUNS.format(queue))[0]["session_id"]
    first = hold_to_the_specification(query(client, project_ids=[project], page_size=2))
    second = hold_to_the_specification(query(client, project_ids=[project], page_size=2, cursor=first["next_cursor"]))
    assert (len(first["items"]), len(second["items"]), "next_cursor" in second) == (2, 1, False)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 400),
        ({"project_ids": ["x"], "page_size": 0}, 400),
        ({"project_ids": ["x"], "page_size": 1001}, 400),
        ({"project_ids": ["x"], "ids": ["not an id"]}, 422),
        ({"project_ids": ["x"]}, 404),
    ],
)
def test_bad_queries_are_refused(client: httpx.Client, body: bytes, status: Any) -> None:
    answer = query(client, **body)
    assert answer.status_code == status
    assert hold_to_the_specification(answer)["status"] == status


def test_a_query_that_is_no_json_is_refused(client: httpx.Client) -> None:
    assert client.post("/api/v2/runs/query", content=b"{", headers=WORKSPACE).status_code == 400


def test_a_query_needs_its_workspace(client: httpx.Client) -> None:
    assert client.post("/api/v2/runs/query", json={}).status_code == 403


def test_queries_have_a_limit_of_their_own(client: httpx.Client, stage: Stage) -> None:
    answers = [query(client) for _ in range(16)]
    assert [answer.status_code for answer in answers] == [400] * 15 + [429]
    assert answers[-1].headers["retry-after"] == "10"
    stage.clock.advance(timedelta(seconds=10))
    assert query(client).status_code == 400


def test_everything_else_that_is_served(read: Any, langsmith: SimulatedLangSmith) -> None:
    langsmith.add_reviewer("me@example.com")
    assert read("/api/v1/info")["version"]
    assert [workspace["id"] for workspace in read("/api/v1/workspaces")] == [str(langsmith.tenant_id)]
    (member,) = read("/api/v1/workspaces/current/members/active")
    assert member["email"] == "me@example.com"
    assert read("/api/v1/workspaces/current/members/active", offset=1) == []


def test_the_check_itself_can_fail(client: httpx.Client, langsmith: SimulatedLangSmith) -> None:
    queue = langsmith.add_queue("Wrong")
    langsmith.add_run(queue, run_type="a type that is not published")
    with pytest.raises(OpenAPIError):
        hold_to_the_specification(client.get(RUNS.format(queue)), by="seed")
