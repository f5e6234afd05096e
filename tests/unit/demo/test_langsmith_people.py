"""The simulated LangSmith shows who owes, holds and has completed runs, and refuses what it would have to ignore."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from tests.support.langsmith_stage import MEMBERS, QUERY
from worker.demo.langsmith.server import SERVICE_KEY
from worker.demo.langsmith.state import ANYBODY

if TYPE_CHECKING:
    import httpx

    from worker.demo.langsmith.server import SimulatedLangSmith

ITEMS = "/api/v1/platform/annotation-queues/{}/items"
QUEUE = "/api/v1/annotation-queues/{}"
ADA, BO, CY = "ada@example.com", "bo@example.com", "cy@example.com"


@pytest.fixture
def queue(langsmith: SimulatedLangSmith) -> UUID:
    return langsmith.add_queue("Pairs", reviewers_per_run=2)


@pytest.fixture
def disputed(langsmith: SimulatedLangSmith, queue: UUID) -> UUID:
    """One of three completed runs, on which its reviewers disagree."""
    langsmith.compare_reviews(on=True)
    runs = [langsmith.add_run(queue) for _ in range(3)]
    for run in runs:
        langsmith.complete(run, reviewer=ADA)
        langsmith.complete(run, reviewer=BO)
    langsmith.disagree(runs[1])
    return runs[1]


def ids(langsmith: SimulatedLangSmith, *emails: str) -> list[str]:
    return [str(langsmith.add_reviewer(email)) for email in emails]


def items(read: Any, queue: UUID, **params: Any) -> Any:
    return read(ITEMS.format(queue), by="november", **{"status": "needs_my_review", **params})["items"]


def test_an_item_names_whom_it_is_assigned_to_reserved_and_completed_by(
    read: Any, langsmith: SimulatedLangSmith, queue: UUID
) -> None:
    run = langsmith.add_run(queue)
    langsmith.assign(run, ADA, BO, CY)
    langsmith.reserve(run, reviewer=BO)
    langsmith.complete(run, reviewer=CY)
    (item,) = items(read, queue)
    assert item["assigned_to"] == ids(langsmith, ADA, BO, CY)
    assert (item["reserved_by"], item["completed_by"]) == (ids(langsmith, BO), ids(langsmith, CY))
    langsmith.assign(run)
    assert items(read, queue)[0]["assigned_to"] == []


def test_an_older_server_does_not_say_to_whom(read: Any, langsmith: SimulatedLangSmith, queue: UUID) -> None:
    langsmith.lose(langsmith.add_run(queue), "assigned_to", "agreement_state", "has_unresolved_keys", "key_agreements")
    (item,) = read(ITEMS.format(queue), status="needs_my_review")["items"]
    assert not {"assigned_to", "has_unresolved_keys"} & item.keys()


@pytest.mark.parametrize("path", ["one", "list"])
def test_a_queue_names_its_reviewers_and_who_may_review(
    read: Any, langsmith: SimulatedLangSmith, queue: UUID, path: str
) -> None:
    def shown() -> Any:
        if path == "one":
            return read(QUEUE.format(queue))
        return read("/api/v1/annotation-queues")[0]

    assert (shown()["reviewer_access_mode"], shown()["assigned_reviewers"]) == ("any", [])
    robot = langsmith.add_service("Robot")
    langsmith.assign_queue(queue, ADA, robot)
    assert shown()["reviewer_access_mode"] == "assigned"
    assert shown()["assigned_reviewers"] == [
        {"id": ids(langsmith, ADA)[0], "name": "Ada", "email": ADA},
        {"id": str(robot), "name": "Robot", "email": None},
    ]
    langsmith.assign_queue(queue, access=ANYBODY)
    assert (shown()["reviewer_access_mode"], shown()["assigned_reviewers"]) == ("any", [])


class TestMembers:
    def emails(self, read: Any, **params: Any) -> list[str]:
        return [each["email"] for each in read(MEMBERS, **params)]

    def test_are_all_people_who_have_not_left(self, read: Any, langsmith: SimulatedLangSmith) -> None:
        ids(langsmith, CY, ADA, BO)
        langsmith.add_service("Robot")
        langsmith.remove_reviewer(BO)
        assert self.emails(read) == [ADA, CY]

    def test_have_three_ids_of_which_a_run_names_the_first(self, read: Any, langsmith: SimulatedLangSmith) -> None:
        (ada,) = ids(langsmith, ADA)
        (found,) = read(MEMBERS)
        assert found["id"] == ada
        assert len({found["id"], found["user_id"], found["ls_user_id"]}) == 3

    def test_come_in_pages_of_500_at_most(self, read: Any, langsmith: SimulatedLangSmith) -> None:
        ids(langsmith, *(f"{number:03}@example.com" for number in range(501)))
        assert len(self.emails(read)) == 50
        assert len(self.emails(read, limit=500)) == 500
        assert self.emails(read, limit=500, offset=500) == ["500@example.com"]
        read(MEMBERS, limit=501, expect=422)

    def test_are_found_by_addresses_letter_by_letter(self, read: Any, langsmith: SimulatedLangSmith) -> None:
        ids(langsmith, ADA, BO, CY)
        assert self.emails(read, emails=[ADA, CY]) == [ADA, CY]
        assert self.emails(read, emails=ADA.upper()) == []

    def test_are_found_by_the_ids_of_users_alone(self, read: Any, langsmith: SimulatedLangSmith) -> None:
        ids(langsmith, ADA, BO)
        found = read(MEMBERS)
        assert self.emails(read, ls_user_ids=[found[1]["ls_user_id"]]) == [BO]
        assert self.emails(read, ls_user_ids=[found[1]["id"]]) == []
        read(MEMBERS, ls_user_ids="ada", expect=422)

    def test_are_kept_from_a_key_without_the_right(self, client: httpx.Client, langsmith: SimulatedLangSmith) -> None:
        langsmith.fail(path=MEMBERS, status=403, body=b'{"detail":"Forbidden"}')
        assert client.get(MEMBERS).status_code == 403

    def test_are_not_there_on_an_older_server(self, client: httpx.Client, langsmith: SimulatedLangSmith) -> None:
        langsmith.switch_off(MEMBERS)
        assert client.get(MEMBERS).status_code == 404


class TestDisagreements:
    def test_are_counted(self, read: Any, queue: UUID, disputed: UUID, langsmith: SimulatedLangSmith) -> None:
        def count(**params: Any) -> int:
            counted = read(f"{ITEMS.format(queue)}/count", by="november", status="archived", **params)["count"]
            return int(counted)

        assert (count(), count(has_unresolved_keys="true"), count(has_unresolved_keys="false")) == (3, 1, 2)
        langsmith.disagree(disputed, settled=True)
        assert count(has_unresolved_keys="true") == 0

    @pytest.mark.parametrize("asked", [{"has_unresolved_keys": "true"}, {"agreement": "disagreed"}])
    def test_are_listed(self, read: Any, queue: UUID, disputed: UUID, asked: Any) -> None:
        (item,) = items(read, queue, status="archived", **asked)
        assert item["id"] == str(disputed)
        assert (item["agreement_state"], item["has_unresolved_keys"]) == ("disagreed", True)

    @pytest.mark.parametrize("path", [ITEMS, f"{ITEMS}/count"])
    @pytest.mark.parametrize("status", ["needs_my_review", "needs_others_review"])
    def test_are_those_of_completed_runs_alone(self, read: Any, queue: UUID, path: str, status: str) -> None:
        read(path.format(queue), by="november", status=status, has_unresolved_keys="true", expect=400)

    @pytest.mark.parametrize("path", [ITEMS, f"{ITEMS}/count"])
    def test_are_none_where_queues_have_one_reviewer_each(
        self, client: httpx.Client, langsmith: SimulatedLangSmith, queue: UUID, path: str
    ) -> None:
        langsmith.compare_reviews(on=False)
        asked = {"status": "archived", "has_unresolved_keys": "true"}
        assert client.get(path.format(queue), params=asked).status_code == 501
        assert client.get(path.format(queue), params={"status": "archived"}).status_code == 200

    def test_can_be_out_of_the_sight_of_a_whole_workspace(
        self, read: Any, langsmith: SimulatedLangSmith, queue: UUID
    ) -> None:
        langsmith.add_run(queue)
        langsmith.compare_reviews(on=True)
        assert items(read, queue)[0]["agreement_state"] == "none"
        langsmith.compare_reviews(on=False)
        assert "agreement_state" not in items(read, queue)[0]


QUEUE_ID = UUID(int=1)


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/annotation-queues",
        QUEUE.format(QUEUE_ID),
        f"{QUEUE.format(QUEUE_ID)}/runs",
        f"{QUEUE.format(QUEUE_ID)}/size",
        ITEMS.format(QUEUE_ID),
        f"{ITEMS.format(QUEUE_ID)}/count",
        f"{ITEMS.format(QUEUE_ID)}/{QUEUE_ID}/placement",
        "/api/v1/workspaces",
        MEMBERS,
    ],
)
def test_a_filter_that_an_endpoint_would_ignore_is_refused(
    client: httpx.Client, langsmith: SimulatedLangSmith, path: str
) -> None:
    langsmith.add_queue("Pairs", queue_id=QUEUE_ID)
    answer = client.get(path, params={"page_sise": 1, "status": "needs_my_review"})
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"][0] == "query"


def test_a_query_of_runs_that_would_be_ignored_in_part_is_refused(
    client: httpx.Client, langsmith: SimulatedLangSmith
) -> None:
    headers = {"X-API-Key": SERVICE_KEY, "X-Tenant-Id": str(langsmith.tenant_id)}
    answer = client.post(QUERY, json={"project_ids": ["x"], "id": []}, headers=headers)
    assert (answer.status_code, answer.json()["detail"][0]["loc"]) == (422, ["body", "id"])
