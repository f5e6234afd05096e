"""Which queues are polled: by id, by name, all; as they come, go and are renamed, and while the list fails."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from tests.support.builders import queue
from tests.support.clock import FakeClock
from tests.support.fake_source import FakeSource
from worker.core.ports import Trouble
from worker.loops.roster import LOOK_UP_EVERY, TRY_AGAIN_EVERY, Roster

if TYPE_CHECKING:
    from collections.abc import Sequence

    from worker.core.model import Queue

SUPPORT, RAG = queue("Support QA"), queue("RAG bot")


class Scene:
    def __init__(
        self, *, ids: bool = False, names: tuple[str, ...] = (), everything: bool = False, last: Sequence[Queue] = ()
    ) -> None:
        self.clock = FakeClock()
        self.source = FakeSource()
        self.roster = Roster(
            source=self.source,
            clock=self.clock,
            ids=[SUPPORT.queue_id] if ids else [],
            names=names,
            everything=everything,
            last=last,
        )

    def after(self, wait: timedelta) -> bool:
        self.clock.advance(wait)
        return self.roster.refresh()

    def names(self) -> set[str]:
        return {queue.name for queue in self.roster.queues.values()}


def test_ids_alone_need_no_list() -> None:
    scene = Scene(ids=True)
    scene.source.fail("queues")
    assert not scene.roster.refresh()
    assert set(scene.roster.queues) == {SUPPORT.queue_id}
    assert not scene.roster.is_failing


@pytest.mark.parametrize(
    ("settings", "listed", "may_poll"),
    [
        pytest.param({"ids": True}, [], (True, False), id="given by id it needs no list"),
        pytest.param({"names": ("Support QA",)}, None, (True, True), id="any may come while there was no list"),
        pytest.param({"names": ("Support QA",)}, [SUPPORT, RAG], (True, False), id="the list has others, too"),
        pytest.param({"everything": True}, [RAG], (False, True), id="it is gone from the list"),
    ],
)
def test_whether_a_queue_may_be_polled(
    settings: dict[str, Any], listed: list[Queue] | None, may_poll: tuple[bool, bool]
) -> None:
    scene = Scene(**settings)
    if listed is None:
        scene.source.fail("queues")
    for each in listed or ():
        scene.source.show(each)
    scene.roster.refresh()
    assert (scene.roster.may_poll(SUPPORT.queue_id), scene.roster.may_poll(RAG.queue_id)) == may_poll


def test_ids_are_called_what_they_were_called_before() -> None:
    source, clock = FakeSource(), FakeClock()
    wanted = [SUPPORT.queue_id, RAG.queue_id]
    roster = Roster(source=source, clock=clock, ids=wanted, names=(), everything=False, last=[SUPPORT])
    assert [queue.name for queue in roster.queues.values()] == ["Support QA", str(RAG.queue_id)]


def test_a_name_becomes_the_queue_that_has_it() -> None:
    scene = Scene(names=("RAG bot",))
    scene.source.show(SUPPORT)
    scene.source.show(RAG)
    assert scene.roster.refresh()
    assert set(scene.roster.queues) == {RAG.queue_id}


def test_a_name_that_no_queue_has_is_told_and_found_when_it_comes() -> None:
    scene = Scene(names=("RAG bot",))
    scene.roster.refresh()
    assert scene.roster.unknown == {"RAG bot"}
    scene.source.show(RAG)
    assert scene.after(LOOK_UP_EVERY)
    assert scene.names() == {"RAG bot"}
    assert not scene.roster.unknown


@pytest.mark.parametrize("name", ["rag bot", "RAG  bot", "RAG bot ", "RAG\u00a0bot", "RAGbot"])
def test_a_name_that_looks_like_another_is_asked_about_and_not_guessed(name: str) -> None:
    scene = Scene(names=(name,))
    scene.source.show(RAG)
    scene.roster.refresh()
    assert not scene.roster.queues
    assert scene.roster.meant(name) == "did you mean 'RAG bot'? "


def test_a_name_in_another_composition_is_asked_about() -> None:
    scene = Scene(names=("Cafe\u0301",))
    scene.source.show(replace(RAG, name="Caf\u00e9"))
    scene.roster.refresh()
    assert "did you mean" in scene.roster.meant("Cafe\u0301")
    assert not scene.roster.meant("Coffee")


def test_all_follows_queues_that_come_and_go() -> None:
    scene = Scene(everything=True)
    scene.source.show(SUPPORT)
    assert scene.roster.refresh()
    scene.source.show(RAG)
    assert not scene.after(LOOK_UP_EVERY - timedelta(seconds=1))
    assert scene.after(timedelta(seconds=1))
    assert scene.names() == {"Support QA", "RAG bot"}
    scene.source.hide(SUPPORT)
    assert scene.after(LOOK_UP_EVERY)
    assert scene.names() == {"RAG bot"}


def test_a_queue_given_by_id_is_polled_whatever_the_list_says() -> None:
    scene = Scene(ids=True, everything=True)
    scene.source.show(RAG)
    scene.roster.refresh()
    assert set(scene.roster.queues) == {SUPPORT.queue_id, RAG.queue_id}


def test_a_list_that_fails_keeps_what_is_known() -> None:
    scene = Scene(everything=True)
    scene.source.show(SUPPORT)
    scene.roster.refresh()
    scene.source.fail("queues")
    assert not scene.after(LOOK_UP_EVERY)
    assert scene.names() == {"Support QA"}
    assert scene.roster.is_failing
    assert not scene.after(LOOK_UP_EVERY)
    assert not scene.roster.is_failing


def test_while_nothing_is_known_the_list_is_asked_for_sooner() -> None:
    scene = Scene(everything=True)
    scene.source.show(SUPPORT)
    scene.source.fail("queues")
    assert not scene.roster.refresh()
    assert scene.after(TRY_AGAIN_EVERY)
    assert scene.names() == {"Support QA"}


@pytest.mark.parametrize(
    ("settings", "polled"),
    [
        pytest.param({"everything": True}, {"Support QA", "RAG bot"}, id="all"),
        pytest.param({"names": ("RAG bot",)}, {"RAG bot"}, id="by name"),
        pytest.param({"ids": True}, {"Support QA"}, id="by id"),
    ],
)
def test_until_the_list_comes_those_of_the_last_time_are_polled(settings: dict[str, Any], polled: set[str]) -> None:
    scene = Scene(**settings, last=[SUPPORT, RAG])
    assert scene.names() == polled
    scene.source.fail("queues")
    assert not scene.roster.refresh()
    assert scene.names() == polled


def test_what_is_gone_since_the_last_time_goes_when_the_list_comes() -> None:
    scene = Scene(everything=True, last=[SUPPORT, RAG])
    scene.source.show(RAG)
    scene.source.fail("queues")
    scene.roster.refresh()
    assert scene.after(TRY_AGAIN_EVERY)
    assert scene.names() == {"RAG bot"}


@pytest.mark.parametrize(
    ("failure", "wait"),
    [
        pytest.param({"retry_after": timedelta(minutes=20)}, timedelta(minutes=20), id="what it asked for"),
        pytest.param({"retry_after": timedelta(0)}, timedelta(seconds=1), id="no less than a second"),
        pytest.param({"trouble": Trouble.REFUSED}, timedelta(minutes=5), id="a key does not get better by asking"),
    ],
)
def test_a_list_that_fails_is_left_alone_for(failure: dict[str, Any], wait: timedelta) -> None:
    scene = Scene(everything=True)
    scene.source.show(SUPPORT)
    scene.source.fail("queues", **failure)
    scene.roster.refresh()
    assert not scene.after(wait - timedelta(milliseconds=1))
    assert scene.after(timedelta(milliseconds=1))
