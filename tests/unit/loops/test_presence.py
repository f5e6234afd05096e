"""The row of a process: what is written of its link, and how often."""

from __future__ import annotations

from uuid import uuid4

from tests.support.builders import HOUR, MINUTE, NOON, SECOND
from tests.support.memory_store import MemoryStore
from worker.core.overview import LinkState, Overview
from worker.loops.housekeep import Presence


def test_a_sign_of_life_of_the_link_is_written_once_a_minute_and_its_changes_at_once() -> None:
    store = MemoryStore()
    presence = Presence(store, uuid4(), "host", 1, "0.2.0")
    presence.begin("run", NOON)

    def written(link: LinkState | None) -> LinkState | None:
        presence.show(Overview(NOON), link=link)
        return store.processes()[0].link

    up = LinkState(NOON, NOON, 1, 1)
    assert written(None) is None
    assert written(LinkState()) == LinkState()
    assert written(up) == up
    assert written(LinkState(NOON, NOON + 59 * SECOND, 1, 1)) == up
    assert written(LinkState(NOON, NOON + 59 * SECOND, 1, 2)) == LinkState(NOON, NOON, 1, 2)
    assert written(LinkState(NOON, NOON + MINUTE, 1, 2)) == LinkState(NOON, NOON + MINUTE, 1, 2)
    assert written(LinkState(NOON + HOUR, NOON + HOUR, 1, 2)) == LinkState(NOON + HOUR, NOON + HOUR, 1, 2)
    assert written(LinkState()) == LinkState()
