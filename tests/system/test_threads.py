"""Reminders in threads, in the channel and in both, as people see them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from tests.system.process import wait_for

if TYPE_CHECKING:
    from tests.system.stage import Place, Stage


def messages(stage: Stage, place: Place) -> list[dict[str, Any]]:
    return stage.slack.messages(place.channel)


def points_on(stage: Stage, place: Place) -> bool:
    """Whether the first reminder has become one line."""
    return "a newer reminder" in messages(stage, place)[1]["text"]


@pytest.mark.long(12)
def test_a_reminder_goes_where_its_queue_wants_it_and_a_former_one_points_to_it(stage: Stage) -> None:
    places = {
        where: stage.add(where, remind_in=where, stale_after="2s", remind_every="4s")
        for where in ("channel", "thread", "both")
    }
    gone = stage.add("gone", remind_in="thread", stale_after="4s", remind_every="never")
    with stage.service(WORKER_STALE_AFTER="2s") as process:
        # Runs that grew stale during a slow start would get a reminder for their first message.
        wait_for(lambda: process.logged("started"), "the start")
        for place in (*places.values(), gone):
            stage.run(place, f"waits in {place.name}")
        wait_for(lambda: messages(stage, gone), "the first message")
        stage.slack.delete(gone.channel, messages(stage, gone)[0]["ts"])
        wait_for(lambda: all(len(messages(stage, place)) >= 3 for place in places.values()), "two reminders each")
        for place in places.values():
            wait_for(partial(points_on, stage, place), "the former one points to it", patience=45)
        wait_for(lambda: messages(stage, gone), "a reminder in spite of the lost thread")
    for where, place in places.items():
        first, reminder, newer = messages(stage, place)[:3]
        in_thread = where != "channel"
        for reply in (reminder, newer):
            assert (reply.get("thread_ts") == first["ts"]) is in_thread, where
            assert (reply.get("subtype") == "thread_broadcast") is (where == "both"), where
        assert "overdue in" in newer["text"] or "newer reminder" in newer["text"]
    (alone,) = messages(stage, gone)
    assert "thread_ts" not in alone
