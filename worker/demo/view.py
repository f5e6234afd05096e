"""What the page shows, as JSON. Pure but for looking at the stage."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from worker.demo import cast
from worker.demo.stage import LANGSMITH, SLACK, kind_of

if TYPE_CHECKING:
    from uuid import UUID

    from worker.demo.langsmith_state import Place
    from worker.demo.stage import Said, Stage

Json = dict[str, Any]

SHOWN = 60
"""How many of a channel's newest messages, of a queue's reviewed runs and of the worker's lines the page shows."""


def view(stage: Stage) -> Json:
    """Everything that the page shows now."""
    return {
        "story": asdict(stage.chapter),
        "up": {service: stage.is_up(service) for service in (LANGSMITH, SLACK)},
        "channels": [{"id": room.channel_id, "name": room.name, "about": room.about} for room in cast.ROOMS],
        "names": cast.NAMES,
        "messages": _messages(stage),
        "queues": [_queue(stage, name, queue_id) for name, queue_id in stage.queues.items()],
        "log": [_said(said) for said in stage.said()[-SHOWN:]],
    }


def _messages(stage: Stage) -> list[Json]:
    messages = [
        _message(room.channel_id, message)
        for room in cast.ROOMS
        for message in stage.slack.messages(room.channel_id)[-SHOWN:]
    ]
    return sorted(messages, key=lambda message: str(message["ts"]))


def _message(channel: str, message: Json) -> Json:
    return {
        "channel": channel,
        "ts": message["ts"],
        "thread_ts": message.get("thread_ts"),
        "broadcast": message.get("subtype") == "thread_broadcast",
        "edited": "edited" in message,
        "kind": kind_of(message),
        "text": message.get("text", ""),
        "blocks": message.get("blocks") or [],
    }


def _queue(stage: Stage, name: str, queue_id: UUID) -> Json:
    return {
        "id": str(queue_id),
        "name": name,
        "policy": cast.policies(stage.tempo)[name],
        "waiting": [_run(place) for place in stage.waiting(queue_id)],
        "done": [_run(place) for place in stage.done(queue_id)[:SHOWN]],
    }


def _run(place: Place) -> Json:
    return {
        "id": str(place.queue_run_id),
        "name": place.name,
        "type": place.run_type,
        "added": (place.added_at or place.started_at).timestamp(),
        "reserved": bool(place.reserved_by),
        "error": bool(place.error),
    }


def _said(said: Said) -> Json:
    return {"number": said.number, "at": f"{said.at.astimezone():%H:%M:%S}", "level": said.level, "text": said.text}
