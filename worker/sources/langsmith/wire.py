"""The answers of LangSmith as structs with only the needed fields, and how a body becomes rows. Pure.

A lawful page is decoded in one go. Where one value in it makes the decoder refuse the whole page (a lone surrogate,
NaN, a number of 10,000 digits, nesting without end), the page is taken apart and each row is decoded on its own.
"""

from __future__ import annotations

import contextlib
import json
import re
from datetime import datetime  # noqa: TC003  a field's type, by which it is decoded
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from uuid import UUID  # noqa: TC003

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

LONGEST_NUMBER = 18
"""Digits that an integer of any use here can have."""

MOST_VALUES = 2_000_000
"""Values of an answer that are decoded in one go: each may become an object, and there is room for 64 MB of them."""

SMALL_BYTES = 4 * 1024 * 1024
"""Too few for that many values."""

DEEPEST = 3
"""Levels that are kept, the array itself counted: its elements, and their own lists and objects."""

BOM = b"\xef\xbb\xbf"
ENVELOPE = {"items", "next_cursor", "previous_cursor"}


class UnlawfulError(Exception):
    """A body that is not what the specification says; `str()` says how, without any of its content."""


class BriefRow(msgspec.Struct, frozen=True, gc=False):
    """One row of `runs` without its long texts. Any type is taken: one wrong value must not cost the whole page."""

    queue_run_id: Any = None
    id: Any = None
    session_id: Any = None
    name: Any = None
    run_type: Any = None
    added_at: Any = None
    effective_added_at: Any = None
    assigned_to: Any = None
    reserved_by: Any = None
    completed_by: Any = None
    app_path: Any = None
    tags: Any = None
    thread_id: Any = None
    total_tokens: Any = None
    total_cost: Any = None
    trace_tier: Any = None
    trace_first_received_at: Any = None
    ttl_seconds: Any = None


class Row(BriefRow, frozen=True, gc=False):
    """One row of `runs` with the texts that few want to be shown."""

    error: Any = None
    inputs_preview: Any = None
    outputs_preview: Any = None


class WholeRow(Row, frozen=True, gc=False):
    """One row of `runs` with what only filters need."""

    feedback_stats: Any = msgspec.UNSET


class ItemRow(msgspec.Struct, frozen=True, gc=False):
    """One row of `items` of any kind: membership only."""

    id: Any = None
    item_type: Any = None
    run_id: Any = None
    thread_id: Any = None
    project_id: Any = None
    start_time: Any = None
    added_at: Any = None
    effective_added_at: Any = None
    assigned_to: Any = None
    reserved_by: Any = None
    completed_by: Any = None


class LawfulItem(msgspec.Struct, frozen=True, gc=False):
    """The same as the specification has it: values are made while it is decoded, which costs least."""

    id: UUID | None = None
    item_type: str | None = None
    run_id: UUID | None = None
    thread_id: str | None = None
    project_id: str | None = None
    start_time: datetime | None = None
    added_at: datetime | None = None
    effective_added_at: datetime | None = None
    assigned_to: list[Any] | None = None
    reserved_by: list[Any] | None = None
    completed_by: list[Any] | None = None


class QueriedRow(msgspec.Struct, frozen=True, gc=False):
    """One run of `runs/query`, with whatever was selected."""

    id: Any = None
    name: Any = None
    run_type: Any = None
    tags: Any = None
    error: Any = None
    inputs_preview: Any = None
    outputs_preview: Any = None
    thread_id: Any = None
    total_tokens: Any = None
    total_cost: Any = None
    feedback_stats: Any = None


class Placed(msgspec.Struct, frozen=True, gc=False):
    """Where an item is now."""

    section: Any = None


class Counted(msgspec.Struct, frozen=True, gc=False):
    """How many there are, in the words of either endpoint."""

    size: Any = None
    count: Any = None


class QueueRow(msgspec.Struct, frozen=True, gc=False):
    """One annotation queue, as its own endpoint and the list of queues show it."""

    id: Any = None
    name: Any = None
    tenant_id: Any = None
    num_reviewers_per_item: Any = None
    reviewer_access_mode: Any = None
    assigned_reviewers: Any = None
    total_runs: Any = None


class ReviewerRow(msgspec.Struct, frozen=True, gc=False):
    """One assigned reviewer of a queue."""

    id: Any = None
    name: Any = None
    email: Any = None


class MemberRow(msgspec.Struct, frozen=True, gc=False):
    """One member of the workspace."""

    id: Any = None
    ls_user_id: Any = None
    user_id: Any = None
    email: Any = None
    display_name: Any = None
    full_name: Any = None
    is_disabled: Any = None


_T = TypeVar("_T")
RowT = TypeVar("RowT", bound=msgspec.Struct)


class Envelope(msgspec.Struct, Generic[RowT], frozen=True):
    """A page of a list by cursor."""

    items: list[RowT] | msgspec.UnsetType | None = msgspec.UNSET
    next_cursor: Any = None


class RawEnvelope(msgspec.Struct, frozen=True):
    """The same with its rows as they came."""

    items: list[msgspec.Raw] | msgspec.UnsetType | None = msgspec.UNSET
    next_cursor: Any = None


class Page(msgspec.Struct, Generic[RowT], frozen=True):
    """The rows of one answer, and how many more there were that could not be read."""

    rows: Sequence[RowT]
    unusable: int = 0

    @property
    def size(self) -> int:
        """How many rows the server sent."""
        return len(self.rows) + self.unusable


def page(body: bytes | bytearray, row: type[RowT], deepest: int = DEEPEST) -> Page[RowT]:
    """Decode a JSON array of rows; of a body that is taken apart, what is nested deeper than `deepest` is lost.

    Raises UnlawfulError where the body is not one array.
    """
    try:
        return Page(_decoded(body, list[row]))  # type: ignore[valid-type]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _row_by_row(_array(body), row, deepest)


def envelope(body: bytes | bytearray, row: type[RowT]) -> tuple[Page[RowT], str]:
    """Decode an object with `items` and `next_cursor`; '' is the cursor of the last page.

    Raises UnlawfulError where the body is something else. Nothing but the list may be left out: an error that
    arrives as a success must never look like an empty queue.
    """
    try:
        found = _decoded(body, Envelope[row])  # type: ignore[valid-type]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _envelope_leniently(body, row)
    if found.items is msgspec.UNSET:
        return _envelope_leniently(body, row)
    return Page(found.items or []), _cursor(found.next_cursor)


def raw_items(body: bytes | bytearray) -> tuple[list[bytes], str]:
    """The rows of such an object as they came, and the cursor. Raises UnlawfulError as `envelope` does."""
    try:
        found = _decoded(body, RawEnvelope)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        found = RawEnvelope()
    if found.items is msgspec.UNSET:
        items, cursor = _envelope_as_it_is(body)
        return [json.dumps(each).encode() for each in items], cursor
    return list(map(bytes, found.items or ())), _cursor(found.next_cursor)


def read_items(rows: Sequence[bytes]) -> Sequence[LawfulItem | ItemRow | None]:
    """Decode rows of `items`; None for each that is no object."""
    try:
        return _decoded(b"[%b]" % b",".join(rows), list[LawfulItem])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return [_item(row) for row in rows]


def _item(row: bytes) -> LawfulItem | ItemRow | None:
    with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _decoded(row, LawfulItem)
    with contextlib.suppress(UnlawfulError):
        return one(row, ItemRow)
    return None


def one(body: bytes | bytearray, row: type[RowT], deepest: int = DEEPEST) -> RowT:
    """Decode a JSON object, which stands on the second level.

    Raises UnlawfulError where the body is not one object.
    """
    try:
        return _decoded(body, row)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        page = _row_by_row(b"[%b]" % _object(body), row, deepest)
    if page.unusable:
        raise UnlawfulError("the answer is broken JSON")
    return page.rows[0]


def _decoded(body: bytes | bytearray, wanted: type[_T]) -> _T:
    """Decode a body in one go.

    Raises msgspec.DecodeError also where so many values could be in it that they would fill the memory.
    """
    # Counted, not parsed: a billion empty lists would fill the memory before any check.
    if len(body) > SMALL_BYTES and sum(body.count(sign) for sign in b",[{") > MOST_VALUES:
        raise msgspec.DecodeError("too many values")
    return msgspec.json.decode(body, type=wanted)


def parts(value: object, row: type[RowT], most: int) -> Iterator[RowT]:
    """The first `most` objects of a list within a row, with the needed fields; none where it is no list."""
    for found in value[:most] if isinstance(value, list) else ():
        if isinstance(found, dict):
            yield _row(found, row)


def _array(body: bytes | bytearray) -> bytes:
    return _beginning(body, b"[", "a list")


def _object(body: bytes | bytearray) -> bytes:
    return _beginning(body, b"{", "an object")


def _beginning(body: bytes | bytearray, opening: bytes, wanted: str) -> bytes:
    stripped = bytes(body).removeprefix(BOM).strip()
    if not stripped:
        raise UnlawfulError("the answer is empty")
    if stripped.startswith(b"<"):
        raise UnlawfulError("the answer is a web page instead of JSON")
    if not stripped.startswith(opening):
        raise UnlawfulError(f"the answer is not {wanted}")
    return stripped


def _row_by_row(body: bytes, row: type[RowT], deepest: int) -> Page[RowT]:
    try:
        return _rows(elements(body, deepest), row)
    except BrokenError as error:
        raise UnlawfulError("the answer is broken JSON") from error


def _rows(found: Iterable[bytes | object], row: type[RowT]) -> Page[RowT]:
    rows = []
    unusable = 0
    for element in found:
        try:
            rows.append(_row(_load(element) if isinstance(element, bytes) else element, row))
        except (ValueError, RecursionError):
            unusable += 1
    return Page(rows, unusable)


def _envelope_leniently(body: bytes | bytearray, row: type[RowT]) -> tuple[Page[RowT], str]:
    items, cursor = _envelope_as_it_is(body)
    return _rows(items, row), cursor


def _envelope_as_it_is(body: bytes | bytearray) -> tuple[Sequence[object], str]:
    """The rows of an envelope lie two levels deeper than those of a list."""
    try:
        (whole,) = elements(b"[%b]" % _object(body), deepest=DEEPEST + 2)
        found = _load(whole)
    except (ValueError, RecursionError) as error:
        raise UnlawfulError("the answer is broken JSON") from error
    if not isinstance(found, dict) or ("items" not in found and not found.keys() <= ENVELOPE):
        raise UnlawfulError("the answer is not a list of items")
    items = found.get("items")
    if not isinstance(items, list | None):
        raise UnlawfulError("the answer is not a list of items")
    return items or (), _cursor(found.get("next_cursor"))


def _load(element: bytes) -> object:
    """Read JSON with the standard library, which takes surrogates, NaN and control characters."""
    # Broken bytes cost a character, not the row.
    text = element.decode("utf-8", "replace")
    found: object = json.loads(text, strict=False, parse_int=_whole, parse_constant=_nothing)
    return found


def _row(found: object, row: type[RowT]) -> RowT:
    """Take the needed fields of one row.

    Raises ValueError where it is no object.
    """
    if not isinstance(found, dict):
        raise ValueError("not an object")  # noqa: TRY004  (one error for every row that is none)
    return row(**{name: found[name] for name in row.__struct_fields__ if name in found})


def _cursor(value: object) -> str:
    return value if isinstance(value, str) else ""


def _whole(digits: str) -> int | None:
    return int(digits) if len(digits) <= LONGEST_NUMBER else None


def _nothing(_: str) -> None:
    """NaN and the infinities are no values."""


MOST_VALUES_ONE_BY_ONE = 200_000
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
        if values > MOST_VALUES_ONE_BY_ONE:
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
