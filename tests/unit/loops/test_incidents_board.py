"""What parts announce: logged once, shown while it lasts, reported to the operators with its end."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from structlog.testing import capture_logs

from tests.support.builders import HOUR, NOON, to
from tests.support.clock import FakeClock
from tests.support.memory_store import MemoryStore
from tests.support.overviews import overview, view
from worker.core.model import Kind
from worker.core.overview import Area
from worker.loops.incidents import Board, Ops
from worker.loops.observe import Observer

if TYPE_CHECKING:
    from worker.core.overview import Overview

TEXT, FIX = "Support QA: the key sees 0 of 3 open runs", "use a key of a reviewer"


@dataclass
class Stage:
    """A board with a watch that reports what stands on it."""

    clock: FakeClock = field(default_factory=FakeClock)
    store: MemoryStore = field(default_factory=MemoryStore)
    board: Board = field(init=False)
    watch: Observer = field(init=False)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        self.board = Board(self.clock)
        ops = Ops(store=self.store, notes=self.store, clock=self.clock, channel=to("C0OPS"))
        self.watch = Observer(look=self._look, store=self.store, notes=self.store, ops=ops)

    def _look(self) -> Overview:
        now = self.clock.now()
        seen = {"announced": self.board.standing, "over": self.board.over}
        return overview(view(completed_at=now), taken_at=now, **seen)

    def begin(self, subject: str = "q1", text: str = TEXT) -> None:
        self.board.begin("queue_blind", Area.QUEUES, text, FIX, subject=subject)

    def reported(self) -> list[str]:
        """What the operators hear of at the next look."""
        before = len(self._ops())
        self.watch()
        return self._ops()[before:]

    def _ops(self) -> list[str]:
        return [each.text for each in self.store.deliveries()[::-1] if each.kind is Kind.OPS]


def test_it_is_logged_when_it_begins_and_when_it_ends_and_not_in_between() -> None:
    stage = Stage()
    with capture_logs() as lines:
        stage.board.end("queue_blind", subject="q1")
        for text in (TEXT, TEXT, "other words"):
            stage.begin(text=text)
        stage.board.end("queue_blind", subject="q1")
        stage.board.end("queue_blind", subject="q1")
    assert [line["event"] for line in lines] == ["incident_began", "incident_ended"]
    assert (lines[0]["text"], lines[0]["fix"]) == (TEXT, FIX)


def test_it_keeps_its_beginning_while_its_words_change() -> None:
    stage = Stage()
    stage.begin()
    stage.clock.advance(HOUR)
    stage.begin(text="other words")
    (standing,) = stage.board.standing
    assert (standing.since, standing.text) == (NOON, "other words")


def test_the_operators_hear_of_it_at_once_and_of_its_end() -> None:
    stage = Stage()
    assert stage.reported() == []
    stage.begin()
    assert stage.reported() == [f"{TEXT}. Fix: {FIX}."]
    assert stage.reported() == []
    stage.board.end("queue_blind", subject="q1")
    assert stage.reported() == [f"This is over: {TEXT}. It began 2026-03-02 12:00 UTC."]
    assert stage.reported() == []


def test_those_of_one_kind_share_a_message() -> None:
    stage = Stage()
    for number in range(30):
        stage.begin(subject=f"q{number}", text=f"Queue {number}")
    stage.board.begin("posts_late", Area.NOTIFIER, "Posts are late", "see the network")
    blind, late = stage.reported()
    assert (blind.count("Fix: "), blind.endswith("And 10 more."), late) == (
        20,
        True,
        "Posts are late. Fix: see the network.",
    )


def test_a_restart_neither_ends_it_nor_repeats_it() -> None:
    stage = Stage()
    stage.begin()
    stage.reported()
    stage.restart()
    assert stage.reported() == []
    stage.begin()
    assert stage.reported() == []
    stage.restart()
    stage.board.end("queue_blind", subject="q1")
    assert stage.reported() == [f"This is over: {TEXT}. It began 2026-03-02 12:00 UTC."]
