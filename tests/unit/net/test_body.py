from __future__ import annotations

import gzip
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from isal import isal_zlib

from worker.net.body import PIECE, fastest, inflated

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
