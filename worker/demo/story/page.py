"""The demo's page: its files, its state as a stream of events, and what its buttons do. For this machine alone."""

from __future__ import annotations

import asyncio
import itertools
import json
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec
from msgspec import structs
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import FileResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from worker.demo.story import cast
from worker.demo.story.stage import LANGSMITH, SLACK, Control, ImpossibleError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from uuid import UUID

    from starlette.requests import Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from worker.demo.langsmith.state import Place
    from worker.demo.story.stage import Said, Stage

STATIC = Path(__file__).parent / "static"
_LOOK_SECONDS = 0.2
BEAT = 50
"""After so many looks without a change something is sent, so that a lost browser is noticed."""

LARGEST_ACTION = 2_000
HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


class _Action(msgspec.Struct, frozen=True):
    """The request of a button. `user` is the person whom the visitor plays, for what people do in Slack."""

    do: str
    queue: UUID | None = None
    run: UUID | None = None
    user: str = ""
    channel: str = ""
    ts: str = ""
    action: str = ""
    block: str = ""
    option: str = ""
    text: str = ""


_PLAYED = {each.user for each in cast.VISITORS}


class DemoPage:
    """The page of one stage; serve `app` on loopback, and `close` it before the server is stopped."""

    def __init__(self, stage: Stage) -> None:
        """Nothing is served yet."""
        self._stage = stage
        self._closing = threading.Event()
        self._on_run: dict[str, Callable[[UUID], None]] = {
            "complete": stage.complete,
            "reserve": stage.reserve,
            "release": stage.release,
            "requeue": stage.requeue,
        }
        self._on_stage: dict[str, Callable[[], None]] = {
            "break-langsmith": lambda: stage.fail(LANGSMITH),
            "heal-langsmith": lambda: stage.heal(LANGSMITH),
            "break-slack": lambda: stage.fail(SLACK),
            "heal-slack": lambda: stage.heal(SLACK),
            "lose-answer": stage.lose_answer,
        }
        self._as_person: dict[str, Callable[[_Action], None]] = {
            "press": lambda each: stage.press(
                each.user, each.channel, each.ts, Control(each.action, each.block, each.option)
            ),
            "write": lambda each: stage.write(each.user, each.channel, each.text),
            "open-home": lambda each: stage.open_home(each.user),
        }
        self._visitors = itertools.cycle(each.user for each in cast.VISITORS)
        self.app = Starlette(
            routes=[
                Route("/", self._index),
                Route("/events", self._events),
                Route("/act", self._act, methods=["POST"]),
                Route("/langsmith/{rest:path}", self._link),
                Mount("/static", StaticFiles(directory=STATIC)),
            ],
            # Any page in the browser may send requests here, under any name that it lets resolve to loopback.
            middleware=[
                Middleware(_WithHeaders),
                Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost"], www_redirect=False),
            ],
        )

    def close(self) -> None:
        """End the streams of events."""
        self._closing.set()

    async def _index(self, _request: Request) -> Response:
        return FileResponse(STATIC / "index.html")

    async def _link(self, _request: Request) -> Response:
        return FileResponse(STATIC / "link.html")

    async def _events(self, _request: Request) -> Response:
        return StreamingResponse(self._states(), media_type="text/event-stream")

    async def _states(self) -> AsyncIterator[str]:
        """The whole state whenever it has changed, so that a page that missed one, or comes again, needs no other.

        First comes whom the visitor plays: another person than the visitor before.
        """
        yield f"event: you\ndata: {json.dumps(next(self._visitors))}\n\n"
        last, unchanged = "", 0
        while not self._closing.is_set():
            state = json.dumps(view(self._stage))
            unchanged = 0 if state != last else unchanged + 1
            if unchanged == 0:
                yield f"event: state\ndata: {state}\n\n"
            elif unchanged % BEAT == 0:
                yield ": still here\n\n"
            last = state
            await asyncio.sleep(_LOOK_SECONDS)

    async def _act(self, request: Request) -> Response:
        refusal = _refusal(request)
        if refusal:
            return refusal
        try:
            self._do(msgspec.json.decode(await request.body(), type=_Action))
        except msgspec.DecodeError:
            return PlainTextResponse("no action that this page knows", 400)
        except ImpossibleError as error:
            return PlainTextResponse(str(error), 409)
        return Response(status_code=204)

    def _do(self, action: _Action) -> None:
        """Raises ImpossibleError."""
        if action.do == "add" and action.queue:
            self._stage.add(action.queue)
        elif action.do in self._on_run and action.run:
            self._on_run[action.do](action.run)
        elif action.do in self._as_person and action.user in _PLAYED:
            self._as_person[action.do](action)
        elif action.do in self._on_stage:
            self._on_stage[action.do]()
        else:
            raise ImpossibleError("no action that this page knows")


def _refusal(request: Request) -> Response | None:
    """Only this very page may act: other pages' requests carry another origin, or cannot say that they are JSON."""
    if request.headers.get("origin") != f"http://{request.headers.get('host')}":
        return PlainTextResponse("only the page itself may do that", 403)
    if request.headers.get("content-type") != "application/json":
        return PlainTextResponse("an action is JSON", 415)
    length = request.headers.get("content-length", "")
    if not length.isdecimal() or int(length) > LARGEST_ACTION:
        return PlainTextResponse("an action is small", 413)
    return None


class _WithHeaders:
    """Adds HEADERS to every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                added = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
                message["headers"] = [*message["headers"], *added]
            await send(message)

        await self._app(scope, receive, with_headers)


_Json = dict[str, Any]

_SHOWN = 60
"""The numbers of a channel's newest messages, a queue's reviewed runs and the worker's lines that the page shows."""


def view(stage: Stage) -> _Json:
    """Everything that the page shows now."""
    messages = stage.messages()
    return {
        "story": structs.asdict(stage.chapter),
        "up": {service: stage.is_up(service) for service in (LANGSMITH, SLACK)},
        "channels": [{"id": room.channel_id, "name": room.name, "about": room.about} for room in cast.ROOMS],
        "direct": _direct(messages),
        "names": cast.NAMES,
        "messages": _newest(messages),
        "people": [{"id": each.user, "name": each.name} for each in cast.VISITORS],
        "private": _private(stage),
        "homes": {each.user: (stage.slack.personal.home(each.user) or {}).get("blocks", []) for each in cast.VISITORS},
        "queues": [_queue(stage, name, queue_id) for name, queue_id in stage.queues.items()],
        "log": [_said(said) for said in stage.said()[-_SHOWN:]],
    }


def _direct(messages: Mapping[str, list[_Json]]) -> list[_Json]:
    """The people to whom the app has written, with what their messages are about."""
    people = {channel: person for channel, person in cast.DIRECT_MESSAGES.items() if channel in messages}
    return [
        {"id": channel, "name": person.name, "about": f"The app's direct messages with {person.name}"}
        for channel, person in people.items()
    ]


def _newest(messages: Mapping[str, list[_Json]]) -> list[_Json]:
    newest = [_message(channel, message) for channel, some in messages.items() for message in some[-_SHOWN:]]
    return sorted(newest, key=lambda message: str(message["ts"]))


def _private(stage: Stage) -> list[_Json]:
    """What the app has shown single people alone."""
    return [
        {
            "user": each.user,
            "channel": shown.channel,
            "ts": shown.ts,
            "thread_ts": shown.thread_ts or None,
            "broadcast": False,
            "edited": False,
            "text": shown.text,
            "blocks": shown.blocks,
        }
        for each in cast.VISITORS
        for shown in stage.slack.personal.ephemerals(each.user)[-_SHOWN:]
    ]


def _message(channel: str, message: _Json) -> _Json:
    return {
        "channel": channel,
        "ts": message["ts"],
        "thread_ts": message.get("thread_ts"),
        "broadcast": message.get("subtype") == "thread_broadcast",
        "edited": "edited" in message,
        "text": message.get("text", ""),
        "blocks": message.get("blocks") or [],
    }


def _queue(stage: Stage, name: str, queue_id: UUID) -> _Json:
    return {
        "id": str(queue_id),
        "name": name,
        "policy": cast.policies(stage.tempo)[name],
        "waiting": [_run(place) for place in stage.waiting(queue_id)],
        "done": [_run(place) for place in stage.done(queue_id)[:_SHOWN]],
    }


def _run(place: Place) -> _Json:
    return {
        "id": str(place.queue_run_id),
        "name": place.name,
        "type": place.run_type,
        "added": (place.added_at or place.started_at).timestamp(),
        "reserved": bool(place.reserved_by),
        "error": bool(place.error),
    }


def _said(said: Said) -> _Json:
    return {"number": said.number, "at": f"{said.at.astimezone():%H:%M:%S}", "level": said.level, "text": said.text}
