"""Pages of a simulated queue, packed in advance so that serving one costs next to nothing.

A page is one gzip member put together from parts that were packed alone: the same bodies stand in every page, only the
short head of each row is new.
"""

from __future__ import annotations

import gzip
import json
import random
import zlib
from dataclasses import dataclass
from functools import cache
from uuid import UUID

BODIES = 16
LARGE = 8000
"""Rows of so many bytes are packed once for all; pages of smaller ones are packed as a whole."""

VOCABULARY = 3000
HEADER = bytes([0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 255])
END = b"\x03\x00"
"""An empty last block of deflate."""


@dataclass(frozen=True, slots=True)
class Part:
    """Some text, and the same packed so that parts can be put together in any order."""

    plain: bytes
    packed: bytes


def queue_id(number: int) -> UUID:
    """The id of the queue of this number."""
    return UUID(int=(0xA11CE << 96) | (4 << 76) | (2 << 62) | number)


def queue_number(text: str) -> int:
    """The number of the queue of this id."""
    return UUID(text).int & 0xFFFFFFFF


def run_name(queue: int, run: int) -> str:
    """The name of a run, by which it is found again in a message."""
    return f"run-{queue}-{run}"


def pack(plain: bytes, strategy: int = zlib.Z_DEFAULT_STRATEGY) -> Part:
    """Pack text by itself: nothing in it refers to what stands before."""
    packer = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS, strategy=strategy)
    return Part(plain, packer.compress(plain) + packer.flush(zlib.Z_FULL_FLUSH))


def put_together(parts: list[Part]) -> bytes:
    """One gzip member."""
    check = length = 0
    for part in parts:
        check = zlib.crc32(part.plain, check)
        length += len(part.plain)
    return b"".join((HEADER, *(part.packed for part in parts), END, check.to_bytes(4, "little"), _size(length)))


def _size(length: int) -> bytes:
    return (length & 0xFFFFFFFF).to_bytes(4, "little")


@cache
def bodies(row: int) -> list[Part]:
    """What is alike in the rows: the inputs and outputs that nobody asked for, `row` bytes each."""
    chance = random.Random(1)  # noqa: S311  the same text in every run, no secret
    words = ["".join(chance.choices("etaoinshrdlu", k=chance.randint(2, 10))) for _ in range(VOCABULARY)]
    phrases = [" ".join(chance.choices(words, k=chance.randint(1, 6))) for _ in range(VOCABULARY)]
    weights = [1 / (rank + 1) for rank in range(VOCABULARY)]
    return [pack(_body(chance.choices(phrases, weights, k=max(row // 12, 1)), row)) for _ in range(BODIES)]


def _body(words: list[str], row: int) -> bytes:
    text = " ".join(words)
    messages = {"messages": [{"role": "user", "content": text[: row // 3]}]}
    answer = {"output": text[row // 3 : row - 500], "usage": {"input_tokens": 812, "output_tokens": 344}}
    rest = {"status": "success", "error": None, "extra": {"metadata": {"revision": "7f3"}}, "feedback_stats": {}}
    return json.dumps({"inputs": messages, "outputs": answer, **rest}).encode()[1:]


@cache
def head(queue: int, run: int) -> Part:
    """What is a row's own, up to where its body goes on."""
    minute, second = divmod(run, 60)
    row = {
        "id": str(UUID(int=(0xBEE << 100) | (queue << 64) | (2 << 62) | run)),
        "queue_run_id": str(UUID(int=(0xCAFE << 96) | (queue << 64) | (2 << 62) | run)),
        "trace_id": str(UUID(int=(0xBEE << 100) | (queue << 64) | (2 << 62) | run)),
        "session_id": str(UUID(int=(0xD0E << 100) | (2 << 62) | queue)),
        "start_time": "2026-03-01T08:00:00.000000",
        "end_time": "2026-03-01T08:00:04.000000",
        "dotted_order": "20260301T080000000000Z",
        "name": run_name(queue, run),
        "run_type": "chain",
        "added_at": f"2026-03-{1 + minute // 1440 % 28:02}T{minute // 60 % 24:02}:{minute % 60:02}:{second:02}.000000Z",
        "effective_added_at": None,
        "reserved_by": [],
        "completed_by": [],
        "tags": ["production", "refund"],
        "app_path": None,
    }
    # Many small blocks with a code of their own each would cost more to unpack than what servers send.
    return pack(json.dumps(row).encode()[:-1] + b", ", zlib.Z_FIXED)


def page(queue: int, runs: range, row: int) -> bytes:
    """A packed JSON array of these runs."""
    filling = bodies(row)
    parts = [part for run in runs for part in (COMMA, head(queue, run), filling[run % BODIES])]
    if row < LARGE:
        return gzip.compress(b"".join((b"[", *(part.plain for part in parts[1:]), b"]")), 6)
    return put_together([OPEN, *parts[1:], CLOSE])


OPEN, COMMA, CLOSE = (pack(text, zlib.Z_FIXED) for text in (b"[", b",", b"]"))
