from __future__ import annotations

import gzip
import zlib
from datetime import datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from isal import isal_zlib

from tests.support.builders import NOON
from worker.net.response import LONGEST_RETRY_AFTER, PIECE, fastest, inflated, retry_after

libraries = pytest.mark.parametrize("library", [pytest.param(zlib, id="zlib"), pytest.param(isal_zlib, id="isa-l")])


def cut(packed: bytes, size: int) -> list[bytes]:
    return [packed[at : at + size] for at in range(0, len(packed), size)]


def test_the_faster_library_is_used_where_it_is_installed() -> None:
    assert fastest() is isal_zlib


@libraries
@given(plain=st.binary(max_size=2000), times=st.integers(1, 300), size=st.integers(1, 5000))
def test_what_was_packed_comes_out_again_however_it_arrives(library: Any, plain: bytes, times: int, size: int) -> None:
    whole = plain * times
    for packed in (gzip.compress(whole), zlib.compress(whole)):
        assert b"".join(inflated(cut(packed, size), library)) == whole


@libraries
def test_no_piece_is_larger_than_allowed(library: Any) -> None:
    packed = gzip.compress(bytes(20 * PIECE))
    for size in (500, len(packed)):
        assert max(len(piece) for piece in inflated(cut(packed, size), library)) <= PIECE


@libraries
@given(
    parts=st.lists(st.binary(max_size=300), min_size=2, max_size=5), size=st.integers(1, 200), zeros=st.integers(0, 9)
)
def test_a_body_is_all_its_members(library: Any, parts: list[bytes], size: int, zeros: int) -> None:
    packed = b"".join(map(gzip.compress, parts)) + bytes(zeros)
    assert b"".join(inflated(cut(packed, size), library)) == b"".join(parts)


@libraries
def test_large_members_are_unpacked_piece_by_piece(library: Any) -> None:
    packed = gzip.compress(bytes(3 * PIECE + 1)) * 3
    for size in (500, len(packed)):
        pieces = list(inflated(cut(packed, size), library))
        assert sum(map(len, pieces)) == 3 * (3 * PIECE + 1)
        assert max(map(len, pieces)) <= PIECE


@libraries
@pytest.mark.parametrize(
    "more",
    [b"more", b"\0more", gzip.compress(b"more")[:-1], gzip.compress(b"more")[:3], gzip.compress(b"a") + b"x"],
    ids=["a word", "zeros and a word", "a member without its end", "the head of a member", "a member and a letter"],
)
@pytest.mark.parametrize("size", [1, 1000])
def test_what_follows_the_end_is_an_error(library: Any, more: bytes, size: int) -> None:
    with pytest.raises(zlib.error):
        list(inflated(cut(gzip.compress(b"text") + more, size), library))


@libraries
@given(data=st.data())
def test_an_early_end_is_never_taken_for_the_end(library: Any, data: st.DataObject) -> None:
    packed = gzip.compress(b"the whole answer " * 100)
    length = data.draw(st.integers(0, len(packed) - 1))
    with pytest.raises(zlib.error):
        list(inflated([packed[:length]], library))


@libraries
@pytest.mark.parametrize(
    "packed",
    [
        pytest.param(b"[1, 2]", id="not packed at all"),
        pytest.param(gzip.compress(b"text")[:-8] + bytes(8), id="a wrong checksum"),
        pytest.param(gzip.compress(b"text" * 99).replace(b"t", b"\xff"), id="broken in the middle"),
    ],
)
def test_what_is_broken_is_an_error(library: Any, packed: bytes) -> None:
    with pytest.raises(zlib.error):
        list(inflated([packed], library))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param("120", timedelta(minutes=2), id="seconds"),
        pytest.param(" 7 ", timedelta(seconds=7), id="seconds among blanks"),
        pytest.param("0", timedelta(0), id="at once"),
        pytest.param("1.5", timedelta(seconds=1), id="a fraction"),
        pytest.param("0000000000000060", timedelta(minutes=1), id="zeros before"),
        pytest.param("999999999", LONGEST_RETRY_AFTER, id="thirty years"),
        pytest.param("9999999999", LONGEST_RETRY_AFTER, id="ten digits"),
        pytest.param("9" * 10_000, LONGEST_RETRY_AFTER, id="absurd"),
        pytest.param("Mon, 02 Mar 2026 12:05:00 GMT", timedelta(minutes=5), id="a date"),
        pytest.param("Mon, 02 Mar 2026 12:05:00", timedelta(minutes=5), id="a date without a zone"),
        pytest.param("Fri, 31 Dec 9999 23:59:59 GMT", LONGEST_RETRY_AFTER, id="the last date"),
        pytest.param("Mon, 02 Mar 2026 11:00:00 GMT", None, id="a date in the past"),
        pytest.param("-5", None, id="negative"),
        pytest.param("1e9", None, id="an exponent"),
        pytest.param("soon", None, id="a word"),
        pytest.param("", None, id="nothing"),
        pytest.param("NaN", None, id="NaN"),
        pytest.param("٣", None, id="a digit of another script"),
        pytest.param("Mon, 99 Foo 2026 12:05:00 GMT", None, id="no date"),
    ],
)
@pytest.mark.parametrize("name", ["Retry-After", "retry-after"])
def test_a_wish_is_read_or_ignored(name: str, value: str, expected: timedelta | None) -> None:
    assert retry_after({name: value}, NOON) == expected


def test_a_date_is_judged_by_the_clock_of_the_answer() -> None:
    headers = {"Retry-After": "Mon, 02 Mar 2026 18:05:00 GMT", "Date": "Mon, 02 Mar 2026 18:00:00 GMT"}
    assert retry_after(headers, NOON) == timedelta(minutes=5)
    assert retry_after(headers | {"Date": "soon"}, NOON) == timedelta(hours=6, minutes=5)


def test_without_a_wish_there_is_none() -> None:
    assert retry_after({"Date": "Mon, 02 Mar 2026 18:00:00 GMT"}, NOON) is None


@given(st.text() | st.datetimes(min_value=datetime(1900, 1, 1)).map(format_datetime))  # noqa: DTZ001  as headers are
def test_no_wish_is_too_strange(value: str) -> None:
    found = retry_after({"retry-after": value, "date": value}, NOON)
    assert found is None or timedelta(0) <= found <= LONGEST_RETRY_AFTER
