"""What people do on the demo's stage, and what the page and the terminal say of it."""

from __future__ import annotations

import io
import json
import queue
import tomllib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest
from rich.console import Console

from tests.support.builders import DAY, SECOND
from tests.support.clock import FakeClock
from worker.demo.story import cast
from worker.demo.story.page import view
from worker.demo.story.play import EndedError, Performance
from worker.demo.story.scenario import EXPECTED, Scenario, Scene
from worker.demo.story.stage import Chapter, ImpossibleError, Stage
from worker.demo.story.terminal import Terminal, without_markup
from worker.process import Stop
from worker.settings.calendars import CalendarTable, calendar_of

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def stage() -> Stage:
    return Stage(FakeClock(), cast.FAST)


def names(places: list[Any]) -> list[str]:
    return [place.name for place in places]


def test_runs_wait_until_they_are_completed_and_again_when_put_back(stage: Stage) -> None:
    support = stage.queues[cast.SUPPORT]
    first, second = stage.arrive(cast.SUPPORT, cast.SUPPORT_WAITING[:2])
    stage.complete(first)
    assert names(stage.waiting(support)) == [cast.SUPPORT_WAITING[1].name]
    assert names(stage.done(support)) == [cast.SUPPORT_WAITING[0].name]
    stage.requeue(first, reserved=True)
    assert {place.queue_run_id for place in stage.waiting(support)} == {first, second}
    assert stage.waiting(support)[-1].reserved_by
    assert not stage.done(support)


def test_of_several_reviewers_the_next_who_owes_a_review_completes_a_run(stage: Stage) -> None:
    safety = stage.queues[cast.SAFETY]
    (run,) = stage.arrive(cast.SAFETY, [cast.SAFETY_NEW])
    ids = [stage.langsmith.add_reviewer(each.email) for each in cast.BOARD]
    for number in range(1, len(ids) + 1):
        assert stage.waiting(safety)
        stage.complete(run)
        assert (*stage.waiting(safety), *stage.done(safety))[0].completed_by == ids[:number]
    assert names(stage.done(safety)) == [cast.SAFETY_NEW.name]


def test_a_person_stands_beside_the_channels_once_the_app_has_written(stage: Stage) -> None:
    assert view(stage)["direct"] == []
    stage.slack.say(cast.CLEO.user, "your turn")
    shown = view(stage)
    assert [(place["id"], place["name"]) for place in shown["direct"]] == [(cast.CLEO_DIRECT, cast.CLEO.name)]
    assert [message["channel"] for message in shown["messages"]] == [cast.CLEO_DIRECT]


@pytest.mark.parametrize("action", ["complete", "reserve", "release", "requeue"])
def test_a_run_that_is_not_there_is_named_so(stage: Stage, action: str) -> None:
    with pytest.raises(ImpossibleError, match="not there"):
        getattr(stage, action)(uuid4())


def test_a_run_is_not_completed_twice(stage: Stage) -> None:
    (run,) = stage.arrive(cast.RAG, cast.RAG_NEW[:1])
    stage.complete(run)
    with pytest.raises(ImpossibleError):
        stage.complete(run)


def test_the_first_reservation_stays_the_only_one(stage: Stage) -> None:
    (run,) = stage.arrive(cast.RAG, cast.RAG_NEW[:1])
    stage.reserve(run)
    stage.reserve(run)
    assert len(stage.waiting(stage.queues[cast.RAG])[0].reserved_by) == 1


def test_the_view_is_json_and_shows_what_waits_and_what_is_done(stage: Stage) -> None:
    story = Scenario(stage)
    stage.complete(story.first[0])
    stage.reserve(story.first[1])
    stage.say("info", "polled")
    shown = json.loads(json.dumps(view(stage)))
    support = next(q for q in shown["queues"] if q["name"] == cast.SUPPORT)
    assert [run["name"] for run in support["done"]] == [cast.SUPPORT_WAITING[0].name]
    assert support["waiting"][0] | {"added": 0} == {
        "id": str(story.first[1]),
        "name": cast.SUPPORT_WAITING[1].name,
        "type": "chain",
        "added": 0,
        "reserved": True,
        "error": False,
    }
    assert [line["text"] for line in shown["log"]] == ["polled"]
    assert shown["up"] == {"langsmith": True, "slack": True}


def test_every_kind_that_is_expected_goes_to_a_channel_of_the_demo() -> None:
    assert {channel for channel, _ in EXPECTED} == {room.channel_id for room in cast.ROOMS} | {cast.CLEO_DIRECT}
    assert {kind for _, kind in EXPECTED} == {"baseline", "announcement", "reminder", "escalation", "direct"}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"<!subteam^{cast.ON_CALL}> look", "@review-on-call look"),
        ("<@U0X> look", "@U0X look"),
        ("<https://x.example/?a=1&amp;b|the queue>", "the queue"),
        ("<https://x.example>", "https://x.example"),
        ("&lt;b&gt; &amp;lt;", "<b> &lt;"),
    ],
)
def test_the_terminal_shows_text_without_slacks_markup(text: str, shown: str) -> None:
    assert without_markup(text) == shown


def summary(stage: Stage) -> tuple[bool, str]:
    written = io.StringIO()
    well = Terminal(Console(file=written, width=100)).summarize(stage)
    return well, written.getvalue()


def post(stage: Stage, channel: str, kind: str) -> None:
    person = cast.DIRECT_MESSAGES.get(channel)
    stage.slack.say(person.user if person else channel, "…", metadata={"event_payload": {"kind": kind}})


def test_the_summary_is_content_with_what_the_story_has(stage: Stage) -> None:
    for (channel, kind), times in EXPECTED.items():
        for _ in range(times):
            post(stage, channel, kind)
    well, written = summary(stage)
    assert well
    assert written.count("✓") == len(EXPECTED)


@pytest.mark.parametrize(
    ("channel", "kind"),
    [
        pytest.param(cast.RAG_CHANNEL, "reminder", id="posted twice"),
        pytest.param(cast.RAG_CHANNEL, "escalation", id="not in the story"),
    ],
)
def test_the_summary_finds_what_is_too_much(stage: Stage, channel: str, kind: str) -> None:
    for expected, times in EXPECTED.items():
        for _ in range(times):
            post(stage, *expected)
    post(stage, channel, kind)
    well, written = summary(stage)
    assert not well
    assert "differs" in written


def test_the_summary_finds_what_is_missing(stage: Stage) -> None:
    assert not summary(stage)[0]


class Ticking(FakeClock):
    """A clock that goes on by twenty seconds whenever it is looked at."""

    def monotonic(self) -> float:
        self.advance(timedelta(seconds=20))
        return super().monotonic()


def performance(stage: Stage, *, ended: Callable[[], int | None] = lambda: None, stopped: bool = False) -> Performance:
    stop = Stop()
    if stopped:
        stop.set()
    terminal = Terminal(Console(quiet=True))
    return Performance(stage, terminal, Ticking(), stop, ended, queue.SimpleQueue())


def test_scenes_are_played_in_order_and_told(stage: Stage) -> None:
    done: list[str] = []
    scenes = [
        Scene("one", "first", lambda _: True, act=lambda: done.append("act"), then=lambda: done.append("then")),
        Scene("two", "second", lambda _: True, act=lambda: done.append("second act")),
    ]
    playing = performance(stage)
    playing.play(scenes)
    assert done == ["act", "then", "second act"]
    assert playing.missed == []
    assert stage.chapter == Chapter("two", "second", 2, 2)


def test_a_scene_whose_outcome_does_not_come_is_kept_as_missed(stage: Stage) -> None:
    playing = performance(stage)
    playing.play([Scene("never", "", lambda _: False), Scene("well", "", lambda _: True)])
    assert playing.missed == ["never"]


def test_the_story_ends_when_it_is_told_to(stage: Stage) -> None:
    with pytest.raises(EndedError, match=r"^$"):
        performance(stage, stopped=True).play([Scene("never", "", lambda _: False)])


def test_the_story_ends_with_the_worker(stage: Stage) -> None:
    with pytest.raises(EndedError, match="with status 78"):
        performance(stage, ended=lambda: 78).stay(Chapter("stay", ""))


def test_each_run_of_the_story_has_a_name_of_its_own() -> None:
    waiting = [*cast.SUPPORT_WAITING, *cast.RAG_WAITING, *cast.CLAIMS_WAITING]
    new = [*cast.SUPPORT_NEW, *cast.RAG_NEW, cast.CLAIMS_NIGHT, cast.CLAIMS_MORNING, cast.SUPPORT_LATE]
    traces = [*waiting, *new, *cast.ANY]
    assert len({trace.name for trace in traces}) == len(traces)
    assert isinstance(Stage(FakeClock(), cast.CALM).arrive(cast.SUPPORT, traces)[0], UUID)


@pytest.mark.parametrize("clock", ["12:30:45", "00:00:20", "00:00:00", "23:59:59"])
def test_the_claims_desk_opens_to_the_second_and_stays_open(clock: str) -> None:
    opens_at = datetime.fromisoformat(f"2026-11-27 {clock}").replace(tzinfo=UTC)
    settings = tomllib.loads(cast.worker_toml(cast.FAST, rag_id="rag", opens_at=opens_at))
    calendar = calendar_of(CalendarTable(**settings["calendars"]["claims"]), opens_at.year)
    start = opens_at - cast.FAST.opens * SECOND
    assert calendar.opens(start) == opens_at
    assert calendar.next_closing(opens_at) is None
    assert calendar.may_post(opens_at + 7 * DAY)
