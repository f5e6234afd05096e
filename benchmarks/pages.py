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

TENANT = "11111111-2222-4333-8444-555555555555"
BODIES = 16
TURN = 1000
HEAD = 900
"""About so many bytes of a row are its own."""

LARGE = 8000
"""Rows of so many bytes are packed once for all; pages of smaller ones are packed as a whole."""

VOCABULARY = 3000
HEADER = bytes([0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 255])
END = b"\x03\x00"
"""An empty last block of deflate."""

NOTHING = (
    "inputs_preview",
    "error",
    "serialized",
    "outputs_preview",
    "parent_run_id",
    "manifest_id",
    "manifest_s3_id",
    "inputs_s3_urls",
    "outputs_s3_urls",
    "trace_min_start_time",
    "trace_max_start_time",
    "child_run_ids",
    "direct_child_run_ids",
    "parent_run_ids",
    "reference_example_id",
    "prompt_token_details",
    "completion_token_details",
    "prompt_cost_details",
    "completion_cost_details",
    "price_model_id",
    "messages",
    "last_queued_at",
    "share_token",
    "ttl_seconds",
    "reference_dataset_id",
    "thread_id",
    "last_reviewed_time",
    "source_proposed_example_id",
)

REST = {
    "status": "success",
    "execution_order": 1,
    "extra": {
        "metadata": {"ls_provider": "openai", "ls_model_name": "gpt-4o", "ls_temperature": 0.2, "revision_id": "7f3"},
        "runtime": {"sdk": "langsmith-py", "sdk_version": "0.4.1", "platform": "Linux", "runtime_version": "3.12.3"},
    },
    "events": [{"name": "start", "time": "2026-03-01T08:00:00Z"}, {"name": "end", "time": "2026-03-01T08:00:04Z"}],
    "s3_urls": {},
    "feedback_stats": {"helpful": {"n": 2, "avg": 0.5, "values": {}}},
    "total_tokens": 1156,
    "prompt_tokens": 812,
    "completion_tokens": 344,
    "total_cost": "0.0054",
    "prompt_cost": "0.0020",
    "completion_cost": "0.0034",
    "first_token_time": "2026-03-01T08:00:01.000000",
    "in_dataset": False,
    "trace_tier": "longlived",
    "trace_first_received_at": "2026-03-01T08:00:05.000000",
    "trace_upgrade": False,
    **dict.fromkeys(NOTHING),
}
"""What is alike in every row, beside inputs and outputs."""


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
    """What a run of a chat looks like: a few turns of about a kilobyte, one answer, and every field that there is."""
    left = max(row - HEAD - len(json.dumps(REST)), 0)
    text = " ".join(words)[: left * TURN // (TURN + len(json.dumps(_message(0, ""))))]
    turns = [text[at : at + TURN] for at in range(0, len(text), TURN)]
    said = {
        "inputs": {"messages": [_message(number, turn) for number, turn in enumerate(turns[:-1])]},
        "outputs": {"generations": [[{"text": turns[-1] if turns else "", "message": _message(1, "")}]]},
    }
    return json.dumps(said | REST).encode()[1:]


def _message(number: int, content: str) -> dict[str, object]:
    author = ("human", "ai")[number % 2]
    about = {"additional_kwargs": {}, "response_metadata": {"finish_reason": "stop"}, "id": f"run-{number}"}
    return {"type": author, "data": {"content": content, "name": None, **about}}


@cache
def head(queue: int, run: int) -> Part:
    """What is a row's own, up to where its body goes on."""
    minute, second = divmod(run, 60)
    run_id = str(UUID(int=(0xBEE << 100) | (queue << 64) | (2 << 62) | run))
    project_id = str(UUID(int=(0xD0E << 100) | (2 << 62) | queue))
    row = {
        "id": run_id,
        "queue_run_id": str(UUID(int=(0xCAFE << 96) | (queue << 64) | (2 << 62) | run)),
        "trace_id": run_id,
        "session_id": project_id,
        "start_time": "2026-03-01T08:00:00.000000",
        "end_time": "2026-03-01T08:00:04.000000",
        "dotted_order": f"20260301T080000000000Z{run_id}",
        "name": run_name(queue, run),
        "run_type": "chain",
        "added_at": f"2026-03-{1 + minute // 1440 % 28:02}T{minute // 60 % 24:02}:{minute % 60:02}:{second:02}.000000Z",
        "effective_added_at": None,
        "reserved_by": [],
        "completed_by": [],
        "tags": ["production", "refund"],
        "app_path": f"/o/{TENANT}/projects/p/{project_id}/r/{run_id}",
    }
    # Many small blocks with a code of their own each would cost more to unpack than what servers send.
    return pack(json.dumps(row).encode()[:-1] + b", ", zlib.Z_FIXED)


def page(queue: int, runs: range, row: int, edition: int) -> bytes:
    """A packed JSON array of these runs. Each `edition` has other bytes for the same content."""
    filling = bodies(row)
    parts = [part for run in runs for part in (COMMA, head(queue, run), filling[run % BODIES])]
    opening = opened(edition)
    if row < LARGE:
        return gzip.compress(b"".join((opening.plain, *(part.plain for part in parts[1:]), b"]")), 6)
    return put_together([opening, *parts[1:], CLOSE])


@cache
def opened(edition: int) -> Part:
    """The beginning of a page."""
    return pack(b"[" + b" " * edition, zlib.Z_FIXED)


COMMA, CLOSE = (pack(text, zlib.Z_FIXED) for text in (b",", b"]"))


def item(queue: int, run: int) -> dict[str, object]:
    """A row of the listing by cursor: who waits, and where its run is to be looked up."""
    row = json.loads(head(queue, run).plain[:-2] + b"}")
    return {
        "id": row["queue_run_id"],
        "queue_id": str(queue_id(queue)),
        "item_type": "RUN",
        "run_id": row["id"],
        "thread_id": None,
        "project_id": row["session_id"],
        "start_time": row["start_time"] + "Z",
        "added_at": row["added_at"],
        "effective_added_at": row["added_at"],
        "last_reviewed_time": None,
        "reserved_by": [],
        "completed_by": [],
    }


def items(queue: int, runs: range, cursor: str) -> bytes:
    """A packed page of these runs; `cursor` is that of the next, '' on the last."""
    rows = [item(queue, run) for run in runs]
    page = {"items": rows, "next_cursor": cursor or None, "previous_cursor": None}
    return gzip.compress(json.dumps(page, separators=(",", ":")).encode(), 6, mtime=0)
