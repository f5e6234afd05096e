from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from tests.support.builders import DAY, HOUR, MINUTE, NOON, SECOND, queue, to
from tests.support.clock import FakeClock
from tests.support.fake_notifier import FakeNotifier
from tests.support.memory_store import MemoryStore
from tests.support.overviews import overview, view
from worker.core.model import Kind, Polled
from worker.core.overview import ApiInUse, Overview
from worker.loops.incidents import MOST_A_DAY, Ops
from worker.loops.observe import Observer

if TYPE_CHECKING:
    from datetime import datetime


@dataclass
class Stage:
    """A watch over whatever a test shows it."""

    clock: FakeClock = field(default_factory=FakeClock)
    store: MemoryStore = field(default_factory=MemoryStore)
    notifier: FakeNotifier = field(default_factory=FakeNotifier)
    shown: Overview = field(default_factory=overview)
    watch: Observer = field(init=False)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        ops = Ops(store=self.store, notes=self.store, clock=self.clock, channel=to("C0OPS"), notifier=self.notifier)
        self.watch = Observer(look=lambda: self.shown, store=self.store, notes=self.store, ops=ops)

    def show(self, *queues: object, after: timedelta = timedelta(0), **more: object) -> list[str]:
        """Look at this after some time; what is told because of it."""
        self.clock.advance(after)
        before = len(self.told())
        self.shown = overview(*queues, taken_at=self.clock.now(), **more)  # type: ignore[arg-type]
        self.watch()
        return self.told()[before:]

    def told(self) -> list[str]:
        return [delivery.text for delivery in self.store.deliveries()[::-1] if delivery.kind is Kind.OPS]


def well(at: datetime, name: str = "Support QA", **more: int) -> object:
    return view(name, completed_at=at, **more)


def failing(name: str = "Support QA", **more: int) -> object:
    return view(name, completed_at=NOON, failing_since=NOON, error="HTTP 502", **more)


def test_a_queue_that_fails_is_told_once_and_its_end_with_what_was_found() -> None:
    stage = Stage()
    assert stage.show(failing(new=1)) == []
    (begun,) = stage.show(failing(new=1), after=15 * MINUTE)
    assert begun.startswith("Polling Support QA has failed since 2026-03-02 12:00 UTC: HTTP 502.")
    assert stage.show(failing(new=1), after=HOUR) == []
    at = stage.clock.now()
    assert stage.show(well(at, new=4, gone=2)) == [
        (
            "Support QA can be polled again. Blind from 2026-03-02 12:00 UTC to 2026-03-02 13:15 UTC; "
            "found since: 3 new runs, 2 runs that left."
        )
    ]
    assert stage.show(well(at)) == []


def test_a_restart_neither_repeats_a_trouble_nor_forgets_its_end() -> None:
    stage = Stage()
    stage.show(failing(), after=HOUR)
    stage.restart()
    assert stage.show(failing(), after=MINUTE) == []
    (ended,) = stage.show(well(stage.clock.now(), new=2))
    assert "Support QA can be polled again" in ended
    assert "2 new runs" in ended


def test_a_trouble_that_was_told_just_before_a_crash_is_not_told_again() -> None:
    stage = Stage()
    stage.show(failing(), after=HOUR)
    stage.store.remember("incidents_told", "[]")
    stage.restart()
    assert stage.show(failing()) == []


def test_a_refused_key_says_what_to_do() -> None:
    stage = Stage()
    (text,) = stage.show(view(failing_since=NOON, trouble="refused", error="HTTP 401"))
    assert "LangSmith has refused the API key" in text
    assert "LANGSMITH_API_KEY" in text
    assert stage.show(well(NOON + MINUTE), after=MINUTE)[0].startswith("LangSmith accepts the API key again.")


def test_an_unknown_name_and_an_unreadable_list_are_told_with_their_ends() -> None:
    stage = Stage()
    begun = stage.show(view(), unknown=frozenset({"Ghost"}), unlisted_since=NOON - HOUR)
    assert sorted(text.split()[0] for text in begun) == ["Ghost:", "Listing"]
    ended = stage.show(view())
    assert sorted(ended) == [
        "Ghost: found now.",
        "The queues can be listed again; that had failed since 2026-03-02 11:00 UTC.",
    ]


def test_an_outage_of_ours_is_one_line_with_what_was_found() -> None:
    stage = Stage()
    stage.store.polled([Polled(queue(), completed_at=NOON)])
    stage.clock.advance(3 * HOUR)
    assert stage.show(view(completed_at=None)) == []
    assert stage.show(well(stage.clock.now(), new=1, gone=1)) == [
        (
            "The worker polled nothing for a while. Blind from 2026-03-02 12:00 UTC to 2026-03-02 15:00 UTC; "
            "found since: 1 new run, 1 run that left."
        )
    ]
    assert stage.show(well(stage.clock.now()), after=MINUTE) == []


@pytest.mark.parametrize(
    ("left", "told"),
    [
        pytest.param(90 * DAY, 0, id="far away"),
        pytest.param(59 * DAY, 1, id="in two months"),
        pytest.param(-1 * DAY, 1, id="over"),
    ],
)
def test_a_listing_that_ends_is_told(left: timedelta, told: int) -> None:
    stage = Stage()
    api = ApiInUse("runs", NOON + left)
    assert len(stage.show(view(), api=api)) == told
    assert stage.show(view(), api=api) == []


def test_the_nearer_its_end_the_more_often_it_is_told() -> None:
    stage = Stage()
    api = ApiInUse("runs", NOON + 60 * DAY)
    daily = view(interval=DAY)
    told = [day for day in range(70) if stage.show(daily, api=api, after=DAY)]
    assert told == [0, 45, 56, 59]


def test_while_the_database_does_not_answer_nothing_is_told_and_nothing_lost() -> None:
    stage = Stage()
    assert stage.show(failing(), after=HOUR, store_error="disk full") == []
    assert len(stage.show(failing())) == 1


def test_no_more_than_a_few_reports_a_day_however_much_goes_wrong() -> None:
    stage = Stage()
    for number in range(50):
        stage.show(failing(f"q{number}"), after=16 * MINUTE)
    told = stage.told()
    assert len([text for text in told if "cannot be polled" in text]) <= MOST_A_DAY
    assert len(told) <= 2 * MOST_A_DAY
    assert sum("further ones are only in the log" in text for text in told) >= 1
    assert stage.show(failing("tomorrow"), after=2 * DAY)


def test_a_trouble_among_too_many_is_told_the_next_day_if_it_lasts_and_then_its_end() -> None:
    stage = Stage()
    for number in range(MOST_A_DAY):
        stage.watch._ops.report(str(number), name=str(number))  # noqa: SLF001
    with capture_logs() as lines:
        assert [stage.show(failing(), after=HOUR) for _ in range(23)] == [[]] * 23
    assert [line["event"] for line in lines] == ["ops_report_left_out"]
    (begun,) = stage.show(failing(), after=HOUR)
    assert begun.startswith("Polling Support QA has failed since 2026-03-02 12:00 UTC")
    assert stage.show(failing(), after=HOUR) == []
    (ended,) = stage.show(well(stage.clock.now()))
    assert ended.startswith("Support QA can be polled again.")


def test_the_end_of_a_trouble_that_nobody_heard_of_is_not_told() -> None:
    stage = Stage()
    for number in range(MOST_A_DAY):
        stage.watch._ops.report(str(number), name=str(number))  # noqa: SLF001
    stage.show(failing(), after=HOUR)
    assert not any("again" in text for text in stage.show(well(stage.clock.now()), after=2 * DAY))


def test_the_end_of_listing_is_told_the_next_day_where_too_much_was_told() -> None:
    stage = Stage()
    for number in range(MOST_A_DAY):
        stage.watch._ops.report(str(number), name=str(number))  # noqa: SLF001
    api = ApiInUse("runs", NOON + 10 * DAY)
    assert [stage.show(api=api, after=HOUR) for _ in range(23)] == [[]] * 23
    (told,) = stage.show(api=api, after=HOUR)
    assert "2026-03-12" in told


def test_without_a_channel_nothing_is_owed() -> None:
    store, clock = MemoryStore(), FakeClock()
    seen = overview(failing(), taken_at=NOON + HOUR)  # type: ignore[arg-type]
    Observer(
        look=lambda: seen, store=store, notes=store, ops=Ops(store=store, notes=store, clock=clock, channel=None)
    )()
    assert store.deliveries() == []


def test_a_database_that_fails_is_announced_past_the_outbox_once_and_its_end_as_usual() -> None:
    stage = Stage()
    assert stage.show(store_error="the database was removed") == []
    assert not stage.notifier.board
    for _ in range(3):
        stage.show(after=30 * SECOND, store_error="the database was removed")
    assert [(message.destination, message.text) for message in stage.notifier.board] == [
        (to("C0OPS"), f"The database has failed since {NOON:%Y-%m-%d %H:%M} UTC: the database was removed")
    ]
    assert stage.show(well(NOON), after=MINUTE) == [
        f"The database works again. It had failed since {NOON:%Y-%m-%d %H:%M} UTC."
    ]


def test_a_database_that_fails_for_a_moment_is_not_announced() -> None:
    stage = Stage()
    stage.show(store_error="is locked")
    assert stage.show(well(NOON), after=MINUTE) == []
    assert not stage.notifier.attempts
