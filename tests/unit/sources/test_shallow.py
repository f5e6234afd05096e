"""An array taken apart without recursion."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.sources.langsmith.wire import MOST_VALUES_ONE_BY_ONE, BrokenError, elements

FLAT = st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False, allow_infinity=False)
ROWS = FLAT | st.lists(FLAT, max_size=3) | st.dictionaries(st.text(), FLAT | st.lists(FLAT, max_size=3), max_size=4)


def apart(value: Any) -> Any:
    return [json.loads(element) for element in elements(value)]


@given(st.lists(ROWS, max_size=5), st.sampled_from([None, 1]), st.booleans())
def test_flat_elements_come_out_as_they_went_in(rows: Any, indent: Any, ascii_only: Any) -> None:
    assert apart(json.dumps(rows, indent=indent, ensure_ascii=ascii_only).encode()) == rows


def test_what_is_nested_deeper_becomes_null() -> None:
    rows = [{"id": 1, "tags": ["a", "b"], "inputs": {"x": {"y": [1]}, "z": [2]}}, [[[[7]]]]]
    assert apart(json.dumps(rows).encode()) == [
        {"id": 1, "tags": ["a", "b"], "inputs": {"x": None, "z": None}},
        [[None]],
    ]


@pytest.mark.parametrize("value", [b"1", b"{}"])
@pytest.mark.parametrize(
    ("begin", "end"), [(b"[", b"]"), (b'[{"id":1,"tags":[', b"]}]")], ids=["as elements", "inside of one"]
)
def test_more_values_than_any_page_has_are_not_taken_apart(begin: bytes, value: bytes, end: bytes) -> None:
    with pytest.raises(BrokenError):
        list(elements(begin + (value + b",") * MOST_VALUES_ONE_BY_ONE + value + end))


def test_values_that_are_cut_away_anyhow_do_not_count() -> None:
    body = b'[{"id":1,"inputs":[[' + b"1," * MOST_VALUES_ONE_BY_ONE + b"1]]},{}]"
    assert apart(body) == [{"id": 1, "inputs": [None]}, {}]


def test_nesting_without_end_costs_only_itself() -> None:
    body = b'[{"id":1,"inputs":' + b"[" * 200_000 + b"]" * 200_000 + b'},{"id":2}]'
    assert apart(body) == [{"id": 1, "inputs": [None]}, {"id": 2}]


@pytest.mark.parametrize(
    "body",
    [b"[1", b"[1]]", b'["a]', b"[1] 2", b'[{"a":1}', b"[1}", b'["' + b'\\"' * 100_000],
)
def test_what_is_no_whole_array_is_told_at_the_end(body: bytes) -> None:
    begin = time.perf_counter()
    with pytest.raises(BrokenError):
        list(elements(body))
    assert time.perf_counter() - begin < 30


@given(st.binary(max_size=60))
def test_no_bytes_are_too_strange(body: bytes) -> None:
    try:
        found = list(elements(b"[" + body))
    except BrokenError:
        return
    assert all(isinstance(element, bytes) for element in found)
