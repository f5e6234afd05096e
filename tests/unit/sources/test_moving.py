"""Queues that move while they are read: nothing that stays is lost, told twice, or taken for reviewed.

A list as LangSmith may keep it, with things happening between any two pages; read by the real listing and planned by
the real core. The pages are small here, so that small cases are exhaustive.
"""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from itertools import combinations, count, cycle, islice, product, repeat
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.support.builders import NOON, queue, to
from worker.core.model import Kind, Memory, Snapshot
from worker.core.plan import plan
from worker.core.policy import EscalationPolicy, Step
from worker.core.ports import SourceError, Trouble
from worker.sources.langsmith.errors import TooLargeError
from worker.sources.langsmith.http import Answer
from worker.sources.langsmith.listing import Former, Listing
from worker.sources.langsmith.rows import Wanted
from worker.sources.langsmith.runs import OVERLAP, PAGES_PER_STEP_BACK, Runs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from worker.core.model import Id, QueueRun
    from worker.sources.langsmith.listing import Leaf

QUEUE = queue()
WANTED = Wanted(QUEUE.queue_id, "x", frozenset())
POLICY = EscalationPolicy((Step(Kind.ANNOUNCEMENT, timedelta(0), to("C1")),))


@cache
def row(number: int, *, reserved: bool, heavy: bool) -> str:
    """A row as it is sent."""
    known = {"queue_run_id": str(UUID(int=number + 1)), "added_at": "2026-03-02T11:00:00Z", "name": str(number)}
    more = {"reserved_by": ["somebody"] if reserved else [], "inputs": "x" * HEAVY if heavy else ""}
    return json.dumps(known | more)


@dataclass
class List:
    """The rows of a queue in their order, and what happens to them between two requests."""

    rows: list[int]
    events: Iterator[Callable[[list[int]], None]]
    most_bytes: int = 1 << 20
    requests: int = 0
    unpacked_bytes: int = 0
    fails: bool = False
    stayed: set[int] = field(default_factory=set)
    reserved: set[int] = field(default_factory=set)
    heavy: set[int] = field(default_factory=set)

    def go_on(self, events: Iterator[Callable[[list[int]], None]]) -> None:
        """Before it is read again: `stayed` will be the rows that never went meanwhile."""
        self.events = events
        self.requests = 0
        self.stayed = set(self.rows)

    @contextlib.contextmanager
    def get(self, _path: str, params: dict[str, int], *, what: str, known: Any) -> Iterator[Any]:
        if self.requests:
            next(self.events, lambda _: None)(self.rows)
        self.requests += 1
        self.stayed &= set(self.rows)
        if self.fails and params["offset"]:
            raise SourceError(what, Trouble.THROTTLED)
        page = self.rows[params["offset"] : params["offset"] + params["limit"]]
        raw = f"[{', '.join(map(self.row, page))}]".encode()
        if len(raw) > LARGE:
            yield Answer({}, self._body(raw))
        elif raw in known:
            yield Answer({}, bytearray(), raw, is_known=True)
        else:
            yield Answer({}, self._body(raw), raw)

    def row(self, number: int) -> str:
        return row(number, reserved=number in self.reserved, heavy=number in self.heavy)

    def _body(self, raw: bytes) -> bytearray:
        self.unpacked_bytes += len(raw)
        if len(raw) > self.most_bytes:
            raise TooLargeError("the answer is larger", Trouble.UNLAWFUL)
        return bytearray(raw)


@dataclass
class Shown:
    """A listing as its reader knows it after a difference."""

    known: dict[Id, QueueRun]
    listing: Listing

    @property
    def pages(self) -> int:
        return self.listing.pages

    @property
    def moved(self) -> bool:
        return self.listing.moved

    @property
    def health(self) -> Any:
        return self.listing.health

    def runs(self) -> tuple[QueueRun, ...]:
        return tuple(self.known.values())


@dataclass
class Reader:
    """Reads a list again and again, each time by its difference from the last reading."""

    runs: Runs
    leaves: Sequence[Leaf] | None = None
    known: dict[Id, QueueRun] = field(default_factory=dict)

    def read(self, wanted: Wanted) -> Shown:
        found = self.runs.read(wanted, Former(self.leaves or ()))
        gone, self.leaves = found.change()
        kept = {} if found.is_whole else {one: run for one, run in self.known.items() if one not in gone}
        self.known = kept | {run.queue_run_id: run for run in found.runs()}
        return Shown(self.known, found)


def reading(found: List, size: int) -> Reader:
    return Reader(Runs(found, progress=lambda *_: None, steps=(size, 1)))  # type: ignore[arg-type]


def sweep(rows: Sequence[int], events: Iterator[Callable[[list[int]], None]], size: int) -> tuple[Any, List]:
    """Read a list once; what it gave, and the list as it was left."""
    found = List(list(rows), iter(()))
    found.go_on(events)
    return reading(found, size).read(WANTED), found


def numbers(listing: Any) -> set[int]:
    return {run.queue_run_id.int - 1 for run in listing.runs()}


def pages(rows: int) -> int:
    """Pages of a hundred that so many rows fill, with the one that shows that there are no more."""
    return rows // 100 + 1


def remove(gone: Sequence[int]) -> Callable[[list[int]], None]:
    def act(rows: list[int]) -> None:
        rows[:] = [number for number in rows if number not in gone]

    return act


def test_every_removal_between_the_first_two_pages_of_a_small_list() -> None:
    for length, number in product(range(4, 12), range(6)):
        for gone in combinations(range(length), number):
            listing, left = sweep(range(length), iter([remove(gone)]), 4)
            assert left.stayed <= numbers(listing), (length, gone)
            assert not listing.moved, (length, gone)


def test_every_removal_of_a_run_of_neighbours_between_any_two_pages() -> None:
    for length in range(6, 17):
        for when, begin, number in product(range(5), range(length), range(1, 7)):
            events = [lambda _: None] * when + [remove(range(begin, begin + number))]
            listing, left = sweep(range(length), iter(events), 6)
            assert listing.moved or left.stayed <= numbers(listing), (length, when, begin, number)


def act(kind: str, at: float, number: int, fresh: Iterator[int]) -> Callable[[list[int]], None]:
    def happen(rows: list[int]) -> None:
        begin = round(at * len(rows))
        if kind == "go":
            del rows[begin : begin + number]
        else:
            place = {"front": 0, "end": len(rows), "middle": begin}[kind]
            rows[place:place] = [next(fresh) for _ in range(number)]

    return happen


def events(most_gone: int, most_added: int) -> st.SearchStrategy[list[tuple[str, float, int] | None]]:
    """What happens between pages: nothing, so many rows go at once, or come, at the most; each as often.

    One draw makes one of them: drawing costs more than reading the list.
    """
    gone = list(product(["go"], PLACES, range(1, most_gone + 1)))
    added = list(product(["front", "end", "middle"], PLACES, range(1, most_added + 1)))
    times = max(len(gone), len(added))
    every = [*repeat(None, times), *islice(cycle(gone), times), *islice(cycle(added), times)]
    return st.lists(st.sampled_from(every), max_size=20)


PLACES = [number / 40 for number in range(41)]
"""Where in a list something happens: between any two rows of one that has up to forty."""

LARGE = 2000
HEAVY = 800
SMALL = 6
"""Rows of a page where many things are to happen in few pages."""


def script(
    drawn: Sequence[tuple[str, float, int] | None], fresh: Iterator[int]
) -> Iterator[Callable[[list[int]], None]]:
    return iter([act(*event, fresh) if event else (lambda _: None) for event in drawn])


@settings(deadline=None)
@given(st.integers(0, 40), events(SMALL, 2))
def test_a_sweep_shows_all_that_stayed_or_says_that_it_may_not(length: int, drawn: Any) -> None:
    fresh = iter(range(10_000, 1_000_000))
    listing, left = sweep(range(length), script(drawn, fresh), SMALL)
    assert listing.moved or left.stayed <= numbers(listing)
    assert numbers(listing) <= set(range(length)) | set(range(10_000, next(fresh)))


def test_rows_that_go_twice_while_a_list_is_read_are_missed_and_told_of() -> None:
    told = 0
    for length, first, second in product(range(8, 20), range(SMALL), range(SMALL)):
        going = iter([remove(range(first)), remove(range(first, first + second))])
        listing, left = sweep(range(length), going, SMALL)
        told += listing.moved
        assert listing.moved or left.stayed <= numbers(listing), (length, first, second)
    assert told


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 1500), events(40, 40))
def test_a_moving_list_costs_two_requests_more_at_most_for_each_step_back(length: int, drawn: Any) -> None:
    """Every eight pages earn a step back, the first of which need not be earned.

    A step reads one page again, and another one where the rows still do not meet.
    """
    fresh = iter(range(10_000, 1_000_000))
    listing, left = sweep(range(length), script(drawn, fresh), 100)
    assert left.requests == listing.pages
    apart = 100 - OVERLAP
    steps = 1 + left.requests // PAGES_PER_STEP_BACK
    assert left.requests <= 2 + (length + next(fresh) - 10_000) // apart + 2 * steps


@pytest.mark.parametrize("length", [1200, 1999, 3000])
@pytest.mark.parametrize("gone", [3, 10, 11, 95], ids="{} gone between two pages".format)
def test_a_long_list_costs_a_quarter_more_requests_at_most_wherever_rows_go(length: int, gone: int) -> None:
    for place in (0.0, 0.5):
        going = repeat(act("go", place, gone, iter(())))
        _, left = sweep(range(length), going, 100)
        assert left.requests <= 1.25 * pages(length)


def test_three_reviews_a_page_are_read_without_a_loss_at_the_price_of_the_overlap() -> None:
    """What readers without overlap lose: 26 of a thousand runs a sweep."""
    places = count()

    def review(rows: list[int]) -> None:
        for _ in range(3):
            rows.pop(next(places) * 7919 % len(rows))

    for _ in range(20):
        listing, left = sweep(range(1000), repeat(review), 100)
        assert left.stayed <= numbers(listing)
        assert not listing.moved
        assert left.requests <= 1.25 * pages(1000)


@dataclass
class Watcher:
    """The worker's memory of the queue over many polls, and what it said."""

    reviews: dict[Any, Any] = field(default_factory=dict)
    baselined: bool = False
    told: list[int] = field(default_factory=list)
    now: Any = NOON

    def poll(self, listing: Any) -> None:
        self.now += timedelta(minutes=1)
        one_page = listing.pages == 1
        snapshot = Snapshot(QUEUE, tuple(listing.runs()), self.now, one_page=one_page, moved=listing.moved)
        decided = plan(snapshot, Memory(self.baselined, tuple(self.reviews.values())), POLICY, self.now)
        self.reviews |= {review.key: review for review in decided.reviews}
        self.baselined = True
        self.told += [key.queue_run_id.int - 1 for notice in decided.notices for key in notice.reviews]

    def closed(self) -> set[int]:
        return {review.queue_run_id.int - 1 for review in self.reviews.values() if not review.is_open}

    def open(self) -> set[int]:
        return {review.queue_run_id.int - 1 for review in self.reviews.values() if review.is_open}


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 40), st.lists(events(SMALL, 2), min_size=1, max_size=6))
def test_over_many_polls_nothing_is_lost_told_twice_or_taken_for_reviewed(length: int, sweeps: Any) -> None:
    fresh = iter(range(10_000, 1_000_000))
    watcher = Watcher()
    left = List(list(range(length)), iter(()))
    reader = reading(left, SMALL)
    for drawn in sweeps:
        left.go_on(script(drawn, fresh))
        watcher.poll(reader.read(WANTED))
        assert not watcher.closed() & left.stayed, "falsely shown as reviewed"
    left.go_on(iter(()))
    for _ in range(2):
        watcher.poll(reader.read(WANTED))
    assert watcher.open() == set(left.rows), "lost, or kept although gone"
    assert len(watcher.told) == len(set(watcher.told)), "told twice"
    assert set(watcher.told) >= set(left.rows)


def what_it_shows(shown: Shown) -> Any:
    return {(run.queue_run_id.int - 1, run.reserved) for run in shown.runs()}, shown.health  # type: ignore[union-attr]


@settings(max_examples=200, deadline=None)
@given(
    st.integers(0, 40),
    st.lists(st.tuples(events(SMALL, 2), st.sets(st.integers(0, 40), max_size=2)), min_size=1, max_size=6),
)
def test_who_has_read_a_list_before_is_shown_what_a_newcomer_is(length: int, sweeps: Any) -> None:
    old = List(list(range(length)), iter(()))
    reader = reading(old, SMALL)
    for number, (drawn, reserved) in enumerate(sweeps, 1):
        old.reserved ^= reserved
        new = List(list(old.rows), iter(()), reserved=old.reserved)
        for one in (old, new):
            one.go_on(script(drawn, count(number * 10_000)))
        assert what_it_shows(reader.read(WANTED)) == what_it_shows(reading(new, SMALL).read(WANTED))
        assert old.rows == new.rows
        assert old.requests == new.requests


@pytest.mark.parametrize("length", [0, 3, 40])
def test_a_list_that_is_as_before_is_not_unpacked(length: int) -> None:
    left = List(list(range(length)), iter(()))
    reader = reading(left, SMALL)
    before = reader.read(WANTED)
    left.unpacked_bytes = 0
    again = reader.read(WANTED)
    assert (what_it_shows(again), left.unpacked_bytes) == (what_it_shows(before), 0)
    assert not again.listing.found


@settings(max_examples=200, deadline=None)
@example(12, [([], {0, 2}), ([], {3, 11}), ([("go", 0.25, 1), ("go", 0.0, 1)], {0, 2})], 900)
@given(
    st.integers(0, 20),
    st.lists(st.tuples(events(SMALL, 4), st.sets(st.integers(0, 30), max_size=9)), min_size=1, max_size=6),
    st.sampled_from([900, 2500, 1 << 20]),
)
def test_pages_may_grow_too_large_and_shrink_again(length: int, changes: Any, most_bytes: int) -> None:
    old = List(list(range(length)), iter(()), most_bytes=most_bytes)
    reader = reading(old, SMALL)
    for number, (drawn, heavy) in enumerate(changes, 1):
        old.go_on(iter(()))
        for happen in script(drawn, count(number * 10_000)):
            happen(old.rows)
        old.heavy ^= heavy
        new = List(list(old.rows), iter(()), most_bytes=most_bytes, heavy=old.heavy)
        found, expected = (look(one) for one in (reader, reading(new, SMALL)))
        assert found == expected


def look(reader: Reader) -> Any:
    """What one reading shows, whatever the sizes of its pages; the error where it is refused."""
    try:
        listing = reader.read(WANTED)
    except SourceError as error:
        return str(error)
    return set(listing.known), listing.listing.unusable


def test_a_row_that_was_too_large_alone_is_asked_for_again() -> None:
    left = List(list(range(6)), iter(()), most_bytes=900, heavy={3})
    reader = reading(left, SMALL)
    assert numbers(reader.read(WANTED)) == {0, 1, 2, 4, 5}
    left.heavy = set()
    assert numbers(reader.read(WANTED)) == set(range(6))
