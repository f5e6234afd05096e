"""Takes a JSON array apart without a parser's recursion: its elements one by one, deep nesting cut to null. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

DEEPEST = 3
"""Levels that are kept, the array itself counted: its elements, and their own lists and objects."""

MOST_VALUES = 200_000
"""Values of an array that are kept at most: a page of a hundred rows of a hundred fields has 10,000."""

# A string may lack its end: it is one token all the same, else each quote in it would start another search to the end.
_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|[\[{]|[\]}]|,', re.DOTALL)


class BrokenError(ValueError):
    """The brackets do not close, something follows the array, or it holds more values than any lawful one."""


def elements(body: bytes, deepest: int = DEEPEST) -> Iterator[bytes]:  # noqa: C901  (a call a token would cost more)
    """Yield each element of the JSON array `body`, with everything nested deeper than `deepest` replaced by null.

    Raises BrokenError at the end where the text is no whole array; whoever asked must then forget what was yielded.
    """
    kept: list[bytes] = []
    depth = 0
    begin = 0
    values = 0
    for token in _TOKEN.finditer(body):
        byte = token[0][:1]
        values += depth <= deepest and byte in b",[{"
        if values > MOST_VALUES:
            raise BrokenError
        if byte in b"[{":
            depth += 1
            if depth == 1:
                begin = token.end()
            elif depth == deepest + 1:
                kept += body[begin : token.start()], b"null"
        elif byte in b"]}":
            depth -= 1
            if depth == deepest:
                begin = token.end()
            elif depth == 0:
                yield from _element(kept, body[begin : token.start()])
                begin = token.end()
                break
        elif byte == b"," and depth == 1:
            yield from _element(kept, body[begin : token.start()])
            kept = []
            begin = token.end()
    if depth != 0 or not body.endswith(b"]") or body[begin:].strip():
        raise BrokenError


def _element(kept: list[bytes], rest: bytes) -> Iterator[bytes]:
    element = b"".join((*kept, rest)).strip()
    if element:
        yield element
