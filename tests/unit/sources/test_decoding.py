"""Thousands of bodies drawn from the published schemas, and mutations of them: all that is lawful is understood, and
nothing unlawful is a crash.
"""

from __future__ import annotations

import contextlib
import json
import math
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.published import document, november, seed
from tests.support.schemas import mutated, narrowed
from worker.core.model import Access, QueueRun, Show
from worker.sources.langsmith import rows as kept
from worker.sources.langsmith.items import Links, of_record, record_of
from worker.sources.langsmith.listing import Listing
from worker.sources.langsmith.queues import REVIEWERS_LEVEL, access_in, reviewers_in
from worker.sources.langsmith.rows import Wanted, facts, identity, lawful
from worker.sources.langsmith.wire import (
    ItemRow,
    LawfulItem,
    QueriedRow,
    QueueRow,
    Row,
    UnlawfulError,
    envelope,
    one,
    page,
    raw_items,
    read_items,
)

RUN = narrowed(seed(), "RunSchemaWithAnnotationQueueInfo", {*Row.__struct_fields__, "inputs", "trace_tier", "events"})
ITEM = narrowed(november(), "annotationqueues.AnnotationQueueListItem", {*ItemRow.__struct_fields__, "queue_id"})
QUERIED = narrowed(document(), "query.RunResponse", {*QueriedRow.__struct_fields__, "inputs"})
QUEUE = narrowed(document(), "AnnotationQueueSchemaWithSize", {*QueueRow.__struct_fields__, "assigned_reviewers"})
WANTED = Wanted(UUID(int=1), "needs_my_review", frozenset(Show), "https://smith.example", UUID(int=2))
MANY = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))


def written(value: Any) -> bytes:
    return json.dumps(value).encode()


def of_runs(row: Any) -> QueueRun | None:
    queue_run_id = identity(row.queue_run_id)
    return None if queue_run_id is None else kept.of_runs(row, WANTED, queue_run_id)


def of_items(row: LawfulItem | ItemRow | None) -> QueueRun | None:
    """The run of a row as it is read, and as it is made again of its record."""
    listing, links = Listing("the list"), Links(lambda: (WANTED, ""))
    item = lawful(row)
    if item.id is None or not item.id.int:
        return None
    record = record_of(item, item.id, listing, links, listing.found)
    (run,) = listing.runs()
    assert of_record(links, listing.conversations, listing.named, record) == run
    return run


def is_sound(run: QueueRun) -> bool:
    """Whether a run can be kept by any database and shown by any notifier."""
    texts = [run.facts.name, run.facts.run_type, run.facts.url, run.facts.error, run.facts.thread, run.facts.cost]
    texts += [run.facts.inputs_preview, run.facts.outputs_preview, *run.facts.tags]
    texts += [*run.who.assigned_to, *run.who.reserved_by, *run.who.completed_by]
    dates = [run.added_at, run.effective_added_at]
    return (
        isinstance(run.queue_run_id, UUID)
        and all(isinstance(text, str) and "\0" not in text and len(text.encode()) < 10_000 for text in texts)
        and all(date is None or (isinstance(date, datetime) and date.utcoffset() is not None) for date in dates)
        and (not run.facts.url or run.facts.url.startswith("https://smith.example/"))
        and isinstance(run.reserved, bool)
        and run.done >= 0
    )


@MANY
@given(st.lists(RUN, max_size=4))
def test_every_lawful_run_is_understood(rows: Any) -> None:
    found = page(written(rows), Row)
    runs = [of_runs(row) for row in found.rows]
    assert found.unusable == 0
    assert [run and run.queue_run_id for run in runs] == [
        UUID(row["queue_run_id"]) if UUID(row["queue_run_id"]).int else None for row in rows
    ]
    beside_nonsense = page(written([*rows, math.nan]), Row)
    assert [of_runs(row) for row in beside_nonsense.rows] == runs
    for run, row in zip(runs, rows, strict=True):
        if run is not None:
            assert is_sound(run)
            assert run.facts.name == row["name"].replace("\0", "")
            assert run.facts.run_type == row["run_type"]
            assert (run.added_at is None) is (row.get("added_at") is None)
            assert run.done == len(row.get("completed_by", ()))


@MANY
@given(st.lists(mutated(RUN) | st.none() | st.text(max_size=3) | st.lists(st.integers(), max_size=2), max_size=4))
def test_no_mutation_of_runs_is_a_crash_or_costs_another_row(rows: Any) -> None:
    for row in rows:
        assert page(written([row]), Row).size == 1
    found = page(written(rows), Row)
    assert found.size == len(rows)
    assert found.unusable == sum(not isinstance(row, dict) for row in rows)
    assert all(is_sound(run) for row in found.rows if (run := of_runs(row)) is not None)


@MANY
@given(st.lists(mutated(ITEM) | ITEM | st.none(), max_size=4), st.text(max_size=5) | st.none())
def test_no_mutation_of_items_is_a_crash_or_costs_another_row(rows: Any, cursor: Any) -> None:
    found, following = envelope(written({"items": rows, "next_cursor": cursor}), ItemRow)
    assert (found.size, following) == (len(rows), cursor or "")
    assert all(is_sound(run) for row in found.rows if (run := of_items(row)) is not None)


@MANY
@given(st.lists(mutated(ITEM) | ITEM | st.none() | st.just({"id": math.nan}) | st.just("\ud800"), max_size=4))
def test_items_are_decoded_one_by_one_as_all_together(rows: Any) -> None:
    body = written({"items": rows, "next_cursor": "next"})
    raw, following = raw_items(body)
    found = read_items(raw)
    together = envelope(body, ItemRow)[0].rows
    assert [of_items(row) for row in found if row is not None] == [of_items(row) for row in together]
    assert (len(raw), following) == (len(rows), "next")


@MANY
@given(st.lists(mutated(QUERIED), max_size=3))
def test_no_mutation_of_a_look_up_is_a_crash(rows: Any) -> None:
    found, _ = envelope(written({"items": rows}), QueriedRow)
    for row in found.rows:
        known = facts(row, frozenset(Show), "")
        assert is_sound(QueueRun(UUID(int=1), None, None, facts=known))


@MANY
@given(mutated(QUEUE))
def test_no_mutation_of_a_queue_is_a_crash(row: Any) -> None:
    found = one(written(row), QueueRow, REVIEWERS_LEVEL)
    assert found == page(written([row]), QueueRow, REVIEWERS_LEVEL).rows[0]
    assert isinstance(access_in(found.reviewer_access_mode), Access)
    for each in reviewers_in(found.assigned_reviewers):
        assert each.reviewer_id
        for text in (each.reviewer_id, each.name, each.email):
            assert len(text.encode()) < 2_000
            assert "\0" not in text


def read(body: bytes) -> None:
    """As every kind of answer; an unlawful one is no crash."""
    for decode in (partial(page, row=Row), partial(envelope, row=ItemRow), raw_items, partial(one, row=QueueRow)):
        with contextlib.suppress(UnlawfulError):
            decode(body)


def _cut(body: bytes, where: float, change: bytes) -> bytes:
    at = round(where * len(body))
    return body[:at] + change + body[at + 1 :]


@MANY
@given(st.lists(RUN, min_size=1, max_size=2), st.floats(0, 1), st.binary(max_size=3), st.booleans())
def test_no_damage_to_a_body_is_a_crash(rows: Any, where: float, change: bytes, ends: bool) -> None:  # noqa: FBT001
    body = written(rows)
    for tenth in range(10):
        at = (tenth + where) / 10
        read(body[: round(at * len(body))] if ends else _cut(body, at, change))


@MANY
@given(st.binary(max_size=200))
def test_no_bytes_are_a_crash(body: bytes) -> None:
    read(body)
