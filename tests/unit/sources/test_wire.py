"""How bodies become rows."""

from __future__ import annotations

import json
from typing import Any

import pytest

from worker.sources.langsmith.wire import MOST_VALUES, ItemRow, QueueRow, Row, UnlawfulError, envelope, one, page

A, B, C = ({"queue_run_id": str(n), "name": f"run {n}", "inputs": {"deep": [1, {"x": 2}]}} for n in range(3))


def ids(found: Any) -> Any:
    return [row.queue_run_id for row in found.rows]


def with_raw(field: Any, raw: Any) -> Any:
    """Three rows, the middle one with a raw JSON value."""
    middle = json.dumps(B)[:-1] + f', "{field}": '
    return b"[" + json.dumps(A).encode() + b"," + middle.encode() + raw + b"}," + json.dumps(C).encode() + b"]"


@pytest.mark.parametrize("field", ["inputs", "name", "added_at", "total_tokens"])
@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(rb'"\ud800"', id="a lone surrogate"),
        pytest.param(rb'"a\udfffb"', id="a lone second half"),
        pytest.param(b"NaN", id="NaN"),
        pytest.param(b"-Infinity", id="minus infinity"),
        pytest.param(b"1" * 10_000, id="a number of 10,000 digits"),
        pytest.param(b"-" + b"9" * 10_000, id="a negative number of 10,000 digits"),
        pytest.param(b"1e999999", id="a number beyond any float"),
        pytest.param(b"[" * 50_000 + b"]" * 50_000, id="nesting without end"),
        pytest.param(b'{"a":' * 5_000 + b"1" + b"}" * 5_000, id="objects without end"),
        pytest.param(b'"a\nb\x01"', id="control characters"),
        pytest.param(b'"\xff\xfe"', id="bytes that are no UTF-8"),
        pytest.param(b'{"a": 1}', id="an object"),
        pytest.param(b"[1, 2]", id="a list"),
        pytest.param(b"true", id="a truth value"),
        pytest.param(b"null", id="null"),
        pytest.param(b'1, "name": "twice"', id="the same key twice"),
    ],
)
def test_one_strange_value_costs_no_row(field: Any, raw: Any) -> None:
    found = page(with_raw(field, raw), Row)
    assert ids(found) == ["0", "1", "2"]
    assert found.rows[0].name == "run 0"
    assert found.unusable == 0


def test_rows_among_more_values_than_are_decoded_in_one_go_are_found_all_the_same() -> None:
    found = page(with_raw("inputs", b'{"text":"' + b"and, " * MOST_VALUES + b'"}'), Row)
    assert ids(found) == ["0", "1", "2"]
    assert found.unusable == 0


@pytest.mark.parametrize("read", [page, envelope, one])
def test_more_values_of_our_own_concern_than_any_answer_has_are_unlawful(read: Any) -> None:
    body = b'{"items":[' + b"{}," * MOST_VALUES + b"{}]}"
    with pytest.raises(UnlawfulError):
        read(body if read is not page else b"[%b]" % body, QueueRow)


@pytest.mark.parametrize("other", [b"1", b'"text"', b"null", b"[1]", b"true"])
def test_a_row_that_is_none_is_counted(other: Any) -> None:
    found = page(b"[" + json.dumps(A).encode() + b"," + other + b"," + json.dumps(C).encode() + b"]", Row)
    assert ids(found) == ["0", "2"]
    assert found.unusable == 1
    assert found.size == 3


def test_a_row_of_broken_text_is_counted() -> None:
    found = page(b'[{"queue_run_id":"0"},{"queue_run_id" "1"},{"queue_run_id":"2"}]', Row)
    assert (ids(found), found.unusable) == (["0", "2"], 1)


@pytest.mark.parametrize("body", [b"[]", b" [ ] ", b"\xef\xbb\xbf[]"])
def test_an_empty_list_is_lawful(body: bytes) -> None:
    assert page(body, Row).size == 0


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"", "empty"),
        (b"   ", "empty"),
        (b"<!DOCTYPE html><html></html>", "web page"),
        (b'{"detail": "secret of a run"}', "not a list"),
        (b"null", "not a list"),
        (b'"text"', "not a list"),
        (b"42", "not a list"),
        (b'[{"queue_run_id":"0"},{"queue_', "broken"),
        (b'[{"queue_run_id":"0"}', "broken"),
        (b'[{"queue_run_id":"0"}] trailing', "broken"),
        (b"[" * 100_000, "broken"),
        (b"\x00\x01\x02", "not a list"),
    ],
)
def test_a_body_that_is_no_list_is_refused_without_its_content(body: bytes, told: Any) -> None:
    with pytest.raises(UnlawfulError, match=told) as caught:
        page(body, Row)
    assert "secret" not in str(caught.value)


def item(number: Any, **more: Any) -> Any:
    return {"id": str(number), "run_id": str(number), **more}


@pytest.mark.parametrize("raw", [rb'"\ud800"', b"NaN", b"1" * 10_000, b"[" * 50_000 + b"]" * 50_000, b'{"a":[1]}'])
def test_one_strange_value_costs_no_item(raw: Any) -> None:
    body = b'{"items":[{"id":"0"},{"id":"1","x":%b,"reserved_by":["a"]},{"id":"2"}],"next_cursor":"more"}' % raw
    found, cursor = envelope(body, ItemRow)
    assert [row.id for row in found.rows] == ["0", "1", "2"]
    assert found.rows[1].reserved_by == ["a"]
    assert cursor == "more"


@pytest.mark.parametrize(
    ("body", "cursor"),
    [
        (b'{"items":[]}', ""),
        (b'{"items":null}', ""),
        (b"{}", ""),
        (b'{"next_cursor":null,"items":[]}', ""),
        (b'{"next_cursor":"","items":[]}', ""),
        (b'{"next_cursor":7,"items":[]}', ""),
        (b'{"next_cursor":"x","items":[]}', "x"),
    ],
)
def test_an_envelope_may_be_empty(body: bytes, cursor: Any) -> None:
    assert envelope(body, ItemRow) == (page(b"[]", ItemRow), cursor)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"<html>",
        b'{"detail":"trouble"}',
        b'{"error":"trouble","next_cursor":""}',
        b'{"items":{}}',
        b'{"items":"none"}',
        b'{"items":[{"id":"1"}',
        b'{"items":[{"id":"1"}]}}',
        b'{"items":[]} x',
    ],
)
def test_an_error_that_arrives_as_a_success_is_no_empty_queue(body: bytes) -> None:
    with pytest.raises(UnlawfulError):
        envelope(body, ItemRow)


def test_an_item_that_is_none_is_counted() -> None:
    found, _ = envelope(b'{"items":[{"id":"0"},7,null]}', ItemRow)
    assert ([row.id for row in found.rows], found.unusable) == (["0"], 2)


def test_one_object_is_read_even_when_strange() -> None:
    assert one(rb'{"name":"a\ud800","tenant_id":7,"x":NaN}', QueueRow).name == "a\ud800"


@pytest.mark.parametrize("body", [b"", b"[]", b"<html>", b"null", b'{"name"', b"{} {}", b"{}]"])
def test_what_is_no_object_is_refused(body: bytes) -> None:
    with pytest.raises(UnlawfulError):
        one(body, QueueRow)
