"""Reading the `items` listing, and the names that it lacks."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
import structlog

from tests.support.langsmith_stage import QUERY, QUEUE, SHOW, WEB, ids, run_of
from worker.core.model import Facts, Show
from worker.core.ports import SourceError, Trouble
from worker.demo.langsmith.server import How

if TYPE_CHECKING:
    from tests.support.langsmith_stage import Stage


@pytest.fixture
def items(stage: Stage) -> Any:
    stage.restart(api="items")
    return stage


def queries(stage: Stage) -> Any:
    found = [asked for asked in stage.langsmith.requests if asked.path == QUERY]
    stage.langsmith.forget_requests()
    return len(found)


def described(stage: Any, queue: UUID, *queue_run_ids: UUID, show: Any = SHOW) -> Any:
    """The facts of runs of a queue, asked for after its snapshot."""
    stage.snapshot(queue, show)
    return stage.source.facts(queue, queue_run_ids, show=show)


def test_all_pages_are_read_by_cursor(items: Any, queue: UUID) -> None:
    added = items.add(queue, 250)
    snapshot = items.snapshot(queue)
    assert ids(snapshot) == added
    pages = [asked.query for asked in items.langsmith.requests if asked.path.endswith("/items")]
    assert [page["page_size"] for page in pages] == ["100"] * 3
    assert ["cursor" in page for page in pages] == [False, True, True]
    assert snapshot.one_page is False


def test_a_hundred_items_are_one_page(items: Any, queue: UUID) -> None:
    items.add(queue, 100)
    assert items.snapshot(queue).one_page is True


def test_both_listings_tell_the_same(stage: Stage, queue: UUID) -> None:
    facts = {"tags": ["vip"], "error": "boom", "thread_id": str(UUID(int=9)), "cost": "0.5"}
    stage.langsmith.add_run(queue, name="triage", run_type="llm", **facts)
    stage.langsmith.reserve(stage.langsmith.add_run(queue, name="other", tokens=12))
    show = frozenset(Show) - {Show.INPUTS_PREVIEW, Show.OUTPUTS_PREVIEW}
    (first, *_), (second, *_) = (stage.restart(api=api).snapshot(queue, show).runs for api in ("runs", "items"))
    told = stage.source.facts(queue, [second.queue_run_id], show=show)[second.queue_run_id]
    assert told.url == second.facts.url == first.facts.url.partition("?")[0]
    assert {name: getattr(told, name) for name in Facts.__struct_fields__ if name != "url"} == {
        name: getattr(first.facts, name) for name in Facts.__struct_fields__ if name != "url"
    }
    assert (second.queue_run_id, second.run_id, second.added_at) == (first.queue_run_id, first.run_id, first.added_at)


def test_only_the_listing_without_facts_is_bare(stage: Stage, queue: UUID) -> None:
    assert [stage.restart(api=api).snapshot(queue, SHOW).bare for api in ("runs", "items")] == [False, True]


def test_only_what_may_be_shown_is_asked_for(items: Any, queue: UUID) -> None:
    (added,) = items.add(queue, 1, tags=["vip"])
    facts = described(items, queue, added, show=frozenset({Show.NAME}))[added]
    assert facts == Facts(name="run 0", url=facts.url)


def test_where_nothing_may_be_shown_nothing_is_looked_up(items: Any, queue: UUID) -> None:
    (added,) = items.add(queue, 1)
    assert described(items, queue, added, show=frozenset({Show.AGE})) == {}
    assert queries(items) == 0


def test_a_snapshot_looks_nothing_up(items: Any, queue: UUID) -> None:
    items.add(queue, 150)
    items.snapshot(queue)
    assert queries(items) == 0


def test_the_queues_own_workspace_is_asked(items: Any, queue: UUID) -> None:
    (added,) = items.add(queue, 1)
    assert described(items, queue, added)[added].name == "run 0"


def test_where_no_workspace_is_known_there_are_no_names(items: Any, queue: UUID) -> None:
    items.langsmith.switch_off(QUEUE)
    (added,) = items.add(queue, 1)
    with structlog.testing.capture_logs() as lines:
        assert described(items, queue, added) == {}
    (line,) = (line for line in lines if line["event"] == "run_names_unknown")
    assert "LANGSMITH_WORKSPACE_ID" in line["error"]


def test_a_conversation_is_shown_as_one(items: Any, queue: UUID) -> None:
    added = items.langsmith.add_run(queue, conversation=True, thread_id="0123456789")
    run = run_of(items.snapshot(queue, frozenset(Show)), added)
    link = f"{WEB}/o/{items.langsmith.tenant_id}/annotation-queues/{queue}"
    assert run.facts == Facts(name="Conversation 01234567", run_type="conversation", url=link, thread="0123456789")
    assert run.run_id is None
    assert queries(items) == 0


def test_a_run_of_last_month_is_found(items: Any, queue: UUID) -> None:
    added = items.langsmith.add_run(queue, name="old", added_at=items.clock.now() - timedelta(days=40))
    assert described(items, queue, added)[added].name == "old"


def test_without_names_the_runs_are_listed_all_the_same(items: Any, queue: UUID) -> None:
    items.langsmith.switch_off(QUERY)
    added = items.add(queue, 3)
    assert described(items, queue, *added) == {}
    snapshot = items.snapshot(queue)
    assert ids(snapshot) == added
    assert [run.facts.name for run in snapshot.runs] == [""] * 3
    assert all(run.facts.url.endswith(f"/r/{run.run_id}") for run in snapshot.runs)


def test_a_limit_of_queries_is_kept_to(items: Any, queue: UUID) -> None:
    items.langsmith.limit_queries(1, seconds=60)
    first, second = items.add(queue, 2)
    assert described(items, queue, first)
    assert described(items, queue, second) == described(items, queue, second) == {}
    assert queries(items) == 2
    items.clock.advance(timedelta(seconds=61))
    assert described(items, queue, second)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"detail":"x"}', b'{"items":[1,null,{"id":7}]}'])
def test_a_strange_answer_to_a_look_up_costs_only_the_names(items: Any, queue: UUID, body: bytes) -> None:
    items.langsmith.fail(How.BODY, path=QUERY, status=200, body=body)
    added = items.add(queue, 2)
    assert described(items, queue, *added) == {}


def test_the_names_queue_may_be_unknown(items: Any, queue: UUID) -> None:
    items.langsmith.switch_off(QUEUE)
    added = items.add(queue, 1)
    snapshot = items.snapshot(queue)
    assert (ids(snapshot), snapshot.queue.name, snapshot.queue.url) == (added, str(queue), "")
    assert snapshot.runs[0].facts.url == ""


def serve(stage: Stage, *pages: Any) -> None:
    for page in pages:
        stage.langsmith.fail(How.BODY, path="/items", status=200, body=json.dumps(page).encode(), times=1)


def test_an_item_without_an_id_is_counted(items: Any, queue: UUID) -> None:
    good = str(UUID(int=1))
    serve(items, {"items": [{"id": good}, {"run_id": good}, {"id": "x"}, None]})
    snapshot = items.snapshot(queue)
    assert (ids(snapshot), snapshot.unusable) == ([UUID(good)], 3)


def test_an_item_may_lack_everything_but_its_id(items: Any, queue: UUID) -> None:
    serve(items, {"items": [{"id": str(UUID(int=1))}]})
    (run,) = items.snapshot(queue).runs
    assert (run.run_id, run.added_at, run.reserved, run.done) == (None, None, False, 0)
    assert run.facts.url.endswith(f"/annotation-queues/{queue}")


def test_wrong_types_become_absent(items: Any, queue: UUID) -> None:
    fields = "item_type run_id thread_id project_id start_time added_at effective_added_at reserved_by completed_by"
    serve(items, {"items": [{"id": str(UUID(int=1)), **{name: {"a": [1]} for name in fields.split()}}]})
    (run,) = items.snapshot(queue).runs
    assert (run.run_id, run.added_at, run.effective_added_at, run.reserved, run.done) == (None, None, None, False, 0)


def test_an_empty_page_that_names_another_is_not_the_end(items: Any, queue: UUID) -> None:
    """LangSmith's own SDK ends there: see findings/langsmith-ends-at-an-empty-page.sh."""
    first, second = UUID(int=1), UUID(int=2)
    serve(
        items,
        {"items": [{"id": str(first)}], "next_cursor": "b"},
        {"items": [], "next_cursor": "c"},
        {"items": [{"id": str(second)}], "next_cursor": None},
    )
    assert ids(items.snapshot(queue)) == [first, second]


def test_a_cursor_without_end_is_refused(items: Any, queue: UUID) -> None:
    page = {"items": [{"id": str(UUID(int=1))}], "next_cursor": "again"}
    items.langsmith.fail(How.BODY, path="/items", status=200, body=json.dumps(page).encode())
    with pytest.raises(SourceError, match="no end") as caught:
        items.snapshot(queue)
    assert caught.value.trouble is Trouble.UNLAWFUL


def test_a_cursor_that_comes_twice_is_noticed_at_once(items: Any, queue: UUID) -> None:
    pages = [{"items": [{"id": str(UUID(int=n))}], "next_cursor": "ab"[n % 2]} for n in range(9)]
    serve(items, *pages)
    with pytest.raises(SourceError, match="a cursor came twice"):
        items.snapshot(queue)
    assert len([asked for asked in items.langsmith.requests if asked.path.endswith("/items")]) == 3


def test_pages_that_say_nothing_new_end_soon_whatever_their_cursors(items: Any, queue: UUID) -> None:
    serve(items, *({"items": [{"id": str(UUID(int=1))}], "next_cursor": str(n)} for n in range(9)))
    with pytest.raises(SourceError, match="no end"):
        items.snapshot(queue)
    assert len([asked for asked in items.langsmith.requests if asked.path.endswith("/items")]) == 5


def test_pages_over_the_cap_are_read_in_smaller_ones(stage: Stage, queue: UUID) -> None:
    added = stage.add(queue, 60)
    stage.restart(api="items", most_bytes=12_000)
    assert ids(stage.snapshot(queue, frozenset())) == added
    sizes = [asked.query["page_size"] for asked in stage.langsmith.requests if asked.path.endswith("/items")]
    assert sizes == ["100", "25", "25", "25"]


def test_an_item_over_the_cap_is_an_error(stage: Stage, queue: UUID) -> None:
    stage.restart(api="items", most_bytes=100)
    stage.add(queue, 1)
    with pytest.raises(SourceError, match="larger than"):
        stage.snapshot(queue)


def test_progress_is_told(stage: Stage, queue: UUID) -> None:
    told = []
    stage.add(queue, 150)
    stage.restart(api="items", progress=lambda queue_id, runs: told.append((queue_id, runs)))
    stage.snapshot(queue, SHOW)
    assert told == [(queue, 100)]
