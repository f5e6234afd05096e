"""Who the identities are that runs name: found by id and by address, or not at all."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
import structlog

from tests.support.langsmith_stage import MEMBERS
from worker.core.model import Reviewer
from worker.core.ports import SourceError, Trouble
from worker.demo.langsmith.server import How

if TYPE_CHECKING:
    from tests.support.langsmith_stage import Stage

ADA, BO = "ada@example.com", "bo@example.com"


@pytest.fixture
def ada(stage: Stage) -> str:
    return str(stage.langsmith.add_reviewer(ADA))


def lookups(stage: Stage) -> int:
    return len([path for path in stage.asked() if path == MEMBERS])


def test_a_member_is_found_by_id_and_by_address(stage: Stage, ada: str) -> None:
    stage.langsmith.add_reviewer(BO)
    known = Reviewer(ada, "Ada", ADA)
    assert stage.source.members([ada, ADA]) == {ada: known, ADA: known}
    assert lookups(stage) == 1


@pytest.mark.parametrize("sought", ["ADA@Example.com", " ada@example.com"])
def test_the_case_of_an_address_does_not_count(stage: Stage, ada: str, sought: str) -> None:
    assert stage.source.members([sought]) == {sought: Reviewer(ada, "Ada", ADA)}


def test_an_id_may_be_written_in_another_way(stage: Stage, ada: str) -> None:
    assert stage.source.members([ada.upper()]) == {ada.upper(): Reviewer(ada, "Ada", ADA)}


@pytest.mark.parametrize("name", ["id", "ls_user_id", "user_id"])
def test_any_id_of_a_member_finds_the_member(stage: Stage, name: str) -> None:
    sought = str(UUID(int=7))
    others = {"id": str(UUID(int=1)), "ls_user_id": str(UUID(int=2)), "user_id": str(UUID(int=3))}
    serve(stage, [{**others, name: sought, "email": ADA, "full_name": "Ada", "display_name": "Ada L."}])
    (found,) = (stage.source.members([sought]) or {}).values()
    assert (found.name, found.email) == ("Ada L.", ADA)
    assert found.reviewer_id == (sought if name == "id" else others["id"])


def test_whoever_is_no_member_is_missing(stage: Stage, ada: str) -> None:
    robot = str(stage.langsmith.add_service("Robot"))
    bo = str(stage.langsmith.add_reviewer(BO))
    stage.langsmith.remove_reviewer(BO)
    assert set(stage.source.members([ada, robot, bo, BO, "nobody@example.com", "ada", ""]) or {}) == {ada}


def test_a_disabled_member_is_missing(stage: Stage) -> None:
    serve(stage, [{"id": "ada", "email": ADA, "is_disabled": True}])
    assert stage.source.members([ADA, "ada"]) == {}


def test_nothing_is_asked_where_no_one_is_sought(stage: Stage) -> None:
    assert stage.source.members([]) == {}
    assert lookups(stage) == 0


def test_pages_are_read_until_all_are_found(stage: Stage) -> None:
    with stage.langsmith.at_once():
        everybody = [f"{number:04}@example.com" for number in range(1001)]
        for email in everybody:
            stage.langsmith.add_reviewer(email)
    assert set(stage.source.members([everybody[499]]) or {}) == {everybody[499]}
    assert lookups(stage) == 1
    assert set(stage.source.members([everybody[0], everybody[1000]]) or {}) == {everybody[0], everybody[1000]}
    assert lookups(stage) == 3
    assert stage.source.members(["nobody@example.com"]) == {}
    assert lookups(stage) == 3


@pytest.mark.parametrize("how", ["refused", "missing"])
def test_members_that_cannot_be_asked_for_are_asked_for_again_a_day_later(stage: Stage, ada: str, how: str) -> None:
    if how == "refused":
        stage.langsmith.fail(path=MEMBERS, status=403)
    else:
        stage.langsmith.switch_off(MEMBERS)
    with structlog.testing.capture_logs() as lines:
        assert [stage.source.members([ada]) for _ in range(3)] == [None] * 3
        stage.clock.advance(timedelta(hours=23))
        assert stage.source.members([ada]) is None
        assert lookups(stage) == 1
        stage.clock.advance(timedelta(hours=2))
        assert stage.source.members([ada]) is None
        assert lookups(stage) == 1
    assert [(line["event"], line["log_level"]) for line in lines] == [("members_unknown", "info")]
    assert ADA not in str(lines)
    stage.langsmith.heal()
    stage.langsmith.switch_on(MEMBERS)
    stage.clock.advance(timedelta(hours=25))
    assert set(stage.source.members([ada]) or {}) == {ada}


@pytest.mark.parametrize(
    ("fault", "trouble"),
    [
        pytest.param({"status": 429, "retry_after": "7"}, Trouble.THROTTLED, id="throttled"),
        pytest.param({"status": 500}, Trouble.UNREACHABLE, id="a failure"),
        pytest.param({"how": How.HTML, "status": 403}, Trouble.UNREACHABLE, id="a proxy that refuses"),
        pytest.param({"how": How.BODY, "status": 200, "body": b"{}"}, Trouble.UNLAWFUL, id="no list"),
        pytest.param({"how": How.DROP}, Trouble.UNREACHABLE, id="half an answer"),
    ],
)
def test_another_failure_is_an_error_and_is_asked_again_at_once(
    stage: Stage, ada: str, fault: Any, trouble: Trouble
) -> None:
    stage.langsmith.fail(path=MEMBERS, times=1, **fault)
    with pytest.raises(SourceError) as caught:
        stage.source.members([ada])
    assert caught.value.trouble is trouble
    assert set(stage.source.members([ada]) or {}) == {ada}


def serve(stage: Stage, rows: Any, times: int | None = 1) -> None:
    body = json.dumps(rows).encode()
    stage.langsmith.fail(How.BODY, path=MEMBERS, status=200, body=body, times=times)


def test_strange_members_are_passed_over(stage: Stage) -> None:
    odd = [7, None, "x", {}, {"id": 7, "email": ["a@b"]}, {"id": None, "email": 3}, {"id": str(UUID(int=0))}]
    serve(stage, [*odd, {"id": "bo", "email": f" {BO}\0", "full_name": {"a": 1}}])
    assert stage.source.members([BO, "7", ""]) == {BO: Reviewer("bo", "", BO)}


def test_a_member_without_any_id_is_passed_over(stage: Stage) -> None:
    serve(stage, [{"email": ADA}, {"email": BO, "user_id": "bo"}])
    assert stage.source.members([ADA, BO]) == {BO: Reviewer("bo", "", BO)}


def test_a_list_without_end_is_an_error(stage: Stage) -> None:
    serve(stage, [{"id": f"{number}"} for number in range(500)], times=None)
    with pytest.raises(SourceError, match="no end"):
        stage.source.members([ADA])
    assert lookups(stage) == 100
