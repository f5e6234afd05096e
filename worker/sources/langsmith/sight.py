"""Whose view of the queues the key gives, what it may hide, and what only the live service can say."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, TypeVar

from msgspec import Struct

from worker.core.ports import SourceError
from worker.sources.langsmith.counts import DONE, MINE, OTHERS
from worker.sources.langsmith.errors import unlawful
from worker.sources.langsmith.rows import identity, instant
from worker.sources.langsmith.wire import ItemRow, Row, UnlawfulError, envelope, page

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from datetime import datetime

    from worker.core.model import Id
    from worker.sources.langsmith.counts import Counts
    from worker.sources.langsmith.http import Http


class Whose(StrEnum):
    """Who the key speaks for; decides what "needs my review" means."""

    SERVICE = "service"
    PERSONAL = "personal"
    UNKNOWN = "unknown"


PREFIXES = {"lsv2_sk_": Whose.SERVICE, "lsv2_pt_": Whose.PERSONAL}

SENTENCES = {
    Whose.SERVICE: "the key is a service key: LangSmith decides which runs need the review of a service account",
    Whose.PERSONAL: "the key is a personal key: runs that its owner has reviewed count as done, also while others owe "
    "their review",
    Whose.UNKNOWN: "the key's kind is not known: what waits is what waits for its owner",
}

SOMEBODY = {
    Whose.SERVICE: "use the personal key (lsv2_pt_…) of somebody who reviews this queue",
    Whose.PERSONAL: "make the key's owner a reviewer of this queue, or use the key of somebody who is",
    Whose.UNKNOWN: "use the key of somebody who reviews this queue",
}
"""What helps where the key is shown nothing, by its kind."""

READ_THEIRS = "add needs_others_review to WORKER_STATUSES"


class Remark(Struct, frozen=True):
    """Something that a person should know of a queue; `fix` is '' where nothing has to be done."""

    text: str
    fix: str = ""


def whose(key: str) -> Whose:
    """Who a key speaks for, by its beginning."""
    return next((kind for prefix, kind in PREFIXES.items() if key.startswith(prefix)), Whose.UNKNOWN)


class View:
    """What the key sees of a queue, against what there is."""

    def __init__(self, counts: Counts, *, whose: Whose, statuses: Collection[str]) -> None:
        """`statuses` are the sections that are read."""
        self._counts = counts
        self._whose = whose
        self._statuses = statuses

    def remarks(self, queue_id: Id) -> Sequence[Remark]:
        """What the key does not see or hides. Raises SourceError."""
        sections = self._sections(queue_id)
        if sections is None:
            return ()
        mine, others = sections
        if mine + others == 0:
            return self._shown_nothing(queue_id)
        # Whoever polls the section of others sees these runs anyway.
        if not others or OTHERS in self._statuses:
            return ()
        return (self._left_to_others(mine, others),)

    def blindness(self, queue_id: Id, *, has_seen: bool) -> Remark | None:
        """Why nothing is seen of what is open in a queue of which nothing is listed; None where nothing is open.

        Where only others have still to review, that is so for a person who is done: `has_seen` says that there was
        something to be done before. Raises SourceError.
        """
        sections = self._sections(queue_id)
        if sections is None:
            return None
        mine, others = sections
        if mine + others == 0:
            return next(iter(self._shown_nothing(queue_id)), None)
        if mine or OTHERS in self._statuses or (has_seen and self._whose is not Whose.SERVICE):
            return None
        return self._left_to_others(mine, others)

    def _sections(self, queue_id: Id) -> tuple[int, int] | None:
        """How many runs are open in the key's own section and in that of others; None where it does not count."""
        mine = self._counts.count(queue_id, MINE)
        others = self._counts.count(queue_id, OTHERS)
        return None if mine is None or others is None else (mine, others)

    def _shown_nothing(self, queue_id: Id) -> Sequence[Remark]:
        everything = self._counts.total(queue_id)
        done = self._counts.count(queue_id, DONE)
        if everything is None or done is None or everything <= done:
            return ()
        text = f"the key is shown none of the {_runs(everything - done)} that are open in this queue"
        return (Remark(text, SOMEBODY[self._whose]),)

    def _left_to_others(self, mine: int, others: int) -> Remark:
        none = "" if mine else "the key is shown none of the open runs of this queue as its own review: "
        text = f"{none}{_runs(others)} {'waits' if others == 1 else 'wait'} for the review of others, unannounced"
        return Remark(text, f"{READ_THEIRS}, or {SOMEBODY[self._whose]}")


def _runs(count: int) -> str:
    return f"{count} {'run' if count == 1 else 'runs'}"


SAMPLE = 20
ZONE = re.compile(r"(Z|[+-]\d\d:?\d\d)$")
LIMITING = re.compile(r"deprecat|sunset|ratelimit|retry-after", re.IGNORECASE)
"""Headers that say how long, and how often, something may be asked."""


_T = TypeVar("_T")

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
            yield f"ids: {len(seen[0] & seen[1])} of {len(seen[0])} in runs are in items too ({len(seen[1])} read)"
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
    """What a sample of a listing shows of ids, dates and order."""
    yield f"{name}: {len(rows)} rows read, {sum(identity(run) is not None for run, _ in rows)} with a usable id"
    said = sorted(f"{header.lower()}: {value}" for header, value in headers.items() if LIMITING.search(header))
    yield f"{name}: headers {'; '.join(said) or 'say nothing of limits or an end'}"
    written = [date for _, date in rows if isinstance(date, str)]
    zoned = sum(ZONE.search(date) is not None for date in written)
    yield f"{name}: {len(written)} dates, {zoned} of them with a zone"
    yield f"{name}: order by added_at is {_order([found for date in written if (found := instant(date))])}"


def _order(dates: Sequence[datetime]) -> str:
    if len(set(dates)) < 2:  # noqa: PLR2004 - one date has no order
        return "unknown (too few dates)"
    if list(dates) == sorted(dates):
        return "ascending"
    return "descending" if list(dates) == sorted(dates, reverse=True) else "none"


def _lawful(decode: Callable[[], _T], what: str) -> _T:
    try:
        return decode()
    except UnlawfulError as error:
        raise unlawful(what, str(error)) from None
