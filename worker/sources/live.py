"""What only the live service can tell: a few read-only calls, and a report without any content of a run."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

from worker.core.ports import SourceError
from worker.sources.counts import DONE, MINE, OTHERS
from worker.sources.errors import unlawful
from worker.sources.values import identity, instant
from worker.sources.wire import ItemRow, Row, UnlawfulError, envelope, page

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from worker.core.model import Id
    from worker.sources.counts import Counts
    from worker.sources.http import Http

SAMPLE = 20
ZONE = re.compile(r"(Z|[+-]\d\d:?\d\d)$")
TOLD = re.compile(r"deprecat|sunset|ratelimit|retry-after", re.IGNORECASE)
"""Headers that say how long, and how often, something may be asked."""


T = TypeVar("T")

Sample = tuple[Mapping[str, str], Sequence[tuple[object, object]]]
"""The headers of an answer, and the id and the date of each of its rows, as they were written."""


class Live:
    """Asks one queue what the documents leave open. Thread-safe."""

    def __init__(self, http: Http, counts: Counts) -> None:
        self._http = http
        self._counts = counts

    def report(self, queue_id: Id) -> Iterator[str]:
        """Lines that may be pasted into an issue: no name, no text, no id of a run. A failing call is a line too."""
        seen: list[set[object]] = []
        for name, read in (("runs", self._runs), ("items", self._items)):
            try:
                headers, rows = read(queue_id)
            except SourceError as error:
                yield f"{name}: {error}"
                continue
            yield from _listing(name, headers, rows)
            seen.append({run for run, _ in rows})
        if len(seen) > 1:
            yield f"ids: {len(seen[0] & seen[1])} of {len(seen[0])} in runs stand in items too ({len(seen[1])} read)"
        for status in (MINE, OTHERS, DONE):
            yield self._counted(queue_id, status)

    def _runs(self, queue_id: Id) -> Sample:
        what = "reading a sample of runs"
        path = f"/api/v1/annotation-queues/{queue_id}/runs"
        with self._http.get(path, {"status": MINE, "limit": SAMPLE}, what=what) as answer:
            rows = _lawful(lambda: page(answer.body, Row).rows, what)
            return dict(answer.headers), [(row.queue_run_id, row.added_at) for row in rows]

    def _items(self, queue_id: Id) -> Sample:
        what = "reading a sample of items"
        path = f"/api/v1/platform/annotation-queues/{queue_id}/items"
        with self._http.get(path, {"status": MINE, "page_size": SAMPLE}, what=what) as answer:
            rows = _lawful(lambda: envelope(answer.body, ItemRow)[0].rows, what)
            return dict(answer.headers), [(row.id, row.added_at) for row in rows]

    def _counted(self, queue_id: Id, status: str) -> str:
        try:
            counted = self._counts.count(queue_id, status)
        except SourceError as error:
            return f"count {status}: {error}"
        return f"count {status}: {'the server does not count' if counted is None else counted}"


def _listing(name: str, headers: Mapping[str, str], rows: Sequence[tuple[object, object]]) -> Iterator[str]:
    """What a sample of a listing tells of ids, dates and order."""
    yield f"{name}: {len(rows)} rows read, {sum(identity(run) is not None for run, _ in rows)} with a usable id"
    told = sorted(f"{header.lower()}: {value}" for header, value in headers.items() if TOLD.search(header))
    yield f"{name}: headers {'; '.join(told) or 'say nothing of limits or an end'}"
    written = [date for _, date in rows if isinstance(date, str)]
    zoned = sum(ZONE.search(date) is not None for date in written)
    yield f"{name}: {len(written)} dates, {zoned} of them with a zone"
    yield f"{name}: order by added_at is {_order([found for date in written if (found := instant(date))])}"


def _order(dates: Sequence[datetime]) -> str:
    if len(set(dates)) < 2:  # noqa: PLR2004 - one date has no order
        return "not to be told from so few"
    if list(dates) == sorted(dates):
        return "ascending"
    return "descending" if list(dates) == sorted(dates, reverse=True) else "none"


def _lawful(decode: Callable[[], T], what: str) -> T:
    try:
        return decode()
    except UnlawfulError as error:
        raise unlawful(what, str(error)) from None
