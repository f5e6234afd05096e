"""Unpacks gzip and deflate piece by piece, so that a small answer cannot become a large one unnoticed."""

from __future__ import annotations

import zlib
from importlib import import_module
from itertools import chain
from typing import TYPE_CHECKING, Any

from worker.net.failures import FailureKind, NetError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    Buffer = bytes | memoryview

PIECE = 256 * 1024
"""The number of bytes that are unpacked at once."""

GZIP_OR_ZLIB = zlib.MAX_WBITS | 32
_LAST = memoryview(b"")
"""Comes after the last piece, to fetch the bytes that the library has unpacked and held back."""


def fastest() -> Any:  # noqa: ANN401  zlib or its like
    """The library that unpacks fastest on this machine."""
    # Unpacking is most of the cost of a poll of large runs. ISA-L needs less than half of zlib's time, where there is a
    # wheel of it for the machine; zlib gives the same bytes.
    try:
        return import_module("isal.isal_zlib")
    except ImportError:
        return zlib


LIBRARY = fastest()


def unpacked(packed: Iterable[Buffer], encoding: str) -> Iterable[Buffer]:
    """The body in pieces of bounded size, unpacked. Raises NetError, and zlib.error as `inflated` does."""
    if encoding in {"", "identity"}:
        return packed
    if encoding in {"gzip", "x-gzip", "deflate"}:
        return inflated(packed)
    raise NetError(FailureKind.ENCODING, "the answer is in an encoding that was not asked for")


def read_whole(
    packed: Iterable[Buffer], encoding: str, *, most: int, grown: Callable[[int], object] = lambda _size: None
) -> bytearray:
    """The whole body, unpacked; `grown` is called with its size as that grows. Raises NetError, also over `most`."""
    body = bytearray()
    try:
        for piece in unpacked(packed, encoding):
            body += piece
            if len(body) > most:
                raise NetError(FailureKind.TOO_LARGE, f"the answer is larger than {most // 1024 // 1024} MB")
            grown(len(body))
    except zlib.error as error:
        raise NetError(FailureKind.UNREADABLE, str(error)) from None
    return body


def inflated(packed: Iterable[Buffer], library: Any = LIBRARY) -> Iterator[bytes]:  # noqa: ANN401  zlib or its like
    """Unpack in pieces of at most `PIECE` bytes. Raises zlib.error for a body that is broken or ends early.

    A gzip body may have several members. Zeros may follow its end; anything else there is an error.
    """
    try:
        yield from _pieces(packed, library)
    except library.error as error:
        raise zlib.error("the packed answer is broken") from error


def _pieces(packed: Iterable[Buffer], library: Any) -> Iterator[bytes]:  # noqa: ANN401  zlib or its like
    inflate = library.decompressobj(GZIP_OR_ZLIB)
    for some in chain["Buffer"](packed, (_LAST,)):
        rest = some
        while rest or (some is _LAST and not inflate.eof):
            if inflate.eof:
                if not bytes(rest).strip(b"\0"):
                    break
                inflate = library.decompressobj(GZIP_OR_ZLIB)
            piece = inflate.decompress(rest, PIECE)
            if some is _LAST and not piece and not inflate.eof:
                raise zlib.error("the packed answer ends early")
            yield piece
            rest = inflate.unused_data if inflate.eof else inflate.unconsumed_tail
