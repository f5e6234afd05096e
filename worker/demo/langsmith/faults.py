"""Faults of the simulated LangSmith: which requests go wrong, how, and how often. Thread-safe."""

from __future__ import annotations

import asyncio
import functools
import math
import struct
import threading
import zlib
from collections import deque
from enum import StrEnum
from typing import TYPE_CHECKING

from msgspec import Struct

from worker.demo.langsmith.answers import AnswerError

if TYPE_CHECKING:
    from starlette.types import Receive, Send

    from worker.core.ports import Clock

HANG_SECONDS = 600.0
DRIP_SECONDS = 0.2
MEGABYTE = 1024 * 1024
BOMB_MEGABYTES = 1024


class How(StrEnum):
    """The kind of a failure of a request."""

    STATUS = "status"  # an error in JSON, as LangSmith writes it
    HTML = "html"  # a proxy's web page, with any status
    BODY = "body"  # any body, with any status
    EMPTY = "empty"
    HANG = "hang"  # no answer at all
    DROP = "drop"  # the connection breaks within the answer
    DRIP = "drip"  # the answer comes byte by byte and never ends
    BOMB = "bomb"  # a small packed body that inflates to 1 GB
    ENDLESS = "endless"  # a body without end


class SourceFault(Struct):
    """One plan. It holds for requests whose path contains `path`, `times` times (None: until healed)."""

    how: How
    path: str = ""
    status: int = 500
    retry_after: str | None = None
    body: bytes = b""
    content_type: str = "application/json"
    times: int | None = None


class SourceFaults:
    """The plans in force, the oldest first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._plans: list[SourceFault] = []
        self._healed = 0

    def plan(self, fault: SourceFault) -> None:
        """Let requests go wrong from now on."""
        with self._lock:
            self._plans.append(fault)

    def heal(self) -> None:
        """Forget every plan; hanging requests stay as they are until their clients give up."""
        with self._lock:
            self._plans.clear()
            self._healed += 1

    def take(self, path: str) -> SourceFault | None:
        """The fault that this request meets."""
        with self._lock:
            for fault in self._plans:
                if fault.path in path and fault.times != 0:
                    if fault.times is not None:
                        fault.times -= 1
                    return fault
        return None

    async def commit(self, fault: SourceFault, receive: Receive, send: Send) -> None:
        """Answer as planned, for as long as the client listens."""
        going = asyncio.ensure_future(self._commit(fault, send))
        gone = asyncio.ensure_future(_gone(receive))
        await asyncio.wait({going, gone}, return_when=asyncio.FIRST_COMPLETED)
        gone.cancel()
        if not going.done():
            going.cancel()
            return
        await going

    async def _commit(self, fault: SourceFault, send: Send) -> None:
        if fault.how is How.HANG:
            await self._hang()
            await _answer(send, 503, "application/json", b"{}")
        elif fault.how is How.DROP:
            await _start(send, 200, "application/json")
            await send({"type": "http.response.body", "body": b"[", "more_body": True})
        elif fault.how is How.DRIP:
            await _start(send, 200, "application/json")
            await self._repeat(send, b" ", DRIP_SECONDS)
        elif fault.how is How.ENDLESS:
            await _start(send, 200, "application/json")
            await self._repeat(send, b" " * MEGABYTE, 0.0)
        elif fault.how is How.BOMB:
            await _answer(send, 200, "application/json", bomb(), ("content-encoding", "gzip"))
        else:
            await _planned(fault, send)

    async def _hang(self) -> None:
        healed = self._healed
        for _ in range(round(HANG_SECONDS / DRIP_SECONDS)):
            if self._healed != healed:
                return
            await asyncio.sleep(DRIP_SECONDS)

    async def _repeat(self, send: Send, piece: bytes, pause: float) -> None:
        healed = self._healed
        while self._healed == healed:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            await asyncio.sleep(pause)


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        continue


async def _planned(fault: SourceFault, send: Send) -> None:
    extra = [("retry-after", fault.retry_after)] if fault.retry_after is not None else []
    if fault.how is How.STATUS:
        body, content_type = fault.body or b'{"detail":"simulated trouble"}', "application/json"
    elif fault.how is How.HTML:
        body, content_type = b"<!DOCTYPE html><html><body>Bad gateway</body></html>", "text/html"
    else:
        body, content_type = fault.body, fault.content_type
    await _answer(send, fault.status, content_type, body, *extra)


async def _start(send: Send, status: int, content_type: str, *extra: tuple[str, str]) -> None:
    headers = [(b"content-type", content_type.encode())]
    headers += [(name.encode(), value.encode()) for name, value in extra]
    await send({"type": "http.response.start", "status": status, "headers": headers})


async def _answer(send: Send, status: int, content_type: str, body: bytes, *extra: tuple[str, str]) -> None:
    await _start(send, status, content_type, ("content-length", str(len(body))), *extra)
    await send({"type": "http.response.body", "body": body})


@functools.cache
def bomb(megabytes: int = BOMB_MEGABYTES) -> bytes:
    """A gzip stream that inflates to so many megabytes of blanks, made without ever holding them."""
    blanks = b" " * MEGABYTE
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    # After a full flush nothing refers back, so one packed megabyte can be repeated.
    packed = packer.compress(blanks) + packer.flush(zlib.Z_FULL_FLUSH)
    check = functools.reduce(lambda before, _: zlib.crc32(blanks, before), range(megabytes), 0)
    end = packer.flush() + struct.pack("<II", check, megabytes * MEGABYTE % 2**32)
    return b"\x1f\x8b\x08" + bytes(7) + packed * megabytes + end


QUERY = "/api/v2/runs/query"
_MOST = 15
_SECONDS = 10.0


class QueryLimit:
    """At most so many queries in so many seconds; the others are turned away with a 429 that says when to return."""

    def __init__(self, clock: Clock, most: int = _MOST, seconds: float = _SECONDS) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._admitted: deque[float] = deque()
        self.most = most
        self.seconds = seconds

    def admit(self, path: str) -> None:
        """Let a request pass, or raise AnswerError."""
        if path != QUERY:
            return
        with self._lock:
            now = self._clock.monotonic()
            while self._admitted and self._admitted[0] <= now - self.seconds:
                self._admitted.popleft()
            if len(self._admitted) >= self.most:
                wait = math.ceil(self._admitted[0] + self.seconds - now)
                raise AnswerError(429, {"detail": "Rate limit exceeded"}, {"retry-after": str(max(wait, 1))})
            self._admitted.append(now)
