"""Reminders in threads, in the channel and in both, as people see them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from tests.system.process import soon_after, wait_for
from worker.clock import SystemClock

if TYPE_CHECKING:
    from tests.system.stage import Place, Stage


def messages(stage: Stage, place: Place) -> list[dict[str, Any]]:
    return stage.slack.messages(place.channel)


def points_on(stage: Stage, place: Place) -> bool:
    """Whether the first reminder has become one line."""
    return "a newer reminder" in messages(stage, place)[1]["text"]


@pytest.mark.long(12)
def test_a_reminder_goes_where_its_queue_wants_it_and_a_former_one_points_to_it(stage: Stage) -> None:
    places = {where: stage.add(where, remind_in=where) for where in ("channel", "thread", "both")}
    gone = stage.add("gone", remind_in="thread", remind_every="never")
    with stage.service(WORKER_STALE_AFTER="never"):
        begun_at = SystemClock().now()
        for place in (*places.values(), gone):
            stage.run(place, f"waits in {place.name}")
        wait_for(lambda: all(messages(stage, place) for place in (*places.values(), gone)), "the first messages")
        wait_for(stage.is_settled, "they are written down")
    stage.slack.delete(gone.channel, messages(stage, gone)[0]["ts"])
    with stage.service(WORKER_STALE_AFTER=soon_after(begun_at), WORKER_REMIND_EVERY="6s"):
        wait_for(lambda: all(len(messages(stage, place)) >= 3 for place in places.values()), "two reminders each")
        for place in places.values():
            wait_for(partial(points_on, stage, place), "the former one points to it")
        wait_for(lambda: messages(stage, gone), "a reminder in spite of the lost thread")
    for where, place in places.items():
        first, reminder, newer = messages(stage, place)[:3]
        in_thread = where != "channel"
        for reply in (reminder, newer):
            assert (reply.get("thread_ts") == first["ts"]) is in_thread, where
            assert (reply.get("subtype") == "thread_broadcast") is (where == "both"), where
        assert "overdue in" in newer["text"] or "newer reminder" in newer["text"]
    alone, *others = messages(stage, gone)
    assert not others, [(one["metadata"]["event_payload"]["kind"], one["ts"], one["text"]) for one in (alone, *others)]
    assert "thread_ts" not in alone
