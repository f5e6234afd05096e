"""Another notifier or source is one file and one line: the whole worker runs with toys, on a real database."""

from __future__ import annotations

from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from tests.contract.toy_notifier import Toy
from tests.contract.toy_source import ToySource
from tests.support.builders import DAY, HOUR, NOON, SECOND, queue, queue_run
from tests.support.clock import FakeClock
from tests.support.fake_source import FakeSource
from worker.app import build, is_refused, last_polls, one_pass, undelivered
from worker.core.model import Facts
from worker.core.owed import Destination, State
from worker.settings import load
from worker.stores import reviews
from worker.stores.opening import open_store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import timedelta
    from pathlib import Path

    from worker.core.owed import Delivery
    from worker.core.ports import Source
    from worker.settings import Settings
    from worker.stores.sql import SqlStore

QUEUE = queue("Toys")
SETTINGS = {
    "WORKER_QUEUES": "Toys",
    "WORKER_CHANNEL": "shelf",
    "WORKER_ANNOUNCE_EVERY": "0s",
    "WORKER_REMIND_IN": "thread",
    "WORKER_ESCALATE_AFTER": "2d",
    "WORKER_ESCALATE_TO": "attic",
    "WORKER_OPS_CHANNEL": "cellar",
}


def on_file(settings: Settings) -> Settings:
    """The settings with the toy's destinations: those that people can write are Slack's."""
    common, places = settings.common, ("channel", "escalate_to")
    shelves = {key: Destination("file", getattr(common, key).place) for key in places}
    cellar = settings.ops_channel and Destination("file", settings.ops_channel.place)
    return settings.model_copy(update={"common": common.model_copy(update=shelves), "ops_channel": cellar})


class Shop:
    """The whole worker over a source and the toy; time stands still but for `wait`."""

    def __init__(
        self, directory: Path, store: SqlStore, source: Source, clock: FakeClock | None = None, **settings: str
    ) -> None:
        self.clock = clock or FakeClock()
        self.store = store
        self.toy = Toy(directory / "messages.txt")
        self.parts = build(
            on_file(load(frozenset(), environ=SETTINGS | settings, directory=directory)),
            clock=self.clock,
            store=store,
            source=source,
            notifier=self.toy,
        )

    def wait(self, by: timedelta) -> list[str]:
        """Let time pass, then poll and deliver; the lines that were written."""
        before = len(self.toy.lines)
        self.clock.advance(by)
        one_pass(self.parts)
        return self.toy.lines[before:]

    def deliver(self, by: timedelta) -> list[str]:
        """Let time pass, then deliver what is due now, and nothing that comes due soon."""
        before = len(self.toy.lines)
        self.clock.advance(by)
        self.parts.deliver.wake()
        self.parts.deliver.run(lambda: False)
        return self.toy.lines[before:]

    def deliveries(self) -> list[Delivery]:
        return list(self.store.deliveries())


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqlStore]:
    with closing(open_store(f"sqlite:///{tmp_path}/worker.db", migrate=True)) as opened:
        yield opened


@pytest.fixture
def source() -> FakeSource:
    made = FakeSource()
    made.show(QUEUE)
    return made


def named(name: str) -> Any:
    return queue_run(name, added_at=NOON, facts=Facts(name=name))


def test_every_pass_fails_while_what_it_owes_is_refused(tmp_path: Path, store: SqlStore, source: FakeSource) -> None:
    source.show(QUEUE, named("bear"))
    clock = FakeClock()
    for _ in range(2):
        shop = Shop(tmp_path, store, source, clock, WORKER_OPS_CHANNEL="")
        shop.toy.refuses = True
        assert (one_pass(shop.parts), undelivered(shop.parts), is_refused(shop.parts)) == (False, 1, True)
    shop.toy.refuses = False
    assert (one_pass(shop.parts), undelivered(shop.parts), is_refused(shop.parts)) == (True, 0, False)


def test_a_notifier_that_can_only_send_runs_the_whole_worker(
    tmp_path: Path, store: SqlStore, source: FakeSource
) -> None:
    shop = Shop(tmp_path, store, source)
    source.show(QUEUE, named("bear"))
    assert shop.wait(SECOND) == ["baseline to shelf: bear"]
    source.show(QUEUE, named("bear"), named("duck"))
    assert shop.wait(SECOND) == ["announcement to shelf: duck"]
    source.show(QUEUE, named("duck"))
    assert shop.wait(SECOND) == []
    assert shop.wait(5 * HOUR) == ["reminder to shelf: duck"]
    assert shop.wait(2 * DAY) == ["escalation to attic: duck"]
    assert {(each.state, each.edit_at, each.edit_until) for each in shop.deliveries()} == {(State.SENT, None, None)}


@pytest.mark.parametrize(
    ("on_unknown", "state", "lines"), [("resend", State.SENT, 2), ("hold", State.HELD, 1)], ids=["resend", "hold"]
)
def test_an_answer_that_is_lost_is_treated_as_the_settings_say(
    tmp_path: Path, store: SqlStore, source: FakeSource, on_unknown: str, state: State, lines: int
) -> None:
    shop = Shop(tmp_path, store, source, WORKER_ON_UNKNOWN=on_unknown)
    source.show(QUEUE, named("bear"))
    shop.parts.roster.refresh()
    shop.parts.poll(QUEUE)
    shop.toy.lose = 1
    written = [line for _ in range(4) for line in shop.deliver(30 * SECOND)]
    assert written == ["baseline to shelf: bear"] * lines
    (delivery,) = shop.deliveries()
    assert delivery.state is state


ODD = ["item-7", "item of 15 byte", "item of 16 bytes", "a rather long name \N{SNOWMAN}", "7 8", "", "\0", "Item-7"]


def test_a_source_whose_ids_are_no_uuids_runs_the_whole_worker(tmp_path: Path, store: SqlStore) -> None:
    clock = FakeClock()
    source = ToySource(clock)
    shop = Shop(tmp_path, store, source, clock, WORKER_QUEUES="all", WORKER_EDIT_FOR="never")
    source.shelves = {"shelf-1": ["item-7"], "shelf 2%": []}
    assert shop.wait(SECOND) == ["baseline to shelf: item-7"]
    source.shelves["shelf-1"].append("item-8")
    assert shop.wait(SECOND) == ["announcement to shelf: item-8"]
    assert shop.wait(5 * HOUR) == ["reminder to shelf: item-7, item-8"]
    source.shelves["shelf-1"].remove("item-7")
    assert shop.wait(2 * DAY) == ["escalation to attic: item-8"]
    assert [polled.queue.queue_id for polled in last_polls(store)] == ["shelf 2%", "shelf-1"]
    (waiting,) = store.search(partial(reviews.open_reviews, queue_id="shelf-1"))
    assert waiting.queue_run_id == "item-8"
    (story,) = store.stories("item-7")
    assert story.review.closed_at is not None


def test_the_next_process_knows_the_ids_again(tmp_path: Path, store: SqlStore) -> None:
    clock = FakeClock()
    source = ToySource(clock)
    source.shelves = {"shelf-1": ["item-7"], UUID(int=7): [UUID(int=8)]}
    assert Shop(tmp_path, store, source, clock, WORKER_QUEUES="all").wait(SECOND) == [
        f"baseline to shelf: 1 in Shelf {UUID(int=7)}, 1 in Shelf shelf-1"
    ]
    source.shelves["shelf-1"] = ["item-7", "item-8"]
    assert Shop(tmp_path, store, source, clock, WORKER_QUEUES="shelf-1").wait(SECOND) == [
        "announcement to shelf: item-8"
    ]


def test_odd_ids_stay_as_they_are_beside_uuids(tmp_path: Path, store: SqlStore) -> None:
    clock = FakeClock()
    source = ToySource(clock)
    source.shelves = {"shelf": [*ODD, *(UUID(int=number) for number in range(3))]}
    shop = Shop(tmp_path, store, source, clock, WORKER_QUEUES="shelf")
    shop.wait(SECOND)
    kept = store.search(partial(reviews.open_reviews, queue_id="shelf"))
    assert {review.queue_run_id for review in kept} == set(source.shelves["shelf"])
    assert shop.wait(SECOND) == []
