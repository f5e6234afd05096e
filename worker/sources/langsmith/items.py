"""Reads the `items` listing of a queue by cursor. It shows who waits; what else a message shows is asked for apart."""

from __future__ import annotations

from array import array
from functools import cache, partial
from typing import TYPE_CHECKING
from uuid import UUID

from msgspec import convert
from msgspec.structs import replace

from worker.core.instants import instant_at, microseconds
from worker.core.model import NO_ONE, Facts, QueueRun
from worker.sources.langsmith import wire
from worker.sources.langsmith.errors import TooLargeError, unlawful
from worker.sources.langsmith.listing import NOBODY, RECORD, Leaf, Listing, PageSizes, each_record
from worker.sources.langsmith.rows import (
    CONVERSATION,
    DISAGREED,
    Trace,
    conversation,
    facts,
    lawful,
    project,
    run_url,
    runs_url,
    section_params,
    traits,
    utc,
    who,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from datetime import datetime

    from worker.core.model import Id, Traits, Who
    from worker.sources.langsmith.http import Answer, Http
    from worker.sources.langsmith.listing import Former
    from worker.sources.langsmith.queues import Directory
    from worker.sources.langsmith.rows import Makeable, Wanted
    from worker.sources.langsmith.run_names import Names
    from worker.sources.langsmith.wire import LawfulItem

NO_DATE = -1


class Items:
    """The `items` listing. Thread-safe for different queues."""

    def __init__(self, http: Http, names: Names, directory: Directory, *, progress: Callable[[Id, int], None]) -> None:
        """`progress` is called with the queue's id and the number of items read so far."""
        self._http = http
        self._names = names
        self._directory = directory
        self._progress = progress
        self._limits = PageSizes(http.most_bytes)
        self._last: dict[tuple[Id, str], Sequence[Leaf]] = {}

    def read(self, wanted: Wanted, former: Former) -> Listing:
        """Read the whole list, or raise SourceError. It shows no more than who waits: see `facts`."""
        listing = Listing(f"reading the items of queue {wanted.queue_id}", former, wanted.status, overlaps=False)
        links = Links(partial(self._there, wanted))
        listing.make = partial(of_record, links, listing.conversations, listing.named)
        cursors = {""}
        cursor = ""
        while cursor := self._advance(listing, wanted, cursor, links):
            # By every cursor, not the last alone: a server may go round in a larger circle.
            if cursor in cursors:
                raise unlawful(listing.what, "the list has no end: a cursor came twice")
            cursors.add(cursor)
            self._progress(wanted.queue_id, len(listing.marks))
        # Only once all is read: half a listing must not replace what names are looked up by.
        self._last[wanted.queue_id, wanted.status] = listing.leaves
        return listing

    def facts(self, queue_run_ids: Collection[Id], wanted: Wanted) -> dict[Id, Facts]:
        """What may be shown of runs of the last reading, as far as it can be had now. Never raises."""
        traces = self._traces(queue_run_ids, wanted)
        found = self._names.of(traces, wanted)
        return {one: facts(row, wanted.show, _url(traces[one], wanted)) for one, row in found.items()}

    def traits(self, queue_run_ids: Collection[Id], wanted: Wanted) -> dict[Id, Traits]:
        """What filters need of runs of the last reading, as far as it can be had now. Never raises."""
        found = self._names.of(self._traces(queue_run_ids, wanted), wanted)
        return {one: traits(row, wanted.show) for one, row in found.items()}

    def _traces(self, queue_run_ids: Collection[Id], wanted: Wanted) -> dict[Id, Trace]:
        return {one: at for one in queue_run_ids if (at := self._trace(one, wanted)) is not None}

    def ask_for_a_name(self, wanted: Wanted) -> bool:
        """Look one run of the last reading up, to see whether that works; False where there is none.

        Raises SourceError.
        """
        leaves = self._last.get((wanted.queue_id, wanted.status), ())
        at = next(filter(None, (_traced(row) for leaf in leaves for row in each_record(leaf.records))), None)
        if at is not None:
            self._names.ask(at, wanted)
        return at is not None

    def _trace(self, queue_run_id: Id, wanted: Wanted) -> Trace | None:
        """Where a run of the last reading is to be looked up."""
        if not isinstance(queue_run_id, UUID):
            return None
        for leaf in self._last.get((wanted.queue_id, wanted.status), ()):
            place = leaf.records.find(queue_run_id.bytes)
            while place % RECORD.size and place >= 0:  # the id of something else
                place = leaf.records.find(queue_run_id.bytes, place + 1)
            if place >= 0:
                return _traced(leaf.records[place : place + RECORD.size])
        return None

    def _there(self, wanted: Wanted) -> tuple[Wanted, str]:
        """What links to runs are made of, and the page of the queue."""
        queue = self._directory.queue(wanted.queue_id)
        return replace(wanted, tenant_id=self._directory.tenant_id(wanted.queue_id)), queue.url

    def _advance(self, listing: Listing, wanted: Wanted, cursor: str, links: Links) -> str:
        """Read one page; the cursor of the next, or ''."""
        while True:
            try:
                return self._page(listing, wanted, cursor, links)
            except TooLargeError:
                # A single item has no large fields: one over the cap is no item.
                if not self._limits.shrink(wanted.queue_id):
                    raise

    def _page(self, listing: Listing, wanted: Wanted, cursor: str, links: Links) -> str:
        path = f"/api/v1/platform/annotation-queues/{wanted.queue_id}/items"
        params = section_params(wanted.status) | {"page_size": self._limits.of(wanted.queue_id)}
        params |= {"cursor": cursor} if cursor else {}
        known = listing.former.by_digest
        with self._http.get(path, params, what=listing.what, known=known) as answer:
            listing.headers = answer.headers
            if answer.is_known:
                leaf = known[answer.mark]
                listing.add(leaf)
                return leaf.cursor
            self._limits.read(wanted.queue_id, len(answer.body))
            try:
                return _take(listing, answer, links)
            except wire.UnlawfulError as error:
                raise unlawful(listing.what, str(error)) from None


def _take(listing: Listing, answer: Answer, links: Links) -> str:
    """Take in a page of which something may be new; the cursor of the next. Raises UnlawfulError."""
    rows, cursor = wire.raw_items(answer.body)
    keys = array("q", map(hash, rows))
    known = list(map(listing.former.by_key.get, keys))
    first = known[0] if known else None
    if first is not None and known == list(range(first, first + len(known))):
        # What runs that left before it have moved: the same rows in the same order, on other pages.
        listing.add(Leaf(answer.mark, cursor, keys, listing.former.record(first, len(known))))
        return cursor
    records = [None if at is None else listing.former.record(at) for at in known]
    unknown = [place for place, kept in enumerate(records) if kept is None]
    strays = []
    found = {} if listing.is_large else listing.found
    for place, row in zip(unknown, wire.read_items([rows[place] for place in unknown]), strict=True):
        item = row if type(row) is wire.LawfulItem else lawful(row)
        if item.id is not None and item.id.int:
            records[place] = record_of(item, item.id, listing, links, found)
        elif item.run_id is not None and item.run_id.int:
            strays.append(item.run_id)
    usable = [kept for kept in records if kept is not None]
    unusable = len(rows) - len(usable)
    if unusable:
        keys = array("q", (key for key, kept in zip(keys, records, strict=True) if kept is not None))
    # A page with a row that cannot be used is decoded whenever it comes: what that row names is not kept.
    leaf = Leaf(b"" if unusable else answer.mark, cursor, keys, b"".join(usable))
    listing.add(leaf, unusable, strays)
    return cursor


def record_of(row: LawfulItem, queue_run_id: UUID, listing: Listing, links: Links, found: dict[Id, Makeable]) -> bytes:
    """What is kept of a row; its run is `found` where it looks new."""
    added_at = effective_at = utc(row.added_at)
    added = effective = _written(added_at)
    if row.effective_added_at != row.added_at:
        effective_at = utc(row.effective_added_at)
        effective = _written(effective_at)
    raw, reserved, done = _raw(queue_run_id), bool(row.reserved_by), len(row.completed_by or ())
    named = who(row)
    if listing.status == DISAGREED:
        named = replace(named, disagreed=True)
        listing.disagreed.add(queue_run_id)
    if named is not NO_ONE:
        listing.named[queue_run_id] = named
    mark = hash((raw, added, effective, reserved, done, named))
    run, within = _raw(row.run_id), project(row.project_id)
    if row.item_type == CONVERSATION:
        within = NOBODY
        listing.conversations[queue_run_id] = conversation(row, *links.there())
    if mark not in listing.former.marks:
        # At once: a row kept takes more memory than its run.
        facts = listing.conversations.get(queue_run_id) or links.facts(run, within)
        run_id = None if run == NOBODY else row.run_id
        found[queue_run_id] = QueueRun(queue_run_id, run_id, added_at, effective_at, reserved, done, facts, named)
    began = _written(utc(row.start_time))
    return RECORD.pack(raw, mark, added, effective, 2 * done + reserved, run, within, began)


def of_record(links: Links, conversations: Mapping[Id, Facts], named: Mapping[Id, Who], record: bytes) -> QueueRun:
    """The run of a row again."""
    raw, _, added, effective, state, run, within, _ = RECORD.unpack(record)
    queue_run_id = _id(raw)
    return QueueRun(
        queue_run_id=queue_run_id,
        run_id=None if run == NOBODY else _id(run),
        added_at=_read(added),
        effective_added_at=_read(effective),
        reserved=bool(state % 2),
        done=state // 2,
        facts=conversations.get(queue_run_id) or links.facts(run, within),
        who=named.get(queue_run_id, NO_ONE),
    )


def _traced(record: bytes) -> Trace | None:
    """Where the run of a row is to be looked up, as far as that is kept."""
    *_, run, within, began = RECORD.unpack(record)
    return None if NOBODY in {run, within} else Trace(_id(run), _id(within), _read(began))


def _raw(value: UUID | None) -> bytes:
    # As its `bytes`, without the call that these take.
    return NOBODY if value is None else value.int.to_bytes(16, "big")


def _id(raw: bytes) -> UUID:
    return convert(raw, UUID)


def _written(at: datetime | None) -> int:
    return NO_DATE if at is None else microseconds(at)


def _read(number: int) -> datetime | None:
    return None if number == NO_DATE else instant_at(number)


class Links:
    """The links to the runs of a queue, made of ids."""

    def __init__(self, there: Callable[[], tuple[Wanted, str]]) -> None:
        """`there` gives what links are made of, and the page of the queue; it may have to ask for them."""
        self.there = cache(there)
        self._beginnings: dict[bytes, str] = {}

    def facts(self, run: bytes, within: bytes) -> Facts:
        """What is known of a run by its id and its project's."""
        if NOBODY in {run, within}:
            return Facts(url=self.there()[1])
        beginning = self._beginnings.get(within)
        if beginning is None:
            wanted, _ = self.there()
            beginning = runs_url(wanted.web, wanted.tenant_id, _id(within))
            self._beginnings[within] = beginning
        return Facts(url=beginning + _dashed(run.hex()) if beginning else "")


def _dashed(digits: str) -> str:
    """A UUID as it is written. Python's own way costs twice as much."""
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def _url(at: Trace, wanted: Wanted) -> str:
    return run_url(wanted.web, tenant_id=wanted.tenant_id, project_id=at.project_id, run_id=at.run_id)
