"""Another notifier is one file and one line: the whole worker runs with a toy, on a real database."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from tests.builders import DAY, HOUR, NOON, SECOND, queue, queue_run
from tests.contract.toy_notifier import Toy
from tests.fakes import FakeClock
from tests.fakes_source import FakeSource
from worker.app import build, one_pass
from worker.core.model import Facts, State
from worker.settings import load
from worker.stores.opening import open_store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import timedelta
    from pathlib import Path

    from worker.core.model import Delivery
    from worker.core.ports import Source
    from worker.stores.sql import SqlStore

QUEUE = queue("Toys")
SETTINGS = {
    "WORKER_QUEUES": "Toys",
    "WORKER_CHANNEL": "shelf",
    "WORKER_REMIND_IN": "thread",
    "WORKER_ESCALATE_AFTER": "2d",
    "WORKER_ESCALATE_TO": "attic",
    "WORKER_OPS_CHANNEL": "cellar",
}


class Shop:
    """The whole worker over a source and the toy; time stands still but for `wait`."""

    def __init__(self, directory: Path, store: SqlStore, source: Source, **settings: str) -> None:
        self.clock = FakeClock()
        self.store = store
        self.toy = Toy(directory / "messages.txt")
        self.parts = build(
            load(frozenset(), environ=SETTINGS | settings, directory=directory),
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
