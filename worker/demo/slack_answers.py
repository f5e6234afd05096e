"""Answers that break off, never come or never end: what a network does to the simulated Slack's callers."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.responses import Response

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import Receive, Scope, Send

_BEAT = 0.05
_CONNECTION = "simulator.connection"


class App(Starlette):
    """Keeps the server's connection at hand: ASGI itself has no word for cutting it."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        scope[_CONNECTION] = getattr(getattr(send, "__self__", None), "transport", None)
        await super().__call__(scope, receive, send)


class Cut(Response):
    """Cuts the connection without a word, and may do something a while later."""

    def __init__(self, then: Callable[[], None] | None = None, delay: float = 0.0) -> None:
        """`then` is called `delay` seconds after the cut."""
        super().__init__()
        self._then = then
        self._delay = delay

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI's signature
        """Answer nothing."""
        scope[_CONNECTION].abort()
        await _left(receive)
        if self._then:
            await asyncio.sleep(self._delay)
            self._then()


class Hanging(Response):
    """Answers nothing for as long as the fault stands and the caller waits, then cuts the connection."""

    def __init__(self, stands: Callable[[], bool]) -> None:
        """`stands` is asked a few times a second."""
        super().__init__()
        self._stands = stands

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI's signature
        """Answer nothing."""
        while self._stands() and not await _has_left(receive):
            pass
        scope[_CONNECTION].abort()
        await _left(receive)


class Half(Response):
    """Promises the whole body and sends half of it."""

    def __init__(self, body: bytes) -> None:
        """`body` is what a whole answer would hold."""
        super().__init__(body, media_type="application/json")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer half."""
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        half = bytes(self.body)[: len(self.body) // 2]
        await send({"type": "http.response.body", "body": half, "more_body": True})
        scope[_CONNECTION].close()
        await _left(receive)


class Dripping(Response):
    """Sends a byte now and then for as long as the caller waits."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer without an end."""
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while not await _has_left(receive):
            await send({"type": "http.response.body", "body": b" ", "more_body": True})
        scope[_CONNECTION].abort()


async def _has_left(receive: Receive) -> bool:
    """Wait a moment for the caller to hang up; whether it did."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_BEAT):
            await _left(receive)
            return True
    return False


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
