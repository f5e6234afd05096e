"""An answer: its body, and the wait that it asks for.

A body is unpacked in pieces, so that a small one cannot become large unnoticed.
"""

from __future__ import annotations

import contextlib
import re
import zlib
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from importlib import import_module
from itertools import chain
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from worker.net.failures import FAILURES, FailureKind, NetError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    Buffer = bytes | memoryview

PIECE = 256 * 1024
"""The number of bytes that are unpacked at once."""

GZIP_OR_ZLIB = zlib.MAX_WBITS | 32
_LAST = memoryview(b"")
"""Comes after the last piece, to fetch the bytes that the library has unpacked and held back."""

LONGEST_RETRY_AFTER = timedelta(days=365)
"""The longest wait that is read; whether it is granted is not decided here."""

_SECONDS = re.compile(r"([0-9]+)(?:\.[0-9]*)?")
_MOST_DIGITS = 9


class Response(Struct, frozen=True):
    """An answer whose body is still to be read. `headers` have names in lower case, `raw` is the body as it comes."""

    status: int
    headers: Mapping[str, str]
    raw: Iterator[bytes]

    @property
    def encoding(self) -> str:
        """The encoding of the body; '' for none."""
        return self.headers.get("content-encoding", "").strip().lower()

    def read(self, most: int) -> bytearray:
        """The whole body, unpacked. Raises NetError, also for one over `most` bytes."""
        return read_whole(self.raw, self.encoding, most=most)

    def beginning(self, most: int) -> bytes:
        """The beginning of an error's body: about `most` bytes, or less where it breaks off."""
        body = b""
        with contextlib.suppress(NetError, zlib.error, *FAILURES):
            for piece in unpacked(self.raw, self.encoding):
                body += piece
                if len(body) > most:
                    break
        return body

    def wish(self, now: datetime) -> timedelta | None:
        """The wait that the server asks for."""
        return retry_after(self.headers, now)


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


def retry_after(headers: Mapping[str, str], now: datetime) -> timedelta | None:
    """Seconds or a date, by the clock of the answer where it has a `Date`; None for nonsense and for the past."""
    given = {name.lower(): value for name, value in headers.items() if name.lower() in {"retry-after", "date"}}
    value = given.get("retry-after", "").strip()
    if seconds := _SECONDS.fullmatch(value):
        # There may be any number of digits, and a timedelta takes no more than so many.
        digits = seconds[1].lstrip("0") or "0"
        return (
            LONGEST_RETRY_AFTER
            if len(digits) > _MOST_DIGITS
            else min(timedelta(seconds=int(digits)), LONGEST_RETRY_AFTER)
        )
    at = _date(value)
    wish = None if at is None else at - (_date(given.get("date", "")) or now)
    return min(wish, LONGEST_RETRY_AFTER) if wish is not None and wish > timedelta(0) else None


def _date(value: str) -> datetime | None:
    try:
        at = parsedate_to_datetime(value)
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
