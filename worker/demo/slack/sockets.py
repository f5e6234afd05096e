"""Socket Mode of the simulated Slack: its links, the envelopes that go over them, and what can go wrong with them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from starlette.websockets import WebSocket, WebSocketDisconnect

from worker.demo.slack.faults import connection_of
from worker.demo.slack.workspace import APP_ID, MethodError

if TYPE_CHECKING:
    from collections.abc import Callable

    from worker.core.ports import Clock

MOST_LINKS = 10
"""The links that one app may hold."""

_END = None


class SentEnvelope(Struct):
    """One envelope that went over a link. `answered_at` is when its acknowledgement came, in monotonic seconds."""

    envelope_id: str
    kind: str
    link: int
    sent_at: float
    answered_at: float | None = None


@dataclass(eq=False, slots=True)
class _Wire:
    """One link: what is to be sent waits in `outgoing`, and everything but that belongs to the server's own loop."""

    number: int
    loop: asyncio.AbstractEventLoop
    transport: Any
    outgoing: asyncio.Queue[str | None] = field(default_factory=asyncio.Queue)
    is_frozen: bool = False
    close_code: int | None = None

    def put(self, text: str | None) -> None:
        """Send a message, or end the link; from any thread."""
        with contextlib.suppress(RuntimeError):  # the server has stopped
            self.loop.call_soon_threadsafe(self.outgoing.put_nowait, text)

    def act(self, what: Callable[[], object]) -> None:
        """Do something with the connection."""
        self.loop.call_soon_threadsafe(what)


class SocketMode:
    """The links of one app to Slack. Thread-safe."""

    def __init__(self, clock: Clock) -> None:
        """No link is open yet; `clock` measures how soon envelopes are acknowledged."""
        self._clock = clock
        self._changed = threading.Condition()
        self._numbers = count(1)
        self._tickets: set[str] = set()
        self._wires: list[_Wire] = []
        self._turn = 0
        self.envelopes: list[SentEnvelope] = []
        """Every envelope that was sent, oldest first."""

        self.close_codes: list[int | None] = []
        """How each link that is over was ended by the app: the code of its close frame, None where none came."""

        self.refusal = ""
        """The reason with which every new link is ended in place of a hello, such as `too_many_websockets`."""

        self.silent = False
        """Whether new links never hear a hello."""

    def open_url(self, root: str) -> str:
        """The address of a new link, good for once; `root` is that of this server, with its scheme."""
        ticket = f"ticket-{next(self._numbers)}"
        with self._changed:
            self._tickets.add(ticket)
        return f"{root.replace('http', 'ws', 1)}/link/?ticket={ticket}&app_id={APP_ID}"

    @property
    def links(self) -> int:
        """The number of links at present."""
        with self._changed:
            return len(self._wires)

    def wait_until(self, holds: Callable[[], bool], seconds: float = 60.0) -> bool:
        """Wait until a condition holds, which is asked whenever a link or an envelope changes; whether it does."""
        with self._changed:
            return self._changed.wait_for(holds, seconds)

    async def endpoint(self, socket: WebSocket) -> None:
        """Serve one link up to its end."""
        ticket = socket.query_params.get("ticket", "")
        with self._changed:
            is_known = ticket in self._tickets
            self._tickets.discard(ticket)
        if not is_known:
            await socket.close(4001)
            return
        await socket.accept()
        wire = _Wire(next(self._numbers), asyncio.get_running_loop(), connection_of(socket.scope))
        reason = self._enter(wire)
        if reason:
            await socket.send_text(json.dumps({"type": "disconnect", "reason": reason}))
            await socket.close()
            return
        sending = asyncio.create_task(_pump(socket, wire))
        try:
            await self._receive(socket, wire)
        finally:
            self._leave(wire)
            sending.cancel()

    def send(self, kind: str, payload: dict[str, Any], *, envelope_id: str = "") -> str:
        """Send an envelope over one of the links, each in turn; its id. MethodError where there is no link.

        With an `envelope_id` that was sent before it is the same envelope again.
        """
        with self._changed:
            if not self._wires:
                raise MethodError("no_link")
            self._turn += 1
            wire = self._wires[self._turn % len(self._wires)]
            sent = SentEnvelope(envelope_id or f"envelope-{next(self._numbers)}", kind, wire.number, self._now())
            self.envelopes.append(sent)
        body = {"envelope_id": sent.envelope_id, "type": kind, "payload": payload, "accepts_response_payload": True}
        wire.put(json.dumps(body))
        return sent.envelope_id

    def disconnect(self, reason: str) -> None:
        """Announce on every link that it ends, as Slack does before it; `link_disabled` ends it at once.

        The links go on to carry envelopes until `hang_up`.
        """
        for wire in self._each():
            wire.put(json.dumps({"type": "disconnect", "reason": reason, "debug_info": {"host": "simulated"}}))
            if reason == "link_disabled":
                wire.put(_END)

    def hang_up(self, *, leave: int = 0) -> None:
        """End every link with a close frame, but for the newest `leave` ones; nothing more is sent over them."""
        with self._changed:
            ending = self._wires[: len(self._wires) - leave]
            self._wires = self._wires[len(ending) :]
        for wire in ending:
            wire.put(_END)

    def drop(self) -> None:
        """Cut every link without a word."""
        for wire in self._each():
            wire.act(wire.transport.abort)

    def freeze(self, *, deaf: bool = False) -> None:
        """Let every link stand still: nothing is read, no ping answered, and nothing sent unless it is only `deaf`."""
        for wire in self._each():
            wire.is_frozen = not deaf
            wire.act(wire.transport.pause_reading)

    def _enter(self, wire: _Wire) -> str:
        """Take a link in and send its hello, or give the reason why there is none."""
        with self._changed:
            if self.refusal or len(self._wires) >= MOST_LINKS:
                return self.refusal or "too_many_websockets"
            self._wires.append(wire)
            self._changed.notify_all()
            hello = {"type": "hello", "num_connections": len(self._wires), "connection_info": {"app_id": APP_ID}}
            if not self.silent:
                wire.put(
                    json.dumps({**hello, "debug_info": {"host": "simulated", "approximate_connection_time": 18060}})
                )
            return ""

    async def _receive(self, socket: WebSocket, wire: _Wire) -> None:
        try:
            while True:
                self._answered(wire, await socket.receive_text())
        except WebSocketDisconnect as end:
            wire.close_code = end.code

    def _answered(self, wire: _Wire, text: str) -> None:
        envelope_id = json.loads(text).get("envelope_id")
        with self._changed:
            for sent in reversed(self.envelopes):
                if (sent.envelope_id, sent.link) == (envelope_id, wire.number) and sent.answered_at is None:
                    sent.answered_at = self._now()
                    self._changed.notify_all()
                    return

    def _leave(self, wire: _Wire) -> None:
        with self._changed:
            if wire in self._wires:
                self._wires.remove(wire)
            self.close_codes.append(wire.close_code)
            self._changed.notify_all()

    def _each(self) -> list[_Wire]:
        with self._changed:
            return list(self._wires)

    def _now(self) -> float:
        return self._clock.monotonic()


async def _pump(socket: WebSocket, wire: _Wire) -> None:
    """Send what is to be sent, one after the other."""
    while (text := await wire.outgoing.get()) is not _END:
        if wire.is_frozen:
            await asyncio.Event().wait()  # for ever: it ends with the link
        await socket.send_text(text)
    await socket.close()
