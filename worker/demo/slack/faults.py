"""Faults that the simulated Slack plays on request: what is done, what is answered, for how long."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Self

from msgspec import Struct
from msgspec.structs import replace
from starlette.applications import Starlette
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import Receive, Scope, Send


class Mode(StrEnum):
    """The kind of a failure of a call. "Committed" means that Slack has done it, whatever it answers."""

    DROP_BEFORE = "drop_before"  # not done, connection cut
    COMMIT_THEN_DROP = "commit_then_drop"  # done, connection cut
    LATE_COMMIT = "late_commit"  # connection cut at once, done `delay` seconds later
    HANG = "hang"  # not done, no answer before it is healed
    COMMIT_THEN_HANG = "commit_then_hang"  # done, no answer before it is healed
    HALF_ANSWER = "half_answer"  # done, the answer breaks off
    DRIP = "drip"  # done, the answer comes byte by byte and never ends
    HTML = "html"  # not done, a page with status 200
    HTML_AFTER_COMMIT = "html_after_commit"  # done, a page with status 200
    NO_TS = "no_ts"  # done, `ok` without saying where
    STATUS_500_AFTER_COMMIT = "500_after_commit"
    RATELIMITED = "ratelimited"  # not done, 429 with Retry-After
    REDIRECT = "redirect"  # not done, 302 to `location`
    STATUS = "status"  # not done, the HTTP status given
    ERROR = "error"  # not done, `ok: false` with the error given
    ERROR_AFTER_COMMIT = "error_after_commit"  # done, `ok: false` with the error given


COMMITTING = frozenset(
    {
        Mode.COMMIT_THEN_DROP,
        Mode.COMMIT_THEN_HANG,
        Mode.HALF_ANSWER,
        Mode.DRIP,
        Mode.HTML_AFTER_COMMIT,
        Mode.NO_TS,
        Mode.STATUS_500_AFTER_COMMIT,
        Mode.ERROR_AFTER_COMMIT,
    }
)


class Fault(Struct, frozen=True):
    """One plan: which calls it meets (`*`: every method), what happens to them, how often (None: until healed).

    The first `after` calls that it meets go through.
    """

    method: str
    mode: Mode
    error: str = ""
    status: int = 500
    times: int | None = None
    after: int = 0
    channel: str | None = None
    retry_after: int | None = None
    delay: float = 1.0
    location: str = ""

    def meets(self, method: str, channel: str) -> bool:
        """Whether it is meant for this call."""
        return self.method in {"*", method} and self.channel in {None, channel}

    def spent_once(self) -> Self | None:
        """The rest of the plan after one more call."""
        if self.times is None:
            return self
        return replace(self, times=self.times - 1) if self.times > 1 else None


class Faults:
    """The plans that stand, oldest first. Thread-safe."""

    def __init__(self) -> None:
        """Nothing fails yet."""
        self._lock = threading.Lock()
        self._plans: list[Fault] = []
        self.healed = 0
        """The number of times that anything was healed: calls that hang go on when it rises."""

    def add(self, fault: Fault) -> None:
        """Let calls fail from now on."""
        with self._lock:
            self._plans.append(fault)

    def heal(self, method: str | None = None) -> None:
        """End the plans for one method, or all."""
        with self._lock:
            self.healed += 1
            self._plans = [plan for plan in self._plans if method not in {None, plan.method}]

    def take(self, method: str, channel: str) -> Fault | None:
        """The first plan that meets this call; it counts as used."""
        with self._lock:
            for number, plan in enumerate(self._plans):
                if not plan.meets(method, channel):
                    continue
                if plan.after:
                    self._plans[number] = replace(plan, after=plan.after - 1)
                    continue
                left = plan.spent_once()
                self._plans[number : number + 1] = [left] if left else []
                return plan
        return None


_PAGE = "<!doctype html><title>Please wait</title><p>Checking your browser."


def faulty(fault: Fault, honest: Response, hangs: Callable[[], bool], commit: Callable[[], None]) -> Response:
    """The answer that a fault puts in place of the `honest` one.

    `hangs` says whether a call that hangs still does; `commit` does late what was asked.
    """
    plays: dict[Mode, Callable[[], Response]] = {
        Mode.DROP_BEFORE: Cut,
        Mode.COMMIT_THEN_DROP: Cut,
        Mode.LATE_COMMIT: lambda: Cut(then=commit, delay=fault.delay),
        Mode.HANG: lambda: Hanging(hangs),
        Mode.COMMIT_THEN_HANG: lambda: Hanging(hangs),
        Mode.HALF_ANSWER: lambda: Half(bytes(honest.body)),
        Mode.DRIP: Dripping,
        Mode.HTML: lambda: HTMLResponse(_PAGE),
        Mode.HTML_AFTER_COMMIT: lambda: HTMLResponse(_PAGE),
        Mode.NO_TS: lambda: JSONResponse({"ok": True}),
        Mode.STATUS: lambda: Response("upstream connect error", fault.status, _retry_after(fault)),
        Mode.STATUS_500_AFTER_COMMIT: lambda: Response("upstream connect error", fault.status),
        Mode.RATELIMITED: lambda: JSONResponse({"ok": False, "error": "ratelimited"}, 429, _retry_after(fault)),
        Mode.REDIRECT: lambda: RedirectResponse(fault.location, 302),
        Mode.ERROR: lambda: JSONResponse({"ok": False, "error": fault.error}),
        Mode.ERROR_AFTER_COMMIT: lambda: JSONResponse({"ok": False, "error": fault.error}),
    }
    return plays[fault.mode]()


def _retry_after(fault: Fault) -> dict[str, str]:
    return {} if fault.retry_after is None else {"retry-after": str(fault.retry_after)}


_BEAT = 0.05
_CONNECTION = "simulator.connection"


def connection_of(scope: Scope) -> Any:  # noqa: ANN401 - a transport of asyncio's
    """The connection over which a request came."""
    return scope[_CONNECTION]


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
