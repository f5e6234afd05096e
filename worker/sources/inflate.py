"""Unpacks gzip and deflate piece by piece, so that a small answer cannot become a large one unseen.

Unpacking is most of what a poll of large runs costs. ISA-L does it in less than half of zlib's time, where there is
a wheel of it for the machine; zlib gives the same bytes.
"""

from __future__ import annotations

import zlib
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    Buffer = bytes | memoryview

PIECE = 256 * 1024
"""At most so many bytes are unpacked at once."""

GZIP_OR_ZLIB = zlib.MAX_WBITS | 32


def fastest() -> Any:  # noqa: ANN401  zlib or its like
    """The library that unpacks fastest on this machine."""
    try:
        return import_module("isal.isal_zlib")
    except ImportError:
        return zlib


LIBRARY = fastest()


def inflated(packed: Iterable[Buffer], library: Any = LIBRARY) -> Iterator[bytes]:  # noqa: ANN401  zlib or its like
    """Unpack in pieces of at most `PIECE` bytes; zlib.error where it is broken or ends early.

    What follows the end of the packed stream is passed over.
    """
    try:
        yield from _pieces(packed, library.decompressobj(GZIP_OR_ZLIB))
    except library.error as error:
        raise zlib.error("the packed answer is broken") from error


def _pieces(packed: Iterable[Buffer], inflate: Any) -> Iterator[bytes]:  # noqa: ANN401  zlib's object or its like
    for some in packed:
        rest = some
        while rest and not inflate.eof:
            yield inflate.decompress(rest, PIECE)
            rest = inflate.unconsumed_tail
    while not inflate.eof:
        more = inflate.decompress(b"", PIECE)
        if not more:
            raise zlib.error("the packed answer ends early")
        yield more
